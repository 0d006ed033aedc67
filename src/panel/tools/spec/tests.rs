//! What `tool.toml` may say, and what each mistake is answered with.

use super::*;
use proptest::prelude::*;

const WHOLE: &str = r#"
name = "Comfy"
about = "Nodes."
public_port = 8188
install = "comfy"
health = { path = "/system_stats", expect = [200], start_timeout_s = 300 }
apt = ["git", "libgl1", "g++"]
needs_gpu = true
vram_gb = 12
admits = "starter"
per_profile = ["output", "input", "temp", "user"]
autostart = true
environment = ["HF_TOKEN"]
restart = "never"
image = "ghcr.io/example/comfy:1.2"
picks = { file = "comfy/nodes.txt", below = "app/custom_nodes" }

[release_vram]
method = "POST"
path = "/free"
body = '{"free_memory": true}'

[gate]
authorization = "Bearer {token}"
"#;

fn parse(text: &str) -> Result<ToolSpec, Vec<String>> {
    ToolSpec::parse(ToolId::parse("comfy").unwrap(), text)
}

/// The file with one line replaced, or added where it is not there.
fn with(line: &str) -> Result<ToolSpec, Vec<String>> {
    let key = line.split(" =").next().unwrap();
    let old = WHOLE.lines().find(|l| l.starts_with(&format!("{key} ="))).unwrap_or_default();
    let text = if old.is_empty() { format!("{line}\n{WHOLE}") } else { WHOLE.replacen(old, line, 1) };
    parse(&text)
}

#[test]
fn a_file_that_says_everything_is_read() {
    let spec = parse(WHOLE).unwrap();
    assert_eq!((spec.public_port, spec.home), (Some(8188), Home::Own("comfy".into())));
    assert_eq!(spec.health.unwrap().start_timeout, Duration::from_secs(300));
    assert_eq!(spec.per_profile.into_iter().collect::<Vec<_>>(), [Own::Output, Own::Input, Own::Temp, Own::User]);
    assert_eq!((spec.admits, spec.restart, spec.autostart), (Admits::Starter, Restart::Never, true));
}

#[test]
fn what_says_nothing_is_for_admins_and_starts_again() {
    let spec = parse("name = \"Models\"\nabout = \"Sets.\"\ninstall = \"models\"\n").unwrap();
    assert_eq!((spec.admits, spec.restart, spec.public_port), (Admits::Admins, Restart::OnFailure, None));
}

#[test]
fn only_what_everyone_opens_keeps_them_apart() {
    let shared = WHOLE.replace("admits = \"starter\"", "admits = \"everyone\"\nisolation = \"comfyui\"");
    assert_eq!(parse(&shared).unwrap().isolation, Some(Isolation::ComfyUi));
    assert_eq!(parse(WHOLE).unwrap().isolation, None);
    let why = with("isolation = \"comfyui\"").unwrap_err().join(" ");
    assert!(why.contains("admits must be"), "{why}");
    assert!(parse(&shared.replace("\"comfyui\"", "\"swarmui\"")).is_err());
}

#[test]
fn a_misspelt_key_is_answered_with_the_right_one() {
    assert_eq!(with("pubic_port = 1").unwrap_err(), ["unknown key \"pubic_port\": did you mean \"public_port\"?"]);
    let health = "health = { path = \"/\", expect = [200], start_timeout = 3 }";
    assert_eq!(with(health).unwrap_err(), ["unknown key \"health.start_timeout\": did you mean \"start_timeout_s\"?"]);
    assert!(with("colour = 1").unwrap_err()[0].starts_with("unknown key \"colour\": the keys are name, about, "));
}

#[test]
fn every_mistake_is_named() {
    for (line, start) in [
        ("name = \"\"", "name must have"),
        ("about = \"a\\u0007\"", "about must have"),
        ("public_port = 80", "public_port = 80 belongs to the system"),
        ("public_port = 70000", "line 4: "),
        ("install = \"../comfy\"", "install = \"../comfy\" is not one plain name"),
        ("install = \"/opt\"", "install = \"/opt\" is not"),
        ("install = \".ssh\"", "install = \".ssh\" is not"),
        ("within = \"other\"", "either install"),
        ("apt = [\"git; id\"]", "apt: \"git; id\" is not"),
        ("apt = [\"-y\"]", "apt: \"-y\" is not"),
        ("environment = [\"hf token\"]", "environment: \"hf token\" is not a name"),
        ("environment = [\"EASEL_PORT\"]", "environment: EASEL_PORT is Easel's own"),
        ("admits = \"all\"", "line 10: "),
        ("per_profile = [\"models\"]", "line 11: "),
        ("restart = \"always\"", "line 14: "),
        ("image = \"a b\"", "image: \"a b\" is no name of an image"),
        ("vram_gb = 4096", "vram_gb = 4096"),
        ("picks = { file = \"../nodes.txt\" }", "picks.file"),
        ("picks = { file = \"comfy/nodes.txt\", below = \"../..\" }", "picks.below"),
        ("path = \"http://evil\"", "release_vram.path"),
        ("method = \"DELETE\"", "release_vram.method"),
        ("body = '{'", "release_vram.body"),
        ("authorization = \"Bearer\"", "gate.authorization"),
        ("health = { path = \"health\", expect = [200], start_timeout_s = 3 }", "health.path"),
        ("health = { path = \"/\", expect = [], start_timeout_s = 3 }", "health.expect"),
        ("health = { path = \"/\", expect = [200], start_timeout_s = 0 }", "health.start_timeout_s"),
        ("health = { path = \"/\", expect = [200], start_timeout_s = 3, interval_s = 0 }", "health.interval_s"),
        ("health = { path = \"/\", expect = [200], start_timeout_s = 3, interval_s = 301 }", "health.interval_s"),
    ] {
        let problems = with(line).expect_err(line);
        assert!(problems.len() == 1 && problems[0].starts_with(start), "{line}: {problems:?}");
    }
    let process = WHOLE.replace("image = \"ghcr.io/example/comfy:1.2\"\n", "");
    assert_eq!(parse(&process.replace("public_port = 8188\n", "")).unwrap_err(), ["public_port and health belong together"]);
}

proptest! {
    #[test]
    fn no_text_makes_a_panic(text in "\\PC{0,200}", value in "\\PC{0,40}") {
        let _ = parse(&text);
        let _ = with(&format!("install = {value:?}"));
    }

    #[test]
    fn an_install_folder_stays_in_the_workspace(name in "\\PC{0,20}") {
        if let Ok(ToolSpec { home: Home::Own(folder), .. }) = with(&format!("install = {:?}", name)) {
            prop_assert!(!folder.contains('/') && folder != ".." && !folder.starts_with('.'));
        }
    }
}
