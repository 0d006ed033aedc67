//! The conversation between the panel and its engine child: two enums. Knows no transport.
//!
//! The panel says [`ToEngine::Hello`] first, the engine answers [`FromEngine::Hello`]; either side hangs up
//! when the build ids differ. One job runs at a time; `Cancel`, `CountTokens` and `Scan` are answered
//! while it runs. The end of the stream ends the engine.

use crate::{JobId, ModelInfo, Recipe};
use serde::{Deserialize, Serialize};

/// What the panel asks.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum ToEngine {
    /// First message.
    Hello {
        /// [`crate::BUILD_ID`] of the panel.
        build: String,
    },
    /// Look at the models folder again; answered by `Models`.
    Scan,
    /// Make pictures. Answered by any number of `Loading`, `Step`, then `Picture`s, and exactly one of
    /// `Done`, `Cancelled`, `Failed`, `GpuFull`.
    Generate {
        /// The job.
        job: JobId,
        /// What to make.
        recipe: Box<Recipe>,
        /// Encoded file of `recipe.image`.
        #[serde(with = "serde_bytes")]
        image: Option<Vec<u8>>,
        /// Encoded file of `recipe.mask`.
        #[serde(with = "serde_bytes")]
        mask: Option<Vec<u8>>,
    },
    /// Stop that job within 500 ms. A job that is not running is left alone.
    Cancel {
        /// The job.
        job: JobId,
    },
    /// How many tokens a prompt has. Answered by `Tokens` with the same `ask`.
    CountTokens {
        /// Number of the question.
        ask: u64,
        /// Model whose tokenizer counts.
        model: String,
        /// The prompt, weights and `BREAK` included.
        prompt: String,
    },
    /// Give the memory of loaded models back.
    Unload,
}

/// What the engine tells.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum FromEngine {
    /// First answer.
    Hello {
        /// [`crate::BUILD_ID`] of the engine.
        build: String,
        /// Where it computes, in words: "CPU, 2 cores".
        device: String,
        /// Why that is no GPU although one would have been taken.
        no_gpu: Option<NoGpu>,
    },
    /// Everything that can be loaded now, and what was found but cannot be.
    Models {
        /// The models.
        models: Vec<ModelInfo>,
        /// Files under `models/` that are no model: path below `models/`, reason.
        refused: Vec<(String, String)>,
    },
    /// A model is being read.
    Loading {
        /// For which job.
        job: JobId,
        /// Name of the model.
        model: String,
        /// Bytes read.
        done: u64,
        /// Bytes to read.
        total: u64,
    },
    /// A step is done. `step` counts denoiser steps of the whole job from 1, all pictures of the batch together.
    Step {
        /// The job.
        job: JobId,
        /// Steps done.
        step: u32,
        /// Steps in all.
        steps: u32,
        /// Seconds left, estimated from the steps so far and the decoding to come.
        eta_s: f32,
        /// A small WebP of what the latents look like now.
        #[serde(with = "serde_bytes")]
        preview: Option<Vec<u8>>,
    },
    /// A finished picture.
    Picture {
        /// The job.
        job: JobId,
        /// 0 to batch - 1.
        index: u32,
        /// Pixels.
        width: u32,
        /// Pixels.
        height: u32,
        /// The whole file, in `recipe.format`, recipe inside.
        #[serde(with = "serde_bytes")]
        file: Vec<u8>,
        /// A WebP of at most 512 pixels a side.
        #[serde(with = "serde_bytes")]
        thumb: Vec<u8>,
    },
    /// All pictures were sent.
    Done {
        /// The job.
        job: JobId,
        /// From the first to the last message, loading included.
        seconds: f32,
    },
    /// The job was stopped as asked.
    Cancelled {
        /// The job.
        job: JobId,
    },
    /// The job cannot be done; trying the same again would fail again.
    Failed {
        /// The job.
        job: JobId,
        /// Why.
        problem: Problem,
    },
    /// There is too little memory free on the GPU, and nothing was made. It may be asked for again once others gave some back.
    GpuFull {
        /// The job.
        job: JobId,
        /// How much is needed and how much is free.
        problem: Problem,
    },
    /// The answer to `CountTokens`.
    Tokens {
        /// Number of the question.
        ask: u64,
        /// Tokens without begin and end; `None` for an unknown model.
        tokens: Option<u32>,
        /// Chunks of `chunk_tokens` that they fill, at least 1.
        chunks: u32,
    },
    /// Models were dropped, because the panel asked or the engine was idle.
    Unloaded,
}

/// Why an engine that would have taken a GPU computes on the CPU, in a sentence.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
pub enum NoGpu {
    /// Others have its memory, or all of it: there may be room later.
    #[error("{0}")]
    Taken(String),
    /// There is none, or it does not work: so it stays until somebody mends the machine.
    #[error("{0}")]
    Unusable(String),
}

/// An error for a person: what, where, and what to do.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[error("{what}")]
pub struct Problem {
    /// "Not enough memory for 1024 × 1024".
    pub what: String,
    /// "step 1 of 20", a file, a field; may be empty.
    pub place: String,
    /// "Choose a smaller size."; may be empty.
    pub remedy: String,
}

impl Problem {
    /// A problem with no place and no remedy.
    pub fn new(what: impl Into<String>) -> Problem {
        Problem { what: what.into(), place: String::new(), remedy: String::new() }
    }

    /// The same problem, at a place.
    pub fn at(self, place: impl Into<String>) -> Problem {
        Problem { place: place.into(), ..self }
    }

    /// The same problem, with what to do.
    pub fn remedy(self, remedy: impl Into<String>) -> Problem {
        Problem { remedy: remedy.into(), ..self }
    }
}
