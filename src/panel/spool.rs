//! Files that come in pieces: each piece is durable before anybody is told, and one that only half fits is taken back, so that
//! the length of a file is always where it goes on. Knows no HTTP, no row and nothing of what is in them.

use crate::beneath::Beneath;
use std::{
    collections::HashSet,
    fs::Metadata,
    io,
    os::unix::fs::FileExt as _,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, SystemTime},
};

/// Said to a sender whose file another request writes.
pub(crate) const BUSY: &str = "Another piece of this file is being written. Try again in a moment.";

/// So long a request waits for a file that another one has.
const SOON: Duration = Duration::from_secs(10);
/// How often it looks.
const LOOK: Duration = Duration::from_millis(20);

/// The files of one folder that are on their way.
#[derive(Clone, Debug)]
pub(crate) struct Spool {
    folder: Beneath,
    held: Arc<Mutex<HashSet<String>>>,
}

/// A file that nobody else may write meanwhile. It is free again once every copy of this is gone; a write that is under way
/// has one, so that not even a request that was given up lets the next one in too early.
#[derive(Clone, Debug)]
pub(crate) struct Held(Arc<Hold>);

#[derive(Debug)]
struct Hold {
    spool: Spool,
    path: String,
}

impl Spool {
    /// The files below a folder.
    pub(crate) fn new(folder: Beneath) -> Spool {
        Spool { folder, held: Arc::default() }
    }

    /// Takes a file, which need not exist yet; none where another has it.
    pub(crate) fn hold(&self, path: String) -> Option<Held> {
        let is_free = self.lock().insert(path.clone());
        is_free.then(|| Held(Arc::new(Hold { spool: self.clone(), path })))
    }

    /// Takes a file once nobody else has it; none where that takes longer than a request may.
    pub(crate) async fn hold_soon(&self, path: String) -> Option<Held> {
        let free = async {
            loop {
                if let Some(held) = self.hold(path.clone()) {
                    return held;
                }
                tokio::time::sleep(LOOK).await;
            }
        };
        tokio::time::timeout(SOON, free).await.ok()
    }

    /// Takes a file of which no piece is coming and none came for so long. None comes any more while it is held, so that it can
    /// be given up.
    pub(crate) async fn hold_if_left(&self, path: String, since: Duration) -> io::Result<Option<Held>> {
        // Looked at before it is taken, or a sender who goes on would be told to wait; and again, as a piece may have come between.
        if !self.is_left(&path, since).await? {
            return Ok(None);
        }
        let Some(held) = self.hold(path.clone()) else { return Ok(None) };
        Ok(self.is_left(&path, since).await?.then_some(held))
    }

    async fn is_left(&self, path: &str, since: Duration) -> io::Result<bool> {
        let written = self.metadata(path, Metadata::modified).await?;
        // Files have the time of the machine, whatever clock the studio goes by.
        Ok(written.is_none_or(|at| at <= SystemTime::now() - since))
    }

    /// Bytes of a file that are on the disk.
    pub(crate) async fn have(&self, path: &str) -> io::Result<u64> {
        Ok(self.metadata(path, |of| Ok(of.len())).await?.unwrap_or(0))
    }

    /// Something about a file; none where there is no such file.
    async fn metadata<T: Send + 'static>(
        &self,
        path: &str,
        what: impl FnOnce(&Metadata) -> io::Result<T> + Send + 'static,
    ) -> io::Result<Option<T>> {
        let (folder, path) = (self.folder.clone(), path.to_owned());
        let look = move || match folder.file(&path) {
            Ok(file) => what(&file.metadata()?).map(Some),
            Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(e) => Err(e),
        };
        blocking(look).await
    }

    fn lock(&self) -> MutexGuard<'_, HashSet<String>> {
        // A set is whole after every change.
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Held {
    /// Writes a piece at its place, durably, or nothing of it.
    ///
    /// # Errors
    /// When the disk refuses.
    pub(crate) async fn write(&self, offset: u64, piece: Vec<u8>) -> io::Result<()> {
        let held = self.clone();
        let write = move || {
            let Hold { spool, path } = &*held.0;
            if let Some((folder, _)) = path.rsplit_once('/') {
                spool.folder.folder(folder)?;
            }
            let file = spool.folder.writable(path)?;
            let written = file.write_all_at(&piece, offset).and_then(|()| file.sync_data());
            written.inspect_err(|_| drop(file.set_len(offset)))
        };
        blocking(write).await
    }

    /// Takes back what was written from here on: the last piece, where the file as a whole could not be kept.
    ///
    /// # Errors
    /// When the disk refuses.
    pub(crate) async fn cut(&self, offset: u64) -> io::Result<()> {
        let held = self.clone();
        blocking(move || held.0.spool.folder.writable(&held.0.path)?.set_len(offset)).await
    }
}

