//! Euler's method on the probability-flow differential equation (Karras, Aittala, Aila, Laine 2022, "Elucidating
//! the design space of diffusion-based generative models", algorithm 2 without churn).

use super::{Path, Trajectory};

/// One evaluation a step.
pub fn trajectory(path: &Path) -> Trajectory {
    let sigmas = &path.schedule.sigmas;
    let mut t = Trajectory::new(path.start);
    for i in path.start..path.evaluations() {
        let (x, out) = t.evaluate(path.schedule.timesteps[i], path.input_scale(i));
        let denoised = path.settings.prediction.clean(&x, &out, path.level(i));
        t.denoised(&denoised);
        let derivative = (x.clone() - denoised) * (1.0 / sigmas[i]);
        t.update(&(x + derivative * (sigmas[i + 1] - sigmas[i])));
    }
    t
}
