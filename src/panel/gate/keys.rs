//! Tickets and passes of one gate, in memory and as fingerprints only: a restart ends them all. Knows no HTTP and
//! nobody's rights.

use super::Visitor;
use crate::secrets::{Fingerprint, Secret, random_token};
use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

/// A ticket is good for so long, in ms: a page posts it as soon as it has it.
const TICKET_LIFE: i64 = 30_000;
/// Unused tickets that one login can have at a gate; one more ends the oldest.
const MOST_TICKETS: usize = 16;
/// Passes that one login can have at a gate; one more ends the oldest, with its connections.
const MOST_PASSES: usize = 32;

/// [`TICKET_LIFE`] as a duration.
pub(super) fn ticket_life() -> Duration {
    Duration::from_millis(TICKET_LIFE.unsigned_abs())
}

#[derive(Debug)]
struct Key {
    visitor: Arc<Visitor>,
    /// When it ends, in ms since 1970. A pass has no end of its own.
    ends: i64,
    /// Counts up, so that the oldest can be told.
    number: u64,
}

/// The tickets and passes of one gate.
#[derive(Debug, Default)]
pub(super) struct Keys {
    tickets: HashMap<Fingerprint, Key>,
    passes: HashMap<Fingerprint, Key>,
    made: u64,
}

impl Keys {
    /// A new ticket.
    pub(super) fn issue(&mut self, visitor: &Visitor, now: i64) -> Secret {
        self.tickets.retain(|_, key| key.ends > now);
        let key = self.key(Arc::new(visitor.clone()), now + TICKET_LIFE);
        add(&mut self.tickets, key, MOST_TICKETS)
    }

    /// Uses a ticket up. None for one that was used, is too old, or never was one of this gate.
    pub(super) fn spend(&mut self, ticket: &str, now: i64) -> Option<Arc<Visitor>> {
        self.tickets.remove(&Fingerprint::of(ticket)).filter(|key| key.ends > now).map(|key| key.visitor)
    }

    /// A new pass: what a cookie of this gate holds.
    pub(super) fn enter(&mut self, visitor: Arc<Visitor>) -> Secret {
        let key = self.key(visitor, i64::MAX);
        add(&mut self.passes, key, MOST_PASSES)
    }

    /// Whose pass this is.
    pub(super) fn find(&self, pass: &str) -> Option<(Fingerprint, Arc<Visitor>)> {
        let fingerprint = Fingerprint::of(pass);
        self.passes.get(&fingerprint).map(|key| (fingerprint, key.visitor.clone()))
    }

    /// Whether a pass still counts.
    pub(super) fn has(&self, pass: &Fingerprint) -> bool {
        self.passes.contains_key(pass)
    }

    /// Ends the passes of whoever may not pass any more.
    pub(super) fn keep(&mut self, may: impl Fn(&Visitor) -> bool) {
        self.passes.retain(|_, key| may(&key.visitor));
    }

    fn key(&mut self, visitor: Arc<Visitor>, ends: i64) -> Key {
        self.made += 1;
        Key { visitor, ends, number: self.made }
    }
}

/// Adds one under a new random secret, in the place of the login's oldest where it has `most` already.
fn add(keys: &mut HashMap<Fingerprint, Key>, key: Key, most: usize) -> Secret {
    let own = || keys.iter().filter(|(_, other)| other.visitor.login == key.visitor.login);
    let oldest = own().min_by_key(|(_, other)| other.number).map(|(fingerprint, _)| *fingerprint);
    if let Some(oldest) = oldest.filter(|_| own().count() >= most) {
        keys.remove(&oldest);
    }
    let secret = random_token();
    keys.insert(Fingerprint::of(secret.expose()), key);
    secret
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::users::ProfileId;

    fn visitor(login: &str) -> Visitor {
        Visitor { profile: ProfileId::parse("zoe").unwrap(), login: Fingerprint::of(login) }
    }

    #[test]
    fn a_ticket_is_good_once_and_for_thirty_seconds() {
        let (mut keys, zoe) = (Keys::default(), visitor("a"));
        let ticket = keys.issue(&zoe, 1_000);
        assert_eq!(keys.spend(ticket.expose(), 30_999).as_deref(), Some(&zoe));
        assert_eq!(keys.spend(ticket.expose(), 1_001), None, "used");
        let late = keys.issue(&zoe, 1_000);
        assert_eq!(keys.spend(late.expose(), 31_000), None, "too old");
        assert_eq!(keys.spend("", 1_000), None);
    }

    #[test]
    fn a_ticket_is_no_pass_and_a_pass_no_ticket() {
        let (mut keys, zoe) = (Keys::default(), visitor("a"));
        let ticket = keys.issue(&zoe, 0);
        assert!(keys.find(ticket.expose()).is_none());
        let pass = keys.enter(Arc::new(zoe));
        assert!(keys.spend(pass.expose(), 0).is_none() && keys.find(pass.expose()).is_some());
    }

    #[test]
    fn a_login_has_so_many_and_loses_its_own_oldest() {
        let mut keys = Keys::default();
        let other = keys.enter(Arc::new(visitor("b")));
        let first = keys.enter(Arc::new(visitor("a")));
        let rest: Vec<Secret> = (0..MOST_PASSES).map(|_| keys.enter(Arc::new(visitor("a")))).collect();
        assert!(keys.find(first.expose()).is_none());
        assert!(rest.iter().chain([&other]).all(|pass| keys.find(pass.expose()).is_some()));
        let ticket = keys.issue(&visitor("a"), 0);
        (0..MOST_TICKETS).for_each(|_| drop(keys.issue(&visitor("a"), 0)));
        assert!(keys.spend(ticket.expose(), 1).is_none());
        keys.keep(|visitor| visitor.login == Fingerprint::of("b"));
        assert_eq!((keys.passes.len(), keys.has(&Fingerprint::of(other.expose()))), (1, true));
    }
}
