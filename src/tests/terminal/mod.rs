//! Terminals over their WebSocket, with the real program: who gets one, where a cut one goes on, what a slow one costs the
//! others, and what is left after a crash.

pub(crate) mod client;
pub(crate) mod socket;
mod tools;
mod turned_over;
mod users;
mod wanted;

use crate::program::is_long;
use client::{Admin, AtShell, Came, restarted, studio};
use std::time::{Duration, Instant};

#[tokio::test(flavor = "multi_thread")]
async fn only_the_studios_own_pages_get_a_terminal() {
    let folder = tempfile::tempdir().unwrap();
    let program = studio(folder.path());
    let admin = Admin::log_in(&program).await;
    let session = admin.shell().await;
    let port: u16 = program.url.rsplit(':').next().unwrap().parse().unwrap();
    let other_port = format!("http://127.0.0.1:{}", port.wrapping_add(1));
    let sibling = "https://other-8080.proxy.runpod.net";
    for origin in [None, Some("null"), Some("https://evil.example"), Some(sibling), Some(other_port.as_str())] {
        let (status, _) = admin.try_attach(&session, 0, origin);
        assert_eq!(status, 403, "{origin:?}");
    }
    assert_eq!(admin.try_attach(&session, 0, Some(&program.url)).0, 101);
    let nobody = Admin { cookie: String::new(), http: admin.http.clone(), url: admin.url.clone() };
    assert!(matches!(nobody.try_attach(&session, 0, Some(&program.url)).0, 401 | 403));
    assert_eq!(admin.try_attach("01ARZ3NDEKTSV4RRFFQ69G5FAV", 0, Some(&program.url)).0, 404);
}

