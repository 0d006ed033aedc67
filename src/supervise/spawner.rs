//! Making processes on this host. The only file that names `Command`; knows no policy.

use crate::{Launch, Stat, Terminal};
use rustix::process::{Pid, kill_process};
use std::{
    collections::HashSet, fmt, future::Future, io, pin::Pin, process::Stdio, sync::mpsc as std_mpsc, thread, time::Duration,
};
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
    /// Not at all: it was killed, and this process of it waits for the system, such as for a volume or a driver that does
    /// not answer. It ends when that does.
    Stuck(u32),
    /// Nobody knows: the system would not say.
    Unknown,
}

impl fmt::Display for Exit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Exit::Code(code) => write!(f, "ended with exit code {code}"),
            Exit::Signal(9) => write!(f, "was killed (signal 9; the system does this when memory runs out)"),
            Exit::Signal(signal) => write!(f, "was ended by signal {signal}"),
            Exit::Stuck(pid) => write!(f, "was killed and does not end: process {pid} waits for the system"),
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
    /// What it writes to standard output and error; nothing where it has a terminal.
    pub output: Vec<Box<dyn AsyncRead + Send + Unpin>>,
    /// Its terminal, where the launch gives it one.
    pub terminal: Option<Terminal>,
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

/// What was killed gets so long to be gone; giving back the memory of a graphics card takes some seconds. After that it is
/// told as stuck, so that nobody waits for it.
const STUCK_AFTER: Duration = if cfg!(test) { Duration::from_millis(500) } else { Duration::from_secs(20) };

/// What the spawning thread is asked.
enum Order {
    Make(Launch, oneshot::Sender<Result<Spawned, SpawnError>>),
    /// This child is reaped.
    Gone(u32),
    /// A guardian died at its post: end what fell to this process.
    Adopt(oneshot::Sender<()>),
}

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
        HostSpawner::start(false)
    }

    /// The same for a process that is nothing but a panel: what falls to it from a guardian that was killed is its to end,
    /// so no other code of this process may start children.
    ///
    /// # Errors
    /// When the system gives no thread, or refuses to make this process a subreaper.
    pub fn adopting() -> io::Result<HostSpawner> {
        rustix::process::set_child_subreaper(Some(rustix::process::getpid()))?;
        HostSpawner::start(true)
    }

    fn start(adopts: bool) -> io::Result<HostSpawner> {
        let (orders, inbox) = std_mpsc::channel::<Order>();
        let (runtime, back) = (Handle::current(), orders.clone());
        thread::Builder::new().name("spawner".into()).spawn(move || {
            let _inside = runtime.enter();
            // Made here and not reaped yet. Whatever else is a child of this process fell to it.
            let mut own = HashSet::new();
            for order in inbox {
                match order {
                    Order::Make(launch, answer) => {
                        let made = make(&launch, &back);
                        own.extend(made.as_ref().map(|m| m.pid));
                        let _ = answer.send(made);
                    }
                    Order::Gone(pid) => drop(own.remove(&pid)),
                    Order::Adopt(done) => {
                        if adopts {
                            orphans::end(&own);
                        }
                        let _ = done.send(());
                    }
                }
            }
        })?;
        Ok(HostSpawner { orders })
    }
}

impl Spawner for HostSpawner {
    fn spawn<'a>(&'a self, launch: &'a Launch) -> Spawning<'a> {
        Box::pin(async move {
            let (answer, made) = oneshot::channel();
            self.orders.send(Order::Make(launch.clone(), answer)).map_err(|_| SpawnError::Gone)?;
            made.await.unwrap_or(Err(SpawnError::Gone))
        })
    }
}

fn make(launch: &Launch, back: &std_mpsc::Sender<Order>) -> Result<Spawned, SpawnError> {
    let refused = |why: io::Error| SpawnError::Refused { program: launch.program.display().to_string(), why };
    if let Some(guarded) = &launch.guarded {
        return guarded::make(launch, guarded, back).map_err(refused);
    }
    let mut command = command(launch, &launch.program);
    command.args(&launch.args).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
    let stream = child::prepare(&mut command, launch).map_err(refused)?;
    let mut process = command.spawn().map_err(refused)?;
    let pid = process.id().unwrap_or_default();
    let output = pipes(&mut process);
    let (signals, inbox) = mpsc::unbounded_channel();
    let (ended, exit) = oneshot::channel();
    let back = back.clone();
    tokio::spawn(async move {
        watch(process, inbox, ended).await;
        let _ = back.send(Order::Gone(pid));
    });
    Ok(Spawned { pid, stream, output, terminal: None, signals, exit })
}

/// A command with the launch's environment and folder.
fn command(launch: &Launch, program: &std::path::Path) -> Command {
    #[allow(clippy::disallowed_methods, reason = "the one place that makes processes")]
    let mut command = Command::new(program);
    if launch.bare {
        command.env_clear();
    }
    command.envs(launch.env.iter().map(|(name, value)| (name, value)));
    if let Some(folder) = &launch.folder {
        command.current_dir(folder);
    }
    command
}

fn pipes(process: &mut Child) -> Vec<Box<dyn AsyncRead + Send + Unpin>> {
    let out = process.stdout.take().map(|o| Box::new(o) as Box<dyn AsyncRead + Send + Unpin>);
    let err = process.stderr.take().map(|o| Box::new(o) as _);
    [out, err].into_iter().flatten().collect()
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
                // The process is not reaped before `wait` returns, so its id cannot be anyone else's.
                Some(Signal::Terminate) => {
                    let pid = process.id().and_then(|id| Pid::from_raw(id.cast_signed()));
                    let _ = pid.map(|pid| kill_process(pid, rustix::process::Signal::TERM));
                }
                Some(Signal::Kill) | None => break,
            },
            () = ended.closed() => break,
        }
    }
    drop(process.start_kill());
    let exit = match tokio::time::timeout(STUCK_AFTER, process.wait()).await {
        Ok(status) => status.map_or(Exit::Unknown, exit_of),
        Err(_) => process.id().and_then(Stat::of).map_or(Exit::Unknown, |stat| stuck(&stat)),
    };
    let _ = ended.send(exit);
    // One that is stuck is reaped when it is gone after all.
    let _ = process.wait().await;
}

/// What is told of a process that was killed and is still there.
fn stuck(process: &Stat) -> Exit {
    let wchan = std::fs::read_to_string(format!("/proc/{}/wchan", process.pid)).unwrap_or_default();
    let Stat { pid, name, state, .. } = process;
    tracing::error!(pid, name, ?state, wchan, "it was killed and does not end: it waits for the system");
    Exit::Stuck(process.pid)
}

fn exit_of(status: std::process::ExitStatus) -> Exit {
    use std::os::unix::process::ExitStatusExt;
    match (status.code(), status.signal()) {
        (Some(code), _) => Exit::Code(code),
        (None, Some(signal)) => Exit::Signal(signal),
        (None, None) => Exit::Unknown,
    }
}

mod child;
mod guarded;
mod orphans;

#[cfg(test)]
mod tests;
