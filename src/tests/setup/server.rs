//! A file server of few words for downloads: ranges, redirects, tokens, and bad weather. Knows no tool.

use std::{
    fs,
    io::{BufRead as _, BufReader, Write as _},
    net::{TcpListener, TcpStream},
    path::{Path, PathBuf},
    sync::{Arc, Mutex},
};

/// What was asked: path, `Range`, `Authorization`.
pub(crate) type Asked = (String, Option<String>, Option<String>);

/// How the server behaves. Changed while it runs.
#[derive(Default)]
struct Manner {
    folder: PathBuf,
    asked: Vec<Asked>,
    /// Bytes after which each connection is cut; none when no more are.
    cuts: Vec<usize>,
    /// Paths that contain this come with another byte in them.
    damaged: Option<&'static str>,
    /// Paths that contain the first are redirected to this address.
    moved: Option<(&'static str, String)>,
    /// Whoever has not this `Authorization` gets 401.
    wants: Option<String>,
    /// Requests with an `Authorization` are refused, as a storage host does.
    wants_none: bool,
    /// Headers of every answer.
    headers: String,
    /// Answers with this instead of the file.
    body: Option<String>,
}

/// A running server.
pub(crate) struct Server {
    port: u16,
    manner: Arc<Mutex<Manner>>,
}

impl Server {
    /// Serves the files of a folder on a free port of this machine.
    pub(crate) fn of_folder(folder: &Path) -> Server {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let headers = "ETag: \"v1\"\r\n".to_owned();
        let manner = Arc::new(Mutex::new(Manner { folder: folder.to_path_buf(), headers, ..Manner::default() }));
        let shared = Arc::clone(&manner);
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                answer(&stream.unwrap(), &mut shared.lock().unwrap());
            }
        });
        Server { port, manner }
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://127.0.0.1:{}{path}", self.port)
    }

    /// Answers nobody until this is dropped.
    pub(crate) fn hold(&self) -> impl Sized + '_ {
        self.manner.lock().unwrap()
    }

    pub(crate) fn asked(&self) -> Vec<Asked> {
        self.manner.lock().unwrap().asked.clone()
    }

    pub(crate) fn cut(&self, cuts: &[usize]) {
        self.manner.lock().unwrap().cuts = cuts.to_vec();
    }

    pub(crate) fn damage(&self, paths: &'static str) {
        self.manner.lock().unwrap().damaged = Some(paths);
    }

    pub(crate) fn move_to(&self, paths: &'static str, other: String) {
        self.manner.lock().unwrap().moved = Some((paths, other));
    }

    pub(crate) fn want(&self, authorization: &str) {
        self.manner.lock().unwrap().wants = Some(authorization.to_owned());
    }

    pub(crate) fn want_none(&self) {
        self.manner.lock().unwrap().wants_none = true;
    }

    pub(crate) fn say(&self, headers: &str) {
        self.manner.lock().unwrap().headers = headers.to_owned();
    }

    pub(crate) fn answer_with(&self, body: Option<&str>) {
        self.manner.lock().unwrap().body = body.map(str::to_owned);
    }
}

fn answer(mut stream: &TcpStream, manner: &mut Manner) {
    let lines: Vec<String> = BufReader::new(stream).lines().map_while(Result::ok).take_while(|l| !l.is_empty()).collect();
    let Some(path) = lines.first().and_then(|l| l.split_whitespace().nth(1)).map(str::to_owned) else { return };
    let header = |name: &str| {
        let value = |line: &String| line.to_ascii_lowercase().starts_with(name).then(|| line[name.len()..].trim().to_owned());
        lines.iter().find_map(value)
    };
    let (range, authorization) = (header("range:"), header("authorization:"));
    manner.asked.push((path.clone(), range.clone(), authorization.clone()));
    let mut head = |status: &str, headers: String| write!(stream, "HTTP/1.1 {status}\r\nConnection: close\r\n{headers}\r\n");
    if let Some((_, other)) = manner.moved.as_ref().filter(|(paths, _)| path.contains(paths)) {
        let _ = head("302 Found", format!("{}Location: {other}\r\nContent-Length: 0\r\n", manner.headers));
        return;
    }
    if manner.wants.is_some() && authorization != manner.wants {
        let _ = head("401 Unauthorized", "Content-Length: 0\r\n".into());
        return;
    }
    if manner.wants_none && authorization.is_some() {
        let _ = head("400 Bad Request", "Content-Length: 0\r\n".into());
        return;
    }
    let file = match &manner.body {
        Some(body) => Some(body.clone().into_bytes()),
        None => fs::read(manner.folder.join(path.trim_start_matches('/'))).ok(),
    };
    let Some(mut file) = file else {
        let _ = head("404 Not Found", "Content-Length: 0\r\n".into());
        return;
    };
    if let (true, Some(last)) = (manner.damaged.is_some_and(|paths| path.contains(paths)), file.last_mut()) {
        *last ^= 1;
    }
    // Another version than the one that was begun comes whole.
    let same = header("if-range:").is_none_or(|mark| manner.headers.contains(&mark));
    let from = range.filter(|_| same).and_then(|r| r.strip_prefix("bytes=")?.strip_suffix('-')?.parse::<usize>().ok());
    let total = file.len();
    let body = file.split_off(from.unwrap_or(0).min(total));
    let cut = if manner.cuts.is_empty() { body.len() } else { manner.cuts.remove(0).min(body.len()) };
    let status = if from.is_some() { "206 Partial Content" } else { "200 OK" };
    let span = from.map(|from| format!("Content-Range: bytes {from}-{}/{total}\r\n", total - 1)).unwrap_or_default();
    let _ = head(status, format!("{}{span}Content-Length: {}\r\n", manner.headers, body.len()));
    let _ = stream.write_all(&body[..cut]);
}
