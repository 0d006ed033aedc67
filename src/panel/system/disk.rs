//! What Easel's folder holds, by folder: counted, because a network volume's own figures are the whole cluster's and
//! no quota. Knows nothing of what the files are.

use crate::store::{self, Place};
use rustix::fs::statvfs;
use serde::Serialize;
use std::{
    collections::HashSet,
    os::unix::fs::MetadataExt as _,
    path::{Path, PathBuf},
    time::{Instant, UNIX_EPOCH},
};

/// Files and folders that are looked at; beyond that the figure is "at least".
const MOST_ENTRIES: usize = 2_000_000;
/// A file's blocks are counted in these, whatever the file system's own are.
const BLOCK: u64 = 512;
/// Folders of Easel's own, by their names below the data folder, with what they hold.
const OWN: [(&str, &str); 7] = [
    ("models", "Models"),
    ("outputs", "Pictures"),
    ("spool", "Uploads"),
    ("tools", "Tools"),
    ("workspace", "Tools"),
    ("state", "Store"),
    ("logs", "Logs"),
];

/// One folder, or several of the same use.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct Part {
    /// What it holds.
    pub name: String,
    /// Bytes on the disk.
    pub bytes: u64,
    /// How many files.
    pub files: u64,
}

/// What Easel's folder holds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct Disk {
    /// The folder.
    pub path: String,
    /// Bytes on the disk, all parts together.
    pub used: u64,
    /// By use, the largest first.
    pub parts: Vec<Part>,
    /// There was more than was counted.
    pub more: bool,
    /// It lies on a network volume: `free` and `total` are the whole cluster's.
    pub network: bool,
    /// Bytes that the file system says are free.
    pub free: u64,
    /// Bytes that the file system says it has.
    pub total: u64,
    /// When Easel's store last took a change, ms since 1970: the proof that there is room.
    pub written: Option<i64>,
    /// When this was counted, ms since 1970.
    pub at: i64,
    /// How long counting took, ms.
    pub took: u64,
}

/// Counts. Blocks for as long as the disk does.
pub(super) fn count(data: &Path, at: i64) -> Disk {
    let begun = Instant::now();
    let mut walk = Walk::default();
    let mut parts: Vec<Part> = Vec::new();
    for entry in std::fs::read_dir(data).into_iter().flatten().flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        let use_of = OWN.iter().find(|(folder, _)| *folder == name).map_or("Other", |(_, what)| what);
        let (bytes, files) = walk.sum(entry.path());
        match parts.iter_mut().find(|p| p.name == use_of) {
            Some(part) => (part.bytes, part.files) = (part.bytes + bytes, part.files + files),
            None => parts.push(Part { name: use_of.into(), bytes, files }),
        }
    }
    parts.retain(|p| p.files > 0);
    parts.sort_by_key(|p| std::cmp::Reverse(p.bytes));
    let space = statvfs(data).ok();
    let blocks = |of: fn(&rustix::fs::StatVfs) -> u64| space.as_ref().map_or(0, |s| of(s).saturating_mul(s.f_frsize));
    Disk {
        path: std::fs::canonicalize(data).unwrap_or_else(|_| data.to_path_buf()).display().to_string(),
        used: parts.iter().map(|p| p.bytes).sum(),
        parts,
        more: walk.seen > MOST_ENTRIES,
        network: Place::of(&data.join("state")).is_ok_and(|place| place == Place::Network),
        free: blocks(|s| s.f_bavail),
        total: blocks(|s| s.f_blocks),
        written: last_change(data),
        at,
        took: u64::try_from(begun.elapsed().as_millis()).unwrap_or(u64::MAX),
    }
}

/// When the store or its log of changes was last written.
fn last_change(data: &Path) -> Option<i64> {
    let file = data.join("state").join(store::FILE);
    let log = file.with_extension("db-wal");
    let written = |path: &Path| std::fs::metadata(path).and_then(|m| m.modified()).ok();
    let at = written(&file).max(written(&log))?;
    i64::try_from(at.duration_since(UNIX_EPOCH).ok()?.as_millis()).ok()
}

#[derive(Default)]
struct Walk {
    seen: usize,
    /// Device and inode of files with more than one name, so that each counts once.
    linked: HashSet<(u64, u64)>,
}

impl Walk {
    /// Bytes and files of a file or folder. Links are not followed.
    fn sum(&mut self, path: PathBuf) -> (u64, u64) {
        let (mut bytes, mut files, mut waiting) = (0, 0, vec![path]);
        while let Some(path) = waiting.pop() {
            self.seen += 1;
            if self.seen > MOST_ENTRIES {
                break;
            }
            let Ok(meta) = std::fs::symlink_metadata(&path) else { continue };
            if meta.is_dir() {
                waiting.extend(std::fs::read_dir(&path).into_iter().flatten().flatten().map(|e| e.path()));
            } else if meta.nlink() < 2 || self.linked.insert((meta.dev(), meta.ino())) {
                bytes += meta.blocks() * BLOCK;
                files += 1;
            }
        }
        (bytes, files)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn folders_are_counted_by_use_and_links_once() {
        let folder = tempfile::tempdir().unwrap();
        let data = folder.path();
        for (path, bytes) in [("models/a.safetensors", 300_000), ("outputs/zoe/1.png", 50_000), ("odd/thing", 10_000)] {
            let file = data.join(path);
            std::fs::create_dir_all(file.parent().unwrap()).unwrap();
            std::fs::write(file, vec![1; bytes]).unwrap();
        }
        std::fs::hard_link(data.join("models/a.safetensors"), data.join("models/b.safetensors")).unwrap();
        std::os::unix::fs::symlink("/usr", data.join("models/elsewhere")).unwrap();
        let disk = count(data, 7);
        let names: Vec<&str> = disk.parts.iter().map(|p| p.name.as_str()).collect();
        assert_eq!(names, ["Models", "Pictures", "Other"]);
        let models = &disk.parts[0];
        assert!((300_000..400_000).contains(&models.bytes) && models.files == 2, "{models:?}");
        assert_eq!((disk.at, disk.more), (7, false));
        assert!(disk.used >= 360_000 && disk.total >= disk.free, "{disk:?}");
    }
}
