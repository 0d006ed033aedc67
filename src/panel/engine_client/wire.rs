//! Frames on a socket, each direction with a task of its own so that neither waits for the other. Knows no
//! message.

use protocol::{
    FromEngine, ToEngine,
    frame::{self, FrameError},
};
use std::io;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{
        UnixStream,
        unix::{OwnedReadHalf, OwnedWriteHalf},
    },
    sync::mpsc,
};

/// Messages waiting for the task that owns the conversation. It passes each on at once, so this is for a moment; what waits for
/// a slow disk behind it is one job's.
const INBOX: usize = 64;

/// Both directions of a connection. Dropping it hangs up.
#[derive(Debug)]
pub(super) struct Wire {
    out: mpsc::UnboundedSender<Vec<u8>>,
    inbox: mpsc::Receiver<FromEngine>,
}

impl Wire {
    pub(super) fn new(stream: UnixStream) -> Wire {
        let (read, write) = stream.into_split();
        let (out, frames) = mpsc::unbounded_channel();
        let (messages, inbox) = mpsc::channel(INBOX);
        tokio::spawn(write_all(write, frames));
        tokio::spawn(async move {
            if let Err(e) = read_all(read, messages).await {
                tracing::error!("the engine is not understood: {e}");
            }
        });
        Wire { out, inbox }
    }

    /// Sends, without waiting for it. A connection that broke is noticed by its reader.
    pub(super) fn send(&self, message: &ToEngine) -> Result<(), FrameError> {
        let _ = self.out.send(frame::encode(message)?);
        Ok(())
    }

    /// The next message; none once the connection is over.
    pub(super) async fn next(&mut self) -> Option<FromEngine> {
        self.inbox.recv().await
    }
}

async fn write_all(mut socket: OwnedWriteHalf, mut frames: mpsc::UnboundedReceiver<Vec<u8>>) {
    while let Some(frame) = frames.recv().await {
        if socket.write_all(&frame).await.is_err() {
            return;
        }
    }
}

async fn read_all(mut socket: OwnedReadHalf, messages: mpsc::Sender<FromEngine>) -> Result<(), FrameError> {
    while let Ok(body) = read_body(&mut socket).await {
        if messages.send(frame::decode(&body?)?).await.is_err() {
            break;
        }
    }
    Ok(())
}

async fn read_body(socket: &mut OwnedReadHalf) -> io::Result<Result<Vec<u8>, FrameError>> {
    let mut prefix = [0; 4];
    socket.read_exact(&mut prefix).await?;
    let length = match frame::body_length(prefix) {
        Ok(length) => length,
        Err(e) => return Ok(Err(e)),
    };
    let mut body = vec![0; length];
    socket.read_exact(&mut body).await?;
    Ok(Ok(body))
}
