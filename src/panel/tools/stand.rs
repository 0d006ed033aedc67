//! Where a tool stands, what each person may do about it, and how that is said. Pure: knows no process.

use super::{Admits, Installation, ToolFolder};
use crate::{
    sessions::{Action, SessionId},
    users::ProfileId,
};
use serde::Serialize;

/// Where a tool stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ToolState {
    /// It is not installed.
    Absent,
    /// It works within another tool, which is not installed whole.
    Needs {
        /// Name of that one.
        other: String,
    },
    /// A change was interrupted: running it again goes on with it.
    Interrupted {
        /// `install`, `update` or `reinstall`.
        change: String,
    },
    /// A change failed and could not go back: running it again goes on with it.
    Unfinished {
        /// `install`, `update` or `reinstall`.
        change: String,
        /// What happened, in a sentence.
        why: String,
        /// Where it can be read up.
        session: SessionId,
    },
    /// A script is changing it.
    Changing {
        /// What it does.
        action: Action,
        /// Its terminal.
        session: SessionId,
        /// Who began it.
        by: ProfileId,
        /// Since when, ms.
        since: i64,
    },
    /// It could run.
    Stopped {
        /// As its makers number it.
        version: String,
    },
    /// It was started and is not well yet.
    Starting {
        /// Who started it.
        by: ProfileId,
        /// Since when, ms.
        since: i64,
        /// Its terminal, once there is one.
        session: Option<SessionId>,
    },
    /// It is well.
    Running {
        /// Who started it.
        by: ProfileId,
        /// Since when, ms.
        since: i64,
        /// Its terminal.
        session: Option<SessionId>,
        /// Its port on loopback.
        port: u16,
    },
    /// It was not started: there is no room for it on the graphics card.
    NoRoom {
        /// Who holds what, in a sentence.
        why: String,
    },
    /// It was asked to end.
    Stopping {
        /// Who had started it.
        by: ProfileId,
    },
    /// It does not do what it should.
    Broken {
        /// What happened, in a sentence.
        why: String,
        /// What to do about it.
        remedy: String,
        /// Where it can be read up.
        session: Option<SessionId>,
        /// It is installed whole, so that starting it again may help.
        installed: bool,
    },
}

impl ToolState {
    /// What the disk says, when nothing is done with the tool.
    pub fn of(installation: Installation) -> ToolState {
        match installation {
            Installation::Absent => ToolState::Absent,
            Installation::Changing { change } => ToolState::Interrupted { change },
            Installation::Unreadable { why, remedy } => ToolState::Broken { why, remedy, session: None, installed: false },
            Installation::Installed { version, .. } => ToolState::Stopped { version },
        }
    }

    /// The name in the API.
    pub fn name(&self) -> &'static str {
        match self {
            ToolState::Absent | ToolState::Needs { .. } => "absent",
            ToolState::Interrupted { .. } => "interrupted",
            ToolState::Changing { .. } => "installing",
            ToolState::Stopped { .. } => "stopped",
            ToolState::Starting { .. } => "starting",
            ToolState::Running { .. } => "running",
            ToolState::NoRoom { .. } => "no-room",
            ToolState::Stopping { .. } => "stopping",
            ToolState::Broken { .. } | ToolState::Unfinished { .. } => "broken",
        }
    }

    /// Who started it, while it is up.
    pub fn by(&self) -> Option<&ProfileId> {
        match self {
            ToolState::Starting { by, .. } | ToolState::Running { by, .. } | ToolState::Stopping { by } => Some(by),
            ToolState::Changing { by, .. } => Some(by),
            _ => None,
        }
    }

    /// Since when it has stood so, ms.
    pub fn since(&self) -> Option<i64> {
        match self {
            ToolState::Changing { since, .. } | ToolState::Starting { since, .. } | ToolState::Running { since, .. } => {
                Some(*since)
            }
            _ => None,
        }
    }

    /// The terminal that tells of it.
    pub fn session(&self) -> Option<&SessionId> {
        match self {
            ToolState::Changing { session, .. } | ToolState::Unfinished { session, .. } => Some(session),
            ToolState::Starting { session, .. } | ToolState::Running { session, .. } | ToolState::Broken { session, .. } => {
                session.as_ref()
            }
            _ => None,
        }
    }

    /// A process of it is there, or wanted.
    pub fn is_up(&self) -> bool {
        matches!(self, ToolState::Starting { .. } | ToolState::Running { .. } | ToolState::Stopping { .. })
    }

    /// The change that was begun and is to be gone on with.
    fn half_done(&self) -> Option<&str> {
        match self {
            ToolState::Interrupted { change } | ToolState::Unfinished { change, .. } => Some(change),
            _ => None,
        }
    }

    /// A script changes it.
    pub fn is_changing(&self) -> bool {
        matches!(self, ToolState::Changing { .. })
    }
}

