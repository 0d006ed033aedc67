//! What is stored of a session. Knows no process.

use super::Begin;
use crate::users::ProfileId;
use serde::Serialize;
use std::fmt;
use supervise::Exit;

/// The id of a session: a ULID, so that ids sort by their beginning.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
pub struct SessionId(String);

impl SessionId {
    /// A new one.
    pub fn generate() -> SessionId {
        SessionId(ulid::Ulid::generate().to_string())
    }

    /// An id in a path. None for what cannot be one.
    pub fn parse(text: &str) -> Option<SessionId> {
        ulid::Ulid::from_string(text).ok().filter(|id| id.to_string() == text).map(|_| SessionId(text.into()))
    }

    /// Its letters.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// What is done in a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Action {
    /// A tool comes.
    Install,
    /// It becomes newer.
    Update,
    /// The version before the last update comes back.
    GoBack,
    /// It is made anew, models and outputs kept.
    Reinstall,
    /// It runs.
    Start,
    /// An admin types.
    Shell,
    /// Repositories come in step.
    Sync,
}

impl Action {
    const ALL: [Action; 7] =
        [Action::Install, Action::Update, Action::GoBack, Action::Reinstall, Action::Start, Action::Shell, Action::Sync];

    /// The name in paths and in the store.
    pub fn name(self) -> &'static str {
        match self {
            Action::Install => "install",
            Action::Update => "update",
            Action::GoBack => "go-back",
            Action::Reinstall => "reinstall",
            Action::Start => "start",
            Action::Shell => "shell",
            Action::Sync => "sync",
        }
    }

    /// The action of a name.
    pub fn parse(name: &str) -> Option<Action> {
        Action::ALL.into_iter().find(|action| action.name() == name)
    }
}

/// How a session ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// With this exit code.
    Code(i32),
    /// By this signal.
    Signal(i32),
    /// Nobody knows: the panel died first, or it was killed and did not end.
    Lost,
}

impl Outcome {
    /// What the store has.
    pub fn parse(text: &str) -> Option<Outcome> {
        match text.split_once(' ') {
            Some(("code", n)) => n.parse().ok().map(Outcome::Code),
            Some(("signal", n)) => n.parse().ok().map(Outcome::Signal),
            _ => (text == "lost").then_some(Outcome::Lost),
        }
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Outcome::Code(code) => write!(f, "code {code}"),
            Outcome::Signal(signal) => write!(f, "signal {signal}"),
            Outcome::Lost => f.write_str("lost"),
        }
    }
}

impl From<Exit> for Outcome {
    fn from(exit: Exit) -> Outcome {
        match exit {
            Exit::Code(code) => Outcome::Code(code),
            Exit::Signal(signal) => Outcome::Signal(signal),
            Exit::Stuck(_) | Exit::Unknown => Outcome::Lost,
        }
    }
}

/// One session, as the store has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// Its id.
    pub id: SessionId,
    /// Of which tool; none: a free shell.
    pub tool: Option<String>,
    /// What was done.
    pub action: Action,
    /// Who began it.
    pub by: ProfileId,
    /// When, ms.
    pub started: i64,
    /// When it ended, ms; none: it runs.
    pub finished: Option<i64>,
    /// How it ended.
    pub outcome: Option<Outcome>,
    /// Bytes that it wrote; the transcript may have fewer.
    pub bytes: u64,
}

impl Record {
    /// One that begins now.
    pub(super) fn new(what: Begin, now: i64) -> Record {
        let Begin { id, tool, action, by } = what;
        Record { id, tool, action, by, started: now, finished: None, outcome: None, bytes: 0 }
    }

    /// What it is called: "ComfyUI: install", "Shell". `name` is its tool's, where that is known.
    pub fn title(&self, name: Option<&str>) -> String {
        match name.or(self.tool.as_deref()) {
            None if self.action == Action::Sync => "Sync".into(),
            None => "Shell".into(),
            Some(name) => format!("{name}: {}", self.action.name().replace('-', " ")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_stored_is_read_back() {
        for outcome in [Outcome::Code(0), Outcome::Code(-1), Outcome::Signal(9), Outcome::Lost] {
            assert_eq!(Outcome::parse(&outcome.to_string()), Some(outcome));
        }
        assert_eq!(Outcome::parse("code x"), None);
        for action in Action::ALL {
            assert_eq!(Action::parse(action.name()), Some(action));
        }
        for bad in ["", "..", "01J0000000000000000000000/", "../../../../../etc/passwd11", "01arz3ndektsv4rrffq69g5fav"] {
            assert_eq!(SessionId::parse(bad), None, "{bad}");
        }
        assert!(SessionId::parse("01ARZ3NDEKTSV4RRFFQ69G5FAV").is_some());
    }
}
