//! What the guardian does with descriptors and in its child before exec. Knows no message.

#![allow(unsafe_code)]

use super::{STREAM, Ward};
use rustix::{
    fd::{BorrowedFd, FromRawFd as _, OwnedFd},
    io::{FdFlags, dup2, fcntl_getfd, fcntl_setfd},
    process::{Pid, ioctl_tiocsctty, setsid},
};
use std::{
    io,
    os::unix::process::CommandExt as _,
    process::{Child, Command},
};

/// The last signal that is nobody's own: those after it belong to the C library.
const LAST_SIGNAL: i32 = 31;

/// Takes a descriptor that the panel gave. It is not passed on.
pub(super) fn inherited(number: i32) -> io::Result<OwnedFd> {
    // SAFETY: the descriptor is looked at before it is owned, and each number is taken once, at the start.
    let fd = unsafe { OwnedFd::from_raw_fd(number) };
    if let Err(e) = fcntl_getfd(&fd) {
        // Not open: nothing to close either.
        std::mem::forget(fd);
        return Err(io::Error::other(format!("a guardian is started by the panel: descriptor {number}: {e}")));
    }
    fcntl_setfd(&fd, FdFlags::CLOEXEC)?;
    Ok(fd)
}

/// Whatever else this process was given by whoever started the panel is not passed on either.
fn keep_to_ourselves() {
    for entry in std::fs::read_dir("/proc/self/fd").into_iter().flatten().flatten() {
        let number = entry.file_name().to_str().and_then(|name| name.parse::<i32>().ok());
        if let Some(number) = number.filter(|n| *n > 2) {
            // SAFETY: it is open now, or was the listing's own; a number that is closed is refused by the call.
            let _ = fcntl_setfd(unsafe { BorrowedFd::borrow_raw(number) }, FdFlags::CLOEXEC);
        }
    }
}

/// Starts the ward as leader of a session of its own, with no signal ignored: a panel that was started with nohup, or
/// behind a shell, ignores some, and a key pressed in a terminal must reach what runs in it.
pub(super) fn start(ward: &Ward) -> io::Result<Pid> {
    let Some((program, args)) = ward.command.split_first() else {
        return Err(io::Error::other("nothing to run"));
    };
    let stream = if ward.stream { Some(inherited(STREAM)?) } else { None };
    keep_to_ourselves();
    #[allow(clippy::disallowed_methods, reason = "a guardian is the parent of what it guards")]
    let mut command = Command::new(program);
    command.args(args);
    if let Some((uid, gid)) = ward.user {
        command.uid(uid).gid(gid);
    }
    let terminal = ward.terminal;
    let in_child = move || {
        setsid()?;
        for signal in 1..=LAST_SIGNAL {
            // SAFETY: sets a disposition and nothing else. KILL and STOP have none, and are refused.
            let _ = unsafe { libc::signal(signal, libc::SIG_DFL) };
        }
        if terminal {
            // SAFETY: standard input of a child is open, and is not closed before exec.
            ioctl_tiocsctty(unsafe { BorrowedFd::borrow_raw(0) })?;
        }
        if let Some(stream) = &stream {
            // SAFETY: descriptor 3 is the guardian's control socket, which closes on exec; it is replaced in the child
            // alone. The value is forgotten below, so nothing closes the new descriptor.
            let mut target = unsafe { OwnedFd::from_raw_fd(super::CONTROL) };
            let done = dup2(stream, &mut target);
            std::mem::forget(target);
            done?;
        }
        Ok(())
    };
    // SAFETY: the closure makes plain system calls on values made before the fork; it allocates and locks nothing.
    unsafe { command.pre_exec(in_child) };
    let child: Child = command.spawn().map_err(|e| io::Error::new(e.kind(), format!("{}: {e}", program.display())))?;
    // Reaped by `wait` like every other descendant.
    Pid::from_raw(child.id().cast_signed()).ok_or_else(|| io::Error::other("a process without a number"))
}
