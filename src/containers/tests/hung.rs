//! Engines that do not do as asked, or count processes that are not this machine's. Needs no real one.

use crate::{
    fake::{
        Answer::{self, Says, Terminal},
        Fake,
    },
    studio::*,
};
use containers::{ContainerSpawner, ContainerSpec, ExecSpawner, ImageId, Suffix};
use std::{
    process::{Command, Stdio},
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};
use supervise::{Exit, Signal};

fn spec() -> ContainerSpec {
    ContainerSpec::new("tool", ImageId::parse(&format!("sha256:{}", "0".repeat(64))).unwrap())
}

/// A running container of the studio, whose first process has this number.
fn running(pid: u32) -> Answer {
    Says(
        200,
        format!(
            r#"{{"Id":"abc","State":{{"Running":true,"Pid":{pid}}},
                "Config":{{"Labels":{{"easel.studio":"one","easel.tool":"tool","easel.spec":""}}}}}}"#
        ),
    )
}

fn no_such() -> Answer {
    Says(404, r#"{"message":"No such container: x"}"#.into())
}

#[tokio::test(flavor = "multi_thread")]
async fn what_an_engine_does_not_kill_at_once_is_killed_again_until_it_has_ended() {
    let kills = Arc::new(AtomicU32::new(0));
    let counted = Arc::clone(&kills);
    let fake = Fake::serve(move |asked| match asked {
        "POST /containers/create" => Says(201, r#"{"Id":"abc","Warnings":[]}"#.into()),
        "POST /containers/abc/attach" => Terminal,
        "GET /containers/abc/json" => running(0),
        "POST /containers/abc/wait" => {
            while counted.load(Ordering::SeqCst) < 3 {
                std::thread::sleep(Duration::from_millis(20));
            }
            Says(200, r#"{"StatusCode":137}"#.into())
        }
        // The words of an engine whose container hangs in the kernel.
        "POST /containers/abc/kill" if counted.fetch_add(1, Ordering::SeqCst) < 2 => {
            Says(500, r#"{"message":"tried to kill container, but did not receive an exit event"}"#.into())
        }
        "GET /containers/easel-one-tool/json" => no_such(),
        _ => Says(204, String::new()),
    });
    let (session, exit) = begin(&ContainerSpawner::new(fake.engine().await, spec()), &launch()).await;
    session.signal(Signal::Kill);
    assert_eq!(end(exit).await, Exit::Signal(9));
    assert!(kills.load(Ordering::SeqCst) >= 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_number_of_another_machine_is_not_killed_here() {
    // Easel in a container, and an engine outside of it: what that counts is somebody else beside Easel.
    let mut stranger = Command::new("sleep").arg("600").stdin(Stdio::null()).spawn().unwrap();
    let pid = stranger.id();
    let fake = Fake::serve(move |asked| match asked {
        "GET /containers/easel-one-tool/json" | "GET /containers/abc/json" => running(pid),
        "POST /containers/abc/exec" => Says(201, r#"{"Id":"e1"}"#.into()),
        "POST /exec/e1/start" => Terminal,
        "GET /exec/e1/json" => Says(200, format!(r#"{{"Running":true,"Pid":{pid}}}"#)),
        _ => Says(200, String::new()),
    });
    let engine = fake.engine().await;
    let container = engine.find("tool", Suffix::None).await.unwrap().unwrap();
    let (session, exit) = begin(&ExecSpawner::new(engine, container), &launch()).await;
    session.signal(Signal::Kill);
    assert_eq!(end(exit).await, Exit::Unknown, "its terminal is closed, and no more is known");
    let lives = stranger.try_wait().unwrap().is_none();
    stranger.kill().unwrap();
    stranger.wait().unwrap();
    assert!(lives);
}
