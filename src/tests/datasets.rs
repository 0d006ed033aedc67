//! Datasets of the real program over HTTP: pictures and archives in, captions, archives out; hostile archives; what is
//! another's. Knows the API, and where files lie on the disk.

use crate::{jobs_survive::Api, program::Program};
use panel::outgoing::client;
use reqwest::{Method, Response};
use serde_json::{Value, json};
use std::{
    collections::BTreeMap,
    io::{Cursor, Read as _, Write as _},
    path::Path,
    time::{Duration, Instant},
};
use zip::{CompressionMethod, ZipArchive, ZipWriter, write::SimpleFileOptions};

const USERS: &str = "[[user]]\nname = \"Zoe\"\n[[user]]\nname = \"Bob\"\n";
/// Bytes of a piece: several for each file.
const PIECE: usize = 4_000;

/// A picture with some structure, so that it has more than one piece.
pub(crate) fn picture(seed: u32, width: u32, height: u32) -> Vec<u8> {
    let pixel = |x: u32, y: u32| {
        let wave = (f64::from(x * (seed % 7 + 1)) / 23.0).sin() + (f64::from(y * (seed % 5 + 1)) / 31.0).cos();
        let value = (wave * 50.0 + 128.0) as u8;
        image::Rgb([value, value.wrapping_add((seed * 40) as u8), 255 - value])
    };
    let mut file = Cursor::new(Vec::new());
    image::RgbImage::from_fn(width, height, pixel).write_to(&mut file, image::ImageFormat::Png).unwrap();
    file.into_inner()
}

/// An archive of these files.
pub(crate) fn archive(files: &[(&str, &[u8])]) -> Vec<u8> {
    let mut zip = ZipWriter::new(Cursor::new(Vec::new()));
    let options = SimpleFileOptions::default().compression_method(CompressionMethod::Deflated);
    for (name, bytes) in files {
        zip.start_file(*name, options).unwrap();
        zip.write_all(bytes).unwrap();
    }
    zip.finish().unwrap().into_inner()
}

async fn piece(api: &Api, id: &str, offset: usize, bytes: &[u8]) -> Response {
    let request = client().build().unwrap().patch(format!("{}/dataset-uploads/{id}", api.base)).bearer_auth(&api.token);
    let request = request.header("upload-offset", offset).header("content-type", "application/octet-stream");
    request.body(bytes.to_vec()).send().await.unwrap()
}

/// Sends a file in pieces; the answer to the last one.
async fn bring(api: &Api, dataset: &str, name: &str, file: &[u8], caption: &str) -> (u16, Value) {
    let begin = json!({"name": name, "bytes": file.len(), "caption": caption});
    let (status, begun) = api.send(Method::POST, &format!("/datasets/{dataset}/uploads"), Some(&begin)).await;
    assert_eq!(status, 201, "{begun}");
    let mut last = (0, Value::Null);
    for (i, part) in file.chunks(PIECE).enumerate() {
        let answer = piece(api, begun["id"].as_str().unwrap(), i * PIECE, part).await;
        last = (answer.status().as_u16(), answer.json().await.unwrap());
    }
    last
}

/// Waits for the end of what runs.
async fn over(api: &Api, dataset: &str) -> Value {
    let begin = Instant::now();
    loop {
        let task = api.get(&format!("/datasets/{dataset}")).await["task"].clone();
        if task["state"] != "running" {
            return task;
        }
        assert!(begin.elapsed() < Duration::from_secs(60), "it does not end: {task}");
        tokio::time::sleep(Duration::from_millis(30)).await;
    }
}

/// Names and bytes of an archive.
fn unpacked(bytes: Vec<u8>) -> BTreeMap<String, Vec<u8>> {
    let mut archive = ZipArchive::new(Cursor::new(bytes)).unwrap();
    let entries = archive.len();
    let read = |i| {
        let mut entry = archive.by_index(i).unwrap();
        let (name, mut bytes) = (entry.name().unwrap().into_owned(), Vec::new());
        entry.read_to_end(&mut bytes).unwrap();
        (name, bytes)
    };
    (0..entries).map(read).collect()
}

