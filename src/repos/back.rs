//! What an admin does about a repository by a click: look how it stands, go back to an earlier commit, take a rewritten history.
//! Asks no remote.

use crate::{
    Commit, Fault, Limits, Progress, PutAside, Synced, keep, library,
    lock::Lock,
    repository::Local,
    switch, sync, tree,
    watch::{self, Watch},
};
use git2::Oid;
use std::{ops::ControlFlow, path::Path};

/// How a repository stands, without asking the remote.
#[derive(Clone, Debug)]
pub struct Standing {
    /// Where it comes from.
    pub address: String,
    /// The branch that is followed.
    pub branch: String,
    /// The commit that the work tree stands at.
    pub commit: Commit,
    /// What the remote had when it was last asked, if that was not taken.
    pub offered: Option<Commit>,
    /// The commit that somebody went back from.
    pub refused: Option<Commit>,
    /// Branches that hold what was put aside, newest first.
    pub kept: Vec<String>,
    /// A change was cut off: the next sync finishes it.
    pub unfinished: bool,
}

/// How a repository stands; `None` where there is none yet. An error where something else stands there.
pub fn standing(path: &Path) -> Result<Option<Standing>, Fault> {
    library::prepare()?;
    let Some(local) = Local::open(path)? else { return Ok(None) };
    let (head, taken) = (local.head()?, local.taken());
    let offered = local.offered().filter(|offered| Some(*offered) != taken);
    Ok(Some(Standing {
        address: local.made.address.clone(),
        branch: local.made.branch.clone(),
        commit: local.commit(head)?,
        offered: offered.map(|id| local.commit(id)).transpose()?,
        refused: local.refused()?.map(|id| local.commit(id)).transpose()?,
        kept: keep::branches(&local)?,
        unfinished: switch::unfinished(&local)?,
    }))
}

/// What going to another commit did.
#[derive(Debug)]
pub struct Moved {
    /// The commit that the work tree stands at.
    pub commit: Commit,
    /// Local work that was found, and where it is now.
    pub put_aside: Vec<PutAside>,
}

/// Goes to a commit of the branch's history: back to one that worked, or forward again to one that was left. After going back,
/// syncs stay there until the remote has something newer than what was left.
pub fn check_out(path: &Path, commit: &str, progress: &mut dyn FnMut(Progress) -> ControlFlow<()>) -> Result<Moved, Fault> {
    change(path, progress, |local, watch| {
        let to = parse(local, commit)?;
        let Some(taken) = local.taken() else { return Err(Fault::NoCommit(commit.to_owned())) };
        if !local.contains(taken, to)? {
            return Err(Fault::NoCommit(commit.to_owned()));
        }
        tree::examine(&local.repo, local.tree(to)?, &Limits::default())?;
        // Noted before anything moves: one that was killed on the way must not go forward again.
        local.refuse((to != taken).then_some(taken))?;
        let put_aside = switch::switch(local, to, &[taken], watch)?;
        Ok(Moved { commit: local.commit(to)?, put_aside })
    })
}

/// Takes the history that a remote has rewritten, up to the very commit that the admin was shown. The old one gets a side branch.
pub fn accept_rewritten(
    path: &Path,
    commit: &str,
    progress: &mut dyn FnMut(Progress) -> ControlFlow<()>,
) -> Result<Synced, Fault> {
    change(path, progress, |local, watch| {
        let to = parse(local, commit)?;
        if local.offered() != Some(to) {
            return Err(Fault::NoCommit(commit.to_owned()));
        }
        tree::examine(&local.repo, local.tree(to)?, &Limits::default())?;
        sync::forward(local, local.head()?, to, &[to], watch)
    })
}

fn parse(local: &Local, commit: &str) -> Result<Oid, Fault> {
    let id = Some(commit).filter(|text| text.len() == 40).and_then(|text| Oid::from_str(text).ok());
    id.filter(|id| local.repo.find_commit(*id).is_ok()).ok_or_else(|| Fault::NoCommit(commit.chars().take(60).collect()))
}

/// Runs a change of a repository that is there, after what was cut off is finished.
fn change<T: Send>(
    path: &Path,
    progress: &mut dyn FnMut(Progress) -> ControlFlow<()>,
    work: impl FnOnce(&Local, &Watch) -> Result<T, Fault> + Send,
) -> Result<T, Fault> {
    library::prepare()?;
    let _lock = Lock::take(path)?;
    watch::run("", Limits::default(), progress, |watch| {
        let local = Local::open(path)?;
        let local = local.ok_or_else(|| Fault::NotOurs { path: path.to_owned(), found: "there is no repository".to_owned() })?;
        switch::repair(&local, watch)?;
        work(&local, watch)
    })
}
