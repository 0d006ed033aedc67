//! Stable Diffusion 1.x: text to picture, picture to picture, and painting into a picture with an ordinary (4-channel)
//! or a dedicated (9-channel) denoiser (Rombach et al. 2022). Knows the three networks and the order in which they
//! are used; knows no files but those of [`Parts`], no jobs and no picture formats.

mod parts;
mod prompt;
mod run;
#[cfg(test)]
mod tests;

pub use parts::Parts;
pub use run::{Job, Watch};

use crate::{
    EngineError, Inputs, Picture, Pipeline, Step,
    guidance::Guidance,
    latent::LatentFormat,
    models::{autoencoder_kl::AutoencoderKl, clip_text::ClipText, unet_2d_condition::Unet2DCondition},
    noise::Seeded,
    ops::Backend,
    samplers::Path,
    schedule::{SchedulerConfig, Settings},
    text::{self, Tokenizer},
    weights::Loader,
};
use prompt::Encodings;
use protocol::{Problem, Recipe};
use std::ops::ControlFlow;

/// Channels of the dedicated inpainting denoiser: latents, mask, latents of the masked picture.
const INPAINT_CHANNELS: usize = 9;

/// A loaded model of this family.
#[allow(missing_debug_implementations, reason = "holds gigabytes")]
pub struct StableDiffusion {
    pub(crate) backend: Box<dyn Backend>,
    pub(crate) tokenizer: Tokenizer,
    pub(crate) text_encoder: ClipText,
    pub(crate) unet: Unet2DCondition,
    pub(crate) vae: AutoencoderKl,
    pub(crate) scheduler: SchedulerConfig,
    latents: LatentFormat,
    encodings: Encodings,
}

impl StableDiffusion {
    /// Loads a model onto a device. `on_load` hears of bytes read and bytes to read, and may break off.
    pub fn load(
        parts: Parts,
        mut backend: Box<dyn Backend>,
        on_load: &mut dyn FnMut(u64, u64) -> ControlFlow<()>,
    ) -> Result<StableDiffusion, EngineError> {
        let total = parts.text_encoder.bytes() + parts.unet.bytes() + parts.vae.bytes();
        let mut done = 0;
        let mut on_bytes = |bytes| {
            done += bytes;
            on_load(done, total)
        };
        // Each file is let go once it is packed, so that the peak is the packed weights and one network's file.
        let text_encoder =
            ClipText::load(&mut Loader::new(&parts.text_encoder, &mut *backend, &mut on_bytes), parts.text_config)?;
        drop(parts.text_encoder);
        let unet = Unet2DCondition::load(&mut Loader::new(&parts.unet, &mut *backend, &mut on_bytes), parts.unet_config)?;
        drop(parts.unet);
        let vae = AutoencoderKl::load(&mut Loader::new(&parts.vae, &mut *backend, &mut on_bytes), parts.vae_config)?;
        drop(parts.vae);
        let latent = vae.config().latent_channels;
        let channels = unet.config().in_channels;
        if unet.config().out_channels != latent || (channels != latent && channels != INPAINT_CHANNELS) {
            return Err(crate::weights::bad(format!(
                "A denoiser of {channels} channels does not go with {latent} latent channels."
            )));
        }
        if unet.config().cross_attention_dim != text_encoder.config().hidden_size {
            return Err(crate::weights::bad("The denoiser and the text encoder do not belong together."));
        }
        let Parts { tokenizer, scheduler, latents, .. } = parts;
        // The vocabulary's last words are its special tokens: where those have a row, every word has.
        let words = text_encoder.config().vocab_size;
        if [tokenizer.begin, tokenizer.end, tokenizer.pad].iter().any(|&id| id as usize >= words) {
            return Err(crate::weights::bad(format!("The tokenizer has more words than the text encoder's {words}.")));
        }
        Ok(StableDiffusion { backend, tokenizer, text_encoder, unet, vae, scheduler, latents, encodings: Encodings::default() })
    }

    /// Whether the denoiser takes mask and masked picture as channels.
    pub fn paints_into(&self) -> bool {
        self.unet.config().in_channels == INPAINT_CHANNELS
    }

    /// Bytes that the packed weights hold.
    pub fn weight_bytes(&self) -> usize {
        self.backend.weight_bytes()
    }

