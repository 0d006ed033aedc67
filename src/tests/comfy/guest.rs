//! Somebody at a browser, without the browser: picks a profile, asks the API, enters a gate and uses what is behind it with
//! the cookies that a browser would send. Knows no tool's API.

use crate::{program::Program, terminal::socket::Socket};
use panel::outgoing::client;
use reqwest::{Client, Method, Response, header::HeaderMap, multipart::Form, redirect::Policy};
use serde_json::Value;
use std::time::{Duration, Instant};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};

pub(crate) const PASSWORD: &str = "a sentence is easier";

/// A profile's browser.
pub(crate) struct Guest {
    http: Client,
    panel: String,
    cookie: String,
}

/// The same browser at a gate.
pub(crate) struct Gate {
    http: Client,
    pub(crate) url: String,
    pub(crate) cookie: String,
}

fn cookies(headers: &HeaderMap) -> String {
    let all = headers.get_all("set-cookie").iter().map(|v| v.to_str().unwrap().split(';').next().unwrap());
    all.collect::<Vec<_>>().join("; ")
}

impl Guest {
    pub(crate) async fn pick(program: &Program, profile: &str) -> Guest {
        let http = client().redirect(Policy::none()).build().unwrap();
        let mut guest = Guest { http, panel: program.url.clone(), cookie: String::new() };
        guest.cookie = cookies(guest.form(&format!("{}/pick/{profile}", program.url), "").await.headers());
        assert!(guest.cookie.contains('='), "{profile} is not in");
        guest
    }

    /// An admin in admin mode.
    pub(crate) async fn admin(program: &Program) -> Guest {
        let ada = Guest::pick(program, "ada").await;
        let on = ada.form(&format!("{}/admin", program.url), &format!("password={}", PASSWORD.replace(' ', "+"))).await;
        assert!(on.status().is_redirection(), "{on:?}");
        ada
    }

    async fn form(&self, url: &str, form: &str) -> Response {
        let post = self.http.post(url).header("origin", &self.panel).header("cookie", &self.cookie);
        post.header("content-type", "application/x-www-form-urlencoded").body(form.to_owned()).send().await.unwrap()
    }

    /// Status and body of an API call.
    pub(crate) async fn api(&self, method: Method, path: &str, body: Value) -> (u16, Value) {
        let request = self.http.request(method, format!("{}/api/v1{path}", self.panel)).header("origin", &self.panel);
        let request = request.header("cookie", &self.cookie);
        let request = if body.is_null() { request } else { request.json(&body) };
        let answer = request.send().await.unwrap();
        (answer.status().as_u16(), answer.json().await.unwrap_or_default())
    }

    pub(crate) async fn post(&self, path: &str) -> (u16, Value) {
        self.api(Method::POST, path, Value::Null).await
    }

    /// A request of the API with these headers and bytes.
    pub(crate) async fn send(&self, method: Method, path: &str, headers: &[(&str, &str)], body: Vec<u8>) -> Response {
        let request = self.http.request(method, format!("{}/api/v1{path}", self.panel)).header("origin", &self.panel);
        let request = headers.iter().fold(request, |request, (name, value)| request.header(*name, *value));
        request.header("cookie", &self.cookie).body(body).send().await.unwrap()
    }

    pub(crate) async fn tool(&self, id: &str) -> Value {
        self.api(Method::GET, &format!("/tools/{id}"), Value::Null).await.1
    }

