//! What really stands on the disk, beside what should and what is to come: which files somebody edited, and which must be written.
//! Reads the work tree; writes nothing but the contents of edits into the store of objects.

use crate::{
    Fault,
    folder::{Folder, kind, parts},
    index::{Cache, Stamp, Stamps},
    repository::Local,
    request::LARGEST_FILE,
    tree::{Entry, Files, Mode},
};
use git2::{ObjectType, Oid};
use rustix::fs::{FileType, Stat};
use std::collections::BTreeSet;

/// Most files that are put aside because a folder of them stands where a file is to come.
const OBSTACLES: usize = 10_000;

/// See the file's first line.
#[derive(Debug, Default)]
pub(crate) struct Survey {
    /// What somebody edited, sorted by path: neither as it should be nor as it is to come.
    pub(crate) edits: Vec<Found>,
    /// What is not yet as it is to come, with what stands there now.
    pub(crate) changes: Vec<Found>,
    /// By which it can be told later whether a path still holds what was found.
    pub(crate) stamps: Stamps,
}

impl Survey {
    /// Whether another look has found the same.
    pub(crate) fn is_same(&self, other: &Survey) -> bool {
        (&self.edits, &self.changes) == (&other.edits, &other.changes)
    }
}

/// What was found under a path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Found {
    pub(crate) path: String,
    /// `None` where nothing stands there.
    pub(crate) now: Option<Entry>,
}

/// Compares the disk with what should stand there and with what is to come. Files that are in neither and in nobody's way are not
/// looked at.
pub(crate) fn survey(local: &Local, expected: &Files, coming: &Files) -> Result<Survey, Fault> {
    let mut eyes = Eyes { local, cache: Cache::read(local), folder: None };
    let mut paths: BTreeSet<String> = expected.keys().chain(coming.keys()).cloned().collect();
    let files = eyes.files_for_folders(&paths, expected, coming)?;
    paths.extend(files);
    let mut survey = Survey::default();
    while let Some(path) = paths.pop_first() {
        let (was, next) = (expected.get(&path).copied(), coming.get(&path).copied());
        let (seen, stamp) = eyes.look(&path)?;
        survey.stamps.insert(path.clone(), stamp);
        let now = match seen {
            Seen::Nothing => None,
            Seen::Entry(entry) => Some(entry),
            Seen::Folder => {
                if next.is_some() {
                    // All of it is in the way, and sorts behind this path.
                    eyes.inside(&path, &mut paths)?;
                }
                None
            }
        };
        if now == next {
            continue;
        }
        if now != was {
            eyes.remember(&path, now)?;
            survey.edits.push(Found { path: path.clone(), now });
        }
        survey.changes.push(Found { path, now });
    }
    Ok(survey)
}

/// What stands under a path.
enum Seen {
    Nothing,
    Entry(Entry),
    /// It counts as nothing: what is in it has paths of its own.
    Folder,
}

struct Eyes<'a> {
    local: &'a Local,
    cache: Cache,
    /// The folder that was looked into last, if it is there: paths come sorted, and opening each one's folders anew is slow on network
    /// volumes.
    folder: Option<(String, Option<Folder>)>,
}

impl Eyes<'_> {
    /// What stands there. Its stamp is taken first: what is written while it is read has another one afterwards.
    fn look(&mut self, path: &str) -> Result<(Seen, Option<Stamp>), Fault> {
        let Some(stat) = self.stat(path)? else { return Ok((Seen::Nothing, None)) };
        let mode = match kind(&stat) {
            FileType::Directory => return Ok((Seen::Folder, None)),
            FileType::Symlink => Mode::Link,
            FileType::RegularFile if stat.st_mode & 0o100 != 0 => Mode::Program,
            FileType::RegularFile => Mode::Plain,
            _ => return Err(Fault::InTheWay { path: path.to_owned(), problem: "it is neither file nor link".to_owned() }),
        };
        let id = match self.cache.id(path, &stat) {
            Some(id) => id,
            None => Oid::hash_object(ObjectType::Blob, &self.contents(path, mode, &stat)?)?,
        };
        Ok((Seen::Entry(Entry { mode, id }), Stamp::of(&stat)))
    }

    fn stat(&mut self, path: &str) -> Result<Option<Stat>, Fault> {
        let io = |e| Fault::io(format!("reading {path}"), e);
        let (parent, name) = parts(path);
        if self.folder.as_ref().is_none_or(|(last, _)| last != parent) {
            self.folder = Some((parent.to_owned(), self.local.root.find(parent).map_err(io)?));
        }
        match &self.folder {
            Some((_, Some(folder))) => folder.stat(name).map_err(io),
            _ => Ok(None),
        }
    }

    fn contents(&self, path: &str, mode: Mode, stat: &Stat) -> Result<Vec<u8>, Fault> {
        if stat.st_size as u64 > LARGEST_FILE {
            return Err(Fault::InTheWay { path: path.to_owned(), problem: "it is larger than 256 MiB".to_owned() });
        }
        let root = &self.local.root;
        let read = if mode == Mode::Link { root.link(path) } else { root.read(path, LARGEST_FILE) };
        read.map_err(|e| Fault::io(format!("reading {path}"), e))
    }

    /// Puts the contents of an edit into the store. It may have been edited once more since it was looked at; then the next look
    /// finds that.
    fn remember(&self, path: &str, now: Option<Entry>) -> Result<(), Fault> {
        let Some(entry) = now.filter(|entry| !self.local.repo.odb().is_ok_and(|odb| odb.exists(entry.id))) else { return Ok(()) };
        let Some(stat) = self.local.root.stat(path).map_err(|e| Fault::io(format!("reading {path}"), e))? else { return Ok(()) };
        let stored = self.local.repo.blob(&self.contents(path, entry.mode, &stat)?)?;
        if stored == entry.id { Ok(()) } else { Err(Fault::BeingWritten(path.to_owned())) }
    }

    /// Files that nobody expects and that stand where a folder is to come.
    fn files_for_folders(
        &mut self,
        paths: &BTreeSet<String>,
        expected: &Files,
        coming: &Files,
    ) -> Result<BTreeSet<String>, Fault> {
        let mut found = BTreeSet::new();
        let mut looked = BTreeSet::new();
        for path in coming.keys().filter(|path| !expected.contains_key(*path)) {
            for (at, _) in path.match_indices('/') {
                let above = &path[..at];
                if !looked.insert(above) || paths.contains(above) {
                    continue;
                }
                if self.stat(above)?.is_some_and(|stat| kind(&stat) != FileType::Directory) {
                    found.insert(above.to_owned());
                }
            }
        }
        Ok(found)
    }

    /// Adds the files below a folder.
    fn inside(&self, path: &str, found: &mut BTreeSet<String>) -> Result<(), Fault> {
        let io = |e| Fault::io(format!("reading {path}"), e);
        let mut files = 0;
        let mut folders = vec![path.to_owned()];
        while let Some(folder) = folders.pop() {
            for name in self.local.root.below(&folder).and_then(|f| f.list()).map_err(io)? {
                let inner = format!("{folder}/{name}");
                if name == ".git" || files >= OBSTACLES {
                    let problem = "a folder with a repository, or with too many files, stands where a file is to come".to_owned();
                    return Err(Fault::InTheWay { path: path.to_owned(), problem });
                }
                match self.local.root.stat(&inner).map_err(io)? {
                    Some(stat) if kind(&stat) == FileType::Directory => folders.push(inner),
                    Some(_) => {
                        files += 1;
                        found.insert(inner);
                    }
                    None => {}
                }
            }
        }
        Ok(())
    }
}