/// Who asks.
#[derive(Clone, Copy, Debug)]
pub struct Viewer<'a> {
    /// Whose browser or token.
    pub profile: &'a ProfileId,
    /// Admin mode is on.
    pub admin: bool,
}

/// What somebody may do with a tool now.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct May {
    /// Open it in the browser.
    pub open: bool,
    /// Start it.
    pub start: bool,
    /// Stop it.
    pub stop: bool,
    /// Install it, or go on with an interrupted change.
    pub install: bool,
    /// Bring it up to date.
    pub update: bool,
    /// Go back to the version before the last update.
    pub go_back: bool,
    /// Make it anew.
    pub reinstall: bool,
    /// Look at its terminal.
    pub watch: bool,
    /// Let scripts run that the repository has changed.
    pub accept: bool,
}

/// What `viewer` may do with a tool that stands so.
pub fn may(tool: &ToolFolder, state: &ToolState, viewer: Viewer<'_>) -> May {
    let admits = tool.spec.admits;
    let own = state.by() == Some(viewer.profile);
    let invited = viewer.admin || admits != Admits::Admins;
    let has = |action| tool.actions.contains(&action);
    let rests = matches!(state, ToolState::Stopped { .. } | ToolState::NoRoom { .. } | ToolState::Broken { installed: true, .. });
    // There is always more to choose.
    let adds = tool.choices.is_some() && !tool.runs();
    // Only the change that was begun knows how to go on, or back. One of which nothing is known is an installation; in place of
    // an update, everything can be made anew.
    let half = state.half_done();
    let (updates, reinstalls) = (half == Some("update"), matches!(half, Some("update" | "reinstall")));
    let lacks = matches!(state, ToolState::Absent | ToolState::Broken { .. }) || (half.is_some() && !reinstalls) || adds;
    let still = !state.is_up() && !state.is_changing();
    let idle = viewer.admin && still;
    May {
        open: matches!(state, ToolState::Running { .. }) && invited && (admits != Admits::Starter || own),
        start: rests && tool.runs() && invited,
        stop: state.is_up() && !matches!(state, ToolState::Stopping { .. }) && (own || viewer.admin),
        install: idle && has(super::Action::Install) && lacks && !matches!(state, ToolState::Needs { .. }),
        update: idle && has(super::Action::Update) && (rests || updates),
        // Whether there is an earlier version, and whether its scripts were seen, is not for the state to say.
        go_back: false,
        accept: false,
        reinstall: idle && has(super::Action::Reinstall) && (rests || reinstalls),
        watch: viewer.admin && state.session().is_some(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tools::{Choices, Picks, ToolId, ToolSpec};
    use std::collections::BTreeSet;

    fn tool(admits: &str) -> ToolFolder {
        let text = format!(
            "name = \"T\"\nabout = \"a\"\npublic_port = 9000\ninstall = \"t\"\nadmits = \"{admits}\"\n\
             health = {{ path = \"/\", expect = [200], start_timeout_s = 5 }}\n"
        );
        let actions = BTreeSet::from(crate::tools::Action::ALL);
        let spec = ToolSpec::parse(ToolId::parse("t").unwrap(), &text).unwrap();
        ToolFolder { spec, path: "/s/t".into(), actions, choices: None, version: None }
    }

    fn id(text: &str) -> ProfileId {
        text.parse().unwrap()
    }

    #[test]
    fn who_started_a_tool_opens_and_stops_it_and_an_admin_stops_all() {
        let (zoe, ada) = (id("zoe"), id("ada"));
        let running = ToolState::Running { by: zoe.clone(), since: 0, session: None, port: 1 };
        let may_of = |admits: &str, profile: &ProfileId, admin| may(&tool(admits), &running, Viewer { profile, admin });
        assert!(may_of("starter", &zoe, false).open && may_of("starter", &zoe, false).stop);
        assert!(!may_of("starter", &ada, false).open && !may_of("starter", &ada, false).stop);
        assert!(may_of("starter", &ada, true).stop && !may_of("starter", &ada, true).open, "not even an admin sees another's");
        assert!(may_of("everyone", &ada, false).open && !may_of("everyone", &ada, false).stop);
        assert!(!may_of("admins", &zoe, false).open && may_of("admins", &ada, true).open);
    }

    #[test]
    fn an_artist_changes_nothing_and_nobody_changes_what_is_up() {
        let zoe = id("zoe");
        let states = [
            ToolState::Absent,
            ToolState::Interrupted { change: "install".into() },
            ToolState::Stopped { version: "1".into() },
            ToolState::Starting { by: zoe.clone(), since: 0, session: None },
            ToolState::Running { by: zoe.clone(), since: 0, session: None, port: 1 },
            ToolState::Stopping { by: zoe.clone() },
            ToolState::Broken { why: "x".into(), remedy: String::new(), session: None, installed: true },
        ];
        for state in &states {
            let artist = may(&tool("everyone"), state, Viewer { profile: &zoe, admin: false });
            assert!(!artist.install && !artist.update && !artist.reinstall && !artist.watch, "{state:?}");
            let admin = may(&tool("everyone"), state, Viewer { profile: &zoe, admin: true });
            assert!(!state.is_up() || !(admin.install || admin.update || admin.reinstall), "{state:?}");
            assert!(!(admin.start && admin.stop), "{state:?}");
        }
        let admin = |state| may(&tool("everyone"), state, Viewer { profile: &zoe, admin: true });
        assert!(admin(&states[0]).install && !admin(&states[0]).start);
        assert!(admin(&states[1]).install && !admin(&states[1]).update && !admin(&states[1]).reinstall);
        let half = ToolState::Broken { why: "x".into(), remedy: String::new(), session: None, installed: false };
        assert!(admin(&half).install && !admin(&half).start, "what is not there whole is not started");
        assert!(admin(&states[2]).start && admin(&states[2]).update && !admin(&states[2]).install);
        let full = admin(&ToolState::NoRoom { why: "x".into() });
        assert!(full.start && full.update && !full.install, "it is as good as stopped");
    }

    #[test]
    fn a_change_that_was_begun_is_what_is_gone_on_with() {
        let zoe = id("zoe");
        let offers = |state: &ToolState| {
            let May { start, install, update, reinstall, .. } =
                may(&tool("everyone"), state, Viewer { profile: &zoe, admin: true });
            (start, install, update, reinstall)
        };
        for (change, offered) in [
            ("install", (false, true, false, false)),
            ("update", (false, false, true, true)),
            ("reinstall", (false, false, false, true)),
            ("something", (false, true, false, false)),
        ] {
            let (change, why) = (change.to_owned(), "x".to_owned());
            let interrupted = ToolState::Interrupted { change: change.clone() };
            assert_eq!(offers(&interrupted), offered, "{interrupted:?}");
            let unfinished = ToolState::Unfinished { change, why, session: SessionId::generate() };
            assert_eq!((offers(&unfinished), unfinished.name()), (offered, "broken"), "{unfinished:?}");
        }
    }

    #[test]
    fn what_only_installs_always_offers_more_unless_it_needs_another() {
        let zoe = id("zoe");
        let mut nodes = tool("admins");
        nodes.actions = BTreeSet::from([crate::tools::Action::Install, crate::tools::Action::Update]);
        let picks = Picks { file: "t/nodes.txt".into(), below: Some("app".into()) };
        nodes.choices = Some(Choices::parse(&picks, "https://example.org/a/b\n").unwrap());
        let admin = |state: ToolState| may(&nodes, &state, Viewer { profile: &zoe, admin: true });
        assert!(admin(ToolState::Stopped { version: "1".into() }).install);
        assert_eq!(admin(ToolState::Needs { other: "ComfyUI".into() }), May::default());
    }
}
