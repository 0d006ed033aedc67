//! Finding an engine, and what is told where there is none or a bad one.

use crate::{dockerd::Dockerd, studio::*};
use containers::{ContainerError, Engine, Studio, Surroundings};
use std::{os::unix::net::UnixListener, time::Instant};

fn ours() -> Studio {
    Studio::new("one").unwrap()
}

#[tokio::test]
async fn the_engine_that_docker_host_names_answers() {
    let Some(dockerd) = Dockerd::shared() else { return };
    let host = Some(format!("unix://{}", dockerd.socket().display()));
    let engine = Engine::here(&Surroundings { docker_host: host, ..Surroundings::default() }, ours()).await.unwrap();
    engine.ping().await.unwrap();
    let version = engine.version().await.unwrap();
    println!("{version:?}");
    assert!(version.name.starts_with("Docker 2") && version.api.starts_with("1."), "{version:?}");
    assert!(!version.gpus, "no machine of the tests has a runtime for cards");
}

#[tokio::test]
async fn a_socket_that_nobody_listens_to_and_one_that_nobody_answers_are_told() {
    let folder = tempfile::tempdir().unwrap();
    let dead = folder.path().join("dead");
    drop(UnixListener::bind(&dead).unwrap());
    let why = Engine::at(&dead, ours()).await.unwrap_err();
    assert!(matches!(why, ContainerError::Lost { .. }) && why.to_string().contains("docker info"), "{why}");
    assert!(why.to_string().contains(dead.to_str().unwrap()), "{why}");

    let mute = folder.path().join("mute");
    let _listens = UnixListener::bind(&mute).unwrap();
    let begun = Instant::now();
    let why = Engine::at(&mute, ours()).await.unwrap_err();
    assert!(why.to_string().contains("no answer in time"), "{why}");
    assert!(begun.elapsed().as_secs() < 10);
}

#[tokio::test]
async fn what_cannot_be_started_is_told_with_what_to_do() {
    let Some(engine) = studio().await else { return };
    let mut spec = shell(&engine, "true").await;
    spec.gpus = containers::Gpus::All;
    let made = engine.create(&spec, containers::Suffix::None).await.unwrap();
    let why = engine.start(&made).await.unwrap_err();
    assert!(matches!(why, ContainerError::NoGpus { .. }), "{why}");
    assert!(why.to_string().contains("NVIDIA Container Toolkit"), "{why}");

    // The one that did not start is out of the way of the next.
    let mut spec = shell(&engine, "true").await;
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    spec.ports.push(containers::Port { host: taken.local_addr().unwrap().port(), inside: 80 });
    let made = engine.create(&spec, containers::Suffix::None).await.unwrap();
    let why = engine.start(&made).await.unwrap_err();
    assert!(matches!(why, ContainerError::PortTaken { .. }), "{why}");

    let missing = containers::ImageId::parse(&format!("sha256:{}", "0".repeat(64))).unwrap();
    let spec = containers::ContainerSpec::new("tool", missing);
    let why = engine.create(&spec, containers::Suffix::None).await.unwrap_err();
    assert!(matches!(why, ContainerError::ImageGone { .. }), "{why}");
    let why = why.to_string();
    assert!(why.contains("(000000000000)") && why.contains("installs it again") && !why.contains("tool.toml"), "{why}");

    let mut spec = shell(&engine, "true").await;
    spec.mounts.push(containers::Mount { host: "/no/such/folder".into(), inside: "/x".into(), read_only: false });
    let why = engine.create(&spec, containers::Suffix::None).await.unwrap_err();
    assert!(why.to_string().contains("/no/such/folder"), "{why}");
    assert!(!std::path::Path::new("/no/such/folder").exists());
    engine.clear(&made, PATIENCE).await.unwrap();
}
