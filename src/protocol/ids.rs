//! Identifiers that cross process borders.

use serde::{Deserialize, Serialize};
use std::fmt;

/// A job, by the sortable id that the store gave it (a ULID: 26 characters of Crockford base 32).
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct JobId(pub String);

impl fmt::Display for JobId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
