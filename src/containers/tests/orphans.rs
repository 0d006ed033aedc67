//! A panel dies and another one takes over: what goes on, what goes, what is never touched.

use crate::{dockerd::Dockerd, studio::*};
use containers::{ContainerError, ContainerSpawner, Engine, Orphan, Studio, Suffix, Verdict, decide};
use std::time::Duration;
use supervise::{Exit, Signal, Spawner as _};

/// Starts a tool in a panel that dies at once: nothing of it runs any more, and nothing was told to anybody.
fn start_and_die(engine: &Engine, spec: containers::ContainerSpec, lives: Duration) {
    let (socket, studio) = (engine.socket().to_owned(), engine.studio().clone());
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let engine = Engine::at(&socket, studio).await.unwrap();
            let spawned = ContainerSpawner::new(engine, spec).spawn(&launch()).await.unwrap();
            tokio::time::sleep(lives).await;
            // Dropping it would end it in good order.
            std::mem::forget(spawned);
        });
        runtime.shutdown_background();
    })
    .join()
    .unwrap();
}

async fn only(engine: &Engine) -> Orphan {
    let mut all = engine.orphans().await.unwrap();
    assert_eq!(all.len(), 1, "{all:?}");
    all.remove(0)
}

/// The numbers that a session has shown, a line each.
fn numbers(text: &str) -> Vec<u32> {
    text.lines().filter_map(|line| line.trim().parse().ok()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_still_wanted_goes_on_and_no_line_is_lost_or_shown_twice() {
    let Some(engine) = studio().await else { return };
    let mut spec = shell(&engine, "i=1; while true; do echo $i; i=$((i+1)); usleep 1000; done").await;
    spec.once.insert("TOKEN".into(), "first".into());
    start_and_die(&engine, spec.clone(), Duration::from_millis(600));
    let before = only(&engine).await;
    // A new start would have another token; that makes no other container.
    spec.once.insert("TOKEN".into(), "second".into());
    assert_eq!(decide(&before, Some(&spec)), Verdict::Adopt);
    assert_eq!(before.standing.env["TOKEN"], "first", "the gate must use the old one");

    let spawner = ContainerSpawner::adopting(engine.clone(), spec.clone(), before.container.clone(), None);
    let (session, exit) = begin(&spawner, &launch()).await;
    assert_eq!(session.pid(), before.standing.pid);
    let seen = *session.end().borrow();
    until("it goes on", async || *session.end().borrow() > seen + 2000).await;
    session.signal(Signal::Kill);
    assert_eq!(end(exit).await, Exit::Signal(9));
    let seen = numbers(&shown(&session));
    let expected: Vec<u32> = (1..=seen.len() as u32).collect();
    assert!(seen == expected, "{:?}", seen.iter().zip(&expected).find(|(a, b)| a != b));
    println!("{} lines over the death of a panel, from the first on", seen.len());
    assert!(engine.orphans().await.unwrap().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_said_while_no_panel_ran_may_be_more_than_a_line_takes() {
    let Some(engine) = studio().await else { return };
    let spec = shell(&engine, "seq 1 60000; echo that was all; while true; do sleep 1; done").await;
    start_and_die(&engine, spec.clone(), Duration::ZERO);
    let orphan = only(&engine).await;
    let last = async || String::from_utf8_lossy(&engine.last_words(&orphan.container, 100).await.unwrap()).into_owned();
    until("all is said", async || last().await.contains("that was all")).await;
    let spawner = ContainerSpawner::adopting(engine.clone(), spec, orphan.container.clone(), None);
    let begun = tokio::time::timeout(PATIENCE, async { begin(&spawner, &launch()).await });
    let (session, exit) = begun.await.expect("nobody looks before there is a session, and it waits for that");
    shows(&session, "that was all\r\n").await;
    let text = shown(&session);
    assert!(text.len() > 400_000, "only {} bytes", text.len());
    assert!(numbers(&text).into_iter().eq(1..=60_000), "a line is lost, or shown twice");
    session.signal(Signal::Kill);
    assert_eq!(end(exit).await, Exit::Signal(9));
}

#[tokio::test(flavor = "multi_thread")]
async fn its_log_is_shown_from_where_it_was() {
    let Some(engine) = studio().await else { return };
    let spec = shell(&engine, "echo before; sleep 1; echo between; while true; do read x; echo after; done").await;
    start_and_die(&engine, spec.clone(), Duration::from_millis(400));
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
    tokio::time::sleep(Duration::from_millis(1200)).await;
    let orphan = only(&engine).await;
    let spawner = ContainerSpawner::adopting(engine.clone(), spec, orphan.container, Some(since));
    let (session, exit) = begin(&spawner, &launch()).await;
    session.type_keys(b"\r".to_vec()).unwrap();
    shows(&session, "after").await;
    let text = shown(&session);
    assert!(!text.contains("before") && text.matches("between").count() == 1, "{text}");
    session.signal(Signal::Kill);
    end(exit).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_wanted_goes_and_is_the_only_one_that_does() {
    let Some(engine) = studio().await else { return };
    let dockerd = Dockerd::shared().unwrap();
    let spec = shell(&engine, "while true; do sleep 1; done").await;
    start_and_die(&engine, spec.clone(), Duration::ZERO);
    let orphan = only(&engine).await;
    let mut other = spec.clone();
    other.env.insert("A".into(), "1".into());
    assert!(matches!(decide(&orphan, Some(&other)), Verdict::Remove(_)));
    assert!(matches!(decide(&orphan, None), Verdict::Remove(_)));

    // Somebody else's: another studio's, and a person's with a name like ours.
    let neighbour = on(dockerd).await;
    start_and_die(&neighbour, spec.clone(), Duration::ZERO);
    let name = engine.studio().container("other", Suffix::None);
    let foreign = dockerd.run(&["run", "-d", "--name", &name, IMAGE, "sleep", "1000"]);
    assert_eq!(only(&engine).await.container, orphan.container);
    let why = engine.find("other", Suffix::None).await.unwrap_err();
    assert!(matches!(why, ContainerError::NotOurs(_)), "{why}");
    let mut taken = spec.clone();
    taken.tool = "other".into();
    assert!(matches!(engine.create(&taken, Suffix::None).await, Err(ContainerError::NotOurs(_))));

    engine.clear(&orphan.container, Duration::from_millis(0)).await.unwrap();
    assert!(engine.orphans().await.unwrap().is_empty());
    engine.clear(&orphan.container, Duration::ZERO).await.unwrap();
    assert_eq!(dockerd.run(&["inspect", "-f", "{{.State.Running}}", &foreign]), "true");
    let theirs = only(&neighbour).await;
    assert!(theirs.standing.running);
    neighbour.clear(&theirs.container, Duration::ZERO).await.unwrap();
    dockerd.run(&["rm", "-f", &foreign]);
}

#[tokio::test(flavor = "multi_thread")]
async fn one_that_ends_before_it_is_taken_over_is_started_anew() {
    let Some(engine) = studio().await else { return };
    let spec = shell(&engine, "echo up; while true; do sleep 1; done").await;
    start_and_die(&engine, spec.clone(), Duration::ZERO);
    let orphan = only(&engine).await;
    engine.clear(&orphan.container, Duration::ZERO).await.unwrap();
    let spawner = ContainerSpawner::adopting(engine.clone(), spec, orphan.container.clone(), None);
    let (session, exit) = begin(&spawner, &launch()).await;
    shows(&session, "up").await;
    assert_ne!(only(&engine).await.container, orphan.container);
    session.signal(Signal::Kill);
    end(exit).await;
}

#[tokio::test]
async fn a_studio_is_only_its_own() {
    assert_ne!(Studio::new("a").unwrap().container("t", Suffix::None), Studio::new("b").unwrap().container("t", Suffix::None));
}
