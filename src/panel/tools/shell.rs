//! The shells of an admin: a free one, and one inside a tool's container. Knows what they are started as, not who may.

use super::contract::passes;
use crate::{
    config::{Config, Variables},
    error::AppError,
};
use std::ffi::OsString;
use supervise::{Guarded, Launch, Size};

/// What every program in a terminal is told of it.
pub const TERM: [(&str, &str); 2] = [("TERM", "xterm-256color"), ("COLORTERM", "truecolor")];
/// Whose shell it is: the panel's own user's, while scripts of tools have homes of their own.
const USER: [&str; 3] = ["HOME", "USER", "LOGNAME"];

/// What finds the best shell of an image: few have more than one.
const BEST: &str = "command -v bash >/dev/null && exec bash -l; exec sh -l";

/// `shell` in easel.toml lets admins open shells.
///
/// # Errors
/// When it does not.
pub fn allowed(config: &Config) -> Result<(), AppError> {
    let refused = || AppError::Forbidden("Shells are turned off in easel.toml (shell = false).".into());
    config.shell.then_some(()).ok_or_else(refused)
}

/// A login shell inside a container, as whoever runs it, in the image's own folder and with its own variables.
pub fn inside(config: &Config) -> Launch {
    Launch::new("/bin/sh").arg("-c").arg(BEST).only_env(terminal().collect()).guarded(guarded(config))
}

fn guarded(config: &Config) -> Guarded {
    Guarded { guardian: config.engine_program.clone(), user: None, terminal: Some(Size::default()) }
}

/// A login shell as the panel's own user, in the workspace. Of the panel's variables it sees what scripts see: the others
/// hold secrets.
pub fn launch(config: &Config) -> Launch {
    Launch::new("/bin/bash")
        .arg("-l")
        .only_env(environment(&config.surroundings.variables))
        .in_folder(&config.workspace)
        .guarded(guarded(config))
}

fn environment(variables: &Variables) -> Vec<(OsString, OsString)> {
    let seen = variables.all().filter(|(name, _)| passes(name) || USER.contains(name));
    terminal().chain(seen.map(|(name, value)| (name.into(), value.into()))).collect()
}

fn terminal() -> impl Iterator<Item = (OsString, OsString)> {
    TERM.into_iter().map(|(name, value)| (name.into(), value.into()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Surroundings;

    #[test]
    fn a_shell_knows_its_user_and_the_way_out_and_no_secret() {
        let all = [("PATH", "/bin"), ("HOME", "/root"), ("HTTPS_PROXY", "http://p"), ("HF_TOKEN", "canary"), ("EASEL_PORT", "1")];
        let all = all.map(|(name, value)| (name.to_owned(), value.to_owned())).into();
        let environment = environment(&Surroundings::from_environment(&all).variables);
        let mut names: Vec<_> = environment.iter().map(|(name, _)| name.to_str().unwrap()).collect();
        names.sort_unstable();
        assert_eq!(names, ["COLORTERM", "HOME", "HTTPS_PROXY", "PATH", "TERM"]);
    }
}
