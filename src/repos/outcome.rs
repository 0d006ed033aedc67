//! What came of a sync, as data: where the repository stands, what changed, what was put aside. Knows no git.

use crate::{BadAddress, fault::Fault};
use serde::{Deserialize, Serialize};

/// A commit, as people are told of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Commit {
    /// Its id, in 40 hexadecimal digits.
    pub id: String,
    /// The first line of its message, at most 200 characters.
    pub summary: String,
    /// The author's name.
    pub author: String,
    /// When it was committed, in seconds since 1970.
    pub time: i64,
}

impl Commit {
    /// The first ten digits of the id.
    pub fn short(&self) -> &str {
        self.id.get(..10).unwrap_or(&self.id)
    }
}

/// What a sync did.
#[derive(Debug)]
pub struct Synced {
    /// Where the repository stands now.
    pub outcome: Outcome,
    /// What was found in the folder that the remote does not have, and where it is kept now.
    pub put_aside: Vec<PutAside>,
    /// A change that had been cut off was finished first.
    pub repaired: bool,
}

/// Where the repository stands after a sync.
#[derive(Debug)]
pub enum Outcome {
    /// It is new.
    Cloned {
        /// The commit that it stands at.
        commit: Commit,
    },
    /// The remote has nothing new. Local edits stay where they are.
    UpToDate {
        /// The commit that it stands at.
        commit: Commit,
    },
    /// It went on to a newer commit.
    FastForwarded {
        /// The commit before.
        from: Commit,
        /// The commit that it stands at.
        to: Commit,
        /// How many commits of the remote came.
        commits: usize,
        /// The files that differ between the two.
        changed: Vec<Change>,
    },
    /// The last good commit stays.
    Kept {
        /// The commit that it stands at.
        commit: Commit,
        /// What hindered it.
        why: Why,
    },
}

impl Outcome {
    /// The commit that the repository stands at.
    pub fn commit(&self) -> &Commit {
        match self {
            Outcome::Cloned { commit } | Outcome::UpToDate { commit } | Outcome::Kept { commit, .. } => commit,
            Outcome::FastForwarded { to, .. } => to,
        }
    }
}

/// Why the last good commit stays.
#[derive(Debug)]
pub enum Why {
    /// The remote's history was rewritten: what was taken before is not in it. An admin may call
    /// [`accept_rewritten`](crate::accept_rewritten()) with this commit.
    Rewritten {
        /// What the remote has now.
        offered: Commit,
    },
    /// Somebody went back from this commit, and the remote has nothing newer.
    WentBack {
        /// The commit that was left.
        refused: Commit,
    },
    /// Something went wrong.
    Failed(Fault),
}

/// One file that a step forward changes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Change {
    /// Its path below the repository's folder.
    pub path: String,
    /// What happened to it.
    pub kind: Kind,
}

/// What happened to a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub enum Kind {
    /// It is new.
    Added,
    /// Its contents, its mode or its type changed.
    Changed,
    /// It is gone.
    Removed,
}

/// Local work that was found, and where it is now.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PutAside {
    /// The branch of the repository that holds it, named `easel/kept-<UTC time>`.
    pub branch: String,
    /// The files that had been edited, without being committed.
    pub files: Vec<String>,
    /// How many commits it holds that the remote does not have, the one of the edits included.
    pub commits: usize,
}

/// How far a sync is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Progress {
    /// What is being done.
    pub phase: Phase,
    /// Objects or files done.
    pub done: usize,
    /// Objects or files in all; 0 while that is not known.
    pub total: usize,
    /// Bytes received.
    pub bytes: u64,
}

/// What a sync is doing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Phase {
    /// Looking at the folder.
    #[default]
    Starting,
    /// Waiting for the remote.
    Connecting,
    /// Objects arrive.
    Receiving,
    /// Files are written beside the old ones.
    Preparing,
    /// Files take their places. This part is short and is not cancelled.
    Switching,
}

impl From<BadAddress> for Fault {
    fn from(bad: BadAddress) -> Fault {
        Fault::Address(bad)
    }
}
