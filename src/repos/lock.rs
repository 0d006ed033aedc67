//! One change of a folder at a time: within this process by a table, between processes by an flock on a file beside the folder.

use crate::Fault;
use rustix::{
    fs::{FlockOperation, Mode, OFlags, flock, open},
    io::Errno,
};
use std::{
    collections::BTreeSet,
    os::fd::OwnedFd,
    path::{Path, PathBuf},
    sync::{Mutex, PoisonError},
};

static HELD: Mutex<BTreeSet<PathBuf>> = Mutex::new(BTreeSet::new());

/// The right to change one folder, and to remove what killed clones of it left.
#[derive(Debug)]
pub(crate) struct Lock {
    path: PathBuf,
    file: OwnedFd,
}

impl Lock {
    /// Takes it, or says at once that somebody has it.
    pub(crate) fn take(path: &Path) -> Result<Lock, Fault> {
        let (parent, name) = crate::place(path)?;
        if !HELD.lock().unwrap_or_else(PoisonError::into_inner).insert(path.to_owned()) {
            return Err(Fault::Busy(path.to_owned()));
        }
        // Dropped, and so given back, where the rest fails.
        let held = Held(path);
        let file = parent.join(format!(".{name}.lock"));
        let io = |e: Errno| Fault::io(format!("locking {}", file.display()), e.into());
        let flags = OFlags::RDWR | OFlags::CREATE | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let opened = open(&file, flags, Mode::from_raw_mode(0o600)).map_err(io)?;
        match flock(&opened, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => {}
            Err(Errno::WOULDBLOCK) => return Err(Fault::Busy(path.to_owned())),
            // Some network file systems have no locks. The panel's own lease keeps other panels out there.
            Err(Errno::NOLCK | Errno::NOSYS | Errno::OPNOTSUPP | Errno::INVAL) => {}
            Err(e) => return Err(io(e)),
        }
        std::mem::forget(held);
        Ok(Lock { path: path.to_owned(), file: opened })
    }
}

/// The file stays: whoever removed it could take a lock away from under somebody.
impl Drop for Lock {
    fn drop(&mut self) {
        // The file first: whoever finds the table free must find it free as well. Closing would not do: a process that is being
        // started at this moment has the file open too, until it becomes its program.
        let _ = flock(&self.file, FlockOperation::Unlock);
        HELD.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.path);
    }
}

struct Held<'a>(&'a Path);

impl Drop for Held<'_> {
    fn drop(&mut self) {
        HELD.lock().unwrap_or_else(PoisonError::into_inner).remove(self.0);
    }
}
