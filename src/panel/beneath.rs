//! Files below one folder, opened so that no name can lead out of it: no `..`, no symbolic link, no magic
//! link. The only file that opens names made by people or read from a store; knows nothing of what they hold.

use rustix::{
    fd::{AsFd, OwnedFd},
    fs::{AtFlags, Mode, OFlags, ResolveFlags, mkdirat, openat, openat2, renameat, unlinkat},
    io::Errno,
};
use std::{fs::File, io, io::Read, io::Write, path::Path, sync::Arc};

/// Mode of folders and files that are made: the panel's uid alone.
const PRIVATE_FOLDER: u32 = 0o700;
const PRIVATE_FILE: u32 = 0o600;

/// A folder, held open.
#[derive(Clone, Debug)]
pub(crate) struct Beneath(Arc<OwnedFd>);

impl Beneath {
    /// Opens a folder that is trusted, and makes it if absent.
    pub(crate) fn open(folder: &Path) -> io::Result<Beneath> {
        std::fs::create_dir_all(folder)?;
        Ok(Beneath(Arc::new(File::open(folder)?.into())))
    }

    /// A folder in it, made with its parents if absent.
    pub(crate) fn folder(&self, path: &str) -> io::Result<Beneath> {
        let mut at = self.clone();
        for name in path.split('/') {
            let name = plain(name)?;
            match mkdirat(&*at.0, name, Mode::from_raw_mode(PRIVATE_FOLDER)) {
                // The new name must be durable before anything in it can be.
                Ok(()) => File::from(at.0.try_clone()?).sync_all()?,
                Err(Errno::EXIST) => {}
                Err(e) => return Err(e.into()),
            }
            at = Beneath(Arc::new(resolve(&at.0, name, OFlags::RDONLY | OFlags::DIRECTORY, 0)?));
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
        Ok(resolve(&self.0, path, OFlags::RDWR | OFlags::CREATE, PRIVATE_FILE)?.into())
    }

    /// Writes a file that appears whole and durable under its name, or not at all.
    pub(crate) fn write(&self, folder: &str, name: &str, bytes: &[u8]) -> io::Result<()> {
        let folder = self.folder(folder)?;
        let temporary = format!(".{name}.tmp");
        let result = folder.write_temporary(&temporary, bytes).and_then(|()| folder.publish(&temporary, name));
        if result.is_err() {
            let _ = folder.remove(&temporary);
        }
        result
    }

    fn write_temporary(&self, name: &str, bytes: &[u8]) -> io::Result<()> {
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::TRUNC;
        let mut file = File::from(resolve(&self.0, plain(name)?, flags, PRIVATE_FILE)?);
        file.write_all(bytes)?;
        file.sync_all()
    }

    /// Gives a finished file of this folder its final name, durably.
    pub(crate) fn publish(&self, from: &str, to: &str) -> io::Result<()> {
        renameat(&*self.0, plain(from)?, &*self.0, plain(to)?)?;
        File::from(self.0.try_clone()?).sync_all()
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
