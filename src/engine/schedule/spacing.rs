//! Which training timesteps a number of steps visits. Knows no noise.

use super::{Class, ScheduleError, Settings};
use serde::Deserialize;

/// Spacing of the visited timesteps (Lin et al. 2023, table 2).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Spacing {
    /// Multiples of the step from the low end, plus the offset.
    Leading,
    /// Multiples of the step from the high end.
    Trailing,
    /// Both ends included.
    Linspace,
}

/// Timesteps of `steps` steps, falling. The classes differ: DDIM, PNDM and the multistep samplers round to
/// integers, the multistep samplers space for one step more and drop the last.
pub(super) fn timesteps(settings: &Settings, steps: usize) -> Vec<f64> {
    let train = settings.train_steps as f64;
    if settings.class == Class::Lcm {
        return distilled(settings, steps);
    }
    let multistep = matches!(settings.class, Class::DpmSolver | Class::Unipc);
    let whole = matches!(settings.class, Class::Ddim | Class::Pndm) || multistep;
    let points = if multistep { steps + 1 } else { steps };
    let mut rising: Vec<f64> = match settings.spacing {
        Spacing::Linspace => {
            let step = if points > 1 { (train - 1.0) / (points - 1) as f64 } else { 0.0 };
            let value = |i: usize| if i + 1 == points && points > 1 { train - 1.0 } else { i as f64 * step };
            (0..points).map(|i| if whole { value(i).round_ties_even() } else { f64::from(value(i) as f32) }).collect()
        }
        Spacing::Leading => {
            let ratio = settings.train_steps / points;
            (0..points).map(|i| (i * ratio + settings.steps_offset).min(settings.train_steps - 1) as f64).collect()
        }
        Spacing::Trailing => {
            let ratio = train / steps as f64;
            (0..steps).rev().map(|i| (train - i as f64 * ratio).round_ties_even() - 1.0).collect()
        }
    };
    if multistep && settings.spacing != Spacing::Trailing {
        rising.remove(0);
    }
    rising.reverse();
    rising
}

/// LCM visits every k-th of the timesteps that its distillation kept (Luo et al. 2023).
fn distilled(settings: &Settings, steps: usize) -> Vec<f64> {
    let original = settings.original_steps;
    let k = settings.train_steps / original;
    let visit = |i: usize| (original - i * original / steps) * k - 1;
    (0..steps).map(|i| visit(i) as f64).collect()
}

/// The evaluations of PNDM: its first transfer is evaluated twice (PLMS), or its first three steps are
/// Runge-Kutta steps of four evaluations (PRK).
pub(super) fn pndm(settings: &Settings, falling: Vec<f64>) -> Result<Vec<f64>, ScheduleError> {
    if settings.skip_prk {
        let again = if falling.len() > 1 { vec![falling[1]] } else { Vec::new() };
        let (first, rest) = falling.split_at(1.min(falling.len()));
        return Ok([first, &again, rest].concat());
    }
    if falling.len() < 4 {
        return Err(ScheduleError::Config("PNDM with Runge-Kutta steps needs at least 4 steps".into()));
    }
    let half = (settings.train_steps / falling.len() / 2) as f64;
    let mut out = Vec::with_capacity(falling.len() + 9);
    for i in 0..3 {
        let middle = falling[i + 1] + half;
        out.extend([falling[i], middle, middle, falling[i + 1]]);
    }
    out.extend(&falling[3..]);
    Ok(out)
}
