//! An admin's journey: admin mode, a tool installed in a live terminal, answered, watched from another page, started,
//! stopped; a shell that is typed into.

use super::{Browser, access};
use crate::{program::Program, tool_folder};
use serde_json::json;
use std::path::Path;

const USERS: &str = "[[user]]\nname = \"Zoe\"\n\n[[user]]\nname = \"Ada\"\nrole = \"admin\"\n";
pub(crate) const PASSWORD: &str = "a sentence is easier";

/// A studio with the test's tool, and an admin who has a password.
pub(crate) fn studio(folder: &Path) -> Program {
    std::fs::write(folder.join("users.toml"), USERS).unwrap();
    tool_folder::write(&folder.join("setup"), tool_folder::free_port());
    let program = Program::start_in(folder, &["--setup", folder.join("setup").to_str().unwrap()]);
    tool_folder::set_password(&program, "ada", PASSWORD);
    program
}

pub(crate) async fn become_admin(b: &Browser, program: &Program) {
    b.pick(program, "Ada").await;
    b.go(&program.at("/admin")).await;
    b.fill("#password", PASSWORD).await;
    b.click("form button[type=submit]").await;
    b.see(".adminmode").await;
}

/// The one sign beside a session's state.
async fn sign(b: &Browser) -> String {
    let shown = "return [...document.querySelectorAll('#state svg')].filter(s => s.getClientRects().length).map(s => s.dataset.kind).join()";
    b.run(shown).await.as_str().unwrap().to_owned()
}

/// What stands on the terminal's screen.
async fn screen(b: &Browser) -> String {
    b.run("return window.easelScreen ? window.easelScreen() : ''").await.as_str().unwrap_or_default().to_owned()
}

impl Browser {
    /// The window that has come beside this one.
    pub(crate) async fn new_tab(&self, before: &thirtyfour::WindowHandle) -> thirtyfour::WindowHandle {
        let begun = std::time::Instant::now();
        loop {
            let tabs = self.driver.windows().await.unwrap();
            if let Some(tab) = tabs.into_iter().find(|tab| tab != before) {
                return tab;
            }
            assert!(begun.elapsed() < std::time::Duration::from_secs(20), "no tab has opened");
            tokio::time::sleep(std::time::Duration::from_millis(50)).await;
        }
    }
}

pub(crate) async fn take_keyboard(b: &Browser) {
    b.click("#keyboard").await;
    b.until("this page types", "return document.querySelector('main').hasAttribute('data-typing')").await;
}

pub(crate) async fn type_keys(b: &Browser, keys: &str) {
    b.driver.active_element().await.unwrap().send_keys(keys).await.unwrap();
}

