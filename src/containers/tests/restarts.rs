//! The engine is restarted, or dies, under running containers.

use crate::{dockerd::Dockerd, studio::*};
use containers::{ContainerError, ContainerSpawner, Suffix};
use std::time::{Duration, Instant};
use supervise::{Exit, Signal};

/// An engine that this test may restart. None: none can run here.
fn own(flags: &[&str]) -> Option<Dockerd> {
    Dockerd::shared()?;
    let dockerd = Dockerd::start(false, flags).unwrap();
    import(&dockerd);
    Some(dockerd)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restart_that_ends_containers_is_told_as_their_end() {
    let Some(dockerd) = own(&[]) else { return };
    let engine = on(&dockerd).await;
    let spec = shell(&engine, "echo up; while true; do sleep 1; done").await;
    let (session, exit) = begin(&ContainerSpawner::new(engine.clone(), spec), &launch()).await;
    shows(&session, "up").await;
    dockerd.restart();
    let exit = end(exit).await;
    assert!(matches!(exit, Exit::Signal(_) | Exit::Code(_)), "{exit:?}");
    until("it is removed", async || engine.orphans().await.is_ok_and(|all| all.is_empty())).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn where_containers_outlive_the_engine_their_terminal_goes_on() {
    let Some(dockerd) = own(&["--live-restore"]) else { return };
    let engine = on(&dockerd).await;
    let spec = shell(&engine, "i=1; while true; do echo $i; i=$((i+1)); usleep 5000; done").await;
    let (session, exit) = begin(&ContainerSpawner::new(engine.clone(), spec), &launch()).await;
    shows(&session, "\n20\r\n").await;
    dockerd.restart();
    let seen = *session.end().borrow();
    until("it goes on", async || *session.end().borrow() > seen + 1000).await;
    session.signal(Signal::Kill);
    assert_eq!(end(exit).await, Exit::Signal(9));
    let numbers: Vec<u32> = shown(&session).lines().filter_map(|line| line.trim().parse().ok()).collect();
    assert!(numbers.windows(2).all(|two| two[0] < two[1]), "a line was shown twice");
    println!("{} of {} lines over a restart of the engine", numbers.len(), numbers.last().unwrap());
}

#[tokio::test(flavor = "multi_thread")]
async fn an_engine_that_died_is_told_quickly() {
    let Some(dockerd) = own(&[]) else { return };
    let engine = on(&dockerd).await;
    let spec = shell(&engine, "echo up; while true; do sleep 1; done").await;
    let (session, _exit) = begin(&ContainerSpawner::new(engine.clone(), spec), &launch()).await;
    shows(&session, "up").await;
    dockerd.kill();
    let begun = Instant::now();
    let why = engine.find("tool", Suffix::None).await.unwrap_err();
    assert!(matches!(why, ContainerError::Lost { .. }), "{why}");
    assert!(engine.ping().await.is_err() && begun.elapsed() < Duration::from_secs(1));
}
