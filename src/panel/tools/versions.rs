//! The copies of tools that came from a repository: below the data folder, one for each version of a tool's scripts, named by what it
//! is. So what runs keeps the scripts that it began with, and what an admin let run can be held beside what came since. Knows files,
//! and nothing of what they do.

use super::embedded;
use crate::beneath::Beneath;
use sha2::{Digest as _, Sha256};
use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Write as _,
    fs, io,
    path::{Path, PathBuf},
};

/// Below the data folder.
const VERSIONS: &str = "synced";
/// Largest file, and deepest folder, of one that is read: beyond what is ever written.
const FILE_MAX: u64 = 32 << 20;
const DEPTH_MAX: usize = 70;

/// What the scripts of a tool are, as one value.
pub type Fingerprint = String;

/// Files by their paths below a setup folder.
pub type Files = BTreeMap<String, Vec<u8>>;

/// SHA-256 over names and contents, in hexadecimal digits.
pub(super) fn fingerprint(files: &Files) -> Fingerprint {
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

/// The folder that holds just these files, which it says the fingerprint of. It is named by all of the digits: who can find two
/// versions with half of them in common could have one of them looked at and the other one run. One that is there is compared, as
/// nothing is synced: what a power loss left of it is written anew.
pub(super) fn put(data: &Path, files: &Files) -> io::Result<(PathBuf, Fingerprint)> {
    let fingerprint = fingerprint(files);
    let folder = data.join(VERSIONS).join(&fingerprint);
    embedded::ensure(&folder, files.iter().map(|(path, bytes)| (path.as_str(), bytes.as_slice())))?;
    Ok((folder, fingerprint))
}

/// The files of a version that was put; `None` where they are not there, or are not what the fingerprint says.
pub(super) fn files_of(data: &Path, version: &str) -> Option<Files> {
    let folder = data.join(VERSIONS).join(version);
    if !folder.is_dir() {
        return None;
    }
    let mut files = Files::new();
    collect(&Beneath::open(&folder).ok()?, "", 0, &mut files).ok()?;
    (fingerprint(&files) == version).then_some(files)
}

fn collect(folder: &Beneath, below: &str, depth: usize, files: &mut Files) -> io::Result<()> {
    if depth > DEPTH_MAX {
        return Err(io::ErrorKind::InvalidData.into());
    }
    let path = |name: &str| if below.is_empty() { name.to_owned() } else { format!("{below}/{name}") };
    for name in folder.folders()? {
        collect(&folder.existing(&name)?, &path(&name), depth + 1, files)?;
    }
    for name in folder.names()? {
        files.insert(path(&name), folder.read(&name, FILE_MAX)?);
    }
    Ok(())
}

/// Removes all versions but these.
pub(super) fn forget_others(data: &Path, keep: &BTreeSet<Fingerprint>) {
    let Ok(entries) = fs::read_dir(data.join(VERSIONS)) else { return };
    for entry in entries.flatten() {
        if entry.file_name().to_str().is_some_and(|name| keep.contains(name)) {
            continue;
        }
        if let Err(e) = fs::remove_dir_all(entry.path()) {
            tracing::warn!("{} is not needed any more and cannot be removed: {e}", entry.path().display());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn files(text: &str) -> Files {
        BTreeMap::from([("a/b/run.sh".to_owned(), text.as_bytes().to_vec()), ("lib/x".to_owned(), Vec::new())])
    }

    #[test]
    fn a_version_is_read_as_it_was_put_or_not_at_all() {
        let data = tempfile::tempdir().unwrap();
        let (folder, one) = put(data.path(), &files("one")).unwrap();
        assert!(folder.ends_with(&one) && one.len() == 64);
        assert_eq!(files_of(data.path(), &one), Some(files("one")));
        assert_eq!(files_of(data.path(), &"0".repeat(64)), None);
        assert!(!data.path().join("synced").join("0".repeat(64)).exists(), "looking makes nothing");
        for spoil in [
            |folder: &Path| fs::write(folder.join("a/b/run.sh"), "").unwrap(),
            |folder: &Path| fs::write(folder.join("a/more"), "").unwrap(),
            |folder: &Path| fs::remove_file(folder.join("lib/x")).unwrap(),
        ] {
            spoil(&folder);
            assert_eq!(files_of(data.path(), &one), None);
            // Empty files are what a power loss leaves of a folder whose name had come to the disk.
            assert_eq!(put(data.path(), &files("one")).unwrap().0, folder);
            assert_eq!(files_of(data.path(), &one), Some(files("one")));
        }
    }

    #[test]
    fn what_nobody_needs_is_forgotten() {
        let data = tempfile::tempdir().unwrap();
        forget_others(data.path(), &BTreeSet::new());
        let [one, two, _three] = ["one", "two", "three"].map(|text| put(data.path(), &files(text)).unwrap().1);
        fs::create_dir(data.path().join("synced/.left.new")).unwrap();
        forget_others(data.path(), &BTreeSet::from([one.clone(), two.clone()]));
        let mut left: Vec<String> =
            fs::read_dir(data.path().join("synced")).unwrap().map(|e| e.unwrap().file_name().into_string().unwrap()).collect();
        left.sort();
        let mut wanted = vec![one, two];
        wanted.sort();
        assert_eq!(left, wanted);
    }
}
