//! A spawner whose processes are containers: a service keeps them and a session shows them as it does programs of this
//! machine. Of a launch it takes the size of the terminal; what runs is the specification's.

use crate::{
    ContainerError, ContainerSpec, Engine, Owned, Suffix,
    keeper::Keeper,
    line::{self, Line, TakenUp},
};
use std::{
    io,
    sync::{Mutex, PoisonError},
    time::Duration,
};
use supervise::{Launch, Size, SpawnError, Spawned, Spawner, Terminal, spawner::Spawning};
use tokio::{
    net::UnixStream,
    sync::{mpsc, oneshot, watch},
};

/// Starts one container after the other, at most one at a time, always of the same specification.
#[derive(Debug)]
pub struct ContainerSpawner {
    engine: Engine,
    spec: ContainerSpec,
    /// One that runs already, and from when on its log is shown.
    orphan: Mutex<Option<(Owned, Option<Duration>)>>,
}

impl ContainerSpawner {
    /// A new container at every start.
    pub fn new(engine: Engine, spec: ContainerSpec) -> ContainerSpawner {
        ContainerSpawner { engine, spec, orphan: Mutex::default() }
    }

    /// The first start takes over what an earlier panel left running, and shows its log from `since` (time since 1970) on,
    /// or all that there is of it.
    pub fn adopting(engine: Engine, spec: ContainerSpec, orphan: Owned, since: Option<Duration>) -> ContainerSpawner {
        ContainerSpawner { engine, spec, orphan: Mutex::new(Some((orphan, since))) }
    }

    async fn begin(&self, size: Option<Size>) -> Result<Spawned, ContainerError> {
        let (line, other_end) = Line::new().map_err(no_line)?;
        let orphan = self.orphan.lock().unwrap_or_else(PoisonError::into_inner).take();
        let adopted = match orphan {
            Some((orphan, since)) => match line::take_up(&self.engine, &orphan, since).await {
                Ok(taken_up) => Some((orphan, taken_up)),
                // It runs on, as far as anybody knows, and another one in its place would end it.
                Err(e) if e.is_lost() => return Err(e),
                Err(e) => {
                    // It has ended since it was found.
                    tracing::warn!(tool = orphan.tool(), "what runs already is not taken over, and another one is started: {e}");
                    None
                }
            },
            None => None,
        };
        let (container, taken_up) = match adopted {
            Some(adopted) => adopted,
            None => self.make().await?,
        };
        let size = size.unwrap_or_default();
        // One that has ended at once has no size any more.
        if let Err(e) = self.engine.resize(&container, size).await {
            tracing::debug!("{e}");
        }
        let pid = self.engine.standing(&container).await.map_or(0, |standing| standing.pid);
        let (signals, inbox) = mpsc::unbounded_channel();
        let (ended, exit) = oneshot::channel();
        let (set, sizes) = watch::channel(size);
        let engine = self.engine.clone();
        tokio::spawn(Keeper { engine, container, taken_up, line, inbox, sizes, ended }.run());
        spawned(pid, other_end, set, signals, exit).map_err(no_line)
    }

    /// Attached before it starts, so that its first byte is seen.
    async fn make(&self) -> Result<(Owned, TakenUp), ContainerError> {
        let container = self.engine.create(&self.spec, Suffix::None).await?;
        let begun = async {
            let stream = line::attach(&self.engine, &container).await?;
            self.engine.start(&container).await.map(|()| stream)
        };
        match begun.await {
            Ok(stream) => Ok((container, TakenUp { past: Vec::new(), stream })),
            Err(e) => {
                if let Err(also) = self.engine.remove(&container).await {
                    tracing::warn!(tool = container.tool(), "{also}");
                }
                Err(e)
            }
        }
    }
}

impl Spawner for ContainerSpawner {
    fn spawn<'a>(&'a self, launch: &'a Launch) -> Spawning<'a> {
        Box::pin(async move {
            let program = || format!("The container of {}", self.spec.tool);
            self.begin(terminal_of(launch)).await.map_err(|why| refused(program(), why))
        })
    }
}

/// The size of the terminal that a launch asks for.
pub(crate) fn terminal_of(launch: &Launch) -> Option<Size> {
    launch.guarded.as_ref().and_then(|guarded| guarded.terminal)
}

/// An error of a spawner.
pub(crate) fn refused(program: String, why: ContainerError) -> SpawnError {
    SpawnError::Refused { program, why: io::Error::other(why) }
}

/// The system has no more sockets.
pub(crate) fn no_line(why: io::Error) -> ContainerError {
    ContainerError::Refused { doing: "a line to its terminal".into(), why: why.to_string() }
}

/// What `supervise` knows of something that runs elsewhere and has a terminal.
pub(crate) fn spawned(
    pid: u32,
    other_end: UnixStream,
    set: watch::Sender<Size>,
    signals: mpsc::UnboundedSender<supervise::Signal>,
    exit: oneshot::Receiver<supervise::Exit>,
) -> io::Result<Spawned> {
    let resize = move |size| set.send(size).map_err(|_| io::Error::other("it has ended"));
    let terminal = Some(Terminal::elsewhere(other_end.into_std()?, resize)?);
    Ok(Spawned { pid, stream: None, output: Vec::new(), terminal, signals, exit })
}
