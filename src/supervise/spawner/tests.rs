//! Real processes.

use super::*;
use std::time::{Duration, Instant};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

fn sh(script: &str) -> Launch {
    Launch::new("/bin/sh").arg("-c").arg(script)
}

async fn output(spawned: &mut Spawned) -> String {
    let mut text = String::new();
    spawned.output[0].read_to_string(&mut text).await.unwrap();
    text.trim().to_owned()
}

#[tokio::test]
async fn a_child_has_its_stream_on_3_its_niceness_and_tells_its_exit() {
    let spawner = HostSpawner::new().unwrap();
    let launch = sh("read line <&3; echo \"got $line\" >&3; nice; exit 7").nice(5).with_stream();
    let mut child = spawner.spawn(&launch).await.unwrap();
    let mut stream = child.stream.take().unwrap();
    stream.write_all(b"hello\n").await.unwrap();
    let mut reply = String::new();
    stream.read_to_string(&mut reply).await.unwrap();
    assert_eq!(reply, "got hello\n");
    let base = rustix::process::getpriority_process(None).unwrap();
    assert_eq!(output(&mut child).await, (base + 5).min(19).to_string());
    assert_eq!(child.exit.await.unwrap(), Exit::Code(7));
}

#[tokio::test]
async fn children_outlive_the_thread_that_ordered_them() {
    let spawner = HostSpawner::new().unwrap();
    let runtime = Handle::current();
    let order = {
        let spawner = spawner.clone();
        move || runtime.block_on(async { spawner.spawn(&sh("sleep 30")).await.unwrap() })
    };
    let child = tokio::task::spawn_blocking(order).await.unwrap();
    let mut exit = child.exit;
    // The blocking thread may be gone any time; the child must not notice.
    assert!(tokio::time::timeout(Duration::from_millis(300), &mut exit).await.is_err());
    child.signals.send(Signal::Terminate).unwrap();
    assert_eq!(exit.await.unwrap(), Exit::Signal(15));
}

#[tokio::test]
async fn a_child_that_nobody_waits_for_is_killed() {
    let spawner = HostSpawner::new().unwrap();
    let mut child = spawner.spawn(&sh("echo $$; exec sleep 30")).await.unwrap();
    let mut line = [0; 16];
    let n = child.output[0].read(&mut line).await.unwrap();
    let pid = Pid::from_raw(std::str::from_utf8(&line[..n]).unwrap().trim().parse().unwrap()).unwrap();
    drop(child);
    let begun = Instant::now();
    while rustix::process::test_kill_process(pid).is_ok() {
        assert!(begun.elapsed() < Duration::from_secs(5), "the child still lives");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

#[tokio::test]
async fn a_missing_program_is_refused_by_name() {
    let spawner = HostSpawner::new().unwrap();
    let refused = spawner.spawn(&Launch::new("/no/such/program")).await.unwrap_err();
    assert!(refused.to_string().contains("/no/such/program"), "{refused}");
}

#[tokio::test]
async fn what_is_killed_and_does_not_end_is_told_and_nobody_waits_for_it() {
    // A guardian whose ward cannot be killed: it never says that nothing is left.
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("guardian"), "sleep 1000 & echo $!; wait").unwrap();
    let guarded = crate::Guarded { guardian: "/bin/sh".into(), user: None, terminal: None };
    let launch = Launch::new("/bin/true").in_folder(folder.path()).guarded(guarded);
    let mut child = HostSpawner::new().unwrap().spawn(&launch).await.unwrap();
    let mut line = [0; 16];
    let n = child.output[0].read(&mut line).await.unwrap();
    let ward: u32 = std::str::from_utf8(&line[..n]).unwrap().trim().parse().unwrap();
    child.signals.send(Signal::Kill).unwrap();
    let exit = tokio::time::timeout(Duration::from_secs(10), child.exit).await.unwrap().unwrap();
    assert_eq!(exit, Exit::Stuck(ward));
    assert!(exit.to_string().contains(&format!("process {ward} waits for the system")), "{exit}");
    assert!(Stat::of(child.pid).is_some_and(|guardian| !guardian.is_dead()), "its guardian stays with it");
    for pid in [ward, child.pid] {
        let pid = Pid::from_raw(pid.cast_signed()).unwrap();
        kill_process(pid, rustix::process::Signal::KILL).unwrap();
    }
}
