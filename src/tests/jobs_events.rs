//! The event stream of the real program: many listeners, replay, whose events. Knows the API only.

use crate::{jobs_survive::Api, program::Program};
use serde_json::json;
use std::time::{Duration, Instant};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

const USERS: &str = "[[user]]\nname = \"Zoe\"\n[[user]]\nname = \"Bob\"\n";
/// Listeners of bar L2.
const LISTENERS: usize = 500;
/// A bound for a machine that does other things at the same time; the bar is the printed figure.
const AT_MOST: Duration = Duration::from_secs(2);

/// A raw connection to the stream, so that nothing buffers between.
struct Listener {
    socket: TcpStream,
    heard: Vec<u8>,
}

impl Listener {
    async fn open(program: &Program, api: &Api, query: &str) -> Listener {
        let host = program.url.strip_prefix("http://").unwrap();
        let mut socket = TcpStream::connect(host).await.unwrap();
        let token = &api.token;
        let head = format!("GET /api/v1/events{query} HTTP/1.1\r\nHost: {host}\r\nAuthorization: Bearer {token}\r\n\r\n");
        socket.write_all(head.as_bytes()).await.unwrap();
        let mut listener = Listener { socket, heard: Vec::new() };
        listener.until("retry: ").await;
        listener
    }

    /// Reads until the text was heard; all that was heard so far.
    async fn until(&mut self, text: &str) -> String {
        let mut buffer = [0; 16 << 10];
        loop {
            let heard = String::from_utf8_lossy(&self.heard).into_owned();
            if heard.contains(text) {
                return heard;
            }
            let read = tokio::time::timeout(Duration::from_secs(60), self.socket.read(&mut buffer));
            let n = read.await.unwrap_or_else(|_| panic!("never heard {text:?}: {heard}")).unwrap();
            assert_ne!(n, 0, "the stream ended without {text:?}: {heard}");
            self.heard.extend_from_slice(&buffer[..n]);
        }
    }
}

/// Bar L2: one change reaches every one of 500 listeners.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn five_hundred_listeners_hear_of_a_job_at_once() {
    let program = Program::start(USERS);
    let api = Api::of(&program, "zoe");
    api.ready().await;
    let mut listeners = Vec::new();
    for _ in 0..LISTENERS {
        let mut listener = Listener::open(&program, &api, "").await;
        listeners.push(tokio::spawn(async move {
            listener.until("event: state").await;
            Instant::now()
        }));
    }
    let begin = Instant::now();
    api.submit("one", &json!({ "prompt": "a lake", "steps": 1 })).await.unwrap();
    let mut took = Vec::new();
    for listener in listeners {
        took.push(listener.await.unwrap().saturating_duration_since(begin));
    }
    took.sort();
    let (first, p95, last) = (took[0], took[LISTENERS * 95 / 100], took[LISTENERS - 1]);
    println!("{LISTENERS} listeners: first {first:.1?}, p95 {p95:.1?}, last {last:.1?} after the request was sent");
    assert!(p95 <= AT_MOST, "{p95:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stream_goes_on_from_its_number_and_tells_nobody_else() {
    let program = Program::start(USERS);
    let (zoe, bob) = (Api::of(&program, "zoe"), Api::of(&program, "bob"));
    zoe.ready().await;
    let mut bobs = Listener::open(&program, &bob, "?after=0").await;
    let mut live = Listener::open(&program, &zoe, "").await;
    let id = zoe.submit("one", &json!({ "prompt": "a lake", "steps": 4 })).await.unwrap();
    let heard = live.until("\"state\":\"done\"").await;
    assert!(heard.contains("event: step") && heard.contains("event: artifact"), "{heard}");
    let replay = Listener::open(&program, &zoe, "?after=0").await.until("\"state\":\"done\"").await;
    let states: Vec<&str> = replay.lines().filter_map(|l| l.split("\"state\":\"").nth(1)?.split('"').next()).collect();
    assert_eq!(states, ["queued", "running", "done"]);
    let ids: Vec<i64> = replay.lines().filter_map(|l| l.strip_prefix("id: ")?.parse().ok()).collect();
    assert!(ids.is_sorted(), "{ids:?}");
    bob.submit("two", &json!({ "prompt": "b", "steps": 1 })).await.unwrap();
    assert!(!bobs.until("event: state").await.contains(&id));
}
