//! How libgit2 is given streams of our own (`tls.rs`): the table of functions of its `sys/stream.h`, which libgit2-sys does not
//! declare. libgit2's own TLS is not used: it waits in system calls that cannot be broken off.
#![allow(unsafe_code)]

use crate::tls::Stream;
use std::{
    ffi::{CStr, c_char, c_int, c_uint, c_void},
    panic::{AssertUnwindSafe, catch_unwind},
    slice,
};

/// `GIT_STREAM_VERSION`. libgit2 refuses a stream or a registration of another version, so a change there is an error here.
const VERSION: c_int = 1;
/// `GIT_STREAM_TLS`.
const TLS: c_uint = 2;
/// The bit field of a `git_stream`: it is encrypted, and knows no proxy.
const ENCRYPTED: c_uint = 1;
const FAILED: c_int = -1;
/// Most bytes of one read; TLS brings them in pieces of 16 KiB.
const READ: usize = 64 << 10;

/// `git_stream`, followed by what is ours.
#[repr(C)]
struct Wrapped {
    version: c_int,
    flags: c_uint,
    timeout: c_int,
    connect_timeout: c_int,
    connect: Option<unsafe extern "C" fn(*mut Wrapped) -> c_int>,
    certificate: Option<unsafe extern "C" fn(*mut *mut c_void, *mut Wrapped) -> c_int>,
    set_proxy: Option<unsafe extern "C" fn(*mut Wrapped, *const c_void) -> c_int>,
    read: Option<unsafe extern "C" fn(*mut Wrapped, *mut c_void, usize) -> isize>,
    write: Option<unsafe extern "C" fn(*mut Wrapped, *const c_char, usize, c_int) -> isize>,
    close: Option<unsafe extern "C" fn(*mut Wrapped) -> c_int>,
    free: Option<unsafe extern "C" fn(*mut Wrapped)>,
    stream: Stream,
}

/// `git_stream_registration`.
#[repr(C)]
struct Registration {
    version: c_int,
    init: Option<unsafe extern "C" fn(*mut *mut Wrapped, *const c_char, *const c_char) -> c_int>,
    wrap: Option<unsafe extern "C" fn(*mut *mut Wrapped, *mut Wrapped, *const c_char) -> c_int>,
}

unsafe extern "C" {
    fn git_stream_register(kind: c_uint, registration: *const Registration) -> c_int;
}

/// Has libgit2 make all its TLS streams here, from now on.
pub(crate) fn register() -> Result<(), git2::Error> {
    // Nothing is wrapped: proxies are not used.
    let registration = Registration { version: VERSION, init: Some(init), wrap: None };
    // SAFETY: libgit2 copies the registration, under a lock of its own. The functions in it keep to `sys/stream.h`.
    let code = unsafe { git_stream_register(TLS, &raw const registration) };
    if code < 0 { Err(git2::Error::last_error(code)) } else { Ok(()) }
}

/// A panic must not reach libgit2: it is a failure there.
fn guarded<T>(failed: T, work: impl FnOnce() -> T) -> T {
    catch_unwind(AssertUnwindSafe(work)).unwrap_or(failed)
}

// SAFETY of all functions below: libgit2 calls them with a stream that `init` made and `free` has not freed, from the one thread that
// the conversation runs on, and with buffers of the sizes that it names.

unsafe extern "C" fn init(out: *mut *mut Wrapped, host: *const c_char, port: *const c_char) -> c_int {
    guarded(FAILED, || {
        // SAFETY: libgit2 gives two C strings.
        let (host, port) = unsafe { (CStr::from_ptr(host), CStr::from_ptr(port)) };
        let (Ok(host), Ok(port)) = (host.to_str(), port.to_str()) else { return FAILED };
        let Some(stream) = Stream::to(host, port) else { return FAILED };
        let wrapped = Box::new(Wrapped {
            version: VERSION,
            flags: ENCRYPTED,
            timeout: 0,
            connect_timeout: 0,
            connect: Some(connect),
            certificate: None,
            set_proxy: None,
            read: Some(read),
            write: Some(write),
            close: Some(close),
            free: Some(free),
            stream,
        });
        // SAFETY: `out` is where libgit2 wants the pointer.
        unsafe { *out = Box::into_raw(wrapped) };
        0
    })
}

unsafe extern "C" fn connect(wrapped: *mut Wrapped) -> c_int {
    // SAFETY: see above.
    let stream = unsafe { &mut (*wrapped).stream };
    guarded(FAILED, || if stream.connect().is_some() { 0 } else { FAILED })
}

unsafe extern "C" fn read(wrapped: *mut Wrapped, bytes: *mut c_void, length: usize) -> isize {
    // SAFETY: see above.
    let stream = unsafe { &mut (*wrapped).stream };
    guarded(FAILED as isize, || {
        // What is in libgit2's memory may never have been written, so it is no slice yet.
        let mut read = vec![0; length.min(READ)];
        let Some(n) = stream.read(&mut read) else { return FAILED as isize };
        // SAFETY: `n` is at most the length of both.
        unsafe { std::ptr::copy_nonoverlapping(read.as_ptr(), bytes.cast::<u8>(), n) };
        n as isize
    })
}

unsafe extern "C" fn write(wrapped: *mut Wrapped, bytes: *const c_char, length: usize, _: c_int) -> isize {
    // SAFETY: see above.
    let (stream, bytes) = unsafe { (&mut (*wrapped).stream, slice::from_raw_parts(bytes.cast::<u8>(), length)) };
    guarded(FAILED as isize, || stream.write(bytes).map_or(FAILED as isize, |n| n as isize))
}

unsafe extern "C" fn close(wrapped: *mut Wrapped) -> c_int {
    // SAFETY: see above.
    let stream = unsafe { &mut (*wrapped).stream };
    guarded(0, || {
        stream.close();
        0
    })
}

unsafe extern "C" fn free(wrapped: *mut Wrapped) {
    guarded((), || {
        // SAFETY: made by `Box::into_raw` in `init`, and libgit2 frees it once.
        drop(unsafe { Box::from_raw(wrapped) });
    });
}
