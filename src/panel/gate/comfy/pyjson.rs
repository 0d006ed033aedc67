//! JSON as Python writes it: numbers that are none stand in it as `NaN` and `Infinity`, which no other reader takes. They are
//! read as nothing. Pure.

use serde_json::Value;

/// What Python writes for a number that is none.
const WORDS: [&[u8]; 3] = [b"NaN", b"-Infinity", b"Infinity"];

/// Reads it; none where it is no JSON even so.
pub(super) fn read(text: &[u8]) -> Option<Value> {
    serde_json::from_slice(text).or_else(|_| serde_json::from_slice(&without_words(text))).ok()
}

/// The same with `null` for each such number. In a string they are letters like others.
fn without_words(text: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(text.len());
    let (mut at, mut inside) = (0, false);
    while let Some(byte) = text.get(at) {
        let word = WORDS.iter().find(|word| !inside && text[at..].starts_with(word));
        match (word, *byte) {
            (Some(word), _) => {
                out.extend_from_slice(b"null");
                at += word.len();
                continue;
            }
            // What follows a backslash ends no string.
            (None, b'\\') if inside => {
                out.extend(&text[at..text.len().min(at + 2)]);
                at += 2;
                continue;
            }
            (None, b'"') => inside = !inside,
            (None, _) => {}
        }
        out.push(*byte);
        at += 1;
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::json;

    #[test]
    fn numbers_that_are_none_are_nothing() {
        let text = br#"{"cfg": NaN, "a": [Infinity, -Infinity, 1], "text": "NaN \" Infinity \\", "NaN": NaN}"#;
        assert_eq!(read(text), Some(json!({"cfg": null, "a": [null, null, 1], "text": "NaN \" Infinity \\", "NaN": null})));
        assert_eq!(read(b"NaN"), Some(Value::Null));
        for broken in [&b"{\"a\": NaN"[..], b"{NaN: 1}", b"\"NaN\\", b"NaNs", b""] {
            assert_eq!(read(broken), None, "{broken:?}");
        }
    }

    proptest! {
        #[test]
        fn no_bytes_make_a_panic(text in prop::collection::vec(prop_oneof![Just(b'"'), Just(b'\\'), Just(b'N'), any::<u8>()], 0..60)) {
            let _ = read(&text);
        }
    }
}
