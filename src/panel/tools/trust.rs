//! Whether a tool's scripts may run: those that a repository changed wait until an admin has seen them. Knows no git.

use super::{
    Fingerprint, ToolError, ToolFolder, ToolId, Tools, Version,
    stand::Viewer,
    versions::{self, Files},
};
use crate::store::sessions as table;
use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
    sync::PoisonError,
};

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
    /// What they are, and the commit that they came with.
    pub version: Version,
    /// The scripts that were let run before; none: none ever were.
    pub before: Option<Accepted>,
}

impl Unseen {
    /// The files of these scripts as they are run, and of those that were let run before, where they are still here. Blocks.
    pub fn files(&self, data: &Path) -> Option<(Files, Option<Files>)> {
        let before = self.before.as_ref().and_then(|before| versions::files_of(data, &before.fingerprint));
        Some((versions::files_of(data, &self.version.fingerprint)?, before))
    }
}

/// What of these scripts nobody has seen, if they come from somewhere that changes by itself.
fn unseen(folder: &ToolFolder, accepted: &BTreeMap<String, Accepted>) -> Option<Unseen> {
    let version = folder.version.as_ref()?;
    let before = accepted.get(folder.spec.id.as_str());
    let same = before.is_some_and(|before| before.fingerprint == version.fingerprint);
    (!same).then(|| Unseen { version: version.clone(), before: before.cloned() })
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

    /// What of the scripts in this folder no admin has seen. It is the folder itself that says which they are: the one that is run may
    /// be another than the newest.
    pub(super) fn unseen(&self, folder: &ToolFolder) -> Option<Unseen> {
        unseen(folder, &self.0.accepted.lock().unwrap_or_else(PoisonError::into_inner))
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
        let Some(Unseen { version, .. }) = self.unseen(&folder) else { return Ok(()) };
        if version.fingerprint != fingerprint {
            return Err(ToolError::Refused("The scripts have changed again since you looked. Look once more.".into()));
        }
        let (row, now) = (id.as_str().to_owned(), Accepted { fingerprint: version.fingerprint, commit: version.commit });
        let kept = now.clone();
        self.0.parts.store.run(move |c| table::accept(c, &row, &kept)).await?;
        self.0.accepted.lock().unwrap_or_else(PoisonError::into_inner).insert(id.as_str().to_owned(), now);
        self.tell();
        Ok(())
    }

    /// Removes the copies of versions that are of no use any more: neither the newest, nor let run, nor what something that is up or
    /// being changed began with. Blocks.
    pub fn forget_versions(&self, data: &Path) {
        let of = |folder: &ToolFolder| Some(folder.version.as_ref()?.fingerprint.clone());
        let mut keep: BTreeSet<Fingerprint> = self.shelf().catalogue.tools().filter_map(of).collect();
        keep.extend(self.entries().values().filter_map(|entry| of(entry.folder.as_ref()?)));
        let accepted = self.0.accepted.lock().unwrap_or_else(PoisonError::into_inner).clone();
        keep.extend(accepted.into_values().map(|accepted| accepted.fingerprint));
        versions::forget_others(data, &keep);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tools::ToolSpec;

    #[test]
    fn only_what_a_repository_changed_waits_for_an_admin() {
        let folder = |fingerprint: Option<&str>| {
            let spec = ToolSpec::parse(ToolId::parse("t").unwrap(), "name = \"T\"\nabout = \"a\"\ninstall = \"t\"\n").unwrap();
            let version = fingerprint.map(|fingerprint| Version { fingerprint: fingerprint.to_owned(), commit: "c2".into() });
            ToolFolder { spec, path: "/s/t".into(), actions: BTreeSet::new(), choices: None, version }
        };
        let none = BTreeMap::new();
        let seen = BTreeMap::from([("t".to_owned(), Accepted { fingerprint: "a".into(), commit: "c1".into() })]);
        assert_eq!(unseen(&folder(None), &none), None);
        assert_eq!(unseen(&folder(Some("a")), &seen), None);
        assert_eq!(unseen(&folder(Some("b")), &seen).unwrap().before.unwrap().commit, "c1");
        assert_eq!(unseen(&folder(Some("a")), &none).unwrap().before, None);
    }
}
