//! A workspace to run scripts in: the shipped setup folder, fixtures in place of the outside, and the contract's
//! environment. Knows no tool.

use crate::tool_folder::copy;
use std::{
    fs,
    io::Read as _,
    os::unix::process::CommandExt as _,
    path::{Path, PathBuf},
    process::{Child, Command, Output, Stdio},
    sync::OnceLock,
    time::{Duration, Instant},
};
use tempfile::TempDir;

/// How long a script may take; the machine may be busy.
const PATIENCE: Duration = Duration::from_secs(120);

/// A workspace with a setup folder of its own.
pub(crate) struct World {
    folder: TempDir,
    /// Further variables of every script.
    pub(crate) env: Vec<(String, String)>,
    /// Packages come from PyPI, by the settings of whoever runs the tests, and not from the fixtures.
    pypi: bool,
}

/// Repositories and packages, made once for all tests.
pub(crate) fn fixtures() -> &'static Path {
    static FIXTURES: OnceLock<TempDir> = OnceLock::new();
    let folder = FIXTURES.get_or_init(|| {
        let folder = tempfile::tempdir().unwrap();
        let script = sources().join("src/tests/setup/fixtures.py");
        let made = Command::new("python3").arg(script).arg(folder.path()).output().unwrap();
        assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
        folder
    });
    folder.path()
}

/// The repository of these sources.
pub(crate) fn sources() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

/// `uv`, which setup/test.sh installs.
pub(crate) fn uv() -> PathBuf {
    let uv = sources().join("target/tools/python/bin/uv");
    assert!(uv.is_file(), "{} is missing; setup/test.sh installs it", uv.display());
    uv
}

/// What a script printed, and how it ended.
pub(crate) struct Ended {
    pub(crate) code: Option<i32>,
    pub(crate) out: String,
}

impl Ended {
    fn of(output: &Output) -> Ended {
        let out = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        Ended { code: output.status.code(), out }
    }

    /// It must have worked.
    #[track_caller]
    pub(crate) fn ok(self) -> Ended {
        assert_eq!(self.code, Some(0), "{}", self.out);
        self
    }

    /// It must have ended so, and said this.
    #[track_caller]
    pub(crate) fn failed(self, code: i32, said: &str) {
        assert!(self.code == Some(code) && self.out.contains(said), "{:?}, not {code} and {said:?}:\n{}", self.code, self.out);
    }

    /// The steps that were printed.
    pub(crate) fn steps(&self) -> Vec<&str> {
        self.out.lines().filter_map(|line| line.strip_prefix("::step ")).collect()
    }
}

impl World {
    /// With packages from PyPI.
    pub(crate) fn outside() -> World {
        World { pypi: true, ..World::new() }
    }

    /// With the fixtures.
    pub(crate) fn new() -> World {
        let folder = tempfile::tempdir().unwrap();
        copy(&sources().join("setup"), &folder.path().join("setup"));
        let nodes = ["Comfy-Org/ComfyUI-Manager", "city96/ComfyUI-GGUF", "rgthree/rgthree-comfy", "broken/broken-node"];
        let nodes: String = nodes.iter().map(|node| format!("https://github.com/{node}\n")).collect();
        fs::write(folder.path().join("setup/comfy/nodes.txt"), nodes).unwrap();
        World { folder, env: Vec::new(), pypi: false }
    }

    /// A path in the workspace.
    pub(crate) fn at(&self, path: &str) -> PathBuf {
        self.folder.path().join("workspace").join(path)
    }

    /// A path in the setup folder.
    pub(crate) fn setup(&self, path: &str) -> PathBuf {
        self.folder.path().join("setup").join(path)
    }

