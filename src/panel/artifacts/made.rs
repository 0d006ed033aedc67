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

/// What is known of a picture that was made in ComfyUI.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct InComfyUi {
    /// What it was asked to be, where its graph says so in words; may be empty.
    pub prompt: String,
    /// Its file holds the workflow.
    pub workflow: bool,
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
    pub(super) file: Vec<u8>,
    pub(super) thumb: Vec<u8>,
    pub(super) made: Made,
}

impl From<NewPicture> for Incoming {
    fn from(new: NewPicture) -> Incoming {
        let NewPicture { index, width, height, file, thumb, recipe } = new;
        let (mime, extension) = (recipe.format.mime().to_owned(), recipe.format.extension());
        Incoming { index, width, height, mime, extension, file, thumb, made: Made::Here(recipe) }
    }
}
