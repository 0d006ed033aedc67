//! What goes to the panel: a queue and the thread that empties it. Encodes previews there, so that a step never
//! waits for one, and leaves previews out while an earlier one is unsent. Knows no jobs.

use crate::Picture;
use media::{Rgb8, thumb};
use protocol::{FromEngine, JobId, frame};
use std::{
    io::Write,
    os::unix::net::UnixStream,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
        mpsc::{Receiver, Sender, SyncSender, channel, sync_channel},
    },
};

/// Something to send.
pub(super) enum Parcel {
    /// A message as it is.
    Message(Box<FromEngine>),
    /// A step, its preview still in pixels.
    Step(Step),
    /// Nothing; tells that everything before it was written.
    Flush(SyncSender<()>),
}

/// [`FromEngine::Step`] with a preview in pixels.
pub(super) struct Step {
    pub(super) job: JobId,
    pub(super) step: u32,
    pub(super) steps: u32,
    pub(super) eta_s: f32,
    pub(super) preview: Option<Picture>,
}

/// The end of the queue that everybody holds.
pub(super) struct Outbox {
    parcels: Sender<Parcel>,
    preview_waits: Arc<AtomicBool>,
}

/// The end of the queue that the writer holds.
pub(super) struct Sending {
    parcels: Receiver<Parcel>,
    preview_waits: Arc<AtomicBool>,
}

impl Outbox {
    /// Both ends.
    pub(super) fn new() -> (Outbox, Sending) {
        let (sender, receiver) = channel();
        let preview_waits = Arc::new(AtomicBool::new(false));
        let sending = Sending { parcels: receiver, preview_waits: Arc::clone(&preview_waits) };
        (Outbox { parcels: sender, preview_waits }, sending)
    }

    /// Sends a message. Never waits; once the panel is gone nobody reads and nobody minds.
    pub(super) fn send(&self, message: FromEngine) {
        let _ = self.parcels.send(Parcel::Message(Box::new(message)));
    }

    /// Sends a step.
    pub(super) fn step(&self, step: Step) {
        if step.preview.is_some() {
            self.preview_waits.store(true, Ordering::Relaxed);
        }
        let _ = self.parcels.send(Parcel::Step(step));
    }

    /// Whether an earlier preview has not been written yet.
    pub(super) fn preview_waits(&self) -> bool {
        self.preview_waits.load(Ordering::Relaxed)
    }

    /// Waits until everything sent so far was written, or cannot be.
    pub(super) fn flush(&self) {
        let (done, written) = sync_channel(1);
        let _ = self.parcels.send(Parcel::Flush(done));
        let _ = written.recv();
    }
}

/// Writes until the queue or the stream ends.
pub(super) fn write(mut stream: UnixStream, sending: &Sending) {
    for parcel in &sending.parcels {
        let (message, had_preview) = match parcel {
            Parcel::Flush(done) => {
                let _ = done.send(());
                continue;
            }
            Parcel::Message(message) => (*message, false),
            Parcel::Step(step) => {
                let had_preview = step.preview.is_some();
                (encoded(step), had_preview)
            }
        };
        let written = match frame::encode(&message) {
            Ok(bytes) => stream.write_all(&bytes).is_ok(),
            Err(e) => {
                tracing::error!("a message cannot be sent: {e}");
                true
            }
        };
        if had_preview {
            sending.preview_waits.store(false, Ordering::Relaxed);
        }
        if !written {
            // The reader sees the end of the stream too, and ends the process.
            return;
        }
    }
}

fn encoded(step: Step) -> FromEngine {
    let preview = step.preview.and_then(|p| Rgb8::new(p.width, p.height, p.rgb)).and_then(|p| match thumb::preview(&p) {
        Ok(file) => Some(file),
        Err(e) => {
            tracing::warn!("a preview is left out: {e}");
            None
        }
    });
    FromEngine::Step { job: step.job, step: step.step, steps: step.steps, eta_s: step.eta_s, preview }
}
