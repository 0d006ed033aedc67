//! Previews over a thin line: 1 Mbit/s and 40 ms, as the browser's own tools make it. Bar U5. What the page hears is
//! compared with what a listener on this machine hears of the same job, by the same clock.

use super::Browser;
use crate::{jobs_survive::Api, program::Program};
use panel::outgoing::client;
use serde_json::{Value, json};
use std::{
    collections::HashMap,
    time::{SystemTime, UNIX_EPOCH},
};

/// Bytes a second.
const LINE: u32 = 125_000;
/// The bar: a step that the page hears later than this is late.
const LATE_MS: f64 = 200.0;

/// Without shared workers the page holds the stream itself, so that the thin line is the stream's. Notes what comes.
const NOTES: &str = "delete window.SharedWorker; window.heard = []; const Plain = window.EventSource; \
    window.EventSource = class extends Plain { constructor(url, options) { super(url, options); \
    for (const type of ['step', 'preview']) this.addEventListener(type, e => window.heard.push([type, performance.timeOrigin + performance.now(), e.data])); } };";

/// Milliseconds since 1970.
fn now() -> f64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs_f64() * 1000.0
}

/// What the listener beside the browser has heard: when each step was first told, and the number of previews.
#[derive(Default)]
struct Told {
    steps: HashMap<u64, f64>,
    previews: usize,
}

impl Told {
    /// Takes one event; answers true when the job is done.
    fn take(&mut self, event: &str, time: f64) -> bool {
        let line = |name: &str| event.lines().find_map(|l| l.strip_prefix(name)).unwrap_or_default();
        match line("event: ") {
            "step" => {
                let data: Value = serde_json::from_str(line("data: ")).unwrap();
                self.steps.entry(data["step"].as_u64().unwrap()).or_insert(time);
            }
            "preview" => self.previews += 1,
            "state" => return event.contains("\"state\":\"done\""),
            _ => {}
        }
        false
    }
}

/// Listens beside the browser until the job is done.
async fn listen(program: &Program, api: &Api) -> tokio::task::JoinHandle<Told> {
    let request = client().build().unwrap().get(program.at("/api/v1/events")).bearer_auth(&api.token);
    let mut answer = request.try_clone().unwrap().send().await.unwrap();
    tokio::spawn(async move {
        let (mut told, mut text) = (Told::default(), String::new());
        loop {
            // The server ends a stream after 90 s.
            let Some(chunk) = answer.chunk().await.unwrap() else {
                answer = request.try_clone().unwrap().send().await.unwrap();
                continue;
            };
            let time = now();
            text += &String::from_utf8_lossy(&chunk);
            while let Some((event, rest)) = text.split_once("\n\n") {
                if told.take(event, time) {
                    return told;
                }
                text = rest.to_owned();
            }
        }
    })
}

/// Largest side and largest file of what the page was sent.
async fn largest(b: &Browser) -> Value {
    b.run(
        "return Promise.all(window.heard.filter(h => h[0] === 'preview').map(async h => { const { webp } = JSON.parse(h[2]); \
         const i = new Image(); i.src = 'data:image/webp;base64,' + webp; await i.decode(); \
         return [Math.max(i.naturalWidth, i.naturalHeight), Math.floor(webp.length * 3 / 4)]; })) \
         .then(all => ({previews: all.length, side: Math.max(...all.map(a => a[0])), bytes: Math.max(...all.map(a => a[1]))}))",
    )
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn previews_come_through_a_thin_line() {
    let program = Program::start("[[user]]\nname = \"Zoe\"\n");
    let api = Api::of(&program, "zoe");
    api.ready().await;
    let b = Browser::open(1440, 900).await;
    b.devtools("Page.addScriptToEvaluateOnNewDocument", json!({"source": NOTES})).await;
    b.pick(&program, "Zoe").await;
    b.until("the stream is open", "return window.heard !== undefined && typeof SharedWorker === 'undefined'").await;
    b.devtools("Network.enable", json!({})).await;
    let thin = json!({"offline": false, "latency": 40, "downloadThroughput": LINE, "uploadThroughput": LINE});
    b.devtools("Network.emulateNetworkConditions", thin).await;
    // A connection that is open already keeps its speed: the page comes anew.
    b.go(&program.at("/studio")).await;
    b.see("#prompt").await;
    let speed = b
        .run("const begin = performance.now(); return fetch('/', {cache: 'no-store'}).then(() => fetch(document.querySelector('link[rel=preload]').href, {cache: 'no-store'})) \
              .then(r => r.arrayBuffer()).then(f => f.byteLength / (performance.now() - begin) * 1000)")
        .await;
    assert!(speed.as_f64().unwrap() <= 1.2 * f64::from(LINE), "the line is not thin: {speed} bytes a second");
    b.fill("#prompt", "two boats on a golden sea").await;
    let listener = listen(&program, &api).await;
    b.click("#generate").await;
    let told = listener.await.unwrap();
    b.until("the picture is among the latest", "return document.querySelectorAll('#latest li[data-id]').length === 1").await;
    let heard = b.run("return window.heard.filter(h => h[0] === 'step').map(h => [JSON.parse(h[2]).step, h[1]])").await;
    let steps: Vec<(u64, f64)> =
        heard.as_array().unwrap().iter().map(|h| (h[0].as_u64().unwrap(), h[1].as_f64().unwrap())).collect();
    assert!(steps.is_sorted_by_key(|s| s.0), "progress never goes back: {steps:?}");
    let mut late: Vec<f64> = steps.iter().filter_map(|(step, time)| told.steps.get(step).map(|t| time - t)).collect();
    late.sort_by(f64::total_cmp);
    assert!(late.len() >= 10, "the page heard {} of {} steps", steps.len(), told.steps.len());
    let (p50, p95) = (late[late.len() / 2], late[late.len() * 95 / 100]);
    let over = late.iter().filter(|l| **l > LATE_MS).count();
    println!(
        "1 Mbit/s: {} of {} steps heard, p50 {p50:.0} ms, p95 {p95:.0} ms, {over} over {LATE_MS} ms",
        late.len(),
        told.steps.len()
    );
    let all = largest(&b).await;
    println!("1 Mbit/s: {} previews told beside it, the page heard {all}", told.previews);
    let previews = usize::try_from(all["previews"].as_u64().unwrap()).unwrap();
    assert!(previews >= 2 && previews <= told.previews, "{all}");
    assert!(all["side"].as_u64().unwrap() <= 512 && all["bytes"].as_u64().unwrap() <= 50_000, "{all}");
    b.close().await;
}
