//! A live terminal, independent of who looks at it: one program, its numbered bytes, its transcript. Knows no viewer's
//! connection and no tool.
//!
//! A viewer has a number up to which he has seen everything, and reads from there: one who was away, slow or new is the
//! same reader. The program is slowed down to the quickest viewer who keeps up, never to one who does not, and never when
//! nobody looks.

use crate::{Exit, Piece, Resizer, Scrollback, Signal, Size, Spawned, Terminal, terminal::Screen};
use pace::Pace;
use std::{
    io::{self, Write},
    sync::{Arc, Mutex, MutexGuard, PoisonError, mpsc as std_mpsc},
    thread,
    time::{Duration, Instant},
};
use tokio::sync::{mpsc, oneshot, watch};

mod pace;
mod rotation;
mod screen;
mod transcript;

pub use pace::Viewer;
pub use rotation::Sizes;
pub use transcript::{Recorder, Segments};

/// Keys that wait for a program that does not read: pieces of at most [`KEYS_BYTES`].
const KEYS_WAITING: usize = 64;
/// Bytes of one piece of input.
pub const KEYS_BYTES: usize = 64 * 1024;
/// The screen of a program that has ended gets this long to be read to its end.
const LAST_WORDS: Duration = Duration::from_secs(2);

/// A handle; cheap to clone. The program lives on without any.
#[derive(Clone, Debug)]
pub struct Session(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    pid: u32,
    scrollback: Mutex<Scrollback>,
    /// Number of the byte that comes next.
    end: watch::Sender<u64>,
    state: watch::Sender<SessionState>,
    pace: Pace,
    keys: std_mpsc::SyncSender<Vec<u8>>,
    resizer: Resizer,
    size: watch::Sender<Size>,
    signals: mpsc::UnboundedSender<Signal>,
    begun: Instant,
}

/// Where a session is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SessionState {
    /// Its program runs.
    Running,
    /// It has ended, and every byte of it is here.
    Ended {
        /// How.
        exit: Exit,
        /// Time from its start.
        after: Duration,
    },
}

/// Why keys were not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotTyped {
    /// The program does not read.
    #[error("The program does not read its keyboard.")]
    Full,
    /// It has ended.
    #[error("The program has ended.")]
    Ended,
    /// Too much at once.
    #[error("More than 64 KiB at once cannot be typed.")]
    TooLong,
}

impl Session {
    /// A session of a process with a terminal. Its bytes go to `transcript` too. With it comes its exit, as the process's
    /// own would have come, after the last byte was read.
    ///
    /// # Errors
    /// When the process has no terminal, or the system gives no thread.
    pub fn begin(spawned: Spawned, size: Size, transcript: Option<Recorder>) -> io::Result<(Session, oneshot::Receiver<Exit>)> {
        let Spawned { pid, terminal, signals, exit, .. } = spawned;
        let terminal = terminal.ok_or_else(|| io::Error::other("a session needs a terminal"))?;
        let resizer = terminal.resizer();
        let Terminal { screen, keyboard, .. } = terminal;
        let (keys, typed) = std_mpsc::sync_channel(KEYS_WAITING);
        let inner = Inner {
            pid,
            scrollback: Mutex::default(),
            end: watch::Sender::new(0),
            state: watch::Sender::new(SessionState::Running),
            pace: Pace::default(),
            keys,
            resizer,
            size: watch::Sender::new(size),
            signals,
            begun: Instant::now(),
        };
        let session = Session(Arc::new(inner));
        let (read, all_read) = oneshot::channel();
        let reader = session.clone();
        thread::Builder::new().name("screen".into()).spawn(move || {
            reader.read_screen(screen, transcript);
            let _ = read.send(());
        })?;
        thread::Builder::new().name("keyboard".into()).spawn(move || type_keys(keyboard, &typed))?;
        let (ended, told) = oneshot::channel();
        tokio::spawn(session.clone().see_out(exit, all_read, ended));
        Ok((session, told))
    }

