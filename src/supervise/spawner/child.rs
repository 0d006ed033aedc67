//! What happens in a child between fork and exec, and the sockets that it is given. Knows no message.

#![allow(unsafe_code)]

use crate::Launch;
use rustix::{
    fd::{FromRawFd as _, OwnedFd},
    io::{dup2, fcntl_dupfd_cloexec},
    net::{AddressFamily, SocketFlags, SocketType, socketpair},
    process::{getpid, getppid, nice, set_parent_process_death_signal, setsid},
};
use std::io;
use tokio::{net::UnixStream, process::Command};

/// The descriptor of a child's stream.
const STREAM: i32 = 3;
/// Descriptors from here on are nobody's target below.
const ABOVE: i32 = 10;

/// Two ends of a stream: ours for the runtime, theirs for a child.
pub(super) fn pair() -> io::Result<(UnixStream, OwnedFd)> {
    let (ours, theirs) = socketpair(AddressFamily::UNIX, SocketType::STREAM, SocketFlags::CLOEXEC, None)?;
    let ours = std::os::unix::net::UnixStream::from(ours);
    ours.set_nonblocking(true)?;
    // Out of the way of the numbers that are given out, so that one gift never overwrites another.
    Ok((UnixStream::from_std(ours)?, fcntl_dupfd_cloexec(&theirs, ABOVE)?))
}

/// Sets the child's priority, its end with ours, and its stream. Returns our end of the stream.
pub(super) fn prepare(command: &mut Command, launch: &Launch) -> io::Result<Option<UnixStream>> {
    let (ours, theirs) = if launch.stream { pair().map(|(ours, theirs)| (Some(ours), Some(theirs)))? } else { (None, None) };
    let increment = i32::from(launch.nice);
    let parent = getpid();
    let in_child = move || {
        if increment > 0 {
            nice(increment)?;
        }
        set_parent_process_death_signal(Some(rustix::process::Signal::KILL))?;
        if getppid() != Some(parent) {
            // The parent died before the line above, so no signal will come.
            return Err(io::Error::from(rustix::io::Errno::SRCH));
        }
        theirs.as_ref().map_or(Ok(()), |theirs| place(theirs, STREAM))
    };
    // SAFETY: between fork and exec only async-signal-safe calls are allowed. The closure makes plain
    // system calls on values made before the fork, and allocates nothing, locks nothing.
    unsafe { command.pre_exec(in_child) };
    Ok(ours)
}

/// Gives a guardian its sockets, in the order of their numbers from 3 on, and a session of its own: a key pressed at the
/// panel's terminal is not meant for it. It must outlive the panel for a moment, so it asks for no signal at its death.
pub(super) fn prepare_guardian(command: &mut Command, sockets: Vec<OwnedFd>, increment: i32) {
    let in_child = move || {
        setsid()?;
        if increment > 0 {
            nice(increment)?;
        }
        for (socket, number) in sockets.iter().zip(STREAM..) {
            place(socket, number)?;
        }
        Ok(())
    };
    // SAFETY: as above: plain system calls on values made before the fork.
    unsafe { command.pre_exec(in_child) };
}

/// Makes `end` the child's descriptor of this number.
fn place(end: &OwnedFd, number: i32) -> io::Result<()> {
    // SAFETY: whatever had this number in the parent is closed on exec or replaced here, in the child alone; the
    // value is forgotten below, so nothing closes the new descriptor.
    let mut target = unsafe { OwnedFd::from_raw_fd(number) };
    let done = dup2(end, &mut target);
    std::mem::forget(target);
    Ok(done?)
}
