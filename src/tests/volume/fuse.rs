//! The tree as the kernel's FUSE client asks for it, in the weather that is chosen. Knows no test.

use super::{
    tree::{Clash, Inode, Kind, Tree},
    weather::Weather,
};
use fuser::{
    Errno, FileAttr, FileHandle, FileType, Filesystem, FopenFlags, Generation, INodeNo, LockOwner, OpenFlags, RenameFlags,
    ReplyAttr, ReplyCreate, ReplyData, ReplyDirectory, ReplyEmpty, ReplyEntry, ReplyOpen, ReplyStatfs, ReplyWrite, Request,
    TimeOrNow, WriteFlags,
};
use rustix::io::Errno as System;
use std::{
    ffi::OsStr,
    path::Path,
    sync::{Arc, Mutex, MutexGuard},
    time::{Duration, SystemTime},
};

/// How long the kernel may keep what it was told: nobody else changes anything.
const KEEP: Duration = Duration::from_secs(60);
const BLOCK: u32 = 4096;
/// Blocks free, whatever is written: 1 TiB. A quota does not show here either.
const FREE: u64 = 1 << 28;
/// O_DSYNC, which O_SYNC contains.
const DSYNC: i32 = rustix::fs::OFlags::DSYNC.bits().cast_signed();

/// One mount; a power cut ends it.
#[derive(Clone, Debug)]
pub(super) struct Served(pub(super) Arc<Mutex<State>>);

#[derive(Debug)]
pub(super) struct State {
    pub(super) tree: Tree,
    pub(super) weather: Weather,
}

type Found<T> = Result<T, Errno>;

impl Served {
    pub(super) fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap()
    }
}

impl State {
    /// The inode as the kernel is told of it, once more.
    fn told(&mut self, number: u64) -> Found<FileAttr> {
        let attributes = attributes(number, self.tree.get(number).map_err(code)?);
        self.tree.known(number);
        Ok(attributes)
    }

    fn add(&mut self, request: &Request, at: (u64, &OsStr), kind: Kind, mode: u32) -> Found<FileAttr> {
        self.weather.write()?;
        let number = self.tree.add(at, kind, (mode & 0o7777) as u16, (request.uid(), request.gid())).map_err(code)?;
        self.told(number)
    }

    fn resize(&mut self, number: u64, length: u64) -> Found<()> {
        let grows = matches!(&self.tree.get(number).map_err(code)?.kind, Kind::File { bytes, .. } if length > bytes.len() as u64);
        if grows {
            self.weather.write()?
        } else {
            self.weather.change()?
        }
        self.tree.resize(number, length).map_err(code)
    }
}

fn code(errno: System) -> Errno {
    Errno::from_i32(errno.raw_os_error())
}

fn kind(inode: &Inode) -> FileType {
    match inode.kind {
        Kind::Folder { .. } => FileType::Directory,
        Kind::File { .. } => FileType::RegularFile,
        Kind::Link(_) => FileType::Symlink,
        Kind::Other(kind) => kind,
    }
}

fn attributes(number: u64, inode: &Inode) -> FileAttr {
    let size = match &inode.kind {
        Kind::File { bytes, .. } => bytes.len() as u64,
        Kind::Link(target) => target.as_os_str().len() as u64,
        Kind::Folder { .. } | Kind::Other(_) => 0,
    };
    FileAttr {
        ino: INodeNo(number),
        size,
        blocks: size.div_ceil(512),
        atime: inode.changed,
        mtime: inode.changed,
        ctime: inode.changed,
        crtime: inode.changed,
        kind: kind(inode),
        perm: inode.mode,
        nlink: inode.links,
        uid: inode.owner.0,
        gid: inode.owner.1,
        rdev: 0,
        blksize: BLOCK,
        flags: 0,
    }
}

fn entry(reply: ReplyEntry, found: Found<FileAttr>) {
    match found {
        Ok(attributes) => reply.entry(&KEEP, &attributes, Generation(0)),
        Err(error) => reply.error(error),
    }
}

fn empty(reply: ReplyEmpty, done: Found<()>) {
    match done {
        Ok(()) => reply.ok(),
        Err(error) => reply.error(error),
    }
}

impl Filesystem for Served {
    fn lookup(&self, _request: &Request, parent: INodeNo, name: &OsStr, reply: ReplyEntry) {
        let mut state = self.state();
        let found = state.tree.find(parent.0, name).map_err(code);
        entry(reply, found.and_then(|number| state.told(number)));
    }

