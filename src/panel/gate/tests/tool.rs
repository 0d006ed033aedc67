//! A tool: a real server on loopback that says what reached it, streams, and echoes WebSocket messages.

use futures_util::stream;
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Full, StreamBody};
use hyper::body::{Bytes, Frame, Incoming};
use hyper::server::conn::http1;
use hyper::{Request, Response, service::service_fn};
use hyper_util::rt::TokioIo;
use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::time::Duration;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

type Body = UnsyncBoxBody<Bytes, Infallible>;

/// A running tool; ends when dropped.
pub(super) struct Tool {
    pub(super) address: SocketAddr,
    /// Connections that reached it, ever.
    pub(super) connections: Arc<AtomicUsize>,
    /// Requests that reached it, ever.
    pub(super) requests: Arc<AtomicUsize>,
    /// Connections to it now.
    pub(super) open: Arc<AtomicUsize>,
    serving: JoinHandle<()>,
}

impl Drop for Tool {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

impl Tool {
    pub(super) async fn start() -> Tool {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let [connections, requests, open]: [Arc<AtomicUsize>; 3] = Default::default();
        let (seen, asked, now) = (connections.clone(), requests.clone(), open.clone());
        let serving = tokio::spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                seen.fetch_add(1, SeqCst);
                now.fetch_add(1, SeqCst);
                let (asked, now) = (asked.clone(), now.clone());
                tokio::spawn(async move {
                    let service = service_fn(move |request| {
                        asked.fetch_add(1, SeqCst);
                        async move { Ok::<_, Infallible>(answer(request).await) }
                    });
                    let _ = http1::Builder::new().serve_connection(TokioIo::new(stream), service).with_upgrades().await;
                    now.fetch_sub(1, SeqCst);
                });
            }
        });
        Tool { address, connections, requests, open, serving }
    }

    pub(super) fn seen(&self) -> (usize, usize) {
        (self.connections.load(SeqCst), self.requests.load(SeqCst))
    }
}

fn full(text: impl Into<Bytes>) -> Body {
    Full::new(text.into()).boxed_unsync()
}

async fn answer(mut request: Request<Incoming>) -> Response<Body> {
    let path = request.uri().path().to_owned();
    let said = Response::builder();
    match path.split_at(path[1..].find('/').map_or(path.len(), |i| i + 1)) {
        ("/hello", _) => said.body(full("hello")),
        ("/echo", _) => {
            let mut text = format!("{} {}\n", request.method(), request.uri());
            for (name, value) in request.headers() {
                text.push_str(&format!("{name}: {}\n", String::from_utf8_lossy(value.as_bytes())));
            }
            let body = request.body_mut().collect().await.unwrap().to_bytes();
            said.body(full(format!("{text}\n{}", String::from_utf8_lossy(&body))))
        }
        ("/count", _) => {
            let mut total = 0;
            while let Some(frame) = request.body_mut().frame().await {
                total += frame.map_or(0, |frame| frame.data_ref().map_or(0, Bytes::len));
            }
            said.body(full(total.to_string()))
        }
        ("/early", _) => said.status(413).body(full("too large")),
        ("/zeros", size) => said.body(zeros(size[1..].parse().unwrap())),
        ("/events", _) => said.header("content-type", "text/event-stream").body(events()),
        ("/cookies", _) => said
            .header("set-cookie", "easel-login-8080=evil; Path=/")
            .header("set-cookie", "__Host-easel-gate-443=evil; Path=/; Secure")
            .header("set-cookie", "tool=1; Path=/; Domain=runpod.net")
            .header("cache-control", "public, max-age=60")
            .body(full("")),
        ("/moved", _) => {
            let host = request.headers()["host"].to_str().unwrap();
            said.status(302).header("location", format!("http://{host}/hello")).body(full(""))
        }
        ("/socket", _) if request.headers().contains_key("upgrade") => {
            tokio::spawn(echo(hyper::upgrade::on(&mut request)));
            let said = said.status(101).header("connection", "Upgrade").header("upgrade", "websocket");
            said.header("sec-websocket-accept", "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=").body(full(""))
        }
        ("/surprise", _) => said.status(101).header("connection", "Upgrade").header("upgrade", "h2c").body(full("")),
        _ => said.status(404).body(full("the tool has nothing here")),
    }
    .unwrap()
}

/// So many bytes, in pieces.
fn zeros(size: u64) -> Body {
    const PIECE: u64 = 64 * 1024;
    let pieces = stream::unfold(size, |left| async move {
        let piece = usize::try_from(left.min(PIECE)).unwrap();
        (piece > 0).then(|| (Ok(Frame::data(Bytes::from_static(&[0; 64 * 1024]).slice(..piece))), left - piece as u64))
    });
    BodyExt::boxed_unsync(StreamBody::new(pieces))
}

/// An event now and then, for ever.
fn events() -> Body {
    let events = stream::unfold(0u64, |n| async move {
        tokio::time::sleep(Duration::from_millis(20)).await;
        Some((Ok(Frame::data(Bytes::from(format!("data: {n}\n\n")))), n + 1))
    });
    BodyExt::boxed_unsync(StreamBody::new(events))
}

/// Sends each short message back, unmasked.
async fn echo(upgrade: hyper::upgrade::OnUpgrade) {
    let Ok(upgraded) = upgrade.await else { return };
    let mut io = TokioIo::new(upgraded);
    let mut head = [0; 6];
    while io.read_exact(&mut head).await.is_ok() {
        let mut text = vec![0; usize::from(head[1] & 0x7f)];
        io.read_exact(&mut text).await.unwrap();
        text.iter_mut().zip(head[2..].iter().cycle()).for_each(|(byte, mask)| *byte ^= mask);
        let frame = [&[head[0], u8::try_from(text.len()).unwrap()][..], &text].concat();
        if io.write_all(&frame).await.is_err() {
            return;
        }
    }
}
