//! What takes longer than a request: unpacking, captioning, exporting. At most one for a dataset, seen by every browser
//! of its profile, cancelled between two pictures. Knows no picture.

use super::DatasetError;
use crate::{events::Events, users::ProfileId};
use serde::Serialize;
use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};
use tokio::sync::watch;

/// What is done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// Pictures out of an archive.
    Unpack,
    /// Captions from a vision model.
    Caption,
    /// A folder in the workspace.
    Export,
    /// Pictures out of a folder of the workspace.
    Folder,
}

impl Kind {
    fn name(self) -> &'static str {
        match self {
            Kind::Unpack => "unpack",
            Kind::Caption => "caption",
            Kind::Export => "export",
            Kind::Folder => "folder",
        }
    }
}

/// How it stands, for everybody who looks.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, utoipa::ToSchema)]
#[schema(as = DatasetTask)]
pub struct TaskView {
    /// Counts the tasks of a dataset, so that one that was put away is not shown again.
    pub number: u64,
    /// unpack, caption, export or folder.
    pub kind: &'static str,
    /// running, done, failed or cancelled.
    pub state: &'static str,
    /// What it is about: the archive's name, the folder.
    pub what: String,
    /// Pictures that were looked at.
    pub done: u32,
    /// Of so many.
    pub total: u32,
    /// Pictures that were taken, captioned or written.
    pub good: u32,
    /// What it waits for, or why it ended, in a sentence; empty where there is nothing to say.
    pub words: String,
    /// What was left out: a reason and how many, the first name of each.
    pub skipped: Vec<Skipped>,
}

/// What was left out for one reason.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, utoipa::ToSchema)]
#[schema(as = DatasetSkipped)]
pub struct Skipped {
    /// Why.
    pub why: String,
    /// How many.
    pub count: u32,
    /// The first of them.
    pub first: String,
}

/// Different reasons that are kept; a hostile archive must not fill the memory with words.
const MOST_REASONS: usize = 12;
/// Characters of a name that are shown.
const MOST_NAME: usize = 80;

impl TaskView {
    /// One more was left out.
    pub(super) fn skip(&mut self, why: impl Into<String>, name: &str) {
        let why = why.into();
        if let Some(known) = self.skipped.iter_mut().find(|s| s.why == why) {
            known.count += 1;
        } else if self.skipped.len() < MOST_REASONS {
            self.skipped.push(Skipped { why, count: 1, first: name.chars().take(MOST_NAME).collect() });
        } else if let Some(last) = self.skipped.last_mut() {
            last.why = "Other reasons".into();
            last.count += 1;
        }
    }
}

/// What is told of a dataset in the stream of events.
#[derive(Serialize)]
struct Told<'a> {
    dataset: &'a str,
    /// None: it is gone.
    version: Option<i64>,
    task: Option<&'a TaskView>,
}

#[derive(Debug, Default)]
struct Entry {
    version: i64,
    task: Option<TaskView>,
    cancel: Option<watch::Sender<bool>>,
    numbers: u64,
}

/// The board of all that runs.
#[derive(Clone, Debug)]
pub(super) struct Tasks {
    entries: Arc<Mutex<HashMap<String, Entry>>>,
    events: Events,
}

/// What a task holds of itself.
#[derive(Debug)]
pub(super) struct Running {
    tasks: Tasks,
    profile: ProfileId,
    dataset: String,
    cancelled: watch::Receiver<bool>,
    /// What was shown before.
    before: Option<TaskView>,
    ended: bool,
}

impl Tasks {
    pub(super) fn new(events: Events) -> Tasks {
        Tasks { entries: Arc::default(), events }
    }

    /// Begins one.
    ///
    /// # Errors
    /// [`DatasetError::Clash`] where another runs.
    pub(super) fn begin(&self, profile: &ProfileId, dataset: &str, kind: Kind, what: &str) -> Result<Running, DatasetError> {
        let (cancel, cancelled) = watch::channel(false);
        let before = {
            let mut entries = self.lock();
            let entry = entries.entry(dataset.to_owned()).or_default();
            if entry.cancel.is_some() {
                let words = "Something is being done with this dataset already. Wait for its end, or cancel it.";
                return Err(DatasetError::Clash(words.into()));
            }
            entry.numbers += 1;
            entry.cancel = Some(cancel);
            entry.task.replace(TaskView {
                number: entry.numbers,
                kind: kind.name(),
                state: "running",
                what: what.to_owned(),
                done: 0,
                total: 0,
                good: 0,
                words: String::new(),
                skipped: Vec::new(),
            })
        };
        self.announce(profile, dataset);
        let (tasks, profile, dataset) = (self.clone(), profile.clone(), dataset.to_owned());
        Ok(Running { tasks, profile, dataset, cancelled, before, ended: false })
    }

    pub(super) fn view(&self, dataset: &str) -> Option<TaskView> {
        self.lock().get(dataset).and_then(|entry| entry.task.clone())
    }

