//! What a viewer reads from: a session that runs, or the transcript of one that is over. Knows no viewer.

use crate::sessions::{Live, Outcome, Record, Transcript};
use std::{sync::Arc, time::Duration};
use supervise::{Piece, SessionState};

/// Where bytes come from.
#[derive(Debug)]
pub(super) enum Source {
    Live(Live),
    Past { transcript: Arc<Transcript>, outcome: Outcome, after: Duration },
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

    pub(super) fn past(transcript: Transcript, record: &Record) -> Source {
        let ms = record.finished.unwrap_or(record.started) - record.started;
        let after = Duration::from_millis(ms.max(0).cast_unsigned());
        Source::Past { transcript: Arc::new(transcript), outcome: record.outcome.unwrap_or(Outcome::Lost), after }
    }

    /// Up to `most` bytes from a number on, or from the first after it that is kept.
    pub(super) async fn read(&self, from: u64, most: usize) -> Piece {
        match self {
            Source::Live(live) => live.session.read(from, most),
            Source::Past { transcript, .. } => {
                let transcript = transcript.clone();
                let read = tokio::task::spawn_blocking(move || transcript.read(from, most));
                // A transcript that cannot be read ends early.
                read.await.ok().and_then(Result::ok).unwrap_or(Piece { from, bytes: Vec::new() })
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
