//! Weighted sums over the buffers of a sampler, and the list of them that a sampler writes down. Knows no
//! formulas and no memory.

use crate::schedule::{ScheduleError, config::Clip};
use std::ops::{Add, Mul, Sub};

/// A buffer of latents, by what it holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Slot {
    /// The latents.
    X,
    /// What the denoiser predicted.
    Output,
    /// Fresh noise of this evaluation.
    Noise,
    /// The clean latents as they are foreseen now, for previews.
    Denoised,
    /// What the sampler keeps from one evaluation to the next.
    Kept(usize),
}

/// A weighted sum of slots.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Combination(Vec<(Slot, f64)>);

impl From<Slot> for Combination {
    fn from(slot: Slot) -> Combination {
        Combination(vec![(slot, 1.0)])
    }
}

impl Combination {
    /// The slots and their weights, without those of weight 0.
    pub fn terms(&self) -> Vec<(f32, Slot)> {
        self.0.iter().filter(|(_, weight)| *weight != 0.0).map(|(slot, weight)| (*weight as f32, *slot)).collect()
    }

    /// The sum of many.
    pub fn sum(parts: impl IntoIterator<Item = Combination>) -> Combination {
        parts.into_iter().fold(Combination::default(), Add::add)
    }
}

impl Add for Combination {
    type Output = Combination;
    fn add(mut self, other: Combination) -> Combination {
        for (slot, weight) in other.0 {
            match self.0.iter_mut().find(|(s, _)| *s == slot) {
                Some((_, sum)) => *sum += weight,
                None => self.0.push((slot, weight)),
            }
        }
        self
    }
}

impl Sub for Combination {
    type Output = Combination;
    fn sub(self, other: Combination) -> Combination {
        self + other * -1.0
    }
}

impl Mul<f64> for Combination {
    type Output = Combination;
    fn mul(mut self, factor: f64) -> Combination {
        self.0.iter_mut().for_each(|(_, weight)| *weight *= factor);
        self
    }
}

/// One thing to do after an evaluation.
#[derive(Clone, Debug, PartialEq)]
pub enum Act {
    /// `into = sum of weight * slot`; `into` may be one of the slots.
    Combine {
        /// Written.
        into: Slot,
        /// Read.
        terms: Vec<(f32, Slot)>,
    },
    /// Clips a slot in place.
    Clip {
        /// Read and written.
        slot: Slot,
        /// How.
        clip: Clip,
    },
}

/// One evaluation of the denoiser and what follows it.
#[derive(Clone, Debug, PartialEq)]
pub struct Evaluation {
    /// What the denoiser is told.
    pub timestep: f32,
    /// The denoiser sees the latents times this.
    pub input_scale: f32,
    /// In order.
    pub acts: Vec<Act>,
}

impl Evaluation {
    /// Whether fresh noise is drawn.
    pub fn draws(&self) -> bool {
        let noise = |act: &Act| matches!(act, Act::Combine { terms, .. } if terms.iter().any(|t| t.1 == Slot::Noise));
        self.acts.iter().any(noise)
    }
}

/// All that a sampler does, written down before the run.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Trajectory {
    /// Number of the first evaluation within the whole schedule.
    pub start: usize,
    /// In order.
    pub evaluations: Vec<Evaluation>,
    /// How many [`Slot::Kept`] there are.
    pub kept: usize,
}

impl Trajectory {
    /// Nothing written yet; the first evaluation will be number `start`.
    pub fn new(start: usize) -> Trajectory {
        Trajectory { start, ..Trajectory::default() }
    }

    /// Begins an evaluation and gives the latents before it and the prediction.
    pub fn evaluate(&mut self, timestep: f64, input_scale: f64) -> (Combination, Combination) {
        let (timestep, input_scale) = (timestep as f32, input_scale as f32);
        self.evaluations.push(Evaluation { timestep, input_scale, acts: Vec::new() });
        (Slot::X.into(), Slot::Output.into())
    }

    fn act(&mut self, act: Act) {
        self.evaluations.last_mut().expect("a sampler evaluates before it acts").acts.push(act);
    }

    fn set(&mut self, into: Slot, value: &Combination) {
        self.act(Act::Combine { into, terms: value.terms() });
    }

    /// Writes a value into slot `index` of those kept, to be read there from now on.
    pub fn keep(&mut self, index: usize, value: &Combination) -> Combination {
        self.kept = self.kept.max(index + 1);
        self.set(Slot::Kept(index), value);
        Slot::Kept(index).into()
    }

    /// What was last written into slot `index` of those kept.
    pub fn kept(&self, index: usize) -> Combination {
        Slot::Kept(index).into()
    }

    /// Clips the clean latents `value`. Where that does nothing, no buffer is written.
    pub fn clipped(&mut self, index: usize, value: Combination, clip: Clip) -> Combination {
        if clip == Clip::None {
            return value;
        }
        let kept = self.keep(index, &value);
        self.act(Act::Clip { slot: Slot::Kept(index), clip });
        kept
    }

    /// Tells previews what the clean latents are foreseen to be.
    pub fn denoised(&mut self, value: &Combination) {
        self.set(Slot::Denoised, value);
    }

    /// Ends the evaluation: these are the latents now.
    pub fn update(&mut self, value: &Combination) {
        self.set(Slot::X, value);
    }

    /// The same, or an error where a weight is not a finite number: an impossible pair of prediction type and
    /// noise level, such as noise predicted from pure noise.
    pub fn checked(self) -> Result<Trajectory, ScheduleError> {
        let finite = |act: &Act| match act {
            Act::Combine { terms, .. } => terms.iter().all(|(weight, _)| weight.is_finite()),
            Act::Clip { .. } => true,
        };
        let told = |e: &Evaluation| e.timestep.is_finite() && e.input_scale.is_finite();
        if self.evaluations.iter().all(|e| told(e) && e.acts.iter().all(finite)) {
            Ok(self)
        } else {
            let what = "this sampler cannot leave pure noise with this prediction type and these options";
            Err(ScheduleError::Config(what.into()))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn combinations_are_a_vector_space() {
        let (x, e) = (Combination::from(Slot::X), Combination::from(Slot::Output));
        let sum = (x.clone() - e.clone() * 3.0) * 0.5 + x.clone();
        assert_eq!(sum.terms(), vec![(1.5, Slot::X), (-1.5, Slot::Output)]);
        assert_eq!((x.clone() - x.clone()).terms(), vec![]);
        assert_eq!(Combination::sum([x, e.clone(), e]).terms(), vec![(1.0, Slot::X), (2.0, Slot::Output)]);
    }

    #[test]
    fn infinite_weights_are_an_error() {
        let mut trajectory = Trajectory::new(0);
        let (x, _) = trajectory.evaluate(999.0, 1.0);
        trajectory.update(&(x * (1.0 / 0.0)));
        assert!(matches!(trajectory.checked(), Err(ScheduleError::Config(_))));
    }
}
