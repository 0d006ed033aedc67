//! The free shell of an admin. Knows what it is started as, not who may.

use super::contract::passes;
use crate::config::{Config, Variables};
use std::ffi::OsString;
use supervise::{Guarded, Launch, Size};

/// What every program in a terminal is told of it.
pub const TERM: [(&str, &str); 2] = [("TERM", "xterm-256color"), ("COLORTERM", "truecolor")];
/// Whose shell it is: the panel's own user's, while scripts of tools have homes of their own.
const USER: [&str; 3] = ["HOME", "USER", "LOGNAME"];

/// A login shell as the panel's own user, in the workspace. Of the panel's variables it sees what scripts see: the others
/// hold secrets.
pub fn launch(config: &Config) -> Launch {
    Launch::new("/bin/bash")
        .arg("-l")
        .only_env(environment(&config.surroundings.variables))
        .in_folder(&config.workspace)
        .guarded(Guarded { guardian: config.engine_program.clone(), user: None, terminal: Some(Size::default()) })
}

fn environment(variables: &Variables) -> Vec<(OsString, OsString)> {
    let seen = variables.all().filter(|(name, _)| passes(name) || USER.contains(name));
    TERM.into_iter().chain(seen).map(|(name, value)| (name.into(), value.into())).collect()
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
