//! JSON as Python's `json` writes it: `Infinity`, `-Infinity` and `NaN` stand where numbers may. Knows
//! nothing about what is in the file.

use serde::de::DeserializeOwned;

/// Parses `text`. The three words that JSON does not have are read as `null`, so the field that holds one
/// must be an `Option` or have a default.
pub fn parse<T: DeserializeOwned>(text: &str) -> serde_json::Result<T> {
    serde_json::from_str(text).or_else(|_| serde_json::from_str(&without_infinities(text)))
}

/// Replaces the words outside of strings by `null`.
fn without_infinities(text: &str) -> String {
    const WORDS: [&str; 3] = ["-Infinity", "Infinity", "NaN"];
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    let mut in_string = false;
    while let Some(c) = rest.chars().next() {
        if in_string && c == '\\' {
            let escape = c.len_utf8() + rest[1..].chars().next().map_or(0, char::len_utf8);
            out.push_str(&rest[..escape]);
            rest = &rest[escape..];
            continue;
        }
        in_string ^= c == '"';
        let word = WORDS.iter().find(|w| !in_string && rest.starts_with(**w));
        let taken = word.map_or(c.len_utf8(), |w| w.len());
        out.push_str(word.map_or(&rest[..taken], |_| "null"));
        rest = &rest[taken..];
    }
    out
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    #[test]
    fn python_infinities_become_null_outside_of_strings() {
        let value: Value = super::parse(r#"{"a": -Infinity, "b": [NaN, Infinity], "c": "\"-Infinity \\", "d": 1}"#).unwrap();
        assert_eq!(value, serde_json::json!({"a": null, "b": [null, null], "c": "\"-Infinity \\", "d": 1}));
        assert!(super::parse::<Value>(r#"{"a": Infinite}"#).is_err());
        assert!(super::parse::<Value>("\"\\").is_err());
    }
}
