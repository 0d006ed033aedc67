//! Making processes on this host. The only file that names `Command`; knows no policy.

use crate::Launch;
use rustix::process::{Pid, kill_process};
use std::{fmt, future::Future, io, pin::Pin, process::Stdio, sync::mpsc as std_mpsc, thread};
use tokio::{
    io::AsyncRead,
    net::UnixStream,
    process::{Child, Command},
    runtime::Handle,
    sync::{mpsc, oneshot},
};

/// How a process ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    /// By itself, with this code.
    Code(i32),
    /// By this signal.
    Signal(i32),
    /// Nobody knows: the system would not say.
    Unknown,
}

impl fmt::Display for Exit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Exit::Code(code) => write!(f, "ended with exit code {code}"),
            Exit::Signal(9) => write!(f, "was killed (signal 9; the system does this when memory runs out)"),
            Exit::Signal(signal) => write!(f, "was ended by signal {signal}"),
            Exit::Unknown => write!(f, "ended"),
        }
    }
}

/// What a process is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Signal {
    /// Please end.
    Terminate,
    /// End.
    Kill,
}

/// No process could be made.
#[derive(Debug, thiserror::Error)]
pub enum SpawnError {
    /// The system refused.
    #[error("{program} cannot be started: {why}")]
    Refused {
        /// The program.
        program: String,
        /// The system's words.
        why: io::Error,
    },
    /// The thread that makes processes is gone.
    #[error("no processes can be started any more")]
    Gone,
}

/// A process that was made. It is killed when this is dropped and nobody waits for its exit.
pub struct Spawned {
    /// Its id.
    pub pid: u32,
    /// Our end of its descriptor 3.
    pub stream: Option<UnixStream>,
    /// What it writes to standard output and error.
    pub output: Vec<Box<dyn AsyncRead + Send + Unpin>>,
    /// Tells it to end.
    pub signals: mpsc::UnboundedSender<Signal>,
    /// Comes once, when it has ended and is reaped.
    pub exit: oneshot::Receiver<Exit>,
}

impl fmt::Debug for Spawned {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Spawned").field("pid", &self.pid).finish_non_exhaustive()
    }
}

/// The answer of a [`Spawner`].
pub type Spawning<'a> = Pin<Box<dyn Future<Output = Result<Spawned, SpawnError>> + Send + 'a>>;

/// Makes processes.
pub trait Spawner: Send + Sync + fmt::Debug + 'static {
    /// Makes one.
    fn spawn<'a>(&'a self, launch: &'a Launch) -> Spawning<'a>;
}

type Order = (Launch, oneshot::Sender<Result<Spawned, SpawnError>>);

/// Makes processes on this host, all from one thread: a child asks the kernel to be killed when its parent
/// dies, and "parent" there means the thread that forked, not the process.
#[derive(Clone, Debug)]
pub struct HostSpawner {
    orders: std_mpsc::Sender<Order>,
}

impl HostSpawner {
    /// Starts the thread. It lives until the handle is dropped; hold it as long as the children shall live.
    ///
    /// # Errors
    /// When the system gives no thread. Call it inside a tokio runtime.
    pub fn new() -> io::Result<HostSpawner> {
        let (orders, inbox) = std_mpsc::channel::<Order>();
        let runtime = Handle::current();
        thread::Builder::new().name("spawner".into()).spawn(move || {
            let _inside = runtime.enter();
            for (launch, answer) in inbox {
                let _ = answer.send(make(&launch));
            }
        })?;
        Ok(HostSpawner { orders })
    }
}

impl Spawner for HostSpawner {
    fn spawn<'a>(&'a self, launch: &'a Launch) -> Spawning<'a> {
        Box::pin(async move {
            let (answer, made) = oneshot::channel();
            self.orders.send((launch.clone(), answer)).map_err(|_| SpawnError::Gone)?;
            made.await.unwrap_or(Err(SpawnError::Gone))
        })
    }
}

