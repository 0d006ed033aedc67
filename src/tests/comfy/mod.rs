//! Tools that speak ComfyUI's API, without ComfyUI: a setup folder whose tools run `server.py`, profiles with a browser's
//! cookies, and a graphics card that is a folder. Knows the panel as browsers do.

mod apart;
pub(crate) mod card;
pub(crate) mod films;
mod gates;
pub(crate) mod guest;
mod routes;
mod stopping;

use crate::{
    program::{Program, easel},
    tool_folder,
};
use std::{
    fs,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    process::Command,
};

const USERS: &str = "[[user]]\nname = \"Zoe\"\n\n[[user]]\nname = \"Mateo\"\n\n[[user]]\nname = \"Ada\"\nrole = \"admin\"\n";

const TOML: &str = r#"name = "NAME"
about = "Speaks ComfyUI's API, for tests."
public_port = PORT
install = "ID"
ADMITS
health = { path = "/system_stats", expect = [200], start_timeout_s = 30 }
vram_gb = 12
environment = ["CARD_DOUBLE", "COMFY_DOUBLE_HOLDS"]

[release_vram]
method = "POST"
path = "/free"
body = '{"unload_models": true, "free_memory": true}'
"#;

const INSTALL: &str = r#"#!/usr/bin/env bash
set -euo pipefail
mkdir -p "$EASEL_TOOL_DIR"
cp "$EASEL_SETUP"/*.py "$EASEL_SETUP"/film.* "$EASEL_TOOL_DIR/"
printf 'version=double\ncommit=\nat=2026-01-31T12:00:00Z\n' > "$EASEL_TOOL_DIR/.easel-installed"
"#;

const START: &str = r#"#!/usr/bin/env bash
set -euo pipefail
app=$EASEL_TOOL_DIR/app
arguments=()
[ -n "${EASEL_PROFILE:-}" ] || arguments=(--multi-user)
exec python3 "$EASEL_TOOL_DIR/server.py" --listen "$EASEL_HOST" --port "$EASEL_PORT" \
  --output-directory "${EASEL_OUTPUT:-$app/output}" --input-directory "${EASEL_INPUT:-$app/input}" \
  --temp-directory "${EASEL_TEMP:-$app/temp}" --user-directory "${EASEL_USER_DIR:-$app/user}" "${arguments[@]}"
"#;

const KILL: &str = "#!/usr/bin/env bash\nset -euo pipefail\nkill -INT \"$EASEL_PID\"\n";

/// For everyone, kept apart by the gate; and for whoever started it.
const SHARED: &str = "admits = \"everyone\"\nisolation = \"comfyui\"";
const OWN: &str = "admits = \"starter\"\nper_profile = [\"output\", \"input\", \"temp\", \"user\"]";

/// Writes the folder of a tool that speaks ComfyUI's API.
fn write(setup: &Path, id: &str, name: &str, admits: &str) {
    let folder = setup.join(id);
    fs::create_dir_all(&folder).unwrap();
    let port = tool_folder::free_port().to_string();
    fs::write(
        folder.join("tool.toml"),
        TOML.replace("NAME", name).replace("PORT", &port).replace("ID", id).replace("ADMITS", admits),
    )
    .unwrap();
    for file in ["server.py", "studio.py", "films.py", "film.mp4", "film.webm"] {
        fs::copy(sources().join(file), folder.join(file)).unwrap();
    }
    let in_name = id.replace('-', "_");
    for (action, text) in [("install", INSTALL), ("start", START), ("kill", KILL)] {
        let path = folder.join(format!("{action}_{in_name}.sh"));
        fs::write(&path, text).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
    }
}

fn sources() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("src/tests/comfy")
}

/// A studio with two such tools, not installed yet: `comfy`, which all share, and `comfy-two`, which is its starter's.
pub(crate) fn studio(folder: &Path, env: &[(&str, &str)]) -> Program {
    fs::write(folder.join("users.toml"), USERS).unwrap();
    let setup = folder.join("setup");
    write(&setup, "comfy", "ComfyUI", SHARED);
    write(&setup, "comfy-two", "Second ComfyUI", OWN);
    let program = Program::start_with(folder, &["--setup", setup.to_str().unwrap()], env);
    tool_folder::set_password(&program, "ada", guest::PASSWORD);
    program
}

/// A card of so many bytes, as the folder that it is, and where the library lies that tells of it.
pub(crate) fn card(folder: &Path, bytes: u64) -> (PathBuf, PathBuf) {
    let (card, library) = (folder.join("card"), folder.join("driver"));
    fs::create_dir_all(&card).unwrap();
    fs::create_dir_all(&library).unwrap();
    fs::write(card.join("total"), bytes.to_string()).unwrap();
    // Tools may run as users of their own.
    fs::set_permissions(&card, fs::Permissions::from_mode(0o777)).unwrap();
    let made = Command::new("cc")
        .args(["-shared", "-fPIC", "-o"])
        .arg(library.join("libnvidia-ml.so.1"))
        .arg(sources().join("nvml.c"))
        .status();
    assert!(made.unwrap().success(), "cc makes the library");
    (card, library)
}

/// Ends the program in order, as a pod's stop does; how long that took.
fn end_in_order(program: &mut Program) -> std::time::Duration {
    let begun = std::time::Instant::now();
    let pid = rustix::process::Pid::from_raw(program.pid().cast_signed()).unwrap();
    rustix::process::kill_process(pid, rustix::process::Signal::TERM).unwrap();
    while program.is_running() {
        assert!(begun.elapsed() < std::time::Duration::from_secs(60), "the panel does not end");
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
    begun.elapsed()
}

/// The data folder's state, asked without a server; only to be sure that nobody holds it any more.
fn is_free(program: &Program) -> bool {
    let listed = easel().args(["user", "list", "--data"]).arg(program.data()).output().unwrap();
    listed.status.success()
}
