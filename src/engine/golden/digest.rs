//! What is kept of a large recorded result: enough to notice a difference anywhere in it. Knows how the numbers behind
//! it are generated, and no network.

use serde::Deserialize;

/// The generator of `tests/golden/make.py`: element `i` of what a name stands for, as 64 random bits (splitmix64 of a
/// counter that begins at the FNV-1a hash of the name).
pub(super) fn word(seed: u64, i: u64) -> u64 {
    let mut x = seed.wrapping_add((i + 1).wrapping_mul(0x9E37_79B9_7F4A_7C15));
    x = (x ^ (x >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    x = (x ^ (x >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    x ^ (x >> 31)
}

/// The FNV-1a hash of a name.
pub(super) fn seed(name: &str) -> u64 {
    name.bytes().fold(0xCBF2_9CE4_8422_2325, |h: u64, byte| (h ^ u64::from(byte)).wrapping_mul(0x0100_0000_01B3))
}

/// About a standard normal deviate: four 16-bit words, added up and scaled.
pub(super) fn deviate(seed: u64, i: u64) -> f64 {
    let word = word(seed, i);
    let sum: u64 = (0..4).map(|k| (word >> (16 * k)) & 0xFFFF).sum();
    (sum as f64 - 131_070.0) / 37_837.0
}

/// A large result, channels last.
#[derive(Clone, Debug, Deserialize)]
pub struct Digest {
    dims: Vec<usize>,
    largest: f64,
    mean: f64,
    deviation: f64,
    /// Elements at generated places.
    samples: Vec<f64>,
    /// Sums of all elements under generated signs.
    sums: Vec<f64>,
}

impl Digest {
    /// How far `found` is from the recorded result named `key`, as a share of its largest magnitude. A sum counts by the
    /// root of its number of elements, as independent errors add up.
    pub fn distance(&self, key: &str, found: &[f32]) -> f64 {
        let n: usize = self.dims.iter().product();
        if found.len() != n || n == 0 || !found.iter().all(|v| v.is_finite()) {
            return f64::INFINITY;
        }
        let value = |i: usize| f64::from(found[i]);
        let count = n as f64;
        let largest = (0..n).map(|i| value(i).abs()).fold(0.0, f64::max);
        let mean = (0..n).map(value).sum::<f64>() / count;
        let deviation = ((0..n).map(|i| (value(i) - mean).powi(2)).sum::<f64>() / count).sqrt();
        let places = seed(&format!("{key}/samples"));
        let place = |i: u64| usize::try_from(word(places, i) % n as u64).expect("a place among the elements");
        let samples = (0..).zip(&self.samples).map(|(i, expected)| (value(place(i)) - expected).abs());
        let sums = self.sums.iter().enumerate().map(|(k, expected)| {
            let signs = seed(&format!("{key}/signs {k}"));
            let signed = |(i, v): (u64, &f32)| if word(signs, i) & 1 == 0 { f64::from(*v) } else { -f64::from(*v) };
            ((0..).zip(found).map(signed).sum::<f64>() - expected).abs() / count.sqrt()
        });
        let whole = [(largest - self.largest).abs(), (mean - self.mean).abs(), (deviation - self.deviation).abs()];
        samples.chain(sums).chain(whole).fold(0.0, f64::max) / self.largest
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn digest(key: &str, values: &[f32]) -> Digest {
        let n = values.len() as u64;
        let at = |i: u64| f64::from(values[usize::try_from(i).unwrap()]);
        let mean = (0..n).map(at).sum::<f64>() / n as f64;
        let sign = |k: i32, i: u64| if word(seed(&format!("{key}/signs {k}")), i) & 1 == 0 { 1.0 } else { -1.0 };
        Digest {
            dims: vec![values.len()],
            largest: (0..n).map(|i| at(i).abs()).fold(0.0, f64::max),
            mean,
            deviation: ((0..n).map(|i| (at(i) - mean).powi(2)).sum::<f64>() / n as f64).sqrt(),
            samples: (0..20).map(|i| at(word(seed(&format!("{key}/samples")), i) % n)).collect(),
            sums: (0..12).map(|k| (0..n).map(|i| sign(k, i) * at(i)).sum()).collect(),
        }
    }

    #[test]
    fn an_error_anywhere_shows() {
        let values: Vec<f32> = (0..1000).map(|i| deviate(seed("x"), i) as f32).collect();
        let digest = digest("x", &values);
        assert!(digest.distance("x", &values) < 1e-12);
        for i in 0..values.len() {
            let mut wrong = values.clone();
            wrong[i] += 0.05;
            assert!(digest.distance("x", &wrong) > 1e-4, "element {i}");
        }
        assert_eq!(digest.distance("x", &values[1..]), f64::INFINITY);
    }

    #[test]
    fn deviates_are_about_standard() {
        let n = 100_000;
        let values: Vec<f64> = (0..n).map(|i| deviate(seed("weight"), i)).collect();
        let mean = values.iter().sum::<f64>() / n as f64;
        let variance = values.iter().map(|v| (v - mean).powi(2)).sum::<f64>() / n as f64;
        assert!(mean.abs() < 0.02 && (variance - 1.0).abs() < 0.02, "{mean} {variance}");
    }
}
