//! The connection to a tool that belongs to one browser connection, and bodies in both directions. It is driven by
//! the browser connection's own task: no channel between tasks, nothing to wake across threads, and whatever ends
//! that task ends this. Knows no rule of the gate.

use super::connection::HEAD_MAX;
use http_body_util::Full;
use hyper::body::{Body, Bytes, Frame, Incoming, SizeHint};
use hyper::client::conn::http1::{Builder, Connection, SendRequest};
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use std::future::poll_fn;
use std::io;
use std::net::SocketAddr;
use std::pin::{Pin, pin};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};
use tokio::net::TcpStream;
use tokio::time::timeout;

/// A tool that listens takes a connection within this time; it is on the same machine.
const CONNECT_TIME: Duration = Duration::from_secs(5);
/// A connection that rested longer is not used again: Node and uvicorn close theirs after 5 s.
const REST: Duration = Duration::from_secs(4);

/// Where the link rests between requests.
pub(super) type Home = Arc<Mutex<Option<Link>>>;

/// A connection to a tool.
#[derive(Debug)]
pub(super) struct Link {
    upstream: SocketAddr,
    sender: SendRequest<Upload>,
    socket: Connection<TokioIo<TcpStream>, Upload>,
    /// The connection has ended and must not be polled again.
    over: bool,
    /// The body of the request on it was read to its end.
    uploaded: Arc<AtomicBool>,
    rests: Instant,
}

/// Why a tool did not answer.
#[derive(Debug)]
pub(super) enum Trouble {
    /// It takes no connection.
    Refused(io::Error),
    /// It took the request and broke off, or said what is no HTTP.
    Broke(hyper::Error),
}

/// The resting link to this address, if it can be used.
async fn rested(home: &Home, upstream: SocketAddr) -> Option<Link> {
    let link = home.lock().expect("nobody panics with this lock").take();
    let mut link = link.filter(|link| link.upstream == upstream && link.rests.elapsed() < REST)?;
    poll_fn(|cx| {
        // Whether the tool closed it meanwhile is known only after a look.
        link.drive(cx);
        Poll::Ready(())
    })
    .await;
    (!link.over && link.sender.is_ready()).then_some(link)
}

/// Sends a request over the resting link, or over a new one. A link that turns out to be closed before anything was
/// sent costs nothing: the request goes over a new one.
pub(super) async fn exchange(
    home: &Home,
    upstream: SocketAddr,
    mut request: Request<Upload>,
) -> Result<(Response<Incoming>, Link), Trouble> {
    if let Some(mut link) = rested(home, upstream).await {
        match link.send(request).await {
            Ok(answer) => return Ok((answer, link)),
            Err((Some(unsent), _)) => request = *unsent,
            Err((None, e)) => return Err(Trouble::Broke(e)),
        }
    }
    let mut link = Link::connect(upstream).await.map_err(Trouble::Refused)?;
    let answer = link.send(request).await.map_err(|(_, e)| Trouble::Broke(e))?;
    Ok((answer, link))
}

impl Link {
    async fn connect(upstream: SocketAddr) -> io::Result<Link> {
        let socket = timeout(CONNECT_TIME, TcpStream::connect(upstream)).await??;
        socket.set_nodelay(true)?;
        let (sender, socket) =
            Builder::new().max_buf_size(HEAD_MAX).handshake(TokioIo::new(socket)).await.map_err(io::Error::other)?;
        Ok(Link { upstream, sender, socket, over: false, uploaded: Arc::default(), rests: Instant::now() })
    }

    /// Lets the connection do what it can now.
    fn drive(&mut self, cx: &mut Context<'_>) {
        if !self.over {
            // An error reaches whoever waits for the answer or its body.
            self.over = Pin::new(&mut self.socket).poll(cx).is_ready();
        }
    }

