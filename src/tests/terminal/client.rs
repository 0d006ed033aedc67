//! A browser's side of a terminal, without a browser: logs in as an admin, attaches over a WebSocket, and keeps count of
//! the bytes. Knows what is said beside them.

use super::socket::{BINARY, CLOSE, Socket, TEXT};
use crate::{program::Program, tool_folder};
use panel::outgoing::client;
use reqwest::Method;
use serde_json::Value;
use std::{
    io,
    path::{Path, PathBuf},
    time::Duration,
};

const USERS: &str = "[[user]]\nname = \"Zoe\"\n\n[[user]]\nname = \"Ada\"\nrole = \"admin\"\n";
const PASSWORD: &str = "a sentence is easier";

/// An admin's browser in admin mode.
pub(crate) struct Admin {
    pub(crate) cookie: String,
    pub(crate) http: reqwest::Client,
    pub(crate) url: String,
}

/// A studio with the test's tool, and an admin who has a password.
pub(crate) fn studio(folder: &Path) -> Program {
    std::fs::write(folder.join("users.toml"), USERS).unwrap();
    tool_folder::write(&folder.join("setup"), tool_folder::free_port());
    restarted(folder)
}

/// The same over what an earlier program left.
pub(crate) fn restarted(folder: &Path) -> Program {
    let program = Program::start_in(folder, &["--setup", folder.join("setup").to_str().unwrap()]);
    tool_folder::set_password(&program, "ada", PASSWORD);
    program
}

/// An admin at a shell of a studio.
pub(crate) struct AtShell {
    pub(crate) program: Program,
    pub(crate) admin: Admin,
    pub(crate) session: String,
    /// The viewer who may type.
    pub(crate) typist: Viewer,
}

impl AtShell {
    pub(crate) async fn of_a_studio(folder: &Path) -> AtShell {
        let program = studio(folder);
        let admin = Admin::log_in(&program).await;
        let session = admin.shell().await;
        let mut typist = admin.attach(&session, 0);
        typist.take();
        AtShell { program, admin, session, typist }
    }
}

/// The test's tool, installed and up; where its files lie.
pub(crate) async fn up(admin: &Admin, program: &Program) -> PathBuf {
    admin.api(Method::POST, "/tools/sketch/install").await;
    admin.until_tool("stopped").await;
    admin.api(Method::POST, "/tools/sketch/start").await;
    admin.until_tool("running").await;
    program.data().join("workspace/sketch")
}

impl Admin {
    pub(crate) async fn log_in(program: &Program) -> Admin {
        let http = client().redirect(reqwest::redirect::Policy::none()).build().unwrap();
        let mut admin = Admin { cookie: String::new(), http, url: program.url.clone() };
        let picked = admin.post("/pick/ada", "").await;
        let cookies = picked.headers().get_all("set-cookie").iter().map(|v| v.to_str().unwrap().split(';').next().unwrap());
        admin.cookie = cookies.collect::<Vec<_>>().join("; ");
        let on = admin.post("/admin", &format!("password={}", PASSWORD.replace(' ', "+"))).await;
        assert!(on.status().is_redirection(), "{on:?}");
        admin
    }

    pub(crate) async fn post(&self, path: &str, form: &str) -> reqwest::Response {
        let post = self.http.post(format!("{}{path}", self.url)).header("origin", &self.url).header("cookie", &self.cookie);
        post.header("content-type", "application/x-www-form-urlencoded").body(form.to_owned()).send().await.unwrap()
    }

    /// Asks the API; whatever it answers.
    pub(crate) async fn ask(&self, method: Method, path: &str) -> reqwest::Response {
        let request = self.http.request(method, format!("{}/api/v1{path}", self.url)).header("origin", &self.url);
        request.header("cookie", &self.cookie).send().await.unwrap()
    }

    /// Asks the API for what it does not refuse.
    pub(crate) async fn api(&self, method: Method, path: &str) -> Value {
        let answer = self.ask(method, path).await;
        assert!(answer.status().is_success(), "{path}: {answer:?}");
        answer.json().await.unwrap()
    }

    pub(crate) async fn get(&self, path: &str) -> Value {
        self.api(Method::GET, path).await
    }

    /// A shell; its session.
    pub(crate) async fn shell(&self) -> String {
        self.api(Method::POST, "/sessions").await["id"].as_str().unwrap().to_owned()
    }

    /// Sessions of the test's tool, newest first.
    pub(crate) async fn sessions(&self) -> Vec<Value> {
        self.get("/sessions?tool=sketch").await["items"].as_array().unwrap().clone()
    }

