//! The inference engine: from a [`Recipe`] to pictures. Knows no web, no SQL, no profiles and no processes.
//!
//! A network's forward pass is written once, against [`plan::Graph`], which records it as a list of
//! [`ops`] on buffers. [`plan`] lays every buffer of a run out before the run; a [`ops::Backend`] then
//! executes the list. Between those two lies nothing: no tensor is made, no memory is taken, while a picture
//! is being made.

pub mod cpu;
pub mod cuda;
pub mod device;
pub mod embedded;
pub mod golden;
pub mod guidance;
pub mod json;
pub mod latent;
pub mod library;
pub mod memory;
pub mod models;
pub mod nn;
pub mod noise;
pub mod ops;
pub mod pipelines;
pub mod plan;
pub mod process;
pub mod registry;
pub mod samplers;
pub mod schedule;
pub mod serve;
pub mod session;
pub mod text;
pub mod weights;

use protocol::{Problem, Recipe};
use std::ops::ControlFlow;

/// One loaded model, ready to make pictures.
pub trait Pipeline: Send {
    /// Makes `recipe.batch` pictures of `recipe.width` x `recipe.height` pixels; picture i is the one that
    /// the same recipe with a batch of 1 and `seed + i` makes, bit for bit.
    ///
    /// `on_step` hears of progress, offers previews and cancels by [`ControlFlow::Break`]; it is called at
    /// least every 50 ms while anything is computed.
    fn generate(
        &mut self,
        recipe: &Recipe,
        inputs: &Inputs,
        on_step: &mut dyn FnMut(Step<'_>) -> ControlFlow<()>,
    ) -> Result<Vec<Picture>, EngineError>;

    /// Tokens of a prompt without begin and end, and the chunks that they fill (at least 1).
    fn count_tokens(&self, prompt: &str) -> (u32, u32);
}

/// Pictures that a recipe refers to, decoded and already at the recipe's size.
#[derive(Clone, Debug, Default)]
pub struct Inputs {
    /// The reference picture.
    pub image: Option<Rgb8>,
    /// White (128 and above) is painted again, black is kept.
    pub mask: Option<Gray8>,
}

/// Interleaved 8-bit RGB, `3 * width * height` bytes, rows from the top.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rgb8 {
    /// Pixels.
    pub width: u32,
    /// Pixels.
    pub height: u32,
    /// The bytes.
    pub data: Vec<u8>,
}

/// 8-bit grey, `width * height` bytes, rows from the top.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Gray8 {
    /// Pixels.
    pub width: u32,
    /// Pixels.
    pub height: u32,
    /// The bytes.
    pub data: Vec<u8>,
}

/// A finished picture, or a small preview of one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Picture {
    /// Pixels.
    pub width: u32,
    /// Pixels.
    pub height: u32,
    /// Interleaved 8-bit RGB, `3 * width * height` bytes, rows from the top.
    pub rgb: Vec<u8>,
}

/// What a running job tells, and the moment at which it can be cancelled.
#[allow(missing_debug_implementations, reason = "holds a closure")]
pub enum Step<'a> {
    /// Weights are being read.
    Loading {
        /// Bytes read.
        done: u64,
        /// Bytes to read.
        total: u64,
    },
    /// A step of the sampler is done.
    Denoise {
        /// Steps done, from 1.
        step: u32,
        /// Steps in all.
        steps: u32,
        /// What the first picture's latents look like now, one pixel a latent. Costs nothing unless called.
        preview: &'a dyn Fn() -> Picture,
    },
    /// Pictures are being decoded.
    Decode {
        /// Pictures decoded.
        done: u32,
        /// Pictures in all.
        total: u32,
    },
    /// Nothing new; a chance to cancel.
    Poll,
}

/// Why there is no picture. The variants are what a caller can decide on.
#[derive(Debug, thiserror::Error)]
pub enum EngineError {
    /// `on_step` broke the run off.
    #[error("cancelled")]
    Cancelled,
    /// The files are not a model that this engine can run. Another model may work.
    #[error("{0}")]
    BadModel(Problem),
    /// The run needs more memory than there is; known before it starts. A smaller size or batch may work.
    #[error("{0}")]
    OutOfMemory(Problem),
    /// The GPU has too little memory free. It may do once whoever holds the rest gave some back.
    #[error("{0}")]
    GpuFull(Problem),
    /// The recipe and its pictures do not fit together or do not fit the model.
    #[error("{0}")]
    BadInput(Problem),
    /// Anything else.
    #[error("{0}")]
    Other(Problem),
}

impl EngineError {
    /// The words for a person; `None` for a cancelled run, which is no error to anybody.
    pub fn problem(&self) -> Option<&Problem> {
        match self {
            EngineError::Cancelled => None,
            EngineError::BadModel(p)
            | EngineError::OutOfMemory(p)
            | EngineError::GpuFull(p)
            | EngineError::BadInput(p)
            | EngineError::Other(p) => Some(p),
        }
    }
}
