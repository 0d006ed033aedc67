//! A repository on this disk that this crate made: opened with distrust, and its heads. Its configuration and hooks are not
//! honoured: what is asked of libgit2 here is objects and references, never the work tree.

use crate::{
    Commit, Fault, Request,
    folder::{Folder, kind},
    request::Branch,
};
use git2::{Config, Oid, Repository, RepositoryInitOptions, Sort};
use rustix::fs::FileType;
use serde::{Deserialize, Serialize};
use std::{fmt, fs, io::ErrorKind, os::unix::fs::MetadataExt, path::Path, path::PathBuf};

/// The last commit of the remote that was taken. While it is an ancestor of what the remote offers, nothing was rewritten.
const TAKEN: &str = "refs/easel/taken";
/// Our own folder inside `.git`.
const OWN: &str = "easel";
const MADE: &str = "made.json";
const WENT_BACK: &str = "went-back.json";
/// Largest note that is read, in bytes. A journal names every file.
const NOTE: u64 = 64 << 20;
/// Longest summary of a commit that is handed out, in characters.
const SUMMARY: usize = 200;

/// What a repository was made from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Made {
    pub(crate) address: String,
    pub(crate) branch: String,
}

impl Made {
    fn of(request: &Request) -> Made {
        Made { address: request.address.to_string(), branch: request.branch.as_str().to_owned() }
    }
}

impl fmt::Display for Made {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} (branch {})", self.address, self.branch)
    }
}

/// The commit that somebody went back from.
#[derive(Debug, Serialize, Deserialize)]
struct WentBack {
    refused: String,
}

/// See the file's first line.
pub(crate) struct Local {
    pub(crate) repo: Repository,
    /// The work tree.
    pub(crate) root: Folder,
    /// `.git/easel`.
    pub(crate) own: Folder,
    pub(crate) path: PathBuf,
    pub(crate) branch: Branch,
    pub(crate) made: Made,
}

impl Local {
    /// Opens what stands under a path; `None` where nothing or an empty folder does.
    pub(crate) fn open(path: &Path) -> Result<Option<Local>, Fault> {
        let not_ours = |found: &str| Err(Fault::NotOurs { path: path.to_owned(), found: found.to_owned() });
        let io = |e| Fault::io(format!("opening {}", path.display()), e);
        match fs::symlink_metadata(path) {
            Err(e) if e.kind() == ErrorKind::NotFound => return Ok(None),
            Err(e) => return Err(io(e)),
            Ok(meta) if !meta.is_dir() => return not_ours("it is no folder"),
            Ok(_) => {}
        }
        let root = Folder::open(path).map_err(io)?;
        match root.stat(".git").map_err(io)? {
            None if fs::read_dir(path).map_err(io)?.next().is_none() => return Ok(None),
            None => return not_ours("it has files and no .git"),
            Some(stat) if kind(&stat) != FileType::Directory => return not_ours("its .git is no folder"),
            Some(stat) if !may_own(path, stat.st_uid) => return not_ours("its .git belongs to another user"),
            Some(_) => {}
        }
        // Files by which git finds objects and references elsewhere.
        for name in [".git/commondir", ".git/objects/info/alternates"] {
            if root.stat(name).map_err(io)?.is_some() {
                return not_ours("it shares its objects with another repository");
            }
        }
        let Ok(own) = root.below(".git").and_then(|git| git.below(OWN)) else {
            return not_ours("it was cloned by somebody else");
        };
        let Some(made) = note::<Made>(&own, MADE)? else { return not_ours("it was cloned by somebody else") };
        let Some(branch) = Branch::parse(&made.branch) else { return not_ours("its note names no branch") };
        let repo = Repository::open_bare(path.join(".git"))?;
        repo.set_config(&Config::new()?)?;
        Ok(Some(Local { repo, root, own, path: path.to_owned(), branch, made }))
    }

    /// Opens the repository of a request; `None` where there is none yet. One that was made from something else is an error.
    pub(crate) fn of(request: &Request) -> Result<Option<Local>, Fault> {
        let Some(local) = Local::open(&request.path)? else { return Ok(None) };
        let wanted = Made::of(request);
        if local.made != wanted {
            return Err(Fault::OtherOrigin { path: local.path, has: local.made.to_string(), wanted: wanted.to_string() });
        }
        Ok(Some(local))
    }

    /// Makes an empty repository in a folder that does not exist yet.
    pub(crate) fn make(path: &Path, request: &Request) -> Result<Local, Fault> {
        let made = Made::of(request);
        let mut options = RepositoryInitOptions::new();
        options.external_template(false).no_reinit(true).initial_head(&made.branch);
        let repo = Repository::init_opts(path, &options)?;
        // For people who look at it with git; nothing here reads it.
        let mut config = repo.config()?;
        config.set_str("remote.origin.url", &made.address)?;
        config.set_str("remote.origin.fetch", "+refs/heads/*:refs/remotes/origin/*")?;
        config.set_str(&format!("branch.{}.remote", made.branch), "origin")?;
        config.set_str(&format!("branch.{}.merge", made.branch), &request.branch.head())?;
        let io = |e| Fault::io(format!("writing into {}", path.display()), e);
        let root = Folder::open(path).map_err(io)?;
        let own = root.below(".git").and_then(|git| git.make(OWN)).map_err(io)?;
        write_note(&own, MADE, &made)?;
        // Opened anew, without the configuration.
        drop(repo);
        let Some(local) = Local::open(path)? else {
            return Err(Fault::Git("the new repository is not there".to_owned()));
        };
        Ok(local)
    }