    /// Starts of the test's tool so far.
    pub(crate) async fn starts(&self) -> usize {
        self.sessions().await.iter().filter(|session| session["action"] == "start").count()
    }

    /// Waits until the test's tool stands so.
    pub(crate) async fn until_tool(&self, state: &str) -> Value {
        let begun = std::time::Instant::now();
        loop {
            let tool = self.get("/tools/sketch").await;
            if tool["state"] == state {
                return tool;
            }
            assert!(begun.elapsed() < Duration::from_secs(40), "never {state}: {tool}");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    pub(crate) fn attach(&self, session: &str, from: u64) -> Viewer {
        let (status, viewer) = self.try_attach(session, from, Some(&self.url));
        assert_eq!(status, 101);
        viewer.unwrap()
    }

    /// Asks for a WebSocket with this Origin; the status, and the viewer where it is 101.
    pub(crate) fn try_attach(&self, session: &str, from: u64, origin: Option<&str>) -> (u16, Option<Viewer>) {
        let host = self.url.strip_prefix("http://").unwrap();
        let origin = origin.map(|o| format!("Origin: {o}\r\n")).unwrap_or_default();
        let path = format!("/api/v1/sessions/{session}/attach?from={from}");
        let (status, socket) = Socket::ask(host, &path, &format!("{origin}Cookie: {}\r\n", self.cookie));
        (status, socket.map(|socket| Viewer { socket, at: from, dropped: 0 }))
    }
}

/// What came.
#[derive(Debug)]
pub(crate) enum Came {
    Bytes(Vec<u8>),
    Word(Value),
    Closed,
}

/// One WebSocket before a terminal.
pub(crate) struct Viewer {
    pub(crate) socket: Socket,
    /// Number of the next byte.
    pub(crate) at: u64,
    pub(crate) dropped: u64,
}

impl Viewer {
    /// The next word or piece.
    pub(crate) fn next(&mut self) -> io::Result<Came> {
        loop {
            let (kind, body) = self.socket.next()?;
            match kind {
                TEXT => {
                    let word: Value = serde_json::from_slice(body).unwrap();
                    if word["kind"] == "gap" {
                        self.dropped += word["dropped"].as_u64().unwrap();
                    }
                    if word["kind"] == "hello" || word["kind"] == "gap" {
                        self.at = word["from"].as_u64().unwrap();
                    }
                    return Ok(Came::Word(word));
                }
                BINARY => {
                    self.at += body.len() as u64;
                    return Ok(Came::Bytes(body.to_vec()));
                }
                CLOSE => return Ok(Came::Closed),
                _ => {}
            }
        }
    }

    pub(crate) fn say(&mut self, word: &str) {
        self.socket.send(TEXT, word.as_bytes()).unwrap();
    }

    /// Becomes the one who may type.
    pub(crate) fn take(&mut self) {
        self.say("{\"kind\":\"take\"}");
    }

    pub(crate) fn acknowledge(&mut self) {
        let up_to = self.at;
        self.say(&format!("{{\"kind\":\"ack\",\"up_to\":{up_to}}}"));
    }

    pub(crate) fn type_keys(&mut self, keys: &str) {
        self.socket.send(BINARY, keys.as_bytes()).unwrap();
    }

    /// Reads and acknowledges until the text has come.
    pub(crate) fn until(&mut self, text: &str) -> Vec<u8> {
        let mut all = Vec::new();
        loop {
            match self.next().unwrap() {
                Came::Bytes(bytes) => {
                    all.extend(bytes);
                    self.acknowledge();
                    if String::from_utf8_lossy(&all).contains(text) {
                        return all;
                    }
                }
                Came::Word(word) => assert_ne!(word["kind"], "ended", "{text} never came: {}", String::from_utf8_lossy(&all)),
                Came::Closed => panic!("closed before {text}"),
            }
        }
    }

    /// Everything up to the end of the program, and its exit code.
    pub(crate) fn rest_of_it(&mut self) -> (Vec<u8>, Option<i64>) {
        let mut all = Vec::new();
        loop {
            match self.next().unwrap() {
                Came::Bytes(bytes) => {
                    all.extend(bytes);
                    self.acknowledge();
                }
                Came::Word(word) if word["kind"] == "ended" => return (all, word["code"].as_i64()),
                Came::Word(_) => {}
                Came::Closed => panic!("closed before the end"),
            }
        }
    }
}
