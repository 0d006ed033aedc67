//! A day of minutes and the last two minutes of samples, in rings of fixed size. Pure.

use super::{host::Cpu, host::Memory};
use crate::gpus::Gpu;
use serde::Serialize;
use std::collections::VecDeque;

/// Minutes kept.
pub const DAY: usize = 1_440;
/// Samples kept: two minutes of one every two seconds.
const SAMPLES: usize = 60;
/// A minute, in ms.
const MINUTE: i64 = 60_000;

/// One look, as shares from 0 to 100.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, utoipa::ToSchema)]
pub struct Sample {
    /// When, ms since 1970.
    pub at: i64,
    /// Of the processors' time.
    pub cpu: f32,
    /// Of the memory.
    pub memory: f32,
    /// Of the busiest GPU's time. None without a GPU.
    pub gpu: Option<f32>,
    /// Of all GPUs' memory.
    pub gpu_memory: Option<f32>,
}

impl Sample {
    pub(super) fn of(at: i64, cpu: &Cpu, memory: &Memory, gpus: &[Gpu]) -> Sample {
        let share = |part: u64, whole: u64| if whole == 0 { 0.0 } else { (part as f64 / whole as f64 * 100.0) as f32 };
        let sum = |of: fn(&Gpu) -> u64| gpus.iter().map(of).sum::<u64>();
        Sample {
            at,
            cpu: cpu.percent,
            memory: share(memory.used, memory.total),
            gpu: gpus.iter().filter_map(|g| g.percent).max().map(|p| p as f32),
            gpu_memory: (!gpus.is_empty()).then(|| share(sum(|g| g.memory_used), sum(|g| g.memory_total))),
        }
    }
}

/// The mean of a minute's samples.
pub type Minute = Sample;

/// The rings.
#[derive(Debug, Default)]
pub struct History {
    samples: VecDeque<Sample>,
    minutes: VecDeque<Minute>,
    /// Samples of the minute that is not over yet.
    open: Vec<Sample>,
}

impl History {
    /// Takes a sample; the first of another minute closes the one before.
    pub fn push(&mut self, sample: Sample) {
        let minute = |s: &Sample| s.at.div_euclid(MINUTE);
        if self.open.first().is_some_and(|first| minute(first) != minute(&sample)) {
            let mean = mean(&self.open);
            self.open.clear();
            keep(&mut self.minutes, DAY, mean);
        }
        self.open.push(sample);
        keep(&mut self.samples, SAMPLES, sample);
    }

    /// The minutes, oldest first; the last one is not over yet.
    pub fn minutes(&self) -> impl Iterator<Item = Minute> + '_ {
        let open = (!self.open.is_empty()).then(|| mean(&self.open));
        let skip = (self.minutes.len() + usize::from(open.is_some())).saturating_sub(DAY);
        self.minutes.iter().copied().chain(open).skip(skip)
    }

    /// The last samples, oldest first.
    pub fn samples(&self) -> impl Iterator<Item = Sample> + '_ {
        self.samples.iter().copied()
    }
}

fn keep<T>(ring: &mut VecDeque<T>, most: usize, item: T) {
    if ring.len() == most {
        ring.pop_front();
    }
    ring.push_back(item);
}

/// The mean, at the beginning of the minute.
fn mean(samples: &[Sample]) -> Minute {
    let of = |value: fn(&Sample) -> Option<f32>| {
        let values: Vec<f32> = samples.iter().filter_map(value).collect();
        (!values.is_empty()).then(|| values.iter().sum::<f32>() / values.len() as f32)
    };
    Minute {
        at: samples.first().map_or(0, |s| s.at.div_euclid(MINUTE) * MINUTE),
        cpu: of(|s| Some(s.cpu)).unwrap_or_default(),
        memory: of(|s| Some(s.memory)).unwrap_or_default(),
        gpu: of(|s| s.gpu),
        gpu_memory: of(|s| s.gpu_memory),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample(at: i64, cpu: f32) -> Sample {
        Sample { at, cpu, ..Sample::default() }
    }

    #[test]
    fn a_minute_is_the_mean_of_its_samples() {
        let mut history = History::default();
        for i in 0..45 {
            history.push(sample(i * 2_000, if i < 30 { 10.0 } else { 70.0 }));
        }
        let minutes: Vec<Minute> = history.minutes().collect();
        assert_eq!(minutes.iter().map(|m| (m.at, m.cpu)).collect::<Vec<_>>(), [(0, 10.0), (60_000, 70.0)]);
        assert_eq!(minutes[0].gpu, None, "no GPU is not a GPU at 0 %");
    }

    #[test]
    fn a_day_is_kept_and_no_more() {
        let mut history = History::default();
        for minute in 0..2_000 {
            history.push(sample(minute * MINUTE, minute as f32));
        }
        let minutes: Vec<Minute> = history.minutes().collect();
        assert_eq!((minutes.len(), minutes[0].cpu, minutes[DAY - 1].cpu), (DAY, 560.0, 1_999.0));
        assert_eq!(history.samples().count(), SAMPLES);
    }
}
