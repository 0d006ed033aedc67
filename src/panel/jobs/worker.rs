//! The one task that feeds the engines: hands out the next jobs, has each started, and seen through by a task of its own. Knows
//! whose turn it is from the board; what happens inside a job is `generate`'s business.

use super::{Job, Jobs, Outcome, board::Free, generate};
use crate::{
    engine_client::{EngineView, working},
    store::{Connection, StoreError},
};
use futures_util::FutureExt as _;
use protocol::Problem;
use std::{collections::BTreeSet, panic::AssertUnwindSafe, time::Duration};
use tokio::{sync::watch, task::JoinSet};

/// Wait before a change that the disk refused is tried again.
const RETRY: Duration = Duration::from_secs(2);

/// Works until the panel stops.
pub(super) async fn run(jobs: Jobs) {
    let mut stopping = jobs.0.stopping.subscribe();
    let mut engines = jobs.0.parts.engines.watch();
    let (mut busy, mut at_work) = (BTreeSet::new(), JoinSet::new());
    while !*stopping.borrow() {
        let free = free(&engines.borrow_and_update(), &busy);
        let dealt = jobs.board().deal(&free);
        for (engine, job) in dealt {
            busy.insert(engine);
            at_work.spawn(one(jobs.clone(), engine, job));
        }
        tokio::select! {
            () = told_to_stop(&mut stopping) => {}
            () = jobs.0.bell.notified() => {}
            () = change(&mut engines) => {}
            Some(ended) = at_work.join_next() => match ended {
                Ok(engine) => {
                    busy.remove(&engine);
                }
                // Its engine gets no more work: nobody knows what it is doing.
                Err(e) => tracing::error!("a job could not be seen through: {e}"),
            }
        }
    }
    while at_work.join_next().await.is_some() {}
    jobs.0.idle.send_replace(true);
}

/// Engines that work and have no job.
fn free(engines: &[EngineView], busy: &BTreeSet<usize>) -> Vec<Free> {
    let free = |engine: usize| Some(Free { engine, loaded: engines.get(engine)?.loaded.clone() });
    working(engines).into_iter().filter(|engine| !busy.contains(engine)).filter_map(free).collect()
}

/// Returns when something else is known of an engine; never, once all were stopped for good.
async fn change(engines: &mut watch::Receiver<Vec<EngineView>>) {
    if engines.changed().await.is_err() {
        std::future::pending().await
    }
}

/// Returns when the panel stops.
pub(super) async fn told_to_stop(stopping: &mut watch::Receiver<bool>) {
    // The sender lives as long as the jobs do, so this cannot fail before they are gone too.
    let _ = stopping.wait_for(|stop| *stop).await;
}

/// One start of a job, to its end; the engine that is free then. A fault of ours fails that job: without this nobody would know
/// that its engine is free again.
async fn one(jobs: Jobs, engine: usize, job: Job) -> usize {
    if AssertUnwindSafe(see_through(jobs.clone(), engine, job.clone())).catch_unwind().await.is_err() {
        jobs.0.parts.engines.cancel(&job.id);
        let problem = Problem::new("Easel stumbled over this picture.").remedy("Run it again; the log has more.");
        finish(&jobs, job, Outcome::Failed(problem)).await;
        jobs.tell_places();
    }
    engine
}

async fn see_through(jobs: Jobs, engine: usize, job: Job) {
    let id = job.id.clone();
    let Some(job) = start(&jobs, job).await else {
        return jobs.board().give_back(&id);
    };
    jobs.tell_places();
    let outcome = generate::run(&jobs, engine, &job).await;
    if let Outcome::Failed(problem) = &outcome {
        tracing::warn!(job = %job.id, place = problem.place, "{problem}");
    }
    let sent = outcome != Outcome::NotSent;
    finish(&jobs, job, outcome).await;
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

/// Says what holds a job up until its next state is stored, and waits.
async fn stall(jobs: &Jobs, job: &Job, why: &StoreError) {
    tracing::error!(job = %job.id, "{why}");
    let what = match why {
        StoreError::Full => "The disk is full.",
        _ => "The disk does not take changes.",
    };
    jobs.hold(job, Some(Problem::new(what).remedy("This goes on by itself once there is space.")));
    // Real time: a disk does not follow a virtual clock.
    tokio::time::sleep(RETRY).await;
}
