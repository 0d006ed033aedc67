//! Euler steps that go down further than asked and add fresh noise back up ("ancestral" sampling, as Katherine
//! Crowson's k-diffusion has it after Song et al. 2021).

use super::{Path, Slot, Trajectory};

/// One evaluation and one draw a step; the last step draws none.
pub fn trajectory(path: &Path) -> Trajectory {
    let sigmas = &path.schedule.sigmas;
    let mut t = Trajectory::new(path.start);
    for i in path.start..path.evaluations() {
        let (from, to) = (sigmas[i], sigmas[i + 1]);
        let up = (to * to * (from * from - to * to) / (from * from)).sqrt();
        let down = (to * to - up * up).sqrt();
        let (x, out) = t.evaluate(path.schedule.timesteps[i], path.input_scale(i));
        let denoised = path.settings.prediction.clean(&x, &out, path.level(i));
        t.denoised(&denoised);
        let derivative = (x.clone() - denoised) * (1.0 / from);
        let noise = super::Combination::from(Slot::Noise);
        t.update(&(x + derivative * (down - from) + noise * up));
    }
    t
}
