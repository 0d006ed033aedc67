//! The real program with two engines: jobs of two profiles at once, a killed engine beside one that goes on, a cancel that
//! hits the right one. Knows the API and process ids.

use crate::{
    jobs_survive::{Api, assert_sound},
    program::Program,
    terminal::client::Admin,
    tool_folder,
};
use reqwest::Method;
use serde_json::{Value, json};
use std::time::{Duration, Instant};

const USERS: &str = "[[user]]\nname = \"Zoe\"\n[[user]]\nname = \"Bob\"\n[[user]]\nname = \"Ada\"\nrole = \"admin\"\n";

/// A studio whose two engines are there.
async fn studio(folder: &std::path::Path) -> (Program, [Api; 2], Admin) {
    std::fs::write(folder.join("users.toml"), USERS).unwrap();
    let program = Program::start_in(folder, &["--engine-device", "cpu,cpu"]);
    tool_folder::set_password(&program, "ada", "a sentence is easier");
    let admin = Admin::log_in(&program).await;
    let people = [Api::of(&program, "zoe"), Api::of(&program, "bob")];
    until(&admin, |engines| engines.iter().all(|engine| engine["status"] == "ready")).await;
    (program, people, admin)
}

async fn engines(admin: &Admin) -> Vec<Value> {
    admin.get("/system").await["engines"].as_array().unwrap().clone()
}

/// Waits until the engines are so; how they are then.
async fn until(admin: &Admin, so: impl Fn(&[Value]) -> bool) -> Vec<Value> {
    let begin = Instant::now();
    loop {
        let engines = engines(admin).await;
        if so(&engines) {
            return engines;
        }
        assert!(begin.elapsed() < Duration::from_secs(60), "{engines:?}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

fn pids(engines: &[Value]) -> Vec<u32> {
    let mut pids: Vec<u32> = engines.iter().filter_map(|engine| engine["pid"].as_u64()).map(|pid| pid as u32).collect();
    pids.sort_unstable();
    pids
}

/// Submits a job of some seconds, and waits for its first steps.
async fn begin(api: &Api, key: &str) -> String {
    let id = api.submit(key, &json!({ "prompt": "a lake", "steps": 60 })).await.unwrap();
    let begin = Instant::now();
    while api.get(&format!("/jobs/{id}")).await["step"] == 0 {
        assert!(begin.elapsed() < Duration::from_secs(60), "no step was made");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    id
}

async fn job(api: &Api, id: &str) -> Value {
    api.get(&format!("/jobs/{id}")).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_of_two_engines_is_killed_and_the_other_goes_on() {
    let folder = tempfile::tempdir().unwrap();
    let (program, [zoe, bob], admin) = studio(folder.path()).await;
    let (zoes, bobs) = (begin(&zoe, "one").await, begin(&bob, "one").await);
    let states = [job(&zoe, &zoes).await, job(&bob, &bobs).await];
    assert!(states.iter().all(|job| job["state"] == "running"), "both at once: {states:?}");

    let told = until(&admin, |engines| engines.iter().all(|engine| engine["loaded"].is_string())).await;
    let mut found = program.engines();
    found.sort_unstable();
    assert_eq!((pids(&told), found.len()), (found.clone(), 2), "{told:?}");
    let device = admin.get("/system").await["device"].as_str().unwrap().to_owned();
    assert!(device.starts_with("2 × CPU, "), "{device}");

    let (killed, other) = (found[0], found[1]);
    let pid = rustix::process::Pid::from_raw(killed.cast_signed()).unwrap();
    rustix::process::kill_process(pid, rustix::process::Signal::KILL).unwrap();
    until(&admin, |engines| engines.iter().any(|engine| engine["status"] != "ready")).await;
    let killed_at = Instant::now();
    let states = loop {
        let states = [job(&zoe, &zoes).await["state"].clone(), job(&bob, &bobs).await["state"].clone()];
        if states.contains(&json!("queued")) {
            break states;
        }
        assert!(killed_at.elapsed() < Duration::from_secs(20), "no job waits for an engine: {states:?}");
    };
    assert!(states.contains(&json!("running")), "the other goes on: {states:?}");
    // The studio works on, and says so to whoever asks.
    assert_eq!(zoe.file("/readyz").await, Ok(b"ready\n".to_vec()));
    for (api, id) in [(&zoe, &zoes), (&bob, &bobs)] {
        let job = api.over(id).await;
        assert_eq!((job["state"].as_str(), job["artifacts"].as_array().unwrap().len()), (Some("done"), 1), "{job}");
        assert_eq!(&api.gallery().await, std::slice::from_ref(id), "lost or doubled");
    }
    let again = until(&admin, |engines| engines.iter().all(|engine| engine["status"] == "ready")).await;
    assert!(pids(&again).contains(&other) && !pids(&again).contains(&killed), "{again:?}");
    drop(program);
    assert_sound(&folder.path().join("data"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_admin_restarts_an_engine_and_its_job_is_finished_first() {
    let folder = tempfile::tempdir().unwrap();
    let (_program, [zoe, _bob], admin) = studio(folder.path()).await;
    let zoes = begin(&zoe, "one").await;
    let before = until(&admin, |engines| engines.iter().any(|engine| engine["loaded"].is_string())).await;
    let at_work = before.iter().position(|engine| engine["loaded"].is_string()).unwrap();
    let pid = |engines: &[Value]| engines[at_work]["pid"].clone();
    let path = format!("/system/engines/{}/restart", at_work + 1);
    assert_eq!(admin.ask(Method::POST, &path).await.status(), 202);
    let waits = until(&admin, |engines| engines[at_work]["restarts"] == true || pid(engines) != pid(&before)).await;
    assert_eq!((&waits[at_work]["restarts"], pid(&waits)), (&json!(true), pid(&before)), "its job goes on");
    assert_eq!(zoe.over(&zoes).await["state"], "done");
    let ready = |engines: &[Value]| engines[at_work]["status"] == "ready" && pid(engines) != pid(&before);
    let after = until(&admin, ready).await;
    assert_eq!(after[1 - at_work]["pid"], before[1 - at_work]["pid"], "the other one was left alone");
    for unknown in ["0", "3", "x", "-1"] {
        let answer = admin.ask(Method::POST, &format!("/system/engines/{unknown}/restart")).await;
        assert_eq!(answer.status(), 404, "{unknown}");
    }
    let (status, _) = zoe.send(Method::POST, &path, None).await;
    assert_eq!(status, 403);
    let audit = admin.get("/audit").await.to_string();
    assert!(audit.contains(&format!("restarted engine {}", at_work + 1)), "{audit}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cancel_hits_its_own_job_on_either_of_two_engines() {
    let folder = tempfile::tempdir().unwrap();
    let (_program, [zoe, bob], admin) = studio(folder.path()).await;
    let (zoes, bobs) = (begin(&zoe, "one").await, begin(&bob, "one").await);
    let waits = bob.submit("two", &json!({ "prompt": "a hill", "steps": 2 })).await.unwrap();
    assert_eq!(job(&bob, &waits).await["place"], 1);
    let (status, _) = bob.send(Method::DELETE, &format!("/jobs/{bobs}"), None).await;
    assert!(status < 300, "{status}");
    assert_eq!(bob.over(&bobs).await["state"], "cancelled");
    assert_eq!(bob.over(&waits).await["state"], "done", "the engine that is free takes it");
    assert_eq!(zoe.over(&zoes).await["state"], "done", "nobody cancelled it");
    assert!(engines(&admin).await.iter().all(|engine| engine["status"] == "ready"), "no engine died of it");
}
