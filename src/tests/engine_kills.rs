//! Jobs of the real program through kills of its engine, and of both, at moments all over a job's life. Knows the
//! API and process ids.

use crate::program::is_long;
use crate::{
    jobs_survive::{Api, assert_sound, quick},
    program::Program,
};
use serde_json::json;
use std::time::{Duration, Instant};

const USERS: &str = "[[user]]\nname = \"Zoe\"\n[[user]]\nname = \"Bob\"\n";
/// Kills; with `--long` as bar Q1 says.
const KILLS: usize = 20;
const KILLS_LONG: usize = 1000;
/// After so many kills of the engine the whole program is killed. That also begins its back-off anew, which
/// otherwise grows to a minute.
const THEN_ALL: usize = 3;

/// Bar Q1: what was acknowledged is done once, and the panel answers all the while.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_kill_of_the_engine_loses_or_doubles_a_picture() {
    let kills = if is_long() { KILLS_LONG } else { KILLS };
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("users.toml"), USERS).unwrap();
    let mut program = Program::start_in(folder.path(), &[]);
    let mut api = Api::of(&program, "zoe");
    let (mut of_engine, mut slowest_answer, mut slowest_engine, mut slowest_start) =
        (0, Duration::ZERO, Duration::ZERO, Duration::ZERO);
    let mut jobs = Vec::new();
    for n in 0..kills {
        api.engine_ready().await;
        let id = api.submit(&format!("key {n}"), &quick(n)).await.unwrap();
        // Moments spread over a job's whole life by the golden ratio: no two kills alike, every run the same.
        tokio::time::sleep(Duration::from_millis(((n as f64 * 0.618).fract() * 900.0) as u64)).await;
        if n % THEN_ALL == THEN_ALL - 1 {
            program.kill();
            program = Program::start_in(folder.path(), &[]);
            slowest_start = slowest_start.max(program.started_in);
            api = api.at(&program);
        } else {
            let engine = program.engine().expect("it was ready");
            assert!(program.kill_engine());
            of_engine += 1;
            let begin = Instant::now();
            assert_eq!(api.get("/me").await["id"], "zoe");
            slowest_answer = slowest_answer.max(begin.elapsed());
            // The panel may not know yet of this death: the next engine is another process.
            while program.engine().is_none_or(|now| now == engine) {
                assert!(begin.elapsed() < Duration::from_secs(120), "no engine was started again");
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
            api.engine_ready().await;
            slowest_engine = slowest_engine.max(begin.elapsed());
        }
        api.ready().await;
        assert_eq!(api.submit(&format!("key {n}"), &quick(n)).await.unwrap(), id, "the same request is the same job");
        // One kill a job is less than it bears, so each must be done.
        let job = api.over(&id).await;
        assert_eq!((job["state"].as_str(), job["artifacts"].as_array().unwrap().len()), (Some("done"), 1), "{job}");
        jobs.push(id);
    }
    println!(
        "{of_engine} kills of the engine, {} of all: answers within {slowest_answer:.0?}, engine back within {slowest_engine:.1?}, \
         serving again within {slowest_start:.0?}",
        kills - of_engine
    );
    let mut made = api.gallery().await;
    made.sort_unstable();
    jobs.sort_unstable();
    assert_eq!(made, jobs, "lost or doubled");
    drop(program);
    assert_sound(&folder.path().join("data"));
}

/// Bar Q8: the third death fails the job with the engine's last lines; whoever waits behind it is served.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_engines_third_death_over_a_job_fails_it() {
    let program = Program::start(USERS);
    let (zoe, bob) = (Api::of(&program, "zoe"), Api::of(&program, "bob"));
    zoe.ready().await;
    let deadly = zoe.submit("deadly", &json!({ "prompt": "a lake", "steps": 150, "batch": 4 })).await.unwrap();
    let harmless = bob.submit("harmless", &quick(1)).await.unwrap();
    let (mut killed, begin) = (Vec::new(), Instant::now());
    let job = loop {
        assert!(begin.elapsed() < Duration::from_secs(240), "{} kills and not over", killed.len());
        let job = zoe.get(&format!("/jobs/{deadly}")).await;
        match (job["state"].as_str(), program.engine()) {
            (Some("queued"), _) => {}
            (Some("running"), Some(engine)) => {
                if job["step"] != 0 && !killed.contains(&engine) && program.kill_engine() {
                    killed.push(engine);
                }
            }
            (Some("running"), None) => {}
            _ => break job,
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    };
    assert_eq!((job["state"].as_str(), killed.len()), (Some("failed"), 3), "{job}");
    assert!(job["error"]["what"].as_str().unwrap().contains("died 3 times"), "{job}");
    assert!(job["error"]["place"].as_str().unwrap().contains("signal 9"), "{job}");
    assert_eq!(bob.over(&harmless).await["state"], "done");
}
