//! The only randomness of the engine: Gaussian noise that is a function of (seed, draw, element). Knows no
//! tensors' meaning, no threads and no order: every number can be computed by itself.
//!
//! The generator is Philox 4x32-10 (Salmon, Moraes, Dror, Shaw: "Parallel random numbers: as easy as 1, 2,
//! 3", SC'11), the Gaussian shape Box and Muller's. The key is the seed; the counter is (element / 4, draw),
//! and the four words of a block become four normal deviates.

use std::f64::consts::TAU;

/// What a draw is for. The number of a draw, not when it happens, decides its values, so that text to image
/// and image to image of one seed start from the same noise.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Draw {
    /// Noise of the initial latents.
    Latents,
    /// Sample of the posterior of an encoded reference picture.
    Posterior,
    /// Sample of the posterior of a masked reference picture.
    MaskedPosterior,
    /// Fresh noise of sampling step `n`, counted in denoiser evaluations from 0.
    Step(u32),
}

impl Draw {
    fn number(self) -> u64 {
        match self {
            Draw::Latents => 0,
            Draw::Posterior => 1,
            Draw::MaskedPosterior => 2,
            Draw::Step(n) => 16 + u64::from(n),
        }
    }
}

/// Where noise comes from: [`Seeded`] in the product, recorded draws in goldens.
pub trait NoiseSource {
    /// Fills `out` (batch x height x width x channels) with standard normal deviates.
    fn fill(&mut self, draw: Draw, out: &mut [f32]);
}

/// Noise of a batch: picture i has the noise of seed + i, whatever the batch.
#[derive(Clone, Copy, Debug)]
pub struct Seeded {
    /// Seed of the first picture.
    pub seed: u64,
    /// Pictures in a batch.
    pub batch: usize,
}

impl NoiseSource for Seeded {
    fn fill(&mut self, draw: Draw, out: &mut [f32]) {
        let elements = out.len() / self.batch;
        for (i, picture) in (0u64..).zip(out.chunks_exact_mut(elements)) {
            for (block, chunk) in (0u64..).zip(picture.chunks_mut(4)) {
                let deviates = normal_block(self.seed.wrapping_add(i), draw.number(), block);
                chunk.copy_from_slice(&deviates[..chunk.len()]);
            }
        }
    }
}

/// Element `element` of draw number `draw` of `seed`.
#[cfg(test)]
fn normal(seed: u64, draw: u64, element: u64) -> f32 {
    normal_block(seed, draw, element / 4)[(element % 4) as usize]
}

/// The four deviates of one counter. Computed in f64, so that the rounding to f32 hides the last place in
/// which mathematical libraries differ.
fn normal_block(seed: u64, draw: u64, block: u64) -> [f32; 4] {
    let words = philox([low(block), high(block), low(draw), high(draw)], [low(seed), high(seed)]);
    let [a, b] = box_muller(words[0], words[1]);
    let [c, d] = box_muller(words[2], words[3]);
    [a, b, c, d]
}

/// Two independent normal deviates of two uniform words.
fn box_muller(a: u32, b: u32) -> [f32; 2] {
    let uniform = |word: u32| (f64::from(word) + 0.5) / 4_294_967_296.0;
    let radius = (-2.0 * uniform(a).ln()).sqrt();
    let (sin, cos) = (TAU * uniform(b)).sin_cos();
    [(radius * cos) as f32, (radius * sin) as f32]
}

/// Philox 4x32 with 10 rounds.
fn philox(mut counter: [u32; 4], mut key: [u32; 2]) -> [u32; 4] {
    const MULTIPLIERS: [u64; 2] = [0xD251_1F53, 0xCD9E_8D57];
    const WEYL: [u32; 2] = [0x9E37_79B9, 0xBB67_AE85];
    for _ in 0..10 {
        let a = MULTIPLIERS[0] * u64::from(counter[0]);
        let b = MULTIPLIERS[1] * u64::from(counter[2]);
        counter = [high(b) ^ counter[1] ^ key[0], low(b), high(a) ^ counter[3] ^ key[1], low(a)];
        key = [key[0].wrapping_add(WEYL[0]), key[1].wrapping_add(WEYL[1])];
    }
    counter
}

fn low(x: u64) -> u32 {
    x as u32
}

fn high(x: u64) -> u32 {
    (x >> 32) as u32
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The known-answer vectors of Random123's `kat_vectors` for `philox4x32 10`.
    #[test]
    fn philox_gives_the_published_vectors() {
        assert_eq!(philox([0; 4], [0; 2]), [0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8]);
        assert_eq!(philox([u32::MAX; 4], [u32::MAX; 2]), [0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd]);
        let pi = philox([0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344], [0xa4093822, 0x299f31d0]);
        assert_eq!(pi, [0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1]);
    }

    fn drawn(seed: u64, batch: usize, draw: Draw, len: usize) -> Vec<f32> {
        let mut out = vec![0.0; len];
        Seeded { seed, batch }.fill(draw, &mut out);
        out
    }

    #[test]
    fn a_batch_is_its_pictures_one_by_one() {
        let both = drawn(41, 2, Draw::Step(3), 2 * 4 * 5 * 7);
        assert_eq!(both[..140], drawn(41, 1, Draw::Step(3), 140));
        assert_eq!(both[140..], drawn(42, 1, Draw::Step(3), 140));
        let last = drawn(u64::MAX, 2, Draw::Latents, 8);
        assert_eq!(last[4..], drawn(0, 1, Draw::Latents, 4));
    }

    #[test]
    fn every_element_is_reachable_by_itself() {
        let all = drawn(7, 1, Draw::Step(0), 10);
        for (i, value) in (0..).zip(&all) {
            assert_eq!(normal(7, Draw::Step(0).number(), i), *value);
        }
    }

    #[test]
    fn draws_and_seeds_differ() {
        let base = drawn(7, 1, Draw::Latents, 64);
        for other in [Draw::Posterior, Draw::MaskedPosterior, Draw::Step(0), Draw::Step(1)] {
            assert_ne!(base, drawn(7, 1, other, 64));
        }
        assert_ne!(base, drawn(8, 1, Draw::Latents, 64));
        assert_ne!(base, drawn(7 | 1 << 40, 1, Draw::Latents, 64));
    }

    #[test]
    fn deviates_have_the_moments_of_a_standard_normal() {
        let n = 200_000;
        let values = drawn(2024, 1, Draw::Latents, n);
        let moment = |k: i32| values.iter().map(|v| f64::from(*v).powi(k)).sum::<f64>() / n as f64;
        for (k, expected) in [(1, 0.0), (2, 1.0), (3, 0.0), (4, 3.0)] {
            assert!((moment(k) - expected).abs() < 0.05, "moment {k} is {}", moment(k));
        }
        let neighbours: f64 = values.windows(2).map(|w| f64::from(w[0]) * f64::from(w[1])).sum::<f64>() / n as f64;
        assert!(neighbours.abs() < 0.01, "correlation of neighbours is {neighbours}");
        assert!(values.iter().all(|v| v.is_finite() && v.abs() < 7.0));
    }
}
