//! Bodies of requests that are read whole before they go on, within limits, and a few answers of ComfyUI's own shape. Knows
//! no rule.

use super::Refusal;
use crate::gate::pages::{Body, own};
use http_body_util::{BodyExt as _, Limited};
use hyper::body::{Bytes, Incoming};
use hyper::http::request::Parts;
use hyper::{Response, StatusCode, header};
use serde_json::{Value, json};
use std::time::Duration;
use tokio::sync::{Semaphore, SemaphorePermit};
use tokio::time::timeout;

/// Bytes of a graph with its workflow, and pictures in it.
const JSON_MAX: usize = 8 * 1024 * 1024;
/// Bytes of an upload, as ComfyUI's own limit, and its fields.
const UPLOAD_MAX: usize = 100 * 1024 * 1024 + 256 * 1024;
/// A body must be here within this time: an upload over a slow line takes a while.
const JSON_TIME: Duration = Duration::from_secs(60);
const UPLOAD_TIME: Duration = Duration::from_secs(600);

/// An upload's form, read whole.
pub(super) struct Upload<'a> {
    pub(super) mime: String,
    pub(super) body: Bytes,
    /// Its turn lasts as long as it is in memory.
    _turn: SemaphorePermit<'a>,
}

async fn whole(body: Incoming, most: usize, within: Duration) -> Result<Bytes, Refusal> {
    let read = timeout(within, Limited::new(body, most).collect()).await;
    let read = read.map_err(|_| Refusal::new("It did not come in time.".into()))?;
    let read = read.map_err(|_| Refusal::new(format!("It broke off, or has more than {} MiB.", most >> 20)))?;
    Ok(read.to_bytes())
}

/// A body as JSON, and how long it was.
pub(super) async fn json(body: Incoming) -> Result<(Value, usize), Refusal> {
    read(whole(body, JSON_MAX, JSON_TIME).await?).await
}

/// The same where no body means nothing in particular.
pub(super) async fn json_or_nothing(body: Incoming) -> Result<Value, Refusal> {
    let body = whole(body, JSON_MAX, JSON_TIME).await?;
    if body.is_empty() { Ok(Value::Null) } else { read(body).await.map(|(body, _)| body) }
}

async fn read(body: Bytes) -> Result<(Value, usize), Refusal> {
    let length = body.len();
    let read = super::aside(length, move || super::prompt::read(&body)).await;
    read.unwrap_or_else(|| Err(Refusal::new("It cannot be read.".into()))).map(|body| (body, length))
}

/// A form, as soon as there is memory for it.
pub(super) async fn form<'a>(turns: &'a Semaphore, parts: &Parts, body: Incoming) -> Result<Upload<'a>, Refusal> {
    let turn = super::turn(turns).await?;
    let mime = parts.headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default().to_owned();
    Ok(Upload { mime, body: whole(body, UPLOAD_MAX, UPLOAD_TIME).await?, _turn: turn })
}

/// How ComfyUI says that a prompt does not run, so that its page shows why.
pub(super) fn refused_prompt(why: &Refusal) -> Response<Body> {
    let error = json!({ "type": "easel_refused", "message": why.why, "details": "", "extra_info": {} });
    own(StatusCode::BAD_REQUEST, "application/json", json!({ "error": error, "node_errors": {} }).to_string())
}

/// How it says that there is no such job.
pub(super) fn no_such_job() -> Response<Body> {
    own(StatusCode::NOT_FOUND, "application/json", json!({ "error": "Job not found" }).to_string())
}
