//! What waits for a browser that reads slowly, so that whoever tells it never waits for it. Knows no message.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};
use tokio::sync::Notify;

/// Messages that wait.
const MESSAGES_MAX: usize = 1_000;
/// Bytes of them; a single one may be larger.
const BYTES_MAX: usize = 4 * 1024 * 1024;

/// Too much waits: the browser does not read, or far too slowly.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Full;

#[derive(Debug)]
struct Entry<M> {
    message: M,
    size: usize,
    passing: bool,
}

/// Messages in their order.
#[derive(Debug)]
pub(super) struct Outbox<M> {
    entries: Mutex<VecDeque<Entry<M>>>,
    news: Notify,
}

impl<M> Outbox<M> {
    pub(super) fn new() -> Outbox<M> {
        Outbox { entries: Mutex::default(), news: Notify::new() }
    }

    fn entries(&self) -> MutexGuard<'_, VecDeque<Entry<M>>> {
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds one that must not be lost.
    pub(super) fn add(&self, message: M, size: usize) -> Result<(), Full> {
        let mut entries = self.entries();
        let waiting: usize = entries.iter().filter(|entry| !entry.passing).map(|entry| entry.size).sum();
        if entries.len() >= MESSAGES_MAX || (waiting > 0 && waiting + size > BYTES_MAX) {
            return Err(Full);
        }
        entries.push_back(Entry { message, size, passing: false });
        self.news.notify_one();
        Ok(())
    }

    /// Adds one that takes the place of the last of its kind, where that still waits.
    pub(super) fn add_passing(&self, message: M, size: usize) {
        let mut entries = self.entries();
        entries.retain(|entry| !entry.passing);
        entries.push_back(Entry { message, size, passing: true });
        self.news.notify_one();
    }

    /// The next one, as soon as there is one.
    pub(super) async fn next(&self) -> M {
        loop {
            let first = self.entries().pop_front();
            match first {
                Some(entry) => return entry.message,
                None => self.news.notified().await,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn of_what_passes_only_the_newest_waits() {
        let outbox = Outbox::new();
        for n in 0..10_000 {
            outbox.add_passing(n, BYTES_MAX);
            if n == 5_000 {
                outbox.add(-1, 1).unwrap();
            }
        }
        assert_eq!((outbox.next().await, outbox.next().await), (-1, 9_999));
        let late = async {
            tokio::task::yield_now().await;
            outbox.add(7, 1)
        };
        assert_eq!(tokio::join!(outbox.next(), late), (7, Ok(())));
    }

    #[test]
    fn too_much_is_told() {
        let outbox = Outbox::new();
        assert_eq!(outbox.add("large", BYTES_MAX * 2), Ok(()));
        assert_eq!(outbox.add("more", 1), Err(Full));
        let outbox = Outbox::new();
        assert!((0..MESSAGES_MAX).all(|_| outbox.add("small", 1).is_ok()));
        assert_eq!(outbox.add("more", 1), Err(Full));
    }
}
