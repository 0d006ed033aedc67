//! What goes wrong around containers: a start that takes long, an engine that comes late or is not wanted any more, an image that
//! somebody cleared away.

use super::{World, orphans::running, page};
use crate::comfy::guest::Guest;
use std::{
    fs,
    net::TcpListener,
    os::unix::fs::symlink,
    time::{Duration, Instant},
};

async fn none_is_left(world: &World) {
    let begun = Instant::now();
    while !world.containers().is_empty() {
        assert!(begun.elapsed().as_secs() < 30, "{:?}", world.containers());
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_starts_a_tool_while_the_studio_still_syncs_goes_on_with_what_runs() {
    let image = "127.0.0.1:1/easel-test/early:1";
    let Some(world) = World::with(image) else { return };
    let (mut program, container) = running(&world, image).await;
    program.kill();
    // A remote that takes the connection and says nothing holds up the start.
    let remote = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("https://{}/studio.git", remote.local_addr().unwrap());
    fs::write(world.folder.path().join("data/easel.toml"), format!("boot.repos.other.url = \"{url}\"\n")).unwrap();
    let program = world.start();
    let zoe = Guest::pick(&program, "zoe").await;
    zoe.start("page").await;
    let ada = Guest::admin(&program).await;
    let boot = ada.api(reqwest::Method::GET, "/boot", serde_json::Value::Null).await.1;
    assert_eq!(boot["over"], false, "the start is not over yet: {boot}");
    assert_eq!(world.containers(), [container.as_str()], "it is the same one, with all that it was doing");
    assert!(page(&zoe).await.contains("it goes on"));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_left_is_removed_where_tools_run_as_processes_now() {
    let image = "127.0.0.1:1/easel-test/process:1";
    let Some(world) = World::with(image) else { return };
    let (mut program, _) = running(&world, image).await;
    program.kill();
    fs::write(world.folder.path().join("data/easel.toml"), "containers = \"process\"\n").unwrap();
    let program = world.start();
    none_is_left(&world).await;
    let tool = Guest::admin(&program).await.tool("page").await;
    assert_eq!((&tool["contained"], &tool["state"]), (&false.into(), &"absent".into()), "{tool}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_engine_that_comes_after_the_studio_is_found_and_what_ran_in_it_goes_on() {
    let image = "127.0.0.1:1/easel-test/late:1";
    let Some(world) = World::with(image) else { return };
    let (mut program, container) = running(&world, image).await;
    program.kill();
    let socket = world.folder.path().join("late.sock");
    let program = world.start_at(&socket);
    let ada = Guest::admin(&program).await;
    assert_eq!(ada.until("page", "absent").await["contained"], false);
    symlink(world.dockerd.socket(), &socket).unwrap();
    let tool = ada.until("page", "running").await;
    assert_eq!((&tool["contained"], world.containers()), (&true.into(), vec![container]), "{tool}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_image_that_was_cleared_away_is_told_as_that_and_installed_again() {
    let image = "127.0.0.1:1/easel-test/cleared:1";
    let Some(world) = World::with(image) else { return };
    world.import(image, "back again");
    let program = world.start();
    let ada = Guest::admin(&program).await;
    ada.install("page").await;
    let id = world.dockerd.run(&["inspect", "-f", "{{.Id}}", image]);
    world.dockerd.run(&["rmi", "-f", &id]);
    assert_eq!(ada.post("/tools/page/start").await.0, 202);
    let broken = ada.until("page", "broken").await;
    let why = broken["why"].as_str().unwrap();
    assert!(why.contains("is not on this machine any more") && why.ends_with("An admin installs it again."), "{why}");
    assert_eq!(why.matches("cannot be started").count(), 1, "{why}");
    assert_eq!((&broken["may"]["start"], &broken["may"]["install"]), (&false.into(), &true.into()), "{broken}");
    world.import(image, "back again");
    ada.install("page").await;
    ada.start("page").await;
}
