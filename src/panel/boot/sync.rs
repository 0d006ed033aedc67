//! Bringing the repositories in step, one after the other, and what came of it as data that outlives the process. Blocks; run
//! by `easel sync`, which a panel starts in a terminal. Knows no page.

use crate::config::{Boot, Repo};
use repos::{Access, Commit, Fault, Limits, Outcome, Progress, PutAside, Request, Token, Why};
use serde::{Deserialize, Serialize};
use std::{
    fs,
    io::{self, Write as _},
    ops::ControlFlow,
    path::{Path, PathBuf},
};

/// Largest report that is read.
const REPORT_MAX: u64 = 1 << 20;

/// Where a repository stands, and how it came there.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct RepoReport {
    /// Its name in the configuration.
    pub name: String,
    /// When it was last tried, ms since 1970.
    pub at: i64,
    /// The commit that it stands at; none: there is no repository yet.
    pub commit: Option<CommitView>,
    /// What came of it.
    pub came: Came,
    /// Local work that was found, and where it is kept now.
    pub put_aside: Vec<Aside>,
}

/// A commit, as people are told of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct CommitView {
    /// Its id, in 40 hexadecimal digits.
    pub id: String,
    /// The first line of its message.
    pub summary: String,
    /// The author's name.
    pub author: String,
    /// When it was committed, in seconds since 1970.
    pub time: i64,
}

/// Local work on a branch of its own.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Aside {
    /// The branch.
    pub branch: String,
    /// The files that had been edited.
    pub files: Vec<String>,
}

/// What came of a sync.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "kebab-case", tag = "what")]
pub enum Came {
    /// It is new.
    Cloned,
    /// The remote had nothing new.
    UpToDate,
    /// It went on.
    Forward {
        /// From this commit.
        from: String,
        /// By so many.
        commits: usize,
    },
    /// The remote's history was rewritten; an admin may take it.
    Rewritten {
        /// What it has now.
        offered: CommitView,
    },
    /// Somebody went back, and the remote has nothing newer.
    WentBack {
        /// The commit that was left.
        refused: CommitView,
    },
    /// A host that nobody has compared the key of; an admin may pin it.
    UnknownHost {
        /// The host.
        host: String,
        /// What it shows.
        fingerprint: String,
        /// The whole, in a sentence.
        why: String,
    },
    /// A host that shows another key than before; an admin may pin it.
    ChangedHost {
        /// The host.
        host: String,
        /// What it shows.
        fingerprint: String,
        /// The whole, in a sentence.
        why: String,
    },
    /// It failed.
    Failed {
        /// What, where and what to do, in a sentence.
        why: String,
    },
}

impl RepoReport {
    /// Why it is not as the remote has it, in a sentence; none: it is.
    pub fn behind(&self) -> Option<String> {
        match &self.came {
            Came::Cloned | Came::UpToDate | Came::Forward { .. } => None,
            Came::Rewritten { .. } => Some("The remote's history was rewritten; what is here is not part of it.".into()),
            Came::WentBack { .. } => Some("Somebody went back to this commit.".into()),
            Came::UnknownHost { why, .. } | Came::ChangedHost { why, .. } | Came::Failed { why } => Some(sentence(why)),
        }
    }
}

/// The same with a capital letter and a full stop.
pub(super) fn sentence(text: &str) -> String {
    let mut chars = text.chars();
    let first: String = chars.next().into_iter().flat_map(char::to_uppercase).collect();
    format!("{first}{}{}", chars.as_str(), if text.ends_with('.') { "" } else { "." })
}

impl From<&Commit> for CommitView {
    fn from(commit: &Commit) -> CommitView {
        let Commit { id, summary, author, time } = commit.clone();
        CommitView { id, summary, author, time }
    }
}

impl From<PutAside> for Aside {
    fn from(aside: PutAside) -> Aside {
        Aside { branch: aside.branch, files: aside.files }
    }
}

/// What is asked of the remote of `repo`.
fn request(boot: &Boot, repo: &Repo) -> Request {
    let access = Access {
        token: boot.token.as_ref().map(|token| Token::new(token.expose().to_owned())),
        ssh: Some(boot.ssh.clone()),
        authority: boot.authority.clone(),
    };
    Request {
        address: repo.address.clone(),
        branch: repo.branch.clone(),
        path: repo.path.clone(),
        access,
        limits: Limits::default(),
    }
}

