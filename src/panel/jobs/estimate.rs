//! How long a recipe takes, learned from those before it. Knows no clock and no queue.

use protocol::{Recipe, Sampler};
use std::collections::HashMap;

/// Seconds of one unit of work with weights of so many bytes, as measured on two cores of a small server: the embedded
/// model, and one of full size in 16 bits. Anywhere else only their proportion counts.
const MEASURED: [(f64, f64); 2] = [(15e6, 0.026), (2.1e9, 1.01)];
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

    /// Seconds that a recipe will take; `bytes` are those of a model's weights. Of a model that never worked here it is a
    /// guess, from its size and from how fast the others are on this machine.
    pub(super) fn seconds(&self, recipe: &Recipe, bytes: impl Fn(&str) -> Option<u64>) -> f64 {
        let guess = || self.pace(&bytes) * measured(bytes(&recipe.model).map_or(MEASURED[0].0, |b| b as f64));
        work(recipe) * self.0.get(&recipe.model).copied().unwrap_or_else(guess)
    }

    /// How much slower than the measured machine this one is: the geometric mean over the models that worked here.
    fn pace(&self, bytes: impl Fn(&str) -> Option<u64>) -> f64 {
        let seen = self.0.iter().filter_map(|(id, rate)| Some((rate / measured(bytes(id)? as f64)).ln()));
        let (sum, n) = seen.fold((0.0, 0.0), |(sum, n), each| (sum + each, n + 1.0));
        if n > 0.0 { f64::exp(sum / n) } else { 1.0 }
    }
}

/// Seconds of one unit on the measured machine: a straight line through what was measured, both axes logarithmic.
fn measured(bytes: f64) -> f64 {
    let [(small, fast), (large, slow)] = MEASURED;
    let slope = f64::ln(slow / fast) / f64::ln(large / small);
    fast * f64::powf(bytes.max(1.0) / small, slope)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_seen_scales_with_the_work() {
        let mut rates = Rates::default();
        let small = Recipe::example();
        rates.learn(&small, 2.0);
        assert!((rates.seconds(&small, |_| None) - 2.0).abs() < 1e-9);
        let large = Recipe { width: 128, batch: 2, ..small.clone() };
        assert!((rates.seconds(&large, |_| None) - 8.0).abs() < 1e-9);
        rates.learn(&small, 4.0);
        assert!((rates.seconds(&small, |_| None) - 3.0).abs() < 1e-9);
    }
    #[test]
    fn a_model_never_seen_is_guessed_from_its_size_and_from_the_others() {
        let (small, large) = (Recipe::example(), Recipe { model: "large".into(), ..Recipe::example() });
        let bytes = |id: &str| match id {
            "large" => Some(2_100_000_000),
            "gone" => None,
            _ => Some(15_000_000),
        };
        let mut rates = Rates::default();
        assert!((rates.seconds(&large, bytes) / work(&large) - 1.01).abs() < 1e-9);
        assert!((rates.seconds(&small, bytes) / work(&small) - 0.026).abs() < 1e-9);
        // On a machine ten times as fast.
        rates.learn(&small, 0.0026 * work(&small));
        assert!((rates.seconds(&large, bytes) / work(&large) - 0.101).abs() < 1e-9);
        assert!(rates.seconds(&Recipe { model: "gone".into(), ..large }, bytes) > 0.0);
    }
}