    fn forget(&self, _request: &Request, number: INodeNo, times: u64) {
        self.state().tree.forget(number.0, times);
    }

    fn getattr(&self, _request: &Request, number: INodeNo, _handle: Option<FileHandle>, reply: ReplyAttr) {
        match self.state().tree.get(number.0) {
            Ok(inode) => reply.attr(&KEEP, &attributes(number.0, inode)),
            Err(error) => reply.error(code(error)),
        }
    }

    #[allow(clippy::too_many_arguments, reason = "the trait's")]
    fn setattr(
        &self,
        _request: &Request,
        number: INodeNo,
        mode: Option<u32>,
        uid: Option<u32>,
        gid: Option<u32>,
        size: Option<u64>,
        _atime: Option<TimeOrNow>,
        mtime: Option<TimeOrNow>,
        _ctime: Option<SystemTime>,
        _handle: Option<FileHandle>,
        _crtime: Option<SystemTime>,
        _chgtime: Option<SystemTime>,
        _bkuptime: Option<SystemTime>,
        _flags: Option<fuser::BsdFileFlags>,
        reply: ReplyAttr,
    ) {
        let mut state = self.state();
        let mut change = || {
            if let Some(length) = size {
                state.resize(number.0, length)?;
            }
            let inode = state.tree.get_mut(number.0).map_err(code)?;
            inode.mode = mode.map_or(inode.mode, |mode| (mode & 0o7777) as u16);
            inode.owner = (uid.unwrap_or(inode.owner.0), gid.unwrap_or(inode.owner.1));
            match mtime {
                Some(TimeOrNow::SpecificTime(time)) => inode.changed = time,
                Some(TimeOrNow::Now) => inode.changed = SystemTime::now(),
                None => {}
            }
            Ok(attributes(number.0, inode))
        };
        match change() {
            Ok(attributes) => reply.attr(&KEEP, &attributes),
            Err(error) => reply.error(error),
        }
    }

    fn readlink(&self, _request: &Request, number: INodeNo, reply: ReplyData) {
        match self.state().tree.get(number.0) {
            Ok(Inode { kind: Kind::Link(target), .. }) => reply.data(target.as_os_str().as_encoded_bytes()),
            _ => reply.error(Errno::EINVAL),
        }
    }

    #[allow(clippy::too_many_arguments, reason = "the trait's")]
    fn mknod(&self, request: &Request, parent: INodeNo, name: &OsStr, mode: u32, umask: u32, _rdev: u32, reply: ReplyEntry) {
        let kind = match rustix::fs::FileType::from_raw_mode(mode) {
            rustix::fs::FileType::RegularFile => Kind::file(),
            rustix::fs::FileType::Socket => Kind::Other(FileType::Socket),
            rustix::fs::FileType::Fifo => Kind::Other(FileType::NamedPipe),
            _ => return reply.error(Errno::EPERM),
        };
        entry(reply, self.state().add(request, (parent.0, name), kind, mode & !umask));
    }

    fn mkdir(&self, request: &Request, parent: INodeNo, name: &OsStr, mode: u32, umask: u32, reply: ReplyEntry) {
        entry(reply, self.state().add(request, (parent.0, name), Kind::folder(), mode & !umask));
    }

    fn symlink(&self, request: &Request, parent: INodeNo, name: &OsStr, target: &Path, reply: ReplyEntry) {
        entry(reply, self.state().add(request, (parent.0, name), Kind::Link(target.to_owned()), 0o777));
    }

    fn unlink(&self, _request: &Request, parent: INodeNo, name: &OsStr, reply: ReplyEmpty) {
        let mut state = self.state();
        let allowed = state.weather.change();
        empty(reply, allowed.and_then(|()| state.tree.remove((parent.0, name)).map_err(code)));
    }

    fn rmdir(&self, request: &Request, parent: INodeNo, name: &OsStr, reply: ReplyEmpty) {
        self.unlink(request, parent, name, reply);
    }

    #[allow(clippy::too_many_arguments, reason = "the trait's")]
    fn rename(
        &self,
        _request: &Request,
        parent: INodeNo,
        name: &OsStr,
        to: INodeNo,
        to_name: &OsStr,
        flags: RenameFlags,
        reply: ReplyEmpty,
    ) {
        let mut state = self.state();
        let clash = match flags {
            f if f.contains(RenameFlags::RENAME_NOREPLACE) => Clash::Refuse,
            f if f.contains(RenameFlags::RENAME_EXCHANGE) => Clash::Exchange,
            _ => Clash::Replace,
        };
        let allowed = state.weather.change();
        empty(reply, allowed.and_then(|()| state.tree.rename((parent.0, name), (to.0, to_name), clash).map_err(code)));
    }

