//! Tools as users of their own, with the real program: what a tool's process may reach, and what is closed to it. Needs
//! root, as Easel does for it; says so where it has none.

use super::client::{Admin, restarted};
use crate::{supervise::living, tool_folder};
use panel::outgoing::client;
use std::{
    fs,
    os::unix::fs::{MetadataExt as _, PermissionsExt as _},
    path::Path,
};

const USERS: &str = "[[user]]\nname = \"Zoe\"\n\n[[user]]\nname = \"Ada\"\nrole = \"admin\"\n";

/// Tries doors, and writes down which opened.
const START: &str = r#"#!/usr/bin/env bash
set -euo pipefail
data=$(dirname "$EASEL_WORKSPACE")
url=$(cat "$EASEL_WORKSPACE/studio")
cd "$EASEL_TOOL_DIR"
tried() { if "${@:2}" >/dev/null 2>&1; then echo "$1: open"; else echo "$1: closed"; fi; }
{
  echo "uid: $(id -u), groups: $(id -G)"
  tried state ls "$data/state"
  tried spool ls "$data/spool"
  tried "list of profiles" ls "$data/outputs"
  tried "pictures of another" ls "$data/outputs/zoe/2026-01"
  tried "own pictures" touch "$EASEL_OUTPUT/picture.png"
  tried "adding a model" touch "$EASEL_MODELS/added.safetensors"
  tried "removing a model" rm -f "$EASEL_MODELS/there.safetensors"
  tried "reading a model" cat "$EASEL_MODELS/there.safetensors"
  tried "another tool" touch "$EASEL_WORKSPACE/other/file"
  tried "its scripts" touch "$EASEL_SETUP/start_sketch.sh"
  # One click is a person's; a tool is asked for the studio key.
  curl -s "$url/" > page
  tried "picking a profile" grep -q Zoe page
} > tried
mkdir -p web && cd web && touch health
exec python3 -m http.server --bind "$EASEL_HOST" "$EASEL_PORT"
"#;

fn open(path: &Path, mode: u32) {
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tool_runs_as_its_own_user_and_reaches_only_what_is_its_own() {
    if !rustix::process::geteuid().is_root() {
        println!("not root: tools share Easel's user here, and the system page says so");
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    // As a volume's folder is, unlike a temporary one.
    open(folder.path(), 0o755);
    fs::write(folder.path().join("users.toml"), USERS).unwrap();
    let sketch = folder.path().join("setup/sketch");
    tool_folder::write(&folder.path().join("setup"), tool_folder::free_port());
    let lib = folder.path().join("setup/lib");
    fs::create_dir(&lib).unwrap();
    let packages = Path::new(env!("CARGO_MANIFEST_DIR")).join("setup/lib/with-packages.sh");
    fs::copy(packages, lib.join("with-packages.sh")).unwrap();
    let spec = fs::read_to_string(sketch.join("tool.toml")).unwrap();
    let spec = spec.replace("admits = \"everyone\"", "admits = \"starter\"\nper_profile = [\"output\"]\napt = [\"bash\"]");
    fs::write(sketch.join("tool.toml"), spec).unwrap();
    fs::write(sketch.join("start_sketch.sh"), START.replace("exec python3", "mkdir -p \"$EASEL_OUTPUT\"\nexec python3")).unwrap();
    let program = restarted(folder.path());
    let data = program.data().to_path_buf();
    fs::write(data.join("workspace/studio"), &program.url).unwrap();
    fs::create_dir(data.join("workspace/other")).unwrap();
    fs::create_dir_all(data.join("outputs/zoe/2026-01")).unwrap();
    fs::create_dir_all(data.join("outputs/ada/sketch/output")).unwrap();
    for private in ["outputs/zoe", "outputs/zoe/2026-01", "outputs/ada"] {
        open(&data.join(private), 0o700);
    }
    fs::write(data.join("models/there.safetensors"), "weights").unwrap();

    let first = client().build().unwrap().get(&program.url).send().await.unwrap().text().await.unwrap();
    assert!(first.contains("Zoe"), "whoever sits at this machine picks by a click");
    let admin = Admin::log_in(&program).await;
    assert!(admin.get("/system").await["tools_shared"].is_null());
    admin.api(reqwest::Method::POST, "/tools/sketch/install").await;
    admin.until_tool("stopped").await;
    // Its script had a root before it, for packages, and was not run as root.
    let marker = fs::metadata(data.join("workspace/sketch/.easel-installed")).unwrap();
    assert!((58_001..59_000).contains(&marker.uid()), "{}", marker.uid());
    admin.api(reqwest::Method::POST, "/tools/sketch/start").await;
    admin.until_tool("running").await;
    let tried = fs::read_to_string(data.join("workspace/sketch/tried")).unwrap();
    println!("{tried}");
    let expected = format!(
        "uid: {}, groups: 58000\nstate: closed\nspool: closed\nlist of profiles: closed\npictures of another: closed\n\
         own pictures: open\nadding a model: open\nremoving a model: closed\nreading a model: open\nanother tool: closed\n\
         its scripts: closed\npicking a profile: closed\n",
        marker.uid()
    );
    assert_eq!(tried, expected);
    let picture = fs::metadata(data.join("outputs/ada/sketch/output/picture.png")).unwrap();
    assert_eq!(picture.uid(), marker.uid());
    let mark = format!("EASEL_WORKSPACE={}", std::path::absolute(data.join("workspace")).unwrap().display());
    admin.api(reqwest::Method::POST, "/tools/sketch/stop").await;
    admin.until_tool("stopped").await;
    assert!(living(&mark).is_empty(), "its guardian ends what runs as another user too");
}