impl Drop for Hold {
    fn drop(&mut self) {
        self.spool.lock().remove(&self.path);
    }
}

async fn blocking<T: Send + 'static>(work: impl FnOnce() -> io::Result<T> + Send + 'static) -> io::Result<T> {
    tokio::task::spawn_blocking(work).await.map_err(io::Error::other)?
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spool() -> (tempfile::TempDir, Spool) {
        let folder = tempfile::tempdir().unwrap();
        let spool = Spool::new(Beneath::open(folder.path()).unwrap());
        (folder, spool)
    }

    #[tokio::test]
    async fn a_file_grows_by_pieces_and_one_hand_has_it() {
        let (folder, spool) = spool();
        let path = "ada/x.part";
        assert_eq!(spool.have(path).await.unwrap(), 0);
        let held = spool.hold(path.into()).unwrap();
        assert!(spool.hold(path.into()).is_none() && spool.hold("bob/x.part".into()).is_some());
        held.write(0, b"abc".to_vec()).await.unwrap();
        held.write(3, b"def".to_vec()).await.unwrap();
        held.cut(4).await.unwrap();
        assert_eq!(spool.have(path).await.unwrap(), 4);
        drop(held);
        assert!(spool.hold(path.into()).is_some());
        let minute = Duration::from_secs(60);
        let is_left = async |path: &str| spool.hold_if_left(path.into(), minute).await.unwrap().is_some();
        assert!(!is_left(path).await, "a piece came a moment ago");
        let file = std::fs::File::options().write(true).open(folder.path().join(path)).unwrap();
        file.set_modified(SystemTime::now() - Duration::from_secs(61)).unwrap();
        assert!(is_left(path).await && is_left("ada/none.part").await);
        let held = spool.hold(path.into()).unwrap();
        assert!(!is_left(path).await, "a piece is coming");
        let left = spool.hold_if_left("ada/none.part".into(), minute).await.unwrap().unwrap();
        assert!(spool.hold("ada/none.part".into()).is_none(), "no piece comes while it is given up");
        drop((held, left));
    }

    #[tokio::test]
    async fn who_waits_for_a_file_gets_it_once_it_is_free() {
        let (_folder, spool) = spool();
        let held = spool.hold("x.part".into()).unwrap();
        let mut waiting = Box::pin(spool.hold_soon("x.part".into()));
        assert!(tokio::time::timeout(3 * LOOK, &mut waiting).await.is_err());
        drop(held);
        assert!(waiting.await.is_some());
    }

    /// The one thread for blocking work is taken, so that the write waits while its request is given up.
    #[test]
    fn a_write_whose_request_was_given_up_keeps_the_file_until_it_is_over() {
        let runtime = tokio::runtime::Builder::new_current_thread().max_blocking_threads(1).enable_time().build().unwrap();
        let (_folder, spool) = spool();
        runtime.block_on(async {
            let (go, gate) = std::sync::mpsc::channel::<()>();
            let busy = tokio::task::spawn_blocking(move || gate.recv());
            let held = spool.hold("x.part".into()).unwrap();
            let write = async move { held.write(0, b"abc".to_vec()).await };
            assert!(tokio::time::timeout(Duration::from_millis(20), write).await.is_err());
            assert!(spool.hold("x.part".into()).is_none(), "free while it is written");
            go.send(()).unwrap();
            busy.await.unwrap().unwrap();
            while spool.hold("x.part".into()).is_none() {
                tokio::task::yield_now().await;
            }
            assert_eq!(spool.have("x.part").await.unwrap(), 3);
        });
    }
}
