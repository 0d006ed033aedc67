//! The folders of tools in use, and where they come from: what Easel or its owner brought, or the studio's own repository.
//! Copies and reads files; runs nothing.

use super::{Catalogue, ToolFolder, ToolId, embedded};
use crate::beneath::Beneath;
use sha2::{Digest as _, Sha256};
use std::{
    collections::BTreeMap,
    fmt::Write as _,
    fs, io,
    path::{Path, PathBuf},
};

/// Below the data folder: a folder for each version of a repository's tools that is or was in use.
const VERSIONS: &str = "synced";
/// The folder of scripts that others share.
const LIBRARY: &str = "lib";
/// Most files of a setup folder.
const FILES_MAX: usize = 2_000;
/// Most bytes of one of them, and of all.
const FILE_MAX: u64 = 4 << 20;
const ALL_MAX: u64 = 32 << 20;
/// Deepest folder.
const DEPTH_MAX: usize = 8;

/// What the scripts of a tool are, as one value: of its folder and of the functions that scripts share.
pub type Fingerprint = String;

/// The tools of a setup folder, and whose word they are.
#[derive(Debug, Default)]
pub struct Shelf {
    /// The tools.
    pub catalogue: Catalogue,
    /// Where they come from.
    pub origin: Origin,
}

/// Where tools come from.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Origin {
    /// With the program, or from a folder that its owner named: they run when somebody starts them.
    #[default]
    Own,
    /// From a repository, which changes by itself: a tool runs once an admin has seen its scripts.
    Repository {
        /// The commit.
        commit: String,
        /// What each tool's scripts are.
        fingerprints: BTreeMap<ToolId, Fingerprint>,
    },
}

impl Shelf {
    /// The tools of a folder that is trusted as it is.
    ///
    /// # Errors
    /// When it cannot be listed.
    pub fn own(setup: &Path) -> io::Result<Shelf> {
        Ok(Shelf { catalogue: Catalogue::load(setup)?, origin: Origin::Own })
    }

    /// The tools of the `setup` folder of a repository at `commit`. They are copied below the data folder first, each version
    /// to a folder of its own, so that what runs keeps the scripts that it was started with.
    ///
    /// # Errors
    /// When they cannot be read or written, or are more than a setup folder has.
    pub fn of_repository(setup: &Path, commit: &str, data: &Path) -> io::Result<Shelf> {
        let mut files = BTreeMap::new();
        collect(&Beneath::open(setup)?, "", 0, &mut files)?;
        // A repository may rely on the shared functions that come with Easel.
        if !files.keys().any(|path| in_folder(path, LIBRARY)) {
            let own = embedded::files().filter(|(path, _)| in_folder(path, LIBRARY));
            files.extend(own.map(|(path, bytes)| (path.to_owned(), bytes.to_vec())));
        }
        let folder = data.join(VERSIONS).join(&fingerprint(files.iter())[..16]);
        // One that is there may be in use, and is the same.
        if !folder.exists() {
            embedded::write_all(&folder, files.iter().map(|(path, bytes)| (path.as_str(), bytes.as_slice())))?;
        }
        let catalogue = Catalogue::load(&folder)?;
        let of = |tool: &ToolFolder| {
            let own = |path: &&String| in_folder(path, tool.spec.id.as_str()) || in_folder(path, LIBRARY);
            (tool.spec.id.clone(), fingerprint(files.iter().filter(|(path, _)| own(path))))
        };
        let fingerprints = catalogue.tools().map(of).collect();
        Ok(Shelf { catalogue, origin: Origin::Repository { commit: commit.to_owned(), fingerprints } })
    }

    /// Removes the copies of versions that are not in use. Only while no tool runs.
    pub fn forget_others(&self, data: &Path) {
        let used: Option<PathBuf> = self.catalogue.tools().next().map(|tool| tool.setup().to_path_buf());
        let Ok(entries) = fs::read_dir(data.join(VERSIONS)) else { return };
        for path in entries.flatten().map(|entry| entry.path()).filter(|path| Some(path) != used.as_ref()) {
            if let Err(e) = fs::remove_dir_all(&path) {
                tracing::warn!("{} is not needed any more and cannot be removed: {e}", path.display());
            }
        }
    }
}

