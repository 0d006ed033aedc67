//! The store: one SQLite file, one thread that writes, one that reads. Knows how to open, check, migrate
//! and copy it; what is in it is the business of the modules beside it and of `schema.sql`.

pub mod accounts;
pub mod arrivals;
pub mod artifacts;
pub mod audit;
pub mod dataset_pictures;
pub mod dataset_uploads;
pub mod datasets;
pub mod events;
pub mod jobs;
mod open;
pub mod sessions;
mod sql;
pub mod uploads;

pub use open::{FILE, OpenError, Place};
pub use rusqlite::Connection;

use std::{
    panic::AssertUnwindSafe,
    path::Path,
    sync::{Arc, mpsc},
    thread,
};
use tokio::sync::oneshot;

/// The version of SQLite that is built in.
pub fn sqlite_version() -> &'static str {
    rusqlite::version()
}

/// Why the store did not do as told.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// No space left, or over the quota. The store is whole and takes writes again once there is space.
    #[error("the disk is full")]
    Full,
    /// The disk failed. Nothing of the change was kept.
    #[error("the disk failed: {0}")]
    Disk(rusqlite::Error),
    /// A mistake in a statement or in what is stored.
    #[error("store: {0}")]
    Sql(rusqlite::Error),
    /// What is stored is not what this build writes.
    #[error("stored {what} is not readable: {why}")]
    Malformed {
        /// Column or table.
        what: &'static str,
        /// The parser's words.
        why: String,
    },
    /// The data folder is not surely this process's just now. Nothing of the change was kept.
    #[error("the lease on the data folder is not held")]
    Unheld,
    /// The thread has ended, because Easel is stopping or the change panicked.
    #[error("the store is closed")]
    Closed,
}

impl From<rusqlite::Error> for StoreError {
    fn from(e: rusqlite::Error) -> StoreError {
        match e.sqlite_error_code() {
            Some(rusqlite::ErrorCode::DiskFull) => StoreError::Full,
            // CannotOpen: the journal, which a network file system has made anew for each change.
            Some(rusqlite::ErrorCode::SystemIoFailure | rusqlite::ErrorCode::ReadOnly | rusqlite::ErrorCode::CannotOpen) => {
                StoreError::Disk(e)
            }
            _ => StoreError::Sql(e),
        }
    }
}

type Task = Box<dyn FnOnce(&mut Connection) + Send>;

/// A handle to the store.
#[derive(Clone, Debug)]
pub struct Store {
    writer: Arc<Thread>,
    /// None on a network file system: without locks, a second connection could read a half-written page.
    reader: Option<Arc<Thread>>,
    folder: Arc<Path>,
    guard: Option<Guard>,
}

/// Says before each change whether the store is still this process's to write.
#[derive(Clone)]
pub struct Guard(pub Arc<dyn Fn() -> bool + Send + Sync>);

impl std::fmt::Debug for Guard {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Guard")
    }
}

/// A thread with its connection; ends when the handle is dropped, after the tasks already given.
#[derive(Debug)]
struct Thread {
    tasks: Option<mpsc::Sender<Task>>,
    thread: Option<thread::JoinHandle<()>>,
}

impl Thread {
    fn start(name: &str, mut connection: Connection) -> std::io::Result<Thread> {
        let (tasks, inbox) = mpsc::channel::<Task>();
        let thread = thread::Builder::new().name(name.into()).spawn(move || {
            for task in inbox {
                // A panicking task must not take the store with it: its transaction rolls back as it unwinds.
                let _ = std::panic::catch_unwind(AssertUnwindSafe(|| task(&mut connection)));
            }
        })?;
        Ok(Thread { tasks: Some(tasks), thread: Some(thread) })
    }

    async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut Connection) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        let (answer, result) = oneshot::channel();
        let task: Task = Box::new(move |connection| {
            let _ = answer.send(work(connection));
        });
        self.tasks.as_ref().and_then(|t| t.send(task).ok()).ok_or(StoreError::Closed)?;
        result.await.unwrap_or(Err(StoreError::Closed))
    }
}

impl Drop for Thread {
    fn drop(&mut self) {
        self.tasks = None;
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

impl Store {
    /// Opens the store in `folder` (made if absent), checks it and brings its schema up to date, after a
    /// copy. Refuses a damaged one with what to do.
    pub fn open(folder: &Path) -> Result<Store, OpenError> {
        let place = Place::of(folder)?;
        let writer = open::open(folder, place)?;
        let reader = match place {
            Place::Local => Some(Arc::new(Thread::start("store-reader", open::second(folder)?)?)),
            Place::Network => None,
        };
        Ok(Store { writer: Arc::new(Thread::start("store-writer", writer)?), reader, folder: folder.into(), guard: None })
    }

    /// The same store, which refuses every change once the guard says no.
    pub fn guarded(self, guard: Option<Guard>) -> Store {
        Store { guard, ..self }
    }

    /// Runs a change on the writer's thread. What it returns `Ok` after a commit is on the disk.
    pub async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut Connection) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        let guard = self.guard.clone();
        let guarded = move |c: &mut Connection| if guard.is_none_or(|g| (g.0)()) { work(c) } else { Err(StoreError::Unheld) };
        self.writer.run(guarded).await
    }

    /// Runs a question, beside the writer where the disk allows it. Sees everything committed before.
    pub async fn read<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut Connection) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        self.reader.as_ref().unwrap_or(&self.writer).run(work).await
    }

    /// Copies the store when its newest copy is a day old: what is offered should it ever be damaged.
    ///
    /// # Errors
    /// When the disk refuses; the store itself is untouched.
    pub async fn copy_daily(&self) -> Result<(), StoreError> {
        let folder = Arc::clone(&self.folder);
        if !open::is_copy_due(&folder) {
            return Ok(());
        }
        let copy = move |c: &mut Connection| Ok(open::copy(c, &folder, &open::today())?);
        let Some(_) = &self.reader else { return self.writer.run(copy).await };
        // A connection of its own: neither changes nor questions wait for a copy of a large store.
        let folder = Arc::clone(&self.folder);
        let own = move || copy(&mut open::second(&folder).map_err(|_| StoreError::Closed)?);
        tokio::task::spawn_blocking(own).await.unwrap_or(Err(StoreError::Closed))
    }
}

#[cfg(test)]
mod tests;
