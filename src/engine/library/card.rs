//! The card of a model: sizes, defaults, samplers and words, from its configuration files and what its family is
//! known for. Knows no weights.

use super::{Source, read_file};
use crate::{EngineError, embedded, registry::Family, weights::Tensors};
use protocol::{
    ModelInfo, Preset, Sampler, Schedule,
    model::{Defaults, WordGroup, id_of_name},
};
use serde::{Deserialize, de::DeserializeOwned};
use std::{fs, path::Path};

/// Sides that any model of this family takes, in pixels.
const SIDES: (u32, u32) = (64, 2048);
/// Pixels of one latent: three halvings in every VAE of this family, unless its configuration says otherwise.
const FACTOR: u32 = 8;

/// What counts in `unet/config.json`.
#[derive(Deserialize, Default)]
struct Unet {
    #[serde(default)]
    sample_size: Option<u32>,
    #[serde(default)]
    time_cond_proj_dim: Option<u32>,
}

/// What counts in `vae/config.json`.
#[derive(Deserialize)]
struct Vae {
    block_out_channels: Vec<u32>,
}

/// What counts in `text_encoder/config.json`.
#[derive(Deserialize)]
struct Text {
    max_position_embeddings: u32,
}

/// What counts in `scheduler/scheduler_config.json`.
#[derive(Deserialize, Default)]
struct Scheduler {
    #[serde(default, rename = "_class_name")]
    class: String,
}

/// `vocabulary.json`: what the makers of a small model say about it. Every part may be absent.
#[derive(Deserialize, Default)]
#[serde(default)]
struct Words {
    about: String,
    chips: Vec<WordGroup>,
    surprises: Vec<String>,
    examples: Vec<String>,
    defaults: Option<Wishes>,
}

/// Defaults that a model's makers ask for.
#[derive(Deserialize, Default)]
#[serde(default)]
struct Wishes {
    steps: Option<u32>,
    guidance: Option<f32>,
    sampler: Option<Sampler>,
    schedule: Option<Schedule>,
    strength: Option<f32>,
    largest_side: Option<u32>,
}

/// The card. `name` is that of the file or folder.
pub(super) fn build(source: &Source, family: &Family, tensors: &Tensors, name: &str) -> Result<ModelInfo, EngineError> {
    let unet: Unet = part(source, "unet/config.json").unwrap_or_default();
    let scheduler: Scheduler = part(source, "scheduler/scheduler_config.json").unwrap_or_default();
    let words: Words = part(source, "vocabulary.json").unwrap_or_default();
    let factor = part::<Vae>(source, "vae/config.json").map_or(FACTOR, |v| factor(&v));
    let native = unet.sample_size.unwrap_or(64).saturating_mul(factor).clamp(SIDES.0, SIDES.1);
    let distilled = scheduler.class == "LCMScheduler" || unet.time_cond_proj_dim.is_some();
    let wishes = words.defaults.unwrap_or_default();
    let samplers = Sampler::ALL.into_iter().filter(|s| *s != Sampler::Lcm || distilled).collect();
    let positions = part::<Text>(source, "text_encoder/config.json").map_or(77, |t| t.max_position_embeddings);
    let defaults = defaults(distilled, unet.time_cond_proj_dim.is_some(), &wishes);
    let balanced = defaults.steps;
    Ok(ModelInfo {
        id: id_of_name(name),
        name: shown_name(source, name),
        family: family.name.into(),
        bytes: bytes(source, tensors),
        embedded: *source == Source::Embedded,
        place: String::new(),
        about: if words.about.is_empty() { about(family, distilled).into() } else { words.about },
        native: (native, native),
        side: (SIDES.0, wishes.largest_side.unwrap_or(SIDES.1).clamp(native, SIDES.1)),
        presets: [(Preset::Fast, balanced.div_ceil(2)), (Preset::Balanced, balanced), (Preset::Quality, balanced * 2)],
        defaults,
        samplers,
        chunk_tokens: positions.saturating_sub(2).max(1),
        inpaint_channels: family.inpaint_channels,
        vocabulary: words.chips,
        surprises: words.surprises,
        examples: words.examples,
    })
}

/// A configuration file; one that is absent or damaged counts as saying nothing, and loading the model tells of it.
fn part<T: DeserializeOwned>(source: &Source, path: &str) -> Option<T> {
    serde_json::from_slice(&read_file(source, path)?).ok()
}

fn factor(vae: &Vae) -> u32 {
    1 << vae.block_out_channels.len().saturating_sub(1).min(6)
}

/// What artists expect of Stable Diffusion 1.x: 20 steps of DPM++ 2M Karras at 7.5. A distilled model needs few
/// steps and next to no guidance, unless guidance went into its timestep embedding.
fn defaults(distilled: bool, guidance_embedded: bool, wishes: &Wishes) -> Defaults {
    let (steps, guidance, sampler, schedule) = match (distilled, guidance_embedded) {
        (true, true) => (4, 8.5, Sampler::Lcm, Schedule::Plain),
        (true, false) => (4, 1.0, Sampler::Lcm, Schedule::Plain),
        (false, _) => (20, 7.5, Sampler::Dpmpp2m, Schedule::Karras),
    };
    let sampler = wishes.sampler.unwrap_or(sampler);
    let schedule = wishes.schedule.unwrap_or(schedule);
    let pairs = sampler.schedules();
    Defaults {
        steps: wishes.steps.unwrap_or(steps).clamp(1, 75),
        guidance: wishes.guidance.unwrap_or(guidance).clamp(0.0, 30.0),
        sampler,
        schedule: if pairs.contains(&schedule) { schedule } else { pairs[0] },
        clip_skip: 1,
        guidance_rescale: 0.0,
        strength: wishes.strength.unwrap_or(0.75).clamp(0.01, 1.0),
    }
}

fn about(family: &Family, distilled: bool) -> &'static str {
    match (family.inpaint_channels, distilled) {
        (true, _) => "Stable Diffusion 1.x for inpainting: needs a picture and a mask.",
        (false, true) => "Stable Diffusion 1.x, distilled to a few steps.",
        (false, false) => "Stable Diffusion 1.x.",
    }
}

fn shown_name(source: &Source, name: &str) -> String {
    match source {
        Source::Embedded => embedded::NAME.into(),
        Source::Folder(_) => name.into(),
        Source::File(_) => name.rsplit_once('.').map_or(name, |(stem, _)| stem).into(),
    }
}

/// Bytes of the weights on disk; of a folder, of every network in it.
fn bytes(source: &Source, tensors: &Tensors) -> u64 {
    match source {
        Source::Embedded => embedded::weight_bytes(),
        Source::File(_) => tensors.bytes(),
        Source::Folder(dir) => {
            tensors.bytes() + ["vae", "text_encoder"].iter().map(|part| safetensors_bytes(&dir.join(part))).sum::<u64>()
        }
    }
}

/// Bytes of the largest safetensors file in a folder: half and full precision may lie side by side.
fn safetensors_bytes(dir: &Path) -> u64 {
    let Ok(entries) = fs::read_dir(dir) else { return 0 };
    let weights = entries.flatten().filter(|e| e.path().extension().is_some_and(|e| e == "safetensors"));
    weights.filter_map(|e| e.metadata().ok()).map(|m| m.len()).max().unwrap_or(0)
}
