//! One sync, from the lock to the outcome: a first clone, or a step forward. Everything that goes wrong with a repository that is there
//! ends in its last good commit.

use crate::{
    Fault, Outcome, Progress, Request, Synced, Why,
    decide::{Heads, Step, decide},
    diff,
    folder::Folder,
    library,
    lock::Lock,
    place, point, remote,
    repository::Local,
    switch, tree,
    watch::{self, Watch},
};
use git2::Oid;
use std::{fs, io::ErrorKind, ops::ControlFlow, path::Path};

/// Brings a repository in step with its remote. Blocks: call it on a thread of its own. `progress` is told how far it is ten times a
/// second; breaking cancels within a second, until files take their places.
///
/// An error means that there is no repository to use, or that the folder holds something else. Whatever else goes wrong is
/// [`Outcome::Kept`], with the last good commit in place.
pub fn sync(request: &Request, progress: &mut dyn FnMut(Progress) -> ControlFlow<()>) -> Result<Synced, Fault> {
    library::prepare()?;
    let _lock = Lock::take(&request.path)?;
    watch::run(request.address.host(), request.limits, progress, |watch| match Local::of(request)? {
        None => first(request, watch),
        Some(local) => later(&local, request, watch),
    })
}

/// The first clone is made beside, under a name that no repository has, and gets its own name when it is whole.
fn first(request: &Request, watch: &Watch) -> Result<Synced, Fault> {
    let (parent, name) = place(&request.path)?;
    let folder = Folder::open(parent).map_err(|e| Fault::io(format!("opening {}", parent.display()), e))?;
    let prefix = format!(".{name}.clone-");
    sweep(parent, &folder, &prefix)?;
    let beside = format!("{prefix}{}", crate::random());
    let result = clone(request, &parent.join(&beside), watch).and_then(|outcome| {
        point();
        // An empty folder gives way. One with something in it does not, and neither does a repository.
        match fs::remove_dir(&request.path) {
            Err(e) if e.kind() != ErrorKind::NotFound => {
                return Err(Fault::io(format!("replacing {}", request.path.display()), e));
            }
            _ => {}
        }
        let renamed = folder.rename(&beside, &folder, name).and_then(|()| folder.sync());
        renamed.map_err(|e| Fault::io(format!("giving {} its name", request.path.display()), e))?;
        Ok(outcome)
    });
    if result.is_err() {
        let _ = folder.remove_all(&beside);
    }
    result
}

/// Removes what killed clones of this very folder left. Whoever holds the lock knows that none is alive.
fn sweep(parent: &Path, folder: &Folder, prefix: &str) -> Result<(), Fault> {
    let io = |e| Fault::io("removing what a cut off clone left", e);
    for entry in fs::read_dir(parent).map_err(io)? {
        let name = entry.map_err(io)?.file_name();
        let Some(name) = name.to_str() else { continue };
        let random = name.strip_prefix(prefix);
        if random.is_some_and(|random| random.len() == crate::RANDOM && random.bytes().all(|b| b.is_ascii_hexdigit())) {
            folder.remove_all(name).map_err(io)?;
        }
    }
    Ok(())
}

fn clone(request: &Request, beside: &Path, watch: &Watch) -> Result<Synced, Fault> {
    let local = Local::make(beside, request)?;
    point();
    let offered = remote::fetch(&local.repo, request, watch)?;
    point();
    tree::examine(&local.repo, local.tree(offered)?, &request.limits)?;
    local.take(offered)?;
    switch::from(&local, &tree::Files::new(), offered, &[], watch)?;
    Ok(Synced { outcome: Outcome::Cloned { commit: local.commit(offered)? }, put_aside: Vec::new(), repaired: false })
}

fn later(local: &Local, request: &Request, watch: &Watch) -> Result<Synced, Fault> {
    let mut repaired = false;
    let synced = switch::repair(local, watch).and_then(|was| {
        repaired = was;
        step(local, request, watch)
    });
    let mut synced = match synced {
        Ok(synced) => synced,
        Err(fault) => {
            let outcome = Outcome::Kept { commit: local.commit(local.head()?)?, why: Why::Failed(fault) };
            Synced { outcome, put_aside: Vec::new(), repaired: false }
        }
    };
    synced.repaired = repaired;
    Ok(synced)
}

fn step(local: &Local, request: &Request, watch: &Watch) -> Result<Synced, Fault> {
    let offered = remote::fetch(&local.repo, request, watch)?;
    let head = local.head()?;
    let heads = Heads { taken: local.taken(), offered, head, refused: local.refused()? };
    let commit = local.commit(head)?;
    let outcome = match decide(heads, |newer, older| local.contains(newer, older))? {
        Step::Forward => {
            tree::examine(&local.repo, local.tree(offered)?, &request.limits)?;
            return forward(local, head, offered, &[offered], watch);
        }
        Step::Stay => {
            local.take(offered)?;
            Outcome::UpToDate { commit }
        }
        Step::Rewritten => Outcome::Kept { commit, why: Why::Rewritten { offered: local.commit(offered)? } },
        Step::WentBack(refused) => Outcome::Kept { commit, why: Why::WentBack { refused: local.commit(refused)? } },
    };
    Ok(Synced { outcome, put_aside: Vec::new(), repaired: false })
}

/// Goes on to a commit of the remote. What is in none of `safe` is kept.
pub(crate) fn forward(local: &Local, from: Oid, to: Oid, safe: &[Oid], watch: &Watch) -> Result<Synced, Fault> {
    let put_aside = switch::switch(local, to, safe, watch)?;
    // Only now: until the work tree has gone on, the old one is what was taken.
    local.take(to)?;
    local.refuse(None)?;
    let outcome = Outcome::FastForwarded {
        from: local.commit(from)?,
        to: local.commit(to)?,
        commits: local.ahead(to, &[from])?,
        changed: diff::changes(local, from, to)?,
    };
    Ok(Synced { outcome, put_aside, repaired: false })
}
