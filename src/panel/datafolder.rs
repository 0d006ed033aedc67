//! The data folder: its layout and modes, and the rule that one panel has it at a time. On a local disk a
//! flock keeps others out; on a network file system, where locks lie, a lease file. Knows nothing of what
//! is in the folders.

mod lease;

pub use lease::{Lease, LeaseLost};

use crate::config::Surroundings;
use crate::store::{Guard, Place};
use rustix::fs::{FlockOperation, flock};
use serde::{Deserialize, Serialize};
use std::fs::{DirBuilder, File, OpenOptions};
use std::io::{self, Read as _, Seek as _, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

/// Folders below the data folder, with their modes. `state` is made by the store's own rule, 0700.
const FOLDERS: [(&str, u32); 4] = [("outputs", 0o700), ("models", 0o755), ("logs", 0o700), ("spool", 0o700)];

/// How often a running panel looks whether its lease holds.
const CHECK_EVERY: Duration = Duration::from_secs(2);

/// Who has the data folder: written into the lock for the one who is refused.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Holder {
    /// Host name.
    pub host: String,
    /// Id of the rented pod, where there is one.
    pub pod: Option<String>,
    /// Of this boot of the machine: pids begin anew with each.
    pub boot: String,
    /// Process id.
    pub pid: u32,
    /// When that process started, in the kernel's ticks since boot: a pid alone may be another's by now.
    pub started: u64,
    /// Where its pid counts: the inode of its namespace of pids. 0: an older Easel, which did not tell.
    #[serde(default)]
    pub pids: u64,
}

impl Holder {
    /// This process.
    pub fn this(surroundings: &Surroundings) -> Holder {
        let read = |path: &str| std::fs::read_to_string(path).map(|text| text.trim().to_string()).unwrap_or_default();
        let pid = std::process::id();
        Holder {
            host: rustix::system::uname().nodename().to_string_lossy().into_owned(),
            pod: surroundings.pod().map(str::to_string),
            boot: read("/proc/sys/kernel/random/boot_id"),
            pid,
            started: start_of(pid).unwrap_or(0),
            pids: std::fs::metadata("/proc/self/ns/pid").map_or(0, |namespace| namespace.ino()),
        }
    }

    /// Whether it is surely gone. A host name says nothing: two machines may share one, and two containers of one machine too. A pid
    /// means the same process only in the same namespace and boot, and a pod is in one place at a time.
    fn is_dead_here(&self, me: &Holder) -> bool {
        let here = self.boot == me.boot && (self.pids == me.pids || self.pids == 0);
        let gone = start_of(self.pid) != Some(self.started);
        match (&self.pod, &me.pod) {
            (Some(pod), Some(mine)) => pod == mine && (!here || gone),
            (None, None) => self.host == me.host && here && gone,
            _ => false,
        }
    }
}

impl std::fmt::Display for Holder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "process {} on {}", self.pid, self.pod.as_deref().unwrap_or(&self.host))
    }
}

/// When a process began, which tells two owners of one number apart.
fn start_of(pid: u32) -> Option<u64> {
    supervise::Stat::of(pid).map(|stat| stat.began)
}

/// Why the data folder cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum DataFolderError {
    /// Another panel, or a command, has it.
    #[error("the data folder {} is in use by {holder}. Stop that one first, or name another folder with --data.", .folder.display())]
    InUse {
        /// The folder.
        folder: PathBuf,
        /// Who has it.
        holder: String,
    },
    /// It cannot be made or written.
    #[error("the data folder {} cannot be used: {why}", .folder.display())]
    Unusable {
        /// The folder.
        folder: PathBuf,
        /// The system's words.
        why: io::Error,
    },
}

/// The data folder, held by this process until this value is dropped.
#[derive(Debug)]
pub struct DataFolder {
    path: PathBuf,
    hold: Hold,
}

#[derive(Debug)]
enum Hold {
    /// The kernel forgets the lock with the file.
    Lock { _file: File },
    /// Renewed by a thread.
    Lease(Arc<Lease>),
}

