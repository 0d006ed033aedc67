//! What waits and runs, in memory: a mirror of the store's unfinished jobs with what is not stored. Changed
//! only after the store was. Knows no engine and no connection.

use super::{
    estimate::Rates,
    job::{Job, JobState},
    lanes::Lanes,
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
    /// Its turn, from when it is handed to an engine until that is done with it. None: it waits.
    turn: Option<Turn>,
}

/// A start, among all starts.
#[derive(Clone, Copy, Debug)]
struct Turn {
    number: u64,
    /// That of its profile's start before.
    before: Option<u64>,
}

impl Entry {
    fn new(job: Job) -> Entry {
        Entry { job, progress: Progress::default(), turn: None }
    }

    fn waits(&self) -> bool {
        self.job.state == JobState::Queued && self.turn.is_none()
    }
}

/// An engine that is free.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Free {
    pub(super) engine: usize,
    /// Id of the model that it has in memory.
    pub(super) loaded: Option<String>,
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

    /// Hands the next jobs to engines that are free: one to each, the first ones in the queue, and none twice. What is handed
    /// out has had its turn, until it is given back.
    pub(super) fn deal(&mut self, free: &[Free]) -> Vec<(usize, Job)> {
        let next: Vec<Job> = self.order().into_iter().take(free.len()).map(|entry| entry.job.clone()).collect();
        let models: Vec<&str> = next.iter().map(|job| job.recipe.model.as_str()).collect();
        let loaded: Vec<Option<&str>> = free.iter().map(|free| free.loaded.as_deref()).collect();
        let seats = queue::seats(&models, &loaded);
        next.iter().for_each(|job| self.begin_turn(job));
        seats.into_iter().map(|seat| free[seat].engine).zip(next).collect()
    }

    fn begin_turn(&mut self, job: &Job) {
        let Some(entry) = self.jobs.get_mut(&job.id) else { return };
        let number = self.turns.values().max().map_or(0, |t| t + 1);
        entry.turn = Some(Turn { number, before: self.turns.insert(job.profile.clone(), number) });
    }

    /// A job that was handed out and did not start waits again, and has had no turn.
    pub(super) fn give_back(&mut self, id: &JobId) {
        let Some(entry) = self.jobs.get_mut(id).filter(|entry| entry.job.state == JobState::Queued) else { return };
        if let Some(turn) = entry.turn.take() {
            let profile = entry.job.profile.clone();
            self.undo(&profile, turn);
        }
    }

    /// Takes a turn out of its profile's, of which there may be later ones.
    fn undo(&mut self, profile: &ProfileId, turn: Turn) {
        if self.turns.get(profile) == Some(&turn.number) {
            match turn.before {
                Some(before) => self.turns.insert(profile.clone(), before),
                None => self.turns.remove(profile),
            };
            return;
        }
        let later = self.jobs.values_mut().filter(|entry| entry.job.profile == *profile).filter_map(|entry| entry.turn.as_mut());
        for later in later.filter(|later| later.before == Some(turn.number)) {
            later.before = turn.before;
        }
    }

    /// Takes a job over from the store. Whether its state is another one than before.
    pub(super) fn apply(&mut self, job: &Job) -> bool {
        if job.state.is_over() {
            // One that was handed out and has not started had no turn.
            self.give_back(&job.id);
            self.jobs.remove(&job.id);
            return true;
        }
        let entry = self.jobs.entry(job.id.clone()).or_insert_with(|| Entry::new(job.clone()));
        let before = std::mem::replace(&mut entry.job, job.clone());
        if before.state == job.state {
            return false;
        }
        entry.progress = Progress::default();
        if job.state == JobState::Queued {
            let turn = entry.turn.take();
            if let Some(turn) = turn.filter(|_| job.starts < before.starts) {
                // The start was taken back, and so is the turn.
                self.undo(&job.profile, turn);
            }
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

    /// Jobs that wait, oldest first.
    fn waiting(&self) -> Vec<&Entry> {
        self.jobs.values().filter(|entry| entry.waits()).collect()
    }

    /// Waiting jobs in the order in which they start.
    fn order(&self) -> Vec<&Entry> {
        let waiting = self.waiting();
        let profiles: Vec<ProfileId> = waiting.iter().map(|e| e.job.profile.clone()).collect();
        queue::order(&profiles, &self.turns).into_iter().map(|i| waiting[i]).collect()
    }

    /// The engines, so many of which work, with what they have to do already.
    fn lanes(&self, engines: usize, models: &[ModelInfo]) -> Lanes {
        let busy = self.jobs.values().filter(|entry| !entry.waits()).map(|entry| self.left(entry, models));
        Lanes::new(busy.collect(), engines)
    }

    /// Seconds until a new job of that profile would start on one of so many engines.
    pub(super) fn starts_in(&self, profile: &ProfileId, engines: usize, models: &[ModelInfo]) -> f32 {
        let waiting = self.waiting();
        let mut profiles: Vec<ProfileId> = waiting.iter().map(|e| e.job.profile.clone()).collect();
        profiles.push(profile.clone());
        let mut lanes = self.lanes(engines, models);
        for i in queue::order(&profiles, &self.turns).into_iter().take_while(|i| *i < waiting.len()) {
            lanes.take(self.left(waiting[i], models));
        }
        lanes.take(0.0).0
    }

    /// The place of every waiting job, where so many engines work.
    pub(super) fn places(&self, engines: usize, models: &[ModelInfo]) -> Vec<Place> {
        let mut lanes = self.lanes(engines, models);
        let place = |(i, entry): (usize, &Entry)| {
            let (_, eta_s) = lanes.take(self.left(entry, models));
            Place { job: entry.job.id.clone(), profile: entry.job.profile.clone(), place: i + 1, eta_s }
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
mod tests;
