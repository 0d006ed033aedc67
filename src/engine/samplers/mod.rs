//! Samplers: how the denoiser's predictions become less noisy latents. Each file is one sampler, a pure function
//! from noise levels to a [`Trajectory`], which [`fn@run`] executes. Knows no network and no device.
//!
//! Every sampler here is linear between two evaluations of the denoiser: each result is a weighted sum of the
//! latents, the prediction, fresh noise and what earlier evaluations left. So a sampler writes its paper's
//! formulas down with [`Combination`]s, all weights are known before the run, and a run is the denoiser and a
//! handful of [`LinearCombination`](crate::ops::LinearCombination)s over the plan's buffers.

pub mod combination;
pub mod ddim;
pub mod dpm_solver;
pub mod euler;
pub mod euler_ancestral;
pub mod heun;
pub mod lcm;
pub mod pndm;
pub mod run;
pub mod unipc;

#[cfg(test)]
mod tests;

pub use combination::{Act, Combination, Evaluation, Slot, Trajectory};
pub use run::{Buffers, Denoiser, run};

use crate::schedule::{Class, NoiseTable, Prediction, Schedule, ScheduleError, Settings};

/// How noisy latents are: `x = signal * clean + noise * deviate`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Level {
    /// Weight of the clean latents.
    pub signal: f64,
    /// Weight of unit noise.
    pub noise: f64,
}

impl Level {
    /// No noise.
    pub const CLEAN: Level = Level { signal: 1.0, noise: 0.0 };

    /// Signal and noise of unit variance together, with a given share of the signal's.
    pub fn of_alpha_cumprod(alpha_cumprod: f64) -> Level {
        Level { signal: alpha_cumprod.sqrt(), noise: (1.0 - alpha_cumprod).sqrt() }
    }

    /// Signal and noise of unit variance together, with a given ratio.
    pub fn of_sigma(sigma: f64) -> Level {
        let signal = 1.0 / (sigma * sigma + 1.0).sqrt();
        Level { signal, noise: sigma * signal }
    }

    /// Half the logarithm of the signal-to-noise ratio, as the DPM-Solver papers' lambda.
    pub fn lambda(self) -> f64 {
        self.signal.ln() - self.noise.ln()
    }
}

/// Where a sampler goes: the model's noise levels at the points of a schedule.
#[derive(Clone, Debug)]
pub struct Path {
    /// Whose formulas, and their options.
    pub settings: Settings,
    /// The training table.
    pub table: NoiseTable,
    /// The points.
    pub schedule: Schedule,
    /// The first evaluation; above 0 for image to image.
    pub start: usize,
}

impl Path {
    /// The path of `steps` steps; a `strength` below 1 leaves the first ones out.
    pub fn new(settings: Settings, steps: usize, strength: f32) -> Result<Path, ScheduleError> {
        let table = settings.table();
        let schedule = Schedule::new(&settings, &table, steps)?;
        let start = Schedule::start(&settings, steps, strength);
        Ok(Path { settings, table, schedule, start })
    }

    /// Evaluations of the denoiser, those before the start included.
    pub fn evaluations(&self) -> usize {
        self.schedule.timesteps.len()
    }

    /// The level that the latents have before evaluation `i`.
    pub fn level(&self, i: usize) -> Level {
        match self.settings.class {
            Class::Ddim | Class::Pndm | Class::Lcm => Level::of_alpha_cumprod(self.alpha_cumprod(self.timestep(i))),
            Class::DpmSolver | Class::Unipc => Level::of_sigma(self.schedule.sigmas[i]),
            Class::Euler | Class::EulerAncestral | Class::Heun => Level { signal: 1.0, noise: self.schedule.sigmas[i] },
        }
    }

    /// The level before evaluation `i`, and none after the last one: to what a picture that shall stay is brought
    /// before it is pasted back.
    pub fn level_or_clean(&self, i: usize) -> Level {
        if i < self.evaluations() { self.level(i) } else { Level::CLEAN }
    }

    /// Deviation of the initial noise of text to image.
    pub fn initial_noise(&self) -> f64 {
        use crate::schedule::spacing::Spacing;
        let largest = self.schedule.sigmas.iter().copied().fold(0.0, f64::max);
        match self.settings.class {
            Class::Euler | Class::EulerAncestral | Class::Heun if self.settings.spacing == Spacing::Leading => largest.hypot(1.0),
            Class::Euler | Class::EulerAncestral | Class::Heun => largest,
            _ => 1.0,
        }
    }

    /// What the latents are multiplied with before the denoiser sees them at evaluation `i`.
    fn input_scale(&self, i: usize) -> f64 {
        match self.settings.class {
            Class::Euler | Class::EulerAncestral | Class::Heun => 1.0 / self.schedule.sigmas[i].hypot(1.0),
            _ => 1.0,
        }
    }

    /// Evaluation `i` as a whole training timestep.
    fn timestep(&self, i: usize) -> i64 {
        self.schedule.timesteps[i] as i64
    }

    /// Training timesteps from one step to the next, as the samplers count that read the table.
    fn stride(&self, steps: usize) -> i64 {
        (self.settings.train_steps / steps) as i64
    }

    /// Share of the signal's variance at a timestep, which may lie before the first.
    fn alpha_cumprod(&self, timestep: i64) -> f64 {
        let first = || if self.settings.alpha_one_at_end { Some(1.0) } else { self.table.alpha_cumprod(0) };
        self.table.alpha_cumprod(timestep).or_else(first).unwrap_or(1.0)
    }

    /// The sampler's trajectory.
    pub fn trajectory(&self) -> Result<Trajectory, ScheduleError> {
        let trajectory = match self.settings.class {
            Class::Ddim => ddim::trajectory(self),
            Class::Pndm => pndm::trajectory(self),
            Class::Euler => euler::trajectory(self),
            Class::EulerAncestral => euler_ancestral::trajectory(self),
            Class::Heun => heun::trajectory(self),
            Class::DpmSolver => dpm_solver::trajectory(self),
            Class::Unipc => unipc::trajectory(self),
            Class::Lcm => lcm::trajectory(self),
        };
        trajectory.checked()
    }
}

impl Prediction {
    /// The clean latents that a prediction `out` means for latents `x` at a level.
    pub(crate) fn clean(self, x: &Combination, out: &Combination, level: Level) -> Combination {
        let Level { signal, noise } = level;
        // The velocity is defined for latents of unit variance.
        let unit = signal.hypot(noise);
        match self {
            Prediction::Epsilon => (x.clone() - out.clone() * noise) * (1.0 / signal),
            Prediction::VPrediction => (x.clone() * (signal / unit) - out.clone() * noise) * (1.0 / unit),
            Prediction::Sample => out.clone(),
        }
    }

    /// The noise that a prediction `out` means for latents `x` at a level.
    pub(crate) fn noise(self, x: &Combination, out: &Combination, level: Level) -> Combination {
        let Level { signal, noise } = level;
        let unit = signal.hypot(noise);
        match self {
            Prediction::Epsilon => out.clone(),
            Prediction::VPrediction => (out.clone() * signal + x.clone() * (noise / unit)) * (1.0 / unit),
            Prediction::Sample => (x.clone() - out.clone() * signal) * (1.0 / noise),
        }
    }
}
