//! What a dataset may be called, and its trigger word. Pure.

use super::{
    Dataset, DatasetError,
    layout::safe,
    limits::{MAX_NAME, MAX_TRIGGER},
};

/// A dataset's name, with its blanks in order.
///
/// # Errors
/// [`DatasetError::Field`], where no folder can be called so.
pub(super) fn parse_name(text: &str) -> Result<String, DatasetError> {
    let name = text.split_whitespace().collect::<Vec<_>>().join(" ");
    let wrong = |why: String| Err(DatasetError::Field("name", why));
    match name.chars().count() {
        0 => wrong("It needs a name.".into()),
        n if n > MAX_NAME => wrong(format!("It can have at most {MAX_NAME} characters.")),
        _ if name.chars().any(char::is_control) || safe(&name, "").is_empty() => wrong("It needs a letter or a digit.".into()),
        _ => Ok(name),
    }
}

/// A trigger word, with its blanks in order; may be empty.
///
/// # Errors
/// [`DatasetError::Field`], where a trainer would read it as several words.
pub(super) fn parse_trigger(text: &str) -> Result<String, DatasetError> {
    let trigger = text.split_whitespace().collect::<Vec<_>>().join(" ");
    let wrong = |why: String| Err(DatasetError::Field("trigger", why));
    if trigger.chars().count() > MAX_TRIGGER {
        return wrong(format!("It can have at most {MAX_TRIGGER} characters."));
    }
    // Commas part words of captions from each other, and brackets mark the place of the trigger word.
    if trigger.chars().any(|c| c.is_control() || matches!(c, ',' | '[' | ']')) {
        return wrong("It can have no commas or square brackets.".into());
    }
    Ok(trigger)
}

/// Names are told apart as the folders that they become in an export.
///
/// # Errors
/// [`DatasetError::Clash`], where another of these has such a name.
pub(super) fn check_unique(all: &[Dataset], id: &str, name: &str) -> Result<(), DatasetError> {
    let folder = |name: &str| safe(name, "").to_lowercase();
    if all.iter().any(|d| d.id != id && folder(&d.name) == folder(name)) {
        return Err(DatasetError::Clash(format!("You have a dataset \"{name}\" already. Give another name.")));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_become_folders_and_triggers_one_word() {
        assert_eq!(parse_name("  Zoë's \n cat ").unwrap(), "Zoë's cat");
        for wrong in ["", "  ", "...", "///", "a\u{1b}b", &"x".repeat(65)] {
            assert!(parse_name(wrong).is_err(), "{wrong:?}");
        }
        assert_eq!(parse_trigger(" ohwx  cat ").unwrap(), "ohwx cat");
        assert_eq!(parse_trigger("").unwrap(), "");
        for wrong in ["a, b", "[trigger]", &"x".repeat(65)] {
            assert!(parse_trigger(wrong).is_err(), "{wrong}");
        }
    }
}
