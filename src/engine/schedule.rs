//! Noise levels as numbers: which timesteps a sampler visits and how noisy the latents are there. Knows no
//! latents and no denoiser.
//!
//! The tables repeat the reference's roundings to f32 where a later cancellation would show them (at timestep
//! 0, 1 - alpha is 9e-4, so one ulp of alpha is 7e-5 of sigma); everything after the tables is f64.

pub mod betas;
pub mod config;
pub mod quantile;
pub mod spacing;
pub mod spread;

pub use betas::NoiseTable;
pub use config::{Class, Prediction, SchedulerConfig, Settings};

use crate::EngineError;
use protocol::Problem;
use spread::Spread;

/// A schedule that cannot be made.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ScheduleError {
    /// More steps than the model was trained with, or than the distillation kept.
    #[error("{steps} steps are more than the {most} that this sampler can take with this model")]
    TooManySteps {
        /// What was asked for.
        steps: usize,
        /// What is possible.
        most: usize,
    },
    /// No steps at all.
    #[error("at least one step is needed")]
    NoSteps,
    /// A field of `scheduler_config.json` that does not go with the others.
    #[error("scheduler configuration: {0}")]
    Config(String),
}

impl From<ScheduleError> for EngineError {
    fn from(e: ScheduleError) -> EngineError {
        let problem = Problem::new(format!("{e}."));
        match e {
            ScheduleError::TooManySteps { most, .. } => {
                EngineError::BadInput(problem.at("steps").remedy(format!("Choose at most {most} steps.")))
            }
            ScheduleError::NoSteps => EngineError::BadInput(problem.at("steps")),
            ScheduleError::Config(_) => EngineError::BadModel(problem.at("scheduler_config.json")),
        }
    }
}

/// What to put into a last sigma.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LastSigma {
    /// No noise at all.
    Zero,
    /// The smallest sigma of training.
    Min,
}

/// The points that a sampler visits, one for each evaluation of the denoiser.
#[derive(Clone, Debug, PartialEq)]
pub struct Schedule {
    /// What the denoiser is told, for each evaluation, in training timesteps.
    pub timesteps: Vec<f64>,
    /// Noise over signal of each evaluation and, last, of the result. Empty for the samplers that read the
    /// training table at integer timesteps instead (DDIM, PNDM, LCM).
    pub sigmas: Vec<f64>,
}

impl Schedule {
    /// The schedule of `steps` steps.
    pub fn new(settings: &Settings, table: &NoiseTable, steps: usize) -> Result<Schedule, ScheduleError> {
        if steps == 0 {
            return Err(ScheduleError::NoSteps);
        }
        let most = settings.most_steps();
        if steps > most {
            return Err(ScheduleError::TooManySteps { steps, most });
        }
        let timesteps = spacing::timesteps(settings, steps);
        let schedule = match settings.class {
            Class::Ddim | Class::Lcm => Schedule { timesteps, sigmas: Vec::new() },
            Class::Pndm => Schedule { timesteps: spacing::pndm(settings, timesteps)?, sigmas: Vec::new() },
            Class::Euler | Class::EulerAncestral | Class::DpmSolver | Class::Unipc => over_sigmas(settings, table, timesteps),
            Class::Heun => twice_inside(over_sigmas(settings, table, timesteps)),
        };
        Ok(schedule)
    }

    /// Evaluation at which image to image begins: `steps - int(steps * strength)` steps are left out.
    pub fn start(settings: &Settings, steps: usize, strength: f32) -> usize {
        let kept = ((steps as f64 * f64::from(strength)) as usize).min(steps);
        (steps - kept) * settings.order()
    }
}

