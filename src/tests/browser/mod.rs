//! Real headless Chromium, driven through chromedriver. Fails a journey on any console error or violation
//! of the content security policy. Knows pages only as a person does.

pub(crate) mod access;
mod admin;
mod comfy;
mod datasets;
mod doors;
mod downloads;
mod drops;
mod gate;
mod gpu;
mod haste;
mod jupyter;
mod mishaps;
mod previews;
mod states;
mod studio;
pub(crate) mod tools;

use crate::program::Program;
use serde_json::{Value, json};
use std::{
    io::{BufRead, BufReader},
    process::{Child, Command, Stdio},
    sync::OnceLock,
    time::{Duration, Instant},
};
use tempfile::TempDir;
use thirtyfour::{ChromiumLikeCapabilities, LoggingPrefsLogLevel, prelude::*};
use tokio::sync::{Mutex, MutexGuard};

/// How long a page may take to show what a journey waits for. Generous: the machine may be busy.
const PATIENCE: Duration = Duration::from_secs(40);

/// One Chromium at a time: two of them beside an engine measure nothing but each other.
async fn turn() -> MutexGuard<'static, ()> {
    static TURN: OnceLock<Mutex<()>> = OnceLock::new();
    TURN.get_or_init(Mutex::default).lock().await
}

/// A browser window.
pub(crate) struct Browser {
    pub(crate) driver: WebDriver,
    chromedriver: Child,
    profile: TempDir,
    _turn: MutexGuard<'static, ()>,
}

impl Browser {
    /// Opens a window of this size, in CSS pixels.
    pub(crate) async fn open(width: u32, height: u32) -> Browser {
        let turn = turn().await;
        let profile = tempfile::tempdir().unwrap();
        let (chromedriver, port) = chromedriver();
        panel::outgoing::tls();
        let mut caps = DesiredCapabilities::chrome();
        for arg in ARGUMENTS {
            caps.add_arg(arg).unwrap();
        }
        caps.add_arg(&format!("--user-data-dir={}", profile.path().display())).unwrap();
        caps.add_arg(&format!("--window-size={width},{height}")).unwrap();
        caps.set_browser_log_level(LoggingPrefsLogLevel::All).unwrap();
        let driver = WebDriver::new(format!("http://127.0.0.1:{port}"), caps).await.expect("chromium starts");
        let browser = Browser { driver, chromedriver, profile, _turn: turn };
        browser.resize(width, height).await;
        browser
    }