pub(crate) async fn until_screen(b: &Browser, text: &str) {
    b.until(&format!("the terminal shows {text}"), &format!("return (window.easelScreen?.() ?? '').includes({text:?})")).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tool_is_installed_in_a_live_terminal_and_started() {
    let folder = tempfile::tempdir().unwrap();
    let program = studio(folder.path());
    std::fs::write(program.data().join("workspace/ask"), "").unwrap();
    let b = Browser::open(1440, 900).await;
    become_admin(&b, &program).await;
    b.go(&program.at("/tools")).await;
    b.see("[data-tool=sketch] [data-act=install]").await;
    b.screenshot("tools-absent").await;
    b.click("[data-tool=sketch] [data-act=install]").await;
    until_screen(&b, "Continue? [y/N]").await;
    let session = b.url().await;
    b.screenshot("terminal-running").await;

    // Closing the page changes nothing; another page shows the same bytes.
    b.go(&program.at("/tools")).await;
    b.see("[data-tool=sketch][data-state=installing]").await;
    b.screenshot("tools-installing").await;
    b.go(&session).await;
    until_screen(&b, "Continue? [y/N]").await;

    // Keys of who only watches go nowhere; who has taken the keyboard types.
    take_keyboard(&b).await;
    b.run("document.querySelector('.xterm-helper-textarea').focus(); return true").await;
    b.screenshot("terminal-typing").await;
    type_keys(&b, "y\n").await;
    b.until("it is done", "return document.getElementById('state-word').textContent === 'Done'").await;
    let text = screen(&b).await;
    assert!(text.contains("line 5") && text.contains("exit code 0"), "{text}");
    assert_eq!(sign(&b).await, "run");
    b.screenshot("terminal-done").await;

    b.go(&program.at("/tools")).await;
    b.click("[data-tool=sketch] [data-act=start]").await;
    b.see("[data-tool=sketch][data-state=running]").await;
    b.screenshot("tools-running").await;
    // It opens in a tab of its own, through its gate.
    let before = b.driver.window().await.unwrap();
    b.click("[data-tool=sketch] [data-act=open]").await;
    let tab = b.new_tab(&before).await;
    b.driver.switch_to_window(tab).await.unwrap();
    b.until("the tool's page is there", "return document.title === 'Sketch'").await;
    assert!(!b.url().await.contains("ticket"), "{}", b.url().await);
    b.driver.close_window().await.unwrap();
    b.driver.switch_to_window(before).await.unwrap();
    b.resize(360, 740).await;
    b.screenshot("tools-running-360").await;
    b.go(&session).await;
    b.see("#screen .xterm").await;
    b.screenshot("terminal-done-360").await;
    b.resize(1440, 900).await;
    // A browser whose clock is an hour fast counts as the studio does.
    let fast = "const now = Date.now; Date.now = () => now() + 3_600_000";
    b.devtools("Page.addScriptToEvaluateOnNewDocument", json!({"source": fast})).await;
    b.go(&program.at("/tools")).await;
    let runs = b.text("[data-tool=sketch] .status").await;
    let minutes = runs.trim_start_matches("Running ").split(':').next().and_then(|m| m.parse::<u32>().ok());
    assert!(runs.matches(':').count() == 1 && minutes.is_some_and(|m| m < 20), "{runs}");
    b.click("[data-tool=sketch] [data-act=stop]").await;
    b.see("[data-tool=sketch][data-state=stopped]").await;
    b.go(&program.at("/sessions")).await;
    b.see(".sessions").await;
    b.screenshot("sessions").await;
    b.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failing_install_says_why_and_a_shell_is_typed_into() {
    let folder = tempfile::tempdir().unwrap();
    let program = studio(folder.path());
    std::fs::write(program.data().join("workspace/ask"), "").unwrap();
    let b = Browser::open(1440, 900).await;
    become_admin(&b, &program).await;
    b.go(&program.at("/tools")).await;
    b.click("[data-tool=sketch] [data-act=install]").await;
    until_screen(&b, "Continue? [y/N]").await;
    take_keyboard(&b).await;
    type_keys(&b, "n\n").await;
    b.see("#why").await;
    assert!(b.text("#why").await.contains("The answer was no"), "{}", b.text("#why").await);
    assert_eq!(sign(&b).await, "bad");
    b.screenshot("terminal-failed").await;
    b.go(&program.at("/tools")).await;
    b.see("[data-tool=sketch][data-state=broken]").await;
    b.screenshot("tools-broken").await;

    b.click("#shell").await;
    b.see("#screen .xterm").await;
    take_keyboard(&b).await;
    type_keys(&b, "echo $((6*7)) typed; stty size\n").await;
    until_screen(&b, "42 typed").await;
    // The window's size is the terminal's.
    let (cols, rows) = (b.run("return document.getElementById('size').textContent").await, screen(&b).await);
    let shown = cols.as_str().unwrap().replace(" × ", " ");
    let mut size = shown.split(' ');
    let (cols, lines) = (size.next().unwrap(), size.next().unwrap());
    assert!(rows.contains(&format!("{lines} {cols}")), "{shown}: {rows}");
    b.screenshot("shell").await;
    type_keys(&b, "exit\n").await;
    b.until("it is done", "return document.getElementById('state-word').textContent === 'Done'").await;
    b.close().await;
}

/// Every state of a card and of a terminal, as an artist and as an admin see them.
#[tokio::test(flavor = "multi_thread")]
async fn tools_and_terminals_have_no_serious_finding() {
    let folder = tempfile::tempdir().unwrap();
    let program = studio(folder.path());
    let b = Browser::open(1440, 900).await;
    access::calm(&b).await;
    become_admin(&b, &program).await;
    let (tools, card) = (program.at("/tools"), "[data-tool=sketch]");
    let mut all = access::look_at(&b, &tools, card, "tools-admin-absent").await;

    let ask = program.data().join("workspace/ask");
    std::fs::write(&ask, "").unwrap();
    b.click("[data-tool=sketch] [data-act=install]").await;
    until_screen(&b, "Continue? [y/N]").await;
    let session = b.url().await;
    all.extend(access::look_at(&b, &session, "#screen .xterm", "terminal-runs").await);
    all.extend(access::look_at(&b, &tools, card, "tools-admin-installing").await);
    b.go(&session).await;
    take_keyboard(&b).await;
    type_keys(&b, "n\n").await;
    b.see("#why").await;
    all.extend(access::look_at(&b, &session, "#why", "terminal-failed").await);
    all.extend(access::look_at(&b, &tools, "[data-tool=sketch][data-state=broken]", "tools-admin-broken").await);

    std::fs::remove_file(&ask).unwrap();
    b.click("[data-tool=sketch] [data-act=install]").await;
    b.until("it is done", "return document.getElementById('state-word')?.textContent === 'Done'").await;
    b.go(&tools).await;
    b.click("[data-tool=sketch] [data-act=start]").await;
    b.see("[data-tool=sketch][data-state=running]").await;
    all.extend(access::look_at(&b, &tools, "[data-tool=sketch][data-state=running]", "tools-admin-running").await);
    all.extend(access::look_at(&b, &program.at("/sessions"), ".sessions", "sessions").await);

    // The artist's page of the same. From a page that asks nothing by itself: the studio would without a login.
    b.run("return fetch('/switch', {method: 'POST'}).then(() => true)").await;
    b.pick(&program, "Zoe").await;
    all.extend(access::look_at(&b, &tools, card, "tools-artist-running").await);
    assert_eq!(b.run("return document.querySelectorAll('[data-act=install], #shell, .adminmode').length").await, 0);
    assert!(all.is_empty(), "{}", all.join("\n"));
    b.close().await;
}

/// The tools that ship with Easel, before any is installed, and the dialog of what can be chosen.
#[tokio::test(flavor = "multi_thread")]
async fn the_shipped_tools_have_no_serious_finding() {
    let program = Program::start(USERS);
    tool_folder::set_password(&program, "ada", PASSWORD);
    let b = Browser::open(1440, 900).await;
    access::calm(&b).await;
    become_admin(&b, &program).await;
    let mut all = access::look_at(&b, &program.at("/tools"), "[data-tool=swarm-ui]", "tools-shipped").await;
    b.resize(1440, 900).await;
    b.go(&program.at("/tools")).await;
    b.click("#sets > .row .btn").await;
    b.see("dialog[open]").await;
    access::settle(&b).await;
    all.extend(access::findings(&b, &access::axe()).await);
    b.screenshot("tools-choices").await;
    b.resize(360, 740).await;
    b.screenshot("tools-choices-360").await;
    assert!(all.is_empty(), "{}", all.join("\n"));
    b.close().await;
}