async fn make(api: &Api, name: &str) -> String {
    let (status, made) = api.send(Method::POST, "/datasets", Some(&json!({"name": name, "trigger": "ohwx"}))).await;
    assert_eq!(status, 201, "{made}");
    made["id"].as_str().unwrap().to_owned()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pictures_and_captions_go_in_and_come_out_as_trainers_want_them() {
    let program = Program::start(USERS);
    let zoe = Api::of(&program, "zoe");
    let dataset = make(&zoe, "Zoë's cats").await;
    let (one, two, three) = (picture(1, 700, 500), picture(2, 640, 640), picture(3, 300, 200));
    let (status, first) = bring(&zoe, &dataset, "one.png", &one, "a grey cat").await;
    assert_eq!((status, &first["state"]), (200, &json!("added")), "{first}");
    assert_eq!(bring(&zoe, &dataset, "again.png", &one, "").await.1["state"], "already");
    let zip = archive(&[("in/one.png", &two), ("in/one.txt", b"a photo of [trigger]"), ("three.png", &three), ("x.txt", b"")]);
    assert_eq!(bring(&zoe, &dataset, "cats.zip", &zip, "").await.1["state"], "unpacking");
    let task = over(&zoe, &dataset).await;
    assert_eq!((&task["state"], &task["good"], &task["skipped"][0]["count"]), (&json!("done"), &json!(2), &json!(1)), "{task}");
    let now = zoe.get(&format!("/datasets/{dataset}")).await;
    assert_eq!((&now["dataset"]["pictures"], &now["dataset"]["captioned"]), (&json!(3), &json!(2)));
    let thumb = zoe.file(now["pictures"][1]["thumb"].as_str().unwrap()).await.unwrap();
    assert_eq!(&thumb[8..12], b"WEBP");
    assert_eq!(zoe.file(now["pictures"][1]["url"].as_str().unwrap()).await.unwrap(), two, "unchanged");
    // Only what changed since a version.
    let since = now["dataset"]["version"].as_i64().unwrap() - 1;
    assert_eq!(zoe.get(&format!("/datasets/{dataset}?after={since}")).await["pictures"].as_array().unwrap().len(), 1);

    let flat = unpacked(zoe.file(&format!("/api/v1/datasets/{dataset}/zip")).await.unwrap());
    let text = |files: &BTreeMap<String, Vec<u8>>, name: &str| String::from_utf8(files[name].clone()).unwrap();
    let names: Vec<&str> = flat.keys().map(String::as_str).collect();
    let folder = "Zoë s cats";
    let wanted = ["one-2.png", "one-2.txt", "one.png", "one.txt", "three.png", "three.txt"].map(|n| format!("{folder}/{n}"));
    assert_eq!(names, wanted);
    assert_eq!(flat[&format!("{folder}/one.png")], one);
    for (name, caption) in [("one.txt", "ohwx, a grey cat"), ("one-2.txt", "a photo of ohwx"), ("three.txt", "ohwx")] {
        assert_eq!(text(&flat, &format!("{folder}/{name}")), caption);
    }
    let kohya = zoe.file(&format!("/api/v1/datasets/{dataset}/zip?layout=kohya&repeats=5&class=cat")).await.unwrap();
    assert!(unpacked(kohya).keys().all(|name| name.starts_with(&format!("{folder}/5_ohwx cat/"))));
    for wrong in ["layout=x", "layout=kohya&repeats=0", "layout=kohya&repeats=1001"] {
        assert_eq!(zoe.file(&format!("/api/v1/datasets/{dataset}/zip?{wrong}")).await, Err(422), "{wrong}");
    }

    let (status, export) = zoe.send(Method::POST, &format!("/datasets/{dataset}/export"), Some(&json!({}))).await;
    assert_eq!((status, &export["folder"]), (202, &json!(format!("datasets/zoe/{folder}"))), "{export}");
    assert_eq!(over(&zoe, &dataset).await["state"], "done");
    let written = program.data().join("workspace/datasets/zoe").join(folder);
    for (name, bytes) in &flat {
        assert_eq!(&std::fs::read(written.with_file_name(name)).unwrap(), bytes, "{name}");
    }

    let buckets = zoe.get(&format!("/datasets/{dataset}/buckets?resolution=512")).await;
    assert_eq!((&buckets["small"], buckets["buckets"].as_array().unwrap().len()), (&json!(1), 3), "{buckets}");
    assert_eq!(buckets["pictures"][1]["bucket"], json!([512, 512]));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn captions_clash_in_words_and_many_change_at_once() {
    let program = Program::start(USERS);
    let zoe = Api::of(&program, "zoe");
    let dataset = make(&zoe, "Cats").await;
    let (_, taken) = bring(&zoe, &dataset, "one.png", &picture(1, 100, 100), "a cat").await;
    bring(&zoe, &dataset, "two.png", &picture(2, 100, 100), "a cat, a cat").await;
    let path = format!("/dataset-pictures/{}/caption", taken["picture"]["id"].as_str().unwrap());
    let version = &taken["picture"]["version"];
    let (status, newer) = zoe.send(Method::PUT, &path, Some(&json!({"caption": "a dog", "version": version}))).await;
    assert_eq!((status, &newer["caption"]), (200, &json!("a dog")));
    let (status, stale) = zoe.send(Method::PUT, &path, Some(&json!({"caption": "a cow", "version": version}))).await;
    assert_eq!((status, &stale["picture"]["caption"], &stale["status"]), (409, &json!("a dog"), &json!(409)), "{stale}");
    assert!(stale["detail"].as_str().unwrap().contains("changed elsewhere"));
    let retry = json!({"caption": "a cow", "version": stale["picture"]["version"]});
    assert_eq!(zoe.send(Method::PUT, &path, Some(&retry)).await.0, 200);

    let replace = |preview: bool| json!({"find": "CAT", "with": "tiger", "preview": preview});
    let at = format!("/datasets/{dataset}/replace");
    let (_, looked) = zoe.send(Method::POST, &at, Some(&replace(true))).await;
    assert_eq!((&looked["captions"], &looked["places"]), (&json!(1), &json!(2)), "{looked}");
    assert_eq!(looked["examples"][0], json!({"before": "a cat, a cat", "after": "a tiger, a tiger"}));
    assert_eq!(zoe.send(Method::POST, &at, Some(&replace(false))).await.1["captions"], 1);
    let captions = async || {
        let now = zoe.get(&format!("/datasets/{dataset}")).await;
        now["pictures"].as_array().unwrap().iter().map(|p| p["caption"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(captions().await, ["a cow", "a tiger, a tiger"]);
    assert_eq!(zoe.send(Method::POST, &format!("/datasets/{dataset}/undo"), None).await.1["captions"], 1);
    assert_eq!(captions().await, ["a cow", "a cat, a cat"]);
    assert_eq!(zoe.send(Method::POST, &format!("/datasets/{dataset}/undo"), None).await.0, 409);
    assert_eq!(zoe.send(Method::POST, &at, Some(&json!({"find": ""}))).await.0, 422);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_anothers_does_not_exist_and_uploads_go_on_after_a_kill() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("users.toml"), USERS).unwrap();
    let mut program = Program::start_in(folder.path(), &[]);
    let (zoe, bob) = (Api::of(&program, "zoe"), Api::of(&program, "bob"));
    let dataset = make(&zoe, "Cats").await;
    let file = picture(4, 300, 300);
    let begin = json!({"name": "cat.png", "bytes": file.len()});
    let (_, begun) = zoe.send(Method::POST, &format!("/datasets/{dataset}/uploads"), Some(&begin)).await;
    let upload = begun["id"].as_str().unwrap();
    assert_eq!(piece(&zoe, upload, 0, &file[..PIECE]).await.status(), 200);
    assert_eq!(piece(&bob, upload, PIECE, &file[PIECE..]).await.status(), 404);
    for (method, path) in [
        (Method::GET, format!("/datasets/{dataset}")),
        (Method::PATCH, format!("/datasets/{dataset}")),
        (Method::DELETE, format!("/datasets/{dataset}")),
        (Method::GET, format!("/datasets/{dataset}/zip")),
        (Method::GET, format!("/datasets/{dataset}/buckets")),
        (Method::POST, format!("/datasets/{dataset}/uploads")),
        (Method::POST, format!("/datasets/{dataset}/export")),
        (Method::DELETE, format!("/datasets/{dataset}/task")),
    ] {
        assert_eq!(bob.send(method.clone(), &path, Some(&json!({}))).await.0, 404, "{method} {path}");
    }
    assert!(bob.get("/datasets").await["items"].as_array().unwrap().is_empty());

    // What was acknowledged survives a kill, and a sender goes on from there.
    program.kill();
    program = Program::start_in(folder.path(), &[]);
    let zoe = zoe.at(&program);
    let answer = piece(&zoe, upload, 0, &file).await;
    assert_eq!(answer.status(), 409, "the next byte is another");
    let done: Value = piece(&zoe, upload, PIECE, &file[PIECE..]).await.json().await.unwrap();
    assert_eq!(done["state"], "added", "{done}");
    // The last answer was lost: the same once more.
    let again: Value = piece(&zoe, upload, file.len(), &[]).await.json().await.unwrap();
    assert_eq!((&again["state"], &again["picture"]["id"]), (&json!("added"), &done["picture"]["id"]), "{again}");
}

/// What a profile's stream of events says until it holds these words, or until time is up.
async fn hears(api: &Api, mut stream: Response, words: &str, patience: Duration) -> bool {
    let (mut heard, begin) = (String::new(), Instant::now());
    while let Ok(Ok(Some(chunk))) = tokio::time::timeout(patience.saturating_sub(begin.elapsed()), stream.chunk()).await {
        heard.push_str(&String::from_utf8_lossy(&chunk));
        if heard.contains(words) {
            return true;
        }
    }
    assert!(!heard.contains("easel_") && !api.token.is_empty());
    false
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_second_browser_hears_of_changes_and_nobody_else_does() {
    let program = Program::start(USERS);
    let (zoe, bob) = (Api::of(&program, "zoe"), Api::of(&program, "bob"));
    let dataset = make(&zoe, "Cats").await;
    let listen = async |api: &Api| {
        client().build().unwrap().get(format!("{}/events", api.base)).bearer_auth(&api.token).send().await.unwrap()
    };
    let (own, others) = (listen(&zoe).await, listen(&bob).await);
    bring(&zoe, &dataset, "one.png", &picture(1, 100, 100), "a cat").await;
    let words = format!("event: dataset\ndata: {{\"dataset\":\"{dataset}\",\"version\":2");
    assert!(hears(&zoe, own, &words, Duration::from_secs(20)).await);
    assert!(!hears(&bob, others, &dataset, Duration::from_secs(1)).await);
    // One who comes later hears how it stands, and that it is gone.
    let late = listen(&zoe).await;
    assert_eq!(zoe.send(Method::DELETE, &format!("/datasets/{dataset}"), None).await.0, 204);
    let gone = format!("{{\"dataset\":\"{dataset}\",\"version\":null");
    assert!(hears(&zoe, late, &gone, Duration::from_secs(20)).await);
}

/// Every file below a folder, but the store and logs.
fn files(folder: &Path) -> Vec<String> {
    let (mut found, mut left) = (Vec::new(), vec![folder.to_path_buf()]);
    while let Some(at) = left.pop() {
        for entry in std::fs::read_dir(at).unwrap().map(Result::unwrap) {
            let path = entry.path();
            if entry.file_type().unwrap().is_dir() && !path.ends_with("state") && !path.ends_with("logs") {
                left.push(path);
            } else if entry.file_type().unwrap().is_file() {
                found.push(path.display().to_string());
            }
        }
    }
    found
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn hostile_archives_leave_no_byte_outside() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("users.toml"), USERS).unwrap();
    let program = Program::start_in(folder.path(), &[]);
    let zoe = Api::of(&program, "zoe");
    let dataset = make(&zoe, "Cats").await;
    let before = files(folder.path());
    let good = picture(7, 90, 90);
    let renamed = |evil: &str| {
        let plain = format!("{}.png", "p".repeat(evil.len() - 4));
        let mut zip = archive(&[(&plain, &picture(8, 90, 90)), ("good.png", &good)]);
        let places: Vec<_> =
            zip.windows(plain.len()).enumerate().filter(|(_, w)| *w == plain.as_bytes()).map(|(i, _)| i).collect();
        for at in places {
            zip[at..at + evil.len()].copy_from_slice(evil.as_bytes());
        }
        zip
    };
    let bomb = archive(&[("good.png", &good), ("bomb.png", &vec![0; 32 << 20])]);
    let hostile = [
        ("../../../../../../escaped.png", "leads out"),
        ("/tmp/escaped-from-easel.png", "leads out"),
        ("..\\..\\..\\..\\escaped.png", "leads out"),
        ("x/../../../state/easel.png", "leads out"),
    ];
    for (name, why) in hostile {
        assert_eq!(bring(&zoe, &dataset, "evil.zip", &renamed(name), "").await.0, 200);
        let task = over(&zoe, &dataset).await;
        assert!(task["skipped"].to_string().contains(why) && task["state"] == "done", "{name}: {task}");
    }
    assert_eq!(bring(&zoe, &dataset, "bomb.zip", &bomb, "").await.0, 200);
    let task = over(&zoe, &dataset).await;
    assert!(task["state"] == "failed" && task["words"].as_str().unwrap().contains("100 times"), "{task}");
    assert_eq!(zoe.get(&format!("/datasets/{dataset}")).await["pictures"].as_array().unwrap().len(), 1, "the good one, once");
    let own = program.data().join("datasets/zoe").display().to_string();
    let new: Vec<_> = files(folder.path()).into_iter().filter(|f| !before.contains(f)).collect();
    assert!(new.len() == 2 && new.iter().all(|f| f.starts_with(&own)), "{new:?}");
    assert!(!Path::new("/tmp/escaped-from-easel.png").exists());
}
