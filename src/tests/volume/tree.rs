//! Files and folders in memory, each as it is now and as it was last synced: what a power cut leaves. A file's bytes last
//! by fsync of the file; a name lasts by fsync of its folder, and nothing lasts by itself. Knows nothing of FUSE.

use rustix::io::Errno;
use std::{
    collections::{BTreeMap, BTreeSet},
    ffi::{OsStr, OsString},
    path::PathBuf,
    sync::Arc,
    time::SystemTime,
};

/// Number of the uppermost folder.
pub(super) const ROOT: u64 = 1;
/// Forgotten inodes after which those that nothing leads to are dropped.
const SWEEP_AFTER: usize = 256;

type Names = BTreeMap<OsString, u64>;

/// What an inode is.
#[derive(Clone, Debug)]
pub(super) enum Kind {
    Folder {
        names: Names,
        synced: Names,
    },
    File {
        bytes: Arc<Vec<u8>>,
        synced: Arc<Vec<u8>>,
    },
    Link(PathBuf),
    /// A socket or a pipe: the kernel keeps what is behind it.
    Other(fuser::FileType),
}

impl Kind {
    pub(super) fn folder() -> Kind {
        Kind::Folder { names: Names::new(), synced: Names::new() }
    }

    pub(super) fn file() -> Kind {
        Kind::File { bytes: Arc::default(), synced: Arc::default() }
    }
}

/// A file or folder. Owner, mode and time are taken as lasting: nothing here depends on them.
#[derive(Clone, Debug)]
pub(super) struct Inode {
    pub(super) kind: Kind,
    pub(super) mode: u16,
    pub(super) owner: (u32, u32),
    pub(super) changed: SystemTime,
    /// Names that it has now.
    pub(super) links: u32,
    /// How often the kernel was told of it and has not forgotten it.
    known: u64,
}

/// What a rename does with a name that exists already.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Clash {
    Replace,
    Refuse,
    Exchange,
}

/// A whole file system.
#[derive(Clone, Debug)]
pub(super) struct Tree {
    inodes: BTreeMap<u64, Inode>,
    next: u64,
    forgotten: usize,
}

impl Tree {
    /// An empty one.
    pub(super) fn new() -> Tree {
        let mut tree = Tree { inodes: BTreeMap::new(), next: ROOT, forgotten: 0 };
        tree.insert(Kind::folder(), 0o755, (0, 0));
        tree
    }

    fn insert(&mut self, kind: Kind, mode: u16, owner: (u32, u32)) -> u64 {
        let number = self.next;
        self.inodes.insert(number, Inode { kind, mode, owner, changed: SystemTime::now(), links: 1, known: 0 });
        self.next += 1;
        number
    }

    pub(super) fn get(&self, number: u64) -> Result<&Inode, Errno> {
        self.inodes.get(&number).ok_or(Errno::NOENT)
    }

    pub(super) fn get_mut(&mut self, number: u64) -> Result<&mut Inode, Errno> {
        self.inodes.get_mut(&number).ok_or(Errno::NOENT)
    }

    pub(super) fn names(&self, folder: u64) -> Result<&Names, Errno> {
        match &self.get(folder)?.kind {
            Kind::Folder { names, .. } => Ok(names),
            _ => Err(Errno::NOTDIR),
        }
    }

    fn names_mut(&mut self, folder: u64) -> Result<&mut Names, Errno> {
        let inode = self.get_mut(folder)?;
        inode.changed = SystemTime::now();
        match &mut inode.kind {
            Kind::Folder { names, .. } => Ok(names),
            _ => Err(Errno::NOTDIR),
        }
    }

    pub(super) fn find(&self, folder: u64, name: &OsStr) -> Result<u64, Errno> {
        self.names(folder)?.get(name).copied().ok_or(Errno::NOENT)
    }

    /// Something new under a name that was free.
    pub(super) fn add(&mut self, (folder, name): (u64, &OsStr), kind: Kind, mode: u16, owner: (u32, u32)) -> Result<u64, Errno> {
        if self.find(folder, name).is_ok() {
            return Err(Errno::EXIST);
        }
        let number = self.insert(kind, mode, owner);
        self.names_mut(folder)?.insert(name.to_owned(), number);
        Ok(number)
    }

    /// A further name of a file.
    pub(super) fn link(&mut self, number: u64, (folder, name): (u64, &OsStr)) -> Result<(), Errno> {
        if self.find(folder, name).is_ok() {
            return Err(Errno::EXIST);
        }
        self.get_mut(number)?.links += 1;
        self.names_mut(folder)?.insert(name.to_owned(), number);
        Ok(())
    }

    /// Takes a name away; a folder's only if it is empty.
    pub(super) fn remove(&mut self, (folder, name): (u64, &OsStr)) -> Result<(), Errno> {
        let number = self.find(folder, name)?;
        if self.names(number).is_ok_and(|names| !names.is_empty()) {
            return Err(Errno::NOTEMPTY);
        }
        self.names_mut(folder)?.remove(name);
        self.get_mut(number)?.links -= 1;
        Ok(())
    }

