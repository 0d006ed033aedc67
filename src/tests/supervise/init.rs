//! `easel init`: every exit code, signals passed on, orphans reaped.

use std::{
    fs,
    process::{Child, Command, Stdio},
    time::Duration,
};

fn init(script: &str) -> Child {
    let mut command = Command::new(env!("CARGO_BIN_EXE_easel"));
    command.args(["init", "--", "/bin/sh", "-c", script]).stdout(Stdio::piped()).spawn().unwrap()
}

#[test]
fn every_exit_is_passed_on() {
    // Side by side, since each takes the start of a program.
    for codes in (0..256).collect::<Vec<i32>>().chunks(16) {
        let children: Vec<Child> = codes.iter().map(|code| init(&format!("exit {code}"))).collect();
        for (code, mut child) in codes.iter().zip(children) {
            assert_eq!(child.wait().unwrap().code(), Some(*code));
        }
    }
    for (name, number) in [("TERM", 15), ("USR1", 10), ("USR2", 12)] {
        assert_eq!(init(&format!("kill -{name} $$")).wait().unwrap().code(), Some(128 + number), "{name}");
    }
}

#[test]
fn a_signal_reaches_the_program() {
    use std::io::{BufRead as _, BufReader};
    for (name, code) in [("TERM", 41), ("HUP", 42), ("USR1", 43)] {
        let mut child = init(&format!("trap 'exit {code}' {name}; echo ready; while :; do sleep 0.05; done"));
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let sent = Command::new("kill").arg(format!("-{name}")).arg(child.id().to_string()).status().unwrap();
        assert!(sent.success());
        assert_eq!(child.wait().unwrap().code(), Some(code), "{name}");
    }
}

#[test]
fn a_thousand_orphans_are_reaped() {
    // It sleeps for more than a second after the last orphan; by then none is left to be reaped.
    let script = "i=0; while [ $i -lt 1000 ]; do (sleep 0 &); i=$((i+1)); done; echo made; sleep 1.5; exit 33";
    let mut child = init(script);
    let mut line = String::new();
    std::io::BufRead::read_line(&mut std::io::BufReader::new(child.stdout.take().unwrap()), &mut line).unwrap();
    assert_eq!(line, "made\n");
    std::thread::sleep(Duration::from_secs(1));
    let pid = child.id();
    let children = fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).unwrap();
    let dead = |pid: &&str| fs::read_to_string(format!("/proc/{pid}/stat")).is_ok_and(|s| s.contains(") Z "));
    assert_eq!(children.split_whitespace().filter(dead).count(), 0, "waiting to be reaped");
    assert_eq!(child.wait().unwrap().code(), Some(33), "the program's own status is right");
}
