//! Heun's method on the probability-flow differential equation (Karras et al. 2022, algorithm 2 without churn):
//! a step of Euler, then the same step again with the mean of both slopes.

use super::{Path, Trajectory};

const START: usize = 0;
const SLOPE: usize = 1;
const CLIPPED: usize = 2;

/// Two evaluations a step, one in the last.
pub fn trajectory(path: &Path) -> Trajectory {
    let sigmas = &path.schedule.sigmas;
    let mut t = Trajectory::new(path.start);
    // The width of the step that waits for its second slope.
    let mut waiting = None;
    for i in path.start..path.evaluations() {
        let sigma = sigmas[i];
        let (x, out) = t.evaluate(path.schedule.timesteps[i], path.input_scale(i));
        let denoised = path.settings.prediction.clean(&x, &out, path.level(i));
        let denoised = t.clipped(CLIPPED, denoised, path.settings.clip);
        t.denoised(&denoised);
        let slope = (x.clone() - denoised) * (1.0 / sigma);
        match waiting.take() {
            None => {
                let width = sigmas[i + 1] - sigma;
                t.keep(START, &x);
                let slope = t.keep(SLOPE, &slope);
                t.update(&(x + slope * width));
                waiting = Some(width);
            }
            Some(width) => {
                let mean = (t.kept(SLOPE) + slope) * 0.5;
                t.update(&(t.kept(START) + mean * width));
            }
        }
    }
    t
}
