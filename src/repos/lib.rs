//! Repositories that are kept in step with a remote: cloned, fetched over https or ssh, moved forward and never thrown away. Knows no
//! panel, no HTTP, no SQL and no tools; the only package that names git2.
//!
//! [`sync`](sync()) is the whole of it; it blocks, so it runs on a thread of its own. [`standing`](standing()), [`here`](here()),
//! [`committed`](committed()) and [`history`](history()) look without changing anything and without asking the remote; [`check_out`]
//! goes back, [`accept_rewritten`] takes a history that was rewritten, [`pin`] trusts a host's key once a person has compared it.
//!
//! Beside a repository `x` stands `.x.lock`, and while it is cloned `.x.clone-<random>`. Our notes lie in its `.git/easel`.
//!
//! What must not happen is written where it is prevented:
//!
//! - A host convinces first: `tls.rs` (certificates), `remote.rs`, `hosts.rs` and `ssh.rs` (pinned keys).
//! - Nothing that a stranger committed is written before it was examined: `tree.rs`.
//! - Nothing local is lost: `survey.rs` finds it, `keep.rs` puts it aside.
//! - A kill leaves the old or the new, or a journal: `switch.rs`.
//! - No configuration, hook or filter of a repository, a user or the machine is honoured: `library.rs`, `repository.rs`. libgit2 knows
//!   neither hooks, `core.fsmonitor` nor external filters when it fetches and reads objects, which is all that is asked of it.

mod address;
mod back;
mod committed;
mod decide;
mod dial;
mod diff;
mod fault;
mod folder;
mod hosts;
mod index;
mod keep;
mod library;
mod lock;
mod outcome;
mod preference;
mod relay;
mod remote;
mod repository;
mod request;
mod ssh;
mod streams;
mod survey;
mod switch;
mod sync;
#[cfg(test)]
mod tests;
mod tls;
mod tree;
mod watch;

pub use address::{Address, BadAddress};
pub use back::{Moved, Standing, accept_rewritten, can_accept, can_check_out, check_out, standing};
pub use committed::{Committed, committed, here};
pub use diff::{Difference, difference, history};
pub use fault::Fault;
pub use hosts::HostKey;
pub use outcome::{Change, Commit, Kind, Outcome, Phase, Progress, PutAside, Synced, Why};
pub use request::{Access, Branch, LARGEST_FILE, Limits, Request, Token};
pub use ssh::pin;
pub use sync::sync;

use std::path::Path;

/// Length of a random name.
const RANDOM: usize = 16;

/// A name that nobody else has.
fn random() -> String {
    let mut bytes = [0; RANDOM / 2];
    // The kernel's source answers once the machine is up; should it not, two names in a folder that is ours differ by their makers.
    if rustix::rand::getrandom(&mut bytes[..], rustix::rand::GetRandomFlags::empty()).is_err() {
        bytes = u64::from(std::process::id()).to_be_bytes();
    }
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The folder that a repository stands in, and its name there.
fn place(path: &Path) -> Result<(&Path, &str), Fault> {
    let bad = || Fault::NotOurs { path: path.to_owned(), found: "its name cannot be used".to_owned() };
    let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty()).ok_or_else(bad)?;
    Ok((parent, path.file_name().and_then(|name| name.to_str()).ok_or_else(bad)?))
}

/// A place where tests kill the process. Nothing in the program itself.
#[cfg(not(test))]
fn point() {}
#[cfg(test)]
use tests::kills::point;
