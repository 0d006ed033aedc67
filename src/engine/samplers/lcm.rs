//! Latent consistency sampling (Luo, Tan, Huang, Li, Zhao 2023, algorithm 3): each evaluation jumps to the clean
//! latents and noises them again for the next. For models distilled to do so.

use super::{Combination, Level, Path, Slot, Trajectory};

/// Deviation of the data in the boundary condition.
const SIGMA_DATA: f64 = 0.5;

/// One evaluation and one draw a step; the last step draws none.
pub fn trajectory(path: &Path) -> Trajectory {
    let settings = &path.settings;
    let mut t = Trajectory::new(path.start);
    for i in path.start..path.evaluations() {
        let (x, out) = t.evaluate(path.schedule.timesteps[i], 1.0);
        let clean = settings.prediction.clean(&x, &out, path.level(i));
        let clean = t.clipped(0, clean, settings.clip);
        let time = path.schedule.timesteps[i] * settings.timestep_scaling;
        let skip = SIGMA_DATA.powi(2) / (time * time + SIGMA_DATA.powi(2));
        let denoised = clean * (time / time.hypot(SIGMA_DATA)) + x * skip;
        t.denoised(&denoised);
        if i + 1 < path.evaluations() {
            let Level { signal, noise } = path.level(i + 1);
            t.update(&(denoised * signal + Combination::from(Slot::Noise) * noise));
        } else {
            t.update(&denoised);
        }
    }
    t
}
