//! Two panels on one network volume, where flock cannot be trusted. Knows exit codes and words.

use super::with_users;
use crate::program::{Program, easel};
use std::time::{Duration, Instant};

/// A dead process's lease on this machine is taken at once; anybody else's only after 30 s.
const AT_ONCE: Duration = Duration::from_secs(15);

#[test]
fn a_second_panel_is_refused_until_the_first_is_dead() {
    let Some(volume) = with_users() else { return };
    let mut first = Program::start_in(volume.path(), &[]);
    let begin = Instant::now();
    let mut second = easel();
    second.arg("serve").args(["--port", "0", "--data"]).arg(first.data()).arg("--users").arg(volume.path().join("users.toml"));
    let second = second.env("HOME", volume.path()).output().unwrap();
    let told = String::from_utf8_lossy(&second.stderr);
    println!("refused after {:.1?}: {}", begin.elapsed(), told.trim());
    assert_eq!(second.status.code(), Some(4), "{told}");
    let host = rustix::system::uname();
    let holder = format!("process {} on {}", first.pid(), host.nodename().to_string_lossy());
    assert!(told.contains(&holder), "{holder} is not named: {told}");
    assert!(first.is_running());

    first.kill();
    let third = Program::start_in(volume.path(), &[]);
    println!("taken from the dead one within {:.1?}", third.started_in);
    assert!(third.started_in < AT_ONCE, "{:?}", third.started_in);
}
