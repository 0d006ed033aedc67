//! A run of the denoiser and the autoencoder, laid out before it begins. Knows buffers and programs; knows no recipe.

use super::{INPAINT_CHANNELS, StableDiffusion};
use crate::{
    EngineError, Picture, Step,
    guidance::{Guidance, Guided},
    latent::LatentFormat,
    noise::{Draw, NoiseSource},
    ops::{Blend, Buf, Concat, Copy, Op, Posterior, Shape},
    plan::{Planner, Program},
    samplers::{self, Buffers, Denoiser, Path, Trajectory, run::Progress},
    session::{self, Session},
};
use std::{ops::ControlFlow, sync::Arc};

/// All that a run depends on, besides its noise.
#[derive(Clone, Debug)]
pub struct Job {
    /// Pixels.
    pub width: usize,
    /// Pixels.
    pub height: usize,
    /// Pictures.
    pub batch: usize,
    /// Encoded prompts `[tokens, hidden]`, one for each picture: where guidance counts first all those without, then all
    /// those with the prompt.
    pub texts: Vec<Arc<[f32]>>,
    /// How strongly the prompt is followed.
    pub guidance: Guidance,
    /// Where the sampler goes.
    pub path: Path,
    /// The reference picture, `[height, width, 3]` from -1 to 1.
    pub image: Option<Vec<f32>>,
    /// `[height, width]`, 1 where it is painted again.
    pub mask: Option<Vec<f32>>,
}

/// Sees the latents after each evaluation, before anything is pasted back, and may put others in their place: for
/// comparing a run with a recording.
pub type Watch<'a> = dyn FnMut(Vec<f32>) -> Option<Vec<f32>> + 'a;

/// The denoiser as samplers know it.
struct Network {
    input: Buf,
    output: Buf,
    timesteps: Buf,
    program: Program,
}

impl Denoiser for Network {
    fn input(&self) -> Buf {
        self.input
    }

    fn output(&self) -> Buf {
        self.output
    }

    fn predict(&mut self, session: &mut Session<'_>, timestep: f32) -> Result<(), EngineError> {
        session.write(self.timesteps, &vec![timestep; self.timesteps.len()]);
        session.run(&self.program)
    }
}

/// Buffers and programs of a reference picture.
struct Reference {
    pixels: Buf,
    moments: Buf,
    /// Moments for each picture of the batch.
    repeated: Buf,
    /// The clean latents, and the noise that they are brought to a level with.
    clean: Buf,
    deviates: Buf,
    encode: Program,
}

/// Buffers of a mask.
struct Mask {
    /// `[1, h, w, 1]` in latents.
    mask: Buf,
    /// Clean latents at the level of the moment.
    noised: Buf,
    /// For a 9-channel denoiser: the mask and the masked picture's latents, for each picture that it sees.
    channels: Option<(Buf, Buf)>,
}

/// Everything of a run.
struct Layout {
    buffers: Buffers,
    denoiser: Box<dyn Denoiser>,
    text: (Buf, Program),
    reference: Option<Reference>,
    mask: Option<Mask>,
    latents: Buf,
    pixels: Buf,
    decode: Program,
}