    /// Gives the page exactly this viewport.
    pub(crate) async fn resize(&self, width: u32, height: u32) {
        let metrics = json!({"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 720});
        self.devtools("Emulation.setDeviceMetricsOverride", metrics).await;
    }

    /// A command of the Chrome DevTools protocol.
    pub(crate) async fn devtools(&self, command: &str, parameters: Value) -> Value {
        self.driver.cdp().send_raw(command, parameters).await.unwrap()
    }

    pub(crate) async fn go(&self, url: &str) {
        self.driver.goto(url).await.unwrap();
    }

    /// Waits until the element is there and shown.
    pub(crate) async fn see(&self, css: &str) -> WebElement {
        let begin = Instant::now();
        loop {
            // An element of a page that is just being left is stale: look again.
            if let Ok(element) = self.driver.find(By::Css(css)).await
                && element.is_displayed().await.unwrap_or(false)
            {
                return element;
            }
            assert!(begin.elapsed() < PATIENCE, "{css} did not appear on {}:\n{}", self.url().await, self.text("body").await);
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    pub(crate) async fn click(&self, css: &str) {
        self.see(css).await.click().await.unwrap_or_else(|e| panic!("click {css}: {e}"));
    }

    /// Replaces what a field holds.
    pub(crate) async fn fill(&self, css: &str, text: &str) {
        let field = self.see(css).await;
        field.clear().await.unwrap();
        field.send_keys(text).await.unwrap();
    }

    /// The text of the first match, empty where there is none.
    pub(crate) async fn text(&self, css: &str) -> String {
        match self.driver.find(By::Css(css)).await {
            Ok(element) => element.text().await.unwrap_or_default(),
            Err(_) => String::new(),
        }
    }

    pub(crate) async fn url(&self) -> String {
        self.driver.current_url().await.unwrap().to_string()
    }

    /// Runs a script in the page; its `return` is the result.
    pub(crate) async fn run(&self, script: &str) -> Value {
        self.driver.execute(script, Vec::new()).await.unwrap().json().clone()
    }

    /// Waits until a script returns true.
    pub(crate) async fn until(&self, what: &str, script: &str) {
        let begin = Instant::now();
        while self.run(script).await != Value::Bool(true) {
            assert!(
                begin.elapsed() < PATIENCE,
                "waited in vain until {what} on {}:\n{}",
                self.url().await,
                self.text("body").await
            );
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    /// Console errors, uncaught exceptions and refused resources since the last call.
    pub(crate) async fn complaints(&self) -> Vec<String> {
        let log = self.driver.handle().browser_log().await.unwrap();
        log.into_iter().filter(|e| e.level == "SEVERE").map(|e| e.message).collect()
    }

    /// Opens a profile that has no PIN, from the picker.
    pub(crate) async fn pick(&self, program: &Program, name: &str) {
        self.go(&program.at("/")).await;
        self.see(".profile-card").await;
        let pick = format!(
            "[...document.querySelectorAll('.profile-card')].find(c => c.textContent.includes('{name}')).click(); return true"
        );
        self.run(&pick).await;
        self.see("#prompt").await;
        self.until("a model is offered", "return document.querySelector('#model').value !== ''").await;
    }

    /// Gives the profile that this is a PIN, leaves, and comes back as far as the page that asks for it.
    pub(crate) async fn is_asked_for_its_new_pin(&self, program: &Program, pin: &str) {
        self.go(&program.at("/profile")).await;
        self.fill("#pin", pin).await;
        self.click("form[action='/profile/pin'] button[type=submit]").await;
        self.see("#done").await;
        self.run("document.querySelector('form[action=\"/logout\"]').requestSubmit(); return true").await;
        self.click(".profile-card").await;
    }

    /// Waits for this state of the studio: first, idle, waiting, queued, running, error.
    pub(crate) async fn studio_is(&self, state: &str) {
        let script = format!("return document.querySelector('main').dataset.state === '{state}'");
        self.until(&format!("the studio is {state}"), &script).await;
    }

    /// How many elements match.
    pub(crate) async fn count(&self, css: &str) -> u64 {
        self.run(&format!("return document.querySelectorAll('{css}').length")).await.as_u64().unwrap()
    }

    /// Writes a screenshot to `target/screenshots/NAME.png`.
    pub(crate) async fn screenshot(&self, name: &str) {
        let folder = std::path::Path::new(env!("CARGO_TARGET_TMPDIR")).join("../screenshots");
        std::fs::create_dir_all(&folder).unwrap();
        self.driver.screenshot(&folder.join(format!("{name}.png"))).await.unwrap();
    }

    /// The same of the whole page, however long it is.
    pub(crate) async fn whole_page(&self, name: &str) {
        let size = self.run("return [innerWidth, document.documentElement.scrollHeight, innerHeight]").await;
        let [width, height, before] = [0, 1, 2].map(|i| size[i].as_u64().and_then(|n| u32::try_from(n).ok()).unwrap());
        self.resize(width, height).await;
        tokio::time::sleep(Duration::from_millis(300)).await;
        self.screenshot(name).await;
        self.resize(width, before).await;
    }

    /// Ends the journey: there must have been no complaint.
    pub(crate) async fn close(self) {
        let complaints = self.complaints().await;
        let _ = self.driver.clone().quit().await;
        assert!(complaints.is_empty(), "the console complained:\n{}", complaints.join("\n"));
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        // A failed journey leaves by a panic, and a killed chromedriver leaves its Chromium behind.
        for pid in started_with(self.profile.path()) {
            let _ = Command::new("kill").args(["-9", &pid]).status();
        }
        let _ = self.chromedriver.kill();
        let _ = self.chromedriver.wait();
    }
}

/// The processes that were given this profile folder, which is this window's alone.
fn started_with(profile: &std::path::Path) -> Vec<String> {
    let argument = format!("--user-data-dir={}", profile.display());
    let has =
        |pid: &str| std::fs::read(format!("/proc/{pid}/cmdline")).is_ok_and(|c| String::from_utf8_lossy(&c).contains(&argument));
    let all = std::fs::read_dir("/proc").into_iter().flatten().flatten();
    all.filter_map(|e| e.file_name().into_string().ok()).filter(|n| n.bytes().all(|b| b.is_ascii_digit()) && has(n)).collect()
}

/// Headless, in a container or as root, and silent towards the outside world.
const ARGUMENTS: [&str; 10] = [
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-dev-shm-usage",
    "--hide-scrollbars",
];

/// A chromedriver and its port. It takes a free one of IPv6 and then the same of IPv4, and ends where that is taken: by a
/// server of a test beside this one, for example.
fn chromedriver() -> (Child, u16) {
    let start = |_| {
        let mut child = Command::new("chromedriver")
            .arg("--port=0")
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("chromedriver is installed by setup/test.sh");
        let Some(port) = printed_port(&mut child) else {
            let _ = child.wait();
            return None;
        };
        Some((child, port))
    };
    (0..5).find_map(start).expect("chromedriver says its port")
}

/// None where it ends without one.
fn printed_port(chromedriver: &mut Child) -> Option<u16> {
    let stdout = chromedriver.stdout.take().unwrap();
    let mut lines = BufReader::new(stdout).lines();
    let line = lines.find(|l| l.as_ref().is_ok_and(|l| l.contains("successfully on port")))?.unwrap();
    std::thread::spawn(move || lines.for_each(drop));
    Some(line.trim_end_matches('.').rsplit(' ').next().unwrap().parse().unwrap())
}
