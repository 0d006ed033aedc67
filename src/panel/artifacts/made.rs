//! How a picture was made, here or elsewhere, and one on its way into a gallery. Knows no file and no row.

use super::NewPicture;
use protocol::Recipe;
use serde::{Deserialize, Serialize};

/// How a picture was made.
#[derive(Clone, Debug, PartialEq)]
pub enum Made {
    /// By the studio's own engine, from this recipe, which is that of this picture alone.
    Here(Recipe),
    /// In ComfyUI.
    InComfyUi(InComfyUi),
}

/// What is known of what was made in ComfyUI.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct InComfyUi {
    /// What it was asked to be, where its graph says so in words; may be empty.
    pub prompt: String,
    /// Its file holds the workflow.
    pub workflow: bool,
    /// It is a picture that moves.
    #[serde(default)]
    pub animated: bool,
    /// How long a video or a sound is, where its file says so.
    #[serde(default)]
    pub duration_ms: Option<u64>,
}

impl Made {
    /// What it was asked to be.
    pub fn prompt(&self) -> &str {
        match self {
            Made::Here(recipe) => &recipe.prompt,
            Made::InComfyUi(comfy) => &comfy.prompt,
        }
    }

    /// Its recipe, if the studio itself made it.
    pub fn recipe(&self) -> Option<&Recipe> {
        match self {
            Made::Here(recipe) => Some(recipe),
            Made::InComfyUi(_) => None,
        }
    }
}

/// The same, wherever it was made.
pub(super) struct Incoming {
    pub(super) index: u32,
    pub(super) width: u32,
    pub(super) height: u32,
    pub(super) mime: String,
    pub(super) extension: &'static str,
    pub(super) bytes: u64,
    pub(super) file: Content,
    /// None of what has no pixels, and of a video.
    pub(super) thumb: Option<Vec<u8>>,
    pub(super) made: Made,
}

/// The whole file.
pub(super) enum Content {
    /// In memory.
    Bytes(Vec<u8>),
    /// Durable below `outputs/` already, at this path; its place is another.
    Written(String),
}

impl From<NewPicture> for Incoming {
    fn from(new: NewPicture) -> Incoming {
        let NewPicture { index, width, height, file, thumb, recipe } = new;
        let (mime, extension) = (recipe.format.mime().to_owned(), recipe.format.extension());
        let (bytes, file, thumb) = (file.len() as u64, Content::Bytes(file), Some(thumb));
        Incoming { index, width, height, mime, extension, bytes, file, thumb, made: Made::Here(recipe) }
    }
}
