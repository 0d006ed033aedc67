//! The recipe: all that is needed to make a picture again, in numbers. Knows no defaults and no model:
//! those are applied at the door, by [`crate::draft`].

use crate::{Sampler, Schedule};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::{fmt, str::FromStr};

/// A resolved recipe. Same recipe, same bytes, on the same device and build.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Recipe {
    /// Id of the model (see [`crate::ModelInfo::id`]).
    pub model: String,
    /// What to paint, with A1111 weights and `BREAK`.
    pub prompt: String,
    /// What to keep away from.
    pub negative_prompt: String,
    /// Pixels, a multiple of 8.
    pub width: u32,
    /// Pixels, a multiple of 8.
    pub height: u32,
    /// Sampling steps, 1 to 150. Image to image runs `steps * strength` of them.
    pub steps: u32,
    /// Classifier-free guidance scale, 0 to 30; 1 and below skips the negative prompt.
    pub guidance: f32,
    /// The sampler.
    pub sampler: Sampler,
    /// The sigma schedule; one of `sampler.schedules()`.
    pub schedule: Schedule,
    /// Noise of DDIM, 0 to 1.
    pub eta: f32,
    /// Rescale of the guided prediction's deviation (Lin et al. 2023), 0 to 1.
    pub guidance_rescale: f32,
    /// Layers of the text encoder left out, as A1111 counts: 1 is none.
    pub clip_skip: u32,
    /// Picture i of the batch has seed + i. Below 2^53, so that it survives JavaScript.
    pub seed: u64,
    /// Pictures, 1 to 4.
    pub batch: u32,
    /// How far a reference picture is changed, above 0 to 1; present exactly when `image` is.
    #[serde(default)]
    pub strength: Option<f32>,
    /// The reference picture.
    #[serde(default)]
    pub image: Option<ImageRef>,
    /// White is painted again, black is kept. Needs `image`.
    #[serde(default)]
    pub mask: Option<ImageRef>,
    /// The file to write.
    pub format: Format,
}

impl Recipe {
    /// A plain recipe of one small picture: for examples and tests, which say how theirs differ.
    pub fn example() -> Recipe {
        Recipe {
            model: "tiny".into(),
            prompt: "a lake".into(),
            negative_prompt: String::new(),
            width: 64,
            height: 64,
            steps: 4,
            guidance: 5.0,
            sampler: Sampler::Euler,
            schedule: Schedule::Plain,
            eta: 0.0,
            guidance_rescale: 0.0,
            clip_skip: 1,
            seed: 1,
            batch: 1,
            strength: None,
            image: None,
            mask: None,
            format: Format::Png,
        }
    }

    /// The recipe of picture `index` alone: what is written into that picture's file.
    pub fn of_picture(&self, index: u32) -> Recipe {
        Recipe { seed: self.seed.wrapping_add(u64::from(index)), batch: 1, ..self.clone() }
    }
}

/// The format of finished pictures.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Format {
    /// Lossless; text chunks carry the recipe.
    #[default]
    Png,
    /// Lossy at quality 90; EXIF carries the recipe.
    Webp,
    /// Lossy at quality 95; EXIF carries the recipe.
    Jpeg,
}

impl Format {
    /// File extension, without the dot.
    pub fn extension(self) -> &'static str {
        match self {
            Format::Png => "png",
            Format::Webp => "webp",
            Format::Jpeg => "jpg",
        }
    }

    /// The media type.
    pub fn mime(self) -> &'static str {
        match self {
            Format::Png => "image/png",
            Format::Webp => "image/webp",
            Format::Jpeg => "image/jpeg",
        }
    }
}

/// A picture that a recipe needs, by a name that stays true: `artifact:ID` or `upload:SHA256`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum ImageRef {
    /// A picture of the caller's gallery.
    Artifact(String),
    /// An uploaded file, by the SHA-256 of its bytes (64 lower-case hex digits).
    Upload(String),
}

/// A text that is not an [`ImageRef`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("expected \"artifact:ID\" or \"upload:SHA256\" (64 hex digits)")]
pub struct BadImageRef;

impl FromStr for ImageRef {
    type Err = BadImageRef;
    fn from_str(s: &str) -> Result<Self, BadImageRef> {
        let ulid = |id: &str| id.len() == 26 && id.bytes().all(|b| b.is_ascii_digit() || b.is_ascii_uppercase());
        let sha = |id: &str| id.len() == 64 && id.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b));
        match s.split_once(':') {
            Some(("artifact", id)) if ulid(id) => Ok(ImageRef::Artifact(id.into())),
            Some(("upload", id)) if sha(id) => Ok(ImageRef::Upload(id.into())),
            _ => Err(BadImageRef),
        }
    }
}

impl fmt::Display for ImageRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ImageRef::Artifact(id) => write!(f, "artifact:{id}"),
            ImageRef::Upload(id) => write!(f, "upload:{id}"),
        }
    }
}

impl Serialize for ImageRef {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for ImageRef {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        String::deserialize(d)?.parse().map_err(serde::de::Error::custom)
    }
}
