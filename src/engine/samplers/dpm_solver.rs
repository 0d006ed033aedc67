//! DPM-Solver, DPM-Solver++ (Lu, Zhou, Bao, Chen, Li, Zhu 2022, arXiv 2206.00927 and 2211.01095) and their
//! stochastic forms, as multistep methods of order 1 to 3. DPM++ 2M and DPM++ 2M SDE are order 2.
//!
//! In terms of lambda, half the logarithm of the signal-to-noise ratio, the linear part of the equation is solved
//! exactly; what remains is extrapolated from the last predictions.

use super::{Combination, Level, Path, Slot, Trajectory};
use crate::schedule::{LastSigma, ScheduleError, SchedulerConfig, config::Clip};

/// Which equation is solved, in what.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Algorithm {
    /// Predicted noise, deterministic.
    Noise,
    /// Predicted clean latents, deterministic ("++").
    Clean,
    /// Predicted noise, stochastic.
    NoiseSde,
    /// Predicted clean latents, stochastic.
    CleanSde,
}

/// How the second-order term is integrated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rule {
    /// The slope as of the middle of the step.
    Midpoint,
    /// The slope integrated over the step.
    Heun,
}

/// DPM-Solver's own options.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Options {
    /// Equation.
    pub algorithm: Algorithm,
    /// 1 to 3.
    pub order: usize,
    /// Second-order rule.
    pub rule: Rule,
    /// With fewer than 15 steps, the last ones have a lower order.
    pub lower_order_final: bool,
    /// The last step is of order 1.
    pub euler_at_final: bool,
}

impl Options {
    /// The options as `scheduler_config.json` spells them.
    pub fn new(c: &SchedulerConfig) -> Result<Options, ScheduleError> {
        let algorithm = match c.algorithm_type.as_deref() {
            None | Some("dpmsolver++" | "deis") => Algorithm::Clean,
            Some("dpmsolver") => Algorithm::Noise,
            Some("sde-dpmsolver") => Algorithm::NoiseSde,
            Some("sde-dpmsolver++") => Algorithm::CleanSde,
            Some(other) => return Err(ScheduleError::Config(format!("algorithm_type \"{other}\" is not known"))),
        };
        let order = solver_order(c)?;
        if order > 2 && matches!(algorithm, Algorithm::NoiseSde | Algorithm::CleanSde) {
            return Err(ScheduleError::Config("the stochastic DPM-Solvers have orders 1 and 2".into()));
        }
        Ok(Options {
            algorithm,
            order,
            rule: if c.solver_type.as_deref() == Some("heun") { Rule::Heun } else { Rule::Midpoint },
            lower_order_final: c.lower_order_final.unwrap_or(true),
            euler_at_final: c.euler_at_final.unwrap_or(false),
        })
    }
}

/// `solver_order` of the multistep samplers.
pub(super) fn solver_order(c: &SchedulerConfig) -> Result<usize, ScheduleError> {
    match c.solver_order.unwrap_or(2) {
        order @ 1..=3 => Ok(order),
        other => Err(ScheduleError::Config(format!("solver_order {other} is not 1, 2 or 3"))),
    }
}

/// One evaluation a step; the stochastic forms draw in each but a last one that ends clean.
pub fn trajectory(path: &Path) -> Trajectory {
    let settings = &path.settings;
    let options = settings.dpm;
    let n = path.evaluations();
    let clipped = options.order;
    let mut t = Trajectory::new(path.start);
    for (count, i) in (path.start..n).enumerate() {
        let (x, out) = t.evaluate(path.schedule.timesteps[i], 1.0);
        let level = path.level(i);
        let clean = settings.prediction.clean(&x, &out, level);
        let clean = t.clipped(clipped, clean, settings.clip);
        t.denoised(&clean);
        let model = match options.algorithm {
            Algorithm::Clean | Algorithm::CleanSde => clean,
            _ if settings.clip == Clip::None => settings.prediction.noise(&x, &out, level),
            _ => (x.clone() - clean * level.signal) * (1.0 / level.noise),
        };
        t.keep(count % options.order, &model);
        let models: Vec<Combination> =
            (0..options.order.min(count + 1)).map(|back| t.kept((count - back) % options.order)).collect();
        let order = order_of(path, i).min(models.len());
        t.update(&update(path, i, &x, &models[..order]));
    }
    t
}

/// The order that step `i` may have, however much history there is.
fn order_of(path: &Path, i: usize) -> usize {
    let options = path.settings.dpm;
    let n = path.evaluations();
    let few = options.lower_order_final && n < 15;
    if i + 1 == n && (options.euler_at_final || few || path.settings.last_sigma == LastSigma::Zero) {
        1
    } else if i + 2 == n && few {
        options.order.min(2)
    } else {
        options.order
    }
}

/// Step `i` from `x`, with as many of the last predictions as its order, the newest first.
fn update(path: &Path, i: usize, x: &Combination, models: &[Combination]) -> Combination {
    let at = |i: usize| Level::of_sigma(path.schedule.sigmas[i]);
    let (from, to) = (at(i), at(i + 1));
    let h = to.lambda() - from.lambda();
    let weights = Weights::new(path.settings.dpm, from, to, h, models.len());
    let mut next = x.clone() * weights.x + models[0].clone() * weights.d0 + Combination::from(Slot::Noise) * weights.noise;
    if let [m0, m1, ..] = models {
        let h0 = from.lambda() - at(i - 1).lambda();
        let r0 = h0 / h;
        let near = (m0.clone() - m1.clone()) * (1.0 / r0);
        if let Some(m2) = models.get(2) {
            let r1 = (at(i - 1).lambda() - at(i - 2).lambda()) / h;
            let bend = near.clone() - (m1.clone() - m2.clone()) * (1.0 / r1);
            next = next + (near + bend.clone() * (r0 / (r0 + r1))) * weights.d1 + bend * (weights.d2 / (r0 + r1));
        } else {
            next = next + near * weights.d1;
        }
    }
    next
}

/// Weights of a step: of the latents, the prediction, its first and second divided differences, and fresh noise.
struct Weights {
    x: f64,
    d0: f64,
    d1: f64,
    d2: f64,
    noise: f64,
}

impl Weights {
    fn new(options: Options, from: Level, to: Level, h: f64, order: usize) -> Weights {
        let keep = (-h).exp();
        // The prediction counts `scale` times, and exponentially in z over the step.
        let (scale, z, x, noise) = match options.algorithm {
            Algorithm::Clean => (to.signal, -h, to.noise / from.noise, 0.0),
            Algorithm::Noise => (to.noise, h, to.signal / from.signal, 0.0),
            Algorithm::CleanSde => (to.signal, -2.0 * h, to.noise / from.noise * keep, to.noise * (1.0 - keep * keep).sqrt()),
            Algorithm::NoiseSde => (2.0 * to.noise, h, to.signal / from.signal, to.noise * (2.0 * h).exp_m1().sqrt()),
        };
        // Integrals of that exponential against 1, a slope and a bend.
        let whole = z.exp_m1();
        let slope = if order == 2 && options.rule == Rule::Midpoint { 0.5 * whole } else { whole / z - 1.0 };
        let bend = (whole - z) / (z * z) - 0.5;
        Weights { x, d0: -scale * whole, d1: -scale * slope, d2: -scale * bend, noise }
    }
}
