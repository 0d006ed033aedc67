//! The noise that a model was trained with: betas, their running product, and sigmas. Knows no sampler.

use serde::Deserialize;
use std::f64::consts::PI;

/// Shape of beta over the training timesteps.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
pub enum BetaCurve {
    /// Straight from `beta_start` to `beta_end` (Ho et al. 2020).
    #[serde(rename = "linear")]
    Linear,
    /// Straight in the square root (latent diffusion).
    #[serde(rename = "scaled_linear")]
    ScaledLinear,
    /// The cosine of Nichol and Dhariwal 2021, betas at most 0.999.
    #[serde(rename = "squaredcos_cap_v2")]
    Cosine,
}

/// The betas of `n` training timesteps.
pub fn betas(curve: BetaCurve, start: f64, end: f64, n: usize) -> Vec<f32> {
    match curve {
        BetaCurve::Linear => linspace_f32(start as f32, end as f32, n),
        BetaCurve::ScaledLinear => {
            linspace_f32(start.sqrt() as f32, end.sqrt() as f32, n).into_iter().map(|root| root * root).collect()
        }
        BetaCurve::Cosine => {
            let alpha_bar = |t: f64| ((t + 0.008) / 1.008 * PI / 2.0).cos().powi(2);
            let at = |i: usize| alpha_bar(i as f64 / n as f64);
            (0..n).map(|i| (1.0 - at(i + 1) / at(i)).min(0.999) as f32).collect()
        }
    }
}

/// `n` evenly spaced f32 values, computed from whichever end is nearer, as the reference's library does.
pub(super) fn linspace_f32(start: f32, end: f32, n: usize) -> Vec<f32> {
    let step = if n > 1 { (end - start) / (n - 1) as f32 } else { 0.0 };
    (0..n).map(|i| if i < n / 2 { start + step * i as f32 } else { end - step * (n - 1 - i) as f32 }).collect()
}

/// Betas shifted and scaled so that the last timestep is pure noise (Lin et al. 2023, "Common diffusion noise
/// schedules and sample steps are flawed", algorithm 1).
pub fn rescale_zero_terminal_snr(betas: &[f32]) -> Vec<f32> {
    let roots: Vec<f32> = products(betas).into_iter().map(f32::sqrt).collect();
    let (first, last) = (roots[0], roots[roots.len() - 1]);
    let scale = first / (first - last);
    let alpha_bars: Vec<f32> = roots.into_iter().map(|root| ((root - last) * scale).powi(2)).collect();
    let mut before = 1.0;
    let mut out = Vec::with_capacity(betas.len());
    for alpha_bar in alpha_bars {
        out.push(1.0 - alpha_bar / before);
        before = alpha_bar;
    }
    out
}

/// Running product of 1 - beta.
fn products(betas: &[f32]) -> Vec<f32> {
    let mut product = 1.0;
    let next = |beta: &f32| {
        product *= f64::from(1.0 - beta);
        product as f32
    };
    betas.iter().map(next).collect()
}

/// The training table, by timestep: how much signal is left, and sigma = noise / signal.
#[derive(Clone, Debug, PartialEq)]
pub struct NoiseTable {
    alphas_cumprod: Vec<f32>,
    sigmas: Vec<f32>,
    log_sigmas: Vec<f32>,
}

/// Stands for the zero signal of the last timestep after [`rescale_zero_terminal_snr`], so that sigma stays
/// finite: the smallest positive f16, as the reference has it.
pub const NEARLY_NO_SIGNAL: f32 = 1.0 / 16_777_216.0;

impl NoiseTable {
    /// The table of `betas`; `cap_last` puts [`NEARLY_NO_SIGNAL`] into the last place.
    pub fn new(betas: &[f32], cap_last: bool) -> NoiseTable {
        let mut alphas_cumprod = products(betas);
        if let (true, Some(last)) = (cap_last, alphas_cumprod.last_mut()) {
            *last = NEARLY_NO_SIGNAL;
        }
        let sigmas: Vec<f32> = alphas_cumprod.iter().map(|a| ((1.0 - a) / a).sqrt()).collect();
        let log_sigmas = sigmas.iter().map(|s| f64::from(*s).ln() as f32).collect();
        NoiseTable { alphas_cumprod, sigmas, log_sigmas }
    }