    /// Puts a file into the workspace.
    pub(crate) fn put(&self, path: &str, text: &str) {
        let path = self.at(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    /// Reads one; empty where there is none.
    pub(crate) fn get(&self, path: &str) -> String {
        fs::read_to_string(self.at(path)).unwrap_or_default()
    }

    /// The same world again, as it is now.
    pub(crate) fn again(&self) -> World {
        let world = World { folder: tempfile::tempdir().unwrap(), env: self.env.clone(), pypi: self.pypi };
        // Environments hold full paths, so the copy takes the place that they name only when they are made again.
        let copied = Command::new("cp").arg("-a").arg(self.folder.path().join(".")).arg(world.folder.path()).status().unwrap();
        assert!(copied.success());
        world
    }

    /// A script with the environment that the contract promises, in a process group of its own.
    pub(crate) fn command(&self, tool: &str, action: &str, more: &[(&str, &str)]) -> Command {
        let home = if tool == "custom-nodes" { "comfy" } else { tool };
        let script = self.setup(tool).join(format!("{action}_{}.sh", tool.replace('-', "_")));
        let file = |path: &str| format!("file://{}", fixtures().join(path).display());
        let mut command = Command::new("bash");
        command.arg(script).env_clear().process_group(0).current_dir("/").stdin(Stdio::null());
        command.env("PATH", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin");
        command.env("EASEL_TOOL", tool).env("EASEL_WORKSPACE", self.at("")).env("EASEL_TOOL_DIR", self.at(home));
        command
            .env("EASEL_SETUP", self.setup(tool))
            .env("EASEL_MODELS", self.at("models-of-all"))
            .env("EASEL_BACKUP", self.at("backup"));
        command.env("EASEL_UV", uv()).env("EASEL_GPU", "none").env("EASEL_GIT_MIRROR", file("git"));
        if self.pypi {
            command.envs(std::env::vars().filter(|(name, _)| panel::tools::contract::passes(name) && name != "PATH"));
        } else {
            command.env("UV_INDEX_URL", file("simple")).env("PIP_INDEX_URL", file("simple"));
        }
        command.envs(self.env.iter().cloned()).envs(more.iter().copied());
        command
    }

    /// Runs a script to its end.
    pub(crate) fn run(&self, tool: &str, action: &str, more: &[(&str, &str)]) -> Ended {
        Ended::of(&self.command(tool, action, more).output().unwrap())
    }

    /// Starts a tool on a free port of this machine.
    pub(crate) fn start(&self, tool: &str, more: &[(&str, &str)]) -> Running {
        let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let mut command = self.command(tool, "start", &[("EASEL_HOST", "127.0.0.1"), ("EASEL_PORT", &port.to_string())]);
        let log = tempfile::NamedTempFile::new().unwrap();
        command.envs(more.iter().copied()).stdout(log.reopen().unwrap()).stderr(log.reopen().unwrap());
        Running { child: command.spawn().unwrap(), port, log }
    }
}

/// A tool that was started. Dropped, its whole process group is killed.
pub(crate) struct Running {
    child: Child,
    pub(crate) port: u16,
    log: tempfile::NamedTempFile,
}

impl Running {
    /// The process that the start script became.
    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    pub(crate) fn log(&self) -> String {
        fs::read_to_string(self.log.path()).unwrap()
    }

    /// Waits until a path of its server answers with this status; the body.
    pub(crate) fn answers(&mut self, path: &str, authorization: Option<&str>, status: u16) -> String {
        let begin = Instant::now();
        loop {
            let answer = get(self.port, path, authorization);
            match answer {
                Some((got, body)) if got == status => return body,
                _ => {}
            }
            let ended = self.child.try_wait().unwrap();
            assert!(ended.is_none() && begin.elapsed() < PATIENCE, "{path}: {answer:?} {ended:?}, not {status}:\n{}", self.log());
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    /// Waits for its end; the exit code.
    pub(crate) fn ended(&mut self) -> Option<i32> {
        let begin = Instant::now();
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status.code();
            }
            assert!(begin.elapsed() < PATIENCE, "it does not end:\n{}", self.log());
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        kill_group(self.child.id());
        let _ = self.child.wait();
    }
}

/// Kills the process group that a script was given.
pub(crate) fn kill_group(pid: u32) {
    if let Some(pid) = rustix::process::Pid::from_raw(pid.cast_signed()) {
        let _ = rustix::process::kill_process_group(pid, rustix::process::Signal::KILL);
    }
}

/// One GET of this machine; status and body. None while nothing answers.
pub(crate) fn get(port: u16, path: &str, authorization: Option<&str>) -> Option<(u16, String)> {
    use std::io::Write as _;
    let mut stream = std::net::TcpStream::connect(("127.0.0.1", port)).ok()?;
    stream.set_read_timeout(Some(Duration::from_secs(10))).ok()?;
    let authorization = authorization.map(|a| format!("Authorization: {a}\r\n")).unwrap_or_default();
    write!(stream, "GET {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nConnection: close\r\n{authorization}\r\n").ok()?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).ok()?;
    let answer = String::from_utf8_lossy(&answer).into_owned();
    let status = answer.split_whitespace().nth(1)?.parse().ok()?;
    Some((status, answer.split_once("\r\n\r\n").map(|(_, body)| body.to_owned()).unwrap_or_default()))
}
