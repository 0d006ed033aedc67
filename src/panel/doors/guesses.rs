//! How often a PIN or a password may be guessed, or the studio key from one place: each account waits 1 s after a
//! wrong guess, twice as long after the next, and takes at most 100 guesses a day. Pure; knows no store.

use serde::{Deserialize, Serialize};

/// Guesses that one account takes in a day.
pub const PER_DAY: u32 = 100;
/// Wait after the first wrong guess, in ms.
const FIRST_WAIT: i64 = 1_000;
/// Longest wait, in ms. With it a day cannot hold many more guesses than [`PER_DAY`] anyway.
const LONGEST_WAIT: i64 = 15 * 60 * 1_000;
/// A day, in ms.
const DAY: i64 = 24 * 60 * 60 * 1_000;

/// What is remembered of an account's guesses. Times are milliseconds since 1970.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Guesses {
    /// Wrong guesses since the last right one.
    pub wrong: u32,
    /// No guess is looked at before this time.
    pub not_before: i64,
    /// When the day of `today` began: with its first guess.
    pub day: i64,
    /// Guesses of that day.
    pub today: u32,
}

/// Whether a guess is looked at now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Turn {
    /// It is, and it counts as wrong until it proves right: so guesses sent side by side all count.
    Take(Guesses),
    /// It is not, for so many milliseconds.
    Wait(i64),
}

impl Guesses {
    /// Asks for a guess at `now`.
    pub fn ask(self, now: i64) -> Turn {
        if now < self.not_before {
            return Turn::Wait(self.not_before - now);
        }
        let fresh = self.today == 0 || now - self.day >= DAY || now < self.day;
        let (day, today) = if fresh { (now, 0) } else { (self.day, self.today) };
        if today >= PER_DAY {
            return Turn::Wait(day + DAY - now);
        }
        let wait = (FIRST_WAIT << self.wrong.min(20)).min(LONGEST_WAIT);
        Turn::Take(Guesses { wrong: self.wrong + 1, not_before: now + wait, day, today: today + 1 })
    }

    /// The guess that was taken was right: no wait for the next, and it does not count against the day.
    pub fn right(self) -> Guesses {
        Guesses { wrong: 0, not_before: 0, today: self.today.saturating_sub(1), ..self }
    }

    /// Nothing in here matters any more.
    pub fn is_stale(&self, now: i64) -> bool {
        now - self.day >= DAY && now >= self.not_before + DAY
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn take(guesses: Guesses, now: i64) -> Guesses {
        match guesses.ask(now) {
            Turn::Take(next) => next,
            Turn::Wait(ms) => panic!("had to wait {ms} ms"),
        }
    }

    #[test]
    fn waits_double_from_one_second() {
        let (mut guesses, mut now, mut waits) = (Guesses::default(), 0, Vec::new());
        for _ in 0..12 {
            guesses = take(guesses, now);
            let Turn::Wait(ms) = guesses.ask(now) else { panic!("no wait after a wrong guess") };
            waits.push(ms / 1_000);
            now += ms;
        }
        assert_eq!(waits, [1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 900, 900]);
        assert_eq!(guesses.right().ask(now).clone(), Turn::Take(take(guesses.right(), now)));
    }

    #[test]
    fn a_thousand_impatient_tries_are_one_guess() {
        let guesses = take(Guesses::default(), 0);
        assert!((1..1_000).all(|now| matches!(guesses.ask(now), Turn::Wait(_))));
    }

    proptest! {
        /// Whoever asks whenever, right guesses by the owner in between or not: never more than 100 wrong ones a day.
        #[test]
        fn at_most_a_hundred_wrong_guesses_a_day(gaps in prop::collection::vec(1i64..2_000_000, 400), rights in prop::collection::vec(any::<bool>(), 400)) {
            let (mut guesses, mut now, mut wrong) = (Guesses::default(), 0i64, Vec::new());
            for (gap, right) in gaps.into_iter().zip(rights) {
                now += gap;
                if let Turn::Take(next) = guesses.ask(now) {
                    guesses = if right { next.right() } else { wrong.push(now); next };
                }
            }
            // A day of the counter begins with its first guess, so any window of a day meets two of them at most.
            for (i, first) in wrong.iter().enumerate() {
                let within = wrong[i..].iter().take_while(|t| **t - first < DAY).count();
                prop_assert!(within <= 2 * PER_DAY as usize);
            }
        }
    }
}
