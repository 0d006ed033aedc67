//! git's index, as a memory of which files have not changed since they were written, and so that people who look at the work tree with
//! git see what we see. Nothing depends on it: without one, files are read.

use crate::{
    repository::Local,
    tree::{Entry, Files, Mode},
};
use git2::{Index, IndexEntry, IndexTime, Oid};
use rustix::fs::Stat;
use std::{collections::BTreeMap, os::unix::fs::MetadataExt};

/// What the index knows.
#[derive(Debug, Default)]
pub(crate) struct Cache {
    files: BTreeMap<Vec<u8>, Known>,
    /// When it was written. What changed in that very moment or later may have changed unseen.
    written: (i64, i64),
}

#[derive(Debug)]
struct Known {
    id: Oid,
    /// All that the index holds of the file's stat.
    stat: Seen,
}

/// What the index holds of a stat, cut to its widths.
#[derive(Debug, PartialEq, Eq)]
struct Seen {
    mtime: (i32, u32),
    ctime: (i32, u32),
    ino: u32,
    size: u32,
    mode: u32,
}

impl Cache {
    /// Reads the index; an empty memory where that does not work.
    pub(crate) fn read(local: &Local) -> Cache {
        let path = local.path.join(".git/index");
        let (Ok(meta), Ok(index)) = (std::fs::symlink_metadata(&path), Index::open(&path)) else { return Cache::default() };
        let known = |e: IndexEntry| {
            let stat = Seen {
                mtime: (e.mtime.seconds(), e.mtime.nanoseconds()),
                ctime: (e.ctime.seconds(), e.ctime.nanoseconds()),
                ino: e.ino,
                size: e.file_size,
                mode: e.mode,
            };
            (e.path, Known { id: e.id, stat })
        };
        Cache { files: index.iter().map(known).collect(), written: (meta.mtime(), meta.mtime_nsec()) }
    }

    /// The id of a file's contents, if it has certainly not changed.
    pub(crate) fn id(&self, path: &str, stat: &Stat, mode: Mode) -> Option<Oid> {
        let known = self.files.get(path.as_bytes())?;
        let settled = (stat.st_mtime, stat.st_mtime_nsec as i64) < self.written;
        (settled && known.stat == seen(stat, mode)).then_some(known.id)
    }
}

fn seen(stat: &Stat, mode: Mode) -> Seen {
    Seen {
        mtime: (stat.st_mtime as i32, stat.st_mtime_nsec as u32),
        ctime: (stat.st_ctime as i32, stat.st_ctime_nsec as u32),
        ino: stat.st_ino as u32,
        size: stat.st_size as u32,
        mode: mode.raw(),
    }
}

/// Writes the index of a work tree that holds these files. An error leaves an old one, in which the new files do not match.
pub(crate) fn write(local: &Local, files: &Files) -> Result<(), git2::Error> {
    let mut index = Index::open(&local.path.join(".git/index"))?;
    index.clear()?;
    for (path, file) in files {
        let stat = local.root.stat(path).ok().flatten();
        index.add(&entry(path, file, stat.as_ref()))?;
    }
    index.write()
}

/// A file's line; without a stat it matches nothing on the disk.
pub(crate) fn entry(path: &str, file: &Entry, stat: Option<&Stat>) -> IndexEntry {
    let time = |seconds: i64, nanos: u64| IndexTime::new(seconds as i32, nanos as u32);
    let never = || IndexTime::new(0, 0);
    IndexEntry {
        ctime: stat.map_or_else(never, |s| time(s.st_ctime, s.st_ctime_nsec)),
        mtime: stat.map_or_else(never, |s| time(s.st_mtime, s.st_mtime_nsec)),
        dev: stat.map_or(0, |s| s.st_dev as u32),
        ino: stat.map_or(0, |s| s.st_ino as u32),
        mode: file.mode.raw(),
        uid: stat.map_or(0, |s| s.st_uid),
        gid: stat.map_or(0, |s| s.st_gid),
        file_size: stat.map_or(0, |s| s.st_size as u32),
        id: file.id,
        flags: path.len().min(0xfff) as u16,
        flags_extended: 0,
        path: path.as_bytes().to_vec(),
    }
}
