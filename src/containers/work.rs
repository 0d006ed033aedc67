//! Work of an engine, such as a pull or an update, that is looked at in a terminal as a script is: a spawner of one "process"
//! whose lines are told by the work itself, whose exit code is how it went, and which ends when it is asked to.

use crate::{
    ContainerError, Progress,
    line::Line,
    spawner::{no_line, refused, spawned, terminal_of},
};
use std::{
    fmt,
    future::Future,
    pin::Pin,
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};
use supervise::{Exit, Launch, Signal, Spawner, spawner::Spawning};
use tokio::{
    io::AsyncWriteExt as _,
    net::unix::OwnedWriteHalf,
    sync::{mpsc, oneshot, watch},
};

/// Between two lines of progress.
const TELL: Duration = Duration::from_millis(200);
/// Exit code of work that failed.
const FAILED: i32 = 1;
/// Signal of work that was cancelled: SIGINT.
const INTERRUPTED: i32 = 2;

/// Tells what is done, on the lines that scripts use too.
#[derive(Clone, Debug)]
pub struct Work {
    lines: mpsc::UnboundedSender<Vec<u8>>,
    told: Option<Instant>,
}

impl Work {
    /// A line of text.
    pub fn line(&self, text: impl fmt::Display) {
        // Nobody looks: the work goes on.
        let _ = self.lines.send(format!("{text}\r\n").into_bytes());
    }

    /// A step begins, counted from 1.
    pub fn step(&self, at: u32, of: u32, what: impl fmt::Display) {
        self.line(format_args!("::step {at}/{of} {what}"));
    }

    /// How far a pull is, on one line that is written over; a few times a second at most.
    pub fn progress(&mut self, progress: &Progress) {
        if self.told.is_some_and(|told| told.elapsed() < TELL) && progress.done < progress.layers {
            return;
        }
        self.told = Some(Instant::now());
        let Progress { received, known, done, layers, fraction } = *progress;
        let megabytes = |bytes: u64| bytes as f64 / 1e6;
        let text = format!(
            "\r\x1b[K{:3.0} %  {:.1} of {:.1} MB, {done} of {layers} layers",
            fraction * 100.0,
            megabytes(received),
            megabytes(known)
        );
        let _ = self.lines.send(text.into_bytes());
    }
}

type Doing = Pin<Box<dyn Future<Output = Result<(), ContainerError>> + Send>>;
type Begin = Box<dyn FnOnce(Work) -> Doing + Send>;

/// Does one piece of work, once. Any signal, and Ctrl-C in its terminal, drops it where it is.
pub struct WorkSpawner {
    what: String,
    work: Mutex<Option<Begin>>,
}

impl fmt::Debug for WorkSpawner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WorkSpawner").field("what", &self.what).finish_non_exhaustive()
    }
}

impl WorkSpawner {
    /// Work under a name that errors tell.
    pub fn new<F>(what: &str, work: impl FnOnce(Work) -> F + Send + 'static) -> WorkSpawner
    where
        F: Future<Output = Result<(), ContainerError>> + Send + 'static,
    {
        WorkSpawner { what: what.to_owned(), work: Mutex::new(Some(Box::new(move |told| Box::pin(work(told))))) }
    }
}

impl Spawner for WorkSpawner {
    fn spawn<'a>(&'a self, launch: &'a Launch) -> Spawning<'a> {
        Box::pin(async move {
            let work = self.work.lock().unwrap_or_else(PoisonError::into_inner).take();
            let begin = || {
                let work = work.ok_or_else(|| ContainerError::Wrong("This was begun already.".into()))?;
                let (line, other_end) = Line::new().map_err(no_line)?;
                let (lines, told) = mpsc::unbounded_channel();
                let (signals, inbox) = mpsc::unbounded_channel();
                let (ended, exit) = oneshot::channel();
                let (set, _) = watch::channel(terminal_of(launch).unwrap_or_default());
                tokio::spawn(run(work(Work { lines, told: None }), line, told, inbox, ended));
                // There is no process; what is asked for by number finds none.
                spawned(0, other_end, set, signals, exit).map_err(no_line)
            };
            begin().map_err(|why| refused(self.what.clone(), why))
        })
    }
}

/// Whether anybody looks makes no difference to the work.
async fn say(screen: &mut OwnedWriteHalf, text: &[u8]) {
    let _ = screen.write_all(text).await;
}

async fn run(
    mut work: Doing,
    line: Line,
    mut told: mpsc::UnboundedReceiver<Vec<u8>>,
    mut inbox: mpsc::UnboundedReceiver<Signal>,
    mut ended: oneshot::Sender<Exit>,
) {
    let (mut typed, mut screen) = line.into_parts();
    let interrupted = Line::interrupted(&mut typed);
    tokio::pin!(interrupted);
    let how = loop {
        tokio::select! {
            biased;
            Some(text) = told.recv() => say(&mut screen, &text).await,
            done = &mut work => break done,
            _ = inbox.recv() => break Err(ContainerError::Cancelled),
            () = &mut interrupted => break Err(ContainerError::Cancelled),
            () = ended.closed() => break Err(ContainerError::Cancelled),
        }
    };
    // Dropped here, before anybody hears that it has ended.
    drop(work);
    while let Ok(text) = told.try_recv() {
        say(&mut screen, &text).await;
    }
    let exit = match how {
        Ok(()) => Exit::Code(0),
        Err(e) => {
            let text = e.to_string().replace('\n', "\r\n");
            say(&mut screen, format!("\r\n::error {text}\r\n").as_bytes()).await;
            if matches!(e, ContainerError::Cancelled) { Exit::Signal(INTERRUPTED) } else { Exit::Code(FAILED) }
        }
    };
    drop(screen);
    let _ = ended.send(exit);
}