    /// Share of the signal's variance at an integer timestep; `None` before the first.
    pub fn alpha_cumprod(&self, timestep: i64) -> Option<f64> {
        let index = usize::try_from(timestep).ok()?;
        self.alphas_cumprod.get(index).map(|a| f64::from(*a))
    }

    /// Sigmas of the training timesteps, rising.
    pub fn sigmas(&self) -> &[f32] {
        &self.sigmas
    }

    /// The smallest sigma.
    pub fn sigma_min(&self) -> f64 {
        f64::from(self.sigmas[0])
    }

    /// The largest sigma.
    pub fn sigma_max(&self) -> f64 {
        f64::from(self.sigmas[self.sigmas.len() - 1])
    }

    /// Sigma at a fractional timestep, linear between its neighbours, constant beyond the ends.
    pub fn sigma_at(&self, timestep: f64) -> f64 {
        let t = timestep.clamp(0.0, (self.sigmas.len() - 1) as f64);
        let below = t.floor() as usize;
        let above = (below + 1).min(self.sigmas.len() - 1);
        let (low, high) = (f64::from(self.sigmas[below]), f64::from(self.sigmas[above]));
        low + (high - low) * (t - below as f64)
    }

    /// The fractional timestep of a sigma, linear in the logarithm, within the table.
    pub fn timestep_of(&self, sigma: f64) -> f64 {
        let log = sigma.max(1e-10).ln();
        let not_above = self.log_sigmas.partition_point(|l| f64::from(*l) <= log);
        let below = not_above.saturating_sub(1).min(self.log_sigmas.len() - 2);
        let (low, high) = (f64::from(self.log_sigmas[below]), f64::from(self.log_sigmas[below + 1]));
        let w = ((low - log) / (low - high)).clamp(0.0, 1.0);
        (1.0 - w) * below as f64 + w * (below + 1) as f64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cosine_betas_are_not_whole_number_divisions() {
        let b = betas(BetaCurve::Cosine, 0.0, 0.0, 1000);
        assert!(b.iter().all(|x| *x > 0.0 && *x <= 0.999), "{b:?}");
        assert!((b[0] - 4.128e-5).abs() < 1e-7, "{}", b[0]);
        assert_eq!(b[999], 0.999);
    }

    #[test]
    fn zero_terminal_snr_ends_in_pure_noise_and_keeps_the_first_level() {
        let plain = betas(BetaCurve::ScaledLinear, 0.00085, 0.012, 1000);
        let rescaled = rescale_zero_terminal_snr(&plain);
        let (a, b) = (NoiseTable::new(&plain, false), NoiseTable::new(&rescaled, false));
        assert_eq!(b.alpha_cumprod(999), Some(0.0));
        assert!((a.sigma_min() - b.sigma_min()).abs() < 1e-4 * a.sigma_min());
        assert_eq!(NoiseTable::new(&rescaled, true).sigma_max(), f64::from((1.0 / NEARLY_NO_SIGNAL - 1.0).sqrt()));
    }

    #[test]
    fn timesteps_and_sigmas_are_inverse_inside_the_table() {
        let table = NoiseTable::new(&betas(BetaCurve::ScaledLinear, 0.00085, 0.012, 1000), false);
        for t in [0.0, 1.0, 37.0, 500.0, 998.0, 999.0] {
            assert!((table.timestep_of(table.sigma_at(t)) - t).abs() < 1e-3, "{t}");
        }
        assert_eq!(table.timestep_of(1e-12), 0.0);
        assert_eq!(table.timestep_of(1e6), 999.0);
        assert_eq!(table.alpha_cumprod(-1), None);
    }
}
