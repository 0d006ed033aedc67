//! UniPC (Zhao, Bai, Rao, Zhou, Lu 2023, arXiv 2302.04867): a multistep predictor of order 1 to 3, and a corrector of
//! one order more that uses the next evaluation at no cost.

use super::{Combination, Level, Path, Trajectory, dpm_solver};
use crate::schedule::{ScheduleError, SchedulerConfig, config::Clip};

/// The function B(h) of the paper's formula 9.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Bh {
    /// h.
    Bh1,
    /// e^h - 1.
    Bh2,
}

/// UniPC's own options.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Options {
    /// 1 to 3.
    pub order: usize,
    /// B(h).
    pub bh: Bh,
    /// Solve in the clean latents rather than in the noise.
    pub predict_clean: bool,
    /// The last steps have a lower order.
    pub lower_order_final: bool,
    /// Steps whose result is not corrected.
    pub uncorrected: Vec<usize>,
}

impl Options {
    /// The options as `scheduler_config.json` spells them.
    pub fn new(c: &SchedulerConfig) -> Result<Options, ScheduleError> {
        Ok(Options {
            order: dpm_solver::solver_order(c)?,
            bh: if c.solver_type.as_deref() == Some("bh1") { Bh::Bh1 } else { Bh::Bh2 },
            predict_clean: c.predict_x0.unwrap_or(true),
            lower_order_final: c.lower_order_final.unwrap_or(true),
            uncorrected: c.disable_corrector.clone().unwrap_or_default(),
        })
    }
}

/// One evaluation a step. Slots 0 to `order` hold the last predictions in turn, the next one the latents that the
/// last step started from, the last one the clipped latents.
pub fn trajectory(path: &Path) -> Trajectory {
    let settings = &path.settings;
    let options = &settings.unipc;
    let ring = options.order + 1;
    let n = path.evaluations();
    let mut t = Trajectory::new(path.start);
    let mut order = 0;
    for (count, i) in (path.start..n).enumerate() {
        let (x, out) = t.evaluate(path.schedule.timesteps[i], 1.0);
        let level = path.level(i);
        let clean = settings.prediction.clean(&x, &out, level);
        let clean = t.clipped(ring + 1, clean, settings.clip);
        t.denoised(&clean);
        let model = match options.predict_clean {
            true => clean,
            false if settings.clip == Clip::None => settings.prediction.noise(&x, &out, level),
            false => (x.clone() - clean * level.signal) * (1.0 / level.noise),
        };
        let model = t.keep(count % ring, &model);
        let past = |back: usize| -> Vec<Combination> {
            (back..=count).take(options.order).map(|b| t.kept((count - b) % ring)).collect()
        };
        let corrected = if count > 0 && !options.uncorrected.contains(&(i - 1)) {
            let step = Step::new(path, i - 1, order, &past(1));
            step.corrected(&t.kept(ring), &model)
        } else {
            x
        };
        let history = past(0);
        let from = t.keep(ring, &corrected);
        let ahead = if options.lower_order_final { n - i } else { options.order };
        order = options.order.min(ahead).min(count + 1);
        t.update(&Step::new(path, i, order, &history).predicted(&from));
    }
    t
}

/// A step of a given order, with what its predictor and its corrector share.
struct Step {
    order: usize,
    /// Weight of the latents that the step starts from.
    keep: f64,
    /// Weight of what the predictions add.
    scale: f64,
    phi1: f64,
    b: f64,
    /// Places of the older predictions in units of the step, then 1 for its end.
    r: Vec<f64>,
    /// The conditions' right-hand side.
    conditions: Vec<f64>,
    newest: Combination,
    /// Divided differences of the older predictions.
    differences: Vec<Combination>,
}

