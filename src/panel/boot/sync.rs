//! Work on repositories: bringing one in step, going to another commit of it, taking a history that was rewritten; and what came of it
//! as data. Blocks; run by `easel sync`, which a panel starts in a terminal. Knows no page.

use crate::config::{Boot, Repo};
use repos::{Access, Commit, Committed, Fault, Limits, Outcome, Progress, PutAside, Request, Token, Why};
use serde::{Deserialize, Serialize};
use std::{fmt, fs, ops::ControlFlow, path::Path};

/// Most edited files that a report names.
const NAMED_MAX: usize = 100;
/// The folder of tools in the studio's repository.
const SETUP: &str = "setup";
/// What a folder of tools may hold: files, bytes of one, bytes of all.
const SETUP_MAX: (usize, u64, u64) = (2_000, 4 << 20, 32 << 20);

/// What is done with repositories.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Work {
    /// All of them come in step.
    All,
    /// One goes to a commit of its history.
    GoTo {
        /// Its name in the configuration.
        repo: String,
        /// The commit's id, in 40 hexadecimal digits.
        commit: String,
    },
    /// One takes the history that its remote has rewritten.
    Take {
        /// Its name in the configuration.
        repo: String,
        /// Up to this commit.
        commit: String,
    },
}

impl Work {
    /// The repository that it is about; none: all.
    pub fn repo(&self) -> Option<&str> {
        match self {
            Work::All => None,
            Work::GoTo { repo, .. } | Work::Take { repo, .. } => Some(repo),
        }
    }

    /// Whether a repository stands as it was wanted. One that was to go back has, while a sync has left it behind.
    pub fn is_done(&self, report: &RepoReport) -> bool {
        let went_back = matches!((self, &report.came), (Work::GoTo { .. }, Came::WentBack { .. }));
        went_back || report.behind().is_none()
    }
}

impl fmt::Display for Work {
    /// As a deed of whoever wants it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Work::All => f.write_str("sync the repositories"),
            Work::GoTo { repo, commit } => write!(f, "go to commit {commit} of {repo}"),
            Work::Take { repo, commit } => write!(f, "take the rewritten history of {repo} at {commit}"),
        }
    }
}

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
    /// The files that had been edited, at most a hundred.
    pub files: Vec<String>,
    /// How many more there are.
    #[serde(default)]
    pub more: usize,
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
        let mut files = aside.files;
        let more = files.len().saturating_sub(NAMED_MAX);
        files.truncate(NAMED_MAX);
        Aside { branch: aside.branch, files, more }
    }
}

