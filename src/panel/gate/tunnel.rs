//! A WebSocket through the gate: bytes as they come, both ways. A browser that hears nothing gets a ping, because
//! proxies in front cut what is idle for 100 s and not every tool pings; its pong goes to the tool, which has to
//! ignore it (RFC 6455, section 5.5.3). What a browser says is noticed, not
//! read, but where a tool's people are kept apart: then each message is. Knows no message.

use super::Visitor;
use super::comfy::Ear;
use super::frames::Frames;
use super::link::Link;
use super::listen::Gate;
use hyper::upgrade::OnUpgrade;
use hyper_util::rt::TokioIo;
use std::io;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::net::tcp::{ReadHalf, WriteHalf};
use tokio::time::{MissedTickBehavior, interval, timeout};

/// A tick in which nothing went to the browser ends with a ping: so silence lasts less than twice as long.
const TICK: Duration = Duration::from_secs(12);
/// An empty ping, unmasked as a server's.
const PING: [u8; 2] = [0x89, 0];
/// What is read at once.
const CHUNK: usize = 32 * 1024;
/// After one side has ended, the other gets so long to say its last.
const LAST: Duration = Duration::from_secs(5);

/// Both ends, once the browser's is free.
#[derive(Debug)]
pub(super) struct Tunnel {
    pub(super) browser: OnUpgrade,
    pub(super) tool: Link,
    /// Who speaks, and where that counts.
    pub(super) visitor: Arc<Visitor>,
    pub(super) gate: Arc<Gate>,
    /// Reads and writes every message, where a tool does not keep its people apart.
    pub(super) ear: Option<Ear>,
}

impl Tunnel {
    /// Carries bytes until both sides have ended.
    pub(super) async fn run(self) -> io::Result<()> {
        let (mut tool, said) = self.tool.into_socket().await.map_err(io::Error::other)?;
        let browser = self.browser.await.map_err(io::Error::other)?;
        let browser = browser.downcast::<TokioIo<TcpStream>>().map_err(|_| io::Error::other("not the socket that came"))?;
        let (mut socket, asked) = (browser.io.into_inner(), browser.read_buf);
        if let Some(ear) = self.ear {
            return ear.carry((socket, asked), (tool, said), TICK).await.map_err(io::Error::other);
        }
        let ((read, write), (tool_read, tool_write)) = (socket.split(), tool.split());
        let mut up = std::pin::pin!(up(&asked, read, tool_write, || self.gate.count_use(&self.visitor)));
        let mut down = std::pin::pin!(down(&said, tool_read, write, TICK));
        tokio::select! {
            ended = &mut up => {
                ended?;
                timeout(LAST, down).await.unwrap_or(Ok(()))
            }
            ended = &mut down => {
                ended?;
                timeout(LAST, up).await.unwrap_or(Ok(()))
            }
        }
    }
}

/// `said` is told of each message.
async fn up(first: &[u8], mut from: ReadHalf<'_>, mut to: WriteHalf<'_>, said: impl Fn()) -> io::Result<()> {
    let (mut frames, mut buffer) = (Frames::default(), vec![0; CHUNK]);
    let mut notice = |bytes: &[u8]| {
        frames.pass(bytes);
        if frames.said() {
            said();
        }
    };
    notice(first);
    to.write_all(first).await?;
    loop {
        let read = from.read(&mut buffer).await?;
        if read == 0 {
            return to.shutdown().await;
        }
        notice(&buffer[..read]);
        to.write_all(&buffer[..read]).await?;
    }
}

async fn down(first: &[u8], mut from: ReadHalf<'_>, mut to: WriteHalf<'_>, every: Duration) -> io::Result<()> {
    let (mut frames, mut buffer) = (Frames::default(), vec![0; CHUNK]);
    let mut tick = interval(every);
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    frames.pass(first);
    to.write_all(first).await?;
    let mut silent = false;
    loop {
        tokio::select! {
            read = from.read(&mut buffer) => {
                let bytes = &buffer[..read?];
                if bytes.is_empty() {
                    return to.shutdown().await;
                }
                frames.pass(bytes);
                to.write_all(bytes).await?;
                silent = false;
            }
            _ = tick.tick() => {
                if silent && frames.between() {
                    to.write_all(&PING).await?;
                }
                silent = true;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::net::TcpListener;

    async fn pair() -> (TcpStream, TcpStream) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let (one, two) = tokio::join!(TcpStream::connect(listener.local_addr().unwrap()), listener.accept());
        (one.unwrap(), two.unwrap().0)
    }

    #[tokio::test]
    async fn a_silent_tool_is_spoken_for_between_frames_only() {
        let ((mut tool, mut inner), (mut outer, mut browser)) = (pair().await, pair().await);
        let every = Duration::from_millis(20);
        let carrying = tokio::spawn(async move {
            let (from, to) = (inner.split().0, outer.split().1);
            down(b"", from, to, every).await
        });
        // Half a frame: no ping may stand in the middle of it.
        tool.write_all(&[0x82, 4, 1, 2]).await.unwrap();
        let mut half = [0; 4];
        browser.read_exact(&mut half).await.unwrap();
        assert!(timeout(every * 6, browser.read_u8()).await.is_err(), "a ping inside a frame");
        tool.write_all(&[3, 4]).await.unwrap();
        let mut rest = [0; 6];
        browser.read_exact(&mut rest).await.unwrap();
        assert_eq!(rest, [3, 4, PING[0], PING[1], PING[0], PING[1]]);
        // After a close nothing may follow.
        tool.write_all(&[0x88, 0]).await.unwrap();
        while browser.read_u8().await.unwrap() != 0x88 {}
        browser.read_u8().await.unwrap();
        assert!(timeout(every * 6, browser.read_u8()).await.is_err(), "a ping after a close");
        drop(tool);
        assert_eq!(browser.read(&mut rest).await.unwrap(), 0);
        carrying.await.unwrap().unwrap();
    }
}
