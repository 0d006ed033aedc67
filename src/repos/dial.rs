//! A connection to a host, made so that its waiting can be given up at any moment. Knows neither git nor TLS.

use crate::watch::Watch;
use std::{
    io::{self, ErrorKind},
    net::{TcpStream, ToSocketAddrs},
    sync::mpsc,
    thread,
    time::Duration,
};

/// How long a socket waits before its reader looks whether it is to give up.
pub(crate) const WAIT: Duration = Duration::from_millis(100);
/// Longest wait for one address of a host.
const CONNECT: Duration = Duration::from_secs(10);

/// Connects to the first address of a host that answers. Reads and writes of the stream return after [`WAIT`].
pub(crate) fn dial(host: &str, port: u16, watch: &Watch) -> io::Result<TcpStream> {
    let (done, ended) = mpsc::channel();
    let place = (host.to_owned(), port);
    // Name resolution cannot be broken off. A thread that hangs in it holds nothing, and nobody waits for it.
    thread::Builder::new().name("git-dial".to_owned()).spawn(move || _ = done.send(connect(&place)))?;
    loop {
        match ended.recv_timeout(WAIT) {
            Ok(stream) => {
                let stream = stream?;
                stream.set_nodelay(true)?;
                stream.set_read_timeout(Some(WAIT))?;
                stream.set_write_timeout(Some(WAIT))?;
                watch.touch();
                return Ok(stream);
            }
            Err(mpsc::RecvTimeoutError::Timeout) if !watch.stopped() => {}
            Err(_) => return Err(ErrorKind::Interrupted.into()),
        }
    }
}

fn connect((host, port): &(String, u16)) -> io::Result<TcpStream> {
    let mut last = io::Error::new(ErrorKind::NotFound, "the name has no address");
    for address in (host.as_str(), *port).to_socket_addrs()? {
        match TcpStream::connect_timeout(&address, CONNECT) {
            Ok(stream) => return Ok(stream),
            Err(e) => last = e,
        }
    }
    Err(last)
}

/// Whether a read or a write only took longer than [`WAIT`].
pub(crate) fn again(error: &io::Error) -> bool {
    matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut | ErrorKind::Interrupted)
}
