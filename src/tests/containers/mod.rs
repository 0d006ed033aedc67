//! A tool that names an image, as the real program runs it in a real engine: a setup folder whose image is busybox with a page, and
//! profiles with a browser's cookies. Where no engine can run, each test says so and passes.

mod journey;
mod mishaps;
mod orphans;
mod pages;
#[path = "../../containers/tests/registry.rs"]
#[allow(dead_code, reason = "written for the package of containers, which uses all of it")]
mod registry;

use crate::{
    comfy::guest::{Guest, PASSWORD},
    image::dockerd::{Dockerd, busybox},
    program::Program,
    tool_folder,
};
use serde_json::Value;
use std::{
    fs,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};
use tempfile::TempDir;

const USERS: &str = "[[user]]\nname = \"Zoe\"\n\n[[user]]\nname = \"Ada\"\nrole = \"admin\"\n";

const TOML: &str = r#"name = "Page"
about = "Serves a page out of an image, for tests."
public_port = PORT
install = "page"
admits = "everyone"
environment = ["PAGE_SECRET"]
image = "IMAGE"
health = { path = "/index.html", expect = [200], start_timeout_s = 8, interval_s = 1 }

[container]
port = 8000
command = ["/bin/sh", "-c", "SCRIPT"]
memory_gb = 1
data = "/data"
"#;

/// What runs inside: it says where it is, then serves.
const SCRIPT: &str = "echo serving $EASEL_TOOL_DIR at $EASEL_HOST:$EASEL_PORT; echo kept > $EASEL_TOOL_DIR/kept; \
                      exec httpd -f -vv -p 8000 -h /www";

/// A variable that only the tool may know.
pub(super) const SECRET: &str = "canary-of-the-containers";

/// A studio with that tool, and where its image comes from.
pub(super) struct World {
    pub(super) dockerd: &'static Dockerd,
    pub(super) folder: TempDir,
}

/// The content of an image whose page says `words`.
pub(super) fn content(words: &str) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755)).unwrap();
    busybox(folder.path()).unwrap();
    fs::create_dir(folder.path().join("www")).unwrap();
    fs::write(folder.path().join("www/index.html"), format!("<title>Page</title>{words}")).unwrap();
    folder
}

impl World {
    /// A setup folder whose tool has this image. None, which was printed: no engine can run here.
    pub(super) fn with(image: &str) -> Option<World> {
        let dockerd = Dockerd::shared()?;
        let world = World { dockerd, folder: tempfile::tempdir().unwrap() };
        fs::write(world.folder.path().join("users.toml"), USERS).unwrap();
        let folder = world.setup().join("page");
        fs::create_dir_all(&folder).unwrap();
        let port = tool_folder::free_port().to_string();
        let toml = TOML.replace("\"SCRIPT\"", &format!("{SCRIPT:?}")).replace("IMAGE", image);
        fs::write(folder.join("tool.toml"), toml.replace("= PORT", &format!("= {port}"))).unwrap();
        for action in ["install", "start", "kill"] {
            let path = folder.join(format!("{action}_page.sh"));
            // Not used in a container, and nothing would come of it.
            fs::write(&path, "#!/usr/bin/env bash\nset -euo pipefail\nexit 3\n").unwrap();
            fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
        }
        Some(world)
    }

    fn setup(&self) -> PathBuf {
        self.folder.path().join("setup")
    }

    /// Changes a line of `tool.toml`; read at the next start.
    pub(super) fn rewrite(&self, from: &str, to: &str) {
        let path = self.setup().join("page/tool.toml");
        let text = fs::read_to_string(&path).unwrap();
        assert!(text.contains(from), "{text}");
        fs::write(path, text.replace(from, to)).unwrap();
    }

    /// The program over this folder, whatever an earlier one left.
    pub(super) fn start(&self) -> Program {
        self.start_at(&self.dockerd.socket())
    }

    /// The same with an engine behind this socket, if there is any.
    pub(super) fn start_at(&self, socket: &Path) -> Program {
        let host = format!("unix://{}", socket.display());
        let env = [("DOCKER_HOST", host.as_str()), ("PAGE_SECRET", SECRET), ("EASEL_LOG", "debug,bollard=trace")];
        let program = Program::start_with(self.folder.path(), &["--setup", self.setup().to_str().unwrap()], &env);
        tool_folder::set_password(&program, "ada", PASSWORD);
        program
    }

    /// Its containers, by the engine's ids.
    pub(super) fn containers(&self) -> Vec<String> {
        let id = fs::read_to_string(self.folder.path().join("data/state/studio-id")).unwrap();
        let label = format!("label=easel.studio={id}");
        let listed = self.dockerd.run(&["ps", "-a", "-q", "--no-trunc", "--filter", &label]);
        listed.lines().map(str::to_owned).collect()
    }

    /// Makes an image of a page with these words.
    pub(super) fn import(&self, image: &str, words: &str) {
        self.dockerd.import(content(words).path(), image, &["ENV PATH=/bin"]);
    }

    /// What the newest session of this kind has written so far.
    pub(super) async fn transcript(&self, admin: &Guest, action: &str) -> String {
        let sessions = sessions(admin).await;
        let newest = sessions.iter().find(|session| session["action"] == action).unwrap();
        transcript(&self.folder.path().join("data/logs/page"), newest)
    }

    /// Waits until it holds these words.
    pub(super) async fn says(&self, admin: &Guest, action: &str, words: &str) -> String {
        let begun = Instant::now();
        loop {
            let text = self.transcript(admin, action).await;
            if text.contains(words) {
                return text;
            }
            assert!(begun.elapsed() < Duration::from_secs(20), "{words:?} is not in {text:?}");
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }
}

impl Drop for World {
    /// A test that fails leaves no container on the engine that others share.
    fn drop(&mut self) {
        if self.folder.path().join("data/state/studio-id").exists() {
            for id in self.containers() {
                let _ = self.dockerd.docker().args(["rm", "-f", &id]).output();
            }
        }
    }
}

/// Sessions of the tool, newest first.
pub(super) async fn sessions(admin: &Guest) -> Vec<Value> {
    let (status, page) = admin.api(reqwest::Method::GET, "/sessions?tool=page", Value::Null).await;
    assert_eq!(status, 200, "{page}");
    page["items"].as_array().unwrap().clone()
}

fn transcript(folder: &Path, session: &Value) -> String {
    let id = session["id"].as_str().unwrap();
    String::from_utf8_lossy(&fs::read(folder.join(format!("{id}.log"))).unwrap_or_default()).into_owned()
}

/// The page behind the tool's gate, as Zoe's browser gets it.
pub(super) async fn page(zoe: &Guest) -> String {
    zoe.enter("page").await.get("/").await.text().await.unwrap()
}
