//! What is said over a terminal's WebSocket: two enums. The terminal's bytes and the keys travel as binary frames, never
//! decoded; these are the text frames beside them, as JSON. Knows no socket.
//!
//! The panel begins with `hello`; binary frames after it continue at its `from`. A viewer acknowledges what he has shown;
//! beyond [`UNACKNOWLEDGED`] bytes nothing more is sent to him until he does.

use serde::{Deserialize, Serialize};

/// Bytes that a viewer may have before him unseen.
pub(super) const UNACKNOWLEDGED: u64 = 100_000;
/// Bytes of one frame to a viewer.
pub(super) const CHUNK: usize = 32 * 1024;

/// A viewer says.
#[derive(Debug, PartialEq, Eq, Deserialize)]
#[serde(tag = "kind", rename_all = "lowercase", deny_unknown_fields)]
pub(super) enum FromViewer {
    /// He has shown everything before this byte.
    Ack {
        /// Absolute number.
        up_to: u64,
    },
    /// He wants to type.
    Take {},
    /// He gives the keyboard back.
    Give {},
    /// His window has so many cells.
    Resize {
        /// 1 to 1000.
        cols: u16,
        /// 1 to 1000.
        rows: u16,
    },
}

/// The panel says.
#[derive(Debug, PartialEq, Serialize)]
#[serde(tag = "kind", rename_all = "lowercase")]
pub(super) enum ToViewer<'a> {
    /// The first word.
    Hello {
        /// Number of the byte with which it goes on; where that is not kept any more, a gap follows.
        from: u64,
        /// Seconds since the session began.
        age_s: f64,
    },
    /// Bytes that are not kept any more lie between what was sent and what follows.
    Gap {
        /// Number of the byte that follows.
        from: u64,
        /// How many are missing.
        dropped: u64,
    },
    /// The terminal has so many cells.
    Size {
        /// Columns.
        cols: u16,
        /// Rows.
        rows: u16,
    },
    /// Who is there.
    Room {
        /// How many look.
        viewers: usize,
        /// This viewer types.
        you: bool,
        /// Name of who types.
        typist: Option<&'a str>,
    },
    /// What was typed was not taken.
    Refused {
        /// Why.
        why: &'a str,
    },
    /// It has ended; every byte was sent.
    Ended {
        /// Its exit code.
        code: Option<i32>,
        /// The signal that ended it.
        signal: Option<i32>,
        /// Seconds that it ran.
        after_s: f64,
    },
}

/// What a text frame means. None: it is no word of this protocol.
pub(super) fn parse(text: &str) -> Option<FromViewer> {
    serde_json::from_str(text).ok()
}

/// A word as a text frame.
pub(super) fn say(word: &ToViewer<'_>) -> String {
    serde_json::to_string(word).expect("numbers and strings are JSON")
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn words_are_understood_and_others_are_not() {
        assert_eq!(parse(r#"{"kind":"ack","up_to":7}"#), Some(FromViewer::Ack { up_to: 7 }));
        assert_eq!(parse(r#"{"kind":"take"}"#), Some(FromViewer::Take {}));
        assert_eq!(parse(r#"{"kind":"resize","cols":80,"rows":24}"#), Some(FromViewer::Resize { cols: 80, rows: 24 }));
        for odd in ["", "{}", "[]", r#"{"kind":"shutdown"}"#, r#"{"kind":"ack","up_to":-1}"#, r#"{"kind":"take","now":1}"#] {
            assert_eq!(parse(odd), None, "{odd}");
        }
        assert_eq!(say(&ToViewer::Hello { from: 3, age_s: 0.5 }), r#"{"kind":"hello","from":3,"age_s":0.5}"#);
    }

    proptest! {
        #[test]
        fn nothing_that_is_sent_makes_it_stumble(text in ".*") {
            let _ = parse(&text);
        }
    }
}