impl DataFolder {
    /// Makes what is missing and takes the folder. On a network file system it may wait 30 s for a lease
    /// that nobody renews.
    pub fn take(path: &Path, surroundings: &Surroundings) -> Result<DataFolder, DataFolderError> {
        let unusable = |why| DataFolderError::Unusable { folder: path.to_path_buf(), why };
        let in_use = |holder: String| DataFolderError::InUse { folder: path.to_path_buf(), holder };
        DirBuilder::new().recursive(true).mode(0o755).create(path).map_err(unusable)?;
        let state = path.join("state");
        let place = Place::of(&state).map_err(unusable)?;
        for (name, mode) in FOLDERS {
            DirBuilder::new().recursive(true).mode(mode).create(path.join(name)).map_err(unusable)?;
        }
        make_durable(path).map_err(unusable)?;
        let me = Holder::this(surroundings);
        let hold = match place {
            Place::Local => Hold::Lock { _file: lock(&state, &me).map_err(unusable)?.map_err(in_use)? },
            Place::Network => {
                Hold::Lease(Arc::new(Lease::take(&state, me).map_err(unusable)?.map_err(|h| in_use(h.to_string()))?))
            }
        };
        Ok(DataFolder { path: path.to_path_buf(), hold })
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// What the store asks before each change. None where the kernel keeps the lock.
    pub fn guard(&self) -> Option<Guard> {
        match &self.hold {
            Hold::Lock { .. } => None,
            Hold::Lease(lease) => {
                let lease = lease.clone();
                Some(Guard(Arc::new(move || lease.check().is_ok())))
            }
        }
    }

    /// Returns when the folder is no longer this process's: it must stop then. With a lock, never. A lease that is only
    /// late stops nothing: changes are refused until it is renewed, and readers are served.
    pub async fn lost(&self) -> LeaseLost {
        let Hold::Lease(lease) = &self.hold else { return std::future::pending().await };
        loop {
            tokio::time::sleep(CHECK_EVERY).await;
            let lease = lease.clone();
            // The network file system may hang; the pages must not.
            match tokio::task::spawn_blocking(move || lease.check()).await {
                Ok(Err(LeaseLost::Unrenewed)) | Ok(Ok(())) | Err(_) => {}
                Ok(Err(lost)) => return lost,
            }
        }
    }
}

/// Makes the folder's name and those in it durable: before that, nothing in them is.
fn make_durable(folder: &Path) -> io::Result<()> {
    File::open(folder)?.sync_all()?;
    let parent = folder.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    // A parent that is not ours to read was not made just now either.
    File::open(parent).map_or(Ok(()), |parent| parent.sync_all())
}

/// The locked file; or who has it.
fn lock(state: &Path, me: &Holder) -> io::Result<Result<File, String>> {
    let mut file = OpenOptions::new().read(true).write(true).create(true).truncate(false).mode(0o600).open(state.join("lock"))?;
    if flock(&file, FlockOperation::NonBlockingLockExclusive).is_err() {
        let mut text = String::new();
        file.read_to_string(&mut text)?;
        let holder = serde_json::from_str::<Holder>(&text);
        return Ok(Err(holder.map_or_else(|_| "another process".to_string(), |h| h.to_string())));
    }
    file.set_len(0)?;
    file.rewind()?;
    file.write_all(&serde_json::to_vec(me)?)?;
    Ok(Ok(file))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Config;
    use std::os::unix::fs::PermissionsExt as _;

    #[test]
    fn a_second_one_is_refused_and_told_who_has_it() {
        let folder = tempfile::tempdir().unwrap();
        let surroundings = Config::for_tests(folder.path()).surroundings;
        let data = folder.path().join("data");
        let first = DataFolder::take(&data, &surroundings).unwrap();
        let refused = DataFolder::take(&data, &surroundings).unwrap_err().to_string();
        assert!(refused.contains(&format!("process {} on ", std::process::id())), "{refused}");
        assert!(first.guard().is_none(), "the kernel keeps the lock");
        drop(first);
        DataFolder::take(&data, &surroundings).unwrap();
        let mode = |name: &str| std::fs::metadata(data.join(name)).unwrap().permissions().mode() & 0o777;
        assert_eq!((mode("state"), mode("outputs"), mode("state/lock")), (0o700, 0o700, 0o600));
    }

    #[test]
    fn a_process_is_known_by_its_start_too() {
        let me = Holder::this(&Config::for_tests(Path::new("/nowhere")).surroundings);
        assert!(me.started > 0 && !me.boot.is_empty() && me.pids > 0);
        assert!(!me.is_dead_here(&me));
        assert!(Holder { started: me.started + 1, ..me.clone() }.is_dead_here(&me), "the pid is another's now");
        assert!(!Holder { host: "elsewhere".into(), started: 1, ..me.clone() }.is_dead_here(&me));
    }

    #[test]
    fn one_host_name_is_not_one_machine() {
        let me = Holder::this(&Config::for_tests(Path::new("/nowhere")).surroundings);
        let other = Holder { started: 1, ..me.clone() };
        let elsewhere = [
            ("another machine of that name", Holder { boot: "another".into(), ..other.clone() }),
            ("another container of this machine", Holder { pids: me.pids + 1, ..other.clone() }),
            ("another pod", Holder { pod: Some("b".into()), ..other.clone() }),
        ];
        for (what, holder) in elsewhere {
            assert!(!holder.is_dead_here(&me), "{what}: its pid says nothing here");
        }
        let pod = |holder: &Holder| Holder { pod: Some("a".into()), ..holder.clone() };
        let before = Holder { boot: "before".into(), pids: 1, ..me.clone() };
        assert!(pod(&before).is_dead_here(&pod(&me)), "the same pod was started again");
        assert!(!pod(&me).is_dead_here(&pod(&me)) && pod(&other).is_dead_here(&pod(&me)));
        let old = Holder { pids: 0, ..me.clone() };
        assert!(!pod(&old).is_dead_here(&pod(&me)), "it runs, and did not tell where its pid counts");
    }
}
