//! Guesses at the studio key, counted by the place they come from, so that a stranger who guesses locks only
//! himself out. In memory: a stranger writes nothing to the disk. Pure; knows no store and no HTTP.
//!
//! The key has 100 random bits. [`PER_SECOND`] guesses a second, from however many places, are 8.64 million a day:
//! the even chance of a hit comes after 2^99 / 8.64e6 days, which is 2e20 years; within ten years the chance is
//! 3.2e10 / 2^100 = 2.5e-20. So what is forgotten here when Easel starts again, or for [`MOST_PLACES`], opens
//! nothing. That ceiling is one of a second and not of a day, because a day's would let whoever has many addresses
//! shut everybody out for that day; so it lasts only as long as a flood does, which would keep others from any page.
//!
//! A place is the other end of the connection. No header says it: whoever asks writes them. Behind a proxy everybody
//! is therefore one place, and a stranger who guesses there makes all who type the key wait. That is why a link's
//! ticket is not counted here: it opens the door at any time, and the door says so.

use super::{Guesses, Turn};
use std::{
    collections::HashMap,
    net::{IpAddr, Ipv4Addr},
};

/// Guesses looked at in a second, from all places together.
pub(super) const PER_SECOND: u32 = 100;
/// Places remembered at a time.
const MOST_PLACES: usize = 50_000;
/// A second, in ms.
const SECOND: i64 = 1_000;

/// Where guesses come from: an IPv4 address, or an IPv6 network of 64 bits, in which one host can have any address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Place {
    V4(Ipv4Addr),
    V6(u64),
    Unknown,
}

impl Place {
    fn of(peer: Option<IpAddr>) -> Place {
        match peer.map(|peer| peer.to_canonical()) {
            Some(IpAddr::V4(address)) => Place::V4(address),
            Some(IpAddr::V6(address)) => Place::V6((address.to_bits() >> 64) as u64),
            None => Place::Unknown,
        }
    }
}

/// What is remembered of all places. Times are milliseconds since 1970.
#[derive(Debug, Default)]
pub(super) struct Sources {
    places: HashMap<Place, Guesses>,
    /// The second that `looked_at` counts in.
    second: i64,
    looked_at: u32,
}

impl Sources {
    /// Asks for a guess from `peer` at `now`. One that is taken counts as wrong until [`Sources::right`].
    pub(super) fn ask(&mut self, peer: Option<IpAddr>, now: i64) -> Turn {
        let place = Place::of(peer);
        let next = match self.places.get(&place).copied().unwrap_or_default().ask(now) {
            Turn::Wait(ms) => return Turn::Wait(ms),
            Turn::Take(next) => next,
        };
        let second = now.div_euclid(SECOND);
        if second != self.second {
            (self.second, self.looked_at) = (second, 0);
        }
        if self.looked_at >= PER_SECOND {
            return Turn::Wait((second + 1) * SECOND - now);
        }
        self.looked_at += 1;
        self.make_room(now);
        self.places.insert(place, next);
        Turn::Take(next)
    }

    /// The last guess from `peer` was right.
    pub(super) fn right(&mut self, peer: Option<IpAddr>) {
        if let Some(guesses) = self.places.get_mut(&Place::of(peer)) {
            *guesses = guesses.right();
        }
    }

    /// Forgets every place: the key is a new one.
    pub(super) fn forget(&mut self) {
        *self = Sources::default();
    }

    fn make_room(&mut self, now: i64) {
        if self.places.len() < MOST_PLACES {
            return;
        }
        self.places.retain(|_, guesses| !guesses.is_stale(now));
        if self.places.len() >= MOST_PLACES {
            // Those that tried least lose least.
            let mut tries: Vec<u32> = self.places.values().map(|guesses| guesses.today).collect();
            let (_, median, _) = tries.select_nth_unstable(MOST_PLACES / 2);
            let most = *median;
            self.places.retain(|_, guesses| guesses.today > most);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::doors::PER_DAY;

    fn v4(n: u32) -> Option<IpAddr> {
        Some(IpAddr::V4(Ipv4Addr::from_bits(0x0A00_0000 + n)))
    }

    fn address(text: &str) -> Option<IpAddr> {
        Some(text.parse().unwrap())
    }

    #[test]
    fn a_place_is_an_address_or_a_network_of_64_bits() {
        for (one, other, same) in [
            ("203.0.113.9", "203.0.113.9", true),
            ("203.0.113.9", "203.0.113.8", false),
            ("203.0.113.9", "::ffff:203.0.113.9", true),
            ("2001:db8:1:2::1", "2001:db8:1:2:ffff::", true),
            ("2001:db8:1:2::1", "2001:db8:1:3::1", false),
        ] {
            assert_eq!(Place::of(address(one)) == Place::of(address(other)), same, "{one} {other}");
        }
        assert_eq!(Place::of(None), Place::Unknown);
    }

    #[test]
    fn who_guesses_all_day_gets_a_hundred_and_keeps_nobody_out() {
        let (mut sources, mut now, mut stranger) = (Sources::default(), 0, 0);
        while now < 24 * 3_600_000 {
            match sources.ask(v4(1), now) {
                Turn::Take(_) => stranger += 1,
                Turn::Wait(ms) => now += ms,
            }
            assert!(matches!(sources.ask(v4(2), now), Turn::Take(_)), "the owner at {now}");
            sources.right(v4(2));
        }
        assert!((50..=PER_DAY).contains(&stranger), "{stranger}");
    }

    #[test]
    fn a_flood_from_everywhere_is_held_to_the_ceiling_and_leaves_no_trace_of_a_day() {
        let (mut sources, mut taken) = (Sources::default(), 0);
        for second in 0..10 {
            for n in 0..1_000 {
                let turn = sources.ask(v4(second * 1_000 + n), i64::from(second) * SECOND);
                taken += u32::from(matches!(turn, Turn::Take(_)));
                assert!(!matches!(turn, Turn::Wait(ms) if ms > SECOND));
            }
        }
        assert_eq!(taken, 10 * PER_SECOND);
        assert!(matches!(sources.ask(v4(1_000_000), 10 * SECOND), Turn::Take(_)), "a second after the flood");
    }

    #[test]
    fn memory_is_bounded_and_the_eager_are_remembered_longest() {
        let (mut sources, mut now) = (Sources::default(), 0);
        for _ in 0..20 {
            while matches!(sources.ask(v4(0), now), Turn::Wait(_)) {
                now += SECOND;
            }
        }
        for n in 1..=2 * MOST_PLACES as u32 {
            now += 10;
            assert!(matches!(sources.ask(v4(n), now), Turn::Take(_)));
        }
        assert!(sources.places.len() <= MOST_PLACES);
        assert_eq!(sources.places[&Place::of(v4(0))].today, 20);
    }
}
