//! How sigmas are spread between the largest and the smallest. Knows no training table.

use super::betas::linspace_f32;
use super::quantile::beta_quantile;

/// A rule for the sigmas between two ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Spread {
    /// Those of the visited timesteps.
    Plain,
    /// Even in sigma^(1/7) (Karras et al. 2022, equation 5).
    Karras,
    /// Even in log sigma.
    Exponential,
    /// Quantiles of Beta(0.6, 0.6) (Lee et al. 2024, "Beta sampling is all you need").
    Beta,
    /// Even in log signal-to-noise (Lu et al. 2022).
    Lu,
}

/// How sigma is read between two training timesteps.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Interpolation {
    /// Linear in sigma.
    Linear,
    /// Not read: even in log sigma over the whole table, one point more than steps.
    LogLinear,
}

impl Spread {
    /// `n` falling sigmas from `ends.0` to `ends.1`; `None` for plain ones.
    pub(super) fn sigmas(self, ends: (f64, f64), n: usize) -> Option<Vec<f64>> {
        const RHO: f64 = 7.0;
        let (max, min) = ends;
        let ramp = |i: usize| if n > 1 { i as f64 / (n - 1) as f64 } else { 0.0 };
        let between = |i: usize, from: f64, to: f64| from + ramp(i) * (to - from);
        let rule: &dyn Fn(usize) -> f64 = match self {
            Spread::Plain => return None,
            Spread::Karras => &|i| between(i, max.powf(1.0 / RHO), min.powf(1.0 / RHO)).powf(RHO),
            Spread::Exponential | Spread::Lu => &|i| between(i, max.ln(), min.ln()).exp(),
            Spread::Beta => &|i| min + beta_quantile(1.0 - ramp(i), 0.6, 0.6) * (max - min),
        };
        Some((0..n).map(rule).collect())
    }
}

/// Largest and smallest of falling sigmas.
pub(super) fn ends(falling: &[f64]) -> (f64, f64) {
    (falling[0], falling[falling.len() - 1])
}

/// `steps + 1` sigmas, even in the logarithm over the whole table.
pub(super) fn log_linear(rising: &[f32], steps: usize) -> Vec<f64> {
    let log = |sigma: f32| f64::from(sigma).ln() as f32;
    let logs = linspace_f32(log(rising[rising.len() - 1]), log(rising[0]), steps + 1);
    logs.into_iter().map(|l| f64::from(l.exp())).collect()
}