/// What is asked of the remote of `repo`. The token is the studio's repository's, and goes to its host alone.
fn request(boot: &Boot, repo: &Repo) -> Request {
    let place = |repo: &Repo| (repo.address.host().to_owned(), repo.address.port());
    let token = boot.token.as_ref().filter(|_| boot.studio().is_some_and(|studio| place(studio) == place(repo)));
    let access = Access {
        token: token.map(|token| Token::new(token.expose().to_owned())),
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

/// The commit that a repository stands at; `None` where it is not there yet. An error where something else is, or it cannot be read.
pub(super) fn here(boot: &Boot, repo: &Repo) -> Result<Option<Commit>, Fault> {
    repos::here(&request(boot, repo))
}

/// The folder of tools as a repository has it.
pub(super) fn setup_of(boot: &Boot, repo: &Repo) -> Result<Option<Committed>, Fault> {
    let (files, file, tree) = SETUP_MAX;
    let limits = Limits { files, file, tree, ..Limits::default() };
    repos::committed(&Request { limits, ..request(boot, repo) }, SETUP)
}

/// Brings one repository in step. `progress` may break it off.
pub fn sync(boot: &Boot, repo: &Repo, at: i64, progress: &mut dyn FnMut(Progress) -> ControlFlow<()>) -> RepoReport {
    let synced = make_parent(&repo.path).and_then(|()| repos::sync(&request(boot, repo), progress));
    let came = |synced: repos::Synced| {
        let commit = Some(synced.outcome.commit().into());
        (commit, came(synced.outcome), synced.put_aside.into_iter().map(Aside::from).collect())
    };
    report(boot, repo, at, synced.map(came))
}

/// Goes to a commit of a repository's history: back to one that worked, or forward to one that was left.
pub fn go_to(
    boot: &Boot,
    repo: &Repo,
    commit: &str,
    at: i64,
    progress: &mut dyn FnMut(Progress) -> ControlFlow<()>,
) -> RepoReport {
    let moved = here(boot, repo).and_then(|_| {
        let moved = repos::check_out(&repo.path, commit, progress)?;
        let refused = repos::standing(&repo.path)?.and_then(|standing| standing.refused);
        let came = match refused {
            Some(refused) => Came::WentBack { refused: (&refused).into() },
            None => Came::UpToDate,
        };
        Ok((Some((&moved.commit).into()), came, moved.put_aside.into_iter().map(Aside::from).collect()))
    });
    report(boot, repo, at, moved)
}

/// Takes the history that a repository's remote has rewritten, up to this very commit.
pub fn take(
    boot: &Boot,
    repo: &Repo,
    commit: &str,
    at: i64,
    progress: &mut dyn FnMut(Progress) -> ControlFlow<()>,
) -> RepoReport {
    let taken = here(boot, repo).and_then(|_| {
        let synced = repos::accept_rewritten(&repo.path, commit, progress)?;
        let commit = Some(synced.outcome.commit().into());
        Ok((commit, Came::UpToDate, synced.put_aside.into_iter().map(Aside::from).collect()))
    });
    report(boot, repo, at, taken)
}

/// What came of it. Where it failed, what is there is told all the same: it runs on.
fn report(boot: &Boot, repo: &Repo, at: i64, done: Result<(Option<CommitView>, Came, Vec<Aside>), Fault>) -> RepoReport {
    let (commit, came, put_aside) = match done {
        Ok(done) => done,
        Err(fault) => (standing_at(boot, repo), failed(fault), Vec::new()),
    };
    RepoReport { name: repo.name.clone(), at, commit, came, put_aside }
}

fn standing_at(boot: &Boot, repo: &Repo) -> Option<CommitView> {
    here(boot, repo).ok().flatten().as_ref().map(CommitView::from)
}

/// The report of a repository that was not got to.
pub fn left_out(boot: &Boot, repo: &Repo, at: i64, why: String) -> RepoReport {
    let commit = standing_at(boot, repo);
    RepoReport { name: repo.name.clone(), at, commit, came: Came::Failed { why }, put_aside: Vec::new() }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_token_goes_to_the_host_of_the_studios_repository_alone() {
        let repo = |name: &str, url: &str| Repo {
            name: name.into(),
            address: repos::Address::parse(url).unwrap(),
            branch: repos::Branch::parse("main").unwrap(),
            path: name.into(),
            required: false,
        };
        let studio = repo("studio", "https://git.example.org/me/studio.git");
        let others = [
            ("https://git.example.org/me/nodes.git", true),
            ("https://elsewhere.example.org/me/nodes.git", false),
            ("https://git.example.org:8443/me/nodes.git", false),
        ];
        let token = Some(crate::secrets::Secret::new("secret"));
        let boot = Boot { repos: vec![studio.clone()], token: token.clone(), ..Boot::default() };
        assert!(request(&boot, &studio).access.token.is_some());
        for (url, gets) in others {
            assert_eq!(request(&boot, &repo("nodes", url)).access.token.is_some(), gets, "{url}");
        }
        let without = Boot { token, ..Boot::default() };
        assert!(request(&without, &repo("nodes", others[0].0)).access.token.is_none(), "there is no studio's repository");
    }

    #[test]
    fn a_report_names_a_hundred_files_and_counts_the_rest() {
        let files = (0..20_000).map(|n| format!("file{n}")).collect();
        let aside = Aside::from(PutAside { branch: "easel/kept-1".into(), files, commits: 1 });
        assert_eq!((aside.files.len(), aside.more), (100, 19_900));
    }

    #[test]
    fn a_fault_becomes_a_sentence() {
        assert_eq!(sentence("git.example.org cannot be reached: no route"), "Git.example.org cannot be reached: no route.");
    }
}
