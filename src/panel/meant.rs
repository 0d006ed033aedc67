//! "Did you mean": the word of a list that is nearest to a misspelt one. Knows nothing of what the words are.

/// Words that are less alike than this were not meant.
const ALIKE: f64 = 0.75;

/// The word that was probably meant.
pub(crate) fn nearest<'a>(unknown: &str, words: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    words
        .into_iter()
        .map(|word| (strsim::jaro_winkler(word, unknown), word))
        .filter(|(likeness, _)| *likeness > ALIKE)
        .max_by(|a, b| a.0.total_cmp(&b.0))
        .map(|(_, word)| word)
}

#[cfg(test)]
mod tests {
    use super::nearest;

    #[test]
    fn only_what_is_alike_was_meant() {
        let words = ["public_port", "install", "health"];
        assert_eq!(nearest("pubic_port", words), Some("public_port"));
        assert_eq!(nearest("colour", words), None);
    }
}
