//! A job and how it changes, as pure functions. Knows no store, no engine and no clock.
//!
//! ```text
//!            start                      Done
//!  Queued ----------> Running -----------------> Done, Failed, Cancelled
//!     ^                  |  engine died (1 of 3), orderly stop, panel died (1 of 5)
//!     +------------------+--------> Parked after the fifth panel death --run again--> a new job
//! ```

use crate::users::ProfileId;
use protocol::{JobId, Problem, Recipe};

/// Deaths of the engine that a job survives, plus one.
pub const ENGINE_TRIES: u32 = 3;
/// Unclean deaths of the panel that a job survives, plus one.
pub const PANEL_TRIES: u32 = 5;

/// Where a job is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum JobState {
    /// Waits for its turn.
    Queued,
    /// The engine has it, or had it when the panel died.
    Running,
    /// Every picture is in the gallery.
    Done,
    /// It cannot be done.
    Failed(Problem),
    /// Its owner stopped it.
    Cancelled,
    /// It may be what kills the panel, so it waits for its owner to run it again.
    Parked(Problem),
}

impl JobState {
    /// The name in the API and in the store.
    pub fn name(&self) -> &'static str {
        match self {
            JobState::Queued => "queued",
            JobState::Running => "running",
            JobState::Done => "done",
            JobState::Failed(_) => "failed",
            JobState::Cancelled => "cancelled",
            JobState::Parked(_) => "parked",
        }
    }

    /// Every name.
    pub const NAMES: [&str; 6] = ["queued", "running", "done", "failed", "cancelled", "parked"];

    /// What went wrong.
    pub fn problem(&self) -> Option<&Problem> {
        match self {
            JobState::Failed(problem) | JobState::Parked(problem) => Some(problem),
            _ => None,
        }
    }

    /// Whether nothing more happens to it.
    pub fn is_over(&self) -> bool {
        !matches!(self, JobState::Queued | JobState::Running)
    }
}

/// A job, as the store has it. Times are milliseconds since 1970.
#[derive(Clone, Debug, PartialEq)]
pub struct Job {
    /// Its id; sorts by submission.
    pub id: JobId,
    /// Whose it is.
    pub profile: ProfileId,
    /// Where it is.
    pub state: JobState,
    /// When it was submitted.
    pub created: i64,
    /// When it last started.
    pub started: Option<i64>,
    /// When it was over.
    pub finished: Option<i64>,
    /// Starts, counted before dispatch; an orderly stop takes its own back.
    pub starts: u32,
    /// Starts that ended with the engine's death.
    pub engine_deaths: u32,
    /// Its owner was told that it will be stopped.
    pub cancel: bool,
    /// What to make.
    pub recipe: Recipe,
}

/// How a start ended.
#[derive(Clone, Debug, PartialEq)]
pub enum Outcome {
    /// All pictures came.
    Done,
    /// The engine stopped it as asked.
    Cancelled,
    /// The engine said that it cannot be done.
    Failed(Problem),
    /// The engine died over it; its last lines.
    EngineDied(Vec<String>),
    /// It did not reach the engine.
    NotSent,
    /// The panel is stopping in order.
    Stopping,
}

impl Job {
    /// The job as it is dispatched.
    pub fn start(mut self, now: i64) -> Job {
        self.starts += 1;
        self.started = Some(now);
        self.state = JobState::Running;
        self
    }

    /// The job after a start ended.
    pub fn end(mut self, outcome: Outcome, now: i64) -> Job {
        let starts = self.starts;
        match &outcome {
            Outcome::EngineDied(_) => self.engine_deaths += 1,
            Outcome::NotSent | Outcome::Stopping => self.starts = starts.saturating_sub(1),
            _ => {}
        }
        self.state = match outcome {
            Outcome::Done => JobState::Done,
            Outcome::Cancelled => JobState::Cancelled,
            Outcome::Failed(problem) => JobState::Failed(problem),
            _ if self.cancel => JobState::Cancelled,
            Outcome::EngineDied(log) if self.engine_deaths >= ENGINE_TRIES => JobState::Failed(died(&log)),
            Outcome::EngineDied(_) | Outcome::NotSent | Outcome::Stopping => JobState::Queued,
        };
        self.finished = self.state.is_over().then_some(now);
        self
    }

    /// The job as a new panel finds it: one that runs in the store was interrupted.
    pub fn after_restart(mut self, now: i64) -> Job {
        if self.state != JobState::Running {
            return self;
        }
        let panel_deaths = self.starts.saturating_sub(self.engine_deaths);
        self.state = if self.cancel {
            JobState::Cancelled
        } else if panel_deaths >= PANEL_TRIES {
            let what = format!("Easel ended {panel_deaths} times while this was running.");
            JobState::Parked(Problem::new(what).remedy("If it was not this picture's doing, run it again."))
        } else {
            JobState::Queued
        };
        self.finished = self.state.is_over().then_some(now);
        self
    }
}

fn died(log: &[String]) -> Problem {
    let what = format!("The engine died {ENGINE_TRIES} times over this.");
    let remedy = "A smaller size or batch needs less memory.";
    Problem::new(what).at(log.iter().rev().take(5).rev().cloned().collect::<Vec<_>>().join("\n")).remedy(remedy)
}

#[cfg(test)]
pub(super) mod tests;