    /// Waits until a tool stands so; the tool.
    pub(crate) async fn until(&self, id: &str, state: &str) -> Value {
        let begun = Instant::now();
        loop {
            let tool = self.tool(id).await;
            if tool["state"] == state {
                return tool;
            }
            assert!(begun.elapsed() < Duration::from_secs(40), "never {state}: {tool}");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    /// Installs a tool as an admin does.
    pub(crate) async fn install(&self, id: &str) {
        assert_eq!(self.post(&format!("/tools/{id}/install")).await.0, 202);
        self.until(id, "stopped").await;
    }

    /// Starts a tool and waits until it is well.
    pub(crate) async fn start(&self, id: &str) {
        assert_eq!(self.post(&format!("/tools/{id}/start")).await.0, 202);
        self.until(id, "running").await;
    }

    /// A ticket for a tool's gate and where to post it.
    pub(crate) async fn ticket(&self, id: &str) -> (String, String) {
        let (status, ticket) = self.post(&format!("/tools/{id}/ticket")).await;
        assert_eq!(status, 200, "{ticket}");
        (ticket["action"].as_str().unwrap().to_owned(), ticket["ticket"].as_str().unwrap().to_owned())
    }

    /// Posts a ticket to a gate; the gate, and the status.
    pub(crate) async fn enter_with(&self, action: &str, ticket: &str) -> (u16, Gate) {
        let entered = self.form(action, &format!("ticket={ticket}")).await;
        let url = action.split("/__easel").next().unwrap().to_owned();
        let status = entered.status().as_u16();
        (status, Gate { http: self.http.clone(), url, cookie: cookies(entered.headers()) })
    }

    pub(crate) async fn enter(&self, id: &str) -> Gate {
        let (action, ticket) = self.ticket(id).await;
        let (status, gate) = self.enter_with(&action, &ticket).await;
        assert!((200..400).contains(&status) && gate.cookie.contains("gate"), "{status}");
        gate
    }
}

impl Gate {
    /// The same gate for somebody with these cookies.
    pub(crate) fn with(&self, cookie: &str) -> Gate {
        Gate { http: self.http.clone(), url: self.url.clone(), cookie: cookie.to_owned() }
    }

    pub(crate) async fn get(&self, path: &str) -> Response {
        self.http.get(format!("{}{path}", self.url)).header("cookie", &self.cookie).send().await.unwrap()
    }

    pub(crate) async fn json(&self, path: &str) -> Value {
        self.get(path).await.json().await.unwrap()
    }

    /// As a page of the gate posts.
    pub(crate) async fn post(&self, path: &str, body: Value) -> (u16, Value) {
        let post = self.http.post(format!("{}{path}", self.url)).header("cookie", &self.cookie).header("origin", &self.url);
        let answer = post.json(&body).send().await.unwrap();
        (answer.status().as_u16(), answer.json().await.unwrap_or_default())
    }

    /// The same with these further headers.
    pub(crate) async fn get_as(&self, path: &str, headers: &[(&str, &str)]) -> Response {
        let get = self.http.get(format!("{}{path}", self.url)).header("cookie", &self.cookie);
        headers.iter().fold(get, |get, (name, value)| get.header(*name, *value)).send().await.unwrap()
    }

    /// As a page of the gate sends a form.
    pub(crate) async fn form(&self, path: &str, form: Form) -> (u16, Value) {
        let post = self.http.post(format!("{}{path}", self.url)).header("cookie", &self.cookie).header("origin", &self.url);
        let answer = post.multipart(form).send().await.unwrap();
        (answer.status().as_u16(), answer.json().await.unwrap_or_default())
    }

    /// The status of a request of any method, without a body.
    pub(crate) async fn send(&self, method: Method, path: &str) -> u16 {
        let request = self.http.request(method, format!("{}{path}", self.url)).header("cookie", &self.cookie);
        request.header("origin", &self.url).header("accept", "application/json").send().await.unwrap().status().as_u16()
    }

    /// The status of a request whose path is sent exactly so.
    pub(crate) async fn raw(&self, method: &str, path: &str) -> u16 {
        let host = self.url.strip_prefix("http://").unwrap();
        let mut stream = TcpStream::connect(host).await.unwrap();
        let head = format!("{method} {path} HTTP/1.1\r\nHost: {host}\r\nCookie: {}\r\nConnection: close\r\n\r\n", self.cookie);
        stream.write_all(head.as_bytes()).await.unwrap();
        let mut answer = Vec::new();
        let _ = stream.read_to_end(&mut answer).await;
        std::str::from_utf8(&answer[9..12]).unwrap().parse().unwrap()
    }

    /// As a page of the gate opens a WebSocket; the status, and the socket where it is 101.
    pub(crate) fn socket(&self, path: &str, origin: &str) -> (u16, Option<Socket>) {
        let host = self.url.strip_prefix("http://").unwrap();
        Socket::ask(host, path, &format!("Origin: {origin}\r\nCookie: {}\r\n", self.cookie))
    }
}
