//! What the panel and a worker on the models folder say to each other, one JSON object a line. Knows no HTTP and no
//! file.

use serde::{Deserialize, Serialize};
use std::fmt;

/// What a worker is told. The first line is its task; what may follow is [`ToModelWorker::Cancel`].
#[derive(Clone, Serialize, Deserialize, PartialEq, Eq)]
#[serde(tag = "do", rename_all = "snake_case")]
pub enum ToModelWorker {
    /// Fetch a file.
    Download {
        /// Its address; a part of it may be a secret.
        url: String,
        /// Its name below `models/`; none to take the server's.
        name: Option<String>,
        /// The SHA-256 that it must have.
        sha256: Option<String>,
        /// Sent to the address's own host as a bearer token.
        token: Option<String>,
        /// Also from private addresses.
        private: bool,
    },
    /// Check a file that lies in the models folder under a hidden name, and give it its own.
    Take {
        /// The hidden name.
        part: String,
        /// Its own.
        name: String,
    },
    /// Remove a model.
    Remove {
        /// Its id.
        id: String,
    },
    /// Give the task up, and what was fetched with it.
    Cancel,
}

/// Addresses and tokens are nobody's business.
impl fmt::Debug for ToModelWorker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            ToModelWorker::Download { .. } => "Download",
            ToModelWorker::Take { .. } => "Take",
            ToModelWorker::Remove { .. } => "Remove",
            ToModelWorker::Cancel => "Cancel",
        })
    }
}

/// What a worker tells. The last line is `Added`, `Removed` or `Failed`.
#[derive(Clone, Debug, Serialize, Deserialize, PartialEq, Eq)]
#[serde(tag = "told", rename_all = "snake_case")]
pub enum FromModelWorker {
    /// The file's name is known.
    Named {
        /// Below `models/`.
        name: String,
    },
    /// How much is there.
    Progress {
        /// Bytes.
        done: u64,
        /// Bytes, where the server told.
        total: Option<u64>,
    },
    /// The model can be loaded.
    Added {
        /// Its id.
        id: String,
        /// Its name below `models/`.
        name: String,
    },
    /// The model is gone.
    Removed {
        /// Its place below `models/`.
        place: String,
    },
    /// It did not work.
    Failed {
        /// A sentence.
        why: String,
    },
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_order_shows_no_secret_when_it_is_printed() {
        let order = ToModelWorker::Download {
            url: "https://a/x.safetensors?token=canary".into(),
            name: None,
            sha256: None,
            token: Some("canary".into()),
            private: false,
        };
        assert_eq!(format!("{order:?}"), "Download");
    }
}
