//! The doors of the real program: commands beside a running server, one panel a folder, and secrets that
//! must not be found anywhere.

use crate::program::{Program, easel};
use panel::outgoing::client;
use std::io::Write as _;
use std::path::Path;
use std::process::{Output, Stdio};

const USERS: &str = "[[user]]\nname = \"Zoë\"\n\n[[user]]\nname = \"Ada\"\nrole = \"admin\"\n";

/// Runs a command over a data folder, with `typed` on its standard input.
fn command(data: &Path, arguments: &[&str], typed: &str) -> Output {
    let mut child = easel()
        .args(arguments)
        .arg("--data")
        .arg(data)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    // A command that reads nothing may have ended already.
    let _ = child.stdin.take().unwrap().write_all(typed.as_bytes());
    child.wait_with_output().unwrap()
}

fn said(output: &Output) -> String {
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).trim().to_string()
}

/// Status of a page that only a login or a token opens: it leads back to the door without one.
async fn is_in(program: &Program, token: &str) -> bool {
    let client = client().redirect(reqwest::redirect::Policy::none()).build().unwrap();
    let post = client.post(program.at("/profile/theme")).bearer_auth(token).json(&serde_json::json!({ "theme": "dark" }));
    let answer = post.send().await.unwrap();
    answer.headers()["location"] == "/profile"
}

#[tokio::test(flavor = "multi_thread")]
async fn commands_act_on_the_running_server_at_once() {
    let program = Program::start(USERS);
    let data = program.data();
    let token = said(&command(data, &["user", "token", "zoe"], ""));
    assert!(token.starts_with("easel_") && !token.contains(char::is_whitespace), "the secret alone");
    assert!(is_in(&program, &token).await);
    said(&command(data, &["user", "disable", "Zoë"], ""));
    assert!(!is_in(&program, &token).await);
    said(&command(data, &["user", "enable", "zoe"], ""));
    assert!(is_in(&program, &token).await);
    said(&command(data, &["user", "set-pin", "zoe"], "4711\n"));
    said(&command(data, &["user", "add", "Guest"], ""));
    let list = said(&command(data, &["user", "list"], ""));
    assert!(list.lines().count() == 3 && list.lines().any(|l| l.starts_with("zoe") && l.ends_with("PIN")), "{list}");
    let status = said(&command(data, &["status"], ""));
    assert!(status.contains(&program.url) && status.contains("3 profiles"), "{status}");
}

#[test]
fn commands_work_without_a_server_and_refuse_with_their_own_codes() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let code = |arguments: &[&str], typed: &str| command(&data, arguments, typed).status.code();
    said(&command(&data, &["user", "add", "Zoë"], ""));
    assert_eq!(code(&["user", "add", "Zoe"], ""), Some(5), "the id is taken");
    assert_eq!(code(&["user", "add", "李明"], ""), Some(5), "no id can be derived");
    assert_eq!(code(&["user", "add", "李明", "--id", "ming"], ""), Some(0));
    assert_eq!(code(&["user", "set-password", "zoe"], "short\n"), Some(5));
    assert_eq!(code(&["user", "set-pin", "nobody"], "4711\n"), Some(5));
    assert_eq!(code(&["status"], ""), Some(5));
    assert_eq!(code(&["user", "fly"], ""), Some(2));
    std::fs::write(data.join("easel.toml"), "prot = 1\n").unwrap();
    let refused = command(&data, &["user", "list"], "");
    assert_eq!(refused.status.code(), Some(3));
    assert!(String::from_utf8_lossy(&refused.stderr).contains("did you mean \"port\"?"));
}

#[test]
fn a_second_panel_is_refused_and_told_who_serves() {
    let program = Program::start(USERS);
    let second = command(program.data(), &["serve", "--port", "0"], "");
    let why = String::from_utf8_lossy(&second.stderr).into_owned();
    assert_eq!(second.status.code(), Some(4), "{why}");
    assert!(why.contains(&format!("process {}", program.pid())), "{why}");
}

#[tokio::test(flavor = "multi_thread")]
async fn secrets_reach_no_log_and_no_file() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("users.toml"), USERS).unwrap();
    let program = Program::start_in(folder.path(), &["--log", "trace"]);
    let data = program.data();
    said(&command(data, &["user", "set-pin", "zoe"], "canary-pin-4711\n"));
    said(&command(data, &["user", "set-password", "ada"], "canary-password-4711\n"));
    let token = said(&command(data, &["user", "token", "zoe"], ""));
    let link = said(&command(data, &["key", "show-link"], ""));
    let key = said(&command(data, &["key", "reset"], ""));
    assert!(is_in(&program, &token).await);
    let client = client().redirect(reqwest::redirect::Policy::none()).build().unwrap();
    for (path, field, value) in [
        ("/key", "key", key.as_str()),
        ("/key?key=canary-query-4711", "key", "canary-wrong-4711"),
        ("/pin/zoe", "pin", "canary-wrong-4711"),
        ("/pin/zoe", "pin", "canary-pin-4711"),
    ] {
        let post = client.post(program.at(path)).header("origin", &program.url).json(&serde_json::json!({ field: value }));
        post.send().await.unwrap();
    }
    let fetched = fetch_with_secrets(&program, &client).await;
    assert!(fetched.contains("private network") && !fetched.contains("canary"), "{fetched}");
    let ticket = link.split_once('#').unwrap().1;
    let mut looked = 0;
    for file in files(folder.path()) {
        let Ok(bytes) = std::fs::read(&file) else { continue };
        looked += 1;
        for canary in ["canary-", token.as_str(), ticket, key.as_str()] {
            let found = bytes.windows(canary.len()).any(|w| w == canary.as_bytes());
            assert!(!found, "{canary} lies in {}", file.display());
        }
    }
    let logs = files(&data.join("logs")).len();
    assert!(logs >= 1 && looked > logs, "{looked} files, {logs} logs");
}

