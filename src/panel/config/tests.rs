//! The layers of the configuration, and what is refused.

use super::*;
use proptest::prelude::*;

fn environment(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
    pairs.iter().map(|(k, v)| (k.to_string(), v.to_string())).collect()
}

fn file(text: &str) -> Option<(PathBuf, String)> {
    Some((PathBuf::from("easel.toml"), text.into()))
}

fn load(flags: Flags, env: &[(&str, &str)], text: &str) -> Result<Config, String> {
    Config::from_parts(flags, &environment(env), file(text)).map_err(|e| e.0)
}

#[test]
fn a_flag_wins_over_a_variable_over_the_file_over_the_default() {
    let port = |flag, env: &[(&str, &str)], text| load(Flags { port: flag, ..Flags::default() }, env, text).unwrap().port;
    let env = [("EASEL_PORT", "2")];
    assert_eq!(port(Some(1), &env, "port = 3"), 1);
    assert_eq!(port(None, &env, "port = 3"), 2);
    assert_eq!(port(None, &[], "port = 3"), 3);
    assert_eq!(port(None, &[], ""), 8080);
}

#[test]
fn an_unknown_key_is_refused_with_the_nearest_and_where_it_came_from() {
    let refused = |env: &[(&str, &str)], text| load(Flags::default(), env, text).unwrap_err();
    assert_eq!(refused(&[], "prot = 1"), "Unknown key \"prot\" in easel.toml: did you mean \"port\"?");
    assert_eq!(refused(&[], "[server]\nport = 1").split(':').next(), Some("Unknown key \"server\" in easel.toml"));
    assert_eq!(
        refused(&[("EASEL_PUBLIC_URL", "https://a")], ""),
        "Unknown key \"EASEL_PUBLIC_URL\" in the environment: did you mean \"EASEL_PUBLIC_URLS\"?"
    );
}

#[test]
fn a_wrong_value_names_its_key_and_its_place() {
    let refused = |env: &[(&str, &str)], text| load(Flags::default(), env, text).unwrap_err();
    assert!(refused(&[], "port = \"high\"").starts_with("port in easel.toml: "));
    assert!(refused(&[("EASEL_PORT", "70000")], "").starts_with("port in the environment: "));
    assert!(refused(&[], "bind = \"localhost\"").contains("not an IP address"));
    assert!(refused(&[], "port = ").starts_with("easel.toml: "));
}

#[test]
fn variables_that_look_like_numbers_stay_folders() {
    let config = load(Flags::default(), &[("EASEL_DATA", "2024"), ("EASEL_PUBLIC_URLS", "https://a, https://b")], "").unwrap();
    assert_eq!(config.data, PathBuf::from("2024"));
    assert_eq!(config.public_urls, ["https://a", "https://b"]);
}

#[test]
fn a_pod_listens_everywhere_and_writes_to_its_volume() {
    let config = load(Flags::default(), &[("RUNPOD_POD_ID", "abc")], "").unwrap();
    assert_eq!((config.data, config.bind.to_string()), (PathBuf::from("/workspace/easel"), "0.0.0.0".to_string()));
    let told = load(Flags::default(), &[("RUNPOD_POD_ID", "abc"), ("EASEL_BIND", "127.0.0.1")], "").unwrap();
    assert!(told.bind.is_loopback());
}

#[test]
fn the_printed_sample_is_a_configuration_with_every_key() {
    load(Flags::default(), &[], SAMPLE).unwrap();
    let uncommented =
        SAMPLE.lines().map(|l| l.strip_prefix("# ").filter(|l| l.contains(" = ")).unwrap_or("")).collect::<Vec<_>>();
    let text = uncommented.join("\n");
    load(Flags::default(), &[], &text).unwrap();
    for (key, _) in KEYS {
        assert!(text.lines().any(|line| line.starts_with(&format!("{key} = "))), "{key} is missing from the sample");
    }
}

proptest! {
    #[test]
    fn no_file_makes_a_panic(text in "\\PC{0,80}", value in "\\PC{0,20}") {
        let _ = load(Flags::default(), &[("EASEL_PORT", value.as_str()), ("EASEL_LOG", value.as_str())], &text);
    }

    #[test]
    fn every_port_survives_every_layer(port in any::<u16>()) {
        let text = port.to_string();
        prop_assert_eq!(load(Flags::default(), &[("EASEL_PORT", text.as_str())], "").unwrap().port, port);
        prop_assert_eq!(load(Flags::default(), &[], &format!("port = {port}")).unwrap().port, port);
    }
}
