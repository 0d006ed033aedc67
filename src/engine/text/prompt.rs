//! Prompts as chunks of tokens with weights, as A1111 makes them: any length, cut after a comma where one is near, and
//! the embedding's mean restored after weighting. Knows the encoder's 77 places, not the encoder.

use super::attention::{Piece, parse};
use super::tokenizer::Tokenizer;

/// Tokens of the prompt in a chunk.
pub const CHUNK: usize = 75;

/// Places of a chunk: begin, tokens, end.
pub const PLACES: usize = CHUNK + 2;

/// A chunk is cut after a comma when one is among this many last tokens.
const LOOK_BACK: usize = 20;

/// What the text encoder reads at once.
#[derive(Clone, Debug, PartialEq)]
pub struct Chunk {
    /// [`PLACES`] tokens.
    pub ids: Vec<u32>,
    /// [`PLACES`] weights.
    pub weights: Vec<f32>,
}

impl Chunk {
    /// A chunk without a prompt.
    pub fn empty(tokenizer: &Tokenizer) -> Chunk {
        Chunk::of(tokenizer, &[])
    }

    /// At most [`CHUNK`] tokens between begin and end, the rest filled up.
    fn of(tokenizer: &Tokenizer, tokens: &[(u32, f32)]) -> Chunk {
        let mut ids = vec![tokenizer.begin];
        let mut weights = vec![1.0];
        ids.extend(tokens.iter().map(|(id, _)| *id));
        weights.extend(tokens.iter().map(|(_, weight)| *weight));
        ids.push(tokenizer.end);
        ids.resize(PLACES, tokenizer.pad);
        weights.resize(PLACES, 1.0);
        Chunk { ids, weights }
    }

    /// Whether a weight is other than 1.
    pub fn is_weighted(&self) -> bool {
        self.weights.iter().any(|w| *w != 1.0)
    }
}

/// How long a prompt is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Counted {
    /// Places taken up to the last token: a chunk that was left early counts whole.
    pub tokens: u32,
    /// Chunks, at least 1.
    pub chunks: u32,
}

/// Tokens with weights of each chunk; at least one chunk.
fn cut(prompt: &str, tokenizer: &Tokenizer) -> Vec<Vec<(u32, f32)>> {
    let mut chunks: Vec<Vec<(u32, f32)>> = Vec::new();
    let mut chunk: Vec<(u32, f32)> = Vec::new();
    let mut last_comma = None;
    for piece in parse(prompt) {
        let (text, weight) = match piece {
            Piece::Text(text, weight) => (text, weight),
            Piece::Break => {
                chunks.push(std::mem::take(&mut chunk));
                last_comma = None;
                continue;
            }
        };
        for id in tokenizer.encode(&text) {
            let is_comma = Some(id) == tokenizer.comma;
            if chunk.len() == CHUNK {
                let near = last_comma.filter(|at| !is_comma && CHUNK - at <= LOOK_BACK);
                let moved = chunk.split_off(near.map_or(CHUNK, |at| at + 1));
                chunks.push(std::mem::replace(&mut chunk, moved));
                last_comma = None;
            }
            if is_comma {
                last_comma = Some(chunk.len());
            }
            chunk.push((id, weight));
        }
    }
    if !chunk.is_empty() || chunks.is_empty() {
        chunks.push(chunk);
    }
    chunks
}

/// The chunks of a prompt, at least one.
pub fn chunks(prompt: &str, tokenizer: &Tokenizer) -> Vec<Chunk> {
    cut(prompt, tokenizer).iter().map(|tokens| Chunk::of(tokenizer, tokens)).collect()
}

/// How long a prompt is.
pub fn count(prompt: &str, tokenizer: &Tokenizer) -> Counted {
    let chunks = cut(prompt, tokenizer);
    let tokens = (chunks.len() - 1) * CHUNK + chunks.last().map_or(0, Vec::len);
    let number = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
    Counted { tokens: number(tokens), chunks: number(chunks.len()) }
}

/// Makes two prompts equally long, by chunks without a prompt.
pub fn level(a: &mut Vec<Chunk>, b: &mut Vec<Chunk>, tokenizer: &Tokenizer) {
    let longest = a.len().max(b.len());
    a.resize(longest, Chunk::empty(tokenizer));
    b.resize(longest, Chunk::empty(tokenizer));
}

