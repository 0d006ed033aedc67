//! Pictures that somebody chose to download together, kept for a while under a name that nobody guesses, so that the browser
//! can fetch them as a file of its own. In memory: after a restart they are chosen again. Knows no archive.

use crate::{clock::Clock, secrets::random_token, users::ProfileId};
use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

/// A download begins at once; a browser that tries again may take its time.
const KEPT: Duration = Duration::from_secs(600);
/// Choices of one profile that are kept: the oldest goes.
const OF_ONE: usize = 4;

#[derive(Debug)]
struct Choice {
    name: String,
    profile: ProfileId,
    ids: Vec<String>,
    until: i64,
}

/// The handle.
#[derive(Clone, Debug, Default)]
pub(super) struct Choices(Arc<Mutex<Vec<Choice>>>);

impl Choices {
    /// Keeps a choice; its name.
    pub(super) fn keep(&self, clock: &Clock, profile: &ProfileId, ids: Vec<String>) -> String {
        let (name, now) = (random_token().expose().to_owned(), clock.ms());
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.retain(|choice| choice.until > now);
        let own: Vec<usize> = all.iter().enumerate().filter(|(_, choice)| choice.profile == *profile).map(|(i, _)| i).collect();
        if own.len() >= OF_ONE {
            all.remove(own[0]);
        }
        let until = now + KEPT.as_millis() as i64;
        all.push(Choice { name: name.clone(), profile: profile.clone(), ids, until });
        name
    }

    /// What this profile chose under that name.
    pub(super) fn find(&self, clock: &Clock, profile: &ProfileId, name: &str) -> Option<Vec<String>> {
        let now = clock.ms();
        let all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.iter().find(|c| c.name == name && c.profile == *profile && c.until > now).map(|choice| choice.ids.clone())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_choice_is_its_owners_for_a_while_and_the_newest_few_are_kept() {
        let (choices, clock) = (Choices::default(), Clock::at("2026-03-05T12:00:00Z".parse().unwrap()));
        let (ada, bob): (ProfileId, ProfileId) = ("ada".parse().unwrap(), "bob".parse().unwrap());
        let bobs = choices.keep(&clock, &bob, vec!["b".into()]);
        let names: Vec<String> = (0..=OF_ONE).map(|n| choices.keep(&clock, &ada, vec![n.to_string()])).collect();
        let found = |name: &String| choices.find(&clock, &ada, name);
        assert_eq!((found(&names[0]), found(&names[1])), (None, Some(vec!["1".to_owned()])));
        assert_eq!((found(&bobs), found(&String::new())), (None, None), "another's, nobody's");
        assert!(choices.find(&clock, &bob, &bobs).is_some(), "nobody else's choices took its place");
        clock.advance(KEPT);
        assert_eq!(choices.find(&clock, &bob, &bobs), None);
    }
}
