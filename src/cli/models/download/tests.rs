//! Tests of downloads against a server of few words, in fair weather and foul.

use super::*;
use std::{
    io::{BufRead, BufReader},
    net::{TcpListener, TcpStream},
    sync::{Arc, Mutex},
};

/// How the server behaves, and what it was asked.
struct Server {
    /// The file, and the mark of its version.
    file: Vec<u8>,
    etag: &'static str,
    content_type: &'static str,
    /// Bytes after which each connection is cut; empty when no more are.
    cuts: Vec<usize>,
    /// After the first cut there is another version.
    changes: bool,
    /// `Range` of each request.
    asked: Vec<Option<String>>,
}

/// A single file whose header says that it is a model, with some weight to it.
fn model(seed: u8) -> Vec<u8> {
    let header = r#"{"model.diffusion_model.input_blocks.0.0.weight":{"dtype":"F32","shape":[0,4,3,3],"data_offsets":[0,0]},
        "first_stage_model.decoder.conv_in.weight":{"dtype":"F32","shape":[0],"data_offsets":[0,0]},
        "cond_stage_model.transformer.text_model.embeddings.token_embedding.weight":{"dtype":"F32","shape":[65536],"data_offsets":[0,262144]}}"#;
    let mut file = (header.len() as u64).to_le_bytes().to_vec();
    file.extend(header.as_bytes());
    file.extend((0..262_144u32).map(|i| (i as u8).wrapping_mul(31).wrapping_add(seed)));
    file
}

fn server(file: Vec<u8>) -> Server {
    Server { file, etag: "\"v1\"", content_type: "application/octet-stream", cuts: Vec::new(), changes: false, asked: Vec::new() }
}

/// Serves on a free port of this machine; the address of the file.
fn start(server: Server) -> (String, Arc<Mutex<Server>>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/files/tiny.safetensors?token=secret", listener.local_addr().unwrap());
    let server = Arc::new(Mutex::new(server));
    let shared = Arc::clone(&server);
    std::thread::spawn(move || listener.incoming().for_each(|stream| answer(stream.unwrap(), &shared)));
    (url, server)
}

fn answer(stream: TcpStream, server: &Mutex<Server>) {
    let mut server = server.lock().unwrap();
    let headers: Vec<String> = BufReader::new(&stream)
        .lines()
        .map(Result::unwrap)
        .take_while(|l| !l.is_empty())
        .map(|l| l.to_ascii_lowercase())
        .collect();
    let header = |name: &str| headers.iter().find_map(|l| l.strip_prefix(name)).map(|v| v.trim().to_owned());
    let range = header("range:");
    let same = header("if-range:").is_some_and(|mark| mark == server.etag);
    server.asked.push(range.clone());
    let from = range.filter(|_| same).and_then(|r| r.strip_prefix("bytes=")?.strip_suffix('-')?.parse::<usize>().ok());
    let start = from.unwrap_or(0);
    let body = server.file[start..].to_vec();
    let status = if from.is_some() { "206 Partial Content" } else { "200 OK" };
    let total = server.file.len();
    let span = from.map(|s| format!("Content-Range: bytes {s}-{}/{total}\r\n", total - 1)).unwrap_or_default();
    let head = format!(
        "HTTP/1.1 {status}\r\nContent-Length: {}\r\nContent-Type: {}\r\nETag: {}\r\n{span}Connection: close\r\n\r\n",
        body.len(),
        server.content_type,
        server.etag
    );
    let cut = if server.cuts.is_empty() { None } else { Some(server.cuts.remove(0)) };
    let body = &body[..cut.unwrap_or(body.len()).min(body.len())];
    let _ = (&stream).write_all(head.as_bytes()).and_then(|()| (&stream).write_all(body));
    if cut.is_some() && server.changes {
        (server.file, server.etag, server.changes) = (model(99), "\"v2\"", false);
    }
}

/// Names in the folder.
fn names(folder: &Path) -> Vec<String> {
    let mut names: Vec<String> =
        fs::read_dir(folder).unwrap().map(|e| e.unwrap().file_name().to_string_lossy().into_owned()).collect();
    names.sort();
    names
}

