//! A WebSocket of ComfyUI's, read and written message by message: the browser hears what is about its profile's own prompts,
//! and says which features it has. ComfyUI tells all its browsers one after the other, so it is always read, however slowly
//! this one reads. Knows no rule of its own: `events.rs` decides.

use super::Run;
use super::events::{Heard, Stream, is_preview, said, status};
use super::names::Owner;
use super::outbox::Outbox;
use super::queue::Queue;
use super::upstream::{Failure, Tool};
use crate::gate::link::Home;
use crate::users::ProfileId;
use futures_util::stream::{SplitSink, SplitStream};
use futures_util::{SinkExt as _, StreamExt as _};
use hyper::body::Bytes;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::net::TcpStream;
use tokio::sync::Notify;
use tokio::time::{sleep, timeout};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::protocol::{Role, WebSocketConfig};
use tokio_tungstenite::tungstenite::{Error, Message};

/// Bytes of a message from ComfyUI: previews are small, but a node may send any picture.
const TOLD_MAX: usize = 64 * 1024 * 1024;
/// Bytes of a message from a browser: the list of its features.
const SAID_MAX: usize = 64 * 1024;
/// Bytes that may wait inside the library for a side that reads slowly.
const WAITING_MAX: usize = TOLD_MAX + SAID_MAX;
/// After one side has ended, the other gets so long to say its last.
const LAST: Duration = Duration::from_secs(5);
/// After the queue could not be asked for, it is asked for again.
const AGAIN: Duration = Duration::from_secs(2);

/// What a tunnel to ComfyUI needs to be one browser's only.
#[derive(Debug)]
pub(in crate::gate) struct Ear {
    pub(super) run: Arc<Run>,
    pub(super) profile: ProfileId,
    pub(super) owner: Owner,
    pub(super) address: SocketAddr,
}

/// What waits to be told to one browser.
#[derive(Debug)]
struct Telling {
    outbox: Outbox<Message>,
    /// The queue has changed since its count was told.
    stale: Notify,
    /// What the browser is called, where it has just been told so by ComfyUI.
    sid: Mutex<Option<String>>,
}

/// One end of the tunnel: its socket, and what was read of it already.
pub(in crate::gate) type End = (TcpStream, Bytes);

type Socket = WebSocketStream<TcpStream>;
type Speaker = SplitSink<Socket, Message>;
type Listener = SplitStream<Socket>;

impl Ear {
    /// Carries messages until one side ends. A browser that hears nothing gets a ping so often.
    pub(in crate::gate) async fn carry(self, browser: End, tool: End, every: Duration) -> Result<(), Error> {
        let (mut to_browser, mut from_browser) = open(browser, Role::Server, SAID_MAX).await.split();
        let (mut to_tool, mut from_tool) = open(tool, Role::Client, TOLD_MAX).await.split();
        let telling = Telling { outbox: Outbox::new(), stale: Notify::new(), sid: Mutex::default() };
        let ended = tokio::select! {
            ended = self.hear(&telling, &mut from_tool) => ended,
            ended = say(&mut from_browser, &mut to_tool) => ended,
            ended = tell(&telling, &mut to_browser, every) => ended,
            never = self.count(&telling) => match never {},
        };
        // Both are told, whichever ended; a side that is gone already is no error here.
        let _ = timeout(LAST, async { tokio::join!(to_browser.close(), to_tool.close()) }).await;
        match ended {
            Err(Error::ConnectionClosed | Error::AlreadyClosed) => Ok(()),
            other => other,
        }
    }

    /// Reads what ComfyUI tells, and puts down what is for the browser.
    async fn hear(&self, telling: &Telling, from: &mut Listener) -> Result<(), Error> {
        let mut stream = Stream::default();
        let owns = |prompt: &str| self.run.owns(&self.profile, prompt);
        while let Some(told) = from.next().await.transpose()? {
            let text = match told {
                Message::Text(text) => match stream.text(&text, &self.owner, owns) {
                    Heard::Nothing => continue,
                    Heard::Text(text) => text,
                    Heard::Made(text, files) => {
                        self.run.owners().made(&self.profile, files);
                        text
                    }
                    Heard::Status(sid) => {
                        if sid.is_some() {
                            *telling.sid.lock().unwrap_or_else(PoisonError::into_inner) = sid;
                        }
                        telling.stale.notify_one();
                        continue;
                    }
                },
                Message::Binary(bytes) if stream.binary(&bytes, owns) => {
                    telling.bytes(bytes)?;
                    continue;
                }
                _ => continue,
            };
            telling.text(text)?;
        }
        Ok(())
    }

    /// Tells the browser its profile's own count after each change of the queue.
    async fn count(&self, telling: &Telling) -> std::convert::Infallible {
        let (home, mut last) = (Home::default(), None);
        loop {
            telling.stale.notified().await;
            let owns = |prompt: &str| self.run.owns(&self.profile, prompt);
            let tool = Tool { home: &home, address: self.address };
            let Ok(queue) = self.run.queue(tool).await else {
                sleep(AGAIN).await;
                telling.stale.notify_one();
                continue;
            };
            let own: Queue = queue.own(owns);
            let sid = telling.sid.lock().unwrap_or_else(PoisonError::into_inner).take();
            // That something of somebody else's has changed is nobody's business.
            if last.as_ref() != Some(&own) || sid.is_some() {
                // Where too much waits already, the next message ends it.
                let _ = telling.text(status(own.count(), sid.as_deref()));
            }
            last = Some(own);
        }
    }
}

impl Telling {
    fn text(&self, text: String) -> Result<(), Error> {
        let size = text.len();
        self.outbox.add(Message::text(text), size).map_err(|_| Error::ConnectionClosed)
    }

    fn bytes(&self, bytes: Bytes) -> Result<(), Error> {
        let size = bytes.len();
        if is_preview(&bytes) {
            self.outbox.add_passing(Message::Binary(bytes), size);
            return Ok(());
        }
        self.outbox.add(Message::Binary(bytes), size).map_err(|_| Error::ConnectionClosed)
    }
}

/// Tells the browser what waits for it.
async fn tell(telling: &Telling, to: &mut Speaker, every: Duration) -> Result<(), Error> {
    loop {
        let message = timeout(every, telling.outbox.next()).await;
        to.send(message.unwrap_or(Message::Ping(Bytes::new()))).await?;
    }
}

/// Tells ComfyUI what the browser says.
async fn say(from: &mut Listener, to: &mut Speaker) -> Result<(), Error> {
    while let Some(asked) = from.next().await.transpose()? {
        match asked {
            Message::Close(_) => return Ok(()),
            Message::Text(text) => {
                if let Some(text) = said(&text) {
                    to.send(Message::text(text)).await?;
                }
            }
            // Pings are answered by the library; a browser says nothing else.
            _ => {}
        }
    }
    Ok(())
}

/// How many prompts of a profile wait or run.
pub(super) async fn count(run: &Run, profile: &ProfileId, tool: Tool<'_>) -> Result<usize, Failure> {
    Ok(run.queue(tool).await?.own(|id| run.owns(profile, id)).count())
}

async fn open((socket, read): End, role: Role, most: usize) -> Socket {
    let config = WebSocketConfig::default()
        .max_message_size(Some(most))
        .max_frame_size(Some(most))
        .max_write_buffer_size(WAITING_MAX + most);
    WebSocketStream::from_partially_read(socket, read.to_vec(), role, Some(config)).await
}

#[cfg(test)]
#[path = "tests/sockets.rs"]
mod tests;
