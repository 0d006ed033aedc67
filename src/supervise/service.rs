//! A service: a handle, and the one task that owns its process and walks it through its states. Knows
//! what to do from [`crate::state`]; decides nothing itself.

use crate::{
    Exit, Launch, Policy, Signal, Spawned, Spawner, Time,
    state::{Action, Event, Now, ServiceState, next},
};
use std::{
    collections::VecDeque,
    hash::{BuildHasher, RandomState},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};
use tokio::{
    io::{AsyncBufReadExt, AsyncRead, BufReader},
    net::UnixStream,
    sync::{mpsc, oneshot, watch},
};

/// Lines of output that are kept to explain a death.
const TAIL_LINES: usize = 20;
/// Longer lines are cut, in bytes.
const LINE_BYTES: usize = 1000;

/// What a service tells its owner.
#[derive(Debug)]
pub enum Happened {
    /// A process was made; with our end of its stream, where the launch has one.
    Started {
        /// Its id.
        pid: u32,
        /// Our end of its descriptor 3.
        stream: Option<UnixStream>,
    },
    /// It ended, asked to or not.
    Ended {
        /// How.
        exit: Exit,
        /// The last lines of its output.
        log: Vec<String>,
        /// Whether it is not started again by itself: a configuration error.
        for_good: bool,
    },
    /// No process could be made; it is tried again.
    NotStarted {
        /// The system's words.
        why: String,
    },
}

enum Control {
    Event(Event),
    Kill,
    Stopped(oneshot::Sender<()>),
}

/// A handle. When the last one is dropped, the process is killed.
#[derive(Clone, Debug)]
pub struct Service {
    control: mpsc::UnboundedSender<Control>,
    state: watch::Receiver<ServiceState>,
}

impl Service {
    /// A stopped service, and where it tells what happens.
    pub fn new(
        name: &str,
        launch: Launch,
        policy: Policy,
        spawner: Arc<dyn Spawner>,
    ) -> (Service, mpsc::UnboundedReceiver<Happened>) {
        Service::new_at(Time::real(), name, launch, policy, spawner)
    }

    /// The same by another clock.
    pub fn new_at(
        time: Time,
        name: &str,
        launch: Launch,
        policy: Policy,
        spawner: Arc<dyn Spawner>,
    ) -> (Service, mpsc::UnboundedReceiver<Happened>) {
        let (control, inbox) = mpsc::unbounded_channel();
        let (tells, happened) = mpsc::unbounded_channel();
        let (publish, state) = watch::channel(ServiceState::Stopped);
        let task =
            Task { name: name.to_owned(), launch, policy, spawner, tells, publish, time, process: None, waiting: Vec::new() };
        tokio::spawn(task.run(inbox));
        (Service { control, state }, happened)
    }

    /// Wants it; cuts a wait short.
    pub fn start(&self) {
        self.send(Event::Start);
    }

    /// The process said that it can work.
    pub fn ready(&self) {
        self.send(Event::Ready);
    }

    /// Does not want it any more; returns when its process is gone.
    pub async fn stop(&self) {
        let (done, stopped) = oneshot::channel();
        self.send(Event::Stop);
        let _ = self.control.send(Control::Stopped(done));
        let _ = stopped.await;
    }

    /// Does not want it any more; does not wait for the end of its process, which is told like any other.
    pub fn leave(&self) {
        self.send(Event::Stop);
    }

    /// Ends its process in order, where it has one, and makes another, without a wait and whatever failed before.
    pub fn restart(&self) {
        self.send(Event::Stop);
        self.send(Event::Start);
    }

    /// Ends its process at once; the policy decides what follows, as after any death.
    pub fn kill(&self) {
        let _ = self.control.send(Control::Kill);
    }

    /// Where it is.
    pub fn state(&self) -> ServiceState {
        self.state.borrow().clone()
    }

    fn send(&self, event: Event) {
        // The task outlives every handle, so this cannot fail.
        let _ = self.control.send(Control::Event(event));
    }
}

/// A process with its tail of output.
struct Process {
    signals: mpsc::UnboundedSender<Signal>,
    exit: oneshot::Receiver<Exit>,
    log: Arc<Mutex<VecDeque<String>>>,
    readers: Vec<tokio::task::JoinHandle<()>>,
}

struct Task {
    name: String,
    launch: Launch,
    policy: Policy,
    spawner: Arc<dyn Spawner>,
    tells: mpsc::UnboundedSender<Happened>,
    publish: watch::Sender<ServiceState>,
    time: Time,
    process: Option<Process>,
    waiting: Vec<oneshot::Sender<()>>,
}

