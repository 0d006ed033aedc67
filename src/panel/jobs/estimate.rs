//! How long a recipe takes, learned from those before it. Knows no clock and no queue.

use protocol::{ModelInfo, Recipe, Sampler};
use std::collections::HashMap;

/// Seconds for one unit of work and one byte of weights, until a model has been seen working: measured on
/// two cores of a small server, and only a guess anywhere else.
const SECONDS_PER_BYTE: f64 = 1.2e-9;
/// Share of the newest observation in the running mean.
const NEWEST: f64 = 0.5;

/// What each model was seen to need.
#[derive(Clone, Debug, Default)]
pub(super) struct Rates(HashMap<String, f64>);

/// Work in units of one denoiser call on 256 x 256 pixels.
pub(super) fn work(recipe: &Recipe) -> f64 {
    let calls = f64::from(if recipe.guidance > 1.0 { 2 } else { 1 } * if recipe.sampler == Sampler::Heun { 2 } else { 1 });
    let steps = f64::from(recipe.steps) * recipe.strength.map_or(1.0, f64::from);
    let area = f64::from(recipe.width) * f64::from(recipe.height) / 65_536.0;
    // Encoding the prompt and decoding the picture weigh about as much as one more step.
    (steps + 1.0) * calls * area * f64::from(recipe.batch)
}

impl Rates {
    /// Learns from a job that took `seconds`.
    pub(super) fn learn(&mut self, recipe: &Recipe, seconds: f64) {
        let rate = seconds / work(recipe);
        if rate.is_finite() && rate > 0.0 {
            self.0.entry(recipe.model.clone()).and_modify(|r| *r += NEWEST * (rate - *r)).or_insert(rate);
        }
    }

    /// Seconds that a recipe will take.
    pub(super) fn seconds(&self, recipe: &Recipe, model: Option<&ModelInfo>) -> f64 {
        let guess = || SECONDS_PER_BYTE * model.map_or(16e6, |m| m.bytes as f64);
        work(recipe) * self.0.get(&recipe.model).copied().unwrap_or_else(guess)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::jobs::job::tests::recipe;

    #[test]
    fn what_was_seen_scales_with_the_work() {
        let mut rates = Rates::default();
        let small = recipe();
        rates.learn(&small, 2.0);
        assert!((rates.seconds(&small, None) - 2.0).abs() < 1e-9);
        let large = Recipe { width: 128, batch: 2, ..small.clone() };
        assert!((rates.seconds(&large, None) - 8.0).abs() < 1e-9);
        rates.learn(&small, 4.0);
        assert!((rates.seconds(&small, None) - 3.0).abs() < 1e-9);
    }
}
