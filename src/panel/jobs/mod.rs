//! The queue: jobs that are submitted, wait, run, end. Everything acknowledged is in the store before it is
//! told. Knows no HTTP.

mod board;
mod estimate;
mod generate;
mod job;
mod lanes;
mod queue;
mod room;
mod view;
mod worker;

pub use job::{ENGINE_TRIES, Job, JobState, Outcome, PANEL_TRIES};
pub use room::Room;
pub use view::{HiddenJob, JobView, Loading, Progress};

use crate::{
    artifacts::{ArtifactView, Artifacts},
    clock::Clock,
    engine_client::Engines,
    events::{Events, Kind, Passing},
    store::{self, Connection, Store, StoreError},
    uploads::Uploads,
    users::ProfileId,
};
use board::Board;
use protocol::{ImageRef, JobId, Problem, Recipe};
use serde::Serialize;
use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};
use tokio::sync::Notify;

/// Jobs of one profile that may wait at a time.
pub const MAX_WAITING: usize = 1000;
/// How long an orderly stop waits for the disk.
const STOP_WAIT: Duration = Duration::from_secs(10);
/// How long an idempotency key is remembered.
const KEYS_KEPT: Duration = Duration::from_secs(24 * 3600);
/// How long numbered events are kept.
const EVENTS_KEPT: Duration = Duration::from_secs(14 * 24 * 3600);

/// The handles that jobs work with.
#[derive(Clone, Debug)]
pub struct Parts {
    /// The store.
    pub store: Store,
    /// Where changes are told.
    pub events: Events,
    /// Where pictures go.
    pub artifacts: Artifacts,
    /// Where reference pictures come from.
    pub uploads: Uploads,
    /// Who makes them.
    pub engines: Engines,
    /// Who has others give the graphics cards' memory back.
    pub room: Arc<dyn Room>,
    /// The time.
    pub clock: Clock,
}

/// Why a job is not taken.
#[derive(Debug, thiserror::Error)]
pub enum SubmitError {
    /// The profile's queue is full.
    #[error("{MAX_WAITING} of your pictures wait already. Cancel some, or come back later.")]
    QueueFull,
    /// The key was used for something else.
    #[error("This Idempotency-Key was used for another request.")]
    KeyReused,
    /// A picture that the recipe needs was forgotten a moment ago.
    #[error("There is no {1} of yours.")]
    NoPicture(&'static str, ImageRef),
    /// The store refused.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// A key that makes a repeated request harmless, and the hash of that request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Key {
    /// The key, as sent.
    pub key: String,
    /// SHA-256 of the request.
    pub request: String,
}

/// Which jobs of everybody's.
#[derive(Clone, Debug, Default)]
pub struct Which {
    /// Only in this state.
    pub state: Option<&'static str>,
    /// Only of this profile.
    pub profile: Option<ProfileId>,
}

/// Seconds that a recipe would take.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Estimate {
    /// From its start.
    pub eta_s: f32,
    /// Until its start.
    pub starts_in_s: f32,
}

/// The handle.
#[derive(Clone, Debug)]
pub struct Jobs(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    parts: Parts,
    board: Mutex<Board>,
    ids: Mutex<ulid::Generator>,
    /// Rings when there may be something to start.
    bell: Notify,
    stopping: tokio::sync::watch::Sender<bool>,
    idle: tokio::sync::watch::Sender<bool>,
}

impl Jobs {
    /// Takes up what the store has unfinished, and starts the worker. Call it inside a tokio runtime.
    ///
    /// # Errors
    /// When the store cannot be read or refuses the interrupted jobs' new state.
    pub async fn open(parts: Parts) -> Result<Jobs, StoreError> {
        let now = parts.clock.ms();
        let board = parts.store.run(move |c| take_up(c, now)).await?;
        let inner = Inner {
            parts,
            board: Mutex::new(board),
            ids: Mutex::new(ulid::Generator::new()),
            bell: Notify::new(),
            stopping: tokio::sync::watch::Sender::new(false),
            idle: tokio::sync::watch::Sender::new(false),
        };
        let jobs = Jobs(Arc::new(inner));
        tokio::spawn(worker::run(jobs.clone()));
        Ok(jobs)
    }

