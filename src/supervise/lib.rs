//! Processes that are kept running, and terminals that outlive who looks at them: what to start, how, and what to do
//! when it ends. Knows no HTTP, no SQL and no tools.

mod descendants;
pub mod guardian;
pub mod init;
pub mod launch;
pub mod policy;
mod scripted;
pub mod scrollback;
pub mod service;
pub mod session;
pub mod spawner;
mod stat;
pub mod state;
mod terminal;
mod time;

pub use descendants::{ancestors, leader};
pub use guardian::Ward;
pub use launch::{Guarded, Launch, Size};
pub use policy::Policy;
pub use scripted::{Scripted, ScriptedSpawner};
pub use scrollback::{Piece, Scrollback};
pub use service::{Happened, Service};
pub use session::{NotTyped, Session, SessionState};
pub use spawner::{Exit, HostSpawner, Signal, SpawnError, Spawned, Spawner};
pub use stat::Stat;
pub use state::ServiceState;
pub use terminal::{Resizer, Screen, Terminal};
pub use time::Time;
