//! Noise out of a recording in place of a generator's. Knows what a draw is for; knows no network.

use super::Reference;
use crate::{
    EngineError,
    noise::{Draw, NoiseSource},
};
use serde_json::Value;
use std::collections::VecDeque;

/// The recorded draws, by what they were for.
pub(super) struct Replayed {
    latents: VecDeque<Vec<f32>>,
    posteriors: VecDeque<Vec<f32>>,
    steps: VecDeque<Vec<f32>>,
}

impl Replayed {
    /// The draws among these events.
    ///
    /// # Errors
    /// When one names no tensor.
    pub(super) fn new(reference: &Reference, events: &[Value]) -> Result<Replayed, EngineError> {
        let mut replayed = Replayed { latents: VecDeque::new(), posteriors: VecDeque::new(), steps: VecDeque::new() };
        for event in events.iter().filter(|e| e["ev"] == "rng") {
            let values = reference.tensor(&event["out"])?.channels_last();
            match event["by"].as_str().unwrap_or_default() {
                "prepare_latents" => replayed.latents.push_back(values),
                "sample" => replayed.posteriors.push_back(values),
                _ => replayed.steps.push_back(values),
            }
        }
        Ok(replayed)
    }
}

impl NoiseSource for Replayed {
    fn fill(&mut self, draw: Draw, out: &mut [f32]) {
        let values = match draw {
            Draw::Latents => self.latents.pop_front(),
            Draw::Posterior => self.posteriors.pop_front(),
            // The picture itself, where it was encoded at all, was encoded before the masked one.
            Draw::MaskedPosterior => self.posteriors.pop_back(),
            Draw::Step(_) => self.steps.pop_front(),
        };
        // A draw that was not recorded shows as a difference, not as a panic.
        let values = values.filter(|v| v.len() == out.len());
        out.copy_from_slice(&values.unwrap_or_else(|| vec![f32::NAN; out.len()]));
    }
}
