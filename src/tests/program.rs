//! The real program as a child process with a data folder of its own. Knows its command line and what it
//! prints; nothing of its insides.

use std::{
    io::{BufRead, BufReader},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::{Arc, Mutex, mpsc},
    time::{Duration, Instant},
};
use tempfile::TempDir;

/// How long a start may take before a test gives up; the bar itself is measured elsewhere.
const START: Duration = Duration::from_secs(30);

/// Whether everything is measured and tried, and not a sample: `setup/test.sh --long`.
pub(crate) fn is_long() -> bool {
    std::env::var("TESTS_LONG").is_ok_and(|v| v == "1")
}

/// `easel serve`, running. Dropped, it is stopped.
pub(crate) struct Program {
    child: Child,
    /// "http://127.0.0.1:PORT", as the program printed it.
    pub(crate) url: String,
    /// From the spawn to the printed address.
    pub(crate) started_in: Duration,
    printed: Arc<Mutex<Vec<String>>>,
    data: PathBuf,
    _folder: Option<TempDir>,
}

impl Program {
    /// Starts with a fresh data folder and the given `users.toml`.
    pub(crate) fn start(users: &str) -> Program {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("users.toml"), users).unwrap();
        let mut program = Program::start_in(folder.path(), &[]);
        program._folder = Some(folder);
        program
    }

    /// Starts over the folder of an earlier program: `data/` and, where there is one, `users.toml` in it.
    pub(crate) fn start_in(folder: &Path, extra: &[&str]) -> Program {
        Program::start_with(folder, extra, &[])
    }

    /// The same with further variables in its environment.
    pub(crate) fn start_with(folder: &Path, extra: &[&str], env: &[(&str, &str)]) -> Program {
        let users = folder.join("users.toml");
        Program::start_from(folder, &[&["--users", users.to_str().unwrap()], extra].concat(), env)
    }

    /// Starts over a folder without naming a list of profiles.
    pub(crate) fn start_from(folder: &Path, arguments: &[&str], env: &[(&str, &str)]) -> Program {
        let begin = Instant::now();
        let data = folder.join("data");
        let mut command = easel();
        command.arg("serve").args(["--port", "0", "--data"]).arg(&data).args(arguments);
        // Its shells read no profile of whoever runs the tests.
        command.env("HOME", folder);
        command.envs(env.iter().copied());
        let mut child = command.stdout(Stdio::piped()).stderr(log(folder)).spawn().unwrap();
        let printed = Arc::default();
        let url = printed_address(&mut child, folder, &printed);
        Program { child, url, started_in: begin.elapsed(), printed, data, _folder: None }
    }

    /// A URL of this program.
    pub(crate) fn at(&self, path: &str) -> String {
        format!("{}{path}", self.url)
    }

    /// The rest of the first printed line that holds `label`, waited for.
    pub(crate) fn printed_after(&self, label: &str) -> String {
        let begin = Instant::now();
        loop {
            let lines = self.printed.lock().unwrap();
            if let Some(line) = lines.iter().find_map(|l| l.split_once(label)) {
                return line.1.trim().to_owned();
            }
            assert!(begin.elapsed() < START, "{label} was not printed:\n{}", lines.join("\n"));
            drop(lines);
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    /// The data folder.
    pub(crate) fn data(&self) -> &Path {
        &self.data
    }

    /// Whether it still runs.
    pub(crate) fn is_running(&mut self) -> bool {
        self.child.try_wait().unwrap().is_none()
    }

    /// Process id.
    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Process id of its engine. None while there is none.
    pub(crate) fn engine(&self) -> Option<u32> {
        self.engines().first().copied()
    }

    /// Process ids of its engines: children or children's children.
    pub(crate) fn engines(&self) -> Vec<u32> {
        let (mut looking, mut found) = (vec![self.pid()], Vec::new());
        while let Some(pid) = looking.pop() {
            let children = std::fs::read_dir(format!("/proc/{pid}/task")).into_iter().flatten().flatten();
            let children = children.filter_map(|thread| std::fs::read_to_string(thread.path().join("children")).ok());
            let children = children.flat_map(|line| line.split_whitespace().map(str::to_owned).collect::<Vec<_>>());
            for child in children.filter_map(|pid| pid.parse().ok()) {
                // A zombie has no command line any more.
                let line = std::fs::read(format!("/proc/{child}/cmdline")).unwrap_or_default();
                if line.split(|b| *b == 0).nth(1) == Some(b"engine") {
                    found.push(child);
                } else {
                    looking.push(child);
                }
            }
        }
        found
    }

    /// Kills its engine as a crash would. False where there is none.
    pub(crate) fn kill_engine(&self) -> bool {
        let pid = self.engine().and_then(|pid| rustix::process::Pid::from_raw(pid.cast_signed()));
        pid.is_some_and(|pid| rustix::process::kill_process(pid, rustix::process::Signal::KILL).is_ok())
    }

    /// Kills it as a crash would: no signal handler runs.
    pub(crate) fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        if self.child.try_wait().is_ok_and(|status| status.is_none()) {
            let _ = self.child.kill();
            let _ = self.child.wait();
        }
    }
}

/// The program that cargo built for these tests, in an environment without the caller's settings.
pub(crate) fn easel() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_easel"));
    without_settings(&mut command);
    command
}

/// Takes the caller's settings out of the environment of something that will start the program.
pub(crate) fn without_settings(command: &mut Command) {
    for (name, _) in std::env::vars_os() {
        let name = name.to_string_lossy().into_owned();
        if ["EASEL_", "RUNPOD_", "VAST_"].iter().any(|p| name.starts_with(p)) {
            command.env_remove(name);
        }
    }
}

fn log(folder: &Path) -> Stdio {
    std::fs::OpenOptions::new().create(true).append(true).open(folder.join("stderr.log")).unwrap().into()
}

/// Reads standard output until the address comes; the rest is read and thrown away, so that the pipe never fills.
fn printed_address(child: &mut Child, folder: &Path, printed: &Arc<Mutex<Vec<String>>>) -> String {
    let (tell, told) = mpsc::channel();
    let (stdout, printed) = (child.stdout.take().unwrap(), printed.clone());
    std::thread::spawn(move || {
        for line in BufReader::new(stdout).lines().map_while(Result::ok) {
            if let Some(i) = line.find("http://127.0.0.1:") {
                let url = line[i..].split_whitespace().next().unwrap_or_default().trim_end_matches(['/', '.', ',']);
                let _ = tell.send(url.to_owned());
            }
            printed.lock().unwrap().push(line);
        }
    });
    match told.recv_timeout(START) {
        Ok(url) => url,
        Err(_) => {
            let _ = child.kill();
            let log = std::fs::read_to_string(folder.join("stderr.log")).unwrap_or_default();
            panic!("easel serve printed no address within {START:?}; its log:\n{log}");
        }
    }
}
