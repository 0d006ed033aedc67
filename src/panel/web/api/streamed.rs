//! Bodies that are written while they are sent, by a thread that waits for the connection. Knows no resource.

use actix_web::web::Bytes;
use futures_util::{Stream, stream};
use std::io::{self, Write};
use tokio::sync::mpsc;

/// Chunks that may wait for a slow connection.
const AHEAD: usize = 8;
/// Size of a chunk.
const CHUNK: usize = 64 << 10;

/// A body that `write` makes. Where it fails the connection breaks off, so that half is not taken for whole.
pub(super) fn streamed(
    write: impl FnOnce(Out) -> anyhow::Result<()> + Send + 'static,
) -> impl Stream<Item = io::Result<Bytes>> + 'static {
    let (chunks, sent) = mpsc::channel(AHEAD);
    tokio::task::spawn_blocking(move || {
        let out = Out { chunks: chunks.clone(), buffer: Vec::with_capacity(CHUNK) };
        if let Err(e) = write(out) {
            tracing::warn!("a download ended early: {e:#}");
            let _ = chunks.blocking_send(Err(io::Error::other("ended early")));
        }
    });
    stream::unfold(sent, |mut sent| async move { Some((sent.recv().await?, sent)) })
}

/// A writer whose chunks go to the connection, and which waits for it.
pub(super) struct Out {
    chunks: mpsc::Sender<io::Result<Bytes>>,
    buffer: Vec<u8>,
}

impl Write for Out {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.buffer.extend_from_slice(bytes);
        if self.buffer.len() >= CHUNK {
            self.flush()?;
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        if self.buffer.is_empty() {
            return Ok(());
        }
        let chunk = Bytes::from(std::mem::replace(&mut self.buffer, Vec::with_capacity(CHUNK)));
        self.chunks.blocking_send(Ok(chunk)).map_err(|_| io::ErrorKind::BrokenPipe.into())
    }
}