impl Task {
    async fn run(mut self, mut inbox: mpsc::UnboundedReceiver<Control>) {
        loop {
            let wake = self.publish.borrow().wake_at();
            let event = tokio::select! {
                control = inbox.recv() => match control {
                    Some(Control::Event(event)) => event,
                    Some(Control::Kill) => {
                        self.signal(Signal::Kill);
                        continue;
                    }
                    Some(Control::Stopped(done)) => {
                        self.waiting.push(done);
                        self.answer_waiting();
                        continue;
                    }
                    None => return,
                },
                exit = ended(&mut self.process) => self.bury(exit).await,
                () = until(&self.time, wake) => Event::Tick,
            };
            self.step(event).await;
            self.answer_waiting();
        }
    }

    async fn step(&mut self, event: Event) {
        let mut event = Some(event);
        while let Some(now) = event.take() {
            let state = self.publish.borrow().clone();
            let moment = Now { at: self.time.now(), luck: luck() };
            let (after, action) = next(state.clone(), now, &self.policy, moment);
            if after != state {
                tracing::debug!(service = self.name, state = ?after, "service");
                self.publish.send_replace(after);
            }
            match action {
                Some(Action::Spawn) => event = self.spawn().await.err(),
                Some(Action::Terminate) => self.signal(Signal::Terminate),
                Some(Action::Kill) => self.signal(Signal::Kill),
                None => {}
            }
        }
    }

    async fn spawn(&mut self) -> Result<(), Event> {
        let made = self.spawner.spawn(&self.launch).await;
        let Spawned { pid, stream, output, signals, exit, .. } = made.map_err(|e| {
            tracing::error!(service = self.name, "{e}");
            let _ = self.tells.send(Happened::NotStarted { why: e.to_string() });
            Event::NoSpawn(e.to_string())
        })?;
        let log = Arc::default();
        let readers = output.into_iter().map(|o| tokio::spawn(read_lines(self.name.clone(), o, Arc::clone(&log)))).collect();
        tracing::info!(service = self.name, pid, "started");
        self.process = Some(Process { signals, exit, log, readers });
        let _ = self.tells.send(Happened::Started { pid, stream });
        Ok(())
    }

    fn signal(&self, signal: Signal) {
        if let Some(process) = &self.process {
            let _ = process.signals.send(signal);
        }
    }

    /// Tells of a death, with the last lines.
    async fn bury(&mut self, exit: Exit) -> Event {
        if let Some(process) = self.process.take() {
            for reader in process.readers {
                // A grandchild may hold the pipe open for ever; what was read by then is enough.
                let _ = tokio::time::timeout(Duration::from_millis(200), reader).await;
            }
            let log: Vec<String> = process.log.lock().unwrap_or_else(PoisonError::into_inner).drain(..).collect();
            if matches!(*self.publish.borrow(), ServiceState::Stopping { .. }) {
                tracing::info!(service = self.name, "stopped");
            } else {
                tracing::warn!(service = self.name, last = log.last().map(String::as_str), "{exit}");
            }
            let for_good = exit == Exit::Code(self.policy.config_error);
            let _ = self.tells.send(Happened::Ended { exit, log, for_good });
        }
        Event::Exited(exit)
    }

    fn answer_waiting(&mut self) {
        if !self.publish.borrow().has_process() {
            for done in self.waiting.drain(..) {
                let _ = done.send(());
            }
        }
    }
}

/// Waits for the process's end, or for ever.
async fn ended(process: &mut Option<Process>) -> Exit {
    match process {
        Some(process) => (&mut process.exit).await.unwrap_or(Exit::Unknown),
        None => std::future::pending().await,
    }
}

async fn until(time: &Time, wake: Option<Duration>) {
    match wake {
        Some(at) => time.until(at).await,
        None => std::future::pending().await,
    }
}

/// A random number in 0..1, good enough to spread restarts.
fn luck() -> f64 {
    (RandomState::new().hash_one(0u8) >> 11) as f64 / (1u64 << 53) as f64
}

async fn read_lines(name: String, output: Box<dyn AsyncRead + Send + Unpin>, log: Arc<Mutex<VecDeque<String>>>) {
    let mut lines = BufReader::new(output);
    let mut line = Vec::new();
    while matches!(lines.read_until(b'\n', &mut line).await, Ok(1..)) {
        line.truncate(LINE_BYTES);
        let text = String::from_utf8_lossy(&line).trim_end().to_owned();
        line.clear();
        tracing::info!(service = name, "{text}");
        let mut log = log.lock().unwrap_or_else(PoisonError::into_inner);
        if log.len() == TAIL_LINES {
            log.pop_front();
        }
        log.push_back(text);
    }
}

#[cfg(test)]
mod tests;