    /// Stops in order: running jobs go back to the queue, at no cost. Returns when that is stored, or
    /// when the disk does not take it for a while: then the start counts as interrupted.
    pub async fn stop(&self) {
        self.0.stopping.send_replace(true);
        let mut idle = self.0.idle.subscribe();
        if tokio::time::timeout(STOP_WAIT, idle.wait_for(|idle| *idle)).await.is_err() {
            tracing::warn!("a running job's return to the queue could not be stored");
        }
    }

    /// The job that a key made before. What its request needed may be gone since.
    ///
    /// # Errors
    /// When the key was used for something else, or the store cannot be read.
    pub async fn made_by(&self, profile: &ProfileId, key: &Key) -> Result<Option<Job>, SubmitError> {
        let (profile, key) = (profile.clone(), key.clone());
        self.0.parts.store.read(move |c| made_by(c, &profile, &key)).await?.transpose()
    }

    /// Takes a job. With a key that was used before for the same request, the job of then.
    ///
    /// # Errors
    /// When the queue is full, the key was used for something else, a picture is gone, or the store refuses.
    pub async fn submit(&self, profile: &ProfileId, recipe: Recipe, key: Option<Key>) -> Result<Job, SubmitError> {
        let job = Job {
            id: self.new_id(),
            profile: profile.clone(),
            state: JobState::Queued,
            created: self.0.parts.clock.ms(),
            started: None,
            finished: None,
            starts: 0,
            engine_deaths: 0,
            cancel: false,
            recipe,
        };
        let this = self.clone();
        let taken = self.0.parts.store.run(move |c| this.insert(c, job, key)).await??;
        self.0.bell.notify_one();
        self.tell_places();
        Ok(taken)
    }

    /// On the store's thread: what follows the commit cannot be lost with a dropped request.
    fn insert(&self, c: &mut Connection, job: Job, key: Option<Key>) -> Result<Result<Job, SubmitError>, StoreError> {
        let change = c.transaction()?;
        if let Some(key) = &key {
            if let Some(before) = made_by(&change, &job.profile, key)? {
                return Ok(before);
            }
            store::jobs::keep_key(&change, &job, &key.key, &key.request)?;
        }
        for (field, image) in [("image", &job.recipe.image), ("mask", &job.recipe.mask)] {
            // With the job its pictures are needed, and stay: they must be there now, not when the door looked.
            if let Some(image @ ImageRef::Upload(sha256)) = image
                && store::uploads::get(&change, &job.profile, sha256)?.is_none()
            {
                return Ok(Err(SubmitError::NoPicture(field, image.clone())));
            }
        }
        if store::jobs::waiting(&change, &job.profile)? >= MAX_WAITING {
            return Ok(Err(SubmitError::QueueFull));
        }
        store::jobs::insert(&change, &job)?;
        let view = JobView::new(&job, &Progress::default(), Vec::new());
        let event = store::events::insert(&change, &job.profile, &job.id, Kind::State, json(&view), job.created)?;
        change.commit()?;
        self.board().apply(&job);
        self.0.parts.events.announce(&job.profile, &event);
        Ok(Ok(job))
    }

    /// Stops a job. None where the profile has no such job; otherwise the job as it is then.
    ///
    /// # Errors
    /// When the store refuses.
    pub async fn cancel(&self, profile: &ProfileId, id: &JobId) -> Result<Option<Job>, StoreError> {
        let (this, profile, id, now) = (self.clone(), profile.clone(), id.clone(), self.0.parts.clock.ms());
        let change = move |c: &mut Connection| {
            let Some(mut job) = store::jobs::get(c, &id)?.filter(|j| j.profile == profile) else { return Ok(None) };
            match job.state {
                JobState::Queued | JobState::Parked(_) => job = job.end(Outcome::Cancelled, now),
                JobState::Running => job.cancel = true,
                _ => return Ok(Some(job)),
            }
            this.write(c, &job, now)?;
            Ok(Some(job))
        };
        let job = self.0.parts.store.run(change).await?;
        if let Some(job) = &job
            && job.state == JobState::Running
        {
            self.0.parts.engines.cancel(&job.id);
        }
        self.tell_places();
        Ok(job)
    }