    /// Number of its process (the guardian's).
    pub fn pid(&self) -> u32 {
        self.0.pid
    }

    /// Up to `most` bytes from number `from` on.
    pub fn read(&self, from: u64, most: usize) -> Piece {
        self.scrollback().read(from, most)
    }

    /// The latest bytes, at most so many.
    pub fn last(&self, most: usize) -> Vec<u8> {
        let scrollback = self.scrollback();
        scrollback.read(scrollback.end().saturating_sub(most as u64), most).bytes
    }

    /// Number of the byte that comes next; changes with every byte.
    pub fn end(&self) -> watch::Receiver<u64> {
        self.0.end.subscribe()
    }

    /// Whether it runs; changes once.
    pub fn state(&self) -> watch::Receiver<SessionState> {
        self.0.state.subscribe()
    }

    /// Time since its start.
    pub fn age(&self) -> Duration {
        self.0.begun.elapsed()
    }

    /// Its size; changes when anybody resizes it.
    pub fn size(&self) -> watch::Receiver<Size> {
        self.0.size.subscribe()
    }

    /// Somebody who looks, and says how far he is.
    pub fn viewer(&self) -> Viewer<'_> {
        self.0.pace.viewer()
    }

    /// Types.
    ///
    /// # Errors
    /// When the program cannot take it; nothing is typed then.
    pub fn type_keys(&self, keys: Vec<u8>) -> Result<(), NotTyped> {
        if keys.len() > KEYS_BYTES {
            return Err(NotTyped::TooLong);
        }
        if *self.0.state.borrow() != SessionState::Running {
            return Err(NotTyped::Ended);
        }
        self.0.keys.try_send(keys).map_err(|e| match e {
            std_mpsc::TrySendError::Full(_) => NotTyped::Full,
            std_mpsc::TrySendError::Disconnected(_) => NotTyped::Ended,
        })
    }

    /// Sets the size for everybody.
    pub fn resize(&self, size: Size) {
        if *self.0.size.borrow() == size {
            return;
        }
        match self.0.resizer.resize(size) {
            Ok(()) => drop(self.0.size.send_replace(size)),
            Err(e) => tracing::debug!("a terminal was not resized: {e}"),
        }
    }

    /// Asks its program to end, or ends everything that came of it.
    pub fn signal(&self, signal: Signal) {
        let _ = self.0.signals.send(signal);
    }

    fn scrollback(&self) -> MutexGuard<'_, Scrollback> {
        // A push leaves it whole.
        self.0.scrollback.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn read_screen(&self, mut screen: Screen, mut transcript: Option<Recorder>) {
        screen::read_to_end(&mut screen, |bytes| {
            // First the file: whatever anybody has seen outlives the panel.
            if let Some(transcript) = &mut transcript {
                transcript.write(bytes);
            }
            let end = {
                let mut scrollback = self.scrollback();
                scrollback.push(bytes);
                scrollback.end()
            };
            self.0.end.send_replace(end);
            self.0.pace.wait(end);
        });
    }

    async fn see_out(self, exit: oneshot::Receiver<Exit>, all_read: oneshot::Receiver<()>, ended: oneshot::Sender<Exit>) {
        let exit = exit.await.unwrap_or(Exit::Unknown);
        // The guardian has ended everything that could hold the terminal open.
        let _ = tokio::time::timeout(LAST_WORDS, all_read).await;
        self.0.state.send_replace(SessionState::Ended { exit, after: self.0.begun.elapsed() });
        let _ = ended.send(exit);
    }
}

fn type_keys(mut keyboard: Box<dyn Write + Send>, typed: &std_mpsc::Receiver<Vec<u8>>) {
    for keys in typed {
        if keyboard.write_all(&keys).and_then(|()| keyboard.flush()).is_err() {
            return;
        }
    }
}
