//! Answers questions that take a moment but must not wait for a job: what models there are, how many tokens a
//! prompt has. Tells of models that come and go, unasked. Knows no jobs.

use super::{Shared, drain};
use crate::{
    library::{Library, fingerprint},
    registry::Counter,
};
use protocol::FromEngine;
use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{
        Arc,
        mpsc::{Receiver, RecvTimeoutError},
    },
    time::Duration,
};

/// Time between two looks at the folder of models. Polled, because network file systems do not tell of changes.
const LOOK_EVERY: Duration = Duration::from_secs(3);

/// A question.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Question {
    /// What models are there?
    Scan,
    /// How many tokens has this prompt?
    CountTokens { ask: u64, model: String, prompt: String },
    /// Nothing asked: give memory back.
    Forget,
}

/// The tokenizer of the model that was asked about last.
type Kept = Option<(String, Box<dyn Counter>)>;

/// Answers until the panel hangs up.
pub(super) fn run(shared: &Shared, questions: &Receiver<Question>) {
    let mut kept: Kept = None;
    // Of the last scan; until the panel has asked for one there is nothing to compare with.
    let mut seen = None;
    loop {
        let first = match questions.recv_timeout(LOOK_EVERY) {
            Ok(question) => question,
            Err(RecvTimeoutError::Disconnected) => return,
            Err(RecvTimeoutError::Timeout) => {
                if seen.is_none() || seen == Some(fingerprint(&shared.settings.models)) {
                    continue;
                }
                Question::Scan
            }
        };
        let mut waiting = vec![first];
        waiting.extend(drain(questions));
        // Several scans in a row are one, and it is the last that counts.
        let last_scan = waiting.iter().rposition(|q| *q == Question::Scan);
        for (i, question) in waiting.into_iter().enumerate() {
            if question == Question::Scan {
                if Some(i) != last_scan {
                    continue;
                }
                // Taken before the scan: what changes meanwhile is seen at the next look.
                seen = Some(fingerprint(&shared.settings.models));
            }
            let answered = catch_unwind(AssertUnwindSafe(|| answer(shared, &mut kept, question)));
            if answered.is_err() {
                tracing::error!("the clerk stumbled over a question");
                kept = None;
            }
        }
    }
}

fn answer(shared: &Shared, kept: &mut Kept, question: Question) {
    match question {
        Question::Forget => *kept = None,
        Question::Scan => {
            let library = Arc::new(Library::scan(&shared.settings.models));
            *shared.library.lock().expect("nobody panics while holding the library") = Arc::clone(&library);
            // A model of the same name may have other words now.
            *kept = None;
            shared.outbox.send(FromEngine::Models { models: library.infos(), refused: library.refused.clone() });
        }
        Question::CountTokens { ask, model, prompt } => {
            let counted = counter(shared, kept, &model).map(|counter| counter.count(&prompt));
            let (tokens, chunks) = counted.map_or((None, 1), |(tokens, chunks)| (Some(tokens), chunks));
            shared.outbox.send(FromEngine::Tokens { ask, tokens, chunks });
        }
    }
}

/// The model's tokenizer, read when it is not the one that is kept.
fn counter<'a>(shared: &Shared, kept: &'a mut Kept, model: &str) -> Option<&'a dyn Counter> {
    if kept.as_ref().is_none_or(|(id, _)| id != model) {
        let library = shared.library();
        let entry = library.get(model)?;
        match (entry.family.counter)(&entry.source) {
            Ok(counter) => *kept = Some((model.to_owned(), counter)),
            Err(e) => {
                tracing::warn!("the tokenizer of {model} cannot be read: {e}");
                return None;
            }
        }
    }
    kept.as_ref().map(|(_, counter)| counter.as_ref())
}
