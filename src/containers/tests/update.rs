//! A new image takes the place of the former one, or gives it back.

use crate::{dockerd::Dockerd, studio::*};
use containers::{ContainerError, ContainerSpec, Engine, ImageId, KeptImage, Owned, Suffix};
use std::time::Duration;

const GRACE: Duration = Duration::from_secs(1);

/// An image that differs from the others by its command only.
async fn version(engine: &Engine, name: &str, line: &str) -> ImageId {
    let folder = tempfile::tempdir().unwrap();
    crate::dockerd::busybox(folder.path()).unwrap();
    let command = format!("CMD [\"/bin/sh\", \"-c\", \"{line}\"]");
    Dockerd::shared().unwrap().import(folder.path(), name, &["ENV PATH=/bin", &command]);
    engine.image(name).await.unwrap().unwrap()
}

async fn running(engine: &Engine) -> Owned {
    let all = engine.orphans().await.unwrap();
    assert_eq!(all.len(), 1, "{all:?}");
    assert!(all[0].standing.running && all[0].suffix == Some(Suffix::None), "{all:?}");
    all[0].container.clone()
}

#[tokio::test]
async fn the_new_image_is_kept_when_it_is_well_and_the_former_one_when_it_is_not() {
    let Some(engine) = studio().await else { return };
    let wait = "echo up; while true; do sleep 1; done";
    let first = version(&engine, "easel-test/tool:1", wait).await;
    let second = version(&engine, "easel-test/tool:2", &format!("echo 2; {wait}")).await;
    let crashes = version(&engine, "easel-test/tool:3", "echo cannot find libtorch; exit 9").await;

    let fresh = engine.update(&ContainerSpec::new("tool", first.clone()), GRACE, async |_| Ok(())).await.unwrap();
    assert!(!fresh.replaced);
    assert_eq!(running(&engine).await, fresh.container);

    let updated = engine
        .update(&ContainerSpec::new("tool", second.clone()), GRACE, async |next| {
            // The former one is stopped by now, and not gone.
            let former = engine.find("tool", Suffix::Former).await.unwrap().unwrap();
            assert!(!engine.standing(&former).await.unwrap().running && engine.standing(next).await.unwrap().running);
            Ok(())
        })
        .await
        .unwrap();
    assert!(updated.replaced && running(&engine).await == updated.container);
    assert_eq!(engine.kept("tool", KeptImage::Current).await.unwrap(), Some(second.clone()));
    assert_eq!(engine.kept("tool", KeptImage::Former).await.unwrap(), Some(first.clone()));

    // Ends by itself before it is well; whoever asks would go on asking.
    let ask = async |_: &Owned| std::future::pending().await;
    let why = engine.update(&ContainerSpec::new("tool", crashes), GRACE, ask).await.unwrap_err();
    assert!(matches!(why, ContainerError::RolledBack { .. }), "{why}");
    assert!(why.to_string().contains("exit code 9") && why.to_string().contains("libtorch"), "{why}");
    assert_eq!(running(&engine).await, updated.container);

    // Runs, and does not answer.
    let ask = async |_: &Owned| Err("it did not answer on / within 5 s.".to_owned());
    let why = engine.update(&ContainerSpec::new("tool", first), GRACE, ask).await.unwrap_err();
    assert!(why.to_string().contains("did not answer on / within 5 s. The former one is back"), "{why}");
    assert_eq!(running(&engine).await, updated.container);
    assert_eq!(engine.kept("tool", KeptImage::Current).await.unwrap(), Some(second));

    // What cannot even be made costs no moment of rest.
    let mut impossible = ContainerSpec::new("tool", updated_image(&engine).await);
    impossible.mounts.push(containers::Mount { host: "/no/such".into(), inside: "/x".into(), read_only: true });
    let since = engine.standing(&updated.container).await.unwrap().started;
    engine.update(&impossible, GRACE, async |_| Ok(())).await.unwrap_err();
    assert_eq!(engine.standing(&updated.container).await.unwrap().started, since);

    engine.clear(&updated.container, Duration::ZERO).await.unwrap();
}

#[tokio::test]
async fn one_former_image_is_kept_and_not_all_of_them() {
    let Some(engine) = studio().await else { return };
    let dockerd = Dockerd::shared().unwrap();
    let mut images = Vec::new();
    for number in 1..=5 {
        // One name for all of them, as a tag that moves; the first is somebody's under another name too.
        let id = version(&engine, "easel-test/moves:latest", &format!("echo {number}")).await;
        if number == 1 {
            dockerd.run(&["tag", id.as_str(), "easel-test/precious:1"]);
        }
        engine.keep("tool", &id).await.unwrap();
        images.push(id);
    }
    let mut there = Vec::new();
    for id in &images {
        there.push(engine.image(id.as_str()).await.unwrap().is_some());
    }
    assert_eq!(there, [true, false, false, true, true], "what has a name of somebody's stays, and what can be gone back to");
    // Going back and forth takes nothing away.
    engine.keep("tool", &images[3]).await.unwrap();
    engine.keep("tool", &images[4]).await.unwrap();
    assert!(engine.image(images[3].as_str()).await.unwrap().is_some());
}

async fn updated_image(engine: &Engine) -> ImageId {
    engine.kept("tool", KeptImage::Current).await.unwrap().unwrap()
}

#[tokio::test]
async fn a_panel_that_dies_in_the_middle_leaves_the_former_one_to_be_found() {
    let Some(engine) = studio().await else { return };
    let spec = shell(&engine, "while true; do sleep 1; done").await;
    let first = engine.update(&spec, GRACE, async |_| Ok(())).await.unwrap().container;
    let mut other = spec.clone();
    other.env.insert("A".into(), "1".into());
    // Dropped while it waits for the new one.
    let cut = engine.update(&other, GRACE, async |_| std::future::pending().await);
    let asked = async { while engine.find("tool", Suffix::Former).await.unwrap().is_none() {} };
    tokio::select! {
        _ = cut => unreachable!("nobody says that it is well"),
        () = async { asked.await; tokio::time::sleep(Duration::from_millis(300)).await } => {}
    }
    assert_eq!(engine.orphans().await.unwrap().len(), 2);
    engine.mend("tool").await.unwrap();
    let left = engine.orphans().await.unwrap();
    assert_eq!((left.len(), &left[0].container, left[0].suffix), (1, &first, Some(Suffix::None)));
    engine.clear(&first, Duration::ZERO).await.unwrap();
}