impl Step {
    /// Step `i`; `models` are the predictions before it, the newest first.
    fn new(path: &Path, i: usize, order: usize, models: &[Combination]) -> Step {
        let options = &path.settings.unipc;
        let at = |i: usize| Level::of_sigma(path.schedule.sigmas[i]);
        let (from, to) = (at(i), at(i + 1));
        let h = to.lambda() - from.lambda();
        let (keep, scale, hh) =
            if options.predict_clean { (to.noise / from.noise, to.signal, -h) } else { (to.signal / from.signal, to.noise, h) };
        let phi1 = hh.exp_m1();
        let b = if options.bh == Bh::Bh1 { hh } else { phi1 };
        let place = |back: usize| (at(i - back).lambda() - from.lambda()) / h;
        let mut r: Vec<f64> = (1..order).map(place).collect();
        let newest = models[0].clone();
        let difference = |(model, r): (&Combination, &f64)| (model.clone() - newest.clone()) * (1.0 / r);
        let differences = models[1..].iter().zip(&r).map(difference).collect();
        r.push(1.0);
        let (mut phi, mut factorial) = (phi1 / hh - 1.0, 1.0);
        let mut conditions = Vec::with_capacity(order);
        for k in 1..=order {
            conditions.push(phi * factorial / b);
            factorial *= (k + 1) as f64;
            phi = phi / hh - 1.0 / factorial;
        }
        Step { order, keep, scale, phi1, b, r, conditions, newest, differences }
    }

    /// The exponential part, common to predictor and corrector.
    fn base(&self, from: &Combination) -> Combination {
        from.clone() * self.keep - self.newest.clone() * (self.scale * self.phi1)
    }

    /// UniP: from the latents at the step's start.
    fn predicted(&self, from: &Combination) -> Combination {
        let weights = match self.order {
            1 => Vec::new(),
            // The paper's simplification: exact weights would not raise the order.
            2 => vec![0.5],
            order => solve(&self.r[..order - 1], &self.conditions[..order - 1]),
        };
        self.base(from) - self.residual(&weights) * (self.scale * self.b)
    }

    /// UniC: the same step again, now that the prediction at its end is known.
    fn corrected(&self, from: &Combination, end: &Combination) -> Combination {
        let weights = if self.order == 1 { vec![0.5] } else { solve(&self.r, &self.conditions) };
        let at_end = (end.clone() - self.newest.clone()) * weights[self.order - 1];
        self.base(from) - (self.residual(&weights) + at_end) * (self.scale * self.b)
    }

    fn residual(&self, weights: &[f64]) -> Combination {
        Combination::sum(self.differences.iter().zip(weights).map(|(d, w)| d.clone() * *w))
    }
}

/// Weights w with `sum of w[k] * r[k]^i = b[i]`, by elimination with pivots.
fn solve(r: &[f64], b: &[f64]) -> Vec<f64> {
    let n = r.len();
    let power = |i: usize| i32::try_from(i).expect("the order is at most 3");
    let mut rows: Vec<Vec<f64>> = (0..n).map(|i| r.iter().map(|r| r.powi(power(i))).chain([b[i]]).collect()).collect();
    for column in 0..n {
        let pivot = (column..n).max_by(|a, b| rows[*a][column].abs().total_cmp(&rows[*b][column].abs())).unwrap_or(column);
        rows.swap(column, pivot);
        let lead = rows[column].clone();
        for (i, row) in rows.iter_mut().enumerate().filter(|(i, _)| *i != column) {
            let _ = i;
            let factor = row[column] / lead[column];
            row.iter_mut().zip(&lead).for_each(|(value, above)| *value -= factor * above);
        }
    }
    (0..n).map(|i| rows[i][n] / rows[i][i]).collect()
}

#[cfg(test)]
mod tests {
    #[test]
    fn conditions_are_met() {
        let r = [-1.3, -0.4, 1.0];
        let b = [0.7, -0.2, 0.9];
        let w = super::solve(&r, &b);
        for (i, expected) in (0..).zip(b) {
            let found: f64 = w.iter().zip(r).map(|(w, r)| w * r.powi(i)).sum();
            assert!((found - expected).abs() < 1e-13, "{i}: {found}");
        }
    }
}
