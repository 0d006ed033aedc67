//! Everything that can go wrong, each with what, where and what to do about it. Knows how libgit2 words its errors; decides nothing.

use crate::{BadAddress, HostKey};
use std::{io, path::PathBuf};

/// Why something was not done. No variant holds a secret.
#[derive(Debug, thiserror::Error)]
pub enum Fault {
    /// The address is refused.
    #[error(transparent)]
    Address(BadAddress),
    /// Another sync of the same folder is at work.
    #[error("{0} is being changed already: wait until that is done")]
    Busy(PathBuf),
    /// Something stands where the repository should.
    #[error("{path} was not made by Easel ({found}): move it away, or choose another path")]
    NotOurs {
        /// The folder.
        path: PathBuf,
        /// What is wrong with it.
        found: String,
    },
    /// The folder holds another repository.
    #[error("{path} comes from {has}, not from {wanted}: move the folder away, and the next sync makes it anew")]
    OtherOrigin {
        /// The folder.
        path: PathBuf,
        /// Address and branch that it was made from.
        has: String,
        /// Address and branch that are asked for.
        wanted: String,
    },
    /// The host could not be reached, or the connection broke.
    #[error("{host} cannot be reached: {detail}")]
    Unreachable {
        /// The host.
        host: String,
        /// What the system said.
        detail: String,
    },
    /// The host's certificate does not convince.
    #[error("the certificate of {host} is refused: {detail}")]
    Certificate {
        /// The host.
        host: String,
        /// What is wrong with it.
        detail: String,
    },
    /// The ssh host has never been seen.
    #[error(
        "the ssh host {} is not known: it shows the {} key {}. Compare that with what the host's owner publishes, and pin it if it is \
         the same", .0.host, .0.kind, .0.fingerprint
    )]
    UnknownHost(HostKey),
    /// The ssh host shows another key than the pinned one.
    #[error(
        "the ssh host {} has CHANGED its key: it shows the {} key {}, pinned is {pinned}. Somebody may be listening in. Nothing was \
         fetched; pin the new key only if the host's owner confirms it", .shown.host, .shown.kind, .shown.fingerprint
    )]
    ChangedHost {
        /// What it shows now.
        shown: HostKey,
        /// Fingerprints of the keys that are pinned.
        pinned: String,
    },
    /// The remote does not let us in.
    #[error("{host} refuses access: {detail}")]
    Denied {
        /// The host.
        host: String,
        /// What was tried, and what to do.
        detail: String,
    },
    /// The remote has no such repository, or shows none.
    #[error("{0} is not found: check the address, and whether it is private")]
    NoRepository(String),
    /// The remote has no such branch.
    #[error("the remote has no branch \"{0}\"")]
    NoBranch(String),
    /// The remote said nothing for too long.
    #[error("{host} said nothing for {seconds} s")]
    Stalled {
        /// The host.
        host: String,
        /// The limit.
        seconds: u64,
    },
    /// The whole took too long.
    #[error("the sync took longer than {0} s")]
    TimedOut(u64),
    /// The caller said stop.
    #[error("cancelled")]
    Cancelled,
    /// A limit is exceeded.
    #[error("{what} is over the limit of {limit}")]
    TooLarge {
        /// What is too large.
        what: String,
        /// The limit, with its unit.
        limit: String,
    },
    /// The commit holds something that must not be written to a disk.
    #[error("the commit is refused: {path} {problem}")]
    Hostile {
        /// The path inside the commit.
        path: String,
        /// What is wrong with it.
        problem: &'static str,
    },
    /// Something local is in the way and cannot be put aside.
    #[error("{path} is in the way: {problem}. Move it away")]
    InTheWay {
        /// The path below the repository's folder.
        path: String,
        /// What is wrong with it.
        problem: String,
    },
    /// A file changed while another version of it was to take its place.
    #[error("somebody is writing {0} now: sync again when that is done. Nothing of it is lost")]
    BeingWritten(String),
    /// The `.ssh` folder is not usable.
    #[error("{path}: {problem}")]
    Keys {
        /// The file or folder.
        path: PathBuf,
        /// What is wrong with it, and what to do.
        problem: String,
    },
    /// The commit is not one that can be gone to.
    #[error("{0} is not a commit of this branch")]
    NoCommit(String),
    /// The disk or the quota is full.
    #[error("no space left: {0}")]
    DiskFull(String),
    /// The file system refuses something.
    #[error("{what}: {error}")]
    Io {
        /// What was tried.
        what: String,
        /// What the system said.
        error: io::Error,
    },
    /// What libgit2 said and this crate has no better word for.
    #[error("git: {0}")]
    Git(String),
}

impl Fault {
    /// A failure of the file system, sorted by whether space is the matter.
    pub(crate) fn io(what: impl Into<String>, error: io::Error) -> Fault {
        match error.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => Fault::DiskFull(what.into()),
            _ => Fault::Io { what: what.into(), error },
        }
    }
}

/// Anything of libgit2 that does not speak with a remote.
impl From<git2::Error> for Fault {
    fn from(error: git2::Error) -> Fault {
        if is_full(error.message()) {
            Fault::DiskFull(error.message().to_owned())
        } else {
            Fault::Git(error.message().to_owned())
        }
    }
}

/// libgit2 tells a full disk by the system's words alone.
fn is_full(message: &str) -> bool {
    message.contains("No space left on device") || message.contains("Disk quota exceeded")
}

/// Longest text of a remote that is handed on, in characters.
const SAID: usize = 300;

/// What libgit2 said while it spoke with `host`. `address` is free of secrets, as all addresses are.
pub(crate) fn of_remote(error: &git2::Error, host: &str, address: &str) -> Fault {
    use git2::{ErrorClass, ErrorCode};
    let (class, code) = (error.class(), error.code());
    // Over ssh these are the remote's own words.
    let said: String = error.message().trim().chars().filter(|c| !c.is_control()).take(SAID).collect();
    let missing = ["does not appear to be a git repository", "epository not found", "does not exist"];
    let host = host.to_owned();
    match class {
        _ if is_full(&said) => Fault::DiskFull(said),
        _ if code == ErrorCode::Auth => Fault::Denied { host, detail: said },
        ErrorClass::Ssl => Fault::Certificate { host, detail: said },
        ErrorClass::Ssh | ErrorClass::Net if missing.iter().any(|words| said.contains(words)) => {
            Fault::NoRepository(address.to_owned())
        }
        ErrorClass::Http if said.ends_with("404") => Fault::NoRepository(address.to_owned()),
        ErrorClass::Http if said.ends_with("401") || said.ends_with("403") => Fault::Denied { host, detail: said },
        ErrorClass::Http | ErrorClass::Net | ErrorClass::Os | ErrorClass::Ssh => Fault::Unreachable { host, detail: said },
        _ if code == ErrorCode::Eof => Fault::NoRepository(address.to_owned()),
        _ => Fault::Git(said),
    }
}
