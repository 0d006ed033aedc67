//! Room on the graphics cards, as a job needs it: having others give some back, and waiting for that. Knows no tool.

use super::{Job, Jobs, Outcome, worker::told_to_stop};
use futures_util::future::BoxFuture;
use protocol::Problem;
use std::{fmt, time::Duration};

/// Time between two looks whether a job that waits was cancelled: nobody rings for that.
const LOOK: Duration = Duration::from_millis(100);

/// Who can have others give the graphics cards' memory back.
pub trait Room: fmt::Debug + Send + Sync {
    /// Asks whoever can let go, and waits until nothing more comes.
    fn make(&self) -> BoxFuture<'_, ()>;

    /// Who holds how much, as sentences; none where that is not known.
    fn holders(&self) -> BoxFuture<'_, Option<String>>;
}

/// Has others make room for this job. `Err`: the job is over meanwhile, or the panel stops.
///
/// Once for each start: a tool that starts has engines let go in the same way, and each side asks no more often than it is asked
/// to work, so that they do not take turns for ever.
pub(super) async fn made(jobs: &Jobs, job: &Job) -> Result<(), Outcome> {
    let mut stopping = jobs.0.stopping.subscribe();
    let what = "The graphics card is full: this waits for tools to give memory back.";
    jobs.hold(job, Some(Problem::new(what)));
    let made = tokio::select! {
        () = jobs.0.parts.room.make() => Ok(()),
        () = cancelled(jobs, job) => Err(Outcome::Cancelled),
        () = told_to_stop(&mut stopping) => Err(Outcome::Stopping),
    };
    jobs.hold(job, None);
    made
}

/// What the engine says of a full card, and who holds it.
pub(super) async fn described(jobs: &Jobs, problem: Problem) -> Problem {
    match jobs.0.parts.room.holders().await {
        Some(holders) => Problem { what: format!("{} {holders}", problem.what), ..problem },
        None => problem,
    }
}

async fn cancelled(jobs: &Jobs, job: &Job) {
    while !jobs.board().get(&job.id).is_some_and(|entry| entry.job.cancel) {
        tokio::time::sleep(LOOK).await;
    }
}
