//! A studio on a rented pod: what stands in for its provider, and a pod that nobody uses, seen in a browser. Knows the
//! provider's interface only as far as a pod asks about itself.

use crate::browser::{Browser, access};
use panel::{Config, clock::Clock, config::Flags, outgoing::client, startup::Application};
use std::{
    collections::BTreeMap,
    io::{BufRead as _, BufReader},
    path::Path,
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

const POD: &str = "p4x7k2";
const KEY: &str = "rpa_canary_of_the_pod";
const MINUTE: Duration = Duration::from_secs(60);

/// The provider's interface, running.
struct RunPod {
    child: Child,
    url: String,
}

impl RunPod {
    fn start() -> RunPod {
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/src/tests/pod/runpod.py");
        let mut command = Command::new("/usr/bin/python3");
        command.arg(script).args(["--port", "0", "--pod", POD, "--key", KEY]);
        let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
        let mut url = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut url).unwrap();
        RunPod { child, url: url.trim().to_owned() }
    }

    /// What was asked, and where the pod stands.
    async fn told(&self) -> String {
        client().build().unwrap().get(format!("{}/asked", self.url)).send().await.unwrap().text().await.unwrap()
    }

    async fn weather(&self, weather: &str) {
        client().build().unwrap().get(format!("{}/weather/{weather}", self.url)).send().await.unwrap();
    }

    async fn until(&self, what: &str) {
        let begin = Instant::now();
        while !self.told().await.contains(what) {
            assert!(begin.elapsed() < Duration::from_secs(20), "{what} in {}", self.told().await);
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }
}

impl Drop for RunPod {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A folder on a mount of its own, as a volume is; none where this process may not mount.
struct Volume(tempfile::TempDir);

impl Volume {
    fn mount() -> Option<Volume> {
        let folder = tempfile::tempdir().unwrap();
        let mounted = Command::new("mount").arg("--bind").arg(folder.path()).arg(folder.path()).output().ok()?;
        if !mounted.status.success() {
            println!("SKIPPED, it needs root to mount: {}", String::from_utf8_lossy(&mounted.stderr).trim());
            return None;
        }
        Some(Volume(folder))
    }
}

impl Drop for Volume {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("--lazy").arg(self.0.path()).status();
    }
}

/// A pod with one artist, whose interface is this one's; it stops after twelve minutes without use.
fn config(data: &Path, runpod: &RunPod) -> Config {
    std::fs::write(data.join("users.toml"), "[[user]]\nname = \"Zoe\"\n").unwrap();
    std::fs::write(data.join("easel.toml"), format!("idle_stop_min = 12\nrunpod_api = \"{}\"\n", runpod.url)).unwrap();
    let flags = Flags {
        config: Some(data.join("easel.toml")),
        data: Some(data.join("easel")),
        users: Some(data.join("users.toml")),
        bind: Some("127.0.0.1".into()),
        port: Some(0),
        ..Flags::default()
    };
    let variables = [("RUNPOD_POD_ID", POD), ("RUNPOD_API_KEY", KEY), ("RUNPOD_DC_ID", "EU-RO-1"), ("RUNPOD_VOLUME_ID", "vol1")];
    let environment: BTreeMap<String, String> = variables.map(|(name, value)| (name.to_owned(), value.to_owned())).into();
    let text = std::fs::read_to_string(data.join("easel.toml")).unwrap();
    let file = Some((data.join("easel.toml"), text));
    let mut config = Config::from_parts(flags, &environment, file).unwrap();
    config.engine_program = env!("CARGO_BIN_EXE_easel").into();
    config.workspace = data.join("workspace");
    config
}

/// Moves the clock on, minute by minute, and lets whoever waits for it look.
async fn pass(clock: &Clock, minutes: u32) {
    for _ in 0..minutes * 12 {
        clock.advance(MINUTE / 12);
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pod_that_nobody_uses_counts_down_is_kept_and_stops_at_last() {
    let Some(volume) = Volume::mount() else { return };
    let runpod = RunPod::start();
    let clock = Clock::at(jiff::Timestamp::now());
    let application = Application::build_at(config(volume.0.path(), &runpod), clock.clone()).await.unwrap();
    let url = format!("http://127.0.0.1:{}", application.port());
    let key = application.news().first_key.as_ref().unwrap().expose().to_owned();
    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let served = tokio::spawn(application.run_until(async { drop(stopped.await) }));

    let b = Browser::open(1440, 900).await;
    access::calm(&b).await;
    b.go(&format!("{url}/")).await;
    b.fill("input[name=key]", &key).await;
    b.click("form button[type=submit]").await;
    b.click(".profile-card").await;
    b.see("#prompt").await;
    // Somebody reads for longer than the pod waits, once the page has asked what it asks. Its price is known since the start.
    runpod.until(&format!("GET /pods/{POD}")).await;
    tokio::time::sleep(Duration::from_secs(1)).await;
    pass(&clock, 13).await;
    b.see("#countdown").await;
    let said = b.text("#countdown").await;
    assert!(said.contains("This pod stops in") && said.contains("Nobody has worked here for 12 minutes"), "{said}");
    assert!(said.contains("GPU may be gone") && said.contains("$0.44 an hour"), "{said}");
    b.screenshot("pod-countdown").await;
    assert!(access::findings(&b, &access::axe()).await.is_empty());
    b.resize(360, 740).await;
    b.screenshot("pod-countdown-360").await;
    b.resize(1440, 900).await;
    b.click("#countdown .btn").await;
    b.until("the countdown is gone", "return document.getElementById('countdown').hidden").await;
    pass(&clock, 11).await;
    assert!(!runpod.told().await.contains("POST"), "it was kept");

    // Nobody this time. The provider refuses at first, which is told on the tools page, and tried again.
    runpod.weather("locked").await;
    pass(&clock, 13).await;
    runpod.until("\\\"action\\\":\\\"stop\\\"").await;
    b.go(&format!("{url}/tools")).await;
    // Opening a page is a use, so nothing more is tried until it is quiet again.
    b.see("[data-tool=comfy]").await;
    runpod.weather("ok").await;
    pass(&clock, 24).await;
    runpod.until("EXITED").await;
    let log = std::fs::read_dir(volume.0.path().join("easel/logs")).unwrap();
    for file in log.flatten().filter(|f| f.path().is_file()) {
        assert!(!std::fs::read_to_string(file.path()).unwrap().contains(KEY));
    }
    b.close().await;
    let _ = stop.send(());
    served.await.unwrap().unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_on_the_containers_own_disk_is_warned_of_and_never_stopped() {
    let folder = tempfile::tempdir_in("/dev/shm").unwrap();
    let runpod = RunPod::start();
    let application = Application::build_at(config(folder.path(), &runpod), Clock::real()).await.unwrap();
    let app = application.app();
    let view = app.pod.view().unwrap();
    assert!(view.disk_is_lost && !app.pod.stops_itself());
    assert!(view.no_idle_stop.unwrap().contains("would be lost"));
    let notices = panel::notices::all(app, false);
    assert_eq!(notices.iter().map(|n| n.id).collect::<Vec<_>>(), ["disk"]);
}