/// Multiplies the embedding of each place (`embeddings` is [`PLACES`] rows of one chunk) by its weight, and all of it by
/// what brings the mean back to where it was. Without weights nothing is touched.
pub fn apply_weights(embeddings: &mut [f32], chunk: &Chunk) {
    if !chunk.is_weighted() {
        return;
    }
    let width = embeddings.len() / chunk.weights.len();
    let sum = |values: &[f32]| values.iter().map(|v| f64::from(*v)).sum::<f64>();
    let before = sum(embeddings);
    for (row, weight) in embeddings.chunks_exact_mut(width).zip(&chunk.weights) {
        row.iter_mut().for_each(|value| *value *= weight);
    }
    let restore = (before / sum(embeddings)) as f32;
    // Where the weights brought the mean to nothing, it cannot be brought back.
    if restore.is_finite() && restore != 0.0 {
        embeddings.iter_mut().for_each(|value| *value *= restore);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde::Deserialize;
    use std::{fs, path::PathBuf, sync::LazyLock};

    static TOKENIZER: LazyLock<Tokenizer> = LazyLock::new(|| {
        let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/text");
        Tokenizer::load(&|name| fs::read_to_string(folder.join(name)).ok()).unwrap()
    });

    #[derive(Deserialize)]
    struct Recorded {
        prompt: String,
        tokens: u32,
        chunks: Vec<RecordedChunk>,
    }

    #[derive(Deserialize)]
    struct RecordedChunk {
        ids: Vec<u32>,
        weights: Vec<f32>,
        first: Vec<f32>,
        mean: f32,
    }

    /// The stand-in for a text encoder of `tests/text/prompt_weights.py`.
    fn toy(ids: &[u32]) -> Vec<f32> {
        let number = |id: u32, j: u32| (0.37 * f64::from(id) + 1.3 * f64::from(j)).sin() + 0.25;
        ids.iter().flat_map(|id| (0..4).map(|j| number(*id, j) as f32)).collect()
    }

    /// `prompt_weights.json` comes from an independent program beside it.
    #[test]
    fn chunks_weights_and_means_equal_the_independent_reference() {
        let text = include_str!("../tests/text/prompt_weights.json");
        let recorded: Vec<Recorded> = serde_json::from_str(text).unwrap();
        assert!(recorded.len() > 20);
        for row in recorded {
            let found = chunks(&row.prompt, &TOKENIZER);
            let length = u32::try_from(row.chunks.len()).unwrap();
            assert_eq!(count(&row.prompt, &TOKENIZER), Counted { tokens: row.tokens, chunks: length }, "{}", row.prompt);
            for (found, expected) in found.iter().zip(&row.chunks) {
                assert_eq!(found.ids, expected.ids, "{}", row.prompt);
                let near = |a: &f32, b: &f32| (a - b).abs() <= 2e-5 * (1.0 + b.abs());
                assert!(found.weights.iter().zip(&expected.weights).all(|(a, b)| near(a, b)), "{}", row.prompt);
                let mut embedding = toy(&found.ids);
                apply_weights(&mut embedding, found);
                assert!(embedding[4..12].iter().zip(&expected.first).all(|(a, b)| near(a, b)), "{}", row.prompt);
                let mean = embedding.iter().sum::<f32>() / embedding.len() as f32;
                assert!(near(&mean, &expected.mean), "{}: {mean}", row.prompt);
            }
        }
    }

    #[test]
    fn prompts_are_made_equally_long() {
        let (mut a, mut b) = (chunks("boat", &TOKENIZER), chunks(&"boat ".repeat(200), &TOKENIZER));
        level(&mut a, &mut b, &TOKENIZER);
        assert!(b.len() > 2);
        assert_eq!(a.len(), b.len());
        assert_eq!(a[2], Chunk::empty(&TOKENIZER));
    }

    #[test]
    fn without_weights_nothing_is_touched() {
        let chunk = &chunks("a quiet harbour", &TOKENIZER)[0];
        let mut embedding = toy(&chunk.ids);
        apply_weights(&mut embedding, chunk);
        assert_eq!(embedding, toy(&chunk.ids));
    }

    #[test]
    fn a_mean_of_zero_stays_finite() {
        let chunk = &chunks("(boat:0)", &TOKENIZER)[0];
        for value in [0.0, 1.0] {
            let mut embedding = vec![value; PLACES];
            embedding[0] = -value * (PLACES - 1) as f32;
            apply_weights(&mut embedding, chunk);
            assert!(embedding.iter().all(|v| v.is_finite()));
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 2000, failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn any_text_is_a_prompt(prompt in prop_oneof![
            "\\PC{0,400}",
            "[()\\[\\]:\\\\ ,.0-9+\\-a-cBREAK]{0,300}",
            proptest::collection::vec(any::<char>(), 0..200).prop_map(|chars| chars.into_iter().collect::<String>()),
        ]) {
            let found = chunks(&prompt, &TOKENIZER);
            prop_assert!(!found.is_empty());
            for chunk in &found {
                prop_assert_eq!((chunk.ids.len(), chunk.weights.len()), (PLACES, PLACES));
                prop_assert_eq!(chunk.ids[0], TOKENIZER.begin);
                prop_assert!(chunk.weights.iter().all(|w| w.is_finite()));
            }
            prop_assert_eq!(count(&prompt, &TOKENIZER).chunks as usize, found.len());
        }
    }
}
