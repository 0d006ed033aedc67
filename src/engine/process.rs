//! What the engine asks of the operating system for itself: the stream that it inherited, and its memory back.
//! Knows no protocol.
#![allow(unsafe_code)]

use std::{
    io,
    os::{
        fd::{BorrowedFd, FromRawFd as _, OwnedFd, RawFd},
        unix::net::UnixStream,
    },
};

/// The descriptor on which the panel leaves the engine its end of a socket pair.
pub const STREAM: RawFd = 3;

/// The inherited stream. To be called once, before anything else opens a file.
///
/// # Errors
/// Where descriptor 3 is no socket: the engine was not started by a panel.
pub fn inherited_stream() -> io::Result<UnixStream> {
    // SAFETY: borrowed only to ask what it is; asking about a closed descriptor is an error, not harm.
    let asked = unsafe { BorrowedFd::borrow_raw(STREAM) };
    let stat = rustix::fs::fstat(asked)?;
    if rustix::fs::FileType::from_raw_mode(stat.st_mode) != rustix::fs::FileType::Socket {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "descriptor 3 is no socket"));
    }
    rustix::io::fcntl_setfd(asked, rustix::io::FdFlags::CLOEXEC)?;
    // SAFETY: the descriptor is open, and as this is called once and first, nothing else in the process owns it.
    Ok(UnixStream::from(unsafe { OwnedFd::from_raw_fd(STREAM) }))
}

/// Gives freed memory back to the system, which the allocator otherwise keeps for later.
pub fn trim() {
    #[cfg(target_env = "gnu")]
    {
        unsafe extern "C" {
            fn malloc_trim(pad: usize) -> i32;
        }
        // SAFETY: a function of glibc without preconditions, safe beside other threads that allocate.
        unsafe { malloc_trim(0) };
    }
}
