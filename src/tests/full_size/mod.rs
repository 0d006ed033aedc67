//! A full-size Stable Diffusion 1.5 through the whole product, with `--long`: time, memory, how right the time left is, how
//! pages answer meanwhile, how soon a cancel frees the engine. Its weights are generated: only the figures mean something.

mod weights;

use crate::program::is_long;
use crate::{jobs_survive::Api, program::Program};
use serde_json::{Value, json};
use std::time::{Duration, Instant};

const USERS: &str = "[[user]]\nname = \"Zoe\"\n";
const STEPS: u64 = 20;
/// A picture that takes longer hangs.
const AT_MOST: Duration = Duration::from_secs(1500);
/// Bounds for any machine; the bars are the printed figures.
const MEMORY_MB: f64 = 4_500.0;
const CANCEL: Duration = Duration::from_secs(2);
const PAGES_MS: f64 = 100.0;
/// The time left, told after five and after ten steps, against the truth.
const ETA: std::ops::RangeInclusive<f64> = 0.6..=1.6;

/// Most memory that a process ever had, in MB.
fn peak_mb(pid: u32) -> f64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = status.lines().find_map(|l| l.strip_prefix("VmHWM:")).unwrap();
    line.trim().trim_end_matches(" kB").parse::<f64>().unwrap() / 1024.0
}

fn recipe(model: &str, seed: u64) -> Value {
    json!({ "model": model, "prompt": "a lake", "width": 512, "height": 512, "steps": STEPS, "seed": seed })
}

/// Follows a job to its end: when each step was first seen, with the time left that was told then.
async fn follow(api: &Api, id: &str) -> Vec<(u64, Instant, Option<f64>)> {
    let (begun, mut seen): (_, Vec<(u64, Instant, Option<f64>)>) = (Instant::now(), Vec::new());
    loop {
        let job = api.get(&format!("/jobs/{id}")).await;
        let step = job["step"].as_u64().unwrap_or(0);
        if seen.last().is_none_or(|(last, ..)| *last < step) {
            seen.push((step, Instant::now(), job["eta_s"].as_f64()));
        }
        match job["state"].as_str() {
            Some("queued" | "running") => assert!(begun.elapsed() < AT_MOST, "hangs: {job}"),
            Some("done") => return seen,
            _ => panic!("{job}"),
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

/// Asks pages until told to stop; the answers' times in ms, sorted.
async fn ask(api: Api, mut stop: tokio::sync::oneshot::Receiver<()>) -> Vec<f64> {
    let mut took = Vec::new();
    while stop.try_recv().is_err() {
        for path in ["/", "/api/v1/me"] {
            let begun = Instant::now();
            api.file(path).await.unwrap();
            took.push(begun.elapsed().as_secs_f64() * 1e3);
        }
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    took.sort_by(f64::total_cmp);
    took
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_size_model_makes_its_picture_while_pages_answer() {
    if !is_long() {
        println!("only with --long");
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("users.toml"), USERS).unwrap();
    weights::write(&folder.path().join("data/models/full-size"));
    let program = Program::start_in(folder.path(), &[]);
    let api = Api::of(&program, "zoe");
    api.ready().await;
    let models = api.get("/models").await;
    let all = models["models"].as_array().unwrap();
    let model = all.iter().filter_map(|m| m["id"].as_str()).find(|id| id.contains("full-size")).expect("it is listed");

    let (_, before) = api.send(reqwest::Method::POST, "/estimate", Some(&recipe(model, 1))).await;
    let (tell, stop) = tokio::sync::oneshot::channel();
    let asking = tokio::spawn(ask(Api::of(&program, "zoe"), stop));
    let begun = Instant::now();
    let id = api.submit("one", &recipe(model, 1)).await.unwrap();
    let seen = follow(&api, &id).await;
    let all = begun.elapsed().as_secs_f64();
    tell.send(()).unwrap();
    let pages = asking.await.unwrap();
    let end = Instant::now();
    let at = |step| seen.iter().find(|(s, ..)| *s >= step).unwrap();
    let a_step = (at(STEPS).1 - at(2).1).as_secs_f64() / (STEPS - 2) as f64;
    let right = |step| at(step).2.unwrap() / (end - at(step).1).as_secs_f64();
    let peak = peak_mb(program.engine().unwrap());
    let p99 = pages[pages.len() * 99 / 100];
    println!("512 x 512, {STEPS} steps: {all:.0} s, {a_step:.1} s a step; engine at most {peak:.0} MB");
    println!("told before: {}; told after 5 and 10 steps: {:.2} and {:.2} of the truth", before["eta_s"], right(5), right(10));
    println!("pages meanwhile: p99 {p99:.1} ms of {}; panel at most {:.0} MB", pages.len(), peak_mb(program.pid()));
    assert!(peak < MEMORY_MB && p99 < PAGES_MS, "{peak} MB, {p99} ms");
    assert!(ETA.contains(&right(5)) && ETA.contains(&right(10)), "{} and {}", right(5), right(10));

    // In the middle of a step, the longest that anything takes.
    let id = api.submit("two", &recipe(model, 2)).await.unwrap();
    while api.get(&format!("/jobs/{id}")).await["step"].as_u64().unwrap_or(0) < 2 {
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    tokio::time::sleep(Duration::from_secs_f64(a_step / 2.0)).await;
    let begun = Instant::now();
    api.send(reqwest::Method::DELETE, &format!("/jobs/{id}"), None).await;
    while api.get(&format!("/jobs/{id}")).await["state"] != "cancelled" {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    println!("cancelled within a step after {:.0?}", begun.elapsed());
    assert!(begun.elapsed() < CANCEL);
}