    pub(super) fn rename(&mut self, from: (u64, &OsStr), to: (u64, &OsStr), clash: Clash) -> Result<(), Errno> {
        let number = self.find(from.0, from.1)?;
        match (self.find(to.0, to.1), clash) {
            (Ok(_), Clash::Refuse) => return Err(Errno::EXIST),
            (Ok(other), Clash::Exchange) => {
                self.names_mut(from.0)?.insert(from.1.to_owned(), other);
                self.names_mut(to.0)?.insert(to.1.to_owned(), number);
                return Ok(());
            }
            (Err(_), Clash::Exchange) => return Err(Errno::NOENT),
            // Two names of the same file: rename(2) does nothing.
            (Ok(other), Clash::Replace) if other == number => return Ok(()),
            (Ok(_), Clash::Replace) => self.remove(to)?,
            (Err(_), _) => {}
        }
        self.names_mut(from.0)?.remove(from.1);
        self.names_mut(to.0)?.insert(to.1.to_owned(), number);
        Ok(())
    }

    pub(super) fn read(&self, number: u64, offset: u64, size: u32) -> Result<&[u8], Errno> {
        let Kind::File { bytes, .. } = &self.get(number)?.kind else { return Err(Errno::ISDIR) };
        let begin = bytes.len().min(offset as usize);
        Ok(&bytes[begin..bytes.len().min(begin + size as usize)])
    }

    fn bytes(&mut self, number: u64) -> Result<&mut Vec<u8>, Errno> {
        let inode = self.get_mut(number)?;
        inode.changed = SystemTime::now();
        let Kind::File { bytes, .. } = &mut inode.kind else { return Err(Errno::ISDIR) };
        Ok(Arc::make_mut(bytes))
    }

    pub(super) fn write(&mut self, number: u64, offset: u64, piece: &[u8]) -> Result<(), Errno> {
        let bytes = self.bytes(number)?;
        let begin = offset as usize;
        bytes.resize(bytes.len().max(begin + piece.len()), 0);
        bytes[begin..begin + piece.len()].copy_from_slice(piece);
        Ok(())
    }

    pub(super) fn resize(&mut self, number: u64, length: u64) -> Result<(), Errno> {
        self.bytes(number)?.resize(length as usize, 0);
        Ok(())
    }

    /// fsync of a file or of a folder: what it holds now lasts.
    pub(super) fn sync(&mut self, number: u64) -> Result<(), Errno> {
        match &mut self.get_mut(number)?.kind {
            Kind::Folder { names, synced } => synced.clone_from(names),
            Kind::File { bytes, synced } => *synced = bytes.clone(),
            Kind::Link(_) | Kind::Other(_) => {}
        }
        Ok(())
    }

    /// Syncs everything, as a kernel does by itself after half a minute.
    pub(super) fn settle(&mut self) {
        for number in self.inodes.keys().copied().collect::<Vec<_>>() {
            let _ = self.sync(number);
        }
    }

    /// What is left when the power goes now.
    pub(super) fn after_power_cut(&self) -> Tree {
        let mut left = self.clone();
        for inode in left.inodes.values_mut() {
            (inode.links, inode.known) = (0, 0);
            match &mut inode.kind {
                Kind::Folder { names, synced } => names.clone_from(synced),
                Kind::File { bytes, synced } => *bytes = synced.clone(),
                Kind::Link(_) | Kind::Other(_) => {}
            }
        }
        left.sweep();
        let named: Vec<u64> =
            left.inodes.keys().filter_map(|n| left.names(*n).ok()).flat_map(BTreeMap::values).copied().collect();
        for number in named.into_iter().chain([ROOT]) {
            left.inodes.entry(number).and_modify(|inode| inode.links += 1);
        }
        left
    }

    /// The kernel was told of it once more.
    pub(super) fn known(&mut self, number: u64) {
        self.inodes.entry(number).and_modify(|inode| inode.known += 1);
    }

    /// The kernel forgets so many of these.
    pub(super) fn forget(&mut self, number: u64, times: u64) {
        self.inodes.entry(number).and_modify(|inode| inode.known = inode.known.saturating_sub(times));
        self.forgotten += 1;
        if self.forgotten >= SWEEP_AFTER {
            self.sweep();
        }
    }

    /// Drops what neither a name, a synced name nor the kernel leads to.
    fn sweep(&mut self) {
        self.forgotten = 0;
        let known = self.inodes.iter().filter(|(_, inode)| inode.known > 0).map(|(number, _)| *number);
        let (mut looking, mut found) = (known.chain([ROOT]).collect::<Vec<_>>(), BTreeSet::new());
        while let Some(number) = looking.pop() {
            if found.insert(number)
                && let Ok(Inode { kind: Kind::Folder { names, synced }, .. }) = self.get(number)
            {
                looking.extend(names.values().chain(synced.values()));
            }
        }
        self.inodes.retain(|number, _| found.contains(number));
    }
}
