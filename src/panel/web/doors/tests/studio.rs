//! A studio to try doors on, and a client that sends exactly what it is told.

use crate::control::{Control, Desk, Reply};
use crate::{App, Application, Clock, Config};
use jiff::Timestamp;
use std::time::Duration;
use tempfile::TempDir;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

/// A served studio; stops when dropped.
pub(super) struct Studio {
    pub(super) app: App,
    pub(super) clock: Clock,
    pub(super) port: u16,
    /// The studio key of its first start.
    pub(super) key: String,
    pub(super) folder: TempDir,
    _stop: oneshot::Sender<()>,
    _serving: JoinHandle<anyhow::Result<()>>,
}

/// A request to be written. Host and Origin are the studio's own unless changed.
#[derive(Clone)]
pub(super) struct Request {
    pub(super) method: &'static str,
    pub(super) path: String,
    pub(super) host: Option<String>,
    pub(super) origin: Option<String>,
    pub(super) headers: Vec<(String, String)>,
    pub(super) body: String,
}

/// What came back.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) status: u16,
    pub(super) headers: Vec<(String, String)>,
    pub(super) body: String,
}

impl Studio {
    pub(super) async fn start(users: &str) -> Studio {
        Studio::start_with(users, |_| {}).await
    }

    pub(super) async fn start_with(users: &str, change: impl FnOnce(&mut Config)) -> Studio {
        let folder = tempfile::tempdir().unwrap();
        let mut config = Config::for_tests(folder.path());
        config.engine_program = "/bin/false".into();
        if !users.is_empty() {
            std::fs::write(&config.users, users).unwrap();
        }
        change(&mut config);
        let clock = Clock::at(Timestamp::from_second(1_800_000_000).unwrap());
        let application = Application::build_at(config, clock.clone()).await.unwrap();
        let (stop, stopped) = oneshot::channel::<()>();
        let (app, port) = (application.app().clone(), application.port());
        let key = application.news().first_key.as_ref().unwrap().expose().to_string();
        let serving = tokio::spawn(application.run_until(async move {
            let _ = stopped.await;
        }));
        Studio { app, clock, port, key, folder, _stop: stop, _serving: serving }
    }

    pub(super) fn advance(&self, seconds: u64) {
        self.clock.advance(Duration::from_secs(seconds));
    }

    /// A request as a browser on this machine would send it.
    pub(super) fn request(&self, method: &'static str, path: &str) -> Request {
        let host = format!("127.0.0.1:{}", self.port);
        let origin = (method != "GET").then(|| format!("http://{host}"));
        Request { method, path: path.into(), host: Some(host), origin, headers: Vec::new(), body: String::new() }
    }

    pub(super) fn get(&self, path: &str) -> Request {
        self.request("GET", path)
    }

    pub(super) fn post(&self, path: &str, form: &str) -> Request {
        self.request("POST", path).header("content-type", "application/x-www-form-urlencoded").body(form)
    }

    pub(super) async fn send(&self, request: &Request) -> Answer {
        self.send_from(request, "127.0.0.1").await
    }

    /// Sends from one of this machine's many loopback addresses.
    pub(super) async fn send_from(&self, request: &Request, from: &str) -> Answer {
        let mut text = format!("{} {} HTTP/1.1\r\nconnection: close\r\n", request.method, request.path);
        for (name, value) in request.host.iter().map(|v| ("host", v)).chain(request.origin.iter().map(|v| ("origin", v))) {
            text.push_str(&format!("{name}: {value}\r\n"));
        }
        for (name, value) in &request.headers {
            text.push_str(&format!("{name}: {value}\r\n"));
        }
        text.push_str(&format!("content-length: {}\r\n\r\n{}", request.body.len(), request.body));
        let socket = tokio::net::TcpSocket::new_v4().unwrap();
        socket.bind(format!("{from}:0").parse().unwrap()).unwrap();
        let mut stream = socket.connect(format!("127.0.0.1:{}", self.port).parse().unwrap()).await.unwrap();
        stream.write_all(text.as_bytes()).await.unwrap();
        let mut bytes = Vec::new();
        stream.read_to_end(&mut bytes).await.unwrap();
        Answer::parse(&String::from_utf8_lossy(&bytes))
    }

    /// A command, as `easel` would ask it.
    pub(super) async fn command(&self, ask: Control) -> Reply {
        Desk::of(&self.app).answer(ask).await
    }

    /// The cookie of a new login by one click.
    pub(super) async fn pick(&self, id: &str) -> String {
        let answer = self.send(&self.post(&format!("/pick/{id}"), "")).await;
        assert_eq!((answer.status, answer.header("location")), (303, Some("/studio")), "{answer:?}");
        answer.login_cookie()
    }

    /// The status of a page that only a login opens: 200, or 303 to the door.
    pub(super) async fn is_in(&self, cookie: &str) -> bool {
        let answer = self.send(&self.post("/profile/theme", "theme=dark").cookie(cookie)).await;
        match (answer.status, answer.header("location")) {
            (303, Some("/profile")) => true,
            (303, Some("/")) => false,
            _ => panic!("{answer:?}"),
        }
    }
}

impl Request {
    pub(super) fn header(mut self, name: &str, value: &str) -> Request {
        self.headers.push((name.into(), value.into()));
        self
    }

    pub(super) fn cookie(self, cookie: &str) -> Request {
        self.header("cookie", cookie)
    }

    pub(super) fn body(mut self, body: &str) -> Request {
        self.body = body.into();
        self
    }

    pub(super) fn host(mut self, host: &str) -> Request {
        self.host = Some(host.into());
        self
    }

    pub(super) fn origin(mut self, origin: Option<&str>) -> Request {
        self.origin = origin.map(str::to_string);
        self
    }
}

impl Answer {
    fn parse(text: &str) -> Answer {
        let (head, body) = text.split_once("\r\n\r\n").unwrap_or((text, ""));
        let mut lines = head.lines();
        let status = lines.next().and_then(|line| line.split(' ').nth(1)).and_then(|code| code.parse().ok());
        let headers = lines.filter_map(|line| line.split_once(": ")).map(|(n, v)| (n.to_ascii_lowercase(), v.to_string()));
        Answer { status: status.unwrap_or_else(|| panic!("no answer: {text:?}")), headers: headers.collect(), body: body.into() }
    }

    pub(super) fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(n, _)| n == name).map(|(_, v)| v.as_str())
    }

    pub(super) fn set_cookie(&self, part: &str) -> Option<&str> {
        self.headers.iter().find(|(n, v)| n == "set-cookie" && v.contains(part)).map(|(_, v)| v.as_str())
    }

    /// `name=value` of the login's cookie.
    pub(super) fn login_cookie(&self) -> String {
        let cookie = self.set_cookie("easel-login").unwrap_or_else(|| panic!("no login in {self:?}"));
        cookie.split(';').next().unwrap().to_string()
    }
}
