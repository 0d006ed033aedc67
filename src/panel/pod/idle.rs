//! When a rented pod that nobody uses is stopped: quiet for long enough, then a countdown that anybody may end. Pure: knows
//! no clock, no network.

use std::time::Duration;

/// Everybody sees the countdown for so long, in ms: ten minutes.
pub const COUNTDOWN: i64 = 10 * 60 * 1_000;
/// A stop that was refused is tried again after so long, in ms.
const RETRY: i64 = 10 * 60 * 1_000;

/// How long nobody has used the pod, and what comes of it. Times are milliseconds since 1970.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Idle {
    /// Somebody used it last then.
    Watching {
        /// When.
        since: i64,
    },
    /// It stops unless somebody says no.
    Counting {
        /// When.
        until: i64,
    },
    /// The stop was asked for.
    Stopping {
        /// When.
        since: i64,
    },
    /// The stop was refused.
    Refused {
        /// By whom and why, in a sentence.
        why: String,
        /// When.
        at: i64,
    },
}

/// What happens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Event {
    /// Time passes; a job, a tool or a person keeps it busy, or nothing does.
    Look {
        /// Something does.
        busy: bool,
    },
    /// Somebody wants it to run on.
    Keep,
    /// The stop was refused.
    Refused(String),
}

/// What comes next, and whether the pod is to be stopped now. `after` is how long it is to be quiet before the countdown.
pub(super) fn next(state: Idle, event: Event, now: i64, after: Duration) -> (Idle, bool) {
    let after = i64::try_from(after.as_millis()).unwrap_or(i64::MAX);
    match (state, event) {
        (_, Event::Keep | Event::Look { busy: true }) => (Idle::Watching { since: now }, false),
        (_, Event::Refused(why)) => (Idle::Refused { why, at: now }, false),
        // A clock that was set back must not stop anything.
        (Idle::Watching { since }, _) if now < since => (Idle::Watching { since: now }, false),
        (Idle::Watching { since }, _) if now - since >= after => (Idle::Counting { until: now + COUNTDOWN }, false),
        (Idle::Counting { until }, _) if until - now > COUNTDOWN => (Idle::Counting { until: now + COUNTDOWN }, false),
        (Idle::Counting { until }, _) if now >= until => (Idle::Stopping { since: now }, true),
        (Idle::Stopping { since }, _) if now - since >= RETRY => (Idle::Stopping { since: now }, true),
        (Idle::Refused { at, .. }, _) if now - at >= RETRY => (Idle::Stopping { since: now }, true),
        (state, _) => (state, false),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const AFTER: Duration = Duration::from_secs(3_600);
    const MINUTE: i64 = 60_000;

    fn quiet() -> Event {
        Event::Look { busy: false }
    }

    #[test]
    fn an_hour_of_quiet_and_a_countdown_stop_it_once() {
        let mut state = Idle::Watching { since: 0 };
        let mut stops = Vec::new();
        for minute in 1..=80 {
            let (next, stop) = next(state, quiet(), minute * MINUTE, AFTER);
            state = next;
            stops.extend(stop.then_some(minute));
        }
        assert_eq!(stops, [70, 80], "asked again when nothing came of it");
    }

    #[test]
    fn anybody_ends_the_countdown_and_so_does_use() {
        let counting = Idle::Counting { until: 100 };
        for event in [Event::Keep, Event::Look { busy: true }] {
            assert_eq!(next(counting.clone(), event, 99, AFTER), (Idle::Watching { since: 99 }, false));
        }
        assert_eq!(next(counting, quiet(), 100, AFTER).0, Idle::Stopping { since: 100 });
    }

    #[test]
    fn a_refusal_is_kept_and_tried_again_later() {
        let (state, _) = next(Idle::Stopping { since: 0 }, Event::Refused("no".into()), 5, AFTER);
        assert_eq!(next(state.clone(), quiet(), 6, AFTER), (state.clone(), false));
        assert!(next(state, quiet(), 5 + RETRY, AFTER).1);
    }

    proptest! {
        /// Whatever happens and however the clock jumps: no stop without a countdown that lasted, and none within it after use.
        #[test]
        fn nothing_is_stopped_that_was_used(events in prop::collection::vec((0u8..8, -5 * MINUTE..20 * MINUTE), 1..300)) {
            let (mut state, mut now) = (Idle::Watching { since: 0 }, 0i64);
            let (mut used, mut counting) = (0i64, None::<i64>);
            for (what, step) in events {
                now = (now + step).max(0);
                let event = match what { 0 => Event::Keep, 1 => Event::Look { busy: true }, _ => quiet() };
                if !matches!(event, Event::Look { busy: false }) {
                    used = now;
                }
                let was_counting = matches!(state, Idle::Counting { .. });
                let (new, stop) = next(state, event, now, AFTER);
                // A clock that was set back begins the countdown anew.
                if let Idle::Counting { until } = new {
                    counting = Some(until - COUNTDOWN);
                }
                if stop && was_counting {
                    prop_assert!(now - counting.unwrap() >= COUNTDOWN || now < counting.unwrap());
                    prop_assert!(now - used >= COUNTDOWN || now < used);
                }
                state = new;
            }
        }
    }
}
