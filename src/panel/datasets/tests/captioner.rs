//! Captions from a double that speaks the three protocols over real HTTP, bad weather included: what is asked, what is
//! kept, and that the key shows up nowhere.

use super::{Place, picture};
use crate::{
    audit::Audit,
    datasets::{DatasetError, Instructed, Protocol, TaskView},
    secrets::Secret,
};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde_json::{Value, json};
use std::{
    io::{BufRead as _, BufReader, Read as _, Write as _},
    net::{TcpListener, TcpStream},
    sync::{Arc, Mutex},
    time::Duration,
};

const KEY: &str = "canary-key-4711";

/// A question as the double got it.
#[derive(Clone, Debug)]
struct Asked {
    path: String,
    /// Lower-case names with their values.
    headers: Vec<String>,
    body: Value,
}

impl Asked {
    /// Which protocol it is by its path, with its key and the base64 of its picture.
    fn parts(&self) -> (Protocol, String, String) {
        let header = |name: &str| self.headers.iter().find_map(|h| h.strip_prefix(name)).unwrap_or_default().trim().to_owned();
        let text = |pointer: &str| self.body.pointer(pointer).and_then(Value::as_str).unwrap_or_default().to_owned();
        match self.path.as_str() {
            "/v1/messages" => {
                assert_eq!(header("anthropic-version:"), "2023-06-01");
                assert!(self.body["max_tokens"].as_u64().is_some() && self.body["model"] == "seer-1", "{}", self.body);
                (Protocol::Anthropic, header("x-api-key:"), text("/messages/0/content/0/source/data"))
            }
            "/v1/chat/completions" => {
                let picture = text("/messages/0/content/1/image_url/url");
                let picture = picture.strip_prefix("data:image/jpeg;base64,").unwrap_or_default().to_owned();
                (Protocol::OpenAi, header("authorization:").trim_start_matches("Bearer ").to_owned(), picture)
            }
            "/v1beta/models/seer-1:generateContent" => {
                (Protocol::Gemini, header("x-goog-api-key:"), text("/contents/0/parts/0/inlineData/data"))
            }
            other => panic!("no service has {other}"),
        }
    }
}

/// What the double answers: status, headers, body. No status: the connection is cut.
type Answer = (u16, &'static str, Value);

/// The answer of a good day, in the shape of whoever was asked.
fn good(asked: &Asked) -> Answer {
    let (protocol, key, picture) = asked.parts();
    if key != KEY {
        return (401, "", json!({"error": {"message": format!("invalid key {key}")}}));
    }
    let file = STANDARD.decode(picture).unwrap();
    let probe = media::decode::probe(&file).unwrap();
    assert!(probe.mime == "image/jpeg" && probe.width.max(probe.height) <= 1024, "{probe:?}");
    let text = format!("\"a picture,\n{} wide\"", probe.width);
    let body = match protocol {
        Protocol::Anthropic => json!({"type": "message", "content": [{"type": "text", "text": text}], "stop_reason": "end_turn"}),
        Protocol::OpenAi => json!({"choices": [{"message": {"role": "assistant", "content": text}, "finish_reason": "stop"}]}),
        Protocol::Gemini => {
            json!({"candidates": [{"content": {"role": "model", "parts": [{"text": text}]}, "finishReason": "STOP"}]})
        }
    };
    (200, "", body)
}

/// A service on this machine.
struct Double {
    url: String,
    asked: Arc<Mutex<Vec<Asked>>>,
}

impl Double {
    /// `answer` gets the number of the question, from 0.
    fn start(answer: impl Fn(usize, &Asked) -> Answer + Send + 'static) -> Double {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let asked: Arc<Mutex<Vec<Asked>>> = Arc::default();
        let log = Arc::clone(&asked);
        std::thread::spawn(move || {
            for stream in listener.incoming().map(Result::unwrap) {
                let question = read(&stream);
                let number = {
                    let mut log = log.lock().unwrap();
                    log.push(question.clone());
                    log.len() - 1
                };
                write(stream, answer(number, &question));
            }
        });
        Double { url, asked }
    }

    fn count(&self) -> usize {
        self.asked.lock().unwrap().len()
    }
}

fn read(stream: &TcpStream) -> Asked {
    let mut reader = BufReader::new(stream);
    let mut lines = Vec::new();
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).unwrap();
        match line.trim_end() {
            "" => break,
            line => lines.push(line.to_owned()),
        }
    }
    let path = lines.remove(0).split(' ').nth(1).unwrap().to_owned();
    let headers: Vec<String> = lines
        .iter()
        .filter_map(|l| l.split_once(':'))
        .map(|(name, value)| format!("{}:{value}", name.to_ascii_lowercase()))
        .collect();
    let length = headers.iter().find_map(|h| h.strip_prefix("content-length:")).unwrap().trim().parse().unwrap();
    let mut body = vec![0; length];
    reader.read_exact(&mut body).unwrap();
    Asked { path, headers, body: serde_json::from_slice(&body).unwrap() }
}