impl StableDiffusion {
    /// Makes the job's pictures, `[height, width, 3]` each, about -1 to 1.
    pub fn run(
        &mut self,
        job: &Job,
        noise: &mut dyn NoiseSource,
        on_step: &mut dyn FnMut(Step<'_>) -> ControlFlow<()>,
        mut watch: Option<&mut Watch<'_>>,
    ) -> Result<Vec<Vec<f32>>, EngineError> {
        // 1. Lay out.
        let trajectory = job.path.trajectory()?;
        let mut planner = Planner::new();
        let coefficients = Session::coefficients(&mut planner);
        let mut layout = self.layout(&mut planner, job, &trajectory);
        let plan = planner.finish();
        let scaling = self.latents.scale;
        let latents = self.latents.clone();
        let session = &mut Session::new(&mut *self.backend, &plan, coefficients, on_step)?;
        // 2. The text, once.
        session.write(layout.text.0, &job.texts.concat());
        session.run(&layout.text.1)?;
        // 3. Where the latents begin, and what of a reference picture stays.
        begin(session, job, &layout, noise, scaling)?;
        // 4. Denoise.
        let Layout { buffers, denoiser, reference, mask, .. } = &mut layout;
        let see = |session: &mut Session<'_>, progress: Progress| {
            if let Some(latents) = watch.as_mut().and_then(|watch| watch(session.read(buffers.x))) {
                session.write(buffers.x, &latents);
            }
            if let (Some(reference), Some(mask)) = (&*reference, &*mask)
                && mask.channels.is_none()
            {
                paste_back(session, job, buffers, reference, mask, progress.evaluation + 1)?;
            }
            tell(session, &latents, buffers.denoised, progress)
        };
        let mut see = see;
        samplers::run(session, &trajectory, &mut **denoiser, buffers, noise, &mut see)?;
        // 5. Decode, one picture at a time: a batch would need the batch's memory.
        let total = u32::try_from(job.batch).unwrap_or(u32::MAX);
        let mut pictures = Vec::with_capacity(job.batch);
        for done in 0..job.batch {
            session.tell(Step::Decode { done: done as u32, total })?;
            session.combine(layout.latents, &[(1.0 / scaling, layout.buffers.x.pictures(done, 1))])?;
            session.run(&layout.decode)?;
            pictures.push(session.read(layout.pixels));
        }
        session.tell(Step::Decode { done: total, total })?;
        self.release();
        Ok(pictures)
    }

    /// Gives a run's memory back.
    fn release(&mut self) {
        self.backend.release();
    }

    fn layout(&self, planner: &mut Planner, job: &Job, trajectory: &Trajectory) -> Layout {
        let factor = self.vae.config().factor();
        let channels = self.vae.config().latent_channels;
        let one = Shape::new(1, job.height / factor, job.width / factor, channels);
        let all = Shape { n: job.batch, ..one };
        let seen = Shape { n: job.batch * job.guidance.passes(), ..one };
        let picture = Shape::new(1, job.height, job.width, 3);
        let buffers = Buffers::plan(planner, all, trajectory);

        // 1. The text's keys and values.
        let hidden = self.text_encoder.config().hidden_size;
        let tokens = job.texts[0].len() / hidden;
        let text = planner.keep(Shape::sequence(seen.n, tokens, hidden));
        let kv = self.unet.keep_text(planner, &*self.backend, seen.n, tokens);
        let pack = planner.program("text", &*self.backend, |g| self.unet.pack_text(g, text, &kv));

        // 2. The denoiser.
        let (input, output) = (planner.keep(seen), planner.keep(seen));
        let timesteps = planner.keep(Shape::vector(seen.n));
        let extra = (self.unet.config().in_channels == INPAINT_CHANNELS)
            .then(|| planner.keep(seen.channels(INPAINT_CHANNELS - channels)));
        let program = planner.program("denoiser", &*self.backend, |g| {
            let x = extra.map_or(input, |extra| g.concat(input, extra));
            let prediction = self.unet.forward(g, x, timesteps, &kv);
            g.store(output, prediction);
        });
        let network = Network { input, output, timesteps, program };
        let denoiser: Box<dyn Denoiser> =
            if job.guidance.counts() { Box::new(Guided::plan(planner, network, job.guidance)) } else { Box::new(network) };

        // 3. A reference picture, and a mask on it.
        let reference = job.image.as_ref().map(|_| {
            let (pixels, moments) = (planner.keep(picture), planner.keep(one.channels(2 * channels)));
            let encode = planner.program("encoder", &*self.backend, |g| {
                let result = self.vae.encode(g, pixels);
                g.store(moments, result);
            });
            let repeated = planner.keep(all.channels(2 * channels));
            Reference { pixels, moments, repeated, clean: planner.keep(all), deviates: planner.keep(all), encode }
        });
        let mask = job.mask.as_ref().map(|_| Mask {
            mask: planner.keep(one.channels(1)),
            noised: planner.keep(all),
            channels: extra.map(|extra| (planner.keep(all.channels(INPAINT_CHANNELS - channels)), extra)),
        });

        // 4. The decoder.
        let (latents, pixels) = (planner.keep(one), planner.keep(picture));
        let decode = planner.program("decoder", &*self.backend, |g| {
            let result = self.vae.decode(g, latents);
            g.store(pixels, result);
        });
        Layout { buffers, denoiser, text: (text, pack), reference, mask, latents, pixels, decode }
    }
}

