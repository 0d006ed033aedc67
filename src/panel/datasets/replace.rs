//! Find and replace in a caption. Pure; knows one text at a time.

/// What is looked for, and what comes in its place.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Search {
    /// The text that is looked for; never empty.
    pub find: String,
    /// What comes in its place.
    pub with: String,
    /// Upper and lower case differ.
    pub match_case: bool,
    /// Not inside a longer word.
    pub whole_words: bool,
}

/// A caption after a replacement, and in how many places it changed. None where it has no such place, or every place
/// reads the same afterwards.
pub(super) fn replace(caption: &str, search: &Search) -> Option<(String, u32)> {
    let places = places(caption, search);
    let mut text = String::with_capacity(caption.len());
    let mut at = 0;
    for (from, to) in &places {
        text.push_str(&caption[at..*from]);
        text.push_str(&search.with);
        at = *to;
    }
    text.push_str(&caption[at..]);
    (text != caption).then_some((text, places.len() as u32))
}

/// Where the text is found: first byte, and the one behind the last. Places do not overlap; the earliest counts.
fn places(caption: &str, search: &Search) -> Vec<(usize, usize)> {
    let mut found = Vec::new();
    let mut from = 0;
    while from < caption.len() {
        let rest = &caption[from..];
        match length_at(rest, &search.find, search.match_case) {
            Some(length) if !search.whole_words || stands_alone(caption, from, from + length) => {
                found.push((from, from + length));
                from += length;
            }
            _ => from += rest.chars().next().map_or(1, char::len_utf8),
        }
    }
    found
}

/// How many bytes of the beginning of `text` are `find`. Letter by letter, since the other case may have other bytes.
fn length_at(text: &str, find: &str, match_case: bool) -> Option<usize> {
    if find.is_empty() {
        return None;
    }
    let mut chars = text.char_indices();
    for wanted in find.chars() {
        let (_, c) = chars.next()?;
        let same = c == wanted || (!match_case && c.to_lowercase().eq(wanted.to_lowercase()));
        if !same {
            return None;
        }
    }
    Some(chars.next().map_or(text.len(), |(i, _)| i))
}

/// Whether what stands there is no part of a longer word.
pub(super) fn stands_alone(text: &str, from: usize, to: usize) -> bool {
    let is_word = |c: char| c.is_alphanumeric() || c == '_';
    let (before, after) = (text[..from].chars().next_back(), text[to..].chars().next());
    let (first, last) = (text[from..to].chars().next(), text[from..to].chars().next_back());
    let splits = |a: Option<char>, b: Option<char>| a.is_some_and(is_word) && b.is_some_and(is_word);
    !splits(before, first) && !splits(last, after)
}

/// Whether `text` holds `word` as a word of its own, in any case.
pub(super) fn holds_word(text: &str, word: &str) -> bool {
    let search = Search { find: word.to_owned(), whole_words: true, ..Search::default() };
    !places(text, &search).is_empty()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn search(find: &str, with: &str) -> Search {
        Search { find: find.into(), with: with.into(), ..Search::default() }
    }

    #[test]
    fn case_and_words_as_asked() {
        let cat = search("cat", "dog");
        assert_eq!(replace("A Cat, a cat, a category", &cat), Some(("A dog, a dog, a dogegory".into(), 3)));
        assert_eq!(replace("A Cat, a cat", &Search { match_case: true, ..cat.clone() }), Some(("A Cat, a dog".into(), 1)));
        let words = Search { whole_words: true, ..cat };
        assert_eq!(replace("a cat, a category, cat_2, cat", &words), Some(("a dog, a category, cat_2, dog".into(), 2)));
        assert_eq!(replace("tiger", &words), None);
        assert_eq!(replace("aaa", &search("aa", "b")), Some(("ba".into(), 1)));
        assert_eq!(replace("GRÜN, grün", &search("grün", "red")), Some(("red, red".into(), 2)));
        assert_eq!(replace("same", &search("same", "same")), None);
        assert_eq!(replace("x, , y", &search(", ,", ",")), Some(("x, y".into(), 1)));
    }

    proptest! {
        #[test]
        fn nothing_outside_the_places_changes(
            caption in "\\PC{0,40}", find in "\\PC{1,3}", with in "\\PC{0,5}", match_case: bool, whole_words: bool
        ) {
            let search = Search { find: find.clone(), with, match_case, whole_words };
            if let Some((after, n)) = replace(&caption, &search) {
                prop_assert!(n > 0 && after != caption);
            }
            if match_case && !whole_words {
                let std = caption.replace(&find, &search.with);
                prop_assert_eq!(replace(&caption, &search).map_or(caption, |(text, _)| text), std);
            }
        }

        #[test]
        fn taking_it_back_gives_the_caption_again(words in prop::collection::vec("[a-z]{1,6}", 1..8)) {
            let caption = words.join(", ");
            let there = Search { find: words[0].clone(), with: "\u{1}".into(), match_case: true, whole_words: true };
            let back = Search { find: "\u{1}".into(), with: words[0].clone(), match_case: true, whole_words: false };
            let (after, _) = replace(&caption, &there).unwrap();
            prop_assert_eq!(replace(&after, &back).unwrap().0, caption);
        }
    }
}
