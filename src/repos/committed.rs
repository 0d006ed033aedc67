//! The files of a folder as they stand in the commit that the work tree is at: read from the store of objects and not from the disk, so
//! that no edit, no link and no change that is half done is in them. Writes nothing and asks no remote.

use crate::{
    Commit, Fault, Request, library,
    repository::Local,
    tree::{self, Mode},
};
use git2::ObjectType;
use std::collections::BTreeMap;

/// A folder of the commit that a repository stands at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Committed {
    /// The commit.
    pub commit: Commit,
    /// Its files by their paths below the folder; none where the commit has no such folder. Links are left out.
    pub files: BTreeMap<String, Vec<u8>>,
}

/// What the commit has below `folder`, one name at the top, within the limits of the request on files; `None` where there is no
/// repository yet. An error where something else stands there.
pub fn committed(request: &Request, folder: &str) -> Result<Option<Committed>, Fault> {
    library::prepare()?;
    let Some(local) = Local::of(request)? else { return Ok(None) };
    // Read once: whatever moves it meanwhile, what follows is of one commit. Objects do not change.
    let head = local.head()?;
    let commit = local.commit(head)?;
    let top = local.repo.find_tree(local.tree(head)?)?;
    // A link under that name is no folder.
    let Some(entry) = top.get_name(folder).filter(|entry| entry.kind() == Some(ObjectType::Tree)) else {
        return Ok(Some(Committed { commit, files: BTreeMap::new() }));
    };
    let mut files = BTreeMap::new();
    for (path, file) in tree::examine_below(&local.repo, folder, entry.id(), &request.limits)? {
        if let (Some((_, below)), true) = (path.split_once('/'), file.mode != Mode::Link) {
            files.insert(below.to_owned(), local.repo.find_blob(file.id)?.content().to_vec());
        }
    }
    Ok(Some(Committed { commit, files }))
}

/// The commit that the repository of a request stands at; `None` where there is none yet. An error where something else stands there.
pub fn here(request: &Request) -> Result<Option<Commit>, Fault> {
    library::prepare()?;
    let Some(local) = Local::of(request)? else { return Ok(None) };
    Ok(Some(local.commit(local.head()?)?))
}
