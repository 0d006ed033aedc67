//! Processes that are kept running: what to start, how, and what to do when it ends. Knows no HTTP, no
//! SQL and no tools.

pub mod launch;
pub mod policy;
mod scripted;
pub mod service;
pub mod spawner;
pub mod state;

pub use launch::Launch;
pub use policy::Policy;
pub use scripted::{Scripted, ScriptedSpawner};
pub use service::{Happened, Service};
pub use spawner::{Exit, HostSpawner, Signal, SpawnError, Spawned, Spawner};
pub use state::ServiceState;
