//! Terminals of containers: keys, sizes, bytes as they are, programs inside.

use crate::studio::*;
use containers::{ContainerSpawner, ExecSpawner, Suffix};
use std::time::{Duration, Instant};
use supervise::{Exit, Launch, Signal, Size};

#[tokio::test]
async fn keys_go_in_sizes_change_and_the_last_bytes_are_seen() {
    let Some(engine) = studio().await else { return };
    let spec =
        shell(&engine, "stty size; read line; echo got $line; trap 'stty size' WINCH; echo ready; read x; read x; exit 3").await;
    let spawner = ContainerSpawner::new(engine.clone(), spec);
    let (session, exit) = begin(&spawner, &launch()).await;
    session.type_keys(b"hello\r".to_vec()).unwrap();
    shows(&session, "got hello").await;
    shows(&session, "ready").await;
    session.resize(Size { cols: 77, rows: 22 });
    session.type_keys(b"\r".to_vec()).unwrap();
    shows(&session, "22 77").await;
    session.type_keys(b"\r".to_vec()).unwrap();
    session.type_keys(b"\r".to_vec()).unwrap();
    assert_eq!(end(exit).await, Exit::Code(3));
}

#[tokio::test]
async fn bytes_come_as_they_are_whatever_they_begin_with() {
    let Some(engine) = studio().await else { return };
    // As the header of a frame would look, with a length of 4 GB; the terminal itself makes \r\n of \n.
    let line =
        r"printf '\001\000\000\000\377\377\377\377 one\n'; sleep 0.3; printf '\000\002\000 two\n'; sleep 0.3; printf '\002\n'";
    let expected = b"\x01\0\0\0\xff\xff\xff\xff one\r\n\0\x02\0 two\r\n\x02\r\n";
    let (session, exit) = begin(&ContainerSpawner::new(engine.clone(), shell(&engine, line).await), &launch()).await;
    assert_eq!(end(exit).await, Exit::Code(0));
    assert_eq!(session.last(1 << 20), expected);

    let idle = ContainerSpawner::new(engine.clone(), shell(&engine, "read x").await);
    let (host, host_exit) = begin(&idle, &launch()).await;
    let container = engine.find("tool", Suffix::None).await.unwrap().unwrap();
    let inside = Launch { args: vec!["-c".into(), line.into()], ..launch() };
    let (session, exit) = begin(&ExecSpawner::new(engine.clone(), container), &inside).await;
    assert_eq!(end(exit).await, Exit::Code(0));
    assert_eq!(session.last(1 << 20), expected);
    host.signal(Signal::Kill);
    end(host_exit).await;
}

#[tokio::test]
async fn a_flood_comes_whole() {
    let Some(engine) = studio().await else { return };
    let spawner = ContainerSpawner::new(engine.clone(), shell(&engine, "seq 1 100000; echo end").await);
    let begun = Instant::now();
    let (session, exit) = begin(&spawner, &launch()).await;
    assert_eq!(end(exit).await, Exit::Code(0));
    let expected: u64 = (1..=100_000).map(|i: u32| i.to_string().len() as u64 + 2).sum::<u64>() + 5;
    assert_eq!(*session.end().borrow(), expected);
    assert!(shown(&session).ends_with("99999\r\n100000\r\nend\r\n"));
    println!("{expected} bytes in {:.2?}, with making and removing the container", begun.elapsed());
}

#[tokio::test]
async fn a_shell_inside_is_a_terminal_with_an_exit_code() {
    let Some(engine) = studio().await else { return };
    let idle = ContainerSpawner::new(engine.clone(), shell(&engine, "read x").await);
    let (host, host_exit) = begin(&idle, &launch()).await;
    let container = engine.find("tool", Suffix::None).await.unwrap().unwrap();
    let exec = ExecSpawner::new(engine.clone(), container);
    let mut inside = launch().env("WHO", "zoe").in_folder("/tmp");
    inside.guarded.as_mut().unwrap().user = Some((1000, 1000));
    let (session, exit) = begin(&exec, &inside).await;
    session.type_keys(b"echo $WHO in $PWD as $(id -u); stty size\r".to_vec()).unwrap();
    shows(&session, "zoe in /tmp as 1000").await;
    shows(&session, "30 100").await;
    session.resize(Size { cols: 90, rows: 20 });
    tokio::time::sleep(Duration::from_millis(300)).await;
    session.type_keys(b"stty size\r".to_vec()).unwrap();
    shows(&session, "20 90").await;
    session.type_keys(b"exit 5\r".to_vec()).unwrap();
    assert_eq!(end(exit).await, Exit::Code(5));

    for (signal, expected) in [(Signal::Terminate, 1), (Signal::Kill, 9)] {
        let (session, exit) = begin(&exec, &launch()).await;
        session.type_keys(b"echo o''n\r".to_vec()).unwrap();
        shows(&session, "on\r\n").await;
        assert!(session.pid() > 1);
        session.signal(signal);
        assert_eq!(end(exit).await, Exit::Signal(expected), "{signal:?}");
    }
    // A program that is not there is no session, but an end that says so.
    let (session, exit) = begin(&exec, &Launch { program: "/no/such".into(), ..launch() }).await;
    let code = end(exit).await;
    assert!(matches!(code, Exit::Code(126 | 127)), "{code:?} {}", shown(&session));

    // It ends with its container.
    let (session, exit) = begin(&exec, &launch()).await;
    session.type_keys(b"echo o''n\r".to_vec()).unwrap();
    shows(&session, "on\r\n").await;
    host.signal(Signal::Kill);
    end(host_exit).await;
    end(exit).await;
}