    /// Sends a request and waits for the answer's head. A request of which nothing was sent comes back.
    async fn send(
        &mut self,
        request: Request<Upload>,
    ) -> Result<Response<Incoming>, (Option<Box<Request<Upload>>>, hyper::Error)> {
        self.uploaded = request.body().ended.clone();
        let mut answer = pin!(self.sender.try_send_request(request));
        let (over, socket) = (&mut self.over, &mut self.socket);
        let answer = poll_fn(|cx| {
            if let Poll::Ready(answer) = answer.as_mut().poll(cx) {
                return Poll::Ready(answer);
            }
            if !*over {
                *over = Pin::new(&mut *socket).poll(cx).is_ready();
            }
            answer.as_mut().poll(cx)
        });
        answer.await.map_err(|mut e| (e.take_message().map(Box::new), e.into_error()))
    }

    /// After the tool has agreed to another protocol: the socket, and what was read of it already.
    pub(super) async fn into_socket(mut self) -> hyper::Result<(TcpStream, Bytes)> {
        if !self.over {
            poll_fn(|cx| self.socket.poll_without_shutdown(cx)).await?;
        }
        let parts = self.socket.into_parts();
        Ok((parts.io.into_inner(), parts.read_buf))
    }
}

/// The body of a request on its way to the tool.
#[derive(Debug)]
pub(super) struct Upload {
    content: Content,
    ended: Arc<AtomicBool>,
}

/// Where it comes from.
#[derive(Debug)]
enum Content {
    Browser(Incoming),
    Gate(Full<Bytes>),
}

impl Upload {
    pub(super) fn new(body: Incoming) -> Upload {
        let ended = Arc::new(AtomicBool::new(body.is_end_stream()));
        Upload { content: Content::Browser(body), ended }
    }

    /// A body of the gate's own.
    pub(super) fn of(body: Bytes) -> Upload {
        let body = Full::new(body);
        let ended = Arc::new(AtomicBool::new(body.is_end_stream()));
        Upload { content: Content::Gate(body), ended }
    }
}

impl Body for Upload {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        let frame = match &mut self.content {
            Content::Browser(body) => Pin::new(body).poll_frame(cx),
            Content::Gate(body) => Pin::new(body).poll_frame(cx).map_err(|never| match never {}),
        };
        if matches!(frame, Poll::Ready(None)) || self.is_end_stream() {
            self.ended.store(true, Ordering::Relaxed);
        }
        frame
    }

    fn is_end_stream(&self) -> bool {
        match &self.content {
            Content::Browser(body) => body.is_end_stream(),
            Content::Gate(body) => body.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.content {
            Content::Browser(body) => body.size_hint(),
            Content::Gate(body) => body.size_hint(),
        }
    }
}

/// The body of an answer on its way to the browser; holds the link until it has ended.
#[derive(Debug)]
pub(super) struct Download {
    body: Incoming,
    link: Option<Link>,
    home: Home,
}

impl Download {
    pub(super) fn new(body: Incoming, link: Link, home: Home) -> Download {
        let mut download = Download { body, link: Some(link), home };
        if download.body.is_end_stream() {
            download.end();
        }
        download
    }

    /// The link rests, unless the tool answered before it had the whole request: then the rest of that request
    /// would stand in the way of the next one.
    fn end(&mut self) {
        let Some(mut link) = self.link.take() else { return };
        if link.uploaded.load(Ordering::Relaxed) {
            link.rests = Instant::now();
            *self.home.lock().expect("nobody panics with this lock") = Some(link);
        }
    }
}

impl Body for Download {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        let mut frame = Pin::new(&mut self.body).poll_frame(cx);
        if frame.is_pending()
            && let Some(link) = &mut self.link
        {
            link.drive(cx);
            frame = Pin::new(&mut self.body).poll_frame(cx);
        }
        match &frame {
            Poll::Ready(Some(Err(_))) => self.link = None,
            Poll::Ready(_) if self.body.is_end_stream() => self.end(),
            Poll::Ready(None) => self.end(),
            _ => {}
        }
        frame
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
