//! A setup folder with one small real tool, written by a test: scripts that install in steps, ask a question, fail when
//! told to, and run a web server: slowly after as many seconds as the file `slow` in its folder says, answering nobody while there
//! is a file `hang`, and ending with the exit code in the file `quit`. Knows the contract of `setup/README.md`; nothing of the panel.

use crate::program::{Program, easel};
use std::{fs, io::Write as _, os::unix::fs::PermissionsExt as _, path::Path, process::Stdio};

const TOML: &str = r#"name = "Sketch server"
about = "Serves a page, for tests."
public_port = PORT
install = "sketch"
admits = "everyone"
health = { path = "/health", expect = [200], start_timeout_s = 20, interval_s = 1 }
"#;

const INSTALL: &str = r#"#!/usr/bin/env bash
set -euo pipefail
mkdir -p "$EASEL_TOOL_DIR"
echo "change=install" > "$EASEL_TOOL_DIR/.easel-changing"
echo "::step 1/3 Looking around"
printf '\033[32mok\033[0m in %s\n' "$EASEL_TOOL_DIR"
echo "::step 2/3 Asking"
if [ -e "$EASEL_WORKSPACE/ask" ]; then
  read -r -p "Continue? [y/N] " answer
  [ "$answer" = y ] || { echo "::error The answer was no, so nothing was installed."; exit 1; }
fi
echo "::step 3/3 Counting"
for i in 1 2 3 4 5; do echo "line $i"; sleep 0.1; done
printf 'version=1.2.3\ncommit=\nat=2026-01-31T12:00:00Z\n' > "$EASEL_TOOL_DIR/.easel-installed"
rm "$EASEL_TOOL_DIR/.easel-changing"
"#;

const START: &str = r#"#!/usr/bin/env bash
set -euo pipefail
rm -f "$EASEL_TOOL_DIR/hang" "$EASEL_TOOL_DIR/quit"
[ ! -e "$EASEL_TOOL_DIR/slow" ] || sleep "$(cat "$EASEL_TOOL_DIR/slow")"
echo "listening on $EASEL_HOST:$EASEL_PORT"
sleep 1000 &
exec python3 -c '
import http.server, os, time
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        if os.path.exists(os.environ["EASEL_TOOL_DIR"] + "/hang"): time.sleep(1000)
        if os.path.exists(os.environ["EASEL_TOOL_DIR"] + "/quit"): os._exit(int(open(os.environ["EASEL_TOOL_DIR"] + "/quit").read()))
        self.send_response(200); self.send_header("content-type", "text/html"); self.end_headers()
        self.wfile.write(b"<title>Sketch</title><h1>Sketch server</h1>")
    def log_message(self, *args): pass
http.server.ThreadingHTTPServer((os.environ["EASEL_HOST"], int(os.environ["EASEL_PORT"])), Handler).serve_forever()
'
"#;

const KILL: &str = r#"#!/usr/bin/env bash
set -euo pipefail
kill -TERM "$EASEL_PID"
"#;

/// Writes the folder; its tool is called "sketch" and has this public port.
pub(crate) fn write(setup: &Path, port: u16) {
    let folder = setup.join("sketch");
    fs::create_dir_all(&folder).unwrap();
    fs::write(folder.join("tool.toml"), TOML.replace("PORT", &port.to_string())).unwrap();
    for (name, text) in [("install_sketch.sh", INSTALL), ("start_sketch.sh", START), ("kill_sketch.sh", KILL)] {
        let path = folder.join(name);
        fs::write(&path, text).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
    }
}

/// A second tool that works in the folder of the first: its script is at work until there is a file `go` there.
pub(crate) fn write_within(setup: &Path) {
    let folder = setup.join("extras");
    fs::create_dir_all(&folder).unwrap();
    fs::write(folder.join("tool.toml"), "name = \"Extras\"\nabout = \"More for the server.\"\nwithin = \"sketch\"\n").unwrap();
    let script = "#!/usr/bin/env bash\nset -euo pipefail\nwhile [ ! -e \"$EASEL_TOOL_DIR/go\" ]; do sleep 0.05; done\n";
    fs::write(folder.join("install_extras.sh"), script).unwrap();
}

/// Copies a folder.
pub(crate) fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap().flatten() {
        let to = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy(&entry.path(), &to);
        } else {
            fs::copy(entry.path(), to).unwrap();
        }
    }
}

/// A port of this machine that nobody has now.
pub(crate) fn free_port() -> u16 {
    std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

/// Gives a profile of a running studio a password.
pub(crate) fn set_password(program: &Program, profile: &str, password: &str) {
    let mut set = easel();
    set.args(["user", "set-password", profile, "--data"]).arg(program.data());
    let mut set = set.stdin(Stdio::piped()).stdout(Stdio::null()).spawn().unwrap();
    set.stdin.take().unwrap().write_all(format!("{password}\n{password}\n").as_bytes()).unwrap();
    assert!(set.wait().unwrap().success());
}
