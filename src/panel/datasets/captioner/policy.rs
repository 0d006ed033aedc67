//! When a vision model is asked again, and when it is given up. Pure; knows no clock.

use std::time::Duration;

/// Times that a picture is asked for again after a failure of the service.
const MOST_TRIES: u32 = 5;
/// Times that a service may say "later" to one picture.
const MOST_WAITS: u32 = 20;
/// A service that asks for a longer pause is given up; the words say when to try again.
const LONGEST: Duration = Duration::from_secs(600);
/// The first pause after a failure; each next one is twice as long.
const FIRST: Duration = Duration::from_secs(1);

/// Why there is no caption.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Trouble {
    /// This picture only: why.
    Picture(String),
    /// The service takes nothing from us: why.
    Service(String),
    /// It is busy or broken, and may be asked again.
    Busy {
        /// As it wishes.
        after: Option<Duration>,
        /// Its HTTP status.
        status: u16,
    },
    /// There was no answer: why.
    Silent(String),
}

impl Trouble {
    /// For a person.
    pub(super) fn in_words(&self) -> String {
        match self {
            Trouble::Picture(why) => why.clone(),
            Trouble::Service(why) => format!("The vision model was not used further. {why}"),
            Trouble::Busy { after: Some(after), status } if *after > LONGEST => {
                let minutes = after.as_secs().div_ceil(60);
                format!("The vision model asks to wait {minutes} minutes ({status}). Captions so far are kept; start again then.")
            }
            Trouble::Busy { status: 429, .. } => {
                "The vision model takes no more questions for now (429). Captions so far are kept; start again later.".into()
            }
            Trouble::Busy { status, .. } => {
                format!("The vision model fails again and again ({status}). Captions so far are kept; start again later.")
            }
            Trouble::Silent(why) => format!("The vision model does not answer: {why}. Captions so far are kept."),
        }
    }
}

/// What to do after a failure.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Next {
    /// Ask again after this time; the words say what is waited for.
    Wait(Duration, String),
    /// It is no use.
    GiveUp(Trouble),
}

/// The failures of one picture so far.
#[derive(Clone, Debug, Default)]
pub(super) struct Tries {
    failures: u32,
    waits: u32,
}

impl Tries {
    /// What to do after this one.
    pub(super) fn next(&mut self, trouble: Trouble) -> Next {
        let wait = match &trouble {
            Trouble::Picture(_) | Trouble::Service(_) => return Next::GiveUp(trouble),
            // What the service wishes is obeyed, and does not count as a failure.
            Trouble::Busy { after: Some(after), .. } if *after <= LONGEST && self.waits < MOST_WAITS => {
                self.waits += 1;
                (*after).max(Duration::from_millis(200))
            }
            Trouble::Busy { after: Some(_), .. } => return Next::GiveUp(trouble),
            Trouble::Busy { .. } | Trouble::Silent(_) => {
                if self.failures == MOST_TRIES {
                    return Next::GiveUp(trouble);
                }
                self.failures += 1;
                FIRST * 2u32.pow(self.failures - 1)
            }
        };
        let what = match &trouble {
            Trouble::Busy { status: 429, .. } => "The service asks to wait",
            Trouble::Busy { .. } => "The service failed; trying again in",
            _ => "No answer; trying again in",
        };
        let seconds = wait.as_secs_f64().ceil();
        Next::Wait(wait, format!("{what} {seconds} s"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn busy(status: u16, after: Option<u64>) -> Trouble {
        Trouble::Busy { after: after.map(Duration::from_secs), status }
    }

    #[test]
    fn a_wished_pause_is_kept_to_the_second() {
        let mut tries = Tries::default();
        assert_eq!(tries.next(busy(429, Some(12))), Next::Wait(Duration::from_secs(12), "The service asks to wait 12 s".into()));
        assert!(matches!(tries.next(busy(429, Some(0))), Next::Wait(t, _) if t > Duration::ZERO));
        assert!(matches!(tries.next(busy(429, Some(601))), Next::GiveUp(t) if t.in_words().contains("11 minutes")));
        assert!((0..MOST_WAITS - 2).all(|_| matches!(tries.next(busy(429, Some(1))), Next::Wait(..))));
        assert!(matches!(tries.next(busy(429, Some(1))), Next::GiveUp(_)), "not for ever");
    }

    #[test]
    fn failures_back_off_and_end() {
        let mut tries = Tries::default();
        let waits: Vec<u64> = (0..MOST_TRIES)
            .map(|_| match tries.next(busy(503, None)) {
                Next::Wait(time, _) => time.as_secs(),
                Next::GiveUp(t) => panic!("{t:?}"),
            })
            .collect();
        assert_eq!(waits, [1, 2, 4, 8, 16]);
        assert!(matches!(tries.next(Trouble::Silent("no route".into())), Next::GiveUp(_)));
        assert!(matches!(Tries::default().next(Trouble::Service("no".into())), Next::GiveUp(_)));
    }
}
