//! How a dataset lies in a folder or an archive for a trainer: names that are safe everywhere and told apart, and
//! captions with the trigger word. Pure.

use super::replace::holds_word;
use std::collections::HashSet;

/// Bytes of a name without its extension: with what is added it stays under every file system's 255.
const MAX_STEM: usize = 100;
/// What stands for the trigger word in a caption, as AI-Toolkit knows it.
pub const PLACEHOLDER: &str = "[trigger]";
/// Names that Windows keeps for devices, whatever their extension.
const DEVICES: [&str; 6] = ["con", "prn", "aux", "nul", "clock$", "conin$"];

/// The shape of an export.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Layout {
    /// Pictures and captions side by side in the dataset's folder: AI-Toolkit, OneTrainer, sd-scripts with a toml.
    Flat,
    /// One folder `<repeats>_<trigger> <class>` in it, which sd-scripts and its interfaces read repeats and words from.
    Kohya {
        /// How often each picture is seen in an epoch.
        repeats: u32,
        /// What the trained thing is one of: "person", "style"; may be empty.
        class: String,
    },
}

impl Layout {
    /// The folder inside the dataset's folder, where there is one.
    pub fn folder(&self, trigger: &str) -> Option<String> {
        let Layout::Kohya { repeats, class } = self else { return None };
        let words = [trigger, class].map(|text| safe(text, "")).join(" ");
        let words = if words.trim().is_empty() { "dataset" } else { words.trim() };
        Some(format!("{repeats}_{words}"))
    }
}

/// A text as the name of a file or folder on any system: letters, digits, spaces and `-_.`, no dot in front, no device
/// of Windows, not too long. `fallback` where nothing is left.
pub fn safe(text: &str, fallback: &str) -> String {
    let kept = |c: char| if c.is_alphanumeric() || matches!(c, '-' | '_' | '.' | ' ') { c } else { ' ' };
    let mut name = text.chars().map(kept).collect::<String>().split_whitespace().collect::<Vec<_>>().join(" ");
    let mut end = MAX_STEM.min(name.len());
    while !name.is_char_boundary(end) {
        end -= 1;
    }
    name.truncate(end);
    let name = name.trim_matches(['.', ' ']);
    let device = name.split('.').next().unwrap_or_default().trim().to_lowercase();
    let numbered = ["com", "lpt"].iter().any(|d| device.strip_prefix(d).is_some_and(|n| n.chars().count() == 1));
    match name {
        "" => fallback.to_owned(),
        _ if numbered || DEVICES.contains(&device.as_str()) => format!("_{name}"),
        _ => name.to_owned(),
    }
}

/// Names for files, in order, without extensions: safe, and no two alike where upper and lower case are one. A second
/// "cat" becomes "cat-2". Captions lie under the same name, so that pictures of two formats may not share one either.
pub(super) fn stems<'a>(names: impl IntoIterator<Item = &'a str>) -> Vec<String> {
    let mut taken = HashSet::new();
    let unique = |name: &str| {
        let base = safe(name, "picture");
        let mut stem = base.clone();
        let mut n = 2;
        while !taken.insert(stem.to_lowercase()) {
            stem = format!("{base}-{n}");
            n += 1;
        }
        stem
    };
    names.into_iter().map(unique).collect()
}

/// The caption as a trainer reads it: `[trigger]` becomes the trigger word, and where the word is not in it by then, it
/// is put in front.
pub(super) fn with_trigger(caption: &str, trigger: &str) -> String {
    let caption = caption.trim();
    if trigger.is_empty() {
        return caption.to_owned();
    }
    let caption = caption.replace(PLACEHOLDER, trigger);
    if holds_word(&caption, trigger) {
        caption
    } else if caption.is_empty() {
        trigger.to_owned()
    } else {
        format!("{trigger}, {caption}")
    }
}

/// The extension of a picture of this media type.
pub(super) fn extension(mime: &str) -> &'static str {
    match mime {
        "image/jpeg" => "jpg",
        "image/webp" => "webp",
        _ => "png",
    }
}

