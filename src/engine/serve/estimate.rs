//! How long a job will take yet, from how long its like took. Pure: times come in as arguments.

use protocol::Recipe;
use std::{
    collections::{HashMap, VecDeque},
    time::Duration,
};

/// What makes two jobs alike in time.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Kind {
    model: String,
    size: (u32, u32),
    batch: u32,
    guided: bool,
}

/// Seconds of one step, and of everything after the last.
#[derive(Clone, Copy, Debug)]
struct Pace {
    step: f32,
    ending: f32,
}

/// Kinds that are remembered.
const MOST: usize = 256;
/// Steps whose median is the pace: one that stumbled changes nothing, a machine that got busy shows after two.
const NEWEST: usize = 3;
/// An ending that was never measured counts as so many steps a picture.
const ENDING_STEPS: f32 = 1.5;

/// What earlier jobs took.
#[derive(Debug, Default)]
pub(super) struct Memory(HashMap<Kind, Pace>);

/// The estimate of one running job.
#[derive(Debug)]
pub(super) struct Estimate {
    kind: Kind,
    known: Option<Pace>,
    first: Option<Duration>,
    last: Option<(u32, Duration)>,
    /// Seconds of one step, of the newest steps of this job.
    newest: VecDeque<f32>,
}

impl Memory {
    /// The estimate of a job that begins.
    pub(super) fn begin(&self, recipe: &Recipe) -> Estimate {
        let kind = Kind {
            model: recipe.model.clone(),
            size: (recipe.width, recipe.height),
            batch: recipe.batch,
            guided: recipe.guidance > 1.0,
        };
        let known = self.0.get(&kind).copied();
        Estimate { kind, known, first: None, last: None, newest: VecDeque::with_capacity(NEWEST) }
    }

    /// A job is done, so long after its beginning.
    pub(super) fn end(&mut self, estimate: Estimate, now: Duration) {
        let (Some(step), Some((_, last))) = (estimate.pace(), estimate.last) else { return };
        if self.0.len() >= MOST {
            self.0.clear();
        }
        let ending = now.saturating_sub(last).as_secs_f32();
        self.0.insert(estimate.kind, Pace { step, ending });
    }
}

impl Estimate {
    /// A step is done, `now` after the job began. The seconds left.
    pub(super) fn step(&mut self, step: u32, steps: u32, now: Duration) -> f32 {
        let first = *self.first.get_or_insert(now);
        if let Some((before, at)) = self.last
            && step > before
        {
            if self.newest.len() == NEWEST {
                self.newest.pop_front();
            }
            self.newest.push_back(now.saturating_sub(at).as_secs_f32() / (step - before) as f32);
        }
        self.last = Some((step, now));
        // The first step alone holds the text's encoding too; it serves until there is better.
        let alone = first.as_secs_f32() / step.max(1) as f32;
        let pace = self.pace().or(self.known.map(|k| k.step)).unwrap_or(alone);
        let guess = ENDING_STEPS * pace * self.kind.batch as f32 / self.evaluations();
        // What slowed the steps down will slow the ending down.
        let ending = self.known.map_or(guess, |k| k.ending * pace / k.step.max(f32::EPSILON));
        (steps.saturating_sub(step)) as f32 * pace + ending
    }

    /// Seconds of a step as they were just now.
    fn pace(&self) -> Option<f32> {
        let mut sorted: Vec<f32> = self.newest.iter().copied().collect();
        sorted.sort_by(f32::total_cmp);
        let middle = sorted.len() / 2;
        Some(if sorted.len().is_multiple_of(2) { (sorted.get(middle)? + sorted[middle - 1]) / 2.0 } else { sorted[middle] })
    }

    /// A guided step costs two evaluations, an ending none of them.
    fn evaluations(&self) -> f32 {
        if self.kind.guided { 1.0 } else { 0.5 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn recipe(width: u32) -> Recipe {
        Recipe { width, height: 256, steps: 10, guidance: 3.0, ..Recipe::example() }
    }

    fn run(memory: &mut Memory, width: u32, step: f32, ending: f32) -> Vec<f32> {
        let mut estimate = memory.begin(&recipe(width));
        let at = |n: u32| Duration::from_secs_f32(n as f32 * step);
        let left = (1..=10).map(|n| estimate.step(n, 10, at(n))).collect();
        memory.end(estimate, at(10) + Duration::from_secs_f32(ending));
        left
    }

    #[test]
    fn a_second_job_knows_its_end() {
        let mut memory = Memory::default();
        let first = run(&mut memory, 256, 2.0, 5.0);
        assert!((first[0] - (18.0 + 3.0)).abs() < 0.1, "{first:?}");
        let second = run(&mut memory, 256, 2.0, 5.0);
        for (i, left) in second.iter().enumerate() {
            let truth = 2.0 * (9 - i) as f32 + 5.0;
            assert!((left - truth).abs() < 0.1, "step {}: {left} for {truth}", i + 1);
        }
        assert!(run(&mut memory, 512, 8.0, 1.0)[0] > 70.0, "another size learns for itself");
    }

    #[test]
    fn a_machine_that_gets_busy_shows() {
        let mut memory = Memory::default();
        run(&mut memory, 256, 1.0, 1.0);
        let slow = run(&mut memory, 256, 3.0, 3.0);
        assert!((slow[4] - 18.0).abs() < 0.5, "{slow:?}");
    }

    #[test]
    fn a_change_of_speed_in_mid_job_shows_after_two_steps_and_one_slow_step_never() {
        let mut estimate = Memory::default().begin(&recipe(256));
        let mut at = 0.0;
        let mut left = Vec::new();
        for (i, took) in [1.0, 1.0, 1.0, 9.0, 1.0, 1.0, 4.0, 4.0, 4.0, 4.0].into_iter().enumerate() {
            at += took;
            left.push(estimate.step(i as u32 + 1, 10, Duration::from_secs_f32(at)));
        }
        assert!((left[3] - 7.5).abs() < 0.1, "a stumble: {left:?}");
        assert!((left[7] - (2.0 * 4.0 + 6.0)).abs() < 0.1, "twice in a row: {left:?}");
    }
}
