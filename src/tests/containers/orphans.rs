//! The panel dies, and its containers do not: the next one takes over what is still wanted and removes the rest.

use super::{World, page};
use crate::{comfy::guest::Guest, program::Program};
use std::time::Instant;

/// A studio whose tool runs; its container.
pub(super) async fn running(world: &World, image: &str) -> (Program, String) {
    world.import(image, "it goes on");
    let program = world.start();
    let ada = Guest::admin(&program).await;
    ada.install("page").await;
    ada.start("page").await;
    let containers = world.containers();
    assert_eq!(containers.len(), 1);
    (program, containers[0].clone())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_panel_leaves_its_tools_running_and_the_next_one_takes_them_over() {
    let image = "127.0.0.1:1/easel-test/orphan:1";
    let Some(world) = World::with(image) else { return };
    let (mut program, container) = running(&world, image).await;
    program.kill();
    assert_eq!(world.containers(), [container.as_str()]);
    assert_eq!(world.dockerd.run(&["inspect", "-f", "{{.State.Running}}", &container]), "true");
    let begun = Instant::now();
    let mut program = world.start();
    let ada = Guest::admin(&program).await;
    ada.until("page", "running").await;
    println!("containers: taken over in {:.1?}, {:.1?} of it the start", begun.elapsed(), program.started_in);
    assert_eq!(world.containers(), [container.as_str()], "it is the same one");
    let zoe = Guest::pick(&program, "zoe").await;
    assert!(page(&zoe).await.contains("it goes on"));
    // What it writes comes into a session of this panel.
    world.says(&ada, "start", "response:200").await;

    // An orderly end takes them along.
    end_in_order(&mut program).await;
    assert_eq!(world.containers().len(), 0);
    // And it comes back with the panel, in another container.
    let program = world.start();
    let ada = Guest::admin(&program).await;
    ada.until("page", "running").await;
    assert_ne!(world.containers(), [container.as_str()]);
    ada.post("/tools/page/stop").await;
    ada.until("page", "stopped").await;
    assert_eq!(world.containers().len(), 0);
}

async fn end_in_order(program: &mut Program) {
    let pid = rustix::process::Pid::from_raw(program.pid().cast_signed()).unwrap();
    rustix::process::kill_process(pid, rustix::process::Signal::TERM).unwrap();
    let asked = Instant::now();
    while program.is_running() {
        assert!(asked.elapsed().as_secs() < 60, "the panel does not end");
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
}

/// A studio that tries a new image that is never well, so that the trial lasts.
async fn trying(world: &World, image: &str) -> (Program, Guest, serde_json::Value) {
    world.import(image, "the first");
    let program = world.start();
    let ada = Guest::admin(&program).await;
    ada.install("page").await;
    let first = ada.tool("page").await["version"].clone();
    let bad = super::content("");
    std::fs::remove_file(bad.path().join("www/index.html")).unwrap();
    world.dockerd.import(bad.path(), image, &["ENV PATH=/bin"]);
    assert_eq!(ada.post("/tools/page/update").await.0, 202);
    world.says(&ada, "update", "Trying it").await;
    let begun = Instant::now();
    while world.containers().is_empty() {
        assert!(begun.elapsed().as_secs() < 20, "it is not tried");
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    (program, ada, first)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_panel_that_ends_in_good_order_takes_a_container_on_trial_along() {
    let image = "127.0.0.1:1/easel-test/trial:1";
    let Some(world) = World::with(image) else { return };
    let (mut program, ..) = trying(&world, image).await;
    end_in_order(&mut program).await;
    assert_eq!(world.containers().len(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_wanted_any_more_is_removed_and_what_is_anothers_is_left_alone() {
    let image = "127.0.0.1:1/easel-test/changed:1";
    let Some(world) = World::with(image) else { return };
    let (mut program, container) = running(&world, image).await;
    // As another studio's: the same tool and another id.
    let labels = ["--label", "easel.studio=somebodyelse", "--label", "easel.tool=page"];
    let other = [&["run", "-d", "--name", "easel-somebodyelse-page"][..], &labels, &[image, "/bin/sleep", "600"]].concat();
    let other = world.dockerd.run(&other);
    program.kill();
    world.rewrite("memory_gb = 1", "memory_gb = 2");
    let mut program = world.start();
    let ada = Guest::admin(&program).await;
    ada.until("page", "running").await;
    let now = world.containers();
    assert!(now.len() == 1 && now[0] != container, "made anew from what is wanted now: {now:?}");

    // Of a tool that is gone.
    program.kill();
    std::fs::remove_dir_all(world.folder.path().join("setup/page")).unwrap();
    let _program = world.start();
    let begun = Instant::now();
    while !world.containers().is_empty() {
        assert!(begun.elapsed().as_secs() < 30, "it is not removed");
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
    }
    let stands = world.dockerd.run(&["inspect", "-f", "{{.State.Running}}", &other]);
    world.dockerd.run(&["rm", "-f", &other]);
    assert_eq!(stands, "true");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_panel_that_is_killed_while_it_tries_a_new_image_comes_back_with_the_former_one() {
    let image = "127.0.0.1:1/easel-test/tried:1";
    let Some(world) = World::with(image) else { return };
    let (mut program, _, first) = trying(&world, image).await;
    program.kill();
    let program = world.start();
    let ada = Guest::admin(&program).await;
    let stands = ada.until("page", "stopped").await;
    assert_eq!((&stands["version"], &stands["earlier"]), (&first, &serde_json::Value::Null), "{stands}");
    let begun = Instant::now();
    while !world.containers().is_empty() {
        assert!(begun.elapsed().as_secs() < 30, "what was tried is not removed");
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
    ada.start("page").await;
    let zoe = Guest::pick(&program, "zoe").await;
    assert!(page(&zoe).await.contains("the first"));
}
