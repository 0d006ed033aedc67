//! Time as a service sees it: the machine's, or a virtual one that tests move by hand. Knows no service.

use std::{sync::Arc, time::Duration};
use tokio::{sync::watch, time::Instant};

/// A monotonic clock that begins at zero; cheap to clone.
#[derive(Clone, Debug)]
pub struct Time(Kind);

#[derive(Clone, Debug)]
enum Kind {
    Real(Instant),
    Virtual(Arc<watch::Sender<Duration>>),
}

impl Time {
    /// The machine's.
    pub fn real() -> Time {
        Time(Kind::Real(Instant::now()))
    }

    /// One that stands still until [`Time::advance`] moves it.
    pub fn still() -> Time {
        Time(Kind::Virtual(Arc::new(watch::Sender::new(Duration::ZERO))))
    }

    /// Time since its beginning.
    pub fn now(&self) -> Duration {
        match &self.0 {
            Kind::Real(begun) => begun.elapsed(),
            Kind::Virtual(now) => *now.borrow(),
        }
    }

    /// Waits until then.
    pub async fn until(&self, at: Duration) {
        match &self.0 {
            Kind::Real(begun) => tokio::time::sleep_until(*begun + at).await,
            Kind::Virtual(now) => {
                // The sender lives in `self`, so the channel cannot close while we wait.
                let _ = now.subscribe().wait_for(|now| *now >= at).await;
            }
        }
    }

    /// Moves a virtual clock; the machine's goes by itself.
    pub fn advance(&self, time: Duration) {
        if let Kind::Virtual(now) = &self.0 {
            now.send_modify(|now| *now += time);
        }
    }
}
