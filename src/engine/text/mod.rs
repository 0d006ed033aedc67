//! From a prompt to what a text encoder reads: tokens, chunks and weights. Knows no network.

pub mod attention;
pub mod prompt;
pub mod tokenizer;

pub use prompt::{Chunk, Counted, apply_weights, chunks, count};
pub use tokenizer::Tokenizer;
