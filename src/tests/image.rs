//! The container image: built around this machine's binary by `setup/build_image.sh`, on a base that is made here from that
//! binary's own libraries, since no registry can be asked. Where no engine can run, each test says so and passes.

#[path = "../containers/tests/dockerd.rs"]
#[allow(dead_code, reason = "written for the package of containers, which uses all of it")]
pub(crate) mod dockerd;

use dockerd::{Dockerd, busybox};
use std::{
    collections::BTreeSet,
    fs,
    io::{Read as _, Write as _},
    net::TcpStream,
    path::Path,
    process::Command,
    sync::OnceLock,
    time::{Duration, Instant},
};
use tempfile::TempDir;

const BASE: &str = "easel-test/base:1";
const IMAGE: &str = "easel-test/easel:1";
/// Nothing here takes longer.
const PATIENCE: Duration = Duration::from_secs(60);

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// The engine, with the image on it. None: no engine can run here, which was printed.
fn engine() -> Option<&'static Dockerd> {
    let dockerd = Dockerd::shared()?;
    static BUILT: OnceLock<()> = OnceLock::new();
    BUILT.get_or_init(|| {
        let begun = Instant::now();
        make_base(dockerd);
        let mut build = Command::new(root().join("setup/build_image.sh"));
        build.args(["--tag", IMAGE, "--base", BASE, "--packages", "", "--binary", env!("CARGO_BIN_EXE_easel")]);
        build.env("DOCKER_HOST", format!("unix://{}", dockerd.socket().display())).env("DOCKER_BUILDKIT", "0");
        let done = build.output().unwrap();
        let (said, why) = (String::from_utf8_lossy(&done.stdout), String::from_utf8_lossy(&done.stderr));
        assert!(done.status.success(), "{said}\n{why}");
        assert_eq!(said.contains("no kernels"), why.contains("it will use no GPU"), "{said}\n{why}");
        let last = said.lines().last().unwrap_or_default();
        println!("image: built in {:.1?}, {last}", begun.elapsed());
    });
    Some(dockerd)
}

/// A base with the libraries that the binary is linked against, busybox, and this machine's certificates.
fn make_base(dockerd: &Dockerd) {
    let folder = tempfile::tempdir().unwrap();
    busybox(folder.path()).unwrap();
    let told = Command::new("ldd").arg(env!("CARGO_BIN_EXE_easel")).output().unwrap().stdout;
    let told = String::from_utf8(told).unwrap();
    let mut files: Vec<&str> = told.split_whitespace().filter(|word| word.starts_with('/')).collect();
    assert!(files.len() >= 2, "{told}");
    files.push("/etc/ssl/certs/ca-certificates.crt");
    for file in files {
        let into = folder.path().join(&file[1..]);
        fs::create_dir_all(into.parent().unwrap()).unwrap();
        fs::copy(file, into).unwrap();
    }
    dockerd.import(folder.path(), BASE, &[]);
}

/// A container of the image, removed at the end of the test.
struct Studio<'a> {
    dockerd: &'a Dockerd,
    id: String,
    _volume: Option<TempDir>,
}