    pub(super) fn cancel(&self, dataset: &str) {
        if let Some(cancel) = self.lock().get(dataset).and_then(|entry| entry.cancel.as_ref()) {
            cancel.send_replace(true);
        }
    }

    /// A dataset has this version now.
    pub(super) fn tell(&self, profile: &ProfileId, dataset: &str, version: i64) {
        let mut entries = self.lock();
        let entry = entries.entry(dataset.to_owned()).or_default();
        entry.version = entry.version.max(version);
        drop(entries);
        self.announce(profile, dataset);
    }

    /// A dataset is gone.
    pub(super) fn gone(&self, profile: &ProfileId, dataset: &str) {
        self.lock().remove(dataset);
        self.events.dataset_gone(profile, dataset, &Told { dataset, version: None, task: None });
    }

    fn announce(&self, profile: &ProfileId, dataset: &str) {
        let entries = self.lock();
        let Some(entry) = entries.get(dataset) else { return };
        // Within the lock, so that nothing older is told after something newer.
        let told = Told { dataset, version: Some(entry.version), task: entry.task.as_ref() };
        self.events.dataset_changed(profile, dataset, &told);
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<String, Entry>> {
        // Every change is whole before anything can panic.
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Running {
    /// Changes what is shown of it.
    pub(super) fn update(&self, change: impl FnOnce(&mut TaskView)) {
        if let Some(task) = self.tasks.lock().get_mut(&self.dataset).and_then(|entry| entry.task.as_mut()) {
            change(task);
        }
        self.tasks.announce(&self.profile, &self.dataset);
    }

    /// Whether somebody cancelled it.
    pub(super) fn is_cancelled(&self) -> bool {
        *self.cancelled.borrow()
    }

    /// Waits until somebody cancels it.
    pub(super) async fn cancelled(&self) {
        let mut cancelled = self.cancelled.clone();
        if cancelled.wait_for(|cancelled| *cancelled).await.is_err() {
            // The dataset is gone, which cancelled it before.
            std::future::pending::<()>().await;
        }
    }

    /// There was nothing to do: what was shown before is shown again.
    pub(super) fn withdraw(mut self) {
        self.ended = true;
        if let Some(entry) = self.tasks.lock().get_mut(&self.dataset) {
            entry.cancel = None;
            entry.task = self.before.take();
        }
        self.tasks.announce(&self.profile, &self.dataset);
    }

    /// It is over: done, or cancelled, or failed with why.
    pub(super) fn end(mut self, result: Result<(), String>) {
        self.finish(result);
    }

    fn finish(&mut self, result: Result<(), String>) {
        self.ended = true;
        let cancelled = self.is_cancelled();
        if let Some(entry) = self.tasks.lock().get_mut(&self.dataset) {
            entry.cancel = None;
            if let Some(task) = &mut entry.task {
                (task.state, task.words) = match result {
                    _ if cancelled => ("cancelled", String::new()),
                    Ok(()) => ("done", String::new()),
                    Err(why) => ("failed", why),
                };
            }
        }
        self.tasks.announce(&self.profile, &self.dataset);
    }
}

impl Drop for Running {
    /// A task that panicked or was given up must not hold its dataset for ever.
    fn drop(&mut self) {
        if !self.ended {
            self.finish(Err("It ended early. What was done is kept; the reason is in Easel's log.".into()));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::Store;

    #[tokio::test]
    async fn one_runs_at_a_time_and_its_end_is_told_however_it_comes() {
        let folder = tempfile::tempdir().unwrap();
        let tasks = Tasks::new(Events::open(Store::open(folder.path()).unwrap()).await.unwrap());
        let zoe = ProfileId::parse("zoe").unwrap();
        let first = tasks.begin(&zoe, "d", Kind::Unpack, "a.zip").unwrap();
        assert!(matches!(tasks.begin(&zoe, "d", Kind::Export, "x"), Err(DatasetError::Clash(_))));
        first.update(|t| t.done = 3);
        assert_eq!((tasks.view("d").unwrap().state, tasks.view("d").unwrap().done), ("running", 3));
        tasks.cancel("d");
        first.cancelled().await;
        first.end(Ok(()));
        assert_eq!(tasks.view("d").unwrap().state, "cancelled");
        drop(tasks.begin(&zoe, "d", Kind::Export, "x").unwrap());
        let ended = tasks.view("d").unwrap();
        assert_eq!((ended.number, ended.state), (2, "failed"));
    }

    #[test]
    fn reasons_are_counted_and_bounded() {
        let mut task = TaskView {
            number: 1,
            kind: "unpack",
            state: "running",
            what: String::new(),
            done: 0,
            total: 0,
            good: 0,
            words: String::new(),
            skipped: Vec::new(),
        };
        for i in 0..100 {
            task.skip("Not a picture", &"n".repeat(500));
            task.skip(format!("reason {i}"), "x");
        }
        assert_eq!((task.skipped.len(), task.skipped[0].count), (MOST_REASONS, 100));
        assert_eq!(task.skipped.iter().map(|s| s.count).sum::<u32>(), 200);
        assert_eq!(task.skipped[0].first.len(), MOST_NAME);
    }
}