#[tokio::test(flavor = "multi_thread")]
async fn who_loses_admin_mode_is_out_within_a_second_and_types_no_more() {
    let folder = tempfile::tempdir().unwrap();
    let program = studio(folder.path());
    let admin = Admin::log_in(&program).await;
    let session = admin.shell().await;
    let mut viewer = admin.attach(&session, 0);
    viewer.type_keys("echo too early\n");
    loop {
        if let Came::Word(word) = viewer.next().unwrap()
            && word["kind"] == "refused"
        {
            break;
        }
    }
    viewer.take();
    viewer.type_keys("echo $((40+2)) typed\n");
    viewer.until("42 typed");
    admin.post("/admin/off", "").await;
    let off = Instant::now();
    viewer.type_keys("touch typed-after\n");
    let closed = loop {
        match viewer.next() {
            Ok(Came::Closed) | Err(_) => break off.elapsed(),
            Ok(_) => {}
        }
    };
    println!("closed {closed:.0?} after admin mode was turned off");
    assert!(closed < Duration::from_secs(2), "{closed:?}");
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert!(!program.data().join("workspace/typed-after").exists());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_viewer_who_was_cut_anywhere_goes_on_at_his_byte() {
    let folder = tempfile::tempdir().unwrap();
    let AtShell { program: _program, admin, session, mut typist } = AtShell::of_a_studio(folder.path()).await;
    // In two halves, so that the echo of what is typed is not taken for the end.
    typist.type_keys("stty -echo; PS1=; seq 1 90000; echo the-''end\n");
    typist.until("the-end\r\n");
    let end = typist.at;
    assert!(end > 500_000, "{end} bytes");
    let (whole, _) = tokio::task::block_in_place(|| read(&admin, &session, 0, end));
    let cuts = if is_long() { 1_000 } else { 100 };
    for i in 0..cuts {
        // Anywhere, also within a frame: the socket is dropped after so many bytes of the stream.
        let cut = end * (i * 7919 % cuts) / cuts;
        let (first, at) = tokio::task::block_in_place(|| read(&admin, &session, 0, cut));
        let (rest, _) = tokio::task::block_in_place(|| read(&admin, &session, at, end));
        assert!([first, rest].concat() == whole, "cut at {cut}");
    }
    println!("{cuts} cuts of {end} bytes: the same bytes each time");
    typist.type_keys("exit 9\n");
    let (_, code) = typist.rest_of_it();
    assert_eq!(code, Some(9));
    // Over, and the same bytes out of the transcript.
    let (again, _) = tokio::task::block_in_place(|| read(&admin, &session, 0, end));
    assert!(again == whole);
}

/// Bytes from one number to another, over a connection of its own; and the number reached.
fn read(admin: &Admin, session: &str, from: u64, to: u64) -> (Vec<u8>, u64) {
    let mut viewer = admin.attach(session, from);
    let mut all = Vec::new();
    while viewer.at < to {
        if let Came::Bytes(bytes) = viewer.next().unwrap() {
            all.extend(bytes);
            viewer.acknowledge();
        }
    }
    assert_eq!(viewer.dropped, 0);
    all.truncate((to - from) as usize);
    (all, to)
}

#[tokio::test(flavor = "multi_thread")]
async fn viewers_who_come_and_go_stop_nobody() {
    let folder = tempfile::tempdir().unwrap();
    let AtShell { program: _program, admin, session, mut typist } = AtShell::of_a_studio(folder.path()).await;
    // Each of them changes the room that all the others are told of, on every thread of the panel.
    let come_and_go = || (0..50).for_each(|_| drop(admin.attach(&session, 0)));
    tokio::task::block_in_place(|| {
        std::thread::scope(|threads| (0..4).for_each(|_| drop(threads.spawn(come_and_go))));
        typist.type_keys("echo $((20+3)) there\n");
        typist.until("23 there");
    });
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_panel_takes_its_tools_along_and_they_come_back_with_it() {
    let folder = tempfile::tempdir().unwrap();
    let mut program = studio(folder.path());
    let kills = if is_long() { 100 } else { 5 };
    let admin = Admin::log_in(&program).await;
    admin.api(reqwest::Method::POST, "/tools/sketch/install").await;
    admin.until_tool("stopped").await;
    admin.api(reqwest::Method::POST, "/tools/sketch/start").await;
    for kill in 0..kills {
        let admin = Admin::log_in(&program).await;
        admin.until_tool("running").await;
        let mark = format!("EASEL_WORKSPACE={}", std::path::absolute(program.data()).unwrap().join("workspace").display());
        assert!(crate::supervise::living(&mark).len() >= 3, "guardian, server, its child");
        program.kill();
        let begun = Instant::now();
        while !crate::supervise::living(&mark).is_empty() {
            assert!(begun.elapsed() < Duration::from_secs(3), "kill {kill}: {:?}", crate::supervise::living(&mark));
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        program = restarted(folder.path());
    }
    // A guardian that is killed leaves nothing either, and the tool starts anew.
    let admin = Admin::log_in(&program).await;
    admin.until_tool("running").await;
    // By its newest session: the list has an end.
    let before = admin.sessions().await[0]["id"].clone();
    for guardian in guardians(program.pid()) {
        let _ = std::process::Command::new("kill").args(["-9", &guardian.to_string()]).status();
    }
    let begun = Instant::now();
    while admin.sessions().await[0]["id"] == before || admin.get("/tools/sketch").await["state"] != "running" {
        assert!(begun.elapsed() < Duration::from_secs(40), "it does not come back");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    admin.api(reqwest::Method::POST, "/tools/sketch/stop").await;
    admin.until_tool("stopped").await;
    let mark = format!("EASEL_WORKSPACE={}", std::path::absolute(program.data()).unwrap().join("workspace").display());
    assert_eq!(crate::supervise::living(&mark), Vec::<String>::new());
}

/// The guardians of the test's tool under this panel.
fn guardians(panel: u32) -> Vec<u32> {
    let all = std::fs::read_dir("/proc").unwrap().flatten().filter_map(|e| e.file_name().to_str()?.parse::<u32>().ok());
    let is = |pid: &u32| {
        let line = std::fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        let words: Vec<&[u8]> = line.split(|b| *b == 0).collect();
        let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
        let is_its = status.lines().any(|l| l.strip_prefix("PPid:").is_some_and(|p| p.trim() == panel.to_string()));
        is_its && words.get(1) == Some(&b"guardian".as_slice()) && words.iter().any(|w| w.ends_with(b"start_sketch.sh"))
    };
    all.filter(is).collect()
}
