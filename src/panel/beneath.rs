//! Files below one folder, opened so that no name can lead out of it: no `..`, no symbolic link, no magic
//! link. The only file that opens names made by people or read from a store; knows nothing of what they hold.

use rustix::{
    fd::{AsFd, OwnedFd},
    fs::{
        AtFlags, Dir, FileType, Mode, OFlags, RenameFlags, ResolveFlags, fstatvfs, mkdirat, openat, openat2, renameat,
        renameat_with, statat, unlinkat,
    },
    io::Errno,
};
use std::{
    fs::File,
    io,
    io::Read,
    io::Write,
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

/// Modes of folders and files that are made.
#[derive(Clone, Copy, Debug)]
struct Modes {
    folder: u32,
    file: u32,
}

/// The panel's uid alone.
const PRIVATE: Modes = Modes { folder: 0o700, file: 0o600 };
/// Tools read it too, whatever their uid.
const SHARED: Modes = Modes { folder: 0o755, file: 0o644 };

/// A folder, held open.
#[derive(Clone, Debug)]
pub(crate) struct Beneath(Arc<OwnedFd>, Modes);

impl Beneath {
    /// Opens a folder that is trusted, and makes it if absent.
    pub(crate) fn open(folder: &Path) -> io::Result<Beneath> {
        std::fs::create_dir_all(folder)?;
        Ok(Beneath(Arc::new(File::open(folder)?.into()), PRIVATE))
    }

    /// The same folder, in which everybody on this machine may read what is made.
    pub(crate) fn shared(self) -> Beneath {
        Beneath(self.0, SHARED)
    }

    /// A folder in it that exists.
    pub(crate) fn existing(&self, path: &str) -> io::Result<Beneath> {
        Ok(Beneath(Arc::new(resolve(&self.0, path, OFlags::RDONLY | OFlags::DIRECTORY, 0)?), self.1))
    }

    /// The names of the files in it; none of folders, links or what else there is.
    pub(crate) fn names(&self) -> io::Result<Vec<String>> {
        self.named(FileType::RegularFile)
    }

    /// The names of the folders in it; none of links to folders.
    pub(crate) fn folders(&self) -> io::Result<Vec<String>> {
        let own = |name: &String| name != "." && name != "..";
        Ok(self.named(FileType::Directory)?.into_iter().filter(own).collect())
    }

    fn named(&self, kind: FileType) -> io::Result<Vec<String>> {
        let mut names = Vec::new();
        for entry in Dir::read_from(&*self.0)? {
            let entry = entry?;
            let is = match entry.file_type() {
                // Some network file systems tell no kinds in their lists. What is gone by now is of none.
                FileType::Unknown => statat(&*self.0, entry.file_name(), AtFlags::SYMLINK_NOFOLLOW)
                    .map_or(FileType::Unknown, |found| FileType::from_raw_mode(found.st_mode)),
                is => is,
            };
            if let Some(name) = entry.file_name().to_str().ok().filter(|_| is == kind) {
                names.push(name.to_owned());
            }
        }
        Ok(names)
    }

    /// A folder in it, made with its parents if absent.
    pub(crate) fn folder(&self, path: &str) -> io::Result<Beneath> {
        let mut at = self.clone();
        for name in path.split('/') {
            let name = plain(name)?;
            match mkdirat(&*at.0, name, Mode::from_raw_mode(self.1.folder)) {
                // The new name must be durable before anything in it can be.
                Ok(()) => File::from(at.0.try_clone()?).sync_all()?,
                Err(Errno::EXIST) => {}
                Err(e) => return Err(e.into()),
            }
            at = Beneath(Arc::new(resolve(&at.0, name, OFlags::RDONLY | OFlags::DIRECTORY, 0)?), self.1);
        }
        Ok(at)
    }

    /// Opens a file to read.
    pub(crate) fn file(&self, path: &str) -> io::Result<File> {
        let file = File::from(resolve(&self.0, path, OFlags::RDONLY | OFlags::NONBLOCK, 0)?);
        if file.metadata()?.is_file() { Ok(file) } else { Err(io::ErrorKind::NotFound.into()) }
    }

    /// Reads a whole file of at most `limit` bytes.
    pub(crate) fn read(&self, path: &str, limit: u64) -> io::Result<Vec<u8>> {
        let mut bytes = Vec::new();
        self.file(path)?.take(limit + 1).read_to_end(&mut bytes)?;
        if bytes.len() as u64 > limit { Err(io::ErrorKind::FileTooLarge.into()) } else { Ok(bytes) }
    }

    /// Opens a file to write, made if absent; keeps what is in it.
    pub(crate) fn writable(&self, path: &str) -> io::Result<File> {
        Ok(resolve(&self.0, path, OFlags::RDWR | OFlags::CREATE, self.1.file)?.into())
    }

    /// Writes a file that appears whole and durable under its name, or not at all.
    pub(crate) fn write(&self, folder: &str, name: &str, bytes: &[u8]) -> io::Result<()> {
        // One for each: who wrote into another's would write on into a file that has its name already.
        static WRITTEN: AtomicU64 = AtomicU64::new(0);
        let folder = self.folder(folder)?;
        let temporary = format!(".{name}.{}.tmp", WRITTEN.fetch_add(1, Ordering::Relaxed));
        let result = folder.write_temporary(&temporary, bytes).and_then(|()| folder.publish(&temporary, name));
        if result.is_err() {
            let _ = folder.remove(&temporary);
        }
        result
    }

    fn write_temporary(&self, name: &str, bytes: &[u8]) -> io::Result<()> {
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::TRUNC;
        let mut file = File::from(resolve(&self.0, plain(name)?, flags, self.1.file)?);
        file.write_all(bytes)?;
        file.sync_all()
    }

    /// Gives a finished file of this folder its final name, durably.
    pub(crate) fn publish(&self, from: &str, to: &str) -> io::Result<()> {
        renameat(&*self.0, plain(from)?, &*self.0, plain(to)?)?;
        File::from(self.0.try_clone()?).sync_all()
    }

    /// Gives a finished and durable file below it another place, durably.
    pub(crate) fn adopt(&self, from: &str, folder: &str, name: &str) -> io::Result<()> {
        let (at, from) = match from.rsplit_once('/') {
            Some((at, from)) => (self.existing(at)?, from),
            None => (self.clone(), from),
        };
        let folder = self.folder(folder)?;
        renameat(&*at.0, plain(from)?, &*folder.0, plain(name)?)?;
        folder.sync()
    }

    /// Bytes that its disk has room for. One that does not say how large it is has some.
    pub(crate) fn room(&self) -> io::Result<u64> {
        let disk = fstatvfs(&*self.0)?;
        Ok(if disk.f_blocks == 0 { u64::MAX } else { disk.f_bavail.saturating_mul(disk.f_frsize) })
    }

    /// Copies what can be read into a new file of this folder, durably.
    pub(crate) fn copy(&self, mut from: impl Read, name: &str) -> io::Result<()> {
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL;
        let mut file = File::from(resolve(&self.0, plain(name)?, flags, self.1.file)?);
        io::copy(&mut from, &mut file)?;
        file.sync_all()
    }

    /// Makes the names in it durable.
    pub(crate) fn sync(&self) -> io::Result<()> {
        File::from(self.0.try_clone()?).sync_all()
    }

    /// Gives a folder in it the name of another one, which gets the first one's name where it exists: at no moment is there
    /// half of either.
    pub(crate) fn replace(&self, from: &str, to: &str) -> io::Result<()> {
        let (from, to) = (plain(from)?, plain(to)?);
        match renameat_with(&*self.0, from, &*self.0, to, RenameFlags::EXCHANGE) {
            Ok(()) => {}
            Err(Errno::NOENT) => renameat(&*self.0, from, &*self.0, to)?,
            // Network file systems cannot exchange: for a moment there is no folder of this name.
            Err(Errno::INVAL | Errno::NOSYS | Errno::OPNOTSUPP) => {
                let aside = format!("{from}.old");
                self.remove_tree(&aside)?;
                match renameat(&*self.0, to, &*self.0, &*aside) {
                    Ok(()) | Err(Errno::NOENT) => {}
                    Err(e) => return Err(e.into()),
                }
                renameat(&*self.0, from, &*self.0, to)?;
                self.remove_tree(&aside)?;
            }
            Err(e) => return Err(e.into()),
        }
        self.sync()
    }

    /// Removes a file, or a folder with all that is in it; follows no link. What is not there is removed already.
    pub(crate) fn remove_tree(&self, name: &str) -> io::Result<()> {
        let name = plain(name)?;
        match unlinkat(&*self.0, name, AtFlags::empty()) {
            Ok(()) | Err(Errno::NOENT) => return Ok(()),
            Err(Errno::ISDIR | Errno::PERM) => {}
            Err(e) => return Err(e.into()),
        }
        let folder = self.existing(name)?;
        for entry in Dir::read_from(&*folder.0)? {
            let entry = entry?;
            match entry.file_name().to_bytes() {
                b"." | b".." => {}
                inner => folder.remove_tree(std::str::from_utf8(inner).map_err(|_| io::ErrorKind::InvalidFilename)?)?,
            }
        }
        Ok(unlinkat(&*self.0, name, AtFlags::REMOVEDIR)?)
    }

    /// Removes a file. One that is not there is removed already.
    pub(crate) fn remove(&self, path: &str) -> io::Result<()> {
        let (folder, name) = path.rsplit_once('/').map_or((None, path), |(folder, name)| (Some(folder), name));
        let result = match folder {
            None => unlinkat(&*self.0, plain(name)?, AtFlags::empty()),
            Some(folder) => match resolve(&self.0, folder, OFlags::RDONLY | OFlags::DIRECTORY, 0) {
                Ok(folder) => unlinkat(&folder, plain(name)?, AtFlags::empty()),
                Err(e) => Err(e),
            },
        };
        match result {
            Ok(()) | Err(Errno::NOENT) => Ok(()),
            Err(e) => Err(e.into()),
        }
    }
}

/// A single name: not empty, no separator, no dots alone, no NUL.
fn plain(name: &str) -> io::Result<&str> {
    let bad = name.is_empty() || name == "." || name == ".." || name.contains(['/', '\0']);
    if bad { Err(io::ErrorKind::InvalidFilename.into()) } else { Ok(name) }
}

fn resolve(at: &OwnedFd, path: &str, flags: OFlags, mode: u32) -> rustix::io::Result<OwnedFd> {
    let (flags, mode) = (flags | OFlags::CLOEXEC | OFlags::NOFOLLOW, Mode::from_raw_mode(mode));
    let inside = ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS | ResolveFlags::NO_MAGICLINKS;
    match openat2(at, path, flags, mode, inside) {
        // Sandboxes without the call (gVisor) get the same walls one component at a time.
        Err(Errno::NOSYS) => walk(at, path, flags, mode),
        result => result,
    }
}

fn walk(at: &OwnedFd, path: &str, flags: OFlags, mode: Mode) -> rustix::io::Result<OwnedFd> {
    let mut folder = None;
    let mut names = path.split('/').peekable();
    loop {
        let name = names.next().and_then(|name| plain(name).ok()).ok_or(Errno::INVAL)?;
        let here = folder.as_ref().unwrap_or(at).as_fd();
        if names.peek().is_none() {
            return openat(here, name, flags, mode);
        }
        let step = OFlags::PATH | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        folder = Some(openat(here, name, step, Mode::empty())?);
    }
}

#[cfg(test)]
mod tests;
