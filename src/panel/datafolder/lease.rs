//! A lease on a folder of a network file system, where flock cannot be trusted: a file that its owner
//! rewrites every 5 s. The rules are pure functions over what was read and how long ago.
//!
//! ```text
//! free, or owner surely dead          ──► take
//! another's, changing                 ──► refuse
//! another's, unchanged for 30 s       ──► take
//! mine in the file, renewed < 20 s    ──► go on
//! mine in the file, not renewed       ──► change nothing until it is renewed, and seen to be
//! another's, or unreadable that long  ──► stop
//! ```

use super::Holder;
use serde::{Deserialize, Serialize};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// The owner rewrites the file this often.
const RENEW: Duration = Duration::from_secs(5);
/// Whoever sees no change for so long, on a monotonic clock of its own, may take it.
const FREE_AFTER: Duration = Duration::from_secs(30);
/// An owner that did not renew for so long changes nothing more, well before anybody else may begin.
const STOP_AFTER: Duration = Duration::from_secs(20);
/// How often a waiting process looks.
const LOOK: Duration = Duration::from_secs(1);

/// What the file says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Note {
    owner: Holder,
    /// Random: two processes can agree in everything else.
    nonce: String,
    counter: u64,
}

/// The folder is not surely this process's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LeaseLost {
    /// Somebody else's name stands in the file.
    #[error("the data folder was taken over by another process")]
    Taken,
    /// Still this process's, but not rewritten in time: anybody may take it, so nothing may be changed until it is
    /// renewed. A volume that is full or over its quota does this.
    #[error("the lease on the data folder could not be renewed for 20 s; nothing is changed until it is")]
    Unrenewed,
    /// The file could neither be rewritten nor read in time.
    #[error("the lease on the data folder could not be renewed for 20 s")]
    Stale,
}

/// What somebody who wants the lease does next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Claim {
    /// Take it.
    Take,
    /// Look again: it has not changed for so long, but not long enough.
    Wait,
    /// Its owner lives.
    Refuse,
}

/// `unchanged` is how long the reader has watched the file stay as it is.
fn claim(note: Option<&Note>, changed: bool, unchanged: Duration, owner_is_dead_here: bool) -> Claim {
    match note {
        None => Claim::Take,
        Some(_) if owner_is_dead_here => Claim::Take,
        Some(_) if changed => Claim::Refuse,
        Some(_) if unchanged >= FREE_AFTER => Claim::Take,
        Some(_) => Claim::Wait,
    }
}

/// Whether the owner may go on, `unrenewed` after its last successful write.
fn hold(mine: &str, found: Option<&Note>, unrenewed: Duration) -> Result<(), LeaseLost> {
    match found {
        Some(note) if note.nonce != mine => Err(LeaseLost::Taken),
        _ if unrenewed < STOP_AFTER => Ok(()),
        Some(_) => Err(LeaseLost::Unrenewed),
        None => Err(LeaseLost::Stale),
    }
}

