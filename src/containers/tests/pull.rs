//! Pulling from a registry that is slow, closed, broken or does not have it.

use crate::{dockerd::busybox, registry::Registry, studio::*};
use containers::{ContainerError, ContainerSpawner, ContainerSpec, ImageName, Login};
use std::{
    ops::ControlFlow,
    sync::atomic::Ordering,
    time::{Duration, Instant},
};
use supervise::Exit;

/// A registry with an image of two layers, of 2 and of 3 MB or so, unlike every other test's.
fn registry() -> Registry {
    let (programs, data) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    busybox(programs.path()).unwrap();
    let mut noise = vec![0u8; 3_000_000];
    std::io::Read::read_exact(&mut std::fs::File::open("/dev/urandom").unwrap(), &mut noise).unwrap();
    std::fs::write(data.path().join("noise"), noise).unwrap();
    std::fs::write(programs.path().join("salt"), data.path().to_str().unwrap()).unwrap();
    Registry::serve(&[programs.path(), data.path()])
}

fn name(registry: &Registry, rest: &str) -> ImageName {
    ImageName::parse(&format!("{}/{rest}", registry.address)).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn progress_is_one_figure_and_the_digest_is_kept() {
    let Some(engine) = studio().await else { return };
    let registry = registry();
    registry.whims.rate.store(2_000_000, Ordering::Relaxed);
    let mut told = Vec::new();
    let tool = name(&registry, "tool:1");
    let pulled = engine.pull(&tool, None, |progress| {
        told.push(progress);
        ControlFlow::Continue(())
    });
    let pulled = pulled.await.unwrap();
    assert_eq!(pulled.digest, Some(format!("{}/tool@{}", registry.address, registry.digest)));
    let steps = told.iter().filter(|p| p.fraction > 0.0 && p.fraction < 1.0).count();
    assert!(steps >= 5, "{told:?}");
    assert!(told.windows(2).all(|two| two[0].fraction <= two[1].fraction));
    let last = told.last().unwrap();
    assert_eq!((last.fraction, last.done, last.layers), (1.0, 2, 2), "{last:?}");
    assert!(last.known >= 3_000_000 && last.received == last.known, "{last:?}");
    println!("{steps} steps of progress over {} bytes", last.known);

    // It runs, and asking again fetches nothing.
    let sent = registry.whims.sent.load(Ordering::Relaxed);
    let pinned = name(&registry, &format!("tool:1@{}", registry.digest));
    let again = engine.pull(&pinned, None, |_| ControlFlow::Continue(()));
    assert_eq!(again.await.unwrap().id, pulled.id);
    assert_eq!(registry.whims.sent.load(Ordering::Relaxed), sent);
    let mut spec = ContainerSpec::new("tool", pulled.id);
    spec.command = vec!["sh".into(), "-c".into(), "echo $(cat /noise | grep -c '')".into()];
    let (session, exit) = begin(&ContainerSpawner::new(engine, spec), &launch()).await;
    assert_eq!(end(exit).await, Exit::Code(0), "{}", shown(&session));
}

#[tokio::test(flavor = "multi_thread")]
async fn cancelling_takes_effect_at_once() {
    let Some(engine) = studio().await else { return };
    let registry = registry();
    registry.whims.rate.store(300_000, Ordering::Relaxed);
    let begun = Instant::now();
    let mut asked = None;
    let tool = name(&registry, "tool:1");
    let why = engine.pull(&tool, None, |progress| {
        if progress.received > 200_000 && asked.is_none() {
            asked = Some(Instant::now());
            return ControlFlow::Break(());
        }
        ControlFlow::Continue(())
    });
    let why = why.await.unwrap_err();
    assert!(matches!(why, ContainerError::Cancelled), "{why}");
    assert!(asked.unwrap().elapsed() < Duration::from_millis(500) && begun.elapsed() < PATIENCE);
    // The engine stops fetching too.
    tokio::time::sleep(Duration::from_secs(1)).await;
    let sent = registry.whims.sent.load(Ordering::Relaxed);
    tokio::time::sleep(Duration::from_secs(1)).await;
    let after = registry.whims.sent.load(Ordering::Relaxed);
    assert!(after - sent < 100_000, "{} bytes went on", after - sent);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_closed_missing_or_broken_is_told_apart() {
    let Some(engine) = studio().await else { return };
    let registry = registry();
    let pull = async |name: &ImageName, login: Option<&Login>| engine.pull(name, login, |_| ControlFlow::Continue(())).await;
    let why = pull(&name(&registry, "tool:2"), None).await.unwrap_err();
    assert!(matches!(why, ContainerError::NoImage { .. }), "{why}");
    let nobody = ImageName::parse(&format!("127.0.0.1:{}/tool:1", free_port())).unwrap();
    let why = pull(&nobody, None).await.unwrap_err();
    assert!(matches!(why, ContainerError::NotPulled { .. }), "{why}");
    assert_eq!(engine.image(nobody.as_str()).await.unwrap(), None);

    registry.whims.closed.store(true, Ordering::Relaxed);
    let tool = name(&registry, "tool:1");
    let why = pull(&tool, None).await.unwrap_err();
    assert!(matches!(why, ContainerError::Denied { .. }), "{why}");
    let wrong = Login { user: "zoe".into(), password: "canary".into() };
    let why = pull(&tool, Some(&wrong)).await.unwrap_err();
    assert!(matches!(why, ContainerError::Denied { .. }) && !why.to_string().contains("canary"), "{why}");
    let right = Login { user: "zoe".into(), password: "secret".into() };
    let pulled = pull(&tool, Some(&right)).await.unwrap();
    assert!(pulled.digest.unwrap().ends_with(&registry.digest));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_layer_that_breaks_off_is_fetched_to_its_end() {
    let Some(engine) = studio().await else { return };
    let registry = registry();
    registry.whims.breaks.store(true, Ordering::Relaxed);
    let mut last = 0.0;
    let tool = name(&registry, "tool:1");
    let pulled = engine.pull(&tool, None, |progress| {
        assert!(progress.fraction >= last);
        last = progress.fraction;
        ControlFlow::Continue(())
    });
    // Engines try again by themselves, a few times.
    assert!(pulled.await.unwrap().digest.unwrap().ends_with(&registry.digest));
    assert!(!registry.whims.breaks.load(Ordering::Relaxed), "nothing broke");
}
