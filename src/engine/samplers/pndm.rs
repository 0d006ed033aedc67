//! Pseudo numerical methods (Liu, Ren, Lin, Zhao 2022): linear multistep on predictions, with the paper's transfer
//! (formula 11) in place of a straight step. Starts with one improved Euler step (PLMS) or with three
//! Runge-Kutta steps (PRK).

use super::{Combination, Level, Path, Trajectory};

/// Slots 0 to 3 hold the last predictions in turn.
const HISTORY: usize = 4;
const START: usize = 4;
const SUM: usize = 5;

/// `steps + 1` evaluations, or `steps + 9` with Runge-Kutta steps.
pub fn trajectory(path: &Path) -> Trajectory {
    let mut t = Trajectory::new(path.start);
    let runge_kutta = if path.settings.skip_prk { 0 } else { 12 };
    let steps = path.evaluations() - if path.settings.skip_prk { usize::from(path.evaluations() > 1) } else { 9 };
    let stride = path.stride(steps);
    // How many predictions were kept so far.
    let mut known = 0;
    for (count, i) in (path.start..path.evaluations()).enumerate() {
        let (x, out) = t.evaluate(path.schedule.timesteps[i], 1.0);
        let level = path.level(i);
        t.denoised(&path.settings.prediction.clean(&x, &out, level));
        let now = path.timestep(i);
        if count < runge_kutta {
            let from = path.timestep(path.start + count / 4 * 4);
            let to = if count % 2 == 0 { now - stride / 2 } else { now };
            let (sample, slope) = runge_kutta_slope(&mut t, count, &mut known, x, out);
            t.update(&transfer(path, &sample, &slope, from, to));
            continue;
        }
        let again = count == 1;
        if !again {
            t.keep(known % HISTORY, &out);
            known += 1;
        }
        let past = |back: usize, t: &Trajectory| t.kept((known - back) % HISTORY);
        let slope = match (known, again) {
            (1, true) => (out + past(1, &t)) * 0.5,
            (1, false) => out,
            (2, _) => (past(1, &t) * 3.0 - past(2, &t)) * 0.5,
            (3, _) => (past(1, &t) * 23.0 - past(2, &t) * 16.0 + past(3, &t) * 5.0) * (1.0 / 12.0),
            _ => (past(1, &t) * 55.0 - past(2, &t) * 59.0 + past(3, &t) * 37.0 - past(4, &t) * 9.0) * (1.0 / 24.0),
        };
        let (sample, from, to) = if again { (t.kept(START), now + stride, now) } else { (x.clone(), now, now - stride) };
        if count == 0 {
            t.keep(START, &x);
        }
        t.update(&transfer(path, &sample, &slope, from, to));
    }
    t
}

/// Evaluation `count` of the Runge-Kutta steps: the sample it starts from and the slope it takes.
fn runge_kutta_slope(
    t: &mut Trajectory,
    count: usize,
    known: &mut usize,
    x: Combination,
    out: Combination,
) -> (Combination, Combination) {
    match count % 4 {
        0 => {
            t.keep(START, &x);
            t.keep(SUM, &(out.clone() * (1.0 / 6.0)));
            t.keep(*known % HISTORY, &out);
            *known += 1;
            (x, out)
        }
        3 => (t.kept(START), t.kept(SUM) + out * (1.0 / 6.0)),
        _ => {
            t.keep(SUM, &(t.kept(SUM) + out.clone() * (1.0 / 3.0)));
            (t.kept(START), out)
        }
    }
}

/// From one timestep to another along a predicted slope (formula 11).
fn transfer(path: &Path, sample: &Combination, slope: &Combination, from: i64, to: i64) -> Combination {
    let (a, b) = (path.alpha_cumprod(from), path.alpha_cumprod(to));
    let noise = path.settings.prediction.noise(sample, slope, Level::of_alpha_cumprod(a));
    let denominator = a * (1.0 - b).sqrt() + (a * (1.0 - a) * b).sqrt();
    sample.clone() * (b / a).sqrt() - noise * ((b - a) / denominator)
}
