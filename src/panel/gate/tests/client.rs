//! A client that sends exactly what it is told.

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

/// A request to be written.
#[derive(Clone)]
pub(super) struct Request {
    port: u16,
    method: &'static str,
    path: String,
    host: String,
    headers: Vec<(String, String)>,
    body: String,
}

/// What came back.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) status: u16,
    pub(super) headers: Vec<(String, String)>,
    pub(super) body: String,
}

impl Request {
    pub(super) fn new(port: u16, method: &'static str, path: &str) -> Request {
        let host = format!("127.0.0.1:{port}");
        Request { port, method, path: path.into(), host, headers: Vec::new(), body: String::new() }
    }

    pub(super) fn post(port: u16, path: &str, body: &str) -> Request {
        let request = Request { body: body.into(), ..Request::new(port, "POST", path) };
        request.header("content-length", &body.len().to_string())
    }

    pub(super) fn header(mut self, name: &str, value: &str) -> Request {
        self.headers.push((name.into(), value.into()));
        self
    }

    pub(super) fn cookie(self, cookie: &str) -> Request {
        if cookie.is_empty() { self } else { self.header("cookie", cookie) }
    }

    pub(super) fn origin(self, origin: &str) -> Request {
        self.header("origin", origin)
    }

    pub(super) fn host(mut self, host: &str) -> Request {
        self.host = host.into();
        self
    }

    /// As a WebSocket's first request.
    pub(super) fn upgrade(self) -> Request {
        let upgrade = self.header("connection", "Upgrade").header("upgrade", "websocket");
        upgrade.header("sec-websocket-version", "13").header("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ==")
    }

    fn text(&self) -> String {
        let mut text = format!("{} {} HTTP/1.1\r\nhost: {}\r\n", self.method, self.path, self.host);
        for (name, value) in &self.headers {
            text.push_str(&format!("{name}: {value}\r\n"));
        }
        text + "\r\n" + &self.body
    }

    /// Sends it over a new connection, which stays open.
    pub(super) async fn begin(&self) -> (Answer, TcpStream) {
        let mut stream = TcpStream::connect(("127.0.0.1", self.port)).await.unwrap();
        let answer = self.over(&mut stream).await;
        (answer, stream)
    }

    /// Sends it over this connection and reads the answer's head; the body too where its length is told.
    pub(super) async fn over(&self, stream: &mut TcpStream) -> Answer {
        stream.write_all(self.text().as_bytes()).await.unwrap();
        Answer::read(stream).await
    }

    /// Sends it alone, and reads to the end.
    pub(super) async fn send(&self) -> Answer {
        let upgrade = self.headers.iter().any(|(name, _)| name == "connection");
        let request = if upgrade { self.clone() } else { self.clone().header("connection", "close") };
        let (mut answer, mut stream) = request.begin().await;
        if answer.header("content-length").is_none() && answer.status != 101 {
            let mut rest = Vec::new();
            let _ = stream.read_to_end(&mut rest).await;
            answer.body = String::from_utf8_lossy(&rest).into_owned();
        }
        answer
    }
}

impl Answer {
    pub(super) async fn read(stream: &mut TcpStream) -> Answer {
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            match stream.read_u8().await {
                Ok(byte) => head.push(byte),
                Err(e) => panic!("no answer ({e}): {:?}", String::from_utf8_lossy(&head)),
            }
        }
        let head = String::from_utf8_lossy(&head).into_owned();
        let mut lines = head.lines();
        let status = lines.next().and_then(|line| line.split(' ').nth(1)).and_then(|code| code.parse().ok()).unwrap();
        let headers = lines.filter_map(|line| line.split_once(": ")).map(|(n, v)| (n.to_ascii_lowercase(), v.to_string()));
        let mut answer = Answer { status, headers: headers.collect(), body: String::new() };
        if let Some(length) = answer.header("content-length").map(|length| length.parse().unwrap()) {
            let mut body = vec![0; length];
            // The answer to a HEAD names a length and has none.
            let read = stream.read_exact(&mut body).await.map(|_| ());
            answer.body = if read.is_ok() { String::from_utf8_lossy(&body).into_owned() } else { String::new() };
        }
        answer
    }

    pub(super) fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(n, _)| n == name).map(|(_, v)| v.as_str())
    }
}

/// Bytes until the connection ends, however it ends.
pub(super) async fn until_end(stream: &mut TcpStream) -> usize {
    let (mut buffer, mut total) = (vec![0; 64 * 1024], 0);
    loop {
        match stream.read(&mut buffer).await {
            Ok(0) | Err(_) => return total,
            Ok(n) => total += n,
        }
    }
}

/// A text message as a browser sends it.
pub(super) fn message(text: &str) -> Vec<u8> {
    let mask = [1, 2, 3, 4];
    let mut frame = vec![0x81, 0x80 | u8::try_from(text.len()).unwrap()];
    frame.extend(mask);
    frame.extend(text.bytes().zip(mask.iter().cycle()).map(|(byte, mask)| byte ^ mask));
    frame
}
