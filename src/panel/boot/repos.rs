//! What an admin does about a repository beside work on it: looks at its history, and pins its host's key. Knows no page.

use super::{
    handle::{Boot, BootError},
    sync::CommitView,
};
use repos::Fault;
use std::io;

/// Commits of a history.
const HISTORY: usize = 50;

impl Boot {
    /// The newest commits of a repository's branch, newest first.
    ///
    /// # Errors
    /// When there is none such, or it cannot be read.
    pub async fn history(&self, name: &str) -> Result<Vec<CommitView>, BootError> {
        let path = self.repo(name)?.path;
        let commits = blocking(move || repos::history(&path, HISTORY)).await?;
        Ok(commits.iter().map(CommitView::from).collect())
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
