//! A folder held open, in which no name leads out: paths are walked one name at a time and no link is followed. Knows no git.

use rustix::{
    fd::{AsFd, OwnedFd},
    fs::{
        AtFlags, Dir, FileType, Mode, OFlags, Stat, fchmod, fsync, mkdirat, open, openat, readlinkat, renameat, statat,
        symlinkat, unlinkat,
    },
    io::Errno,
};
use std::{
    fs::File,
    io::{self, ErrorKind, Read, Write},
    path::Path,
    sync::Arc,
};

const FOLDER: OFlags = OFlags::RDONLY.union(OFlags::DIRECTORY).union(OFlags::NOFOLLOW).union(OFlags::CLOEXEC);

/// See the file's first line.
#[derive(Clone, Debug)]
pub(crate) struct Folder(Arc<OwnedFd>);

impl Folder {
    pub(crate) fn open(path: &Path) -> io::Result<Folder> {
        Ok(Folder(Arc::new(open(path, FOLDER, Mode::empty())?)))
    }

    /// A folder in it; `path` may have several names.
    pub(crate) fn below(&self, path: &str) -> io::Result<Folder> {
        let mut at = self.clone();
        for name in names(path) {
            at = Folder(Arc::new(openat(&*at.0, plain(name)?, FOLDER, Mode::empty())?));
        }
        Ok(at)
    }

    /// The same; `None` where it is not there, or something else stands on the way.
    pub(crate) fn find(&self, path: &str) -> io::Result<Option<Folder>> {
        match self.below(path) {
            Ok(folder) => Ok(Some(folder)),
            Err(e) if is_absent(&e) => Ok(None),
            Err(e) => Err(e),
        }
    }

    /// A folder in it, made where it is absent.
    pub(crate) fn make(&self, path: &str) -> io::Result<Folder> {
        let mut at = self.clone();
        for name in names(path) {
            match mkdirat(&*at.0, plain(name)?, Mode::from_raw_mode(0o755)) {
                Ok(()) => {
                    let new = Folder(Arc::new(openat(&*at.0, name, FOLDER, Mode::empty())?));
                    // Whatever the umask: tools read it as other users.
                    fchmod(&*new.0, Mode::from_raw_mode(0o755))?;
                    at.sync()?;
                    at = new;
                }
                Err(Errno::EXIST) => at = Folder(Arc::new(openat(&*at.0, name, FOLDER, Mode::empty())?)),
                Err(e) => return Err(e.into()),
            }
        }
        Ok(at)
    }

    /// What stands under a path; `None` where nothing does, also where something that is no folder stands on the way.
    pub(crate) fn stat(&self, path: &str) -> io::Result<Option<Stat>> {
        let (parent, name) = parts(path);
        let Some(folder) = self.find(parent)? else { return Ok(None) };
        match statat(&*folder.0, plain(name)?, AtFlags::SYMLINK_NOFOLLOW) {
            Ok(stat) => Ok(Some(stat)),
            Err(Errno::NOENT) => Ok(None),
            Err(e) => Err(e.into()),
        }
    }

    /// The contents of a plain file of at most `limit` bytes.
    pub(crate) fn read(&self, path: &str, limit: u64) -> io::Result<Vec<u8>> {
        let (parent, name) = parts(path);
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC | OFlags::NONBLOCK;
        let file = File::from(openat(&*self.below(parent)?.0, plain(name)?, flags, Mode::empty())?);
        let mut bytes = Vec::new();
        file.take(limit + 1).read_to_end(&mut bytes)?;
        if bytes.len() as u64 > limit { Err(ErrorKind::FileTooLarge.into()) } else { Ok(bytes) }
    }

    /// Where a link points.
    pub(crate) fn link(&self, path: &str) -> io::Result<Vec<u8>> {
        let (parent, name) = parts(path);
        Ok(readlinkat(&*self.below(parent)?.0, plain(name)?, Vec::new())?.into_bytes())
    }

    /// A new file. It is on the disk once it is synced, and its name once the folder is.
    pub(crate) fn create(&self, name: &str, bytes: &[u8], mode: u32) -> io::Result<File> {
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let mut file = File::from(openat(&*self.0, plain(name)?, flags, Mode::from_raw_mode(0o600))?);
        file.write_all(bytes)?;
        fchmod(&file, Mode::from_raw_mode(mode))?;
        Ok(file)
    }

    /// Makes what a file holds durable.
    pub(crate) fn sync_file(&self, name: &str) -> io::Result<()> {
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC | OFlags::NONBLOCK;
        Ok(fsync(openat(&*self.0, plain(name)?, flags, Mode::empty())?)?)
    }