/// The latents before the first evaluation, the clean latents of a reference picture, and the channels of a mask.
fn begin(
    session: &mut Session<'_>,
    job: &Job,
    layout: &Layout,
    noise: &mut dyn NoiseSource,
    scaling: f32,
) -> Result<(), EngineError> {
    let x = layout.buffers.x;
    let mut host = vec![0.0; x.len()];
    let reference = layout.reference.as_ref().zip(job.image.as_ref());
    // A reference of which nothing stays and of which the mask's channels tell needs no encoding of its own.
    let dedicated = layout.mask.as_ref().is_some_and(|mask| mask.channels.is_some());
    let from_scratch = job.path.start == 0 && dedicated;
    if let Some((reference, image)) = reference
        && !from_scratch
    {
        encode(session, reference, reference.clean, image, noise, Draw::Posterior, scaling)?;
    }
    noise.fill(Draw::Latents, &mut host);
    match reference {
        Some((reference, _)) if !from_scratch => {
            session.write(reference.deviates, &host);
            if job.path.start == 0 && job.mask.is_some() {
                // At full strength painting begins with pure noise; the reference comes back step by step.
                session.combine(x, &[(job.path.initial_noise() as f32, reference.deviates)])?;
            } else {
                samplers::run::noised(session, &job.path, job.path.start, x, reference.clean, reference.deviates)?;
            }
        }
        _ => {
            session.write(layout.buffers.noise, &host);
            session.combine(x, &[(job.path.initial_noise() as f32, layout.buffers.noise)])?;
        }
    }
    if let (Some((reference, image)), Some(mask), Some(pixels)) = (reference, &layout.mask, &job.mask) {
        session.write(mask.mask, &latent_mask(pixels, job.width, mask.mask.shape));
        if let Some((channels, extra)) = mask.channels {
            let masked: Vec<f32> = image.iter().enumerate().map(|(i, x)| x * (1.0 - pixels[i / 3])).collect();
            encode(session, reference, mask.noised, &masked, noise, Draw::MaskedPosterior, scaling)?;
            for picture in 0..channels.shape.n {
                let parts = vec![mask.mask, mask.noised.pictures(picture, 1)];
                session.op(Op::Concat(Concat { dst: channels.pictures(picture, 1), parts }))?;
            }
            session.op(Op::Copy(Copy { dst: extra, x: channels }))?;
        }
    }
    Ok(())
}

/// Encodes a picture and draws latents for each picture of the batch.
fn encode(
    session: &mut Session<'_>,
    reference: &Reference,
    dst: Buf,
    image: &[f32],
    noise: &mut dyn NoiseSource,
    draw: Draw,
    scaling: f32,
) -> Result<(), EngineError> {
    session.write(reference.pixels, image);
    session.run(&reference.encode)?;
    session.op(Op::Copy(Copy { dst: reference.repeated, x: reference.moments }))?;
    let mut host = vec![0.0; dst.len()];
    noise.fill(draw, &mut host);
    session.write(reference.deviates, &host);
    session.op(Op::Posterior(Posterior { dst, moments: reference.repeated, noise: reference.deviates }))?;
    session.combine(dst, &[(scaling, dst)])
}

/// Outside the mask the latents are the reference's, at the level that the next evaluation expects.
fn paste_back(
    session: &mut Session<'_>,
    job: &Job,
    buffers: &Buffers,
    reference: &Reference,
    mask: &Mask,
    next: usize,
) -> Result<(), EngineError> {
    samplers::run::noised(session, &job.path, next, mask.noised, reference.clean, reference.deviates)?;
    session.op(Op::Blend(Blend { dst: buffers.x, mask: mask.mask, a: buffers.x, b: mask.noised }))
}

/// The mask in latents, each from its nearest pixel.
fn latent_mask(pixels: &[f32], width: usize, shape: Shape) -> Vec<f32> {
    let factor = width / shape.w;
    (0..shape.h * shape.w).map(|i| pixels[i / shape.w * factor * width + i % shape.w * factor]).collect()
}

fn tell(session: &mut Session<'_>, latents: &LatentFormat, denoised: Buf, progress: Progress) -> Result<(), EngineError> {
    let number = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
    let first = denoised.pictures(0, 1);
    session.denoised(number(progress.done), number(progress.total), &|backend| -> Picture {
        latents.preview(&session::read(backend, first), first.shape.w, first.shape.h)
    })
}