    /// A job of a profile, with its pictures.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub async fn get(&self, profile: &ProfileId, id: &JobId) -> Result<Option<JobView>, StoreError> {
        let (this, profile, id) = (self.clone(), profile.clone(), id.clone());
        let read = move |c: &mut Connection| match store::jobs::get(c, &id)?.filter(|j| j.profile == profile) {
            Some(job) => Ok(Some(this.view(c, &job, true)?)),
            None => Ok(None),
        };
        self.0.parts.store.read(read).await
    }

    /// Jobs of a profile, newest first.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub async fn list(
        &self,
        profile: &ProfileId,
        state: Option<&'static str>,
        before: Option<String>,
        limit: u32,
    ) -> Result<Vec<JobView>, StoreError> {
        let (this, profile) = (self.clone(), profile.clone());
        let read = move |c: &mut Connection| {
            let page = store::jobs::page(c, &profile, state, before.as_deref(), limit)?;
            page.iter().map(|job| this.view(c, job, true)).collect()
        };
        self.0.parts.store.read(read).await
    }

    /// Jobs of everybody, newest first: for admins, who see no prompts.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub async fn of_all(&self, which: Which, before: Option<String>, limit: u32) -> Result<Vec<HiddenJob>, StoreError> {
        let this = self.clone();
        let read = move |c: &mut Connection| {
            let page = store::jobs::page_of_all(c, which.state, which.profile.as_ref(), before.as_deref(), limit)?;
            let board = this.board();
            Ok(page.iter().map(|job| HiddenJob::new(job, board.get(&job.id).map(|e| &e.progress))).collect())
        };
        self.0.parts.store.read(read).await
    }

    /// Whose job this is.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub async fn owner(&self, id: &JobId) -> Result<Option<ProfileId>, StoreError> {
        let id = id.clone();
        Ok(self.0.parts.store.read(move |c| store::jobs::get(c, &id)).await?.map(|job| job.profile))
    }

    /// The unfinished jobs of a profile as they are now, oldest first: what a new listener is told first.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub async fn snapshot(&self, profile: &ProfileId) -> Result<Vec<JobView>, StoreError> {
        let (this, entries) = (self.clone(), self.board().of(profile));
        let read = move |c: &mut Connection| entries.iter().map(|e| this.view(c, &e.job, false)).collect();
        self.0.parts.store.read(read).await
    }

    /// Stops every job of a profile that waits or runs; how many there were.
    ///
    /// # Errors
    /// When the store refuses.
    pub async fn cancel_all(&self, profile: &ProfileId) -> Result<usize, StoreError> {
        let jobs: Vec<JobId> = self.board().of(profile).into_iter().map(|e| e.job.id).collect();
        for id in &jobs {
            self.cancel(profile, id).await?;
        }
        Ok(jobs.len())
    }

    /// How many jobs that wait or run need each model.
    pub fn models_needed(&self) -> HashMap<String, usize> {
        self.board().models()
    }

    /// How many jobs of a profile wait or run.
    pub fn unfinished(&self, profile: &ProfileId) -> usize {
        self.board().of(profile).len()
    }

    /// How long a recipe would take, and when it would start.
    pub fn estimate(&self, profile: &ProfileId, recipe: &Recipe) -> Estimate {
        let engines = &self.0.parts.engines;
        let (models, working) = (engines.models(), engines.working());
        let board = self.board();
        Estimate { eta_s: board.seconds(recipe, &models), starts_in_s: board.starts_in(profile, working, &models) }
    }

    /// Forgets old keys and old events.
    ///
    /// # Errors
    /// When the store refuses.
    pub async fn sweep(&self) -> Result<(), StoreError> {
        let now = self.0.parts.clock.ms();
        let before = move |kept: Duration| now - kept.as_millis() as i64;
        let change = move |c: &mut Connection| {
            store::jobs::prune_keys(c, before(KEYS_KEPT))?;
            store::events::prune(c, before(EVENTS_KEPT))?;
            Ok(())
        };
        self.0.parts.store.run(change).await
    }

    /// Writes a job's new state and tells it. On the store's thread.
    fn write(&self, c: &mut Connection, job: &Job, now: i64) -> Result<(), StoreError> {
        let change = c.transaction()?;
        store::jobs::update(&change, job)?;
        let progress = self.board().get(&job.id).filter(|e| e.job.state == job.state).map(|e| e.progress.clone());
        let view = JobView::new(job, &progress.unwrap_or_default(), pictures(&change, job, false)?);
        let event = store::events::insert(&change, &job.profile, &job.id, Kind::State, json(&view), now)?;
        change.commit()?;
        let changed = self.board().apply(job);
        // What passed in the state before says nothing of this one: no place of a job that runs, no step of one that waits.
        if changed {
            self.0.parts.events.forget(&job.profile, &job.id);
        }
        self.0.parts.events.announce(&job.profile, &event);
        Ok(())
    }

    fn view(&self, c: &Connection, job: &Job, recipes: bool) -> Result<JobView, StoreError> {
        let progress = self.board().get(&job.id).map(|e| e.progress.clone()).unwrap_or_default();
        Ok(JobView::new(job, &progress, pictures(c, job, recipes)?))
    }

    /// Tells waiting jobs' owners their new places.
    fn tell_places(&self) {
        let engines = &self.0.parts.engines;
        let (models, working) = (engines.models(), engines.working());
        // The board is kept meanwhile: nobody tells older places after these, and no job leaves the queue between the two,
        // whose place would be remembered for ever.
        let mut board = self.board();
        let places = board.places(working, &models);
        for p in board.keep_places(places) {
            let body = PlaceBody { job: &p.job.0, place: p.place, eta_s: p.eta_s };
            self.0.parts.events.pass(&p.profile, &p.job, Passing::Place, &body);
        }
    }

    /// Notes and tells what holds a job up; none: nothing does any more. A new state of the job forgets it.
    fn hold(&self, job: &Job, why: Option<Problem>) {
        // The board is kept meanwhile, as for places.
        let mut board = self.board();
        let Some(progress) = board.progress(&job.id) else { return };
        if progress.stalled != why {
            progress.stalled.clone_from(&why);
            self.0.parts.events.pass(&job.profile, &job.id, Passing::Held, &HeldBody { job: &job.id.0, error: why });
        }
    }

    fn board(&self) -> MutexGuard<'_, Board> {
        // No change of the board can stop half-way, so what a panicking thread left is whole.
        self.0.board.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// An id that sorts after every id before, also within one millisecond.
    fn new_id(&self) -> JobId {
        let mut ids = self.0.ids.lock().unwrap_or_else(PoisonError::into_inner);
        let id = ids.generate().unwrap_or_else(|_| ulid::Ulid::generate());
        JobId(id.to_string())
    }
}

