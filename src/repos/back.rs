//! What an admin does about a repository by a click: look how it stands, go back to an earlier commit, take a rewritten history.
//! Asks no remote.

use crate::{
    Commit, Fault, Limits, Progress, PutAside, Synced,
    diff::there,
    keep, library,
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
        let (to, taken) = of_history(local, commit)?;
        tree::examine(&local.repo, local.tree(to)?, &Limits::default())?;
        // Back: noted before anything moves, and forward: forgotten after all has. One that is broken off on the way must not be taken
        // on by the next sync.
        if to != taken {
            local.refuse(Some(taken))?;
        }
        let put_aside = switch::switch(local, to, &[taken], watch)?;
        if to == taken {
            local.refuse(None)?;
        }
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
        let to = offered(local, commit)?;
        tree::examine(&local.repo, local.tree(to)?, &Limits::default())?;
        sync::forward(local, local.head()?, to, &[to], watch)
    })
}

/// Whether [`check_out`] can go to this commit.
pub fn can_check_out(path: &Path, commit: &str) -> Result<(), Fault> {
    of_history(&there(path)?, commit).map(drop)
}

/// Whether [`accept_rewritten`] can take this commit.
pub fn can_accept(path: &Path, commit: &str) -> Result<(), Fault> {
    offered(&there(path)?, commit).map(drop)
}

/// A commit of the branch's history, and the newest one of it that was taken.
fn of_history(local: &Local, commit: &str) -> Result<(Oid, Oid), Fault> {
    let none = || Fault::NoCommit(commit.to_owned());
    let (to, taken) = (parse(local, commit)?, local.taken().ok_or_else(none)?);
    if local.contains(taken, to)? { Ok((to, taken)) } else { Err(none()) }
}

/// The commit that the remote had when it was last asked.
fn offered(local: &Local, commit: &str) -> Result<Oid, Fault> {
    let to = parse(local, commit)?;
    if local.offered() == Some(to) { Ok(to) } else { Err(Fault::NoCommit(commit.to_owned())) }
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
        let local = there(path)?;
        switch::repair(&local, watch)?;
        work(&local, watch)
    })
}