fn in_folder(path: &str, folder: &str) -> bool {
    path.strip_prefix(folder).is_some_and(|rest| rest.starts_with('/'))
}

/// SHA-256 over names and contents, in hexadecimal digits.
fn fingerprint<'a>(files: impl Iterator<Item = (&'a String, &'a Vec<u8>)>) -> Fingerprint {
    let mut hash = Sha256::new();
    for (path, bytes) in files {
        // Lengths first: no two lists of files have the same bytes.
        hash.update((path.len() as u64).to_le_bytes());
        hash.update(path);
        hash.update((bytes.len() as u64).to_le_bytes());
        hash.update(bytes);
    }
    hash.finalize().iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// Every file below a folder. Links are left out: the repository decides what runs, and not what else is on this machine.
fn collect(folder: &Beneath, below: &str, depth: usize, files: &mut BTreeMap<String, Vec<u8>>) -> io::Result<()> {
    let too_much = |what: &str| Err(io::Error::other(format!("the setup folder of the repository {what}")));
    if depth > DEPTH_MAX {
        return too_much(&format!("is deeper than {DEPTH_MAX} folders"));
    }
    let path = |name: &str| if below.is_empty() { name.to_owned() } else { format!("{below}/{name}") };
    for name in folder.folders()? {
        collect(&folder.existing(&name)?, &path(&name), depth + 1, files)?;
    }
    for name in folder.names()? {
        let path = path(&name);
        let bytes = folder.read(&name, FILE_MAX).map_err(|e| io::Error::new(e.kind(), format!("{path}: {e}")))?;
        files.insert(path, bytes);
        if files.len() > FILES_MAX {
            return too_much(&format!("has more than {FILES_MAX} files"));
        }
        if files.values().map(|bytes| bytes.len() as u64).sum::<u64>() > ALL_MAX {
            return too_much(&format!("has more than {} MiB", ALL_MAX >> 20));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;

    const TOML: &str = "name = \"S\"\nabout = \"a\"\ninstall = \"s\"\n";

    fn repository() -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir_all(folder.path().join("setup/sketch")).unwrap();
        fs::write(folder.path().join("setup/sketch/tool.toml"), TOML).unwrap();
        fs::write(folder.path().join("setup/sketch/install_sketch.sh"), "#!/usr/bin/env bash\nset -euo pipefail\n").unwrap();
        folder
    }

    fn fingerprints(shelf: &Shelf) -> Vec<Fingerprint> {
        let Origin::Repository { fingerprints, .. } = &shelf.origin else { panic!("not of a repository") };
        fingerprints.values().cloned().collect()
    }

    #[test]
    fn each_version_has_a_folder_of_its_own_and_any_change_another_fingerprint() {
        let (repository, data) = (repository(), tempfile::tempdir().unwrap());
        let setup = repository.path().join("setup");
        let shelf = || Shelf::of_repository(&setup, "c", data.path()).unwrap();
        let first = shelf();
        assert_eq!(first.catalogue.broken(), []);
        assert_eq!(fingerprints(&first), fingerprints(&shelf()));
        let before = first.catalogue.tools().next().unwrap().path.clone();
        assert!(before.join("../lib/easel.sh").is_file(), "the shared functions come with Easel");
        fs::create_dir(setup.join("lib")).unwrap();
        fs::write(setup.join("lib/own.sh"), "").unwrap();
        let second = shelf();
        let after = second.catalogue.tools().next().unwrap().path.clone();
        assert!(fingerprints(&first) != fingerprints(&second), "what scripts share is part of each");
        assert!(before != after && before.is_dir());
        second.forget_others(data.path());
        assert!(!before.exists() && after.is_dir());
    }

    #[test]
    fn links_of_a_repository_lead_nowhere() {
        let (repository, data) = (repository(), tempfile::tempdir().unwrap());
        let setup = repository.path().join("setup");
        symlink("/etc/passwd", setup.join("sketch/passwd")).unwrap();
        symlink("/etc", setup.join("etc")).unwrap();
        let shelf = Shelf::of_repository(&setup, "c", data.path()).unwrap();
        let tool = shelf.catalogue.tools().next().unwrap();
        assert!(!tool.path.join("passwd").exists() && !tool.setup().join("etc").exists());
    }
}
