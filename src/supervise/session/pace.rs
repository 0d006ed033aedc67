//! How fast a terminal is read: as fast as the quickest viewer who keeps up, and at full speed when there is none. Knows
//! viewers by how far they are.

use std::{
    collections::HashMap,
    sync::{Condvar, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

/// The terminal runs at most so far ahead of the quickest viewer: half of what is kept of its end, so that he never meets a
/// gap.
const AHEAD: u64 = crate::scrollback::TAIL as u64 / 2;
/// A viewer who has not moved for so long, though there was something to see, does not count: a laptop that was closed
/// must not stop an installation. Who has seen everything counts, so that the first bytes of a burst wait for him too.
const PATIENCE: Duration = Duration::from_secs(1);

#[derive(Debug, Default)]
pub(super) struct Pace {
    viewers: Mutex<Viewers>,
    moved: Condvar,
}

#[derive(Debug, Default)]
struct Viewers {
    next: u64,
    at: HashMap<u64, Seen>,
}

#[derive(Clone, Copy, Debug)]
struct Seen {
    up_to: u64,
    /// Since when there has been something new that he has not moved on to.
    waiting: Option<Instant>,
}

/// Somebody who looks; dropped, he has left.
#[derive(Debug)]
pub struct Viewer<'a> {
    pace: &'a Pace,
    id: u64,
}

impl Viewer<'_> {
    /// He has seen everything before this number.
    pub fn has_seen(&self, up_to: u64) {
        let mut viewers = self.pace.lock();
        let seen = viewers.at.entry(self.id).or_insert(Seen { up_to, waiting: None });
        if up_to > seen.up_to {
            *seen = Seen { up_to, waiting: None };
        }
        drop(viewers);
        self.pace.moved.notify_all();
    }
}

impl Drop for Viewer<'_> {
    fn drop(&mut self) {
        self.pace.lock().at.remove(&self.id);
        self.pace.moved.notify_all();
    }
}

impl Pace {
    pub(super) fn viewer(&self) -> Viewer<'_> {
        let mut viewers = self.lock();
        viewers.next += 1;
        Viewer { pace: self, id: viewers.next }
    }

    /// Waits until the terminal may be read further than `end`: at most [`PATIENCE`].
    pub(super) fn wait(&self, end: u64) {
        let mut viewers = self.lock();
        while let Some(wait) = how_long(viewers.at.values_mut(), end, Instant::now()) {
            viewers = self.moved.wait_timeout(viewers, wait).unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    fn lock(&self) -> MutexGuard<'_, Viewers> {
        self.viewers.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// How long to wait for a viewer who keeps up; none where there is no need. Notes who has something new to see.
fn how_long<'a>(viewers: impl Iterator<Item = &'a mut Seen>, end: u64, now: Instant) -> Option<Duration> {
    let mut quickest: Option<(u64, Duration)> = None;
    for seen in viewers {
        if seen.up_to < end {
            seen.waiting.get_or_insert(now);
        }
        let waited = seen.waiting.map_or(Duration::ZERO, |since| now.saturating_duration_since(since));
        if waited < PATIENCE && quickest.is_none_or(|(up_to, _)| seen.up_to > up_to) {
            quickest = Some((seen.up_to, PATIENCE - waited));
        }
    }
    quickest.filter(|(up_to, _)| up_to.saturating_add(AHEAD) < end).map(|(_, patience)| patience)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_quickest_who_keeps_up_sets_the_pace() {
        let now = Instant::now();
        let seen = |up_to, ms: u64| Seen { up_to, waiting: Some(now - Duration::from_millis(ms)) };
        assert_eq!(how_long([].iter_mut(), 1 << 40, now), None, "nobody looks");
        assert_eq!(how_long([seen(0, 1500)].iter_mut(), 1 << 40, now), None, "the only one has fallen asleep");
        assert_eq!(how_long([seen(100, 0)].iter_mut(), 100 + AHEAD, now), None, "he keeps up");
        let wait = how_long([seen(100, 400), seen(0, 0)].iter_mut(), 101 + AHEAD, now);
        assert_eq!(wait, Some(Duration::from_millis(600)), "the quicker one is waited for, as long as he may take");
        let mut idle = [Seen { up_to: 100, waiting: None }];
        assert_eq!(how_long(idle.iter_mut(), 101 + AHEAD, now), Some(PATIENCE), "a burst waits for who was idle");
        assert_eq!(idle[0].waiting, Some(now));
    }
}
