//! What waits and runs, in memory: a mirror of the store's unfinished jobs with what is not stored. Changed
//! only after the store was. Knows no engine and no connection.

use super::{
    estimate::Rates,
    job::{Job, JobState},
    queue::{self, Turns},
    view::Progress,
};
use crate::users::ProfileId;
use protocol::{JobId, ModelInfo, Recipe};
use std::collections::{BTreeMap, HashMap};

/// The mirror.
#[derive(Debug, Default)]
pub(super) struct Board {
    /// Unfinished jobs; ids sort by submission.
    jobs: BTreeMap<JobId, Entry>,
    turns: Turns,
    /// What each model was seen to need.
    pub(super) rates: Rates,
}

#[derive(Clone, Debug)]
pub(super) struct Entry {
    pub(super) job: Job,
    pub(super) progress: Progress,
    /// Its profile's turn before this job started.
    turn_before: Option<u64>,
}

impl Entry {
    fn new(job: Job) -> Entry {
        Entry { job, progress: Progress::default(), turn_before: None }
    }
}

/// A waiting job's place and when it will be done.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Place {
    pub(super) job: JobId,
    pub(super) profile: ProfileId,
    /// 1 is next.
    pub(super) place: usize,
    /// Seconds until it is done.
    pub(super) eta_s: f32,
}

impl Board {
    /// `starts` names each profile's last start; the jobs are those that the store has unfinished.
    pub(super) fn new(jobs: Vec<Job>, mut starts: Vec<(ProfileId, i64)>, rates: Rates) -> Board {
        starts.sort_by_key(|(_, at)| *at);
        let turns = starts.into_iter().zip(0..).map(|((profile, _), turn)| (profile, turn)).collect();
        let entry = |job: Job| (job.id.clone(), Entry::new(job));
        Board { jobs: jobs.into_iter().map(entry).collect(), turns, rates }
    }

    /// Takes a job over from the store. Whether its state is another one than before.
    pub(super) fn apply(&mut self, job: &Job) -> bool {
        if job.state.is_over() {
            self.jobs.remove(&job.id);
            return true;
        }
        let entry = self.jobs.entry(job.id.clone()).or_insert_with(|| Entry::new(job.clone()));
        let before = std::mem::replace(&mut entry.job, job.clone());
        if before.state == job.state {
            return false;
        }
        entry.progress = Progress::default();
        if job.state == JobState::Running {
            let turn = self.turns.values().max().map_or(0, |t| t + 1);
            entry.turn_before = self.turns.insert(job.profile.clone(), turn);
        } else if job.starts < before.starts {
            // The start was taken back, and so is the turn.
            match entry.turn_before.take() {
                Some(turn) => self.turns.insert(job.profile.clone(), turn),
                None => self.turns.remove(&job.profile),
            };
        }
        true
    }

    pub(super) fn get(&self, id: &JobId) -> Option<&Entry> {
        self.jobs.get(id)
    }

    pub(super) fn progress(&mut self, id: &JobId) -> Option<&mut Progress> {
        self.jobs.get_mut(id).map(|e| &mut e.progress)
    }

    /// Unfinished jobs of a profile, oldest first.
    pub(super) fn of(&self, profile: &ProfileId) -> Vec<Entry> {
        self.jobs.values().filter(|e| e.job.profile == *profile).cloned().collect()
    }

    /// How many unfinished jobs need each model.
    pub(super) fn models(&self) -> HashMap<String, usize> {
        let mut needed = HashMap::new();
        for entry in self.jobs.values() {
            *needed.entry(entry.job.recipe.model.clone()).or_insert(0) += 1;
        }
        needed
    }

    /// Waiting jobs in the order in which they start.
    fn order(&self) -> Vec<&Entry> {
        let waiting: Vec<&Entry> = self.jobs.values().filter(|e| e.job.state == JobState::Queued).collect();
        let profiles: Vec<ProfileId> = waiting.iter().map(|e| e.job.profile.clone()).collect();
        queue::order(&profiles, &self.turns).into_iter().map(|i| waiting[i]).collect()
    }

    /// The job that starts next.
    pub(super) fn next(&self) -> Option<Job> {
        self.order().first().map(|e| e.job.clone())
    }

    /// Seconds until a new job of that profile would start.
    pub(super) fn starts_in(&self, profile: &ProfileId, models: &[ModelInfo]) -> f32 {
        let running = self.jobs.values().filter(|e| e.job.state == JobState::Running);
        let mut seconds: f32 = running.map(|e| self.left(e, models)).sum();
        let waiting: Vec<&Entry> = self.jobs.values().filter(|e| e.job.state == JobState::Queued).collect();
        let mut profiles: Vec<ProfileId> = waiting.iter().map(|e| e.job.profile.clone()).collect();
        profiles.push(profile.clone());
        let before = queue::order(&profiles, &self.turns).into_iter().take_while(|i| *i < waiting.len());
        seconds += before.map(|i| self.left(waiting[i], models)).sum::<f32>();
        seconds
    }

    /// The place of every waiting job.
    pub(super) fn places(&self, models: &[ModelInfo]) -> Vec<Place> {
        let mut at: f32 = self.jobs.values().filter(|e| e.job.state == JobState::Running).map(|e| self.left(e, models)).sum();
        let place = |(i, entry): (usize, &Entry)| {
            at += self.left(entry, models);
            Place { job: entry.job.id.clone(), profile: entry.job.profile.clone(), place: i + 1, eta_s: at }
        };
        self.order().into_iter().enumerate().map(place).collect()
    }

    /// Remembers places; those that changed.
    pub(super) fn keep_places(&mut self, places: Vec<Place>) -> Vec<Place> {
        let changed = |p: &Place| {
            let Some(entry) = self.jobs.get_mut(&p.job) else { return false };
            let changed = entry.progress.place != Some(p.place);
            entry.progress.place = Some(p.place);
            entry.progress.eta_s = Some(p.eta_s);
            changed
        };
        places.into_iter().filter(changed).collect()
    }

    /// Seconds that a recipe will take from its start.
    pub(super) fn seconds(&self, recipe: &Recipe, models: &[ModelInfo]) -> f32 {
        self.rates.seconds(recipe, |id| models.iter().find(|m| m.id == id).map(|m| m.bytes)) as f32
    }

    /// Seconds of work left in a job.
    fn left(&self, entry: &Entry, models: &[ModelInfo]) -> f32 {
        match (&entry.job.state, entry.progress.eta_s) {
            (JobState::Running, Some(eta)) => eta,
            _ => self.seconds(&entry.job.recipe, models),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::jobs::job::{Outcome, tests::job};

    #[test]
    fn a_start_that_is_taken_back_costs_no_turn() {
        let mut board = Board::new(vec![job(1, "ada"), job(2, "bob"), job(3, "ada")], Vec::new(), Rates::default());
        let next = |board: &Board| board.next().unwrap();
        let started = next(&board).start(0);
        assert_eq!(started.profile.as_str(), "ada");
        assert!(board.apply(&started));
        assert!(!board.apply(&Job { cancel: true, ..started.clone() }), "the same state");
        assert_eq!(next(&board).profile.as_str(), "bob");
        assert!(board.apply(&started.clone().end(Outcome::NotSent, 0)));
        assert_eq!(next(&board).id, started.id, "it did not reach the engine");
        let died = next(&board).start(0);
        board.apply(&died);
        board.apply(&died.end(Outcome::EngineDied(Vec::new()), 0));
        assert_eq!(next(&board).profile.as_str(), "bob", "it had its turn");
    }
}
