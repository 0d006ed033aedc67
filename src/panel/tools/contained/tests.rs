//! What a container is, and what it sees. No engine is asked.

use super::*;
use crate::tools::{ToolId, ToolSpec};

const TOOL: &str = "name = \"T\"\nabout = \"a\"\npublic_port = 9000\ninstall = \"t\"\nadmits = \"starter\"\n\
                    per_profile = [\"output\"]\nenvironment = [\"HF_TOKEN\"]\nimage = \"tool:1\"\n\
                    health = { path = \"/\", expect = [200], start_timeout_s = 5 }\n";

fn image() -> ImageId {
    ImageId::parse(&format!("sha256:{}", "a".repeat(64))).unwrap()
}

fn spec_with(rest: &str, token: &str, user: Option<(u32, u32)>) -> ContainerSpec {
    let spec = ToolSpec::parse(ToolId::parse("t").unwrap(), &format!("{TOOL}{rest}")).unwrap();
    let folder = ToolFolder { spec, path: "/s/t".into(), actions: Default::default(), choices: None, version: None };
    let places = Places { workspace: "/w".into(), models: "/m".into(), backup: "/b".into(), uv: None };
    let profile = Some(("zoe".to_owned(), PathBuf::from("/o/zoe/t")));
    let start = Start { port: 40_001, base_url: Some("https://p".into()), token: Some(Secret::new(token)), profile };
    let panel = [("PATH", "/host/bin"), ("LD_LIBRARY_PATH", "/host/lib"), ("HF_TOKEN", "hf"), ("RUNPOD_API_KEY", "canary")];
    let panel = panel.map(|(name, value)| (name.to_owned(), value.to_owned())).into();
    let container = folder.spec.container.as_ref().unwrap();
    let wanted =
        Wanted { folder: &folder, container, home: "t", places: &places, start: &start, user, image: image(), panel: &panel };
    spec_of(&wanted)
}

#[test]
fn it_sees_its_own_folders_and_nothing_of_this_machine() {
    let spec = spec_with("", "x", Some((7, 7)));
    spec.check().unwrap();
    let mounts: Vec<_> =
        spec.mounts.iter().map(|m| (m.host.to_str().unwrap(), m.inside.to_str().unwrap(), m.read_only)).collect();
    assert_eq!(mounts, [("/w/t", "/w/t", false), ("/m", "/m", true), ("/o/zoe/t", "/o/zoe/t", false)]);
    let env = |name: &str| spec.env.get(name).map(String::as_str);
    assert_eq!((env("EASEL_HOST"), env("EASEL_PORT"), env("HF_TOKEN")), (Some("0.0.0.0"), Some("9000"), Some("hf")));
    assert_eq!((env("EASEL_OUTPUT"), env("HOME")), (Some("/o/zoe/t/output"), Some("/w/t/home")));
    assert_eq!((env("PATH"), env("LD_LIBRARY_PATH"), env("EASEL_SETUP"), env("EASEL_BACKUP")), (None, None, None, None));
    assert!(spec.env.values().chain(spec.once.values()).all(|value| value != "canary"));
    assert_eq!(spec.ports, [Port { host: 40_001, inside: 9000 }]);
}

#[test]
fn what_differs_at_each_start_makes_no_other_container() {
    let (one, two) = (spec_with("", "one", None), spec_with("", "two", None));
    assert_eq!((one.once["EASEL_TOKEN"].as_str(), two.once["EASEL_TOKEN"].as_str()), ("one", "two"));
    assert_eq!(one.hash(), two.hash());
    assert_ne!(one.hash(), spec_with("[container]\nmemory_gb = 2\n", "one", None).hash());
}

#[test]
fn folders_can_be_seen_elsewhere_and_the_variables_follow() {
    let spec = spec_with("[container]\nport = 80\nmodels = \"/models\"\ndata = \"/data\"\n", "x", None);
    assert_eq!((spec.env["EASEL_TOOL_DIR"].as_str(), spec.env["EASEL_MODELS"].as_str()), ("/data", "/models"));
    assert_eq!((spec.ports[0].inside, spec.mounts[0].inside.to_str()), (80, Some("/data")));
    assert!(!spec.env.contains_key("HOME"), "an image's own user has its own home");
}

#[test]
fn it_runs_as_whom_its_scripts_would() {
    let tool = Some(ToolUser { uid: 70_001, gid: 70_000 });
    assert_eq!(user_inside(tool, 0, 0, Some(0)), (70_001, 70_000));
    assert_eq!(user_inside(None, 0, 0, Some(0)), (0, 0), "and not as a user of the image's, who could not write to its folder");
    assert_eq!(user_inside(None, 1000, 1000, Some(0)), (1000, 1000));
    assert_eq!(user_inside(None, 1000, 1000, Some(1000)), (0, 0), "rootless: its root is this user");
}

#[test]
fn kept_images_are_an_installation() {
    assert_eq!(installation(&Kept::default()), Installation::Absent);
    let kept = Kept { current: Some(image()), former: Some(image()) };
    let Installation::Installed { version, earlier, .. } = installation(&kept) else { panic!("installed") };
    assert_eq!((version.as_str(), earlier.as_deref()), ("aaaaaaaaaaaa", Some("aaaaaaaaaaaa")));
}
