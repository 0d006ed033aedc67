//! How a container stands, in types. Pure reading of an engine's answer.

use crate::{Port, body};
use bollard::models::{ContainerInspectResponse, ContainerState, HealthStatusEnum};
use std::{collections::BTreeMap, fmt};
use supervise::Exit;

/// What a container's own HEALTHCHECK says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wellness {
    /// The image has none.
    NotTold,
    /// It has not answered yet.
    Starting,
    /// It is well.
    Well,
    /// It failed as often as the image allows.
    Unwell,
}

/// How a container stands.
#[derive(Clone, PartialEq, Eq)]
pub struct Standing {
    /// Its first process, as this machine numbers it; 0 where it does not run. Where Easel itself runs in a container,
    /// the number is another machine's, so to speak, and of no use.
    pub pid: u32,
    /// Whether it runs.
    pub running: bool,
    /// How it ended; none while it runs or where it never did.
    pub exit: Option<Exit>,
    /// The system took its life because memory ran out.
    pub out_of_memory: bool,
    /// What its own check says.
    pub wellness: Wellness,
    /// When it started, as the engine writes it (RFC 3339); empty: never.
    pub started: String,
    /// Its ports on loopback.
    pub ports: Vec<Port>,
    /// Its variables, the image's included.
    pub env: BTreeMap<String, String>,
}

impl fmt::Debug for Standing {
    /// Without its variables, some of which are secrets.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Standing { pid, running, exit, out_of_memory, wellness, started, ports, env: _ } = self;
        f.debug_struct("Standing")
            .field("pid", pid)
            .field("running", running)
            .field("exit", exit)
            .field("out_of_memory", out_of_memory)
            .field("wellness", wellness)
            .field("started", started)
            .field("ports", ports)
            .finish_non_exhaustive()
    }
}

impl Standing {
    pub(crate) fn of(told: &ContainerInspectResponse) -> Standing {
        let none = ContainerState::default();
        let state = told.state.as_ref().unwrap_or(&none);
        let running = state.running == Some(true);
        let started = state.started_at.clone().filter(|text| !text.starts_with("0001-"));
        let ended = !running && started.is_some();
        let config = told.config.as_ref();
        let env = config.and_then(|config| config.env.as_ref()).into_iter().flatten();
        let bindings = told.host_config.as_ref().and_then(|host| host.port_bindings.as_ref());
        Standing {
            pid: state.pid.and_then(|pid| u32::try_from(pid).ok()).unwrap_or_default(),
            running,
            exit: state.exit_code.filter(|_| ended).map(exit_of),
            out_of_memory: state.oom_killed == Some(true),
            wellness: wellness(state),
            started: started.unwrap_or_default(),
            ports: bindings.map(body::ports).unwrap_or_default(),
            env: env.filter_map(|line| line.split_once('=')).map(|(name, value)| (name.to_owned(), value.to_owned())).collect(),
        }
    }
}

fn wellness(state: &ContainerState) -> Wellness {
    match state.health.as_ref().and_then(|health| health.status) {
        None | Some(HealthStatusEnum::EMPTY | HealthStatusEnum::NONE) => Wellness::NotTold,
        Some(HealthStatusEnum::STARTING) => Wellness::Starting,
        Some(HealthStatusEnum::HEALTHY) => Wellness::Well,
        Some(HealthStatusEnum::UNHEALTHY) => Wellness::Unwell,
    }
}

/// An exit code as a shell tells it: 128 and a signal's number for what a signal ended.
pub(crate) fn exit_of(code: i64) -> Exit {
    match i32::try_from(code) {
        Ok(code @ 129..=192) => Exit::Signal(code - 128),
        Ok(code) => Exit::Code(code),
        Err(_) => Exit::Unknown,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use bollard::models::ContainerConfig;

    #[test]
    fn exits_are_read_as_a_shell_tells_them() {
        assert_eq!((exit_of(0), exit_of(3), exit_of(137)), (Exit::Code(0), Exit::Code(3), Exit::Signal(9)));
        assert_eq!((exit_of(i64::MAX), exit_of(128), exit_of(255)), (Exit::Unknown, Exit::Code(128), Exit::Code(255)));
    }

    #[test]
    fn one_that_was_only_made_has_not_ended() {
        let state = ContainerState {
            running: Some(false),
            exit_code: Some(0),
            started_at: Some("0001-01-01T00:00:00Z".into()),
            ..ContainerState::default()
        };
        let told = ContainerInspectResponse { state: Some(state), ..ContainerInspectResponse::default() };
        let standing = Standing::of(&told);
        assert_eq!((standing.exit, standing.running, standing.wellness), (None, false, Wellness::NotTold));
    }

    #[test]
    fn what_its_variables_hold_is_not_printed() {
        let config = ContainerConfig { env: Some(vec!["EASEL_TOKEN=canary".into()]), ..ContainerConfig::default() };
        let told = ContainerInspectResponse { config: Some(config), ..ContainerInspectResponse::default() };
        let standing = Standing::of(&told);
        assert_eq!(standing.env["EASEL_TOKEN"], "canary");
        assert!(!format!("{standing:?}").contains("canary"));
    }
}
