//! One gate while it is open: its port, its connections, and the round that ends those of whoever may not pass any
//! more. Knows no HTTP.

use super::comfy::Guard;
use super::keys::Keys;
use super::who::Book;
use super::{Admits, GateSpec, GateState, Isolation, Visitor, connection};
use crate::clock::Clock;
use crate::origins::Origins;
use crate::secrets::{Fingerprint, Secret};
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::{MissedTickBehavior, interval, sleep};

/// Connections of one gate. One more takes the place of the oldest without a pass; where there is none such it is
/// refused.
const MOST_CONNECTIONS: usize = 1_024;
/// Those of one login: a browser has six and its WebSockets.
const MOST_OF_ONE: usize = 128;
/// Rights are looked at again so often. Asking, where an event could be missed, cannot fail open.
const SWEEP_EVERY: Duration = Duration::from_millis(250);
/// Pause after the system has no descriptor for a new connection.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// What pages are told, with a number that grows by each change.
#[derive(Clone, Debug)]
pub(super) struct Told {
    pub(super) number: u64,
    pub(super) state: GateState,
}

/// An open gate.
#[derive(Debug)]
pub(super) struct Gate {
    pub(super) name: String,
    /// Addresses of this gate.
    pub(super) origins: Origins,
    /// Addresses of Easel itself.
    pub(super) panel: Origins,
    pub(super) book: Book,
    pub(super) state: watch::Sender<Told>,
    tool: String,
    clock: Clock,
    /// Keeps the people of a tool apart that does not do so itself.
    pub(super) guard: Option<Guard>,
    admits: RwLock<Admits>,
    keys: Mutex<Keys>,
    lines: Mutex<Lines>,
}

/// The connections, by a number that counts up.
#[derive(Debug, Default)]
struct Lines {
    made: u64,
    open: BTreeMap<u64, Line>,
}

#[derive(Debug)]
struct Line {
    /// The pass that was last shown on it.
    pass: Option<Fingerprint>,
    /// Whose it is.
    login: Option<Fingerprint>,
    task: JoinHandle<()>,
}

/// Takes a connection off the list, however its task ends.
struct Leaving(Arc<Gate>, u64);

impl Drop for Leaving {
    fn drop(&mut self) {
        self.0.lines().open.remove(&self.1);
    }
}

impl Gate {
    /// `data` is Easel's own folder.
    pub(super) fn new(spec: &GateSpec, origins: Origins, panel: Origins, book: Book, clock: Clock, data: &Path) -> Arc<Gate> {
        let guard = |Isolation::ComfyUi { folders, gallery }| Guard::new(folders, data, gallery);
        Arc::new(Gate {
            name: spec.name.clone(),
            origins,
            panel,
            book,
            state: watch::Sender::new(Told { number: 1, state: GateState::Closed }),
            tool: spec.tool.clone(),
            clock,
            guard: spec.isolation.clone().map(guard),
            admits: RwLock::new(spec.admits.clone()),
            keys: Mutex::default(),
            lines: Mutex::default(),
        })
    }

    fn keys(&self) -> MutexGuard<'_, Keys> {
        // Every change of them is whole before anything can panic.
        self.keys.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn lines(&self) -> MutexGuard<'_, Lines> {
        self.lines.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn set(&self, state: GateState) {
        self.state.send_if_modified(|told| {
            let new = told.state != state;
            let is_open = |state: &GateState| matches!(state, GateState::Open { .. });
            // Before anybody can speak to it, and when nobody can any more.
            if let (true, Some(guard)) = (new && (is_open(&state) || is_open(&told.state)), &self.guard) {
                guard.begin();
            }
            if new {
                *told = Told { number: told.number + 1, state };
            }
            new
        });
    }

    pub(super) fn admit(&self, admits: Admits) {
        *self.admits.write().expect("nobody panics with this lock") = admits;
    }

    /// Whether this person may pass now.
    pub(super) fn admits(&self, visitor: &Visitor, private: bool) -> bool {
        self.book.admits(&self.admits.read().expect("nobody panics with this lock"), visitor, private)
    }

    /// Somebody works with the tool. A use of an admin's tool is a use of admin mode too.
    pub(super) fn count_use(&self, visitor: &Visitor) {
        self.book.logins.note_use();
        if *self.admits.read().expect("nobody panics with this lock") == Admits::Admins {
            self.book.logins.use_admin(&visitor.login);
        }
    }

