//! What one profile's listeners share: recent numbered events and the latest of the rest, each as the bytes
//! that are sent, made once. Knows no listener.

use super::{Batch, Passing};
use bytes::Bytes;
use protocol::JobId;
use std::{
    collections::{BTreeMap, VecDeque},
    sync::{Mutex, MutexGuard, PoisonError},
};
use tokio::sync::watch;

/// Numbered events kept in memory; whoever is further behind reads the store.
const RECENT: usize = 1024;
/// Bytes of them. One with a long recipe has 64 kB.
const RECENT_BYTES: usize = 1 << 20;

#[derive(Debug)]
pub(super) struct Channel {
    contents: Mutex<Contents>,
    bell: watch::Sender<u64>,
}

#[derive(Debug)]
struct Contents {
    recent: VecDeque<(i64, JobId, Bytes)>,
    /// Bytes of its lines.
    held: usize,
    /// Every event of this profile with a greater number is in `recent`.
    floor: i64,
    last: i64,
    passing: BTreeMap<(JobId, Passing), (u64, Bytes)>,
    version: u64,
}

/// How far a listener is.
#[derive(Clone, Copy, Debug)]
pub(super) struct Cursor {
    pub(super) seq: i64,
    pub(super) version: u64,
}

/// What is new for a listener.
#[derive(Debug)]
pub(super) enum News {
    /// Lines, and the cursor after them.
    Lines(Batch, Cursor),
    /// He is so far behind that the store has to be read first.
    Behind,
}

impl Channel {
    pub(super) fn new(floor: i64) -> Channel {
        let contents = Contents { recent: VecDeque::new(), held: 0, floor, last: floor, passing: BTreeMap::new(), version: 0 };
        Channel { contents: Mutex::new(contents), bell: watch::Sender::new(0) }
    }

    pub(super) fn push(&self, seq: i64, job: &JobId, line: Bytes) {
        let mut contents = self.lock();
        contents.held += line.len();
        contents.recent.push_back((seq, job.clone(), line));
        contents.last = seq;
        while (contents.recent.len() > RECENT || contents.held > RECENT_BYTES)
            && let Some((oldest, _, line)) = contents.recent.pop_front()
        {
            contents.floor = oldest;
            contents.held -= line.len();
        }
        drop(contents);
        self.ring();
    }

    pub(super) fn replace(&self, job: &JobId, kind: Passing, line: Bytes) {
        let mut contents = self.lock();
        contents.version += 1;
        let version = contents.version;
        contents.passing.insert((job.clone(), kind), (version, line));
        drop(contents);
        self.ring();
    }

    pub(super) fn forget(&self, job: &JobId) {
        self.lock().passing.retain(|(of, _), _| of != job);
    }

    pub(super) fn ring(&self) {
        self.bell.send_modify(|n| *n = n.wrapping_add(1));
    }

    pub(super) fn listen(&self) -> watch::Receiver<u64> {
        self.bell.subscribe()
    }

    /// The last number.
    pub(super) fn last(&self) -> i64 {
        self.lock().last
    }

    /// What is newer than the cursor, of one job or of all.
    pub(super) fn news(&self, cursor: Cursor, only: Option<&JobId>) -> News {
        let contents = self.lock();
        if cursor.seq < contents.floor {
            return News::Behind;
        }
        let wanted = |job: &JobId| only.is_none_or(|only| only == job);
        let first = contents.recent.partition_point(|(seq, ..)| *seq <= cursor.seq);
        let numbered = contents.recent.range(first..).filter(|(_, job, _)| wanted(job)).map(|(.., line)| line.clone());
        let passing = contents.passing.iter().filter(|((job, _), (v, _))| *v > cursor.version && wanted(job));
        let passing = passing.map(|(_, (_, line))| line.clone()).collect();
        let batch = Batch { numbered: numbered.collect(), passing, more: false };
        News::Lines(batch, Cursor { seq: contents.last, version: contents.version })
    }

    /// Bytes of the numbered events in memory.
    #[cfg(test)]
    pub(super) fn held(&self) -> usize {
        self.lock().held
    }

    fn lock(&self) -> MutexGuard<'_, Contents> {
        // Every change below leaves the contents whole, so a panic elsewhere cannot have torn them.
        self.contents.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
