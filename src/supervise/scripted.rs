//! A spawner that makes no processes: a test plays their part. Knows no system call.

use crate::{Exit, Launch, Signal, SpawnError, Spawned, Spawner, spawner::Spawning};
use tokio::{
    io::AsyncRead,
    net::UnixStream,
    sync::{mpsc, oneshot},
};

/// Hands every launch to a test.
#[derive(Debug)]
pub struct ScriptedSpawner {
    asked: mpsc::UnboundedSender<Scripted>,
}

/// The part of one process.
#[derive(Debug)]
pub struct Scripted {
    /// What was to be run.
    pub launch: Launch,
    /// The process's end of descriptor 3, where the launch has a stream.
    pub stream: Option<UnixStream>,
    /// The process's standard error.
    pub stderr: tokio::io::DuplexStream,
    /// What it is told.
    pub signals: mpsc::UnboundedReceiver<Signal>,
    /// Send to end it.
    pub exit: oneshot::Sender<Exit>,
}

impl ScriptedSpawner {
    /// A spawner, and where its launches come out.
    pub fn new() -> (ScriptedSpawner, mpsc::UnboundedReceiver<Scripted>) {
        let (asked, launches) = mpsc::unbounded_channel();
        (ScriptedSpawner { asked }, launches)
    }
}

impl Spawner for ScriptedSpawner {
    fn spawn<'a>(&'a self, launch: &'a Launch) -> Spawning<'a> {
        Box::pin(async move {
            let (ours, theirs) = UnixStream::pair().map_err(|why| SpawnError::Refused { program: "scripted".into(), why })?;
            let (signals, heard) = mpsc::unbounded_channel();
            let (exit, ended) = oneshot::channel();
            let (out, stderr) = tokio::io::duplex(64 * 1024);
            let part = Scripted { launch: launch.clone(), stream: launch.stream.then_some(theirs), stderr, signals: heard, exit };
            self.asked.send(part).map_err(|_| SpawnError::Gone)?;
            let output: Vec<Box<dyn AsyncRead + Send + Unpin>> = vec![Box::new(out)];
            Ok(Spawned { pid: 1, stream: launch.stream.then_some(ours), output, terminal: None, signals, exit: ended })
        })
    }
}
