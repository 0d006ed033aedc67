//! The one task that feeds the engine: takes the next job, starts it, sees it through. Knows whose turn it
//! is from the board; what happens inside a job is `generate`'s business.

use super::{Job, Jobs, Outcome, generate};
use crate::{
    engine_client::EngineStatus,
    store::{Connection, StoreError},
};
use protocol::Problem;
use std::time::Duration;
use tokio::sync::watch;

/// Wait before a change that the disk refused is tried again.
const RETRY: Duration = Duration::from_secs(2);

/// Works until the panel stops.
pub(super) async fn run(jobs: Jobs) {
    let mut stopping = jobs.0.stopping.subscribe();
    loop {
        tokio::select! {
            () = told_to_stop(&mut stopping) => break,
            job = next(&jobs) => one(&jobs, job).await,
        }
        if *stopping.borrow() {
            break;
        }
    }
    jobs.0.idle.send_replace(true);
}

/// Waits until there is a job and an engine to take it.
async fn next(jobs: &Jobs) -> Job {
    let mut engine = jobs.0.parts.engine.watch();
    loop {
        let gone = engine.wait_for(|view| view.status == EngineStatus::Ready).await.is_err();
        if gone {
            // The engine was stopped for good; so will be this task.
            std::future::pending::<()>().await;
        }
        if let Some(job) = jobs.board().next() {
            return job;
        }
        jobs.0.bell.notified().await;
    }
}

/// Returns when the panel stops.
pub(super) async fn told_to_stop(stopping: &mut watch::Receiver<bool>) {
    // The sender lives as long as the jobs do, so this cannot fail before they are gone too.
    let _ = stopping.wait_for(|stop| *stop).await;
}

async fn one(jobs: &Jobs, job: Job) {
    let Some(job) = start(jobs, job).await else { return };
    jobs.tell_places();
    let outcome = generate::run(jobs, &job).await;
    if let Outcome::Failed(problem) = &outcome {
        tracing::warn!(job = %job.id, place = problem.place, "{problem}");
    }
    let sent = outcome != Outcome::NotSent;
    finish(jobs, job, outcome).await;
    jobs.tell_places();
    if !sent {
        // The engine went away in the moment before: its view says so now. Whatever else it was, do not run in circles.
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

/// Counts a start before it is dispatched. None when it was cancelled meanwhile, or the disk refuses.
async fn start(jobs: &Jobs, job: Job) -> Option<Job> {
    let (this, now, id) = (jobs.clone(), jobs.0.parts.clock.ms(), job.id.clone());
    let change = move |c: &mut Connection| {
        // A cancel may have come between the choice and now.
        let Some(job) = this.board().get(&id).map(|e| e.job.clone()) else { return Ok(None) };
        let job = job.start(now);
        this.write(c, &job, now)?;
        Ok(Some(job))
    };
    match jobs.0.parts.store.run(change).await {
        Ok(started) => started,
        Err(e) => {
            stall(jobs, &job, &e).await;
            None
        }
    }
}

/// Stores how a job ended, for as long as it takes: what is known must not be lost to a full disk.
async fn finish(jobs: &Jobs, job: Job, outcome: Outcome) {
    loop {
        let (this, now, id, outcome) = (jobs.clone(), jobs.0.parts.clock.ms(), job.id.clone(), outcome.clone());
        let change = move |c: &mut Connection| {
            // The board has the newest cancel flag.
            let Some(job) = this.board().get(&id).map(|e| e.job.clone()) else { return Ok(()) };
            this.write(c, &job.end(outcome, now), now)
        };
        match jobs.0.parts.store.run(change).await {
            Ok(()) | Err(StoreError::Closed) => return,
            Err(e) => stall(jobs, &job, &e).await,
        }
    }
}

/// Says what holds a job up, and waits.
async fn stall(jobs: &Jobs, job: &Job, why: &StoreError) {
    tracing::error!(job = %job.id, "{why}");
    if let Some(progress) = jobs.board().progress(&job.id) {
        let what = match why {
            StoreError::Full => "The disk is full.",
            _ => "The disk does not take changes.",
        };
        progress.stalled = Some(Problem::new(what).remedy("This goes on by itself once there is space."));
    }
    // Real time: a disk does not follow a virtual clock.
    tokio::time::sleep(RETRY).await;
    if let Some(progress) = jobs.board().progress(&job.id) {
        progress.stalled = None;
    }
}
