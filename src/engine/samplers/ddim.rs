//! Denoising diffusion implicit models (Song, Meng, Ermon 2020, formulas 12 and 16): `eta` 0 is deterministic,
//! `eta` 1 is ancestral sampling.

use super::{Combination, Level, Path, Slot, Trajectory};

/// One evaluation a step; one draw where `eta` is above 0.
pub fn trajectory(path: &Path) -> Trajectory {
    let settings = &path.settings;
    let stride = path.stride(path.evaluations());
    let mut t = Trajectory::new(path.start);
    for i in path.start..path.evaluations() {
        let now = path.alpha_cumprod(path.timestep(i));
        let next = path.alpha_cumprod(path.timestep(i) - stride);
        let level = Level::of_alpha_cumprod(now);
        let (x, out) = t.evaluate(path.schedule.timesteps[i], 1.0);
        let denoised = settings.prediction.clean(&x, &out, level);
        let noise = settings.prediction.noise(&x, &out, level);
        let denoised = t.clipped(0, denoised, settings.clip);
        t.denoised(&denoised);
        let variance = (1.0 - next) / (1.0 - now) * (1.0 - now / next);
        let deviation = settings.eta * variance.max(0.0).sqrt();
        let direction = noise * (1.0 - next - deviation * deviation).max(0.0).sqrt();
        let fresh = Combination::from(Slot::Noise) * deviation;
        t.update(&(denoised * next.sqrt() + direction + fresh));
    }
    t
}
