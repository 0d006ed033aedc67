//! What an admin does with a repository beside syncing it: goes back to a commit and forward again, takes a rewritten history, and
//! pins a host's key. Knows no page.

use super::{
    handle::{Boot, BootError},
    sync::{CommitView, Work},
};
use crate::{sessions::SessionId, users::ProfileId};
use repos::Fault;
use std::io;

/// Commits of a history.
const HISTORY: usize = 50;

impl Boot {
    /// Brings the repositories in step now, and answers with the terminal of that; joins a sync that runs.
    ///
    /// # Errors
    /// When none is configured, or there is no terminal.
    pub async fn sync_now(&self, by: ProfileId) -> Result<SessionId, BootError> {
        self.work(Work::All, by).await
    }

    /// The newest commits of a repository's branch, newest first.
    ///
    /// # Errors
    /// When there is none such, or it cannot be read.
    pub async fn history(&self, name: &str) -> Result<Vec<CommitView>, BootError> {
        let path = self.repo(name)?.path;
        let commits = blocking(move || repos::history(&path, HISTORY)).await?;
        Ok(commits.iter().map(CommitView::from).collect())
    }

    /// Goes to a commit of a repository's history: back to one that worked, or forward to one that was left. Answers with the
    /// terminal of that.
    ///
    /// # Errors
    /// When there is none such, or a sync is at work.
    pub async fn go_to(&self, name: &str, commit: &str, by: ProfileId) -> Result<SessionId, BootError> {
        self.work(Work::GoTo { repo: name.to_owned(), commit: commit.to_owned() }, by).await
    }

    /// Takes a history that the remote has rewritten, up to this very commit. Answers with the terminal of that.
    ///
    /// # Errors
    /// When it is not what the remote offers, or a sync is at work.
    pub async fn accept_rewritten(&self, name: &str, commit: &str, by: ProfileId) -> Result<SessionId, BootError> {
        self.work(Work::Take { repo: name.to_owned(), commit: commit.to_owned() }, by).await
    }

    /// Pins the key that the host of a repository has shown, after somebody has compared this fingerprint with what its
    /// owner publishes.
    ///
    /// # Errors
    /// When the host has not shown it, or the folder of keys cannot be used.
    pub async fn pin(&self, name: &str, host: &str, fingerprint: &str) -> Result<(), BootError> {
        self.repo(name)?;
        let (folder, host, fingerprint) = (self.config().boot.ssh.clone(), host.to_owned(), fingerprint.to_owned());
        blocking(move || repos::pin(&folder, &host, &fingerprint).map(drop)).await
    }
}

/// What waits for the disk, on a thread of its own.
async fn blocking<T: Send + 'static>(work: impl FnOnce() -> Result<T, Fault> + Send + 'static) -> Result<T, BootError> {
    Ok(tokio::task::spawn_blocking(work).await.map_err(io::Error::other)??)
}

impl From<Fault> for BootError {
    fn from(fault: Fault) -> BootError {
        match fault {
            Fault::NoCommit(_) => BootError::Unknown,
            Fault::DiskFull(what) => BootError::Disk(io::Error::new(io::ErrorKind::StorageFull, what)),
            Fault::Io { error, .. } if is_full(&error) => BootError::Disk(error),
            fault => BootError::Refused(super::sync::sentence(&fault.to_string())),
        }
    }
}

fn is_full(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded)
}
