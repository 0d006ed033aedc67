//! The switches of libgit2 that hold for the whole process, set once before its first use. Knows no
//! repository.
#![allow(unsafe_code)]

use crate::{Fault, LARGEST_FILE, streams};
use git2::{ConfigLevel, opts};
use libgit2_sys::{self as sys, git_libgit2_opts};
use std::{
    ffi::{CString, c_int},
    os::unix::ffi::OsStrExt,
    path::{Path, PathBuf},
    sync::{LazyLock, OnceLock},
};

/// Most objects that one pack may hold: their table lies in memory.
const OBJECTS: usize = 5_000_000;

/// Sets the switches, at the first call; later calls cost nothing. Every entry of this crate calls it.
pub(crate) fn prepare() -> Result<(), Fault> {
    static DONE: OnceLock<Result<(), String>> = OnceLock::new();
    DONE.get_or_init(|| switches().map_err(|e| e.message().to_owned())).clone().map_err(Fault::Git)
}

fn switches() -> Result<(), git2::Error> {
    sys::init();
    // Nothing of the user's or the machine's git configuration is read: an odd one must not change what a sync does.
    for level in [ConfigLevel::System, ConfigLevel::Global, ConfigLevel::XDG, ConfigLevel::ProgramData] {
        // SAFETY: libgit2 copies the text into its own table. Nobody reads that table meanwhile: this runs once, before any
        // other use of libgit2 in this process, as no other crate names it.
        unsafe { opts::set_search_path(level, "")? };
    }
    // SAFETY: as above. libgit2's own check asks that the folder is ours because git runs programs named in a repository's
    // configuration. libgit2 runs none and that configuration is not honoured here (see `repository.rs`), which looks at the owner by
    // a rule that fits network volumes.
    unsafe { opts::set_verify_owner_validation(false)? };
    opts::strict_hash_verification(true);
    let home = CString::new(HOME.as_os_str().as_bytes())?;
    // SAFETY: as above. Each option is given what its documentation names: an int, two sizes, and a C string that is copied.
    unsafe {
        done(git_libgit2_opts(sys::GIT_OPT_ENABLE_FSYNC_GITDIR as c_int, 1 as c_int))?;
        // A delta may unfold to no more than the largest file.
        done(git_libgit2_opts(sys::GIT_OPT_SET_PACK_MAX_OBJECT_SIZE as c_int, LARGEST_FILE as usize))?;
        done(git_libgit2_opts(sys::GIT_OPT_SET_PACK_MAX_OBJECTS as c_int, OBJECTS))?;
        done(git_libgit2_opts(sys::GIT_OPT_SET_HOMEDIR as c_int, home.as_ptr()))?;
    }
    streams::register()
}

fn done(code: c_int) -> Result<(), git2::Error> {
    if code < 0 { Err(git2::Error::last_error(code)) } else { Ok(()) }
}

/// What libgit2 takes for the home: a name that nobody else has. It exists only while an ssh connection is made (`preference.rs`).
static HOME: LazyLock<PathBuf> = LazyLock::new(|| std::env::temp_dir().join(format!("easel-git-{}", crate::random())));

/// See [`HOME`].
pub(crate) fn home() -> &'static Path {
    HOME.as_path()
}
