//! Jobs of the real program through kills of the engine and of the panel. Knows the API only.

use crate::program::{Program, easel, is_long};
use panel::outgoing::client;
use reqwest::Client;
use serde_json::{Value, json};
use std::time::{Duration, Instant};

const USERS: &str = "[[user]]\nname = \"Zoe\"\n[[user]]\nname = \"Bob\"\n";
/// Kills of the panel; with `--long` as the bar says.
const KILLS: usize = 20;
const KILLS_LONG: usize = 1000;

/// The API as one profile.
pub(crate) struct Api {
    client: Client,
    pub(crate) token: String,
    pub(crate) base: String,
}

impl Api {
    pub(crate) fn of(program: &Program, id: &str) -> Api {
        let output = easel().args(["user", "token", id, "--data"]).arg(program.data()).output().unwrap();
        assert!(output.status.success(), "easel user token: {}", String::from_utf8_lossy(&output.stderr));
        let token = String::from_utf8(output.stdout).unwrap().split_whitespace().last().unwrap().to_owned();
        Api { client: client().build().unwrap(), token, base: program.at("/api/v1") }
    }

    /// The same profile on a program that was started again.
    pub(crate) fn at(self, program: &Program) -> Api {
        Api { base: program.at("/api/v1"), ..self }
    }

    pub(crate) async fn get(&self, path: &str) -> Value {
        let answer = self.client.get(format!("{}{path}", self.base)).bearer_auth(&self.token).send().await.unwrap();
        assert!(answer.status().is_success(), "{path}: {}", answer.status());
        answer.json().await.unwrap()
    }

    /// Status and body of any request; the body is null where it is no JSON.
    pub(crate) async fn send(&self, method: reqwest::Method, path: &str, body: Option<&Value>) -> (u16, Value) {
        let request = self.client.request(method, format!("{}{path}", self.base)).bearer_auth(&self.token);
        let request = body.iter().fold(request, |request, body| request.json(body));
        let answer = request.send().await.unwrap();
        (answer.status().as_u16(), answer.json().await.unwrap_or_default())
    }

    /// The bytes at a path of the whole program, or the status that came instead.
    pub(crate) async fn file(&self, path: &str) -> Result<Vec<u8>, u16> {
        let url = self.base.replace("/api/v1", path);
        let answer = self.client.get(url).bearer_auth(&self.token).send().await.unwrap();
        let status = answer.status().as_u16();
        if status == 200 { Ok(answer.bytes().await.unwrap().to_vec()) } else { Err(status) }
    }

    /// The job of each picture in the gallery.
    pub(crate) async fn gallery(&self) -> Vec<String> {
        let (mut jobs, mut before) = (Vec::new(), String::new());
        loop {
            let page = self.get(&format!("/artifacts?limit=500{before}")).await;
            jobs.extend(page["items"].as_array().unwrap().iter().map(|a| a["job"].as_str().unwrap().to_owned()));
            let Some(next) = page["next"].as_str() else { return jobs };
            before = format!("&before={next}");
        }
    }

    /// Submits a recipe; none when the program died meanwhile.
    pub(crate) async fn submit(&self, key: &str, recipe: &Value) -> Option<String> {
        let request = self.client.post(format!("{}/jobs", self.base)).bearer_auth(&self.token);
        let answer = request.header("Idempotency-Key", key).json(recipe).send().await.ok()?;
        let status = answer.status();
        let body: Value = answer.json().await.ok()?;
        assert_eq!(status, 202, "{body}");
        Some(body["id"].as_str().unwrap().to_owned())
    }

