//! git's index, as a memory of which files have not changed since they were written, and so that people who look at the work tree with
//! git see what we see. Nothing depends on it: without one, files are read.

use crate::{
    folder::kind,
    repository::Local,
    tree::{Entry, Files, Mode},
};
use git2::{Index, IndexEntry, IndexTime, Oid};
use rustix::fs::{FileType, Stat};
use std::{
    collections::BTreeMap,
    os::unix::fs::MetadataExt,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

/// A file system tells times in steps below this. What changed within the last one may have changed twice.
const TICK: Duration = Duration::from_millis(50);

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
    stamp: Stamp,
}

/// What tells that a file or link is still the one that was looked at: what the index holds of a stat, cut to its widths.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Stamp {
    mtime: (i32, u32),
    /// None of a file that was renamed since, which changes this and nothing else.
    ctime: Option<(i32, u32)>,
    ino: u32,
    size: u32,
    mode: u32,
}

/// What was found under each path that was looked at; `None` where there was neither file nor link.
pub(crate) type Stamps = BTreeMap<String, Option<Stamp>>;

impl Stamp {
    /// `None` for a folder.
    pub(crate) fn of(stat: &Stat) -> Option<Stamp> {
        let mode = match kind(stat) {
            FileType::Directory => return None,
            FileType::Symlink => Mode::Link.raw(),
            FileType::RegularFile if stat.st_mode & 0o100 != 0 => Mode::Program.raw(),
            FileType::RegularFile => Mode::Plain.raw(),
            _ => 0,
        };
        Some(Stamp {
            mtime: (stat.st_mtime as i32, stat.st_mtime_nsec as u32),
            ctime: Some((stat.st_ctime as i32, stat.st_ctime_nsec as u32)),
            ino: stat.st_ino as u32,
            size: stat.st_size as u32,
            mode,
        })
    }

    /// The same once the file has another name.
    pub(crate) fn renamed(self) -> Stamp {
        Stamp { ctime: None, ..self }
    }

    fn is(&self, now: &Stamp) -> bool {
        let ctime = if self.ctime.is_none() { None } else { now.ctime };
        *self == Stamp { ctime, ..now.clone() }
    }
}

/// Whether what stands under a path is what was there when it was looked at. A path that nobody looked at is nobody's: a file there has
/// come since.
pub(crate) fn is_unchanged(stamps: &Stamps, path: &str, now: Option<&Stat>) -> bool {
    match (stamps.get(path), now.and_then(Stamp::of)) {
        (None | Some(None), None) => true,
        (Some(Some(then)), Some(now)) => then.is(&now),
        _ => false,
    }
}

impl Cache {
    /// Reads the index; an empty memory where that does not work.
    pub(crate) fn read(local: &Local) -> Cache {
        let path = local.path.join(".git/index");
        let (Ok(meta), Ok(index)) = (std::fs::symlink_metadata(&path), Index::open(&path)) else { return Cache::default() };
        let known = |e: IndexEntry| {
            let stamp = Stamp {
                mtime: (e.mtime.seconds(), e.mtime.nanoseconds()),
                ctime: Some((e.ctime.seconds(), e.ctime.nanoseconds())),
                ino: e.ino,
                size: e.file_size,
                mode: e.mode,
            };
            (e.path, Known { id: e.id, stamp })
        };
        Cache { files: index.iter().map(known).collect(), written: (meta.mtime(), meta.mtime_nsec()) }
    }

    /// The id of a file's contents, if it has certainly not changed.
    pub(crate) fn id(&self, path: &str, stat: &Stat) -> Option<Oid> {
        let known = self.files.get(path.as_bytes())?;
        let settled = (stat.st_mtime, stat.st_mtime_nsec as i64) < self.written;
        (settled && Stamp::of(stat).as_ref() == Some(&known.stamp)).then_some(known.id)
    }
}

/// Writes the index of a work tree that holds these files. Only a file that is still as it was when it was seen to be the right one is
/// remembered as unchanged: one that somebody writes meanwhile would be taken for the commit's for good. An error leaves an old index,
/// in which the new files do not match.
pub(crate) fn write(local: &Local, files: &Files, stamps: &Stamps) -> Result<(), git2::Error> {
    let mut index = Index::open(&local.path.join(".git/index"))?;
    index.clear()?;
    let settled = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().saturating_sub(TICK);
    for (path, file) in files {
        let stat = local.root.stat(path).ok().flatten();
        let is_settled =
            |stat: &Stat| (stat.st_ctime, stat.st_ctime_nsec as i64) < (settled.as_secs() as i64, settled.subsec_nanos().into());
        let known = stat.filter(|stat| is_settled(stat) && is_unchanged(stamps, path, Some(stat)));
        index.add(&entry(path, file, known.as_ref()))?;
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
