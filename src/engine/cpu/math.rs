//! Functions of one number, written so that loops over them become vector instructions. Knows no buffers.

use crate::ops::Activation;

/// e^x, within 2 units in the last place; x is kept within -87.3 and 88.3.
#[inline(always)]
pub(super) fn exp(x: f32) -> f32 {
    // 1.5 * 2^23: adding it rounds to a whole number, which then stands in the low bits.
    const ROUND: f32 = 12_582_912.0;
    let x = x.clamp(-87.3, 88.3);
    let shifted = x * std::f32::consts::LOG2_E + ROUND;
    let n = shifted - ROUND;
    // ln 2 in two parts, the first exact in few bits, so that the remainder loses nothing.
    let r = x - n * 0.693_359_4 + n * 2.121_944_4e-4;
    let p = 1.0 / 5040.0;
    let p = p * r + 1.0 / 720.0;
    let p = p * r + 1.0 / 120.0;
    let p = p * r + 1.0 / 24.0;
    let p = p * r + 1.0 / 6.0;
    let p = p * r + 0.5;
    let p = p * r + 1.0;
    let p = p * r + 1.0;
    let power = f32::from_bits(shifted.to_bits().wrapping_sub(ROUND.to_bits()).wrapping_add(127) << 23);
    p * power
}

/// 1 / (1 + e^-x)
#[inline(always)]
pub(super) fn sigmoid(x: f32) -> f32 {
    1.0 / (1.0 + exp(-x))
}

/// The error function, within 7e-7 (Abramowitz and Stegun 1964, 7.1.26).
#[inline(always)]
pub(super) fn erf(x: f32) -> f32 {
    let a = x.abs();
    let t = 1.0 / (1.0 + 0.327_591_1 * a);
    let p = 1.061_405_4;
    let p = p * t - 1.453_152;
    let p = p * t + 1.421_413_7;
    let p = p * t - 0.284_496_74;
    let p = p * t + 0.254_829_6;
    (1.0 - p * t * exp(-a * a)).copysign(x)
}

/// x * (1 + erf(x / sqrt 2)) / 2
#[inline(always)]
pub(super) fn gelu(x: f32) -> f32 {
    0.5 * x * (1.0 + erf(x * std::f32::consts::FRAC_1_SQRT_2))
}

super::simd::vectorized! {
    /// Applies an activation in place.
    fn activate(values: &mut [f32], act: Activation) {
        match act {
            Activation::None | Activation::Geglu => {}
            Activation::Silu => values.iter_mut().for_each(|x| *x *= sigmoid(*x)),
            Activation::Gelu => values.iter_mut().for_each(|x| *x = gelu(*x)),
            Activation::QuickGelu => values.iter_mut().for_each(|x| *x *= sigmoid(1.702 * *x)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn worst(from: f32, to: f32, f: impl Fn(f32) -> f32, exact: impl Fn(f64) -> f64, scale: impl Fn(f64) -> f64) -> f64 {
        (0..=100_000)
            .map(|i| {
                let x = from + (to - from) * i as f32 / 100_000.0;
                let y = exact(f64::from(x));
                (f64::from(f(x)) - y).abs() / scale(y)
            })
            .fold(0.0, f64::max)
    }

    #[test]
    fn exp_is_exact_to_a_few_bits() {
        assert!(worst(-80.0, 80.0, exp, f64::exp, |y| y) < 3e-7);
        assert!(exp(-1e9) < 1.3e-38 && exp(-1e9) >= 0.0);
    }

    /// The series of erf, in f64.
    fn series(x: f64) -> f64 {
        let (mut term, mut sum) = (x, x);
        for n in 1..200 {
            term *= -x * x / f64::from(n);
            sum += term / f64::from(2 * n + 1);
        }
        sum * 2.0 / std::f64::consts::PI.sqrt()
    }

    #[test]
    fn erf_is_exact_to_what_it_says() {
        assert!(worst(-4.0, 4.0, erf, series, |_| 1.0) < 7e-7);
    }

    #[test]
    fn activations_are_their_formulas() {
        let sigmoid = |x: f64| 1.0 / (1.0 + (-x).exp());
        type Case = (Activation, Box<dyn Fn(f64) -> f64>);
        let cases: [Case; 4] = [
            (Activation::None, Box::new(|x| x)),
            (Activation::Silu, Box::new(move |x| x * sigmoid(x))),
            (Activation::QuickGelu, Box::new(move |x| x * sigmoid(1.702 * x))),
            (Activation::Gelu, Box::new(|x| 0.5 * x * (1.0 + series(x / 2f64.sqrt())))),
        ];
        for (act, exact) in cases {
            let one = |x: f32| {
                let mut v = [x];
                activate(&mut v, act);
                v[0]
            };
            assert!(worst(-5.0, 5.0, one, &exact, |_| 1.0) < 1e-6, "{act:?}");
        }
    }
}
