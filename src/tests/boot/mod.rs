//! A studio whose tools and profiles come from a repository: the first clone, new scripts that wait for an admin, going back, a
//! remote that is down, rewritten or not who it was. The real program, git and sshd. Knows the API and the disk.

mod pages;
mod remote;

use crate::{
    comfy::guest::{Guest, PASSWORD},
    program::{Program, easel},
    tool_folder::{free_port, set_password},
};
use remote::Remote;
use reqwest::Method;
use serde_json::{Value, json};
use std::{
    fs,
    io::Read as _,
    path::Path,
    process::{Command, Stdio},
    time::{Duration, Instant},
};

const PATIENCE: Duration = Duration::from_secs(60);

fn program(folder: &Path, remote: &Remote, required: bool) -> Program {
    let config = folder.join("easel.toml");
    fs::write(&config, remote.toml(required)).unwrap();
    // The list of profiles is the repository's: none is named.
    Program::start_from(folder, &["--config", config.to_str().unwrap()], &[])
}

async fn boot(admin: &Guest) -> Value {
    let (status, body) = admin.api(Method::GET, "/boot", Value::Null).await;
    assert_eq!(status, 200, "{body}");
    body
}

/// How the repository stands, once the start or the sync is over.
async fn settled(admin: &Guest) -> Value {
    let begin = Instant::now();
    loop {
        let body = boot(admin).await;
        if body["over"] == true && body["syncing"].is_null() {
            return body;
        }
        assert!(begin.elapsed() < PATIENCE, "{body}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

async fn sync(admin: &Guest) -> Value {
    let (status, body) = admin.api(Method::POST, "/boot/sync", Value::Null).await;
    assert_eq!(status, 202, "{body}");
    let body = settled(admin).await;
    body["repos"][0].clone()
}

async fn post(guest: &Guest, path: &str, body: Value) -> u16 {
    guest.api(Method::POST, path, body).await.0
}

/// Goes to another commit, or takes a rewritten history; how the repository stands then.
async fn go(admin: &Guest, how: &str, commit: &str) -> Value {
    assert_eq!(post(admin, &format!("/boot/repos/studio/{how}"), json!({"commit": commit})).await, 202);
    settled(admin).await["repos"][0].clone()
}

/// What waits to be looked at, let run.
async fn accept(admin: &Guest) -> Value {
    let (_, scripts) = admin.api(Method::GET, "/tools/sketch/scripts", Value::Null).await;
    assert_eq!(post(admin, "/tools/sketch/scripts", json!({"fingerprint": scripts["fingerprint"]})).await, 204);
    scripts
}

/// `easel sync` by hand.
fn by_hand(folder: &Path) -> Command {
    let mut command = easel();
    command.arg("sync").arg("--config").arg(folder.join("easel.toml")).arg("--data").arg(folder.join("data"));
    command.stdin(Stdio::null());
    command
}

fn sync_by_hand(folder: &Path) -> (Option<i32>, String) {
    let output = by_hand(folder).output().unwrap();
    (output.status.code(), String::from_utf8_lossy(&output.stdout).into_owned())
}

/// Clones by hand what a host that nobody has compared shows: refused, pinned, and taken.
fn first_clone(folder: &Path, remote: &Remote) {
    fs::write(folder.join("easel.toml"), remote.toml(false)).unwrap();
    let (code, said) = sync_by_hand(folder);
    assert!(code == Some(1) && said.contains(&remote.fingerprint()), "{said}");
    repos::pin(&folder.join("remote/keys"), &host_of(&said), &remote.fingerprint()).unwrap();
    let (code, said) = sync_by_hand(folder);
    assert!(code == Some(0) && said.contains("new: "), "{said}");
}

/// The versions of tools whose copies are kept.
fn versions(folder: &Path) -> usize {
    fs::read_dir(folder.join("data/synced")).unwrap().count()
}

/// The host as the refusal names it.
fn host_of(said: &str) -> String {
    let after = said.split_once("ssh host ").unwrap().1;
    after.split(' ').next().unwrap().to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn new_scripts_wait_until_an_admin_has_seen_them_and_a_bad_commit_is_left_again() {
    let folder = tempfile::tempdir().unwrap();
    let remote = Remote::start(folder.path(), free_port());
    first_clone(folder.path(), &remote);
    let program = program(folder.path(), &remote, false);
    set_password(&program, "ada", PASSWORD);
    let (ada, zoe) = (Guest::admin(&program).await, Guest::pick(&program, "zoe").await);
    let started = settled(&ada).await;
    assert!(started["steps"].as_array().unwrap().iter().all(|step| step["state"] == "done"), "{started}");

    // What was never seen does not run, whoever asks.
    let tool = ada.tool("sketch").await;
    assert!(tool["unseen"] == true && tool["may"]["accept"] == true && tool["may"]["install"] == false, "{tool}");
    assert_eq!(post(&ada, "/tools/sketch/install", json!({})).await, 409);
    let (_, scripts) = ada.api(Method::GET, "/tools/sketch/scripts", Value::Null).await;
    let files: Vec<&str> = scripts["files"].as_array().unwrap().iter().map(|file| file["path"].as_str().unwrap()).collect();
    assert!(files.contains(&"setup/sketch/install_sketch.sh") && scripts["before"].is_null(), "{files:?}");
    assert_eq!(post(&zoe, "/tools/sketch/scripts", json!({"fingerprint": scripts["fingerprint"]})).await, 403);
    assert_eq!(post(&ada, "/tools/sketch/scripts", json!({"fingerprint": "something else"})).await, 409);
    assert_eq!(post(&ada, "/tools/sketch/scripts", json!({"fingerprint": scripts["fingerprint"]})).await, 204);
    assert_eq!(post(&ada, "/tools/sketch/install", json!({})).await, 202);
    ada.until("sketch", "stopped").await;
    let good = remote.git(&["rev-parse", "HEAD"]);

    // A newer script comes with the next sync, and waits.
    let path = remote.work().join("setup/sketch/start_sketch.sh");
    let text = fs::read_to_string(&path).unwrap();
    fs::write(&path, text.replace("set -euo pipefail", "set -euo pipefail\nexit 7 # a mistake")).unwrap();
    let bad = remote.push("Start otherwise");
    let repo = sync(&ada).await;
    assert_eq!((&repo["report"]["came"]["what"], &repo["report"]["commit"]["id"]), (&json!("forward"), &json!(bad)), "{repo}");
    assert!(zoe.tool("sketch").await["why"].is_null() && zoe.tool("sketch").await["unseen"] == true);
    assert_eq!(post(&zoe, "/tools/sketch/start", json!({})).await, 409);
    let (_, scripts) = ada.api(Method::GET, "/tools/sketch/scripts", Value::Null).await;
    let files = scripts["files"].as_array().unwrap();
    assert!(files.len() == 1 && files[0]["text"].as_str().unwrap().contains("+exit 7 # a mistake"), "{scripts}");
    assert_eq!(scripts["before"], json!(good));
    accept(&ada).await;
    assert_eq!(post(&zoe, "/tools/sketch/start", json!({})).await, 202);
    ada.until("sketch", "broken").await;

    // Back to the commit that worked; the remote's newest is not taken again, until it has a newer one.
    let (_, history) = ada.api(Method::GET, "/boot/repos/studio/commits", Value::Null).await;
    assert_eq!(history["items"].as_array().unwrap().len(), 2);
    assert_eq!(post(&ada, "/boot/repos/studio/commit", json!({"commit": "0".repeat(40)})).await, 404);
    for repo in [go(&ada, "commit", &good).await, sync(&ada).await] {
        let is = (&repo["report"]["came"]["what"], &repo["report"]["commit"]["id"]);
        assert_eq!(is, (&json!("went-back"), &json!(good)), "{repo}");
    }
    accept(&ada).await;
    assert_eq!(post(&zoe, "/tools/sketch/start", json!({})).await, 202);
    ada.until("sketch", "running").await;
    stops_as_it_began(&remote, &ada, &zoe, folder.path()).await;
}

/// What runs keeps the scripts that it began with, and is stopped by them, whatever came meanwhile: others, or none at all.
async fn stops_as_it_began(remote: &Remote, ada: &Guest, zoe: &Guest, folder: &Path) {
    let unseen = folder.join("data/workspace/sketch/unseen");
    let script = "#!/usr/bin/env bash\nset -euo pipefail\ntouch \"$EASEL_TOOL_DIR/unseen\"\nkill -TERM \"$EASEL_PID\"\n";
    fs::write(remote.work().join("setup/sketch/kill_sketch.sh"), script).unwrap();
    let start = remote.work().join("setup/sketch/start_sketch.sh");
    fs::write(&start, fs::read_to_string(&start).unwrap().replace("exit 7 # a mistake", "")).unwrap();
    let newest = remote.push("End otherwise");
    assert_eq!(sync(ada).await["report"]["commit"]["id"], json!(newest));
    assert_eq!(versions(folder), 2, "the one that runs, and the newest");
    assert_eq!(post(zoe, "/tools/sketch/stop", json!({})).await, 202);
    ada.until("sketch", "stopped").await;
    assert!(!unseen.exists());

    accept(ada).await;
    assert_eq!(post(zoe, "/tools/sketch/start", json!({})).await, 202);
    ada.until("sketch", "running").await;
    fs::remove_dir_all(remote.work().join("setup/sketch")).unwrap();
    fs::write(remote.work().join("setup/README.md"), "No tools any more.\n").unwrap();
    remote.push("No tools");
    sync(ada).await;
    assert_eq!(versions(folder), 1, "the one that runs");
    assert_eq!(zoe.tool("sketch").await["may"]["stop"], true);
    assert_eq!(post(zoe, "/tools/sketch/stop", json!({})).await, 202);
    let begin = Instant::now();
    while zoe.api(Method::GET, "/tools/sketch", Value::Null).await.0 != 404 {
        assert!(begin.elapsed() < PATIENCE, "{}", zoe.tool("sketch").await);
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_last_good_copy_runs_while_the_remote_is_down_or_not_who_it_was() {
    let folder = tempfile::tempdir().unwrap();
    let mut remote = Remote::start(folder.path(), free_port());
    first_clone(folder.path(), &remote);
    let good = remote.git(&["rev-parse", "HEAD"]);
    remote.down();
    let program = program(folder.path(), &remote, true);
    set_password(&program, "ada", PASSWORD);
    let ada = Guest::admin(&program).await;
    let started = settled(&ada).await;
    assert_eq!(
        (&started["steps"][0]["state"], &started["repos"][0]["report"]["commit"]["id"]),
        (&json!("degraded"), &json!(good))
    );
    assert_eq!(ada.tool("sketch").await["unseen"], true, "its tools are in use");
    let (_, notices) = ada.api(Method::GET, "/notices", Value::Null).await;
    let notice = &notices["items"][0];
    assert!(notice["title"].as_str().unwrap().contains("last good copy"), "{notices}");
    assert!(notice["text"].as_str().unwrap().contains(&good[..7]) && notice["action"]["post"] == "/boot/sync", "{notices}");

    // It is back with another key: nothing is taken before an admin has compared it.
    remote.change_key();
    fs::write(remote.work().join("new"), "").unwrap();
    let newest = remote.push("New");
    let repo = sync(&ada).await;
    assert_eq!(
        (&repo["report"]["came"]["what"], &repo["report"]["commit"]["id"]),
        (&json!("changed-host"), &json!(good)),
        "{repo}"
    );
    assert_eq!(repo["report"]["came"]["fingerprint"], json!(remote.fingerprint()));
    let pin = |fingerprint: &str| json!({"host": repo["report"]["came"]["host"], "fingerprint": fingerprint});
    assert_eq!(post(&ada, "/boot/repos/studio/pin", pin("SHA256:another")).await, 409);
    assert_eq!(post(&ada, "/boot/repos/studio/pin", pin(&remote.fingerprint())).await, 204);
    assert_eq!(sync(&ada).await["report"]["commit"]["id"], json!(newest));

    // Its history is rewritten: kept, offered, taken when told.
    remote.git(&["reset", "-q", "--hard", &good]);
    fs::write(remote.work().join("other"), "").unwrap();
    let rewritten = remote.push("Otherwise");
    let repo = sync(&ada).await;
    assert_eq!(
        (&repo["report"]["came"]["what"], &repo["report"]["commit"]["id"]),
        (&json!("rewritten"), &json!(newest)),
        "{repo}"
    );
    assert_eq!(post(&ada, "/boot/repos/studio/rewritten", json!({"commit": newest})).await, 404, "it is not what is offered");
    let repo = go(&ada, "rewritten", &rewritten).await;
    assert_eq!((&repo["report"]["commit"]["id"], &repo["behind"]), (&json!(rewritten), &Value::Null));
    // In a shell, it is the studio that does it: two never change one work tree.
    let (code, said) = sync_by_hand(folder.path());
    assert!(code == Some(0) && said.contains("The studio does it now") && said.contains("/sessions/"), "{said}");
    settled(&ada).await;
    // The whole is in terminals that can be read up, begun by Easel itself at the start.
    let (_, sessions) = ada.api(Method::GET, "/sessions", Value::Null).await;
    let syncs: Vec<_> = sessions["items"].as_array().unwrap().iter().filter(|s| s["action"] == "sync").collect();
    assert_eq!(syncs.len(), 6, "{sessions}");
    // What was done by hand is written down as what it was.
    assert!(by_hand(folder.path()).args(["--to", &good]).status().unwrap().success());
    assert_eq!(settled(&ada).await["repos"][0]["report"]["commit"]["id"], json!(good));
    let (_, audit) = ada.api(Method::GET, "/audit", Value::Null).await;
    assert!(audit.to_string().contains(&format!("go to commit {good} of studio")), "{audit}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_runs_is_what_was_committed_and_looked_at() {
    let folder = tempfile::tempdir().unwrap();
    let remote = Remote::start(folder.path(), free_port());
    // Lines that look like headers of a difference.
    let helper = remote.work().join("setup/sketch/helper.py");
    fs::write(&helper, "++ __import__('os').system('true')\n-- x\n").unwrap();
    remote.push("A helper");
    first_clone(folder.path(), &remote);
    let program = program(folder.path(), &remote, false);
    set_password(&program, "ada", PASSWORD);
    let ada = Guest::admin(&program).await;
    settled(&ada).await;
    let scripts = accept(&ada).await;
    let text = |scripts: &Value, name: &str| {
        let file = scripts["files"].as_array().unwrap().iter().find(|file| file["path"].as_str().unwrap().ends_with(name));
        file.unwrap_or_else(|| panic!("no {name} in {scripts}"))["text"].as_str().unwrap().to_owned()
    };
    assert_eq!(text(&scripts, "helper.py"), "@@ -0,0 +1,2 @@\n+++ __import__('os').system('true')\n+-- x\n");
    assert!(text(&scripts, "lib/easel.sh").contains("+readonly CONFIG_ERROR"), "what Easel adds is part of it");

    // What somebody writes into the work tree is in nobody's way, and is not run.
    let local = folder.path().join("data/repos/studio/setup/sketch");
    fs::write(local.join("install_sketch.sh"), "#!/usr/bin/env bash\nset -euo pipefail\nexit 9\n").unwrap();
    fs::write(local.join("more.sh"), "exit 9\n").unwrap();
    let repo = sync(&ada).await;
    assert_eq!(repo["report"]["came"]["what"], "up-to-date", "{repo}");
    assert_eq!(ada.tool("sketch").await["unseen"], false);
    assert_eq!(post(&ada, "/tools/sketch/install", json!({})).await, 202);
    ada.until("sketch", "stopped").await;

    // A difference to what was let run, not to what was there before: two commits at once are one.
    fs::write(&helper, "++ one\n").unwrap();
    remote.push("One");
    sync(&ada).await;
    fs::write(&helper, "++ two\n").unwrap();
    remote.push("Two");
    sync(&ada).await;
    let scripts = accept(&ada).await;
    assert_eq!(scripts["files"].as_array().unwrap().len(), 1, "{scripts}");
    let shown = text(&scripts, "helper.py");
    assert!(shown.contains("-++ __import__") && shown.ends_with("+++ two\n") && !shown.contains("one"), "{shown}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sync_that_is_cancelled_ends_in_order_and_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let mut remote = Remote::start(folder.path(), free_port());
    first_clone(folder.path(), &remote);
    let good = remote.git(&["rev-parse", "HEAD"]);
    // Connections are taken by the system, and nobody answers.
    let _silent = remote.silent();
    let mut sync = by_hand(folder.path()).stdout(Stdio::piped()).spawn().unwrap();
    let mut said = String::new();
    let mut output = sync.stdout.take().unwrap();
    while !said.contains("asking the remote") {
        let mut bytes = [0; 200];
        let n = output.read(&mut bytes).unwrap();
        assert!(n > 0, "{said}");
        said += &String::from_utf8_lossy(&bytes[..n]);
    }
    let begin = Instant::now();
    let pid = sync.id().to_string();
    assert!(Command::new("kill").args(["-INT", &pid]).status().unwrap().success());
    assert_eq!(sync.wait().unwrap().code(), Some(130));
    assert!(begin.elapsed() < Duration::from_secs(5), "{:?}", begin.elapsed());
    let kept: Value = serde_json::from_slice(&fs::read(folder.path().join("data/state/sync.json")).unwrap()).unwrap();
    assert_eq!((&kept[0]["commit"]["id"], &kept[0]["came"]), (&json!(good), &json!({"what": "failed", "why": "cancelled"})));
}

#[test]
fn going_back_by_hand_has_worked_where_a_sync_after_it_is_behind() {
    let folder = tempfile::tempdir().unwrap();
    let remote = Remote::start(folder.path(), free_port());
    first_clone(folder.path(), &remote);
    let good = remote.git(&["rev-parse", "HEAD"]);
    fs::write(remote.work().join("new"), "").unwrap();
    let newest = remote.push("New");
    assert_eq!(sync_by_hand(folder.path()).0, Some(0));
    let go_to = |commit: &str| {
        let output = by_hand(folder.path()).args(["--to", commit]).output().unwrap();
        (output.status.code(), String::from_utf8_lossy(&output.stdout).into_owned())
    };
    let (code, said) = go_to(&good);
    assert!(code == Some(0) && said.contains(&format!("went back: {}", &good[..10])) && !said.contains("::warn"), "{said}");
    let (code, said) = sync_by_hand(folder.path());
    assert!(code == Some(1) && said.contains("Somebody went back"), "{said}");
    let (code, said) = go_to(&newest);
    assert!(code == Some(0) && said.contains(&format!("up to date: {}", &newest[..10])), "{said}");
    assert_eq!(go_to(&"0".repeat(40)).0, Some(1));
}

#[tokio::test(flavor = "multi_thread")]
async fn another_repository_in_the_same_place_lends_nothing_to_the_studio() {
    let folder = tempfile::tempdir().unwrap();
    let remote = Remote::start(folder.path(), free_port());
    first_clone(folder.path(), &remote);
    let config = folder.path().join("easel.toml");
    fs::write(&config, remote.toml(false).replace("studio.git", "other.git")).unwrap();
    let named = folder.path().join("users.toml");
    fs::write(&named, "[[user]]\nname = \"Ada\"\nrole = \"admin\"\n").unwrap();
    let arguments = ["--config", config.to_str().unwrap(), "--users", named.to_str().unwrap()];
    let program = Program::start_from(folder.path(), &arguments, &[]);
    set_password(&program, "ada", PASSWORD);
    let ada = Guest::admin(&program).await;
    let started = settled(&ada).await;
    let (steps, repo) = (&started["steps"], &started["repos"][0]);
    assert!(repo["report"]["commit"].is_null() && repo["behind"].as_str().unwrap().contains("move the folder away"), "{repo}");
    assert!(steps[1]["state"] == "degraded" && steps[1]["why"].as_str().unwrap().contains("move the folder away"), "{steps}");
    assert_eq!(ada.api(Method::GET, "/tools/sketch", Value::Null).await.0, 404);
}

#[test]
fn a_required_repository_that_is_not_there_ends_the_start_with_a_sentence() {
    let folder = tempfile::tempdir().unwrap();
    let mut remote = Remote::start(folder.path(), free_port());
    remote.down();
    fs::write(folder.path().join("easel.toml"), remote.toml(true)).unwrap();
    let mut serve = easel();
    serve.args(["serve", "--port", "0", "--data"]).arg(folder.path().join("data"));
    serve.arg("--config").arg(folder.path().join("easel.toml"));
    let output = serve.stdin(Stdio::null()).output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(said.contains("The repository studio is required and is not there.") && said.contains("cannot be reached"), "{said}");
}
