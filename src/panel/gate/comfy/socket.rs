//! A WebSocket of ComfyUI's, read and written message by message: the browser hears what is about its profile's own prompts,
//! and says which features it has. Knows no rule of its own: `events.rs` decides.

use super::Run;
use super::events::{Heard, Stream, said, status};
use super::lists::{self, Own};
use super::names::Owner;
use super::upstream::{Failure, Tool};
use crate::gate::link::Home;
use crate::users::ProfileId;
use futures_util::{SinkExt as _, StreamExt as _};
use hyper::body::Bytes;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpStream;
use tokio::time::{MissedTickBehavior, interval, timeout};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::protocol::{Role, WebSocketConfig};
use tokio_tungstenite::tungstenite::{Error, Message};

/// Bytes of a message from ComfyUI: previews are small, but a node may send any picture.
const TOLD_MAX: usize = 64 * 1024 * 1024;
/// Bytes of a message from a browser: the list of its features.
const SAID_MAX: usize = 64 * 1024;
/// Bytes that wait for a browser that reads slowly, before ComfyUI is read no further.
const WAITING_MAX: usize = TOLD_MAX + SAID_MAX;
/// After one side has ended, the other gets so long to say its last.
const LAST: Duration = Duration::from_secs(5);

/// What a tunnel to ComfyUI needs to be one browser's only.
#[derive(Debug)]
pub(in crate::gate) struct Ear {
    pub(super) run: Arc<Run>,
    pub(super) profile: ProfileId,
    pub(super) owner: Owner,
    pub(super) address: SocketAddr,
}

/// What one browser has heard.
#[derive(Debug, Default)]
struct Hearing {
    stream: Stream,
    /// Its profile's own of the queue, as it was told last.
    own: Option<Own>,
}

/// One end of the tunnel: its socket, and what was read of it already.
pub(in crate::gate) type End = (TcpStream, Bytes);

type Socket = WebSocketStream<TcpStream>;

impl Ear {
    /// Carries messages until one side ends. A browser that hears nothing gets a ping so often.
    pub(in crate::gate) async fn carry(self, browser: End, tool: End, every: Duration) -> Result<(), Error> {
        let mut browser = open(browser, Role::Server, SAID_MAX).await;
        let mut tool = open(tool, Role::Client, TOLD_MAX).await;
        let ended = self.exchange(&mut browser, &mut tool, every).await;
        // Both are told, whichever ended; a side that is gone already is no error here.
        let _ = timeout(LAST, async { tokio::join!(browser.close(None), tool.close(None)) }).await;
        match ended {
            Err(Error::ConnectionClosed | Error::AlreadyClosed) => Ok(()),
            other => other,
        }
    }

    async fn exchange(&self, browser: &mut Socket, tool: &mut Socket, every: Duration) -> Result<(), Error> {
        let (mut hearing, home) = (Hearing::default(), Home::default());
        let mut tick = interval(every);
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut silent = false;
        loop {
            tokio::select! {
                told = tool.next() => {
                    let Some(told) = told.transpose()? else { return Ok(()) };
                    if let Some(message) = self.hear(&mut hearing, &home, told).await {
                        browser.send(message).await?;
                        silent = false;
                    }
                }
                asked = browser.next() => match asked.transpose()? {
                    None | Some(Message::Close(_)) => return Ok(()),
                    Some(Message::Text(text)) => if let Some(text) = said(&text) {
                        tool.send(Message::text(text)).await?;
                    },
                    // Pings are answered by the library; a browser says nothing else.
                    Some(_) => {}
                },
                _ = tick.tick() => {
                    if silent {
                        browser.send(Message::Ping(Bytes::new())).await?;
                    }
                    silent = true;
                }
            }
        }
    }

    /// What the browser is told of a message.
    async fn hear(&self, hearing: &mut Hearing, home: &Home, told: Message) -> Option<Message> {
        let owns = |prompt: &str| self.run.owns(&self.profile, prompt);
        match told {
            Message::Text(text) => match hearing.stream.text(&text, &self.owner, owns) {
                Heard::Nothing => None,
                Heard::Text(text) => Some(Message::text(text)),
                Heard::Made(text, files) => {
                    self.run.owners().made(&self.profile, files);
                    Some(Message::text(text))
                }
                Heard::Status(sid) => {
                    let tool = Tool { home, address: self.address };
                    // Without the queue it is not told; the next change tells it.
                    let own = Own::of(&*self.run.queue(tool).await.ok()?, owns);
                    // That something of somebody else's has changed is nobody's business.
                    let news = hearing.own.as_ref() != Some(&own) || sid.is_some();
                    let told = news.then(|| Message::text(status(own.count(), sid.as_deref())));
                    hearing.own = Some(own);
                    told
                }
            },
            Message::Binary(bytes) => hearing.stream.binary(&bytes, owns).then_some(Message::Binary(bytes)),
            _ => None,
        }
    }
}

/// How many prompts of a profile wait or run.
pub(super) async fn count(run: &Run, profile: &ProfileId, tool: Tool<'_>) -> Result<usize, Failure> {
    let told = run.queue(tool).await?;
    Ok(lists::count(&told, |id| run.owns(profile, id)))
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
