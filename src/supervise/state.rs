//! The life of a service as a pure function. Knows neither clock nor process: both come in as events.
//!
//! ```text
//!             Start                 Ready
//!  Stopped ----------> Starting ------------> Running
//!     ^                 ^   |                  |    |
//!     |           Tick  |   | exit, no spawn   | exit
//!     |        (waited) |   v                  v    |
//!     |  Stop           +-- Backoff <----------+    | Stop
//!     +---------------------+                       v
//!     +<------------------ exit ---------------- Stopping   (Tick after the grace: kill)
//!
//!  Starting, Running --exit with the code of a configuration error--> Failed --Start--> Starting
//! ```

use crate::{Exit, Policy};
use std::time::Duration;

/// Where a service is. Times are on the service's own monotonic clock.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ServiceState {
    /// Not wanted, not there.
    Stopped,
    /// A process was asked for and is not ready yet.
    Starting {
        /// Failures in a row before this start.
        failures: u32,
    },
    /// It said that it is ready.
    Running {
        /// Since when.
        since: Duration,
        /// Failures in a row before.
        failures: u32,
    },
    /// It was asked to end.
    Stopping {
        /// When it is killed.
        kill_at: Duration,
        /// Whether it was killed already.
        killed: bool,
        /// Whether it shall start again once it is gone.
        restart: bool,
    },
    /// It ended without being asked to, and is started again later.
    Backoff {
        /// When.
        until: Duration,
        /// Failures in a row.
        failures: u32,
        /// How it ended.
        why: String,
    },
    /// It cannot run as configured, and is not started again by itself.
    Failed {
        /// How it ended.
        why: String,
    },
}

/// What happens to a service.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// It is wanted.
    Start,
    /// It is not wanted any more.
    Stop,
    /// The process can work.
    Ready,
    /// No process could be made.
    NoSpawn(String),
    /// The process ended.
    Exited(Exit),
    /// Time has passed.
    Tick,
}

/// What to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// Make a process.
    Spawn,
    /// Ask it to end.
    Terminate,
    /// End it.
    Kill,
}

/// The moment at which something happens, and the luck for the jitter (0..1).
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Now {
    /// Time on the service's clock.
    pub at: Duration,
    /// A random number.
    pub luck: f64,
}

/// What becomes of a service, and what to do about it.
pub fn next(state: ServiceState, event: Event, policy: &Policy, now: Now) -> (ServiceState, Option<Action>) {
    use ServiceState::*;
    let stopping = |restart| Stopping { kill_at: now.at + policy.grace, killed: false, restart };
    match (state, event) {
        (Stopped | Failed { .. }, Event::Start) => (Starting { failures: 0 }, Some(Action::Spawn)),
        (Backoff { failures, .. }, Event::Start) => (Starting { failures }, Some(Action::Spawn)),
        (Backoff { until, failures, .. }, Event::Tick) if now.at >= until => (Starting { failures }, Some(Action::Spawn)),
        (Backoff { .. } | Failed { .. }, Event::Stop) => (Stopped, None),

        (Starting { failures }, Event::Ready) => (Running { since: now.at, failures }, None),
        (Starting { failures }, Event::NoSpawn(why)) => (backoff(failures, why, policy, now), None),
        (Starting { failures }, Event::Exited(exit)) => (after_exit(failures, exit, policy, now), None),
        (Running { since, failures }, Event::Exited(exit)) => {
            let healthy = now.at.saturating_sub(since) >= policy.healthy_after;
            (after_exit(if healthy { 0 } else { failures }, exit, policy, now), None)
        }
        (Starting { .. } | Running { .. }, Event::Stop) => (stopping(false), Some(Action::Terminate)),

        (Stopping { kill_at, killed, .. }, Event::Start) => (Stopping { kill_at, killed, restart: true }, None),
        (Stopping { kill_at, killed, .. }, Event::Stop) => (Stopping { kill_at, killed, restart: false }, None),
        (Stopping { kill_at, killed: false, restart }, Event::Tick) if now.at >= kill_at => {
            (Stopping { kill_at, killed: true, restart }, Some(Action::Kill))
        }
        (Stopping { restart: true, .. }, Event::Exited(_) | Event::NoSpawn(_)) => (Starting { failures: 0 }, Some(Action::Spawn)),
        (Stopping { restart: false, .. }, Event::Exited(_) | Event::NoSpawn(_)) => (Stopped, None),

        // Nothing else means anything: a Ready that crossed an exit, a Start of what is started.
        (state, _) => (state, None),
    }
}

fn after_exit(failures: u32, exit: Exit, policy: &Policy, now: Now) -> ServiceState {
    if exit == Exit::Code(policy.config_error) {
        ServiceState::Failed { why: exit.to_string() }
    } else {
        backoff(failures, exit.to_string(), policy, now)
    }
}

fn backoff(failures: u32, why: String, policy: &Policy, now: Now) -> ServiceState {
    let failures = failures.saturating_add(1);
    ServiceState::Backoff { until: now.at + policy.wait(failures, now.luck), failures, why }
}

impl ServiceState {
    /// When the next `Tick` is due.
    pub fn wake_at(&self) -> Option<Duration> {
        match self {
            ServiceState::Backoff { until, .. } => Some(*until),
            ServiceState::Stopping { kill_at, killed: false, .. } => Some(*kill_at),
            _ => None,
        }
    }

    /// Whether a process belongs to this state.
    pub fn has_process(&self) -> bool {
        matches!(self, ServiceState::Starting { .. } | ServiceState::Running { .. } | ServiceState::Stopping { .. })
    }
}

#[cfg(test)]
mod tests;