    fn link(&self, _request: &Request, number: INodeNo, parent: INodeNo, name: &OsStr, reply: ReplyEntry) {
        let mut state = self.state();
        let linked = state.weather.write().and_then(|()| state.tree.link(number.0, (parent.0, name)).map_err(code));
        entry(reply, linked.and_then(|()| state.told(number.0)));
    }

    fn open(&self, _request: &Request, number: INodeNo, _flags: OpenFlags, reply: ReplyOpen) {
        match self.state().tree.get(number.0) {
            Ok(_) => reply.opened(FileHandle(0), FopenFlags::empty()),
            Err(error) => reply.error(code(error)),
        }
    }

    #[allow(clippy::too_many_arguments, reason = "the trait's")]
    fn create(&self, request: &Request, parent: INodeNo, name: &OsStr, mode: u32, umask: u32, _flags: i32, reply: ReplyCreate) {
        match self.state().add(request, (parent.0, name), Kind::file(), mode & !umask) {
            Ok(attributes) => reply.created(&KEEP, &attributes, Generation(0), FileHandle(0), FopenFlags::empty()),
            Err(error) => reply.error(error),
        }
    }

    #[allow(clippy::too_many_arguments, reason = "the trait's")]
    fn read(
        &self,
        _request: &Request,
        number: INodeNo,
        _handle: FileHandle,
        offset: u64,
        size: u32,
        _flags: OpenFlags,
        _owner: Option<LockOwner>,
        reply: ReplyData,
    ) {
        match self.state().tree.read(number.0, offset, size) {
            Ok(piece) => reply.data(piece),
            Err(error) => reply.error(code(error)),
        }
    }

    #[allow(clippy::too_many_arguments, reason = "the trait's")]
    fn write(
        &self,
        _request: &Request,
        number: INodeNo,
        _handle: FileHandle,
        offset: u64,
        piece: &[u8],
        _how: WriteFlags,
        flags: OpenFlags,
        _owner: Option<LockOwner>,
        reply: ReplyWrite,
    ) {
        let mut state = self.state();
        let mut written = state.weather.write().and_then(|()| state.tree.write(number.0, offset, piece).map_err(code));
        if written.is_ok() && flags.0 & DSYNC != 0 {
            written = state.tree.sync(number.0).map_err(code);
        }
        match written {
            Ok(()) => reply.written(piece.len() as u32),
            Err(error) => reply.error(error),
        }
    }

    fn flush(&self, _request: &Request, _number: INodeNo, _handle: FileHandle, _owner: LockOwner, reply: ReplyEmpty) {
        reply.ok();
    }

    fn fsync(&self, _request: &Request, number: INodeNo, _handle: FileHandle, _data_only: bool, reply: ReplyEmpty) {
        let mut state = self.state();
        let allowed = state.weather.change();
        empty(reply, allowed.and_then(|()| state.tree.sync(number.0).map_err(code)));
    }

    fn fsyncdir(&self, request: &Request, number: INodeNo, handle: FileHandle, data_only: bool, reply: ReplyEmpty) {
        self.fsync(request, number, handle, data_only, reply);
    }

    fn readdir(&self, _request: &Request, number: INodeNo, _handle: FileHandle, offset: u64, mut reply: ReplyDirectory) {
        let state = self.state();
        let names = match state.tree.names(number.0) {
            Ok(names) => names,
            Err(error) => return reply.error(code(error)),
        };
        // Offsets are inode numbers, so that a name removed between two calls shifts nothing.
        let mut entries: Vec<_> = names.iter().filter(|(_, n)| **n > offset).collect();
        entries.sort_by_key(|(_, n)| **n);
        for (name, inode) in entries {
            let kind = state.tree.get(*inode).map_or(FileType::RegularFile, kind);
            if reply.add(INodeNo(*inode), *inode, kind, name) {
                break;
            }
        }
        reply.ok();
    }

    fn statfs(&self, _request: &Request, _number: INodeNo, reply: ReplyStatfs) {
        reply.statfs(2 * FREE, FREE, FREE, FREE, FREE, BLOCK, 255, BLOCK);
    }
}
