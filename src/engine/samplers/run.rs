//! Executes a trajectory: the denoiser, fresh noise, and the sampler's weighted sums on the plan's buffers. Knows no
//! formulas and no network.

use super::{Act, Evaluation, Path, Slot, Trajectory};
use crate::{
    EngineError,
    noise::{Draw, NoiseSource},
    ops::{Buf, Clamp, Op, Shape, Threshold},
    plan::Planner,
    schedule::config::Clip,
    session::Session,
};

/// A network that predicts from latents how to make them less noisy.
pub trait Denoiser {
    /// Where it wants the scaled latents.
    fn input(&self) -> Buf;

    /// Where it leaves its prediction.
    fn output(&self) -> Buf;

    /// Predicts at a training timestep.
    fn predict(&mut self, session: &mut Session<'_>, timestep: f32) -> Result<(), EngineError>;
}

/// The latents of a run and what its sampler keeps beside them.
#[derive(Clone, Debug)]
pub struct Buffers {
    /// The latents: noise scaled by [`Path::initial_noise`], or a noised reference, before a run; clean after it.
    pub x: Buf,
    /// Fresh noise.
    pub noise: Buf,
    /// The clean latents as foreseen after the last evaluation.
    pub denoised: Buf,
    kept: Vec<Buf>,
    limits: Buf,
}

impl Buffers {
    /// Buffers for a trajectory over latents of this extent.
    pub fn plan(planner: &mut Planner, latents: Shape, trajectory: &Trajectory) -> Buffers {
        Buffers {
            x: planner.keep(latents),
            noise: planner.keep(latents),
            denoised: planner.keep(latents),
            kept: (0..trajectory.kept).map(|_| planner.keep(latents)).collect(),
            limits: planner.keep(Shape::vector(2)),
        }
    }
}

/// What is told after each evaluation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Progress {
    /// Number of the evaluation within the whole schedule, from 0: [`Path::level_or_clean`] of one more is the level
    /// that the latents have now.
    pub evaluation: usize,
    /// Evaluations done in this run, from 1.
    pub done: usize,
    /// Evaluations of this run.
    pub total: usize,
}

/// Takes the latents in `buffers.x` along the trajectory. After each evaluation `after` may tell of it, look at the
/// buffers and change them, or break the run off with an error.
pub fn run(
    session: &mut Session<'_>,
    trajectory: &Trajectory,
    denoiser: &mut dyn Denoiser,
    buffers: &Buffers,
    noise: &mut dyn NoiseSource,
    after: &mut dyn FnMut(&mut Session<'_>, Progress) -> Result<(), EngineError>,
) -> Result<(), EngineError> {
    let total = trajectory.evaluations.len();
    for (i, evaluation) in trajectory.evaluations.iter().enumerate() {
        let number = trajectory.start + i;
        session.combine(denoiser.input(), &[(evaluation.input_scale, buffers.x)])?;
        denoiser.predict(session, evaluation.timestep)?;
        if evaluation.draws() {
            let step = u32::try_from(number).expect("a schedule has at most 1000 steps");
            draw(session, buffers, noise, Draw::Step(step));
        }
        act(session, evaluation, denoiser.output(), buffers)?;
        after(session, Progress { evaluation: number, done: i + 1, total })?;
    }
    Ok(())
}

/// Fills the noise buffer with a draw.
pub fn draw(session: &mut Session<'_>, buffers: &Buffers, noise: &mut dyn NoiseSource, draw: Draw) {
    let mut host = vec![0.0; buffers.noise.len()];
    noise.fill(draw, &mut host);
    session.write(buffers.noise, &host);
}

/// What follows one evaluation.
fn act(session: &mut Session<'_>, evaluation: &Evaluation, output: Buf, buffers: &Buffers) -> Result<(), EngineError> {
    let of = |slot: Slot| match slot {
        Slot::X => buffers.x,
        Slot::Output => output,
        Slot::Noise => buffers.noise,
        Slot::Denoised => buffers.denoised,
        Slot::Kept(index) => buffers.kept[index],
    };
    for act in &evaluation.acts {
        match act {
            Act::Combine { into, terms } => {
                let terms: Vec<(f32, Buf)> = terms.iter().map(|(weight, slot)| (*weight, of(*slot))).collect();
                session.combine(of(*into), &terms)?;
            }
            Act::Clip { slot, clip } => clip_slot(session, of(*slot), *clip, buffers.limits)?,
        }
    }
    Ok(())
}

fn clip_slot(session: &mut Session<'_>, x: Buf, clip: Clip, limits: Buf) -> Result<(), EngineError> {
    match clip {
        Clip::None => Ok(()),
        Clip::Range(range) => {
            session.write(limits, &[-range as f32, range as f32]);
            session.op(Op::Clamp(Clamp { dst: x, x, limits }))
        }
        Clip::Quantile { quantile, max } => {
            session.write(limits, &[quantile as f32, max as f32]);
            session.op(Op::Threshold(Threshold { dst: x, x, params: limits }))
        }
    }
}

/// Brings clean latents to the level before evaluation `evaluation` (the reference's `add_noise`):
/// `dst = signal * clean + noise * deviates`.
pub fn noised(
    session: &mut Session<'_>,
    path: &Path,
    evaluation: usize,
    dst: Buf,
    clean: Buf,
    deviates: Buf,
) -> Result<(), EngineError> {
    let level = path.level_or_clean(evaluation);
    session.combine(dst, &[(level.signal as f32, clean), (level.noise as f32, deviates)])
}