#[derive(Serialize)]
struct PlaceBody<'a> {
    job: &'a str,
    place: usize,
    eta_s: f32,
}

#[derive(Serialize)]
struct HeldBody<'a> {
    job: &'a str,
    error: Option<Problem>,
}

fn json<T: Serialize>(value: &T) -> String {
    serde_json::to_string(value).expect("numbers and strings are JSON")
}

fn made_by(c: &Connection, profile: &ProfileId, key: &Key) -> Result<Option<Result<Job, SubmitError>>, StoreError> {
    let Some((request, id)) = store::jobs::by_key(c, profile, &key.key)? else { return Ok(None) };
    let before = store::jobs::get(c, &id)?.filter(|_| request == key.request);
    Ok(Some(before.ok_or(SubmitError::KeyReused)))
}

fn pictures(c: &Connection, job: &Job, recipes: bool) -> Result<Vec<ArtifactView>, StoreError> {
    let strip = |a: ArtifactView| if recipes { a } else { ArtifactView { recipe: None, ..a } };
    Ok(store::artifacts::of_job(c, &job.id)?.into_iter().map(|a| strip(a.into())).collect())
}

/// What a new panel finds: running jobs were interrupted.
fn take_up(c: &mut Connection, now: i64) -> Result<Board, StoreError> {
    let change = c.transaction()?;
    let mut unfinished = Vec::new();
    for job in store::jobs::unfinished(&change)? {
        let interrupted = job.state == JobState::Running;
        let job = job.after_restart(now);
        if interrupted {
            store::jobs::update(&change, &job)?;
            let view = JobView::new(&job, &Progress::default(), pictures(&change, &job, false)?);
            store::events::insert(&change, &job.profile, &job.id, Kind::State, json(&view), now)?;
        }
        if !job.state.is_over() {
            unfinished.push(job);
        }
    }
    let mut rates = estimate::Rates::default();
    for job in store::jobs::last_done(&change)?.iter().rev() {
        if let (Some(started), Some(finished)) = (job.started, job.finished) {
            rates.learn(&job.recipe, (finished - started) as f64 / 1000.0);
        }
    }
    let starts = store::jobs::last_starts(&change)?;
    change.commit()?;
    Ok(Board::new(unfinished, starts, rates))
}

#[cfg(test)]
mod tests;
