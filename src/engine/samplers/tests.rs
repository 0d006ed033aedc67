//! Every sampler and schedule that a recipe may name, on a toy denoiser that knows the answer.

use super::*;
use crate::{
    EngineError,
    cpu::CpuBackend,
    noise::Seeded,
    ops::{Buf, Shape},
    plan::Planner,
    schedule::SchedulerConfig,
    session::Session,
};
use protocol::Sampler;
use std::ops::ControlFlow;

/// Predicts the noise of latents whose clean values are all [`ANSWER`].
struct Toy {
    input: Buf,
    output: Buf,
    ones: Buf,
    path: Path,
    next: usize,
}

const ANSWER: f64 = 0.7;
const SHAPE: Shape = Shape::new(2, 4, 3, 4);

impl Denoiser for Toy {
    fn input(&self) -> Buf {
        self.input
    }

    fn output(&self) -> Buf {
        self.output
    }

    fn predict(&mut self, session: &mut Session<'_>, _: f32) -> Result<(), EngineError> {
        let Level { signal, noise } = self.path.level(self.path.start + self.next);
        let unscale = 1.0 / self.path.input_scale(self.path.start + self.next);
        self.next += 1;
        session.combine(self.output, &[((unscale / noise) as f32, self.input), ((-signal * ANSWER / noise) as f32, self.ones)])
    }
}

fn settings(sampler: Sampler, schedule: protocol::Schedule, eta: f32) -> Settings {
    Settings::for_recipe(&SchedulerConfig::stable_diffusion_1(), sampler, schedule, eta).unwrap()
}

/// The latents after a run of so many steps from noise of that seed, and the progress that was told.
fn sample(settings: Settings, steps: usize, strength: f32, seed: u64, pictures: usize) -> (Vec<f32>, Vec<run::Progress>) {
    let path = Path::new(settings, steps, strength).unwrap();
    let trajectory = path.trajectory().unwrap();
    let shape = Shape { n: pictures, ..SHAPE };
    let mut planner = Planner::new();
    let coefficients = Session::coefficients(&mut planner);
    let buffers = Buffers::plan(&mut planner, shape, &trajectory);
    let ones = planner.keep(shape);
    let mut toy = Toy { input: planner.keep(shape), output: planner.keep(shape), ones, path: path.clone(), next: 0 };
    let plan = planner.finish();
    let mut backend = CpuBackend::new(1);
    let on_step = &mut |_: crate::Step<'_>| ControlFlow::Continue(());
    let mut session = Session::new(&mut backend, &plan, coefficients, on_step).unwrap();
    session.write(ones, &vec![1.0; shape.len()]);
    let mut noise = Seeded { seed, batch: pictures };
    start(&mut session, &path, &buffers, ones, &mut noise, strength).unwrap();
    let mut told = Vec::new();
    run(&mut session, &trajectory, &mut toy, &buffers, &mut noise, &mut |_, progress| {
        told.push(progress);
        Ok(())
    })
    .unwrap();
    (session.read(buffers.x), told)
}

/// Noise alone for text to image; a picture of 0.7 with noise for image to image.
fn start(
    session: &mut Session<'_>,
    path: &Path,
    buffers: &Buffers,
    ones: Buf,
    noise: &mut Seeded,
    strength: f32,
) -> Result<(), EngineError> {
    run::draw(session, buffers, noise, crate::noise::Draw::Latents);
    if strength < 1.0 {
        session.combine(buffers.denoised, &[(ANSWER as f32, ones)])?;
        run::noised(session, path, path.start, buffers.x, buffers.denoised, buffers.noise)
    } else {
        session.combine(buffers.x, &[(path.initial_noise() as f32, buffers.noise)])
    }
}

fn pairs() -> impl Iterator<Item = (Sampler, protocol::Schedule)> {
    Sampler::ALL.into_iter().flat_map(|sampler| sampler.schedules().iter().map(move |schedule| (sampler, *schedule)))
}

