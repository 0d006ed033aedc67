//! What a model of this family is made of, from either layout of its files. Knows names of files and defaults of the
//! family; computes nothing.

use crate::{
    EngineError,
    latent::LatentFormat,
    models::{autoencoder_kl, clip_text, unet_2d_condition},
    schedule::SchedulerConfig,
    text::Tokenizer,
    weights::{Tensors, bad, folder::Folder, single_file::SingleFile},
};

/// Configurations and weights, read but not loaded.
#[allow(missing_debug_implementations, reason = "holds a vocabulary")]
#[allow(missing_docs, reason = "the names say it")]
pub struct Parts {
    pub text_config: clip_text::Config,
    pub unet_config: unet_2d_condition::Config,
    pub vae_config: autoencoder_kl::Config,
    pub scheduler: SchedulerConfig,
    pub latents: LatentFormat,
    pub tokenizer: Tokenizer,
    pub text_encoder: Tensors,
    pub unet: Tensors,
    pub vae: Tensors,
}

impl Parts {
    /// A diffusers folder.
    pub fn of_folder(folder: &Folder) -> Result<Parts, EngineError> {
        let vae_config: autoencoder_kl::Config = folder.json("vae/config.json")?;
        let text_config: clip_text::Config = folder.json("text_encoder/config.json")?;
        if vae_config.shift_factor.is_some_and(|shift| shift != 0.0) {
            return Err(bad("The autoencoder shifts its latents, which no model of this family does."));
        }
        let latents = LatentFormat {
            channels: vae_config.latent_channels,
            stride: vae_config.factor(),
            scale: vae_config.scaling_factor,
            ..LatentFormat::stable_diffusion_1()
        };
        let colours = if folder.has("preview.json") { Some(folder.text("preview.json")?) } else { None };
        Ok(Parts {
            latents: colours.map_or(Ok(latents.clone()), |text| latents.with_colours(&text))?,
            text_config,
            unet_config: folder.json("unet/config.json")?,
            vae_config,
            scheduler: folder.json("scheduler/scheduler_config.json")?,
            tokenizer: Parts::tokenizer(folder)?,
            text_encoder: folder.tensors("text_encoder")?,
            unet: folder.tensors("unet")?,
            vae: folder.tensors("vae")?,
        })
    }

    /// The tokenizer of a diffusers folder alone; CLIP's own where the folder brings none.
    pub fn tokenizer(folder: &Folder) -> Result<Tokenizer, EngineError> {
        if !folder.has("tokenizer/tokenizer.json") && !folder.has("tokenizer/vocab.json") {
            return Ok(Tokenizer::clip());
        }
        Tokenizer::load(&|name| folder.text(&format!("tokenizer/{name}")).ok())
    }

    /// A single file in the original layout, which carries no configuration: all models of the family have the same one,
    /// but for the denoiser's channels.
    pub fn of_single_file(all: &Tensors) -> Result<Parts, EngineError> {
        let SingleFile { unet, vae, text_encoder } = SingleFile::split(all)?;
        let channels = unet.get("conv_in.weight").and_then(|w| w.dims.get(1)).copied();
        Ok(Parts {
            text_config: clip_text::Config::vit_l(),
            unet_config: unet_2d_condition::Config::sd1(channels.ok_or_else(|| bad("The denoiser has no first layer."))?),
            vae_config: autoencoder_kl::Config::sd1(),
            scheduler: SchedulerConfig::stable_diffusion_1(),
            latents: LatentFormat::stable_diffusion_1(),
            tokenizer: Tokenizer::clip(),
            text_encoder,
            unet,
            vae,
        })
    }
}
