//! Local work is kept: edits become a commit, and commits that the remote does not have get a branch, before anything takes their place.

use crate::{
    Fault, PutAside, index,
    repository::Local,
    survey::Found,
    tree::{Entry, Files},
};
use git2::{Index, Oid, Signature};
use std::collections::BTreeMap;

/// How the branches are named that hold what was put aside. The time follows, in UTC.
pub(crate) const PREFIX: &str = "easel/kept-";

/// Who commits edits that have no author.
const NAME: &str = "Easel";
const MAIL: &str = "easel@localhost";

/// Keeps what would be lost by leaving the present head: edits of files, against what `expected` says should stand there, and
/// commits that are in none of `safe`.
pub(crate) fn keep(local: &Local, expected: &Files, edits: &[Found], safe: &[Oid]) -> Result<Vec<PutAside>, Fault> {
    let head = local.head()?;
    let mut kept = Vec::new();
    let ahead = local.ahead(head, safe)?;
    if !edits.is_empty() {
        let tip = commit(local, head, expected, edits)?;
        let files = edits.iter().map(|edit| edit.path.clone()).collect();
        kept.push(PutAside { branch: branch(local, tip)?, files, commits: ahead + 1 });
    } else if ahead > 0 {
        kept.push(PutAside { branch: branch(local, head)?, files: Vec::new(), commits: ahead });
    }
    // Somebody works on another branch, while the followed one has commits of his as well.
    if let Some(other) = local.branch_head().filter(|other| *other != head) {
        let safe: Vec<Oid> = safe.iter().copied().chain([head]).collect();
        let ahead = local.ahead(other, &safe)?;
        if ahead > 0 {
            kept.push(PutAside { branch: branch(local, other)?, files: Vec::new(), commits: ahead });
        }
    }
    Ok(kept)
}

/// Commits edits on top of the head, touching neither the index nor any branch.
fn commit(local: &Local, head: Oid, expected: &Files, edits: &[Found]) -> Result<Oid, Fault> {
    let mut files: BTreeMap<&str, Entry> = expected.iter().map(|(path, entry)| (path.as_str(), *entry)).collect();
    for edit in edits {
        match edit.now {
            Some(entry) => _ = files.insert(&edit.path, entry),
            None => _ = files.remove(edit.path.as_str()),
        }
    }
    let mut index = Index::new()?;
    for (path, entry) in files {
        index.add(&index::entry(path, &entry, None))?;
    }
    let tree = local.repo.find_tree(index.write_tree_to(&local.repo)?)?;
    let parent = local.repo.find_commit(head)?;
    let who = Signature::now(NAME, MAIL)?;
    let message = "Keep local edits\n\nThese files were edited in place. They were put aside when another version was taken.\n";
    Ok(local.repo.commit(None, &who, &who, message, &tree, &[&parent])?)
}

/// Gives a commit a branch with a name of its own.
fn branch(local: &Local, tip: Oid) -> Result<String, Fault> {
    let time = jiff::Timestamp::now().strftime("%Y%m%dT%H%M%SZ");
    let mut last = None;
    for n in 1..100 {
        let name = if n == 1 { format!("{PREFIX}{time}") } else { format!("{PREFIX}{time}-{n}") };
        match local.repo.reference(&format!("refs/heads/{name}"), tip, false, "kept") {
            Ok(_) => return Ok(name),
            Err(e) if e.code() == git2::ErrorCode::Exists => last = Some(e),
            Err(e) => return Err(e.into()),
        }
    }
    Err(last.map_or_else(|| Fault::Git("no name is free for a branch".to_owned()), Fault::from))
}

/// The branches that hold what was put aside, newest first.
pub(crate) fn branches(local: &Local) -> Result<Vec<String>, Fault> {
    let mut names = Vec::new();
    for reference in local.repo.references_glob(&format!("refs/heads/{PREFIX}*"))? {
        if let Ok(Some(name)) = reference.as_ref().map(|r| r.shorthand().ok()) {
            names.push(name.to_owned());
        }
    }
    names.sort_unstable_by(|a, b| b.cmp(a));
    Ok(names)
}