    /// The commit that the work tree stands at.
    pub(crate) fn head(&self) -> Result<Oid, Fault> {
        let head = self.repo.head().or_else(|_| self.repo.find_reference(&self.branch.head()))?;
        Ok(head.peel_to_commit()?.id())
    }

    /// Where the branch itself stands, when somebody has checked out something else.
    pub(crate) fn branch_head(&self) -> Option<Oid> {
        self.repo.find_reference(&self.branch.head()).ok()?.target()
    }

    pub(crate) fn taken(&self) -> Option<Oid> {
        self.repo.find_reference(TAKEN).ok()?.target()
    }

    pub(crate) fn take(&self, commit: Oid) -> Result<(), Fault> {
        self.repo.reference(TAKEN, commit, true, "taken")?;
        Ok(())
    }

    /// What the remote had when it was last asked.
    pub(crate) fn offered(&self) -> Option<Oid> {
        self.repo.find_reference(&self.branch.offered()).ok()?.target()
    }

    /// The commit that somebody went back from.
    pub(crate) fn refused(&self) -> Result<Option<Oid>, Fault> {
        let note = note::<WentBack>(&self.own, WENT_BACK)?;
        Ok(note.and_then(|note| Oid::from_str(&note.refused).ok()))
    }

    /// Remembers the commit that is gone back from, or forgets it.
    pub(crate) fn refuse(&self, commit: Option<Oid>) -> Result<(), Fault> {
        match commit {
            Some(commit) => write_note(&self.own, WENT_BACK, &WentBack { refused: commit.to_string() }),
            None => forget(&self.own, WENT_BACK),
        }
    }

    /// Whether all of a commit's history is in that of another; also when both are the same.
    pub(crate) fn contains(&self, newer: Oid, older: Oid) -> Result<bool, Fault> {
        Ok(newer == older || self.repo.graph_descendant_of(newer, older)?)
    }

    /// How many commits `head` has that none of the others has.
    pub(crate) fn ahead(&self, head: Oid, of: &[Oid]) -> Result<usize, Fault> {
        let mut walk = self.repo.revwalk()?;
        walk.set_sorting(Sort::NONE)?;
        walk.push(head)?;
        for other in of {
            walk.hide(*other)?;
        }
        Ok(walk.count())
    }

    /// The tree of a commit.
    pub(crate) fn tree(&self, commit: Oid) -> Result<Oid, Fault> {
        Ok(self.repo.find_commit(commit)?.tree_id())
    }

    /// A commit as people are told of it.
    pub(crate) fn commit(&self, id: Oid) -> Result<Commit, Fault> {
        let commit = self.repo.find_commit(id)?;
        let message = String::from_utf8_lossy(commit.message_bytes()).into_owned();
        let summary = message.trim().lines().next().unwrap_or_default();
        let author = String::from_utf8_lossy(commit.author().name_bytes()).into_owned();
        let clean = |text: &str| text.chars().filter(|c| !c.is_control()).take(SUMMARY).collect();
        Ok(Commit { id: id.to_string(), summary: clean(summary), author: clean(&author), time: commit.time().seconds() })
    }
}

/// Whether a `.git` of this owner is believed: he is us, or whoever owns the folder that the repository stands in. Volumes that
/// map users show one owner everywhere, while somebody who cannot write into the parent cannot plant a repository there.
fn may_own(path: &Path, owner: u32) -> bool {
    let parent = path.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
    owner == rustix::process::geteuid().as_raw() || fs::metadata(parent).is_ok_and(|meta| meta.uid() == owner)
}

/// Reads a note of ours. One that is there and makes no sense is an error: it was written whole.
pub(crate) fn note<T: serde::de::DeserializeOwned>(own: &Folder, name: &str) -> Result<Option<T>, Fault> {
    match own.read(name, NOTE) {
        Ok(bytes) => {
            serde_json::from_slice(&bytes).map(Some).map_err(|e| Fault::Git(format!(".git/easel/{name} cannot be read: {e}")))
        }
        Err(e) if e.kind() == ErrorKind::NotFound => Ok(None),
        Err(e) => Err(Fault::io(format!("reading .git/easel/{name}"), e)),
    }
}

pub(crate) fn write_note<T: Serialize>(own: &Folder, name: &str, value: &T) -> Result<(), Fault> {
    let text = serde_json::to_vec(value).map_err(|e| Fault::Git(format!(".git/easel/{name}: {e}")))?;
    own.replace(name, &text).map_err(|e| Fault::io(format!("writing .git/easel/{name}"), e))
}

pub(crate) fn forget(own: &Folder, name: &str) -> Result<(), Fault> {
    own.remove(name).and_then(|()| own.sync()).map_err(|e| Fault::io(format!("removing .git/easel/{name}"), e))
}