/// Sigmas of those timesteps, spread as the settings say; timesteps follow where the spread moves them.
fn over_sigmas(settings: &Settings, table: &NoiseTable, timesteps: Vec<f64>) -> Schedule {
    let steps = timesteps.len();
    let multistep = matches!(settings.class, Class::DpmSolver | Class::Unipc);
    let plain = match settings.interpolation {
        spread::Interpolation::Linear => timesteps.iter().map(|t| table.sigma_at(*t)).collect(),
        spread::Interpolation::LogLinear => spread::log_linear(table.sigmas(), steps),
    };
    // The multistep samplers spread between the ends of training, the others between the ends of the plain
    // schedule.
    let ends = if multistep { (table.sigma_max(), table.sigma_min()) } else { spread::ends(&plain) };
    let ends = (settings.sigma_max.unwrap_or(ends.0), settings.sigma_min.unwrap_or(ends.1));
    let sigmas = settings.spread.sigmas(ends, steps);
    let (timesteps, mut sigmas) = match sigmas {
        None => (timesteps, plain),
        Some(sigmas) => {
            let rounded = match (settings.class, settings.spread) {
                (Class::DpmSolver, Spread::Karras | Spread::Lu) => settings.betas != betas::BetaCurve::Cosine,
                (Class::Unipc, Spread::Karras) => true,
                _ => false,
            };
            let moved = sigmas.iter().map(|sigma| table.timestep_of(*sigma));
            let moved = moved.map(|t| if rounded { t.round_ties_even() } else { t }).collect();
            (moved, sigmas)
        }
    };
    let last = match settings.last_sigma {
        LastSigma::Zero => 0.0,
        LastSigma::Min if settings.class == Class::Unipc && settings.spread != Spread::Plain => sigmas[steps - 1],
        LastSigma::Min => table.sigma_min(),
    };
    sigmas.push(last);
    // The multistep samplers keep timesteps as integers, cut off rather than rounded, and before any rounding to f32.
    let timesteps: Vec<f64> = if multistep { timesteps.into_iter().map(f64::trunc).collect() } else { timesteps };
    let single = |values: Vec<f64>| values.into_iter().map(|v| f64::from(v as f32)).collect();
    Schedule { timesteps: single(timesteps), sigmas: single(sigmas) }
}

/// Heun evaluates every level twice but the first and the last.
fn twice_inside(schedule: Schedule) -> Schedule {
    let n = schedule.timesteps.len();
    let twice = |values: &[f64]| values.iter().flat_map(|v| [*v, *v]).collect::<Vec<_>>();
    let mut timesteps = vec![schedule.timesteps[0]];
    timesteps.extend(twice(&schedule.timesteps[1..]));
    let mut sigmas = vec![schedule.sigmas[0]];
    sigmas.extend(twice(&schedule.sigmas[1..n]));
    sigmas.extend(&schedule.sigmas[n..]);
    Schedule { timesteps, sigmas }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(class: Class) -> Settings {
        Settings::new(class, &SchedulerConfig::stable_diffusion_1()).unwrap()
    }

    #[test]
    fn impossible_steps_are_refused_with_the_limit() {
        let lcm = settings(Class::Lcm);
        let table = lcm.table();
        assert_eq!(Schedule::new(&lcm, &table, 0), Err(ScheduleError::NoSteps));
        assert_eq!(Schedule::new(&lcm, &table, 51), Err(ScheduleError::TooManySteps { steps: 51, most: 50 }));
        assert!(Schedule::new(&lcm, &table, 50).is_ok());
        let euler = settings(Class::Euler);
        assert_eq!(Schedule::new(&euler, &table, 1001), Err(ScheduleError::TooManySteps { steps: 1001, most: 1000 }));
    }

    #[test]
    fn sigmas_fall_for_every_class_spread_and_number_of_steps() {
        for class in [Class::Euler, Class::EulerAncestral, Class::DpmSolver, Class::Unipc] {
            for spread in [Spread::Plain, Spread::Karras, Spread::Exponential, Spread::Beta] {
                let settings = Settings { spread, ..settings(class) };
                let table = settings.table();
                for steps in [1, 2, 3, 4, 20, 50, 150] {
                    let s = Schedule::new(&settings, &table, steps).unwrap();
                    assert_eq!((s.timesteps.len(), s.sigmas.len()), (steps, steps + 1), "{class:?} {spread:?}");
                    assert!(s.sigmas.windows(2).all(|w| w[0] > w[1]), "{class:?} {spread:?} {steps}: {:?}", s.sigmas);
                    assert!(s.timesteps.iter().all(|t| (0.0..=1000.0).contains(t)), "{class:?} {spread:?} {steps}");
                }
            }
        }
    }

    #[test]
    fn strength_leaves_out_the_first_steps() {
        let euler = settings(Class::Euler);
        for (steps, strength, start) in [(20, 1.0, 0), (20, 0.75, 5), (20, 0.8, 4), (20, 0.01, 20), (4, 0.5, 2)] {
            assert_eq!(Schedule::start(&euler, steps, strength), start, "{steps} {strength}");
        }
        assert_eq!(Schedule::start(&settings(Class::Heun), 20, 0.75), 10);
    }
}