fn write(mut stream: TcpStream, (status, headers, body): Answer) {
    if status != 0 {
        let body = body.to_string();
        let head = format!("HTTP/1.1 {status} X\r\n{headers}content-length: {}\r\nconnection: close\r\n\r\n", body.len());
        let _ = stream.write_all((head + &body).as_bytes());
    }
}

/// A dataset with so many pictures without captions, whose captioner is this double.
async fn asking(double: &Double, protocol: Protocol, key: &str, pictures: u8) -> (Place, String) {
    let place = Place::with(|config| config.private_downloads = true).await;
    let dataset = place.dataset().await;
    for i in 0..pictures {
        place.send_plain(&dataset, &format!("{i}.jpg"), &picture(i * 60, 1600 + u32::from(i), 900)).await;
    }
    let base = if protocol == Protocol::OpenAi { format!("{}/v1/", double.url) } else { double.url.clone() };
    set(&place, protocol, &base, Some(key)).await.unwrap();
    (place, dataset)
}

async fn set(place: &Place, protocol: Protocol, url: &str, key: Option<&str>) -> Result<bool, DatasetError> {
    let audit = Audit::new(place.datasets.0.store.clone(), place.clock.clone());
    let vision = place.datasets.set_vision("ada", &audit, protocol, url, "seer-1", key.map(Secret::new)).await?;
    Ok(!vision.key.expose().is_empty())
}

async fn start(place: &Place, dataset: &str, all: bool) -> Result<(), DatasetError> {
    place.datasets.caption_all(&place.zoe, dataset, Instructed { instruction: String::new(), all }).await
}

async fn captions(place: &Place, dataset: &str) -> Vec<String> {
    place.pictures(dataset).await.into_iter().map(|p| p.caption).collect()
}