/// The last part of a path without its extension: how a file that came is called.
pub(super) fn stem_of(path: &str) -> &str {
    let name = path.rsplit(['/', '\\']).next().unwrap_or(path);
    match name.rsplit_once('.') {
        Some((stem, _)) if !stem.is_empty() => stem,
        _ => name,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn names_are_safe_and_told_apart() {
        for (text, name) in [
            ("../../etc/passwd", "etc passwd"),
            ("C:\\Windows\\x", "C Windows x"),
            (".hidden", "hidden"),
            ("con", "_con"),
            ("LPT1.backup", "_LPT1.backup"),
            ("com", "com"),
            ("Zoë, 李明 (3)", "Zoë 李明 3"),
            ("a\u{0}b\nc\u{202e}d", "a b c d"),
            ("...", "picture"),
            ("", "picture"),
        ] {
            assert_eq!(safe(text, "picture"), name, "{text:?}");
        }
        assert_eq!(stems(["cat", "Cat", "cat-2", "cat"]), ["cat", "Cat-2", "cat-2-2", "cat-3"]);
    }

    #[test]
    fn the_trigger_is_put_in_once() {
        for (caption, wanted) in [
            ("", "ohwx"),
            ("a cat", "ohwx, a cat"),
            ("a photo of OHWX, smiling", "a photo of OHWX, smiling"),
            ("a photo of [trigger] on grass", "a photo of ohwx on grass"),
            ("ohwxy", "ohwx, ohwxy"),
        ] {
            assert_eq!(with_trigger(caption, "ohwx"), wanted);
        }
        assert_eq!(with_trigger(" a cat ", ""), "a cat");
    }

    #[test]
    fn kohyas_folder_tells_repeats_and_words() {
        let kohya = |class: &str| Layout::Kohya { repeats: 10, class: class.into() };
        assert_eq!(kohya("cat").folder("ohwx").unwrap(), "10_ohwx cat");
        assert_eq!(kohya("").folder("ohwx").unwrap(), "10_ohwx");
        assert_eq!(kohya("../x").folder("").unwrap(), "10_x");
        assert_eq!(kohya("").folder("").unwrap(), "10_dataset");
        assert_eq!(Layout::Flat.folder("ohwx"), None);
    }

    #[test]
    fn stems_are_the_last_part() {
        for (path, stem) in [("a/b/c.tar.gz", "c.tar"), ("x.png", "x"), ("d\\e.jpg", "e"), (".png", ".png"), ("none", "none")] {
            assert_eq!(stem_of(path), stem);
        }
    }

    proptest! {
        #[test]
        fn no_text_makes_an_unsafe_name(text in "\\PC{0,300}|[./\\\\:]{0,9}|[\\x00-\\x20a]{0,9}") {
            let name = safe(&text, "picture");
            prop_assert!(!name.is_empty() && name.len() <= MAX_STEM + 1);
            prop_assert!(!name.contains(['/', '\\', '\0', ':']) && !name.starts_with('.') && !name.ends_with(['.', ' ']));
            prop_assert_eq!(safe(&name, "picture"), name);
        }

        #[test]
        fn stems_are_unique_in_any_case(names in prop::collection::vec("[aA](-2)?|[bB]{1,2}", 0..12)) {
            let stems = stems(names.iter().map(String::as_str));
            let lower: HashSet<String> = stems.iter().map(|s| s.to_lowercase()).collect();
            prop_assert_eq!(lower.len(), names.len());
        }

        #[test]
        fn putting_the_trigger_in_twice_changes_nothing(caption in "(\\[trigger\\]|[a-z, ]){0,8}", trigger in "[a-z0-9]{1,6}( [a-z]{1,4})?") {
            let once = with_trigger(&caption, &trigger);
            prop_assert!(holds_word(&once, &trigger));
            prop_assert_eq!(with_trigger(&once, &trigger), once);
        }
    }
}
