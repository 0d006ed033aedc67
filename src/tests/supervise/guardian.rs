//! A stop reaches grandchildren and those who left group and session; exits are told; a service begins clean.

use super::{guarded, living, spawn, spawner, until};
use crate::program::is_long;
use std::{net::TcpListener, time::Duration};
use supervise::{Exit, Policy, Service, ServiceState, Signal};
use tokio::io::AsyncReadExt as _;

/// Runs of the stop.
const RUNS: (usize, usize) = (10, 200);
const GRACE: Duration = Duration::from_secs(1);
/// After the grace, everything is gone within so long.
const GONE: Duration = Duration::from_secs(2);

/// Ignores TERM, has a grandchild, a descendant that made a session of its own, and one that was forked twice away.
const STUBBORN: &str = r#"
trap '' TERM HUP
bash -c 'trap "" TERM; sleep 1000 & wait' &
setsid bash -c 'trap "" TERM HUP; exec sleep 1000' &
(setsid bash -c 'trap "" TERM HUP; exec python3 -c "
import socket, time
s = socket.socket(); s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
s.bind((\"127.0.0.1\", '$PORT')); s.listen(); print(\"listening\", flush=True); time.sleep(1000)"' &)
wait
sleep 1000
"#;

#[tokio::test(flavor = "multi_thread")]
async fn a_stop_leaves_nothing_behind() {
    let runs = if is_long() { RUNS.1 } else { RUNS.0 };
    let policy = Policy { grace: GRACE, ..Policy::default() };
    for run in 0..runs {
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let mark = format!("EASEL_TEST_MARK=stop-{}-{run}", std::process::id());
        let (name, value) = mark.split_once('=').unwrap();
        let launch = guarded(STUBBORN, None).env("PORT", port.to_string()).env(name, value);
        let (service, mut happened) = Service::new("stubborn", launch, policy, spawner());
        service.start();
        assert!(happened.recv().await.is_some());
        let listens = || std::net::TcpStream::connect(("127.0.0.1", port)).is_ok();
        until("the service listens", Duration::from_secs(20), listens).await;
        let begun = std::time::Instant::now();
        service.stop().await;
        let took = begun.elapsed();
        assert_eq!(service.state(), ServiceState::Stopped);
        assert_eq!(living(&mark), Vec::<String>::new(), "run {run}");
        assert!(TcpListener::bind(("127.0.0.1", port)).is_ok(), "the port is free");
        assert!(took < GRACE + GONE, "run {run}: {took:?}");
    }
    println!("{runs} stops of a service that ignores TERM: nothing survived");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_service_leaves_behind_when_it_ends_ends_too() {
    let mark = format!("EASEL_TEST_MARK=left-{}", std::process::id());
    let (name, value) = mark.split_once('=').unwrap();
    let launch = guarded("setsid sleep 1000 & (sleep 1000 &) ; exit 7", None).env(name, value);
    let child = spawn(&launch).await;
    assert_eq!(child.exit.await.unwrap(), Exit::Code(7));
    assert_eq!(living(&mark), Vec::<String>::new());
}

/// In a session of its own, with a name that is not UTF-8, and with a child.
const UNREADABLE: &str = r#"
setsid python3 -c '
import ctypes, os, signal, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
ctypes.CDLL(None).prctl(15, b"\xff\xfe")
if os.fork() == 0: print("named", flush=True)
time.sleep(1000)' &
wait
"#;

#[tokio::test(flavor = "multi_thread")]
async fn a_process_whose_name_is_no_text_ends_like_any_other() {
    let mark = format!("EASEL_TEST_MARK=unreadable-{}", std::process::id());
    let (name, value) = mark.split_once('=').unwrap();
    let mut child = spawn(&guarded(UNREADABLE, None).env(name, value)).await;
    let mut word = [0; 5];
    child.output[0].read_exact(&mut word).await.unwrap();
    assert_eq!(&word, b"named");
    child.signals.send(Signal::Kill).unwrap();
    let exit = tokio::time::timeout(Duration::from_secs(10), child.exit).await.expect("it is never told").unwrap();
    assert_eq!(exit, Exit::Signal(9));
    assert_eq!(living(&mark), Vec::<String>::new());
}

#[tokio::test(flavor = "multi_thread")]
async fn when_the_panel_hangs_up_everything_ends() {
    let mark = format!("EASEL_TEST_MARK=gone-{}", std::process::id());
    let (name, value) = mark.split_once('=').unwrap();
    let child = spawn(&guarded("setsid sleep 1000 & trap '' TERM HUP; sleep 1000; sleep 1000", None).env(name, value)).await;
    until("three processes and the guardian", Duration::from_secs(10), || living(&mark).len() >= 4).await;
    drop(child);
    until("nothing is left", Duration::from_secs(2), || living(&mark).is_empty()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn exits_are_told_as_they_were() {
    for (script, exit) in [("exit 0", Exit::Code(0)), ("exit 255", Exit::Code(255)), ("kill -USR2 $$", Exit::Signal(12))] {
        assert_eq!(spawn(&guarded(script, None)).await.exit.await.unwrap(), exit);
    }
    let child = spawn(&guarded("sleep 1000", None)).await;
    child.signals.send(Signal::Terminate).unwrap();
    assert_eq!(child.exit.await.unwrap(), Exit::Signal(15));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_service_begins_clean() {
    let script = "grep -E '^Sig(Blk|Ign)' /proc/self/status; ls /proc/self/fd | tr '\\n' ' '; ps -o pid=,pgid=,sid= -p $$";
    let mut child = spawn(&guarded(script, None)).await;
    let mut text = String::new();
    child.output[0].read_to_string(&mut text).await.unwrap();
    let lines: Vec<&str> = text.lines().collect();
    // The C library ignores its own two signals, 32 and 33, in what posix_spawn starts.
    const OF_THE_C_LIBRARY: u64 = 0b11 << 31;
    for line in &lines[..2] {
        let set = u64::from_str_radix(line.split_whitespace().last().unwrap(), 16).unwrap();
        assert_eq!(set & !OF_THE_C_LIBRARY, 0, "{text}");
    }
    // 3 is the folder that `ls` itself reads.
    let (fds, ids) = lines[2].split_at(8);
    assert_eq!(fds.split_whitespace().collect::<Vec<_>>(), ["0", "1", "2", "3"], "{text}");
    let ids: Vec<&str> = ids.split_whitespace().collect();
    assert!(ids.windows(2).all(|w| w[0] == w[1]), "a session of its own: {text}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_program_that_is_not_there_says_so() {
    let mut launch = guarded("", None);
    launch.program = "/no/such/program".into();
    let mut child = spawn(&launch).await;
    let mut text = String::new();
    child.output[1].read_to_string(&mut text).await.unwrap();
    assert!(text.contains("/no/such/program"), "{text}");
    assert_eq!(child.exit.await.unwrap(), Exit::Code(1));
}