/// Waits until something is so.
async fn until(what: &str, mut is_so: impl AsyncFnMut() -> bool) {
    for _ in 0..2_000 {
        if is_so().await {
            return;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    panic!("waited in vain until {what}")
}

fn no_key_in(task: &TaskView) {
    assert!(!format!("{task:?} {}", serde_json::to_string(task).unwrap()).contains(KEY), "{task:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_protocol_captions_what_has_none() {
    for protocol in Protocol::ALL {
        let double = Double::start(|_, asked| good(asked));
        let (place, dataset) = asking(&double, protocol, KEY, 3).await;
        let by_hand = place.pictures(&dataset).await.remove(1);
        place.datasets.caption(&place.zoe, &by_hand.id, "by hand", by_hand.version).await.unwrap();
        start(&place, &dataset, false).await.unwrap();
        let task = place.over(&dataset).await;
        assert_eq!((task.state, task.good, task.done, task.total), ("done", 2, 2, 2), "{protocol:?}: {task:?}");
        assert_eq!(captions(&place, &dataset).await, ["a picture, 1024 wide", "by hand", "a picture, 1024 wide"]);
        let asked = double.asked.lock().unwrap().clone();
        assert!(asked.len() == 2 && asked.iter().all(|a| !a.path.contains(KEY) && !a.body.to_string().contains(KEY)));
        assert!(asked[0].body.to_string().contains("Describe this picture"), "the standing words");
        assert!(matches!(start(&place, &dataset, false).await, Err(DatasetError::Clash(_))), "nothing is left to do");
        // All, and the way back.
        start(&place, &dataset, true).await.unwrap();
        assert_eq!(place.over(&dataset).await.good, 3);
        assert_eq!(captions(&place, &dataset).await[1], "a picture, 1024 wide");
        place.datasets.undo(&place.zoe, &dataset).await.unwrap();
        assert_eq!(captions(&place, &dataset).await[1], "by hand");
        no_key_in(&task);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_wrong_key_ends_it_in_words_without_the_key() {
    for protocol in Protocol::ALL {
        let double = Double::start(|_, asked| good(asked));
        let (place, dataset) = asking(&double, protocol, "canary-key-4712", 2).await;
        start(&place, &dataset, false).await.unwrap();
        let task = place.over(&dataset).await;
        assert_eq!((task.state, task.good, double.count()), ("failed", 0, 1), "{task:?}");
        assert!(task.words.contains("does not accept the key") && task.words.contains("Invalid key •••"), "{task:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_wished_pause_is_kept_and_failures_are_tried_again() {
    let double = Double::start(|n, asked| match n {
        0 => (429, "retry-after: 30\r\n", json!({"error": {"message": "slow down"}})),
        2 => (503, "", json!(null)),
        3 => (0, "", json!(null)),
        _ => good(asked),
    });
    let (place, dataset) = asking(&double, Protocol::Anthropic, KEY, 2).await;
    start(&place, &dataset, false).await.unwrap();
    let says = async |words: &str| place.datasets.task(&dataset).is_some_and(|t| t.words.contains(words));
    until("it waits as wished", async || says("wait 30 s").await).await;
    place.clock.advance(Duration::from_secs(29));
    tokio::time::sleep(Duration::from_millis(100)).await;
    assert_eq!(double.count(), 1, "asked before the time");
    place.clock.advance(Duration::from_secs(2));
    until("it backs off", async || says("trying again in 1 s").await).await;
    assert_eq!(captions(&place, &dataset).await[0], "a picture, 1024 wide", "what is done is kept");
    place.clock.advance(Duration::from_secs(1));
    until("it backs off further", async || says("trying again in 2 s").await).await;
    place.clock.advance(Duration::from_secs(2));
    let task = place.over(&dataset).await;
    assert_eq!((task.state, task.good, double.count()), ("done", 2, 5), "{task:?}");
    no_key_in(&task);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_service_that_asks_too_much_is_given_up_and_a_refused_picture_is_not_the_end() {
    let double = Double::start(|n, asked| match n {
        0 => (400, "", json!({"type": "error", "error": {"type": "invalid_request_error", "message": "image is odd"}})),
        2 => (429, "retry-after: 3600\r\n", json!(null)),
        _ => good(asked),
    });
    let (place, dataset) = asking(&double, Protocol::Anthropic, KEY, 4).await;
    start(&place, &dataset, false).await.unwrap();
    let task = place.over(&dataset).await;
    assert_eq!((task.state, task.good, task.done), ("failed", 1, 2), "{task:?}");
    assert!(task.words.contains("60 minutes") && task.skipped[0].why.contains("Image is odd"), "{task:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn it_is_cancelled_at_once_and_writes_over_nobody() {
    let (go, gate) = std::sync::mpsc::channel::<()>();
    let gate = Mutex::new(gate);
    let double = Double::start(move |n, asked| {
        if n >= 1 {
            let _ = gate.lock().unwrap().recv();
        }
        good(asked)
    });
    let (place, dataset) = asking(&double, Protocol::Gemini, KEY, 4).await;
    start(&place, &dataset, false).await.unwrap();
    until("the second is asked for", async || double.count() == 2).await;
    // Edited while the model thinks.
    let second = place.pictures(&dataset).await.remove(1);
    place.datasets.caption(&place.zoe, &second.id, "by hand", second.version).await.unwrap();
    go.send(()).unwrap();
    until("the third is asked for", async || double.count() == 3).await;
    let begin = std::time::Instant::now();
    place.datasets.cancel(&dataset);
    let task = place.over(&dataset).await;
    assert!(begin.elapsed() < Duration::from_secs(2), "cancelled while the service was silent");
    assert_eq!((task.state, task.good, task.done), ("cancelled", 1, 2), "{task:?}");
    assert_eq!(task.skipped[0].why, "It was edited meanwhile");
    assert_eq!(captions(&place, &dataset).await, ["a picture, 1024 wide", "by hand", "", ""]);
    drop(go);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn only_the_last_captioning_is_taken_back_though_its_first_picture_went_meanwhile() {
    let (go, gate) = std::sync::mpsc::channel::<()>();
    let gate = Mutex::new(gate);
    let double = Double::start(move |n, asked| {
        if n == 3 {
            let _ = gate.lock().unwrap().recv();
        }
        good(asked)
    });
    let (place, dataset) = asking(&double, Protocol::OpenAi, KEY, 3).await;
    start(&place, &dataset, true).await.unwrap();
    assert_eq!(place.over(&dataset).await.good, 3);
    // What was captioned stays so, and the last one is edited: the second time, the first is removed while the model thinks.
    let pictures = place.pictures(&dataset).await;
    place.datasets.caption(&place.zoe, &pictures[2].id, "by hand", pictures[2].version).await.unwrap();
    start(&place, &dataset, true).await.unwrap();
    until("the first is asked for again", async || double.count() == 4).await;
    place.datasets.remove(&place.zoe, &pictures[0].id).await.unwrap();
    go.send(()).unwrap();
    let task = place.over(&dataset).await;
    assert_eq!((task.good, task.skipped[0].why.as_str()), (2, "It was removed meanwhile"), "{task:?}");
    place.datasets.restore(&place.zoe, &pictures[0].id).await.unwrap();
    place.datasets.undo(&place.zoe, &dataset).await.unwrap();
    assert_eq!(captions(&place, &dataset).await, ["a picture, 1024 wide", "a picture, 1024 wide", "by hand"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_key_goes_to_its_own_server_only_and_no_private_address_is_asked() {
    let double = Double::start(|_, asked| good(asked));
    let (place, dataset) = asking(&double, Protocol::Anthropic, KEY, 1).await;
    assert!(set(&place, Protocol::Gemini, &format!("{}/other", double.url), None).await.unwrap(), "the same server keeps it");
    assert!(!set(&place, Protocol::Gemini, "http://127.0.0.1:1", None).await.unwrap(), "another one does not get it");
    for (url, model) in
        [("file:///etc/passwd", "m"), ("https://a:b@host", "m"), ("https://host?key=x", "m"), ("https://host", "a b")]
    {
        let audit = Audit::new(place.datasets.0.store.clone(), place.clock.clone());
        let refused = place.datasets.set_vision("ada", &audit, Protocol::OpenAi, url, model, None).await;
        assert!(matches!(refused, Err(DatasetError::Field(..))), "{url}");
    }
    let place = Place::new().await;
    let other = place.dataset().await;
    place.send_plain(&other, "a.jpg", &picture(9, 64, 64)).await;
    assert!(matches!(start(&place, &other, false).await, Err(DatasetError::Clash(why)) if why.contains("admin")));
    set(&place, Protocol::Anthropic, &double.url, Some(KEY)).await.unwrap();
    let refused = start(&place, &other, false).await.unwrap_err().to_string();
    assert!(refused.contains("private network"), "{refused}");
    assert_eq!(double.count(), 0);
    let _ = dataset;
}
