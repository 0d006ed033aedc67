//! Which jobs are known, and which of them the panel wants stopped. Knows no work.

use protocol::JobId;
use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex, MutexGuard,
        atomic::{AtomicBool, Ordering},
    },
};

/// Raised when a job is to stop.
#[derive(Clone, Debug, Default)]
pub(super) struct Cancel(Arc<AtomicBool>);

impl Cancel {
    /// Whether to stop.
    pub(super) fn is_wanted(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

/// The jobs that were asked for and have not ended.
#[derive(Debug, Default)]
pub(super) struct Jobs(Mutex<HashMap<JobId, Cancel>>);

impl Jobs {
    /// A new job.
    pub(super) fn begin(&self, job: &JobId) -> Cancel {
        self.all().entry(job.clone()).or_default().clone()
    }

    /// Stops a job; one that is not known is left alone.
    pub(super) fn cancel(&self, job: &JobId) {
        if let Some(cancel) = self.all().get(job) {
            cancel.0.store(true, Ordering::Relaxed);
        }
    }

    /// Stops every job.
    pub(super) fn cancel_all(&self) {
        self.all().values().for_each(|cancel| cancel.0.store(true, Ordering::Relaxed));
    }

    /// A job has ended.
    pub(super) fn end(&self, job: &JobId) {
        self.all().remove(job);
    }

    fn all(&self) -> MutexGuard<'_, HashMap<JobId, Cancel>> {
        self.0.lock().expect("nobody panics while holding the jobs")
    }
}
