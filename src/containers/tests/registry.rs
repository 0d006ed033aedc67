//! A registry of images on loopback, as much of it as an engine asks for: it can be slow, want a password, and break off.
//! Knows no engine.

use sha2::{Digest as _, Sha256};
use std::{
    collections::HashMap,
    io::{BufRead as _, BufReader, Write as _},
    net::{TcpListener, TcpStream},
    path::Path,
    process::Command,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};

const MANIFEST: &str = "application/vnd.docker.distribution.manifest.v2+json";
const CONFIG: &str = "application/vnd.docker.container.image.v1+json";
const LAYER: &str = "application/vnd.docker.image.rootfs.diff.tar.gzip";
/// Base64 of zoe:secret.
const LOGIN: &str = "Basic em9lOnNlY3JldA==";

/// What it does besides answering.
#[derive(Default)]
pub(crate) struct Whims {
    /// Bytes of a blob a second; 0: as fast as it goes.
    pub(crate) rate: AtomicU64,
    /// Nobody gets anything without the login of zoe.
    pub(crate) closed: AtomicBool,
    /// The next blob of more than a megabyte breaks off in its middle.
    pub(crate) breaks: AtomicBool,
    /// Bytes of blobs that were sent.
    pub(crate) sent: AtomicU64,
}

/// A registry with one image, `tool:1`.
pub(crate) struct Registry {
    pub(crate) address: String,
    /// Digest of its manifest.
    pub(crate) digest: String,
    pub(crate) whims: Arc<Whims>,
}

struct Content {
    manifest: String,
    digest: String,
    blobs: HashMap<String, Vec<u8>>,
}

impl Registry {
    /// Serves an image of these layers, each the content of a folder.
    pub(crate) fn serve(layers: &[&Path]) -> Registry {
        let content = Arc::new(content(layers));
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let (whims, digest) = (Arc::<Whims>::default(), content.digest.clone());
        let theirs = Arc::clone(&whims);
        std::thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let (content, whims) = (Arc::clone(&content), Arc::clone(&theirs));
                // One who hangs up is no concern of the others.
                std::thread::spawn(move || drop(answer(stream, &content, &whims)));
            }
        });
        Registry { address, digest, whims }
    }
}

fn content(layers: &[&Path]) -> Content {
    let (mut blobs, mut entries, mut ids) = (HashMap::new(), Vec::new(), Vec::new());
    for folder in layers {
        let tar = Command::new("tar").arg("-C").arg(folder).args(["-c", "."]).output().unwrap().stdout;
        ids.push(digest(&tar));
        // Engines look at the bytes and take what is not packed as it is.
        entries.push(serde_json::json!({ "mediaType": LAYER, "size": tar.len(), "digest": digest(&tar) }));
        blobs.insert(digest(&tar), tar);
    }
    let config = serde_json::json!({
        "architecture": "amd64", "os": "linux", "created": "2026-01-01T00:00:00Z",
        "config": { "Env": ["PATH=/bin"], "Cmd": ["/bin/sh"] },
        "rootfs": { "type": "layers", "diff_ids": ids },
        "history": ids.iter().map(|_| serde_json::json!({ "created": "2026-01-01T00:00:00Z" })).collect::<Vec<_>>(),
    })
    .to_string();
    let config_entry = serde_json::json!({ "mediaType": CONFIG, "size": config.len(), "digest": digest(config.as_bytes()) });
    blobs.insert(digest(config.as_bytes()), config.into_bytes());
    let manifest =
        serde_json::json!({ "schemaVersion": 2, "mediaType": MANIFEST, "config": config_entry, "layers": entries }).to_string();
    Content { digest: digest(manifest.as_bytes()), manifest, blobs }
}

fn digest(bytes: &[u8]) -> String {
    let hex: String = Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect();
    format!("sha256:{hex}")
}

fn answer(mut stream: TcpStream, content: &Content, whims: &Whims) -> std::io::Result<()> {
    let mut lines = BufReader::new(stream.try_clone()?).lines();
    let first = lines.next().transpose()?.unwrap_or_default();
    let head: Vec<String> = lines.map_while(Result::ok).take_while(|line| !line.is_empty()).collect();
    let mut words = first.split(' ');
    let (method, path) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
    let login = head.iter().any(|line| line.to_lowercase().starts_with("authorization:") && line.ends_with(LOGIN));
    if whims.closed.load(Ordering::Relaxed) && !login {
        let challenge = "WWW-Authenticate: Basic realm=\"easel\"\r\n";
        let why = error("UNAUTHORIZED", "authentication required");
        return reply(&mut stream, "401 Unauthorized", challenge, "application/json", &why);
    }
    let manifest = || format!("Docker-Content-Digest: {}\r\n", content.digest);
    match path.strip_prefix("/v2/").unwrap_or_default() {
        "" => reply(&mut stream, "200 OK", "", "application/json", b"{}"),
        rest if rest == "tool/manifests/1" || rest == format!("tool/manifests/{}", content.digest) => {
            let body = content.manifest.as_bytes();
            match method {
                "HEAD" => head_only(&mut stream, &manifest(), MANIFEST, body.len()),
                _ => reply(&mut stream, "200 OK", &manifest(), MANIFEST, body),
            }
        }
        rest => match rest.strip_prefix("tool/blobs/").and_then(|digest| content.blobs.get(digest)) {
            Some(blob) => send_slowly(&mut stream, blob, whims),
            None => reply(&mut stream, "404 Not Found", "", "application/json", &error("MANIFEST_UNKNOWN", "manifest unknown")),
        },
    }
}

fn error(code: &str, message: &str) -> Vec<u8> {
    serde_json::json!({ "errors": [{ "code": code, "message": message }] }).to_string().into_bytes()
}

fn head_only(stream: &mut TcpStream, extra: &str, kind: &str, length: usize) -> std::io::Result<()> {
    let version = "Docker-Distribution-Api-Version: registry/2.0\r\n";
    write!(
        stream,
        "HTTP/1.1 200 OK\r\n{version}{extra}Content-Type: {kind}\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n"
    )
}

fn reply(stream: &mut TcpStream, status: &str, extra: &str, kind: &str, body: &[u8]) -> std::io::Result<()> {
    let version = "Docker-Distribution-Api-Version: registry/2.0\r\n";
    let length = body.len();
    write!(
        stream,
        "HTTP/1.1 {status}\r\n{version}{extra}Content-Type: {kind}\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n"
    )?;
    stream.write_all(body)
}

fn send_slowly(stream: &mut TcpStream, blob: &[u8], whims: &Whims) -> std::io::Result<()> {
    head_only(stream, "", "application/octet-stream", blob.len())?;
    let breaks = blob.len() > 1_000_000 && whims.breaks.swap(false, Ordering::Relaxed);
    let blob = if breaks { &blob[..blob.len() / 2] } else { blob };
    for piece in blob.chunks(64 * 1024) {
        stream.write_all(piece)?;
        whims.sent.fetch_add(piece.len() as u64, Ordering::Relaxed);
        if let rate @ 1.. = whims.rate.load(Ordering::Relaxed) {
            std::thread::sleep(Duration::from_secs_f64(piece.len() as f64 / rate as f64));
        }
    }
    Ok(())
}
