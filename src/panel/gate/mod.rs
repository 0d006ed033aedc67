//! The gates: Easel listens on each tool's public port and lets logged-in people through to the tool's internal
//! port. This file is what the rest of Easel says to them. Knows no process and no page of the panel.
//!
//! A browser gets in with a ticket that the panel's page posts to `/__easel/enter` at the gate's own origin; from
//! then on it holds a pass, a cookie of that gate alone. Each browser connection is one task that owns its
//! connection to the tool as well, so ending the task ends both sides at once.

mod comfy;
mod connection;
mod frames;
mod fresh;
mod headers;
mod keys;
mod link;
mod listen;
mod pages;
mod service;
mod tunnel;
mod walls;
mod who;

pub use comfy::{Coming, Folders, Found, Gallery, Taken};
pub use who::{Admits, Visitor};

use crate::clock::Clock;
use crate::config::{Config, ConfigError};
use crate::logins::Logins;
use crate::origins::{Origin, Origins};
use crate::secrets::Secret;
use crate::users::Users;
use listen::Gate;
use std::collections::HashMap;
use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, RwLock};
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use who::Book;

/// Where a ticket is posted, at the gate's origin, as the form field `ticket`.
pub const ENTER: &str = "/__easel/enter";
/// Characters of a line or a reason that a page shows.
const LINE_MAX: usize = 300;

/// A gate to open.
#[derive(Clone, Debug)]
pub struct GateSpec {
    /// The tool's id; one gate each.
    pub tool: String,
    /// The tool as people call it.
    pub name: String,
    /// The port that browsers come to; 0 takes a free one.
    pub port: u16,
    /// Who may pass.
    pub admits: Admits,
    /// How those who pass are kept apart, where the tool does not do it itself.
    pub isolation: Option<Isolation>,
}

/// How people are kept apart inside a tool.
#[derive(Clone, Debug)]
pub enum Isolation {
    /// As ComfyUI needs it.
    ComfyUi {
        /// Where its files lie.
        folders: Folders,
        /// Takes in what it makes.
        gallery: Option<Arc<dyn Gallery>>,
    },
}

/// What is behind a gate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum GateState {
    /// The tool does not run.
    Closed,
    /// It was started and is not healthy yet.
    Starting {
        /// The last line of its log.
        line: String,
    },
    /// It answers.
    Open {
        /// Its internal address, on loopback.
        upstream: SocketAddr,
        /// `Authorization` that whoever was let in is sent on with, in place of their own.
        authorization: Option<Secret>,
    },
    /// It should run and does not.
    Broken {
        /// What happened and what to do, for whoever opened it.
        why: String,
    },
}

/// The right to enter a gate once.
#[derive(Clone, Debug)]
pub struct Ticket {
    /// What is posted.
    pub secret: Secret,
    /// For so long.
    pub life: Duration,
}

/// Why a gate does not do as asked.
#[derive(Debug, thiserror::Error)]
pub enum GateError {
    /// Its port cannot be had.
    #[error(
        "Port {port} of {tool} cannot be opened: {why}. Another program may listen there; stop it, or give the tool another public_port."
    )]
    Port {
        /// Which.
        port: u16,
        /// Whose.
        tool: String,
        /// What the system said.
        why: io::Error,
    },
    /// It is open already.
    #[error("The gate of {0} is open already.")]
    AlreadyOpen(String),
    /// There is none.
    #[error("{0} has no open gate.")]
    Unknown(String),
    /// It does not admit this person.
    #[error("{0} is not open to you.")]
    NotAdmitted(String),
    /// The list of its origins cannot be made.
    #[error(transparent)]
    Config(#[from] ConfigError),
}

/// All gates. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Gates(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    book: Book,
    clock: Clock,
    config: Arc<Config>,
    panel: Origins,
    open: RwLock<HashMap<String, Opened>>,
}

#[derive(Debug)]
struct Opened {
    gate: Arc<Gate>,
    listening: JoinHandle<()>,
}

impl Gates {
    /// No gate is open yet. `panel` are the origins of Easel itself: tickets are taken from its pages only.
    pub fn new(config: Arc<Config>, panel: Origins, users: Users, logins: Logins, clock: Clock) -> Gates {
        let book = Book { users, logins };
        Gates(Arc::new(Inner { book, clock, config, panel, open: RwLock::default() }))
    }

