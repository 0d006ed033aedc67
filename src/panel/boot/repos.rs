//! What an admin does with a repository beside syncing it: goes back to a commit and forward again, takes a rewritten history,
//! pins a host's key, and sees what changed in a tool's scripts. Knows no page.

use super::{
    handle::{Boot, BootError},
    sync::{Aside, Came, CommitView, RepoReport},
};
use crate::tools::{ToolId, Unseen};
use repos::{DifferenceText, Fault, FileDifference, Kind};
use serde::Serialize;
use std::{fs, io, ops::ControlFlow, path::Path};

/// Commits of a history.
const HISTORY: usize = 50;
/// Largest script that is shown whole.
const SHOWN_MAX: u64 = 256 << 10;
/// The folder of functions that scripts share.
const LIBRARY: &str = "lib";

/// One file of a tool's scripts that changed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct ChangedFile {
    /// Its path in the repository.
    pub path: String,
    /// added, changed or removed.
    pub kind: &'static str,
    /// Lines that came and went.
    pub added: usize,
    /// Lines that went.
    pub removed: usize,
    /// The difference in the unified form, or the whole of a new file; none of what is no text.
    pub text: Option<String>,
    /// The text is cut off.
    pub cut: bool,
}

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

    /// Goes to a commit of a repository's history: back to one that worked, or forward to one that was left.
    ///
    /// # Errors
    /// When there is none such, or something is in the way.
    pub async fn go_to(&self, name: &str, commit: &str) -> Result<(), BootError> {
        let (repo, commit) = (self.repo(name)?, commit.to_owned());
        let path = repo.path.clone();
        let before = self.view().repos.into_iter().find(|report| report.name == name).and_then(|report| report.commit);
        let moved = blocking(move || repos::check_out(&path, &commit, &mut |_| ControlFlow::Continue(()))).await?;
        let path = repo.path.clone();
        let standing = blocking(move || repos::standing(&path)).await?;
        let came = match standing.and_then(|standing| standing.refused) {
            Some(refused) => Came::WentBack { refused: (&refused).into() },
            None => Came::Forward { from: before.map(|commit| commit.id).unwrap_or_default(), commits: 0 },
        };
        let put_aside = moved.put_aside.into_iter().map(Aside::from).collect();
        let commit = Some((&moved.commit).into());
        self.note(RepoReport { name: name.to_owned(), at: self.now(), commit, came, put_aside })?;
        self.put_tools(false).await;
        Ok(())
    }

    /// Takes a history that the remote has rewritten, up to this very commit.
    ///
    /// # Errors
    /// When it is not what the remote offers, or something is in the way.
    pub async fn accept_rewritten(&self, name: &str, commit: &str) -> Result<(), BootError> {
        let (repo, commit) = (self.repo(name)?, commit.to_owned());
        let path = repo.path;
        let synced = blocking(move || repos::accept_rewritten(&path, &commit, &mut |_| ControlFlow::Continue(()))).await?;
        let commit = Some(synced.outcome.commit().into());
        let put_aside = synced.put_aside.into_iter().map(Aside::from).collect();
        self.note(RepoReport { name: name.to_owned(), at: self.now(), commit, came: Came::UpToDate, put_aside })?;
        self.put_tools(false).await;
        Ok(())
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

    /// What of a tool's scripts no admin has seen: what changed since those that were let run, or the whole of them.
    ///
    /// # Errors
    /// When the repository cannot be read.
    pub async fn changes(&self, id: &ToolId, unseen: &Unseen) -> Result<Vec<ChangedFile>, BootError> {
        let repo = self.config().boot.studio().cloned().ok_or(BootError::Unknown)?;
        let folders = [id.as_str().to_owned(), LIBRARY.to_owned()].map(|folder| format!("setup/{folder}/"));
        let (before, commit) = (unseen.before.clone(), unseen.commit.clone());
        let folder = self.tools().folder(id).map_err(|_| BootError::Unknown)?;
        blocking(move || {
            if let Some(before) = &before
                && let Ok(files) = differences(&repo.path, before, &commit, &folders)
            {
                return Ok(files);
            }
            // Nothing was let run yet, or what was is not in the history any more.
            let mut files = Vec::new();
            for (name, path) in [(id_of(&folder.path), folder.path.clone()), (LIBRARY.to_owned(), folder.setup().join(LIBRARY))] {
                whole(&format!("setup/{name}"), &path, &mut files)
                    .map_err(|error| Fault::Io { what: format!("reading {}", path.display()), error })?;
            }
            Ok(files)
        })
        .await
    }
}

fn id_of(path: &Path) -> String {
    path.file_name().unwrap_or_default().to_string_lossy().into_owned()
}

fn differences(path: &Path, from: &str, to: &str, folders: &[String]) -> Result<Vec<ChangedFile>, Fault> {
    let mut files = Vec::new();
    for folder in folders {
        files.extend(repos::diff(path, from, to, folder)?.files.into_iter().map(changed));
    }
    Ok(files)
}

fn changed(file: FileDifference) -> ChangedFile {
    let (text, cut) = match file.text {
        DifferenceText::Unified(text) => (Some(text), false),
        DifferenceText::Cut(text) => (Some(text), true),
        DifferenceText::Binary => (None, false),
    };
    let kind = match file.kind {
        Kind::Added => "added",
        Kind::Changed => "changed",
        Kind::Removed => "removed",
    };
    ChangedFile { path: file.path, kind, added: file.added, removed: file.removed, text, cut }
}

/// Every file below a folder as a new one.
fn whole(name: &str, folder: &Path, files: &mut Vec<ChangedFile>) -> io::Result<()> {
    let mut entries: Vec<_> = fs::read_dir(folder)?.collect::<Result<_, _>>()?;
    entries.sort_by_key(fs::DirEntry::file_name);
    for entry in entries {
        let path = format!("{name}/{}", entry.file_name().to_string_lossy());
        if entry.file_type()?.is_dir() {
            whole(&path, &entry.path(), files)?;
            continue;
        }
        let small = entry.metadata()?.len() <= SHOWN_MAX;
        let text = if small { String::from_utf8(fs::read(entry.path())?).ok() } else { None };
        let added = text.as_ref().map_or(0, |text| text.lines().count());
        let text = text.map(|text| text.lines().map(|line| format!("+{line}\n")).collect());
        files.push(ChangedFile { path, kind: "added", added, removed: 0, text, cut: false });
    }
    Ok(())
}

/// What waits for the disk or a remote, on a thread of its own.
async fn blocking<T: Send + 'static>(work: impl FnOnce() -> Result<T, Fault> + Send + 'static) -> Result<T, BootError> {
    let done = tokio::task::spawn_blocking(work).await.map_err(io::Error::other)?;
    done.map_err(|fault| BootError::Refused(super::sync::sentence(&fault.to_string())))
}