    /// A new link.
    pub(crate) fn create_link(&self, name: &str, target: &[u8]) -> io::Result<()> {
        Ok(symlinkat(target, &*self.0, plain(name)?)?)
    }

    /// A file that appears whole and durable under its name, or not at all.
    pub(crate) fn replace(&self, name: &str, bytes: &[u8]) -> io::Result<()> {
        let temporary = format!("{name}.{}", crate::random());
        let write = || {
            self.create(&temporary, bytes, 0o600)?.sync_all()?;
            self.rename(&temporary, self, name)?;
            self.sync()
        };
        let result = write();
        if result.is_err() {
            let _ = self.remove(&temporary);
        }
        result
    }

    /// Moves a name into a folder, over what has that name there.
    pub(crate) fn rename(&self, name: &str, to: &Folder, new: &str) -> io::Result<()> {
        Ok(renameat(&*self.0, plain(name)?, &*to.0, plain(new)?)?)
    }

    /// Removes a file or link. What is not there is removed already.
    pub(crate) fn remove(&self, name: &str) -> io::Result<()> {
        absent_is_fine(unlinkat(&*self.0, plain(name)?, AtFlags::empty()))
    }

    /// Removes a folder that is empty; one that is not, stays.
    pub(crate) fn remove_empty(&self, name: &str) -> io::Result<bool> {
        match unlinkat(&*self.0, plain(name)?, AtFlags::REMOVEDIR) {
            Ok(()) | Err(Errno::NOENT) => Ok(true),
            Err(Errno::NOTEMPTY | Errno::EXIST | Errno::NOTDIR) => Ok(false),
            Err(e) => Err(e.into()),
        }
    }

    /// Removes a name with everything in it. Follows no link.
    pub(crate) fn remove_all(&self, name: &str) -> io::Result<()> {
        match unlinkat(&*self.0, plain(name)?, AtFlags::empty()) {
            Ok(()) | Err(Errno::NOENT) => return Ok(()),
            Err(Errno::ISDIR | Errno::PERM) => {}
            Err(e) => return Err(e.into()),
        }
        let inner = Folder(Arc::new(openat(&*self.0, name, FOLDER, Mode::empty())?));
        for entry in Dir::read_from(&*inner.0)? {
            let entry = entry?;
            if !matches!(entry.file_name().to_bytes(), b"." | b"..") {
                let name = entry.file_name().to_str().map_err(|_| ErrorKind::InvalidFilename)?;
                inner.remove_all(name)?;
            }
        }
        absent_is_fine(unlinkat(&*self.0, name, AtFlags::REMOVEDIR))
    }

    /// The names in it, in no order. One that is not UTF-8 is an error.
    pub(crate) fn list(&self) -> io::Result<Vec<String>> {
        let mut found = Vec::new();
        for entry in Dir::read_from(&*self.0)? {
            let entry = entry?;
            if !matches!(entry.file_name().to_bytes(), b"." | b"..") {
                found.push(entry.file_name().to_str().map_err(|_| ErrorKind::InvalidFilename)?.to_owned());
            }
        }
        Ok(found)
    }

    /// Makes the names in it durable.
    pub(crate) fn sync(&self) -> io::Result<()> {
        Ok(fsync(self.0.as_fd())?)
    }
}

/// What kind of thing a stat is of.
pub(crate) fn kind(stat: &Stat) -> FileType {
    FileType::from_raw_mode(stat.st_mode)
}

/// The folder part of a path, and its last name.
pub(crate) fn parts(path: &str) -> (&str, &str) {
    path.rsplit_once('/').unwrap_or(("", path))
}

fn names(path: &str) -> impl Iterator<Item = &str> {
    path.split('/').filter(|_| !path.is_empty())
}

fn is_absent(error: &io::Error) -> bool {
    // A link on the way answers LOOP to O_NOFOLLOW, or NOTDIR together with O_DIRECTORY.
    let loops = error.raw_os_error() == Some(Errno::LOOP.raw_os_error());
    loops || matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory)
}

fn absent_is_fine(result: rustix::io::Result<()>) -> io::Result<()> {
    match result {
        Ok(()) | Err(Errno::NOENT) => Ok(()),
        Err(e) => Err(e.into()),
    }
}

/// A single name: not empty, no dots alone, no separator, no NUL.
fn plain(name: &str) -> io::Result<&str> {
    let bad = name.is_empty() || name == "." || name == ".." || name.contains(['/', '\0']);
    if bad { Err(ErrorKind::InvalidFilename.into()) } else { Ok(name) }
}
