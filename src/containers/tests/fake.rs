//! An engine that answers as a test says, over a socket of its own: for what a real one does only when it is ill. Knows no meaning of
//! what it is asked.

use containers::{Engine, Studio};
use std::{
    io::{BufRead as _, BufReader, Read as _, Write as _},
    os::unix::net::{UnixListener, UnixStream},
    sync::Arc,
    thread,
};
use tempfile::TempDir;

/// What is asked first by whoever connects.
const VERSION: &str = r#"{"Version":"1.0","ApiVersion":"1.41","Components":[]}"#;

/// An answer.
pub(crate) enum Answer {
    /// A status and a body.
    Says(u16, String),
    /// A terminal that shows nothing and takes every key.
    Terminal,
}

/// An engine, for as long as this is held.
pub(crate) struct Fake(TempDir);

impl Fake {
    /// Answers "GET /containers/x/json" and the like, each in a thread of its own, which may take its time.
    pub(crate) fn serve(answer: impl Fn(&str) -> Answer + Send + Sync + 'static) -> Fake {
        let folder = tempfile::tempdir().unwrap();
        let listener = UnixListener::bind(folder.path().join("sock")).unwrap();
        let answer: Arc<dyn Fn(&str) -> Answer + Send + Sync> = Arc::new(answer);
        thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let answer = Arc::clone(&answer);
                // Whoever asked may have hung up.
                thread::spawn(move || drop(serve(stream, answer.as_ref())));
            }
        });
        Fake(folder)
    }

    /// Its handle.
    pub(crate) async fn engine(&self) -> Engine {
        Engine::at(&self.0.path().join("sock"), Studio::new("one").unwrap()).await.unwrap()
    }
}

fn serve(mut stream: UnixStream, answer: &dyn Fn(&str) -> Answer) -> std::io::Result<()> {
    let mut lines = BufReader::new(stream.try_clone()?);
    let (mut first, mut length) = (String::new(), 0);
    lines.read_line(&mut first)?;
    loop {
        let mut line = String::new();
        lines.read_line(&mut line)?;
        match line.trim().to_ascii_lowercase().split_once(':') {
            Some(("content-length", value)) => length = value.trim().parse().unwrap(),
            Some(_) => {}
            None => break,
        }
    }
    let mut body = vec![0; length];
    lines.read_exact(&mut body)?;
    match asked(&first).as_str() {
        "GET /version" => says(&mut stream, 200, VERSION),
        "GET /_ping" => says(&mut stream, 200, "OK"),
        other => match answer(other) {
            Answer::Says(status, body) => says(&mut stream, status, &body),
            Answer::Terminal => {
                stream.write_all(b"HTTP/1.1 101 UPGRADED\r\nConnection: Upgrade\r\nUpgrade: tcp\r\n\r\n")?;
                std::io::copy(&mut lines, &mut std::io::sink()).map(drop)
            }
        },
    }
}

/// Method and path, without the version of the interface and what is asked about it.
fn asked(line: &str) -> String {
    let mut words = line.split(' ');
    let (method, address) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
    let path = address.split('?').next().unwrap_or_default();
    let path = match path.strip_prefix("/v").and_then(|rest| rest.split_once('/')) {
        Some((version, rest)) if version.starts_with(|c: char| c.is_ascii_digit()) => format!("/{rest}"),
        _ => path.to_owned(),
    };
    format!("{method} {path}")
}

fn says(stream: &mut UnixStream, status: u16, body: &str) -> std::io::Result<()> {
    let length = body.len();
    write!(
        stream,
        "HTTP/1.1 {status} So\r\nContent-Type: application/json\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n{body}"
    )
}