/// Brings one repository in step. `progress` may break it off.
pub fn sync(boot: &Boot, repo: &Repo, at: i64, progress: &mut dyn FnMut(Progress) -> ControlFlow<()>) -> RepoReport {
    let synced = make_parent(&repo.path).and_then(|()| repos::sync(&request(boot, repo), progress));
    let (commit, came, put_aside) = match synced {
        Ok(synced) => {
            let commit = Some(synced.outcome.commit().into());
            (commit, came(synced.outcome), synced.put_aside.into_iter().map(Aside::from).collect())
        }
        Err(fault) => (None, failed(fault), Vec::new()),
    };
    RepoReport { name: repo.name.clone(), at, commit, came, put_aside }
}

fn make_parent(path: &Path) -> Result<(), Fault> {
    let Some(parent) = path.parent() else { return Ok(()) };
    fs::create_dir_all(parent).map_err(|error| Fault::Io { what: format!("making {}", parent.display()), error })
}

fn came(outcome: Outcome) -> Came {
    match outcome {
        Outcome::Cloned { .. } => Came::Cloned,
        Outcome::UpToDate { .. } => Came::UpToDate,
        Outcome::FastForwarded { from, commits, .. } => Came::Forward { from: from.id, commits },
        Outcome::Kept { why: Why::Rewritten { offered }, .. } => Came::Rewritten { offered: (&offered).into() },
        Outcome::Kept { why: Why::WentBack { refused }, .. } => Came::WentBack { refused: (&refused).into() },
        Outcome::Kept { why: Why::Failed(fault), .. } => failed(fault),
    }
}

fn failed(fault: Fault) -> Came {
    let why = fault.to_string();
    match fault {
        Fault::UnknownHost(key) => Came::UnknownHost { host: key.host, fingerprint: key.fingerprint, why },
        Fault::ChangedHost { shown, .. } => Came::ChangedHost { host: shown.host, fingerprint: shown.fingerprint, why },
        _ => Came::Failed { why },
    }
}

fn file(data: &Path) -> PathBuf {
    data.join("state").join("sync.json")
}

/// Keeps what came of a sync, whole or not at all.
///
/// # Errors
/// When the disk refuses.
pub fn keep(data: &Path, reports: &[RepoReport]) -> io::Result<()> {
    let (new, target) = (file(data).with_extension("new"), file(data));
    let mut out = fs::File::create(&new)?;
    out.write_all(&serde_json::to_vec(reports).map_err(io::Error::other)?)?;
    out.sync_all()?;
    fs::rename(new, target)
}

/// What came of the last sync; nothing where there was none, or its report cannot be read.
pub fn kept(data: &Path) -> Vec<RepoReport> {
    let whole = fs::metadata(file(data)).is_ok_and(|meta| meta.len() <= REPORT_MAX);
    let bytes = if whole { fs::read(file(data)).unwrap_or_default() } else { Vec::new() };
    serde_json::from_slice(&bytes).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_report_outlives_the_process_that_made_it() {
        let data = tempfile::tempdir().unwrap();
        fs::create_dir(data.path().join("state")).unwrap();
        assert_eq!(kept(data.path()), []);
        let commit = CommitView { id: "a".repeat(40), summary: "s".into(), author: "a".into(), time: 7 };
        let report = RepoReport {
            name: "studio".into(),
            at: 5,
            commit: Some(commit.clone()),
            came: Came::Rewritten { offered: commit },
            put_aside: vec![Aside { branch: "easel/kept-1".into(), files: vec!["a".into()] }],
        };
        keep(data.path(), std::slice::from_ref(&report)).unwrap();
        assert_eq!(kept(data.path()), [report]);
        fs::write(file(data.path()), "{").unwrap();
        assert_eq!(kept(data.path()), []);
    }

    #[test]
    fn a_fault_becomes_a_sentence() {
        assert_eq!(sentence("git.example.org cannot be reached: no route"), "Git.example.org cannot be reached: no route.");
    }
}