#[test]
fn a_broken_download_goes_on_where_it_stopped() {
    let folder = tempfile::tempdir().unwrap();
    let (url, server) = start(Server { cuts: vec![100_000, 50_000], ..server(model(1)) });
    let path = run(folder.path(), &url, None, None).unwrap();
    assert_eq!(fs::read(&path).unwrap(), model(1));
    assert_eq!(names(folder.path()), ["tiny.safetensors"]);
    let asked = server.lock().unwrap().asked.clone();
    assert_eq!(asked.len(), 3);
    assert_eq!(asked[0], None);
    assert_eq!(asked[2].as_deref(), Some("bytes=150000-"));
}

#[test]
fn another_version_starts_again() {
    let folder = tempfile::tempdir().unwrap();
    let (url, _) = start(Server { cuts: vec![100_000], changes: true, ..server(model(1)) });
    let path = run(folder.path(), &url, None, None).unwrap();
    assert_eq!(fs::read(path).unwrap(), model(99), "never two versions in one file");
}

#[test]
fn a_later_run_goes_on_too() {
    let folder = tempfile::tempdir().unwrap();
    let (url, shared) = start(Server { cuts: vec![100_000, 0, 0, 0, 0, 0, 0], ..server(model(1)) });
    let error = run(folder.path(), &url, None, None).unwrap_err();
    assert!(format!("{error:#}").contains("goes on there") && !format!("{error:#}").contains("secret"), "{error:#}");
    assert_eq!(names(folder.path()), [".tiny.safetensors.etag", ".tiny.safetensors.part"]);
    shared.lock().unwrap().cuts.clear();
    let sum = hex(&Sha256::digest(model(1)));
    assert_eq!(fs::read(run(folder.path(), &url, None, Some(&sum)).unwrap()).unwrap(), model(1));
    assert_eq!(shared.lock().unwrap().asked.last().unwrap().as_deref(), Some("bytes=100000-"));
    assert!(run(folder.path(), &url, None, None).is_err(), "nothing is written over");
}

#[test]
fn what_is_no_model_leaves_nothing() {
    let page = b"<!DOCTYPE html><html>log in</html>".to_vec();
    let cases = [
        (Server { content_type: "text/html; charset=utf-8", ..server(page.clone()) }, None, "web page"),
        (server(page), None, "web page"),
        (server(model(1)[..5_000].to_vec()), None, "cut short"),
        (server(model(1)), Some("00"), "SHA-256"),
        (server(b"".to_vec()), None, "empty"),
    ];
    for (server, sha256, word) in cases {
        let folder = tempfile::tempdir().unwrap();
        let (url, _) = start(server);
        let error = format!("{:#}", run(folder.path(), &url, None, sha256).unwrap_err());
        assert!(error.contains(word), "{error}");
        assert!(names(folder.path()).is_empty(), "{word}: {:?}", names(folder.path()));
    }
}

#[test]
fn addresses_name_the_file() {
    let folder = tempfile::tempdir().unwrap();
    for url in ["ftp://x/y.safetensors", "http://127.0.0.1:1/x.safetensors", "nonsense"] {
        assert!(run(folder.path(), url, None, None).is_err(), "{url}");
    }
    assert_eq!(range("bytes 5-9/10"), Some((5, 10)));
    assert_eq!(range("bytes */10"), None);
}

/// Every way to write such an address is tried where it is judged, in `panel::addresses`.
#[tokio::test]
async fn a_download_for_the_panel_asks_no_private_address_and_leaves_nothing() {
    let (url, shared) = start(server(model(1)));
    let folder = tempfile::tempdir().unwrap();
    let wish = Wish { url: &url, public_only: true, ..Wish::default() };
    let why = format!("{:#}", fetch(folder.path(), wish, &mut |_| {}).await.unwrap_err());
    assert!(why.contains("private network") && !why.contains("secret"), "{why}");
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
    assert!(shared.lock().unwrap().asked.is_empty(), "it was asked");
}