    /// Waits until the engine works.
    pub(crate) async fn engine_ready(&self) {
        let begin = Instant::now();
        while self.file("/readyz").await != Ok(b"ready\n".to_vec()) {
            assert!(begin.elapsed() < Duration::from_secs(120), "the engine does not come back");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    /// Waits until models are known.
    pub(crate) async fn ready(&self) {
        let begin = Instant::now();
        while self.get("/models").await["models"].as_array().unwrap().is_empty() {
            assert!(begin.elapsed() < Duration::from_secs(60), "the engine told no model");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// Waits until a job is over.
    pub(crate) async fn over(&self, id: &str) -> Value {
        let begin = Instant::now();
        loop {
            let job = self.get(&format!("/jobs/{id}")).await;
            if !matches!(job["state"].as_str(), Some("queued" | "running")) {
                return job;
            }
            assert!(begin.elapsed() < Duration::from_secs(240), "never over: {job}");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }
}

/// A small picture, another one for each number.
pub(crate) fn quick(n: usize) -> Value {
    json!({ "prompt": format!("a lake, number {n}"), "steps": 2, "seed": n })
}

/// Bar Q1, CI's part: what was acknowledged is done once, whenever the panel is killed.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_kill_of_the_panel_loses_or_doubles_a_picture() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("users.toml"), USERS).unwrap();
    survives_kills(folder.path(), if is_long() { KILLS_LONG } else { KILLS }).await;
}

/// Kills the panel over a folder with Zoe in its `users.toml` so often, with jobs submitted all along.
pub(crate) async fn survives_kills(folder: &std::path::Path, kills: usize) {
    let mut program = Program::start_in(folder, &[]);
    let mut api = Api::of(&program, "zoe");
    let (mut acknowledged, mut slowest) = (Vec::new(), Duration::ZERO);
    for n in 0..kills {
        api.ready().await;
        acknowledged.extend(api.submit(&format!("key {n}"), &quick(n)).await);
        // Moments spread over a job's whole life by the golden ratio: no two kills alike, every run the same.
        tokio::time::sleep(Duration::from_millis(((n as f64 * 0.618).fract() * 900.0) as u64)).await;
        program.kill();
        program = Program::start_in(folder, &[]);
        slowest = slowest.max(program.started_in);
        api = api.at(&program);
        // The same request again, as a client does that saw no answer: never a second job.
        api.ready().await;
        let again = api.submit(&format!("key {n}"), &quick(n)).await.unwrap();
        if acknowledged.last() != Some(&again) {
            acknowledged.push(again);
        }
    }
    let mut parked = 0;
    for id in &acknowledged {
        let job = api.over(id).await;
        parked += usize::from(job["state"] == "parked");
        let pictures = job["artifacts"].as_array().unwrap().len();
        assert!(job["state"] == "parked" || (job["state"] == "done" && pictures == 1), "{job}");
    }
    let jobs = api.gallery().await;
    let mut unique = jobs.clone();
    unique.sort_unstable();
    unique.dedup();
    println!("{kills} kills: {} jobs, {parked} parked, {} pictures, slowest start {slowest:.0?}", acknowledged.len(), jobs.len());
    assert_eq!((jobs.len(), unique.len()), (acknowledged.len() - parked, jobs.len()), "lost or doubled");
    drop(program);
    assert_sound(&folder.join("data"));
}

/// The store of a data folder that nobody uses now is whole.
pub(crate) fn assert_sound(data: &std::path::Path) {
    let store = rusqlite::Connection::open(data.join("state/easel.db")).unwrap();
    let verdict: String = store.query_row("PRAGMA integrity_check", [], |row| row.get(0)).unwrap();
    assert_eq!(verdict, "ok");
}

/// Bar Q8: a killed engine costs a try, the panel answers all the while, and the job is done in the end.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_killed_engine_comes_back_and_the_job_with_it() {
    let program = Program::start(USERS);
    let api = Api::of(&program, "zoe");
    api.ready().await;
    let id = api.submit("one", &json!({ "prompt": "a lake", "steps": 20, "batch": 4 })).await.unwrap();
    let begin = Instant::now();
    while api.get(&format!("/jobs/{id}")).await["step"] == 0 {
        assert!(begin.elapsed() < Duration::from_secs(60), "no step was made");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    assert!(program.kill_engine());
    let begin = Instant::now();
    let other = Api::of(&program, "bob").get("/me").await;
    println!("the panel answered {:.0?} after the engine's death", begin.elapsed());
    assert_eq!(other["id"], "bob");
    let job = api.over(&id).await;
    assert_eq!((job["state"].as_str(), job["artifacts"].as_array().unwrap().len()), (Some("done"), 4), "{job}");
}

/// Cancelling on the real engine: within half a second, and the next job runs.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cancelled_job_ends_soon_and_the_next_one_runs() {
    let program = Program::start(USERS);
    let api = Api::of(&program, "zoe");
    api.ready().await;
    let long = api.submit("long", &json!({ "prompt": "a lake", "steps": 150, "batch": 4 })).await.unwrap();
    let next = api.submit("next", &quick(1)).await.unwrap();
    while api.get(&format!("/jobs/{long}")).await["step"] == 0 {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    let begin = Instant::now();
    let url = format!("{}/jobs/{long}", api.base);
    api.client.delete(url).bearer_auth(&api.token).send().await.unwrap().error_for_status().unwrap();
    let job = loop {
        let job = api.get(&format!("/jobs/{long}")).await;
        if job["state"] != "running" {
            break job;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    };
    println!("cancelled after {:.0?}", begin.elapsed());
    assert_eq!(job["state"], "cancelled");
    assert_eq!(api.over(&next).await["state"], "done");
}