    /// A ticket for a person whom the gate admits. Whether their address is private is seen when they come.
    pub(super) fn ticket(&self, visitor: &Visitor) -> Option<Secret> {
        self.admits(visitor, true).then(|| self.keys().issue(visitor, self.clock.ms()))
    }

    /// Uses a ticket up, for a pass, and whose that is.
    pub(super) fn enter(&self, ticket: &str, private: bool) -> Option<(Secret, Arc<Visitor>)> {
        let visitor = self.keys().spend(ticket, self.clock.ms())?;
        self.admits(&visitor, private).then(|| (self.keys().enter(visitor.clone()), visitor))
    }

    /// Who shows this pass, where they may pass now.
    pub(super) fn visitor(&self, pass: &str, private: bool) -> Option<(Fingerprint, Arc<Visitor>)> {
        let found = self.keys().find(pass)?;
        self.admits(&found.1, private).then_some(found)
    }

    /// Serves until the task is ended.
    pub(super) async fn listen(self: Arc<Gate>, listener: TcpListener) {
        let mut sweep = interval(SWEEP_EVERY);
        sweep.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                accepted = listener.accept() => match accepted {
                    Ok((stream, peer)) => self.welcome(stream, peer),
                    Err(e) => {
                        tracing::warn!(tool = self.tool, "a connection to the gate was not taken: {e}");
                        sleep(ACCEPT_PAUSE).await;
                    }
                },
                _ = sweep.tick() => self.sweep(),
            }
        }
    }

    fn welcome(self: &Arc<Gate>, stream: TcpStream, peer: SocketAddr) {
        let mut evicted = None;
        {
            let mut lines = self.lines();
            if lines.open.len() >= MOST_CONNECTIONS {
                let stranger = lines.open.iter().find(|(_, line)| line.pass.is_none()).map(|(number, _)| *number);
                let Some(stranger) = stranger else { return };
                evicted = lines.open.remove(&stranger);
            }
            lines.made += 1;
            let (gate, number) = (self.clone(), lines.made);
            // Its `Leaving` waits for this lock, so the entry is there before it can be taken off.
            let task = tokio::spawn(async move {
                let leaving = Leaving(gate, number);
                connection::serve(&leaving.0, number, stream, peer).await;
            });
            lines.open.insert(number, Line { pass: None, login: None, task });
        }
        // Not under the lock, which a task's end takes.
        if let Some(line) = evicted {
            line.task.abort();
        }
    }

    /// Remembers which pass was shown on a connection, so that both end together. False where that login has as many
    /// connections as one may, so that nobody shuts the gate for all others.
    pub(super) fn mark(&self, number: u64, pass: Fingerprint, login: Fingerprint) -> bool {
        let mut lines = self.lines();
        let others = lines.open.iter().filter(|(other, line)| **other != number && line.login == Some(login)).count();
        if others >= MOST_OF_ONE {
            return false;
        }
        if let Some(line) = lines.open.get_mut(&number) {
            (line.pass, line.login) = (Some(pass), Some(login));
        }
        true
    }

    /// Ends the passes of whoever may not pass any more, then each connection whose pass has ended. A request that
    /// was let through in between is found by the next round.
    fn sweep(&self) {
        self.keys().keep(|visitor| self.admits(visitor, true));
        let ended: Vec<_> = {
            let (keys, lines) = (self.keys(), self.lines());
            let over = lines.open.values().filter(|line| line.pass.is_some_and(|pass| !keys.has(&pass)));
            over.map(|line| line.task.abort_handle()).collect()
        };
        if !ended.is_empty() {
            tracing::info!(
                tool = self.tool,
                connections = ended.len(),
                "ended connections of somebody who may not pass any more"
            );
        }
        ended.iter().for_each(tokio::task::AbortHandle::abort);
    }

    /// Ends every connection and waits for it.
    pub(super) async fn end_all(&self) {
        let open = std::mem::take(&mut self.lines().open);
        for line in open.values() {
            line.task.abort();
        }
        for line in open.into_values() {
            // A cancelled task is no error here.
            let _ = line.task.await;
        }
    }
}
