//! What is asked of tools and what comes of it, with the real program: who comes back with the next panel, who waits for whom, who
//! hangs up meanwhile. Knows the test's tools and what their files mean.

use super::client::{Admin, restarted, studio, up};
use crate::{program::Program, tool_folder};
use reqwest::Method;
use std::{
    fs,
    io::{BufRead as _, BufReader, Write as _},
    net::{TcpListener, TcpStream},
    path::Path,
    process::{Command, Stdio},
    time::{Duration, Instant},
};

const POLL: Duration = Duration::from_millis(10);
const PATIENCE: Duration = Duration::from_secs(40);

/// The port that the test's tool was told to listen on, of the newest of its processes.
fn port_of(files: &Path) -> Option<u16> {
    let mark = format!("EASEL_TOOL_DIR={}", std::path::absolute(files).unwrap().display());
    let pids = fs::read_dir("/proc").unwrap().flatten().filter_map(|e| e.file_name().to_str()?.parse::<u32>().ok());
    let port = |pid: u32| {
        let environment = fs::read(format!("/proc/{pid}/environ")).ok()?;
        let variables: Vec<String> = environment.split(|b| *b == 0).map(|v| String::from_utf8_lossy(v).into_owned()).collect();
        let port = variables.iter().find_map(|v| v.strip_prefix("EASEL_PORT="))?.parse().ok()?;
        variables.contains(&mark).then_some((pid, port))
    };
    pids.filter_map(port).max().map(|(_, port)| port)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tool_that_ended_by_itself_does_not_come_back_with_the_next_panel() {
    for (code, state) in [("0", "stopped"), ("3", "broken")] {
        let folder = tempfile::tempdir().unwrap();
        let mut program = studio(folder.path());
        let admin = Admin::log_in(&program).await;
        let files = up(&admin, &program).await;
        fs::write(files.join("quit"), code).unwrap();
        admin.until_tool(state).await;
        program.kill();
        let program = restarted(folder.path());
        let admin = Admin::log_in(&program).await;
        // Whatever ran before is started again long before that.
        tokio::time::sleep(Duration::from_secs(3)).await;
        assert_eq!((admin.until_tool("stopped").await["state"].as_str(), admin.starts().await), (Some("stopped"), 1), "{code}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tool_whose_port_was_taken_while_it_was_down_comes_back_on_another() {
    let folder = tempfile::tempdir().unwrap();
    let program = studio(folder.path());
    let admin = Admin::log_in(&program).await;
    let files = up(&admin, &program).await;
    let port = port_of(&files).unwrap();
    fs::write(files.join("quit"), "1").unwrap();
    let begun = Instant::now();
    let taken = loop {
        match TcpListener::bind(("127.0.0.1", port)) {
            Ok(taken) => break taken,
            Err(e) => assert!(begun.elapsed() < PATIENCE, "{e}"),
        }
        tokio::time::sleep(Duration::from_millis(1)).await;
    };
    while admin.starts().await < 2 {
        assert!(begun.elapsed() < PATIENCE, "it is not started again");
        tokio::time::sleep(POLL).await;
    }
    admin.until_tool("running").await;
    assert_ne!(port_of(&files), Some(port));
    assert_eq!(admin.starts().await, 2, "the first of its new starts was well");
    drop(taken);
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_starts_in_a_folder_in_which_another_tool_is_at_work() {
    let folder = tempfile::tempdir().unwrap();
    tool_folder::write_within(&folder.path().join("setup"));
    let program = studio(folder.path());
    let admin = Admin::log_in(&program).await;
    admin.api(Method::POST, "/tools/sketch/install").await;
    admin.until_tool("stopped").await;
    admin.api(Method::POST, "/tools/extras/install").await;
    let refused = async |what: &str, why: &str| {
        let answer = admin.ask(Method::POST, &format!("/tools/{what}")).await;
        let (status, told) = (answer.status().as_u16(), answer.text().await.unwrap());
        assert!(status == 409 && told.contains(why), "{what}: {status}: {told}");
    };
    let at_work = "Extras is at work in its folder. Wait until that has ended.";
    refused("sketch/start", at_work).await;
    // Nor does a change of one tool pass for joining that of another.
    refused("sketch/install", at_work).await;
    let card = admin.get("/tools/sketch").await;
    assert_eq!([&card["may"]["start"], &card["may"]["install"]], [false, false], "{card}");
    assert_eq!([&card["why"], &card["remedy"]], ["Extras is at work in its folder.", "Wait until that has ended."]);
    assert_eq!(admin.starts().await, 0);
    fs::write(program.data().join("workspace/sketch/go"), "").unwrap();
    let begun = Instant::now();
    while admin.get("/tools/sketch").await["may"]["start"] == false {
        assert!(begun.elapsed() < PATIENCE, "it waits for ever");
        tokio::time::sleep(POLL).await;
    }
    admin.api(Method::POST, "/tools/sketch/start").await;
    admin.until_tool("running").await;
    refused("extras/install", "Sketch server is running. Stop it first.").await;
}

/// Holds the store's lock, as a slow disk does: whoever writes waits.
struct Held(std::process::Child);

impl Held {
    fn take(program: &Program) -> Held {
        let script = "import sqlite3, sys\nc = sqlite3.connect(sys.argv[1], isolation_level=None)\nc.execute('BEGIN IMMEDIATE')\n\
                      print('held', flush=True)\nsys.stdin.read()\n";
        let state = fs::read_dir(program.data().join("state")).unwrap().flatten().map(|e| e.path());
        let store = state.into_iter().find(|path| path.extension().is_some_and(|e| e == "db")).unwrap();
        let mut python = Command::new("python3");
        python.arg("-c").arg(script).arg(store).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = python.spawn().unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        assert_eq!(line, "held\n");
        Held(child)
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        drop(self.0.stdin.take());
        let _ = self.0.wait();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_begun_goes_on_when_the_browser_hangs_up() {
    let folder = tempfile::tempdir().unwrap();
    let program = studio(folder.path());
    let admin = Admin::log_in(&program).await;
    admin.api(Method::POST, "/tools/sketch/install").await;
    admin.until_tool("stopped").await;
    let held = Held::take(&program);
    let host = admin.url.strip_prefix("http://").unwrap();
    let mut browser = TcpStream::connect(host).unwrap();
    // An answer that nobody reads: so the connection is reset, and not just closed.
    let head = format!("Host: {host}\r\nOrigin: {}\r\nCookie: {}\r\nContent-Length: 0\r\n\r\n", admin.url, admin.cookie);
    let requests = format!("GET /api/v1/tools HTTP/1.1\r\n{head}POST /api/v1/tools/sketch/start HTTP/1.1\r\n{head}");
    browser.write_all(requests.as_bytes()).unwrap();
    admin.until_tool("starting").await;
    drop(browser);
    tokio::time::sleep(Duration::from_millis(300)).await;
    drop(held);
    admin.until_tool("running").await;
    admin.api(Method::POST, "/tools/sketch/stop").await;
    admin.until_tool("stopped").await;
    let audit = admin.get("/audit").await.to_string();
    assert!(audit.contains("start sketch"), "{audit}");
}
