//! The id of a tool: the name of its folder. Knows no disk.

use serde::{Deserialize, Serialize};
use std::fmt;

/// Most characters of an id.
const ID_MAX: usize = 32;

/// Which tool: `[a-z0-9-]{1,32}`, no dash at either end. It names a folder and, with `_` for `-`, its scripts.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct ToolId(String);

/// Text that is no id.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("\"{0}\" is not the id of a tool: 1 to 32 of the characters a-z, 0-9 and -, with no - at either end")]
pub struct NotAToolId(String);

impl ToolId {
    /// Reads an id.
    pub fn parse(text: &str) -> Result<ToolId, NotAToolId> {
        let allowed = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
        let good =
            (1..=ID_MAX).contains(&text.len()) && text.bytes().all(allowed) && !text.starts_with('-') && !text.ends_with('-');
        if good { Ok(ToolId(text.to_owned())) } else { Err(NotAToolId(text.chars().take(64).collect())) }
    }

    /// As text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// As it stands in the names of scripts: `custom_nodes` for `custom-nodes`.
    pub fn in_file_names(&self) -> String {
        self.0.replace('-', "_")
    }
}

impl TryFrom<String> for ToolId {
    type Error = NotAToolId;

    fn try_from(text: String) -> Result<ToolId, NotAToolId> {
        ToolId::parse(&text)
    }
}

impl From<ToolId> for String {
    fn from(id: ToolId) -> String {
        id.0
    }
}

impl fmt::Display for ToolId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_and_options_are_no_ids() {
        for text in ["", ".", "..", "a/b", "Comfy", "a_b", "-x", "x-", "a b", "a\0", &"a".repeat(33)] {
            assert!(ToolId::parse(text).is_err(), "{text:?}");
        }
        let id = ToolId::parse("custom-nodes").unwrap();
        assert_eq!((id.as_str(), id.in_file_names().as_str()), ("custom-nodes", "custom_nodes"));
    }
}