    /// What a recipe means for this model. Encodes the prompts.
    fn job(
        &mut self,
        recipe: &Recipe,
        inputs: &Inputs,
        on_step: &mut dyn FnMut(Step<'_>) -> ControlFlow<()>,
    ) -> Result<Job, EngineError> {
        let guidance = Guidance { scale: recipe.guidance, rescale: recipe.guidance_rescale };
        let mut chunks = text::chunks(&recipe.prompt, &self.tokenizer);
        let mut negative = text::chunks(&recipe.negative_prompt, &self.tokenizer);
        text::prompt::level(&mut chunks, &mut negative, &self.tokenizer);
        let skip = recipe.clip_skip.saturating_sub(1) as usize;
        let batch = recipe.batch.max(1) as usize;
        let mut texts = Vec::new();
        if guidance.counts() {
            let without = self.encode(&negative, skip, on_step)?;
            texts.extend(vec![without; batch]);
        }
        let with = self.encode(&chunks, skip, on_step)?;
        texts.extend(vec![with; batch]);
        let settings = Settings::for_recipe(&self.scheduler, recipe.sampler, recipe.schedule, recipe.eta)?;
        let steps = recipe.steps as usize;
        // One step is always done, however weak the change is meant to be.
        let strength = recipe.strength.unwrap_or(1.0).max(1.0 / steps as f32 + 1e-6).min(1.0);
        let path = Path::new(settings, steps, if inputs.image.is_some() { strength } else { 1.0 })?;
        let (width, height) = (recipe.width as usize, recipe.height as usize);
        let image = inputs.image.as_ref().map(|image| pixels(&image.data, (image.width, image.height), recipe, 3)).transpose()?;
        let mask = inputs.mask.as_ref().map(|mask| pixels(&mask.data, (mask.width, mask.height), recipe, 1)).transpose()?;
        let image = image.map(|data| data.iter().map(|&x| f32::from(x) / 127.5 - 1.0).collect());
        let mask = mask.map(|data| data.iter().map(|&x| f32::from(u8::from(x >= 128))).collect());
        Ok(Job { width, height, batch, texts, guidance, path, image, mask })
    }
}

/// The bytes of a picture that has the recipe's size.
fn pixels<'a>(data: &'a [u8], size: (u32, u32), recipe: &Recipe, channels: usize) -> Result<&'a [u8], EngineError> {
    let (width, height) = size;
    let len = width as usize * height as usize * channels;
    if size == (recipe.width, recipe.height) && data.len() == len {
        return Ok(data);
    }
    let what = format!("The picture is {width} x {height}, and the recipe {} x {}.", recipe.width, recipe.height);
    Err(EngineError::BadInput(Problem::new(what)))
}

impl Pipeline for StableDiffusion {
    fn generate(
        &mut self,
        recipe: &Recipe,
        inputs: &Inputs,
        on_step: &mut dyn FnMut(Step<'_>) -> ControlFlow<()>,
    ) -> Result<Vec<Picture>, EngineError> {
        let job = self.job(recipe, inputs, on_step)?;
        let mut noise = Seeded { seed: recipe.seed, batch: job.batch };
        let pictures = self.run(&job, &mut noise, on_step, None)?;
        let mut pictures: Vec<Picture> = pictures.iter().map(|values| picture(values, recipe.width, recipe.height)).collect();
        if let (Some(image), Some(mask)) = (&inputs.image, &inputs.mask) {
            for picture in &mut pictures {
                keep_outside(picture, &image.data, &mask.data);
            }
        }
        Ok(pictures)
    }

    fn count_tokens(&self, prompt: &str) -> (u32, u32) {
        let counted = text::count(prompt, &self.tokenizer);
        (counted.tokens, counted.chunks)
    }
}

/// From -1 to 1 to 8 bits.
fn picture(values: &[f32], width: u32, height: u32) -> Picture {
    let byte = |x: &f32| ((x / 2.0 + 0.5).clamp(0.0, 1.0) * 255.0).round() as u8;
    Picture { width, height, rgb: values.iter().map(byte).collect() }
}

/// What the mask keeps is the reference's own pixels, which the way through the autoencoder would have blurred.
fn keep_outside(picture: &mut Picture, image: &[u8], mask: &[u8]) {
    for ((to, from), mask) in picture.rgb.chunks_exact_mut(3).zip(image.chunks_exact(3)).zip(mask) {
        if *mask < 128 {
            to.copy_from_slice(from);
        }
    }
}
