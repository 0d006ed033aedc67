//! What a viewer reads from: a session that runs, or the transcript of one that is over. Knows no viewer.

use crate::{
    error::AppError,
    sessions::{Live, Outcome, Record},
};
use std::{fs::File, os::unix::fs::FileExt as _, sync::Arc, time::Duration};
use supervise::{Piece, SessionState};

/// Where bytes come from.
#[derive(Debug)]
pub(super) enum Source {
    Live(Live),
    Past { file: Arc<File>, bytes: u64, outcome: Outcome, after: Duration },
}

/// How a session ended.
#[derive(Clone, Copy, Debug)]
pub(super) struct End {
    pub(super) code: Option<i32>,
    pub(super) signal: Option<i32>,
    pub(super) after: Duration,
}

impl Source {
    pub(super) fn live(live: Live) -> Source {
        Source::Live(live)
    }

    pub(super) fn past(file: File, record: &Record) -> Result<Source, AppError> {
        let bytes = file.metadata().map_err(|e| AppError::disk(&e))?.len();
        let ms = record.finished.unwrap_or(record.started) - record.started;
        let after = Duration::from_millis(ms.max(0).cast_unsigned());
        Ok(Source::Past { file: Arc::new(file), bytes, outcome: record.outcome.unwrap_or(Outcome::Lost), after })
    }

    /// Up to `most` bytes from a number on.
    pub(super) async fn read(&self, from: u64, most: usize) -> Piece {
        match self {
            Source::Live(live) => live.session.read(from, most),
            Source::Past { file, bytes, .. } => {
                let (file, from) = (file.clone(), from.min(*bytes));
                if from == *bytes {
                    return Piece { from, bytes: Vec::new() };
                }
                let mut piece = vec![0; most.min(usize::try_from(bytes - from).unwrap_or(most))];
                let read = tokio::task::spawn_blocking(move || {
                    let read = file.read_at(&mut piece, from)?;
                    piece.truncate(read);
                    Ok::<_, std::io::Error>(piece)
                });
                // A transcript that cannot be read ends early.
                Piece { from, bytes: read.await.ok().and_then(Result::ok).unwrap_or_default() }
            }
        }
    }

    /// How it ended, once it has, after which it writes no byte more.
    pub(super) fn end(&self) -> Option<End> {
        match self {
            Source::Live(live) => match *live.session.state().borrow() {
                SessionState::Running => None,
                SessionState::Ended { exit, after } => Some(End::of(exit.into(), after)),
            },
            Source::Past { outcome, after, .. } => Some(End::of(*outcome, *after)),
        }
    }

    /// Time since it began.
    pub(super) fn age(&self) -> Duration {
        match self {
            Source::Live(live) => live.session.age(),
            Source::Past { after, .. } => *after,
        }
    }
}

impl End {
    fn of(outcome: Outcome, after: Duration) -> End {
        let (code, signal) = match outcome {
            Outcome::Code(code) => (Some(code), None),
            Outcome::Signal(signal) => (None, Some(signal)),
            Outcome::Lost => (None, None),
        };
        End { code, signal, after }
    }
}
