//! A real engine for tests: Debian's dockerd with folders, socket and bridge of its own, so that it meets no other engine of
//! the machine. It ends with the process that started it, however that ends. Knows no test.

use std::{
    fs,
    io::{Read as _, Write as _},
    os::unix::net::UnixStream,
    path::{Path, PathBuf},
    process::{Child, ChildStdin, Command, Output, Stdio},
    sync::{Mutex, OnceLock},
    time::{Duration, Instant},
};

/// How long an engine may take to answer.
const START: Duration = Duration::from_secs(60);

/// Keeps dockerd for as long as its standard input is open: this process may be killed, and the engine must not outlive it.
/// `restart` and `kill` on a line do what they say. At the end everything it made is unmounted and removed.
const KEEPER: &str = r#"
set -u
folder=$1 bridge=$2 net=$3; shift 3
if [ "$bridge" != none ]; then
  ip link add "$bridge" type bridge && ip addr add "$net.1/24" dev "$bridge" && ip link set "$bridge" up || exit 1
fi
start() {
  dockerd --data-root "$folder/data" --exec-root "$folder/exec" --pidfile "$folder/pid" --host "unix://$folder/sock" \
    --bridge "$bridge" --iptables=false --ip6tables=false --ip-forward=false --shutdown-timeout 1 "$@" \
    >>"$folder/log" 2>&1 </dev/null &
  pid=$!
}
start "$@"
while read -r word; do
  case $word in
    restart) kill "$pid"; wait "$pid"; start "$@" ;;
    kill) kill -KILL "$pid"; wait "$pid" ;;
  esac
done
kill "$pid" 2>/dev/null; wait "$pid"
# What was killed, or kept its containers, has left some running: its own containerd knows them by this folder.
for stray in $(grep -lsz -- "$folder/" /proc/[0-9]*/cmdline | cut -d/ -f3); do
  [ "$stray" = $$ ] || kill -KILL "$stray" 2>/dev/null
done
grep -o " $folder/[^ ]*" /proc/mounts | sort -r | while read -r mount; do umount -l "$mount"; done
[ "$bridge" = none ] || ip link del "$bridge"
rm -rf "$folder"
"#;

/// A running engine.
pub(crate) struct Dockerd {
    folder: PathBuf,
    control: Mutex<ChildStdin>,
    keeper: Mutex<Child>,
}

