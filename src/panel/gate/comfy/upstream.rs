//! What the gate itself asks ComfyUI, whole answers within limits. Knows no profile.

use super::gallery::Coming;
use super::{aside, pyjson, queue};
use crate::gate::link::{Download, Home, Trouble, Upload, exchange};
use futures_util::stream;
use http_body_util::{BodyExt as _, Limited};
use hyper::body::{Body as _, Bytes};
use hyper::header::{self, HeaderValue};
use hyper::{Method, Request, StatusCode};
use serde_json::Value;
use std::io;
use std::net::SocketAddr;
use std::time::Duration;
use tokio::time::timeout;

/// Bytes of an answer that is read whole: all nodes of all packs are some MB, a history of large graphs more.
const ANSWER_MAX: usize = 128 * 1024 * 1024;
/// ComfyUI answers from its main thread, which a node that holds Python's lock keeps waiting.
pub(super) const ANSWER_TIME: Duration = Duration::from_secs(18);
/// The header by which ComfyUI with `--multi-user` knows its users.
pub(super) const USER: &str = "comfy-user";

/// ComfyUI, over a browser connection's own link to it.
#[derive(Clone, Copy, Debug)]
pub(in crate::gate) struct Tool<'a> {
    pub(in crate::gate) home: &'a Home,
    pub(in crate::gate) address: SocketAddr,
}

/// A question.
#[derive(Clone, Debug)]
pub(super) struct Question<'a> {
    pub(super) method: Method,
    pub(super) target: &'a str,
    /// Media type and body.
    pub(super) body: Option<(&'a str, Bytes)>,
    /// The user who asks.
    pub(super) user: Option<&'a str>,
}

impl<'a> Question<'a> {
    pub(super) fn get(target: &'a str) -> Question<'a> {
        Question { method: Method::GET, target, body: None, user: None }
    }

    pub(super) fn post(target: &'a str, body: &Value) -> Question<'a> {
        Question::json(target, body.to_string())
    }

    /// The same with a body that is written already.
    pub(super) fn json(target: &'a str, body: String) -> Question<'a> {
        Question { method: Method::POST, target, body: Some(("application/json", Bytes::from(body))), user: None }
    }
}

/// An answer.
#[derive(Clone, Debug)]
pub(super) struct Told {
    pub(super) status: StatusCode,
    pub(super) mime: Option<HeaderValue>,
    pub(super) body: Bytes,
}

impl Told {
    /// As JSON, where it went well.
    pub(super) async fn json(self) -> Result<Value, Failure> {
        if !self.status.is_success() {
            return Err(Failure::Status(self.status));
        }
        let body = self.body;
        let read = aside(body.len(), move || pyjson::read(&body)).await;
        read.flatten().ok_or(Failure::Unreadable)
    }
}

/// Why there is no answer.
#[derive(Debug)]
pub(in crate::gate) enum Failure {
    /// It cannot be reached, or broke off.
    Trouble(Trouble),
    /// It did not answer in time.
    Slow,
    /// It said more than is read.
    TooLarge,
    /// It said what is no JSON.
    Unreadable,
    /// It refused.
    Status(StatusCode),
}

impl From<queue::Wrong> for Failure {
    fn from(wrong: queue::Wrong) -> Failure {
        match wrong {
            queue::Wrong::Unreadable => Failure::Unreadable,
            queue::Wrong::TooLarge => Failure::TooLarge,
        }
    }
}

impl Tool<'_> {
    /// Asks, and reads the whole answer.
    pub(super) async fn ask(&self, question: Question<'_>) -> Result<Told, Failure> {
        timeout(ANSWER_TIME, self.whole(question)).await.unwrap_or(Err(Failure::Slow))
    }

    async fn whole(&self, question: Question<'_>) -> Result<Told, Failure> {
        let (head, body) = self.exchange(question).await?;
        let body = Limited::new(body, ANSWER_MAX).collect().await;
        let body = body.map_err(|e| match e.downcast::<hyper::Error>() {
            Ok(e) => Failure::Trouble(Trouble::Broke(*e)),
            Err(_) => Failure::TooLarge,
        })?;
        Ok(Told { status: head.status, mime: head.headers.get(header::CONTENT_TYPE).cloned(), body: body.to_bytes() })
    }

    /// Asks for the queue, and reads it as it comes: it may be longer than anything that is kept.
    pub(super) async fn queue<F: Fn(&str) -> bool>(&self, keep: F) -> Result<queue::Scanner<F>, Failure> {
        let read = async {
            let (head, mut body) = self.exchange(Question::get("/queue")).await?;
            if !head.status.is_success() {
                return Err(Failure::Status(head.status));
            }
            let mut scanner = queue::Scanner::new(keep);
            while let Some(frame) = body.frame().await {
                let frame = frame.map_err(|e| Failure::Trouble(Trouble::Broke(e)))?;
                if let Some(bytes) = frame.data_ref() {
                    scanner.feed(bytes)?;
                }
            }
            Ok(scanner)
        };
        timeout(ANSWER_TIME, read).await.unwrap_or(Err(Failure::Slow))
    }

    /// Asks for a file, which comes in pieces: it may be larger than the memory. Each piece comes in time, or none does.
    pub(super) async fn file(&self, question: Question<'_>) -> Result<(StatusCode, Coming), Failure> {
        let asked = timeout(ANSWER_TIME, self.exchange(question)).await;
        let (head, body) = asked.unwrap_or(Err(Failure::Slow))?;
        let bytes = body.size_hint().exact();
        let pieces = stream::unfold(Some(body), |body: Option<Download>| async move {
            let mut body = body?;
            let piece = match timeout(ANSWER_TIME, body.frame()).await {
                Ok(None) => return None,
                Ok(Some(frame)) => frame.map(|frame| frame.into_data().unwrap_or_default()).map_err(io::Error::other),
                Err(_) => Err(io::ErrorKind::TimedOut.into()),
            };
            let rest = piece.is_ok().then_some(body);
            Some((piece, rest))
        });
        Ok((head.status, Coming { bytes, pieces: Box::pin(pieces) }))
    }

    async fn exchange(&self, question: Question<'_>) -> Result<(hyper::http::response::Parts, Download), Failure> {
        let (mime, body) = question.body.map_or((None, None), |(mime, body)| (Some(mime), Some(body)));
        let mut request = Request::new(Upload::of(body.unwrap_or_default()));
        *request.method_mut() = question.method;
        *request.uri_mut() = question.target.parse().map_err(|_| Failure::Unreadable)?;
        let headers = request.headers_mut();
        for (name, value) in [("host", Some(self.address.to_string().as_str())), ("content-type", mime), (USER, question.user)] {
            if let Some(value) = value.and_then(|value| HeaderValue::from_str(value).ok()) {
                headers.insert(name, value);
            }
        }
        let (answer, link) = exchange(self.home, self.address, request).await.map_err(Failure::Trouble)?;
        let (head, body) = answer.into_parts();
        Ok((head, Download::new(body, link, self.home.clone())))
    }
}
