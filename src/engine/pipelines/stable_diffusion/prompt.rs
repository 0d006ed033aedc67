//! Prompts to what the denoiser attends to. Encodings are kept by prompt, so that changing only a seed or a sampler
//! encodes nothing. Knows the text encoder; knows no denoiser.

use super::StableDiffusion;
use crate::{
    EngineError, Step,
    ops::Shape,
    plan::Planner,
    session::Session,
    text::{self, Chunk, prompt::PLACES},
};
use std::{collections::VecDeque, ops::ControlFlow, sync::Arc};

/// Encodings kept: a prompt and its opposite for some jobs back, a few hundred kilobytes each.
const KEPT: usize = 16;

/// One encoding: chunks, layers skipped, hidden states `[chunks * 77, hidden]`.
type Encoding = (Vec<Chunk>, usize, Arc<[f32]>);

/// The last encodings, the newest first.
#[derive(Default)]
pub(super) struct Encodings(VecDeque<Encoding>);

impl Encodings {
    fn get(&self, chunks: &[Chunk], skip: usize) -> Option<Arc<[f32]>> {
        self.0.iter().find(|(c, s, _)| c == chunks && *s == skip).map(|e| e.2.clone())
    }

    fn keep(&mut self, encoding: Encoding) {
        self.0.truncate(KEPT - 1);
        self.0.push_front(encoding);
    }
}

impl StableDiffusion {
    /// The hidden states of a prompt's chunks, weighted, `[chunks * 77, hidden]`; `skip` layers left out.
    pub(crate) fn encode(
        &mut self,
        chunks: &[Chunk],
        skip: usize,
        on_step: &mut dyn FnMut(Step<'_>) -> ControlFlow<()>,
    ) -> Result<Arc<[f32]>, EngineError> {
        if let Some(found) = self.encodings.get(chunks, skip) {
            return Ok(found);
        }
        // 1. Each chunk is a sequence of its own.
        let mut planner = Planner::new();
        let coefficients = Session::coefficients(&mut planner);
        let ids = planner.keep(Shape::sequence(chunks.len(), PLACES, 1));
        let hidden = planner.keep(Shape::sequence(chunks.len(), PLACES, self.text_encoder.config().hidden_size));
        let program = planner.program("text encoder", &*self.backend, |g| {
            let (last, _) = self.text_encoder.forward(g, ids, skip);
            g.store(hidden, last);
        });
        let plan = planner.finish();
        let mut session = Session::new(&mut *self.backend, &plan, coefficients, on_step)?;
        // 2. Tokens in, hidden states out.
        let numbers: Vec<f32> = chunks.iter().flat_map(|c| &c.ids).map(|&id| id as f32).collect();
        session.write(ids, &numbers);
        session.run(&program)?;
        let mut values = session.read(hidden);
        // 3. Weights.
        let width = values.len() / chunks.len();
        for (values, chunk) in values.chunks_exact_mut(width).zip(chunks) {
            text::apply_weights(values, chunk);
        }
        let values: Arc<[f32]> = values.into();
        self.encodings.keep((chunks.to_vec(), skip, values.clone()));
        Ok(values)
    }
}
