//! Time as a value: the machine's, or a virtual one that tests move by hand. Knows no calendar.

use jiff::Timestamp;
use std::{sync::Arc, time::Duration};
use tokio::sync::watch;

/// Tells the time and waits for it.
#[derive(Clone, Debug)]
pub struct Clock(Option<Arc<watch::Sender<Timestamp>>>);

impl Clock {
    /// The machine's clock.
    pub fn real() -> Clock {
        Clock(None)
    }

    /// A clock that stands still until [`Clock::advance`] moves it.
    pub fn at(start: Timestamp) -> Clock {
        Clock(Some(Arc::new(watch::Sender::new(start))))
    }

    /// The time now.
    pub fn now(&self) -> Timestamp {
        self.0.as_ref().map_or_else(Timestamp::now, |t| *t.borrow())
    }

    /// Milliseconds since 1970, as the store keeps times.
    pub fn ms(&self) -> i64 {
        self.now().as_millisecond()
    }

    /// Waits.
    pub async fn sleep(&self, time: Duration) {
        let Some(virtual_time) = &self.0 else { return tokio::time::sleep(time).await };
        let end = self.now() + time;
        let mut changes = virtual_time.subscribe();
        // The sender lives in `self`, so the channel cannot close while we wait.
        let _ = changes.wait_for(|now| *now >= end).await;
    }

    /// Moves a virtual clock; the machine's goes by itself.
    pub fn advance(&self, time: Duration) {
        if let Some(virtual_time) = &self.0 {
            virtual_time.send_modify(|now| *now += time);
        }
    }
}

/// A stored time as people and programs read it: RFC 3339 in UTC.
pub fn rfc3339(ms: i64) -> String {
    Timestamp::from_millisecond(ms).unwrap_or(Timestamp::UNIX_EPOCH).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_virtual_clock_wakes_sleepers_when_it_is_moved() {
        let clock = Clock::at(Timestamp::UNIX_EPOCH);
        let sleeper = tokio::spawn({
            let clock = clock.clone();
            async move { clock.sleep(Duration::from_secs(60)).await }
        });
        tokio::task::yield_now().await;
        clock.advance(Duration::from_secs(59));
        tokio::task::yield_now().await;
        assert!(!sleeper.is_finished());
        clock.advance(Duration::from_secs(1));
        sleeper.await.unwrap();
        assert_eq!(clock.ms(), 60_000);
        assert_eq!(rfc3339(clock.ms()), "1970-01-01T00:01:00Z");
    }
}
