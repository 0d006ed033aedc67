//! The name of a person and the id of a profile, each checked once and then a type. Knows no file and no
//! store.

use serde::{Deserialize, Serialize};
use std::fmt;
use unicode_normalization::UnicodeNormalization as _;

/// Most characters of an id.
const ID_MAX: usize = 32;
/// Most characters of a name.
const NAME_MAX: usize = 64;

/// Which profile: `[a-z0-9_-]{1,32}`. It names the folder of its outputs, so nothing else gets in.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct ProfileId(String);

/// Text that is no id.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("\"{0}\" is not an id: 1 to 32 of the characters a-z, 0-9, - and _.")]
pub struct NotAnId(String);

impl ProfileId {
    /// Reads an id.
    pub fn parse(text: &str) -> Result<ProfileId, NotAnId> {
        let allowed = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-' || b == b'_';
        if (1..=ID_MAX).contains(&text.len()) && text.bytes().all(allowed) {
            Ok(ProfileId(text.to_string()))
        } else {
            Err(NotAnId(text.chars().take(64).collect()))
        }
    }

    /// The id that a name suggests: decomposed (NFKD), marks dropped, words joined by dashes. None where
    /// nothing of the name can be written in ASCII.
    pub fn derive(name: &Name) -> Option<ProfileId> {
        let mut id = String::new();
        for c in name.0.nfkd().flat_map(char::to_lowercase).nfkd() {
            match c {
                'a'..='z' | '0'..='9' => id.push(c),
                c if latin(c).is_some() => id.push_str(latin(c).unwrap_or_default()),
                c if (c.is_whitespace() || c.is_ascii_punctuation()) && !id.is_empty() && !id.ends_with('-') => id.push('-'),
                _ => {}
            }
        }
        id.truncate(ID_MAX);
        ProfileId::parse(id.trim_matches('-')).ok()
    }

    /// Easel itself, where it does something that nobody asked for: at its start. No profile has this id.
    pub fn studio() -> ProfileId {
        ProfileId("_easel".into())
    }

    /// As text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Latin letters that have no decomposition, as people spell them without an accent.
fn latin(c: char) -> Option<&'static str> {
    Some(match c {
        'ß' => "ss",
        'æ' => "ae",
        'œ' => "oe",
        'ø' => "o",
        'đ' | 'ð' => "d",
        'ł' => "l",
        'þ' => "th",
        'ħ' => "h",
        'ı' => "i",
        'ŋ' => "n",
        _ => return None,
    })
}

impl std::str::FromStr for ProfileId {
    type Err = NotAnId;

    fn from_str(text: &str) -> Result<ProfileId, NotAnId> {
        ProfileId::parse(text)
    }
}

impl TryFrom<String> for ProfileId {
    type Error = NotAnId;

    fn try_from(text: String) -> Result<ProfileId, NotAnId> {
        ProfileId::parse(&text)
    }
}

impl From<ProfileId> for String {
    fn from(id: ProfileId) -> String {
        id.0
    }
}

impl fmt::Display for ProfileId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// What a profile is called: 1 to 64 characters of any script, composed (NFC), without control characters
/// and without marks that turn the direction of the text around it.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Name(String);

/// Text that is no name.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum NotAName {
    /// Nothing but white space.
    #[error("A name needs at least one visible character.")]
    Empty,
    /// Too many characters.
    #[error("A name can have at most {NAME_MAX} characters.")]
    TooLong,
    /// A control character or a mark of direction.
    #[error("A name cannot hold control characters or marks of text direction.")]
    Control,
}

impl Name {
    /// Reads a name; white space at its ends and in runs is dropped.
    pub fn parse(text: &str) -> Result<Name, NotAName> {
        let name = text.split_whitespace().collect::<Vec<_>>().join(" ").nfc().collect::<String>();
        let turns = |c: char| matches!(c, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
        if name.chars().any(|c| c.is_control() || turns(c)) {
            return Err(NotAName::Control);
        }
        match name.chars().filter(|c| !matches!(c, '\u{200b}'..='\u{200d}' | '\u{feff}' | '\u{2060}')).count() {
            0 => Err(NotAName::Empty),
            _ if name.chars().count() > NAME_MAX => Err(NotAName::TooLong),
            _ => Ok(Name(name)),
        }
    }

    /// As text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for Name {
    type Error = NotAName;

    fn try_from(text: String) -> Result<Name, NotAName> {
        Name::parse(&text)
    }
}

impl From<Name> for String {
    fn from(name: Name) -> String {
        name.0
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn derived(name: &str) -> Option<String> {
        ProfileId::derive(&Name::parse(name).unwrap()).map(String::from)
    }

    #[test]
    fn ids_are_what_people_would_type() {
        for (name, id) in [
            ("Zoë", "zoe"),
            ("Zoe", "zoe"),
            ("Ada Lovelace", "ada-lovelace"),
            ("  José  María ", "jose-maria"),
            ("O'Brien", "o-brien"),
            ("Søren Ångström", "soren-angstrom"),
            ("Straße", "strasse"),
            ("ＡＤＡ", "ada"),
            ("İpek", "ipek"),
            ("Li 李明", "li"),
        ] {
            assert_eq!(derived(name).as_deref(), Some(id), "{name}");
        }
        assert_eq!(derived("李明"), None);
        assert_eq!(derived("---"), None);
    }

    #[test]
    fn paths_are_no_ids() {
        for text in ["", ".", "..", "a/b", "a\\b", "Ada", "zoë", "a b", "a.b", "%2e", "a\0", &"a".repeat(33)] {
            assert!(ProfileId::parse(text).is_err(), "{text:?}");
        }
    }

    #[test]
    fn names_are_of_any_script_but_visible_and_of_one_direction() {
        for good in ["李明", "محمد", "Zoe\u{308}", "👩‍🎨"] {
            assert!(Name::parse(good).is_ok(), "{good}");
        }
        assert_eq!(Name::parse("Zoe\u{308}").unwrap().as_str(), "Zo\u{eb}");
        assert_eq!(Name::parse(" \u{200b} "), Err(NotAName::Empty));
        assert_eq!(Name::parse("a\u{202e}b"), Err(NotAName::Control));
        assert_eq!(Name::parse("a\0b"), Err(NotAName::Control));
        assert_eq!(Name::parse(&"a".repeat(65)), Err(NotAName::TooLong));
    }

    proptest! {
        #[test]
        fn whatever_the_name_the_id_is_an_id(text in "\\PC{1,80}") {
            if let Ok(name) = Name::parse(&text) {
                if let Some(id) = ProfileId::derive(&name) {
                    prop_assert_eq!(ProfileId::parse(id.as_str()), Ok(id.clone()));
                    prop_assert!(!id.as_str().starts_with('-') && !id.as_str().ends_with('-'));
                }
                prop_assert_eq!(Name::parse(name.as_str()), Ok(name));
            }
        }
    }
}