fn make(launch: &Launch) -> Result<Spawned, SpawnError> {
    let refused = |why: io::Error| SpawnError::Refused { program: launch.program.display().to_string(), why };
    #[allow(clippy::disallowed_methods, reason = "the one place that makes processes")]
    let mut command = Command::new(&launch.program);
    command.args(&launch.args).envs(launch.env.iter().map(|(name, value)| (name, value)));
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
    let stream = child::prepare(&mut command, launch).map_err(refused)?;
    let mut process = command.spawn().map_err(refused)?;
    let output = [
        process.stdout.take().map(|o| Box::new(o) as Box<dyn AsyncRead + Send + Unpin>),
        process.stderr.take().map(|o| Box::new(o) as _),
    ];
    let pid = process.id().unwrap_or_default();
    let (signals, inbox) = mpsc::unbounded_channel();
    let (ended, exit) = oneshot::channel();
    tokio::spawn(watch(process, inbox, ended));
    Ok(Spawned { pid, stream, output: output.into_iter().flatten().collect(), signals, exit })
}

/// Owns the process: passes signals on while it lives, reaps it, tells how it ended.
async fn watch(mut process: Child, mut inbox: mpsc::UnboundedReceiver<Signal>, mut ended: oneshot::Sender<Exit>) {
    loop {
        tokio::select! {
            status = process.wait() => {
                let _ = ended.send(status.map_or(Exit::Unknown, exit_of));
                return;
            }
            signal = inbox.recv() => match signal {
                Some(Signal::Kill) => drop(process.start_kill()),
                // The process is not reaped before `wait` returns, so its id cannot be anyone else's.
                Some(Signal::Terminate) => {
                    let pid = process.id().and_then(|id| Pid::from_raw(id.cast_signed()));
                    let _ = pid.map(|pid| kill_process(pid, rustix::process::Signal::TERM));
                }
                None => {
                    drop(process.start_kill());
                    break;
                }
            },
            () = ended.closed() => {
                drop(process.start_kill());
                break;
            }
        }
    }
    let status = process.wait().await;
    let _ = ended.send(status.map_or(Exit::Unknown, exit_of));
}

fn exit_of(status: std::process::ExitStatus) -> Exit {
    use std::os::unix::process::ExitStatusExt;
    match (status.code(), status.signal()) {
        (Some(code), _) => Exit::Code(code),
        (None, Some(signal)) => Exit::Signal(signal),
        (None, None) => Exit::Unknown,
    }
}

/// What happens in the child between fork and exec.
#[allow(unsafe_code)]
mod child {
    use super::*;
    use rustix::{
        fd::{AsRawFd, FromRawFd, OwnedFd},
        io::{FdFlags, dup2, fcntl_setfd},
        net::{AddressFamily, SocketFlags, SocketType, socketpair},
        process::{getpid, getppid, nice, set_parent_process_death_signal},
    };

    /// The descriptor of the stream in the child.
    const STREAM: i32 = 3;

    /// Sets the child's priority, its end with ours, and its stream. Returns our end of the stream.
    pub(super) fn prepare(command: &mut Command, launch: &Launch) -> io::Result<Option<UnixStream>> {
        let (ours, theirs) = if launch.stream {
            let (ours, theirs) = socketpair(AddressFamily::UNIX, SocketType::STREAM, SocketFlags::CLOEXEC, None)?;
            let ours = std::os::unix::net::UnixStream::from(ours);
            ours.set_nonblocking(true)?;
            (Some(UnixStream::from_std(ours)?), Some(theirs))
        } else {
            (None, None)
        };
        let increment = i32::from(launch.nice);
        let parent = getpid();
        let in_child = move || {
            if increment > 0 {
                nice(increment)?;
            }
            set_parent_process_death_signal(Some(rustix::process::Signal::KILL))?;
            if getppid() != Some(parent) {
                // The parent died before the line above, so no signal will come.
                return Err(io::Error::from(rustix::io::Errno::SRCH));
            }
            if let Some(theirs) = &theirs {
                give(theirs)?;
            }
            Ok(())
        };
        // SAFETY: between fork and exec only async-signal-safe calls are allowed. The closure makes plain
        // system calls on values made before the fork, and allocates nothing, locks nothing.
        unsafe { command.pre_exec(in_child) };
        Ok(ours)
    }

    /// Makes `end` the child's descriptor 3.
    fn give(end: &OwnedFd) -> io::Result<()> {
        if end.as_raw_fd() == STREAM {
            return Ok(fcntl_setfd(end, FdFlags::empty())?);
        }
        // SAFETY: whatever 3 was in the parent is closed on exec or replaced here, in the child alone; the
        // value is forgotten below, so nothing closes the new descriptor.
        let mut target = unsafe { OwnedFd::from_raw_fd(STREAM) };
        let done = dup2(end, &mut target);
        std::mem::forget(target);
        Ok(done?)
    }
}

#[cfg(test)]
mod tests;