impl<'a> Studio<'a> {
    /// Runs the image with this folder as its volume, and flags for the engine and for `serve`.
    fn run(dockerd: &'a Dockerd, volume: &Path, flags: &[&str], serve: &[&str]) -> Studio<'a> {
        let mount = format!("{}:/workspace", volume.display());
        let mut args = vec!["run", "-d", "-v", &mount, "--health-interval", "500ms"];
        args.extend(flags);
        args.push(IMAGE);
        args.extend(serve);
        Studio { dockerd, id: dockerd.run(&args), _volume: None }
    }

    /// With a volume of its own.
    fn start(dockerd: &'a Dockerd, flags: &[&str], serve: &[&str]) -> Studio<'a> {
        let volume = tempfile::tempdir().unwrap();
        let mut studio = Studio::run(dockerd, volume.path(), flags, serve);
        studio._volume = Some(volume);
        studio
    }

    fn told(&self, what: &str) -> String {
        self.dockerd.run(&["inspect", "-f", what, &self.id])
    }

    /// Runs a program inside.
    fn exec(&self, command: &[&str]) -> String {
        self.dockerd.run(&[&["exec", &self.id], command].concat())
    }

    fn logs(&self) -> String {
        let logs = self.dockerd.docker().args(["logs", &self.id]).output().unwrap();
        format!("{}{}", String::from_utf8_lossy(&logs.stdout), String::from_utf8_lossy(&logs.stderr))
    }

    /// Waits until its own check says this.
    fn becomes(&self, wanted: &str) -> Duration {
        let begun = Instant::now();
        loop {
            let health = self.told("{{.State.Health.Status}}");
            if health == wanted {
                return begun.elapsed();
            }
            assert!(begun.elapsed() < PATIENCE, "it is {health}, not {wanted}: {}", self.logs());
            std::thread::sleep(Duration::from_millis(100));
        }
    }

    /// Processes inside that have ended and were not reaped, and those that run.
    fn processes(&self) -> (usize, usize) {
        // The kernel's own words: what `ps` shows of one that has ended differs.
        let states = self.exec(&["sh", "-c", "cat /proc/[0-9]*/stat 2>/dev/null || true"]);
        let state = |line: &str| line.rsplit_once(") ").map(|(_, rest)| rest.starts_with('Z'));
        let all: Vec<bool> = states.lines().filter_map(state).collect();
        (all.iter().filter(|dead| **dead).count(), all.iter().filter(|dead| !**dead).count())
    }
}

impl Drop for Studio<'_> {
    fn drop(&mut self) {
        let _ = self.dockerd.docker().args(["rm", "-f", "-v", &self.id]).output();
    }
}

/// A thousand processes whose parents end before them, all gone a moment later.
const ORPHANS: &str = "i=0; while [ $i -lt 1000 ]; do (sleep 0.2 &); i=$((i+1)); done";

#[test]
fn it_boots_as_process_1_is_well_reaps_orphans_and_stops_in_time() {
    let Some(dockerd) = engine() else { return };
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let (published, url) = (format!("127.0.0.1:{port}:9000"), format!("http://127.0.0.1:{port}"));
    let studio = Studio::start(dockerd, &["-p", &published], &["--port", "9000", "--public-url", &url]);
    let well = studio.becomes("healthy");
    assert_eq!(
        studio.exec(&["cat", "/proc/1/cmdline"]).replace('\0', " ").split(" --port").next(),
        Some("easel init -- easel serve")
    );
    assert!(studio.logs().contains("studio key, shown this once"), "{}", studio.logs());
    assert!(get(port, "/healthz").ends_with("ok\n"));
    let first = get(port, "/");
    assert!(first.contains("/key"), "a container is not the machine itself, so the key comes first: {first}");
    studio.exec(&["easel", "user", "add", "Zoë"]);

    let before = studio.processes();
    let begun = Instant::now();
    studio.exec(&["sh", "-c", ORPHANS]);
    let gone = wait_until(|| studio.processes() == before);
    assert!(gone, "{:?} before, {:?} after", before, studio.processes());
    println!("image: healthy after {well:.1?}; 1,000 orphans made and reaped in {:.1?}", begun.elapsed());
    // Under a process 1 that does not wait for them they would still be there: the measure can fail.
    let idle = Studio { dockerd, id: dockerd.run(&["run", "-d", "--entrypoint", "sleep", IMAGE, "600"]), _volume: None };
    idle.exec(&["sh", "-c", ORPHANS]);
    std::thread::sleep(Duration::from_millis(500));
    assert!(idle.processes().0 >= 1000, "{:?}", idle.processes());

    let begun = Instant::now();
    dockerd.run(&["stop", "-t", "10", &studio.id]);
    let stopped = begun.elapsed();
    assert_eq!(studio.told("{{.State.ExitCode}}"), "0");
    assert!(stopped < Duration::from_secs(8), "{stopped:?}");
    // What was said to be there is there, after an orderly stop and after none.
    dockerd.run(&["start", &studio.id]);
    studio.becomes("healthy");
    assert!(studio.exec(&["easel", "user", "list"]).contains("Zoë"));
    studio.exec(&["easel", "user", "add", "Ada"]);
    dockerd.run(&["kill", &studio.id]);
    assert_eq!(studio.told("{{.State.ExitCode}}"), "137");
    dockerd.run(&["start", &studio.id]);
    studio.becomes("healthy");
    assert!(studio.exec(&["easel", "user", "list"]).contains("Ada"));
    println!("image: stopped in {stopped:.1?} with exit code 0");
}

#[test]
fn a_second_one_on_the_same_volume_refuses_and_names_the_first() {
    let Some(dockerd) = engine() else { return };
    let volume = tempfile::tempdir().unwrap();
    let first = Studio::run(dockerd, volume.path(), &[], &[]);
    first.becomes("healthy");
    let second = Studio::run(dockerd, volume.path(), &[], &[]);
    assert_eq!(dockerd.run(&["wait", &second.id]), "4", "{}", second.logs());
    let host = first.exec(&["cat", "/proc/sys/kernel/hostname"]);
    assert!(second.logs().contains("is in use by process") && second.logs().contains(&host), "{}", second.logs());
    assert_eq!(first.told("{{.State.Health.Status}}"), "healthy");
}

#[test]
fn it_runs_as_another_user_whose_volume_it_is() {
    let Some(dockerd) = engine() else { return };
    let volume = tempfile::tempdir().unwrap();
    std::os::unix::fs::chown(volume.path(), Some(1000), Some(1000)).unwrap();
    let studio = Studio::run(dockerd, volume.path(), &["--user", "1000:1000", "--cap-drop", "ALL"], &[]);
    studio.becomes("healthy");
    assert_eq!(studio.exec(&["id", "-u"]), "1000");
    dockerd.run(&["stop", "-t", "10", &studio.id]);
    assert_eq!(studio.told("{{.State.ExitCode}}"), "0");
}

#[test]
fn a_studio_that_hangs_is_not_well() {
    let Some(dockerd) = engine() else { return };
    let studio = Studio::start(dockerd, &["--health-timeout", "1s", "--health-retries", "2"], &[]);
    studio.becomes("healthy");
    let status = studio.exec(&["easel", "status"]);
    let pid = status.lines().next().and_then(|line| line.rsplit(' ').next()).unwrap().to_owned();
    studio.exec(&["kill", "-STOP", &pid]);
    studio.becomes("unhealthy");
}

#[test]
fn a_template_of_runpod_goes_on_at_once_and_has_a_studio() {
    let folder = tempfile::tempdir().unwrap();
    let script = root().join("setup/post_start.sh");
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let run = |program: &str| {
        // As the template's own start script does.
        let mut start = Command::new("bash");
        crate::program::without_settings(&mut start);
        start.args(["-e", "-c", "bash \"$0\" \"$1\"; echo went on"]).arg(&script).arg(program).current_dir(folder.path());
        start.env("EASEL_PORT", port.to_string()).env("EASEL_DATA", folder.path().join("data"));
        let log = fs::File::create(folder.path().join("log")).unwrap();
        let (begun, status) = (Instant::now(), start.stdout(log.try_clone().unwrap()).stderr(log).status().unwrap());
        assert!(status.success() && begun.elapsed() < Duration::from_secs(5));
        fs::read_to_string(folder.path().join("log")).unwrap()
    };
    assert!(run("/no/such/easel").contains("is not there") && run("/no/such/easel").ends_with("went on\n"));
    let said = run(env!("CARGO_BIN_EXE_easel"));
    let pid = said.split("as process ").nth(1).and_then(|rest| rest.split(';').next()).unwrap().to_owned();
    let well = wait_until(|| TcpStream::connect(("127.0.0.1", port)).is_ok() && get(port, "/healthz").ends_with("ok\n"));
    let log = fs::read_to_string(folder.path().join("log")).unwrap();
    assert!(well && log.contains("went on"), "{log}");
    assert!(Command::new("kill").arg(&pid).status().unwrap().success());
    assert!(wait_until(|| !Path::new("/proc").join(&pid).exists()), "it does not end");
}

#[test]
fn what_it_promises_is_what_the_tools_need() {
    let text = fs::read_to_string(root().join("Dockerfile")).unwrap();
    let (mut packages, mut ports) = (BTreeSet::new(), BTreeSet::from(["8080".to_owned()]));
    for entry in fs::read_dir(root().join("setup")).unwrap() {
        let Ok(tool) = fs::read_to_string(entry.unwrap().path().join("tool.toml")) else { continue };
        for line in tool.lines() {
            match line.split_once(" = ") {
                Some(("apt", list)) => packages.extend(list.split('"').skip(1).step_by(2).map(str::to_owned)),
                Some(("public_port", port)) => drop(ports.insert(port.trim().to_owned())),
                _ => {}
            }
        }
    }
    assert!(packages.len() > 5 && ports.len() > 3, "{packages:?} {ports:?}");
    let words = |line: &str| line.split([' ', '"']).map(str::to_owned).collect::<BTreeSet<_>>();
    let line = |start: &str| words(text.lines().find_map(|line| line.strip_prefix(start)).unwrap());
    let installed = line("ARG PACKAGES=");
    let missing: Vec<_> = packages.difference(&installed).collect();
    assert!(missing.is_empty(), "the image lacks {missing:?}, which tool.toml names");
    assert_eq!(line("EXPOSE "), ports);
}

/// An answer of the studio to whoever asks from this machine.
fn get(port: u16, path: &str) -> String {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    write!(stream, "GET {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nAccept: text/html\r\nConnection: close\r\n\r\n").unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).unwrap();
    String::from_utf8_lossy(&answer).into_owned()
}

fn wait_until(mut so: impl FnMut() -> bool) -> bool {
    let begun = Instant::now();
    while begun.elapsed() < Duration::from_secs(20) {
        if so() {
            return true;
        }
        std::thread::sleep(Duration::from_millis(100));
    }
    false
}
