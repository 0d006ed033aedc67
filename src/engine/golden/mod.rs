//! Compares the engine with recorded runs of the reference implementation, stage by stage. Knows the layout of
//! the recordings; knows no arithmetic.
//!
//! A recording is a folder with `reference.json`, `reference.safetensors` and, for a model, `pipeline/`.

pub mod committed;
pub mod digest;
pub mod folder;
pub mod reference;
mod replayed;
pub mod schedulers;
pub mod stable_diffusion;
pub mod tolerance;

pub use folder::{Verdict, check};
pub use reference::{Reference, Tensor};

/// What was found for one recorded case.
#[derive(Clone, Debug)]
pub struct Case {
    /// Family of the recording: `sd15`, `schedulers`.
    pub family: String,
    /// Name of the case in it.
    pub name: String,
    /// What was found.
    pub outcome: Outcome,
}

/// The result of a case.
#[derive(Clone, Debug)]
pub enum Outcome {
    /// Every stage was computed and compared.
    Compared(Vec<Stage>),
    /// The engine does not have this; said in words.
    NotOffered(String),
    /// The engine should have this, and stopped with an error.
    Failed(String),
}

/// One compared stage.
#[derive(Clone, Debug)]
pub struct Stage {
    /// What was compared: "timesteps", "step 3".
    pub name: String,
    /// Largest |a - b| over largest |b|; infinite where extents differ or a number is not finite.
    pub worst: f64,
    /// What is allowed.
    pub tolerance: f64,
}

impl Stage {
    /// Compares computed values `a` with recorded values `b`.
    pub fn compare(name: impl Into<String>, a: &[f32], b: &[f32], tolerance: f64) -> Stage {
        let worst = if a.len() == b.len() && a.iter().all(|x| x.is_finite()) { distance(a, b) } else { f64::INFINITY };
        Stage { name: name.into(), worst, tolerance }
    }

    /// Compares by the largest difference itself; nothing but 0 is tolerated yet.
    pub fn absolute(name: impl Into<String>, a: &[f32], b: &[f32]) -> Stage {
        let difference = |(a, b): (&f32, &f32)| (f64::from(*a) - f64::from(*b)).abs();
        let worst = if a.len() == b.len() { a.iter().zip(b).map(difference).fold(0.0, f64::max) } else { f64::INFINITY };
        Stage { name: name.into(), worst, tolerance: 0.0 }
    }

    /// Compares by the mean difference, as a share of the largest recorded magnitude.
    pub fn mean(name: impl Into<String>, a: &[f32], b: &[f32], tolerance: f64) -> Stage {
        let sum: f64 = a.iter().zip(b).map(|(a, b)| (f64::from(*a) - f64::from(*b)).abs()).sum();
        let scale = b.iter().fold(0.0, |most: f64, b| most.max(f64::from(*b).abs()));
        let mean = sum / b.len() as f64 / if scale > 0.0 { scale } else { 1.0 };
        Stage { name: name.into(), worst: if a.len() == b.len() && mean.is_finite() { mean } else { f64::INFINITY }, tolerance }
    }

    /// Whether the stage is within its tolerance.
    pub fn holds(&self) -> bool {
        self.worst <= self.tolerance
    }
}

/// Largest difference over the largest recorded magnitude; where all recorded values are 0, the largest value.
fn distance(a: &[f32], b: &[f32]) -> f64 {
    let largest = |values: &mut dyn Iterator<Item = f64>| values.fold(0.0, f64::max);
    let difference = largest(&mut a.iter().zip(b).map(|(a, b)| (f64::from(*a) - f64::from(*b)).abs()));
    let scale = largest(&mut b.iter().map(|b| f64::from(*b).abs()));
    if scale > 0.0 { difference / scale } else { difference }
}

impl Outcome {
    /// Whether the case was compared and every stage is within its tolerance.
    pub fn holds(&self) -> bool {
        matches!(self, Outcome::Compared(stages) if !stages.is_empty() && stages.iter().all(Stage::holds))
    }

    /// The compared stage that comes nearest to its tolerance, or exceeds it most.
    pub fn worst(&self) -> Option<&Stage> {
        let Outcome::Compared(stages) = self else { return None };
        stages.iter().max_by(|a, b| (a.worst / a.tolerance).total_cmp(&(b.worst / b.tolerance)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn differences_count_in_shares_of_the_largest_value() {
        let worst = |a: &[f32], b: &[f32]| Stage::compare("x", a, b, 1e-4).worst;
        assert!((worst(&[1.0, -8.0], &[1.0, -10.0]) - 0.2).abs() < 1e-12);
        assert_eq!(worst(&[1.0], &[1.0, 2.0]), f64::INFINITY);
        assert_eq!(worst(&[f32::NAN], &[1.0]), f64::INFINITY);
        assert_eq!(worst(&[0.5], &[0.0]), 0.5);
    }
}
