//! Names and labels by which a studio knows its own containers. Pure.

use crate::ContainerError;
use std::collections::HashMap;

/// Label: which studio made it.
const STUDIO: &str = "easel.studio";
/// Label: for which tool.
const TOOL: &str = "easel.tool";
/// Label: hash of what it was made from.
const SPEC: &str = "easel.spec";
/// Longest id of a studio or of a tool.
const ID_MAX: usize = 64;

/// The data folder whose containers these are. Two panels on one engine do not touch each other's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Studio(String);

/// What a container's name ends with while a tool is updated.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Suffix {
    /// The tool's container.
    None,
    /// Of the new image, until it is well.
    Next,
    /// Of the former image, until the new one is well.
    Former,
}

impl Suffix {
    fn as_str(self) -> &'static str {
        match self {
            Suffix::None => "",
            Suffix::Next => "-next",
            Suffix::Former => "-former",
        }
    }
}

impl Studio {
    /// A studio by the id of its data folder: lower-case letters, digits and dashes, at most 64.
    ///
    /// # Errors
    /// When it is anything else: it becomes part of names.
    pub fn new(id: &str) -> Result<Studio, ContainerError> {
        check_id("studio", id).map(|()| Studio(id.to_owned()))
    }

    /// Its id.
    pub fn id(&self) -> &str {
        &self.0
    }

    /// The name of a tool's container.
    pub fn container(&self, tool: &str, suffix: Suffix) -> String {
        format!("easel-{}-{tool}{}", self.0, suffix.as_str())
    }

    /// Which of a tool's containers a name is.
    pub(crate) fn suffix_of(&self, name: &str, tool: &str) -> Option<Suffix> {
        [Suffix::None, Suffix::Next, Suffix::Former].into_iter().find(|suffix| self.container(tool, *suffix) == name)
    }

    /// The repository under which the images of a tool are kept from being cleared away.
    pub(crate) fn repository(&self, tool: &str) -> String {
        format!("easel.local/{}/{tool}", self.0)
    }

    /// Labels of a new container.
    pub(crate) fn labels(&self, tool: &str, spec: &str) -> HashMap<String, String> {
        [(STUDIO, self.id()), (TOOL, tool), (SPEC, spec)].map(|(name, value)| (name.to_owned(), value.to_owned())).into()
    }

    /// What an engine is asked for to list this studio's, as part of an address: `{"label":["easel.studio=…"]}`.
    pub(crate) fn filter(&self) -> String {
        format!("%7B%22label%22%3A%5B%22{STUDIO}%3D{}%22%5D%7D", self.0)
    }

    /// Tool and hash of one of this studio's. None: it is somebody else's.
    pub(crate) fn reads(&self, labels: &HashMap<String, String>) -> Option<(String, String)> {
        let ours = labels.get(STUDIO) == Some(&self.0);
        let tool = labels.get(TOOL).filter(|tool| ours && check_id("tool", tool).is_ok())?;
        Some((tool.clone(), labels.get(SPEC).cloned().unwrap_or_default()))
    }
}

/// Ids become parts of names of containers and images.
pub(crate) fn check_id(what: &str, id: &str) -> Result<(), ContainerError> {
    let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    // A dash at an end would make a name that no image may have.
    let good = (1..=ID_MAX).contains(&id.len()) && id.chars().all(plain) && !id.starts_with('-') && !id.ends_with('-');
    if good && !id.contains("--") {
        return Ok(());
    }
    Err(ContainerError::Wrong(format!(
        "The {what}'s id \"{}\" must be 1 to {ID_MAX} lower-case letters, digits and single dashes.",
        id.escape_debug()
    )))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_studio_reads_its_own_labels_and_no_others() {
        let (ours, other) = (Studio::new("one").unwrap(), Studio::new("two").unwrap());
        let labels = ours.labels("comfy", "abc");
        assert_eq!(ours.reads(&labels), Some(("comfy".into(), "abc".into())));
        assert_eq!(other.reads(&labels), None);
        assert_eq!(ours.reads(&HashMap::new()), None);
        let forged = [("easel.studio".to_owned(), "one".to_owned()), ("easel.tool".to_owned(), "../x".to_owned())].into();
        assert_eq!(ours.reads(&forged), None);
    }

    #[test]
    fn names_are_told_apart() {
        let studio = Studio::new("one").unwrap();
        for suffix in [Suffix::None, Suffix::Next, Suffix::Former] {
            assert_eq!(studio.suffix_of(&studio.container("comfy", suffix), "comfy"), Some(suffix));
        }
        assert_eq!(studio.suffix_of("easel-one-comfy-2", "comfy"), None);
    }

    #[test]
    fn ids_that_cannot_be_names_are_refused() {
        for id in ["", "A", "a/b", "a b", "-a", "a-", "a--b", "ä", &"x".repeat(65)] {
            assert!(Studio::new(id).is_err(), "{id}");
        }
    }
}
