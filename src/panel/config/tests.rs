//! The layers of the configuration, and what is refused.

use super::*;
use proptest::prelude::*;
use protocol::DeviceWish;

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
fn a_device_is_read_and_one_that_does_not_exist_is_refused_with_those_that_do() {
    let device = |env: &[(&str, &str)], text| load(Flags::default(), env, text).map(|config| config.engine_device);
    assert_eq!(device(&[], ""), Ok(EngineDevices::Auto));
    assert_eq!(
        device(&[("EASEL_ENGINE_DEVICE", "gpu:1")], "engine_device = \"cpu\""),
        Ok(EngineDevices::These(vec![DeviceWish::Gpu(1)]))
    );
    assert!(device(&[], "engine_device = \"tpu\"").is_err_and(|why| why.contains("\"tpu\"") && why.contains("gpu:1")));
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
fn engines_are_one_or_a_list() {
    let devices = |text: &str| load(Flags::default(), &[], &format!("engine_device = \"{text}\"")).map(|c| c.engine_device);
    assert_eq!(load(Flags::default(), &[], "").unwrap().engine_device, EngineDevices::Auto);
    assert_eq!(devices("cpu,cpu").unwrap().wishes(4).len(), 2);
    let refused = "engine_device = \"tpu\" is no device: it can be auto, cpu, gpu, or a GPU by its number, gpu:1.";
    assert_eq!(devices("cpu,tpu").unwrap_err(), refused);
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
        let sets = |line: &str| line.starts_with(&format!("{key} = ")) || line.starts_with(&format!("{key}."));
        assert!(text.lines().any(sets), "{key} is missing from the sample");
    }
}

#[test]
fn the_folder_of_tools_has_a_variable_of_its_own() {
    let setup = |env: &[(&str, &str)], text| load(Flags::default(), env, text).unwrap().setup;
    assert_eq!(setup(&[], ""), None);
    assert_eq!(setup(&[], "setup = \"tools\""), Some("tools".into()));
    assert_eq!(setup(&[("EASEL_SETUP_DIR", "/opt/tools")], "setup = \"tools\""), Some("/opt/tools".into()));
    let misspelt = load(Flags::default(), &[("EASEL_SETUPDIR", "/opt")], "").unwrap_err();
    assert_eq!(misspelt, "Unknown key \"EASEL_SETUPDIR\" in the environment: did you mean \"EASEL_SETUP_DIR\"?");
}

#[test]
fn variables_and_the_file_say_together_which_repository_it_is() {
    let url = "boot.repos.studio.url = \"https://git.example.org/me/studio.git\"\n";
    let branch = [("EASEL_REPO_BRANCH", "next")];
    let config = load(Flags::default(), &branch, url).unwrap();
    assert_eq!(config.boot.studio().unwrap().branch.as_str(), "next");
    let without = load(Flags::default(), &branch, "").unwrap_err();
    assert!(without.contains("url"), "a branch of nothing is told: {without}");
    let two = format!("{url}boot.repos.nodes.url = \"https://git.example.org/me/nodes.git\"\nboot.repos.nodes.path = \"r\"\n");
    load(Flags::default(), &[], &two).unwrap();
    let one_place = load(Flags::default(), &[], &format!("{two}boot.repos.studio.path = \"r\"\n")).unwrap_err();
    assert_eq!(one_place, "boot.repos.studio: path = \"r\" is taken by boot.repos.nodes.");
}

#[test]
fn an_escape_after_a_letter_beyond_ascii_makes_no_panic() {
    assert!(load(Flags::default(), &[("EASEL_PORT", "\"\u{a0f}\\0\"")], "").is_err());
}

#[test]
fn in_a_terminal_of_a_tool_its_variables_are_not_the_studios() {
    let tool = [("EASEL_TOOL_DIR", "/w/jupyter"), ("EASEL_PORT", "40001"), ("EASEL_WORKSPACE", "/w"), ("EASEL_DATA", "/d")];
    let config = load(Flags::default(), &tool, "").unwrap();
    assert_eq!((config.port, config.data), (8080, PathBuf::from("/d")));
    load(Flags::default(), &[("EASEL_GIT_MIRROR", "https://mirror")], "").unwrap();
    let workspace = |env: &[(&str, &str)]| load(Flags::default(), env, "").unwrap().workspace;
    assert_eq!(workspace(&[("EASEL_WORKSPACE", "/w")]), PathBuf::from("/w"));
    assert_eq!(workspace(&tool), PathBuf::from("/d/workspace"));
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