/// A lease, renewed by a thread until it is dropped.
#[derive(Debug)]
pub struct Lease {
    file: PathBuf,
    nonce: String,
    renewed: Arc<Mutex<Instant>>,
    stop: Option<Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Lease {
    /// Takes the lease in `folder`. The inner error is the living owner.
    pub fn take(folder: &Path, me: Holder) -> io::Result<Result<Lease, Holder>> {
        let file = folder.join("lease.json");
        let (first, begin) = (read(&file)?, Instant::now());
        loop {
            let now = read(&file)?;
            let dead = now.as_ref().is_some_and(|note| note.owner.is_dead_here(&me));
            match claim(now.as_ref(), now != first, begin.elapsed(), dead) {
                Claim::Take => break,
                Claim::Refuse => return Ok(Err(now.map_or(me, |note| note.owner))),
                Claim::Wait => std::thread::sleep(LOOK),
            }
        }
        let nonce = crate::secrets::random_token().expose().to_string();
        let note = Note { owner: me, nonce: nonce.clone(), counter: 1 };
        write(&file, &note)?;
        // Two may have taken it in the same moment: the last writer has it, and both look again.
        std::thread::sleep(LOOK);
        match read(&file)? {
            Some(found) if found.nonce != nonce => return Ok(Err(found.owner)),
            _ => {}
        }
        let renewed = Arc::new(Mutex::new(Instant::now()));
        let (stop, stopped) = channel();
        let thread = std::thread::Builder::new().name("lease".into()).spawn({
            let (file, renewed) = (file.clone(), renewed.clone());
            move || {
                let mut note = note;
                while stopped.recv_timeout(RENEW) == Err(RecvTimeoutError::Timeout) {
                    note.counter += 1;
                    renew(&file, &note, &renewed);
                }
            }
        })?;
        Ok(Ok(Lease { file, nonce, renewed, stop: Some(stop), thread: Some(thread) }))
    }

    /// Rereads the file; the owner's question before each commit.
    pub fn check(&self) -> Result<(), LeaseLost> {
        let unrenewed = self.renewed.lock().expect("nobody panics with this lock").elapsed();
        // A file that cannot be read just now is judged by its age alone.
        hold(&self.nonce, read(&self.file).ok().flatten().as_ref(), unrenewed)
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        self.stop = None;
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
        if self.check().is_ok() {
            let _ = std::fs::remove_file(&self.file);
        }
    }
}

/// Rewrites the file, unless it is another's by now.
fn renew(file: &Path, note: &Note, renewed: &Mutex<Instant>) {
    let begin = Instant::now();
    let is_mine = || matches!(read(file), Ok(found) if found.as_ref().is_none_or(|f| f.nonce == note.nonce));
    let late = renewed.lock().expect("nobody panics with this lock").elapsed() >= STOP_AFTER;
    // After that long somebody else may be taking it in this moment: both look again, as when it is taken first.
    let seen = || {
        std::thread::sleep(LOOK);
        is_mine()
    };
    if is_mine() && write(file, note).is_ok() && (!late || seen()) {
        *renewed.lock().expect("nobody panics with this lock") = begin;
    } else {
        tracing::error!("the lease on the data folder was not renewed");
    }
}

fn read(file: &Path) -> io::Result<Option<Note>> {
    match std::fs::read(file) {
        Ok(bytes) => Ok(serde_json::from_slice(&bytes).ok()),
        Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(e) => Err(e),
    }
}

fn write(file: &Path, note: &Note) -> io::Result<()> {
    let part = file.with_extension(format!("{}.part", &note.nonce[..8]));
    let mut out = std::fs::File::create(&part)?;
    out.write_all(&serde_json::to_vec(note)?)?;
    out.sync_all()?;
    std::fs::rename(&part, file)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn holder(pid: u32) -> Holder {
        Holder { host: "h".into(), pod: Some("a".into()), boot: "b".into(), pid, started: 7, pids: 0 }
    }

    fn note(nonce: &str) -> Note {
        Note { owner: holder(1), nonce: nonce.into(), counter: 3 }
    }

    #[test]
    fn who_may_take_it() {
        let s = Duration::from_secs;
        let found = note("x");
        assert_eq!(claim(None, false, s(0), false), Claim::Take);
        assert_eq!(claim(Some(&found), false, s(0), true), Claim::Take, "the same pod, that process dead: at once");
        assert_eq!(claim(Some(&found), true, s(5), false), Claim::Refuse, "it is being renewed");
        assert_eq!(claim(Some(&found), false, s(29), false), Claim::Wait);
        assert_eq!(claim(Some(&found), false, s(30), false), Claim::Take);
    }

    #[test]
    fn who_must_stop() {
        let s = Duration::from_secs;
        assert_eq!(hold("x", Some(&note("x")), s(19)), Ok(()));
        assert_eq!(hold("x", Some(&note("x")), s(20)), Err(LeaseLost::Unrenewed));
        assert_eq!(hold("x", None, s(20)), Err(LeaseLost::Stale));
        assert_eq!(hold("x", Some(&note("y")), s(0)), Err(LeaseLost::Taken));
        assert_eq!(hold("x", None, s(19)), Ok(()));
    }

    /// Over a virtual clock: a frozen owner has always stopped before anybody else has begun.
    #[test]
    fn two_never_hold_it_at_once() {
        for frozen_at in 0..60u64 {
            let stopped = (frozen_at..200).find(|t| hold("x", None, Duration::from_secs(t - frozen_at)).is_err()).unwrap();
            for arrives in 0..60u64 {
                let found = note("x");
                // The newcomer's watch starts no earlier than the last change.
                let watch = arrives.max(frozen_at);
                let taken = (watch..200)
                    .find(|t| claim(Some(&found), false, Duration::from_secs(t - watch), false) == Claim::Take)
                    .unwrap();
                assert!(taken > stopped, "frozen at {frozen_at}, arrived at {arrives}: {taken} is not after {stopped}");
            }
        }
    }

    #[test]
    fn a_lease_is_taken_held_lost_and_given_back() {
        let folder = tempfile::tempdir().unwrap();
        let me = Holder { pid: std::process::id(), ..holder(0) };
        let lease = Lease::take(folder.path(), me.clone()).unwrap().unwrap();
        assert_eq!(lease.check(), Ok(()));
        write(&lease.file, &note("somebody else's")).unwrap();
        assert_eq!(lease.check(), Err(LeaseLost::Taken));
        drop(lease);
        assert!(folder.path().join("lease.json").exists(), "another's lease is left alone");
        // On this machine, and its process is gone (no process started at tick 7 with pid 1's number here).
        let lease = Lease::take(folder.path(), me).unwrap().unwrap();
        drop(lease);
        assert!(!folder.path().join("lease.json").exists());
    }
}
