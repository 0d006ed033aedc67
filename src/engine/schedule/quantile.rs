//! Quantiles of the beta distribution, by the inverse of the regularised incomplete beta function. Knows
//! nothing else.

/// The x with I_x(a, b) = p, for p in 0..=1 and positive a and b.
///
/// I_x is monotone, so Newton's steps are kept inside a bracket that only shrinks: quadratic near the
/// root, never worse than halving. Works in the smaller tail, where I_x keeps its relative accuracy.
pub fn beta_quantile(p: f64, a: f64, b: f64) -> f64 {
    if p <= 0.0 {
        return 0.0;
    }
    if p >= 1.0 {
        return 1.0;
    }
    if p > regularised(0.5, a, b) { 1.0 - lower_half(1.0 - p, b, a) } else { lower_half(p, a, b) }
}

/// A quantile that is known to be at most a half.
fn lower_half(p: f64, a: f64, b: f64) -> f64 {
    let log_norm = log_beta(a, b);
    let (mut low, mut high) = (0.0, 0.5);
    // Near 0, I_x is close to x^a / (a B(a, b)).
    let mut x = ((p.ln() + a.ln() + log_norm) / a).exp().min(0.4999);
    for _ in 0..200 {
        let error = regularised(x, a, b) - p;
        if error > 0.0 {
            high = x
        } else {
            low = x
        }
        let density = ((a - 1.0) * x.ln() + (b - 1.0) * (-x).ln_1p() - log_norm).exp();
        let newton = x - error / density;
        let next = if newton > low && newton < high { newton } else { 0.5 * (low + high) };
        if (next - x).abs() <= 1e-16 * x {
            return next;
        }
        x = next;
    }
    x
}

/// The regularised incomplete beta function I_x(a, b), by its continued fraction (DLMF 8.17.22), evaluated
/// with Lentz's method.
fn regularised(x: f64, a: f64, b: f64) -> f64 {
    if x <= 0.0 {
        return 0.0;
    }
    if x >= 1.0 {
        return 1.0;
    }
    if x > (a + 1.0) / (a + b + 2.0) {
        return 1.0 - regularised(1.0 - x, b, a);
    }
    let front = (a * x.ln() + b * (-x).ln_1p() - log_beta(a, b)).exp() / a;
    front * fraction(x, a, b)
}

/// 1 / (1 + d1 / (1 + d2 / (1 + ...))).
fn fraction(x: f64, a: f64, b: f64) -> f64 {
    const TINY: f64 = 1e-300;
    let off_zero = |v: f64| if v.abs() < TINY { TINY } else { v };
    let (mut c, mut d, mut f) = (1.0, 0.0, 1.0);
    for i in 0..500 {
        let m = f64::from(i / 2);
        let term = if i == 0 {
            1.0
        } else if i % 2 == 0 {
            m * (b - m) * x / ((a + 2.0 * m - 1.0) * (a + 2.0 * m))
        } else {
            -(a + m) * (a + b + m) * x / ((a + 2.0 * m) * (a + 2.0 * m + 1.0))
        };
        d = 1.0 / off_zero(1.0 + term * d);
        c = off_zero(1.0 + term / c);
        let step = c * d;
        f *= step;
        if i > 0 && (step - 1.0).abs() < 1e-16 {
            break;
        }
    }
    // The first term of Lentz's product carries the 1 of "1 + d0" as well.
    f - 1.0
}

/// ln B(a, b).
fn log_beta(a: f64, b: f64) -> f64 {
    log_gamma(a) + log_gamma(b) - log_gamma(a + b)
}

/// ln Gamma(x) for positive x: Stirling's series (DLMF 5.11.1) after lifting x above 10 by the recurrence.
fn log_gamma(mut x: f64) -> f64 {
    let mut lifted = 1.0;
    while x < 10.0 {
        lifted *= x;
        x += 1.0;
    }
    let inverse = 1.0 / (x * x);
    let series = [1.0 / 12.0, -1.0 / 360.0, 1.0 / 1260.0, -1.0 / 1680.0, 1.0 / 1188.0, -691.0 / 360_360.0, 1.0 / 156.0];
    let tail = series.iter().rev().fold(0.0, |sum, c| sum * inverse + c) / x;
    (x - 0.5) * x.ln() - x + 0.5 * (std::f64::consts::TAU).ln() + tail - lifted.ln()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn log_gamma_at_known_points() {
        for (x, expected) in [(1.0, 0.0), (2.0, 0.0), (0.5, 0.5 * std::f64::consts::PI.ln()), (11.0, 3_628_800f64.ln())] {
            assert!((log_gamma(x) - expected).abs() < 1e-14 * (1.0 + f64::abs(expected)), "{x}: {}", log_gamma(x));
        }
    }

    #[test]
    fn closed_forms_of_the_incomplete_beta_function() {
        for i in 1..100 {
            let x = f64::from(i) / 100.0;
            assert!((regularised(x, 1.0, 1.0) - x).abs() < 1e-14, "uniform at {x}");
            assert!((regularised(x, 2.0, 3.0) - x * x * (6.0 - 8.0 * x + 3.0 * x * x)).abs() < 1e-14, "Beta(2, 3) at {x}");
            let arcsine = 2.0 / std::f64::consts::PI * x.sqrt().asin();
            assert!((regularised(x, 0.5, 0.5) - arcsine).abs() < 1e-14, "Beta(1/2, 1/2) at {x}");
        }
    }

    /// Values of `scipy.stats.beta.ppf(p, 0.6, 0.6)`, SciPy 1.17.
    #[test]
    fn quantiles_equal_scipy() {
        for (p, expected) in SCIPY {
            let found = beta_quantile(p, 0.6, 0.6);
            assert!((found - expected).abs() <= 1e-13 * expected.max(1e-3), "{p}: {found} against {expected}");
        }
        assert_eq!((beta_quantile(0.0, 0.6, 0.6), beta_quantile(1.0, 0.6, 0.6)), (0.0, 1.0));
    }

    #[test]
    fn quantiles_invert_and_mirror() {
        for i in 1..1000 {
            let p = f64::from(i) / 1000.0;
            let x = beta_quantile(p, 0.6, 0.6);
            assert!((regularised(x, 0.6, 0.6) - p).abs() < 1e-14, "{p}");
            assert!((beta_quantile(1.0 - p, 0.6, 0.6) - (1.0 - x)).abs() < 1e-13, "{p}");
        }
    }

    const SCIPY: [(f64, f64); 11] = [
        (1e-6, 1.8558824624053043e-10),
        (0.001, 1.855873851745199e-5),
        (0.05, 0.012554456873611399),
        (0.2, 0.12292175045833292),
        (0.4, 0.3627009907532143),
        (0.5, 0.5),
        (0.6, 0.6372990092467856),
        (0.8421052631578947, 0.91622456064849),
        (0.95, 0.9874455431263885),
        (0.999, 0.9999814412614826),
        (0.999999, 0.9999999998144118),
    ];
}