    /// Binds a gate's port and serves it, closed at first, on the runtime that this is called in. Returns the port.
    pub async fn open(&self, spec: GateSpec) -> Result<u16, GateError> {
        if self.find(&spec.tool).is_ok() {
            return Err(GateError::AlreadyOpen(spec.tool));
        }
        let refused = |why| GateError::Port { port: spec.port, tool: spec.tool.clone(), why };
        let listener = TcpListener::bind((self.0.config.bind, spec.port)).await.map_err(refused)?;
        let port = listener.local_addr().map_err(refused)?.port();
        let origins = Origins::of_gate(&self.0.config, port)?;
        let (panel, book, clock) = (self.0.panel.clone(), self.0.book.clone(), self.0.clock.clone());
        let gate = Gate::new(&spec, origins, panel, book, clock, &self.0.config.data);
        let mut open = self.0.open.write().expect("nobody panics with this lock");
        // Somebody else may have opened it since; then this listener goes as it came.
        if open.contains_key(&spec.tool) {
            return Err(GateError::AlreadyOpen(spec.tool));
        }
        let listening = tokio::spawn(gate.clone().listen(listener));
        tracing::info!(tool = spec.tool, port, "gate open");
        open.insert(spec.tool, Opened { gate, listening });
        Ok(port)
    }

    fn find(&self, tool: &str) -> Result<Arc<Gate>, GateError> {
        let open = self.0.open.read().expect("nobody panics with this lock");
        open.get(tool).map(|opened| opened.gate.clone()).ok_or_else(|| GateError::Unknown(tool.into()))
    }

    /// Says what is behind a gate from now on. Pages that wait there learn of it at once; requests that the tool
    /// is answering go on.
    pub fn set(&self, tool: &str, state: GateState) -> Result<(), GateError> {
        let state = match state {
            GateState::Starting { line } => GateState::Starting { line: shown(&line) },
            GateState::Broken { why } => GateState::Broken { why: shown(&why) },
            state => state,
        };
        self.find(tool)?.set(state);
        Ok(())
    }

    /// Says who may pass from now on. Whoever may not any more is out within a second.
    pub fn admit(&self, tool: &str, admits: Admits) -> Result<(), GateError> {
        self.find(tool)?.admit(admits);
        Ok(())
    }

    /// A ticket for a person whom the gate admits: one use, within [`Ticket::life`], at this gate only.
    pub fn ticket(&self, tool: &str, visitor: &Visitor) -> Result<Ticket, GateError> {
        let secret = self.find(tool)?.ticket(visitor).ok_or_else(|| GateError::NotAdmitted(tool.into()))?;
        Ok(Ticket { secret, life: keys::ticket_life() })
    }

    /// Where a browser finds the gate that has Easel's page open at `panel`: RunPod's proxy in a pod of theirs,
    /// else the same host at the gate's port. Followed by [`ENTER`] it is the target of the ticket's form, which
    /// the page's `form-action` must allow.
    pub fn address(&self, tool: &str, panel: &Origin) -> Result<Origin, GateError> {
        Ok(self.find(tool)?.origins.beside(panel).clone())
    }

    /// Where browsers from outside find a gate, for a tool that has to know its own address.
    pub fn best_address(&self, tool: &str) -> Result<Origin, GateError> {
        Ok(self.find(tool)?.origins.best().clone())
    }

    /// Where a gate on this port would be found by a browser that has Easel's page open at `panel`: what that page must
    /// be allowed to post a ticket to.
    pub fn address_of_port(&self, port: u16, panel: &Origin) -> Result<Origin, GateError> {
        Ok(Origins::of_gate(&self.0.config, port)?.beside(panel).clone())
    }

    /// Closes a gate: nothing listens on its port, and every connection through it has ended, when this returns.
    pub async fn close(&self, tool: &str) -> Result<(), GateError> {
        let opened = self.0.open.write().expect("nobody panics with this lock").remove(tool);
        opened.ok_or_else(|| GateError::Unknown(tool.into()))?.end().await;
        Ok(())
    }

    /// Closes all of them.
    pub async fn close_all(&self) {
        let all: Vec<Opened> = {
            let mut open = self.0.open.write().expect("nobody panics with this lock");
            open.drain().map(|(_, opened)| opened).collect()
        };
        for opened in all {
            opened.end().await;
        }
    }
}

impl Opened {
    async fn end(self) {
        self.listening.abort();
        // Only a cancelled or finished task is left, so there is nothing to hear.
        let _ = self.listening.await;
        self.gate.end_all().await;
    }
}

/// One line of a log as a page shows it: no control characters, and not for ever.
fn shown(line: &str) -> String {
    line.chars().filter(|c| !c.is_control()).take(LINE_MAX).collect()
}

#[cfg(test)]
mod tests;
