//! Questions to an engine without bollard in between, for two reasons. bollard reads a terminal's bytes that begin with 0, 1 or 2
//! as frames, and what a program prints must not decide how it is read. And it logs what it sends and gets, variables of
//! containers with their tokens included. Knows addresses of the engine's interface and no meaning of them.

use crate::{ContainerError, error::chain};
use bytes::Bytes;
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::{
    Request, Response, StatusCode,
    body::Incoming,
    client::conn::http1,
    header::{CONNECTION, CONTENT_TYPE, HOST, UPGRADE},
    upgrade::Upgraded,
};
use hyper_util::rt::TokioIo;
use serde::{Serialize, de::DeserializeOwned};
use serde_json::Value;
use std::{fmt::Display, path::Path, time::Duration};
use tokio::{net::UnixStream, time::timeout};

/// An engine that has not begun to answer by then, or stops in the middle of one for so long, does not.
const ANSWER: Duration = Duration::from_secs(60);
/// Bytes of an answer that is read whole.
const WHOLE_MAX: usize = 16 << 20;

/// A terminal's bytes, both ways.
pub(crate) type Stream = TokioIo<Upgraded>;

/// Asks for a value.
pub(crate) async fn get<T: DeserializeOwned>(socket: &Path, path: &str, doing: &str) -> Result<T, ContainerError> {
    value(ask(socket, Request::get(path), Bytes::new(), doing).await?, doing).await
}

/// Sends a value, and gets one.
pub(crate) async fn post<T: DeserializeOwned>(
    socket: &Path,
    path: &str,
    body: &(impl Serialize + Sync),
    doing: &str,
) -> Result<T, ContainerError> {
    let body = serde_json::to_vec(body).map_err(|e| ContainerError::Wrong(format!("{doing}: {e}.")))?;
    value(ask(socket, Request::post(path), body.into(), doing).await?, doing).await
}

async fn value<T: DeserializeOwned>(answer: Response<Incoming>, doing: &str) -> Result<T, ContainerError> {
    if !answer.status().is_success() {
        return Err(refused(answer, doing).await);
    }
    let body = whole(answer, doing).await?;
    serde_json::from_slice(&body).map_err(|e| lost(doing, format_args!("its answer is not understood: {e}")))
}

async fn whole(answer: Response<Incoming>, doing: &str) -> Result<Bytes, ContainerError> {
    let body = timeout(ANSWER, Limited::new(answer.into_body(), WHOLE_MAX).collect()).await.map_err(|_| late(doing))?;
    Ok(body.map_err(|e| lost(doing, e))?.to_bytes())
}

/// Asks for a stream in place of an answer.
pub(crate) async fn upgrade(socket: &Path, path: &str, body: &'static str, doing: &str) -> Result<Stream, ContainerError> {
    let request = Request::post(path).header(CONNECTION, "Upgrade").header(UPGRADE, "tcp");
    let answer = ask(socket, request, Bytes::from_static(body.as_bytes()), doing).await?;
    // Docker switches protocols; older Podmans answer 200 and mean the same.
    if !matches!(answer.status(), StatusCode::SWITCHING_PROTOCOLS | StatusCode::OK) {
        return Err(refused(answer, doing).await);
    }
    hyper::upgrade::on(answer).await.map(TokioIo::new).map_err(|e| lost(doing, chain(&e)))
}

/// Reads an answer piece by piece, until its end or until `take` has enough.
pub(crate) async fn read(
    socket: &Path,
    path: &str,
    doing: &str,
    mut take: impl FnMut(&[u8]) -> bool,
) -> Result<(), ContainerError> {
    let mut answer = ask(socket, Request::get(path), Bytes::new(), doing).await?;
    if answer.status() != StatusCode::OK {
        return Err(refused(answer, doing).await);
    }
    while let Some(frame) = timeout(ANSWER, answer.body_mut().frame()).await.map_err(|_| late(doing))? {
        let frame = frame.map_err(|e| lost(doing, chain(&e)))?;
        if frame.data_ref().is_some_and(|bytes| !take(bytes)) {
            break;
        }
    }
    Ok(())
}

/// One connection for one question: a stream takes it along.
async fn ask(
    socket: &Path,
    request: hyper::http::request::Builder,
    body: Bytes,
    doing: &str,
) -> Result<Response<Incoming>, ContainerError> {
    let asked = async {
        let io = UnixStream::connect(socket).await.map_err(|e| lost(doing, e))?;
        let (mut sender, connection) = http1::handshake(TokioIo::new(io)).await.map_err(|e| lost(doing, chain(&e)))?;
        // Ends with the answer, or hands the connection over.
        tokio::spawn(connection.with_upgrades());
        let request = request.header(HOST, "localhost").header(CONTENT_TYPE, "application/json");
        let request = request.body(Full::new(body)).map_err(|e| lost(doing, e))?;
        sender.send_request(request).await.map_err(|e| lost(doing, chain(&e)))
    };
    timeout(ANSWER, asked).await.unwrap_or_else(|_| Err(late(doing)))
}

/// What an engine says when it does not do as asked: `{"message": …}`.
async fn refused(answer: Response<Incoming>, doing: &str) -> ContainerError {
    let status_code = answer.status().as_u16();
    let bytes = whole(answer, doing).await.unwrap_or_default();
    let told: Option<Value> = serde_json::from_slice(&bytes).ok();
    let message = told.as_ref().and_then(|told| told.get("message")?.as_str()).map(str::to_owned);
    let message = message.unwrap_or_else(|| String::from_utf8_lossy(&bytes).into_owned());
    ContainerError::of(doing, bollard::errors::Error::DockerResponseServerError { status_code, message })
}

fn late(doing: &str) -> ContainerError {
    lost(doing, "no answer in time")
}

fn lost(doing: &str, why: impl Display) -> ContainerError {
    ContainerError::Lost { doing: doing.to_owned(), why: why.to_string() }
}