impl Dockerd {
    /// The engine that all tests of this process share. None, with the reason printed: none can run here.
    pub(crate) fn shared() -> Option<&'static Dockerd> {
        static SHARED: OnceLock<Option<Dockerd>> = OnceLock::new();
        let started = || Dockerd::start(true, &[]).inspect_err(|why| println!("skipped: {why}")).ok();
        let shared = SHARED.get_or_init(started).as_ref();
        if shared.is_none() {
            println!("skipped: no container engine can run here");
        }
        shared
    }

    /// An engine of a test's own; without a network where `bridged` is false.
    pub(crate) fn start(bridged: bool, flags: &[&str]) -> Result<Dockerd, String> {
        if !is_root() {
            return Err("dockerd needs root".into());
        }
        for program in ["dockerd", "ip", "docker"] {
            let found = Command::new(program).arg("-h").stdout(Stdio::null()).stderr(Stdio::null()).status();
            found.map_err(|e| format!("{program} cannot be run ({e}); install docker.io and iproute2"))?;
        }
        let folder = tempfile::Builder::new().prefix("easel-dockerd-").tempdir().unwrap().keep();
        let number = std::process::id();
        let bridge = if bridged { format!("easel{}", number % 1_000_000) } else { "none".into() };
        let net = format!("10.{}.{}", 201 + number / 250 % 50, number % 250);
        let mut keeper = Command::new("sh")
            .args(["-c", KEEPER, "keeper"])
            .arg(&folder)
            .args([&bridge, &net])
            .args(flags)
            .stdin(Stdio::piped())
            // Whoever waits for this process's output must not wait for the engine's end.
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .map_err(|e| e.to_string())?;
        let control = Mutex::new(keeper.stdin.take().unwrap());
        let dockerd = Dockerd { folder, control, keeper: Mutex::new(keeper) };
        dockerd.wait_until_it_answers().map(|()| dockerd)
    }

    /// Its socket.
    pub(crate) fn socket(&self) -> PathBuf {
        self.folder.join("sock")
    }

    fn wait_until_it_answers(&self) -> Result<(), String> {
        let begun = Instant::now();
        while !answers(&self.socket()) {
            let ended = self.keeper.lock().unwrap().try_wait().is_ok_and(|status| status.is_some());
            if ended || begun.elapsed() > START {
                let log = fs::read_to_string(self.folder.join("log")).unwrap_or_default();
                let lines: Vec<&str> = log.lines().collect();
                return Err(format!("dockerd does not start: {}", lines[lines.len().saturating_sub(3)..].join("\n")));
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        Ok(())
    }

    /// Ends it in good order and starts it again.
    pub(crate) fn restart(&self) {
        let before = fs::read_to_string(self.folder.join("pid")).unwrap_or_default();
        self.control.lock().unwrap().write_all(b"restart\n").unwrap();
        while fs::read_to_string(self.folder.join("pid")).is_ok_and(|pid| pid == before) {
            std::thread::sleep(Duration::from_millis(20));
        }
        self.wait_until_it_answers().unwrap();
    }

    /// Kills it; it does not come back.
    pub(crate) fn kill(&self) {
        self.control.lock().unwrap().write_all(b"kill\n").unwrap();
        while answers(&self.socket()) {
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// Docker's own command line, for what only a person would do.
    pub(crate) fn docker(&self) -> Command {
        let mut docker = Command::new("docker");
        docker.env("DOCKER_HOST", format!("unix://{}", self.socket().display())).env("DOCKER_BUILDKIT", "0");
        docker
    }

    /// Runs it, and returns what it prints.
    pub(crate) fn run(&self, args: &[&str]) -> String {
        let Output { status, stdout, stderr } = self.docker().args(args).output().unwrap();
        assert!(status.success(), "docker {args:?}: {}", String::from_utf8_lossy(&stderr));
        String::from_utf8_lossy(&stdout).trim().to_owned()
    }

    /// Makes an image of the folder's content.
    pub(crate) fn import(&self, folder: &Path, name: &str, changes: &[&str]) {
        let mut docker = self.docker();
        docker.arg("import");
        for change in changes {
            docker.args(["--change", change]);
        }
        let mut tar = Command::new("tar").arg("-C").arg(folder).args(["-c", "."]).stdout(Stdio::piped()).spawn().unwrap();
        let done = docker.args(["-", name]).stdin(tar.stdout.take().unwrap()).output().unwrap();
        assert!(tar.wait().unwrap().success());
        assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    }
}

impl Drop for Dockerd {
    /// Of an engine of one test's own; the shared one ends with the process.
    fn drop(&mut self) {
        // Another command in place of the pipe: its end is what the keeper waits for.
        let mut idle = Command::new("true").stdin(Stdio::piped()).spawn().unwrap();
        drop(std::mem::replace(&mut *self.control.lock().unwrap(), idle.stdin.take().unwrap()));
        let _ = idle.wait();
        let _ = self.keeper.lock().unwrap().wait();
    }
}

/// Whether an engine answers behind a socket.
fn answers(socket: &Path) -> bool {
    let ask = || -> std::io::Result<String> {
        let mut stream = UnixStream::connect(socket)?;
        stream.set_read_timeout(Some(Duration::from_secs(5)))?;
        stream.write_all(b"GET /_ping HTTP/1.0\r\n\r\n")?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).map(|_| answer)
    };
    ask().is_ok_and(|answer| answer.ends_with("OK"))
}

fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

/// A folder with busybox under the names of the programs that it is, as the content of an image.
pub(crate) fn busybox(folder: &Path) -> Result<(), String> {
    let bin = folder.join("bin");
    fs::create_dir_all(&bin).map_err(|e| e.to_string())?;
    let found = ["/bin/busybox", "/usr/bin/busybox"].into_iter().find(|path| Path::new(path).exists());
    let busybox = found.ok_or("busybox-static is not installed")?;
    fs::copy(busybox, bin.join("busybox")).map_err(|e| e.to_string())?;
    for name in
        ["sh", "cat", "echo", "sleep", "stty", "ps", "kill", "id", "grep", "httpd", "printf", "date", "seq", "true", "usleep"]
    {
        std::os::unix::fs::symlink("busybox", bin.join(name)).map_err(|e| e.to_string())?;
    }
    for name in ["tmp", "etc", "proc", "sys", "dev"] {
        fs::create_dir_all(folder.join(name)).map_err(|e| e.to_string())?;
    }
    fs::write(folder.join("etc/passwd"), "root:x:0:0::/:/bin/sh\nartist:x:1000:1000::/tmp:/bin/sh\n").map_err(|e| e.to_string())
}
