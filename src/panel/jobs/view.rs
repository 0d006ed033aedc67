//! A job as the API shows it. Knows nothing of who may see it.

use super::{Job, JobState};
use crate::{artifacts::ArtifactView, clock::rfc3339};
use protocol::{Problem, Recipe};
use serde::Serialize;

/// A job.
#[derive(Clone, Debug, Serialize, utoipa::ToSchema)]
#[schema(as = Job)]
pub struct JobView {
    /// Its id.
    pub id: String,
    /// queued, running, done, failed, cancelled or parked.
    pub state: &'static str,
    /// 0 to 1.
    pub progress: f32,
    /// Denoiser steps done, all pictures of the batch together.
    pub step: u32,
    /// Denoiser steps in all.
    pub steps: u32,
    /// Seconds until it is done.
    pub eta_s: Option<f32>,
    /// Place in the queue, 1 is next; of waiting jobs.
    pub place: Option<usize>,
    /// What went wrong or holds it up.
    #[schema(value_type = Option<Object>)]
    pub error: Option<Problem>,
    /// The model that is being read.
    pub loading: Option<Loading>,
    /// When it was submitted, RFC 3339.
    pub created: String,
    /// The resolved recipe.
    #[schema(value_type = Object)]
    pub recipe: Recipe,
    /// Its pictures so far.
    pub artifacts: Vec<ArtifactView>,
}

/// A model on its way into memory.
#[derive(Clone, Debug, PartialEq, Serialize, utoipa::ToSchema)]
pub struct Loading {
    /// Its name.
    pub model: String,
    /// Bytes read.
    pub done: u64,
    /// Bytes to read.
    pub total: u64,
}

/// What is known of a job that waits or runs, and is not stored.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Progress {
    /// Steps done.
    pub step: u32,
    /// Steps in all.
    pub steps: u32,
    /// Seconds until it is done.
    pub eta_s: Option<f32>,
    /// Place in the queue.
    pub place: Option<usize>,
    /// The model that is being read.
    pub loading: Option<Loading>,
    /// What holds it up.
    pub stalled: Option<Problem>,
}

impl Progress {
    /// Share of the steps that are done, 0 to 1.
    pub fn share(&self) -> f32 {
        if self.steps == 0 { 0.0 } else { (self.step as f32 / self.steps as f32).min(1.0) }
    }
}

/// A job as an admin sees it: whose, how large, how it stands; no prompt and no picture.
#[derive(Clone, Debug, Serialize, utoipa::ToSchema)]
pub struct HiddenJob {
    /// Its id.
    pub id: String,
    /// Whose it is: a profile's id.
    pub profile: String,
    /// queued, running, done, failed, cancelled or parked.
    pub state: &'static str,
    /// Id of the model.
    pub model: String,
    /// Pixels.
    pub width: u32,
    /// Pixels.
    pub height: u32,
    /// Denoiser steps of one picture.
    pub steps: u32,
    /// Pictures.
    pub batch: u32,
    /// 0 to 1.
    pub progress: f32,
    /// Place in the queue, 1 is next; of waiting jobs.
    pub place: Option<usize>,
    /// Seconds until it is done.
    pub eta_s: Option<f32>,
    /// What went wrong or holds it up.
    pub error: Option<String>,
    /// When it was submitted, RFC 3339.
    pub created: String,
    /// When it last started, RFC 3339.
    pub started: Option<String>,
    /// When it was over, RFC 3339.
    pub finished: Option<String>,
}

impl HiddenJob {
    /// The view of a job.
    pub fn new(job: &Job, progress: Option<&Progress>) -> HiddenJob {
        let problem = job.state.problem().or(progress.and_then(|p| p.stalled.as_ref()));
        HiddenJob {
            id: job.id.0.clone(),
            profile: job.profile.to_string(),
            state: job.state.name(),
            model: job.recipe.model.clone(),
            width: job.recipe.width,
            height: job.recipe.height,
            steps: job.recipe.steps,
            batch: job.recipe.batch,
            progress: if job.state == JobState::Done { 1.0 } else { progress.map_or(0.0, Progress::share) },
            place: progress.and_then(|p| p.place),
            eta_s: progress.and_then(|p| p.eta_s).filter(|_| !job.state.is_over()),
            error: problem.map(|p| p.what.clone()),
            created: rfc3339(job.created),
            started: job.started.map(rfc3339),
            finished: job.finished.map(rfc3339),
        }
    }
}

impl JobView {
    /// The view of a job.
    pub fn new(job: &Job, progress: &Progress, artifacts: Vec<ArtifactView>) -> JobView {
        let done = job.state == JobState::Done;
        let steps = if progress.steps > 0 { progress.steps } else { job.recipe.steps * job.recipe.batch };
        JobView {
            id: job.id.0.clone(),
            state: job.state.name(),
            progress: if done { 1.0 } else { progress.share() },
            step: if done { steps } else { progress.step },
            steps,
            eta_s: if job.state.is_over() { None } else { progress.eta_s },
            place: progress.place,
            error: job.state.problem().cloned().or_else(|| progress.stalled.clone()),
            loading: progress.loading.clone(),
            created: rfc3339(job.created),
            recipe: job.recipe.clone(),
            artifacts,
        }
    }
}
