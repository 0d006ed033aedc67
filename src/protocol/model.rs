//! What the engine tells about a model: enough for a form, for checks at the door and for a card. Knows
//! no tensors.

use crate::{Sampler, Schedule};
use serde::{Deserialize, Serialize};

/// One model that the engine can load.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ModelInfo {
    /// Stable name in recipes: `[a-z0-9._-]+`, from the file's or folder's name.
    pub id: String,
    /// The name shown to people.
    pub name: String,
    /// Row of the engine's registry: `sd15` or `sd15-inpaint`.
    pub family: String,
    /// Size of the weights, in bytes.
    pub bytes: u64,
    /// Ships inside the binary.
    pub embedded: bool,
    /// Its file or folder below `models/`; empty of the embedded one.
    pub place: String,
    /// One sentence on what it is.
    pub about: String,
    /// Native width and height, in pixels.
    pub native: (u32, u32),
    /// Smallest and largest side, in pixels.
    pub side: (u32, u32),
    /// What a draft takes where it says nothing.
    pub defaults: Defaults,
    /// Steps of the presets Fast, Balanced and Quality.
    pub presets: [(Preset, u32); 3],
    /// The samplers offered (LCM for distilled models only).
    pub samplers: Vec<Sampler>,
    /// Tokens in one chunk of the prompt, without begin and end.
    pub chunk_tokens: u32,
    /// Takes mask and masked image as extra channels (9-channel inpainting).
    pub inpaint_channels: bool,
    /// Words that the model knows, for chips; empty where it knows the language at large.
    pub vocabulary: Vec<WordGroup>,
    /// Prompts for "surprise me".
    pub surprises: Vec<String>,
    /// Prompts shown on the first visit.
    pub examples: Vec<String>,
}

/// The id that a model of this name has: its last path component without the ending of a weights file, in lower
/// case, every run of other characters than `[a-z0-9._]` a single `-`. Empty for a name without any of those.
pub fn id_of_name(name: &str) -> String {
    let name = name.rsplit(['/', '\\']).next().unwrap_or(name).to_lowercase();
    let name = [".safetensors", ".ckpt"].iter().find_map(|e| name.strip_suffix(e)).unwrap_or(&name);
    let mut id = String::with_capacity(name.len());
    for c in name.chars() {
        if c.is_ascii_alphanumeric() || matches!(c, '.' | '_') {
            id.push(c);
        } else if !id.ends_with('-') {
            id.push('-');
        }
    }
    id.trim_matches(['-', '.']).to_owned()
}

/// Longest name of a model's file, in bytes.
const MAX_FILE_NAME: usize = 200;

/// Whether this can be the name of a model's file or folder below `models/`: one plain component, never hidden.
pub fn is_plain_name(name: &str) -> bool {
    let plain = |c: char| c.is_alphanumeric() || matches!(c, '.' | '_' | '-' | ' ' | '(' | ')' | '+');
    (1..=MAX_FILE_NAME).contains(&name.len()) && !name.starts_with('.') && name.chars().all(plain)
}

/// Whether this can be the name of a single file of weights that Easel reads.
pub fn is_weights_name(name: &str) -> bool {
    is_plain_name(name) && name.rsplit_once('.').is_some_and(|(_, ending)| ending.eq_ignore_ascii_case("safetensors"))
}

/// Values for what a draft leaves out.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Defaults {
    /// Sampling steps.
    pub steps: u32,
    /// Guidance scale.
    pub guidance: f32,
    /// Sampler.
    pub sampler: Sampler,
    /// Sigma schedule.
    pub schedule: Schedule,
    /// Clip skip as A1111 counts.
    pub clip_skip: u32,
    /// Guidance rescale.
    pub guidance_rescale: f32,
    /// Strength of a reference picture.
    pub strength: f32,
}

/// A named number of steps.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Preset {
    /// A quick look.
    Fast,
    /// The default.
    Balanced,
    /// No hurry.
    Quality,
}

/// Words of one kind, for chips.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct WordGroup {
    /// Heading: "Sky", "Light", "Ground", "Weather", "Things".
    pub group: String,
    /// The words.
    pub words: Vec<String>,
}