#[test]
fn every_offered_pair_finds_the_answer() {
    let mut count = 0;
    for (sampler, schedule) in pairs() {
        for steps in [1, 2, 3, 4, 20, 50] {
            let (x, told) = sample(settings(sampler, schedule, 0.0), steps, 1.0, 11, 1);
            // Samplers that end at the level of timestep 0 keep its noise; their only step begins there, too. PNDM's last
            // step is rough when steps are few.
            let slack = match sampler {
                Sampler::Ddim | Sampler::Pndm if steps == 1 => 10.0,
                Sampler::Pndm if steps < 20 => 1.5,
                Sampler::Ddim | Sampler::Pndm => 0.2,
                _ => 1e-3,
            };
            let worst = x.iter().map(|v| (f64::from(*v) - ANSWER).abs()).fold(0.0, f64::max);
            assert!(worst < slack, "{sampler} {schedule} {steps}: {worst}");
            assert_eq!(told.len(), told[0].total);
            assert_eq!(told.last().map(|p| p.done), Some(told.len()));
            count += 1;
        }
    }
    assert_eq!(count, 6 * 24);
}

#[test]
fn a_run_is_a_function_of_the_seed_and_a_batch_is_its_pictures() {
    for (sampler, schedule) in pairs() {
        let eta = if sampler == Sampler::Ddim { 0.8 } else { 0.0 };
        let of = |seed, pictures| sample(settings(sampler, schedule, eta), 4, 1.0, seed, pictures).0;
        let both = of(5, 2);
        assert_eq!(both, of(5, 2), "{sampler} {schedule}");
        assert_eq!(both[..48], of(5, 1), "{sampler} {schedule}");
        assert_eq!(both[48..], of(6, 1), "{sampler} {schedule}");
    }
}

#[test]
fn image_to_image_begins_inside_every_schedule() {
    for (sampler, schedule) in pairs() {
        for (steps, strength) in [(20, 0.5), (10, 0.95), (5, 0.2)] {
            let (x, told) = sample(settings(sampler, schedule, 0.0), steps, strength, 3, 1);
            let worst = x.iter().map(|v| (f64::from(*v) - ANSWER).abs()).fold(0.0, f64::max);
            assert!(worst < 0.2 || sampler == Sampler::Pndm, "{sampler} {schedule} {steps} {strength}: {worst}");
            assert!(x.iter().all(|v| v.is_finite()), "{sampler} {schedule} {steps} {strength}");
            assert!(told[0].evaluation > 0);
        }
    }
}

#[test]
fn noise_is_drawn_where_the_sampler_says_so() {
    for (sampler, schedule) in pairs() {
        let draws = |eta| {
            let path = Path::new(settings(sampler, schedule, eta), 5, 1.0).unwrap();
            path.trajectory().unwrap().evaluations.iter().filter(|e| e.draws()).count()
        };
        assert_eq!(draws(0.0) > 0, sampler.is_stochastic(), "{sampler} {schedule}");
        assert_eq!(draws(1.0) > 0, sampler.is_stochastic() || sampler == Sampler::Ddim, "{sampler} {schedule}");
    }
}

#[test]
fn breaking_off_stops_the_run() {
    let path = Path::new(settings(Sampler::Euler, protocol::Schedule::Plain, 0.0), 20, 1.0).unwrap();
    let trajectory = path.trajectory().unwrap();
    let mut planner = Planner::new();
    let coefficients = Session::coefficients(&mut planner);
    let buffers = Buffers::plan(&mut planner, SHAPE, &trajectory);
    let ones = planner.keep(SHAPE);
    let mut toy = Toy { input: planner.keep(SHAPE), output: planner.keep(SHAPE), ones, path, next: 0 };
    let plan = planner.finish();
    let mut backend = CpuBackend::new(1);
    let on_step = &mut |_: crate::Step<'_>| ControlFlow::Continue(());
    let mut session = Session::new(&mut backend, &plan, coefficients, on_step).unwrap();
    let mut noise = Seeded { seed: 0, batch: 2 };
    let broken = run(&mut session, &trajectory, &mut toy, &buffers, &mut noise, &mut |_, progress| {
        if progress.done == 3 { Err(EngineError::Cancelled) } else { Ok(()) }
    });
    assert!(matches!(broken, Err(EngineError::Cancelled)));
    assert_eq!(toy.next, 3);
}
