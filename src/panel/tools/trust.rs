//! Whether a tool's scripts may run: those that a repository changed wait until an admin has seen them. Knows no git.

use super::{Fingerprint, ToolError, ToolFolder, ToolId, Tools, shelf::Origin, stand::Viewer};
use crate::store::sessions as table;
use std::{collections::BTreeMap, sync::PoisonError};

/// The scripts of a tool that an admin has let run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Accepted {
    /// What they were.
    pub fingerprint: Fingerprint,
    /// The commit of the repository that they came with.
    pub commit: String,
}

/// Scripts of a tool that no admin has seen yet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unseen {
    /// What they are.
    pub fingerprint: Fingerprint,
    /// The commit that they came with.
    pub commit: String,
    /// The commit of the scripts that were let run before; none: none ever were.
    pub before: Option<String>,
}

/// What of a tool's scripts nobody has seen, if they come from somewhere that changes by itself.
pub(super) fn unseen(origin: &Origin, accepted: &BTreeMap<String, Accepted>, id: &ToolId) -> Option<Unseen> {
    let Origin::Repository { commit, fingerprints } = origin else { return None };
    let fingerprint = fingerprints.get(id)?;
    let before = accepted.get(id.as_str());
    let same = before.is_some_and(|before| before.fingerprint == *fingerprint);
    let before = before.map(|before| before.commit.clone());
    (!same).then(|| Unseen { fingerprint: fingerprint.clone(), commit: commit.clone(), before })
}

impl Tools {
    /// Reads what was let run.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub async fn read_accepted(&self) -> Result<(), ToolError> {
        let all = self.0.parts.store.read(|c| table::accepted(c)).await?;
        *self.0.accepted.lock().unwrap_or_else(PoisonError::into_inner) = all;
        Ok(())
    }

    /// What of a tool's scripts no admin has seen.
    pub(super) fn unseen(&self, folder: &ToolFolder) -> Option<Unseen> {
        let shelf = self.shelf();
        // A tool that began before the repository moved goes on with what it began with.
        let current = shelf.catalogue.get(&folder.spec.id).is_some_and(|now| now.path == folder.path);
        let accepted = self.0.accepted.lock().unwrap_or_else(PoisonError::into_inner);
        if current { unseen(&shelf.origin, &accepted, &folder.spec.id) } else { None }
    }

    /// An admin has seen the scripts of a tool, as this fingerprint says, and lets them run.
    ///
    /// # Errors
    /// When `viewer` may not, they have changed since, or the store refuses.
    pub async fn accept(&self, id: &ToolId, fingerprint: &str, viewer: Viewer<'_>) -> Result<(), ToolError> {
        let folder = self.folder(id)?;
        if !viewer.admin {
            return Err(ToolError::Forbidden("Only an admin in admin mode lets changed scripts run.".into()));
        }
        let Some(unseen) = self.unseen(&folder) else { return Ok(()) };
        if unseen.fingerprint != fingerprint {
            return Err(ToolError::Refused("The scripts have changed again since you looked. Look once more.".into()));
        }
        let (row, now) = (id.as_str().to_owned(), Accepted { fingerprint: unseen.fingerprint, commit: unseen.commit });
        let kept = now.clone();
        self.0.parts.store.run(move |c| table::accept(c, &row, &kept)).await?;
        self.0.accepted.lock().unwrap_or_else(PoisonError::into_inner).insert(id.as_str().to_owned(), now);
        self.tell();
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(text: &str) -> ToolId {
        ToolId::parse(text).unwrap()
    }

    #[test]
    fn only_what_a_repository_changed_waits_for_an_admin() {
        let one = |fingerprint: &str| Origin::Repository {
            commit: "c2".into(),
            fingerprints: BTreeMap::from([(id("comfy"), fingerprint.to_owned())]),
        };
        let comfy = id("comfy");
        let none = BTreeMap::new();
        let seen = BTreeMap::from([("comfy".to_owned(), Accepted { fingerprint: "a".into(), commit: "c1".into() })]);
        assert_eq!(unseen(&Origin::Own, &none, &comfy), None);
        assert_eq!(unseen(&one("a"), &seen, &comfy), None);
        assert_eq!(unseen(&one("b"), &seen, &comfy).unwrap().before.as_deref(), Some("c1"));
        assert_eq!(unseen(&one("a"), &none, &comfy).unwrap().before, None);
    }
}
