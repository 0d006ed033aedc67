//! One browser connection: HTTP/1.1 until it ends or becomes a WebSocket, then the tunnel, all in one task. Knows no
//! rule of the gate.

use super::link::Home;
use super::listen::Gate;
use super::service::Desk;
use super::tunnel::Tunnel;
use hyper::server::conn::http1::Builder;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use rustix::net::sockopt;
use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::net::TcpStream;

/// Bytes of a request's head, and of what is read ahead of a body.
pub(super) const HEAD_MAX: usize = 64 * 1024;
/// A head must be complete so long after the one before, or after connecting. So idle connections end here too: as
/// long as nginx keeps them, so that proxies in front rarely meet one that is just closing.
const HEAD_TIME: Duration = Duration::from_secs(75);
/// A silent peer is asked by the kernel after so long, then at this interval, so many times.
const KEEPALIVE: (Duration, Duration, u32) = (Duration::from_secs(60), Duration::from_secs(15), 4);
/// A peer that takes nothing of what was sent for so long is gone, in ms.
const UNTAKEN_MS: u32 = 120_000;

/// Serves one connection to its end.
pub(super) async fn serve(gate: &Arc<Gate>, number: u64, stream: TcpStream, peer: SocketAddr) {
    if let Err(e) = prepare(&stream) {
        tracing::debug!("a connection's options: {e}");
    }
    let upgraded: Arc<Mutex<Option<Tunnel>>> = Arc::default();
    let desk = Arc::new(Desk::new(gate.clone(), number, peer, Home::default(), upgraded.clone()));
    let service = service_fn(move |request| {
        let desk = desk.clone();
        async move { Ok::<_, Infallible>(desk.answer(request).await) }
    });
    let mut http = Builder::new();
    http.timer(TokioTimer::new()).header_read_timeout(HEAD_TIME).max_buf_size(HEAD_MAX).max_header_size(HEAD_MAX);
    let served = http.serve_connection(TokioIo::new(stream), service).with_upgrades().await;
    if let Err(e) = served {
        // Browsers leave in the middle of things all the time.
        tracing::debug!("a connection ended: {e}");
    }
    let tunnel = upgraded.lock().expect("nobody panics with this lock").take();
    if let Some(tunnel) = tunnel
        && let Err(e) = tunnel.run().await
    {
        tracing::debug!("a WebSocket ended: {e}");
    }
}

/// Without delay, and with signs of life: a laptop that was closed must not hold a connection for days.
fn prepare(stream: &TcpStream) -> std::io::Result<()> {
    stream.set_nodelay(true)?;
    sockopt::set_socket_keepalive(stream, true)?;
    sockopt::set_tcp_keepidle(stream, KEEPALIVE.0)?;
    sockopt::set_tcp_keepintvl(stream, KEEPALIVE.1)?;
    sockopt::set_tcp_keepcnt(stream, KEEPALIVE.2)?;
    sockopt::set_tcp_user_timeout(stream, UNTAKEN_MS)?;
    Ok(())
}