/// What an admin is shown of a model that was asked for with secrets in its address and beside it. Its worker is looked
/// at while it lives: no command line may hold them.
async fn fetch_with_secrets(program: &Program, client: &reqwest::Client) -> String {
    let with = |request: reqwest::RequestBuilder| request.header("origin", &program.url).header("accept", "application/json");
    let picked = with(client.post(program.at("/pick/ada"))).send().await.unwrap();
    let cookie =
        picked.headers().get_all("set-cookie").iter().map(|c| c.to_str().unwrap()).find(|c| c.contains("login")).unwrap();
    let cookie = cookie.split(';').next().unwrap().to_owned();
    let post = |path: &str, body: serde_json::Value| with(client.post(program.at(path))).header("cookie", &cookie).json(&body);
    let password = serde_json::json!({ "password": "canary-password-4711" });
    assert_eq!(post("/api/v1/admin-mode", password).send().await.unwrap().status(), 204);
    let model =
        serde_json::json!({ "url": "http://127.0.0.1:9/x.safetensors?token=canary-url-4711", "token": "canary-token-4711" });
    assert_eq!(post("/api/v1/admin/models", model).send().await.unwrap().status(), 202);
    for _ in 0..400 {
        for process in std::fs::read_dir("/proc").unwrap().flatten() {
            let line = std::fs::read(process.path().join("cmdline")).unwrap_or_default();
            assert!(!line.windows(7).any(|w| w == b"canary-"), "{}", String::from_utf8_lossy(&line));
        }
        let shown = with(client.get(program.at("/api/v1/admin/models"))).header("cookie", &cookie).send().await.unwrap();
        let shown = shown.text().await.unwrap();
        if shown.contains("failed") {
            return shown;
        }
        tokio::time::sleep(std::time::Duration::from_millis(25)).await;
    }
    panic!("the download neither failed nor came");
}

/// Resident memory of a process, in MiB.
fn resident(pid: u32) -> u64 {
    let pages = std::fs::read_to_string(format!("/proc/{pid}/statm")).unwrap();
    pages.split(' ').nth(1).unwrap().parse::<u64>().unwrap() * 4096 / (1 << 20)
}

#[tokio::test(flavor = "multi_thread")]
async fn fifty_logins_at_once_need_little_memory() {
    let folder = tempfile::tempdir().unwrap();
    let hash = said(&command(&folder.path().join("data"), &["user", "hash", "pin"], "4711\n"));
    let users: String = (0..50).map(|i| format!("[[user]]\nname = \"Artist {i}\"\npin = \"{hash}\"\n")).collect();
    std::fs::write(folder.path().join("users.toml"), users).unwrap();
    let program = Program::start_in(folder.path(), &[]);
    let (before, begin) = (resident(program.pid()), std::time::Instant::now());
    let client = client().redirect(reqwest::redirect::Policy::none()).build().unwrap();
    let logins: Vec<_> = (0..50)
        .map(|i| {
            let post = client.post(program.at(&format!("/pin/artist-{i}"))).header("origin", &program.url);
            tokio::spawn(post.json(&serde_json::json!({ "pin": "4711" })).send())
        })
        .collect();
    let mut most = before;
    while logins.iter().any(|login| !login.is_finished()) {
        most = most.max(resident(program.pid()));
        tokio::time::sleep(std::time::Duration::from_millis(5)).await;
    }
    for login in logins {
        assert_eq!(login.await.unwrap().unwrap().headers()["location"], "/studio");
    }
    let each = begin.elapsed().as_secs_f64() * 1e3 * 2.0 / 50.0;
    println!("50 logins at once: {before} MiB before, {most} MiB at most; about {each:.0} ms a hash, two at once");
    assert!(most - before <= 64, "{before} -> {most} MiB");
}

fn files(folder: &Path) -> Vec<std::path::PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap().map(Result::unwrap) {
        if entry.file_type().unwrap().is_dir() {
            found.extend(files(&entry.path()));
        } else {
            found.push(entry.path());
        }
    }
    found
}
