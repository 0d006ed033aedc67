//! A volume over its quota, and one that fails at every write: told, nothing half-written, and all goes on by itself. What
//! is free there says nothing: statfs(2) tells of a terabyte. Knows the API.

use super::{weather::Weather, with_users};
use crate::{
    full_disk::{assert_whole, is_about_the_disk, picture, serves, until_job, upload},
    jobs_survive::{Api, assert_sound, quick},
    program::Program,
};
use reqwest::Method;
use serde_json::{Value, json};
use std::time::{Duration, Instant};

/// Longer than the lease of a network volume lasts without being renewed, 20 s, and the panel's look at it, 2 s.
const LONG: Duration = Duration::from_secs(26);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_volume_over_quota_is_told_and_everything_goes_on_afterwards() {
    through(Weather::NoQuota).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_volume_that_fails_is_told_and_everything_goes_on_afterwards() {
    through(Weather::Broken).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_panel_outlasts_a_long_time_over_quota() {
    outlasts(Weather::NoQuota).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_panel_outlasts_a_long_failure() {
    outlasts(Weather::Broken).await;
}

async fn first_picture(api: &Api) -> Value {
    api.ready().await;
    let id = api.submit("first", &quick(1)).await.unwrap();
    api.over(&id).await["artifacts"][0].clone()
}

async fn is_refused(api: &Api) {
    for answer in [api.send(Method::POST, "/jobs", Some(&quick(2))).await, upload(api, picture(1)).await] {
        assert!(is_about_the_disk(&answer), "{answer:?}");
    }
}

async fn works(api: &Api) {
    let id = api.submit("afterwards", &quick(3)).await.unwrap();
    let job = api.over(&id).await;
    assert_eq!((job["state"].as_str(), job["artifacts"].as_array().unwrap().len()), (Some("done"), 1), "{job}");
    assert_eq!(upload(api, picture(1)).await.0, 200);
}

async fn through(weather: Weather) {
    let Some(volume) = with_users() else { return };
    let mut program = Program::start_in(volume.path(), &[]);
    let api = Api::of(&program, "zoe");
    let first = first_picture(&api).await;
    let running = api.submit("running", &json!({ "prompt": "a lake", "steps": 12, "seed": 9 })).await.unwrap();
    until_job(&api, &running, "running", |job| job["step"] != 0).await;

    volume.set(weather);
    let begin = Instant::now();
    is_refused(&api).await;
    serves(&api, &first).await;
    assert_whole(program.data());
    // Well within the lease.
    tokio::time::sleep(Duration::from_secs(8).saturating_sub(begin.elapsed())).await;
    is_refused(&api).await;
    serves(&api, &first).await;
    assert_whole(program.data());

    volume.set(Weather::Calm);
    let begin = Instant::now();
    works(&api).await;
    println!("{weather:?}: a job and an upload {:.1?} after it", begin.elapsed());
    let mut over = api.over(&running).await;
    println!("{weather:?}: what ran ended as {} {}", over["state"], over["error"]["what"]);
    if over["state"] == "failed" {
        assert_eq!(over["artifacts"].as_array().unwrap().len(), 0, "{over}");
        let (status, again) = api.send(Method::POST, &format!("/jobs/{running}/again"), None).await;
        assert_eq!(status, 202, "{again}");
        over = api.over(again["id"].as_str().unwrap()).await;
    }
    assert_eq!((over["state"].as_str(), over["artifacts"].as_array().unwrap().len()), (Some("done"), 1), "{over}");
    assert!(program.is_running());
    assert_whole(program.data());
    drop(program);
    assert_sound(&volume.path().join("data"));
}

async fn outlasts(weather: Weather) {
    let Some(volume) = with_users() else { return };
    let mut program = Program::start_in(volume.path(), &[]);
    let api = Api::of(&program, "zoe");
    let first = first_picture(&api).await;
    volume.set(weather);
    let begin = Instant::now();
    while begin.elapsed() < LONG {
        assert!(program.is_running(), "{weather:?}: the panel stopped after {:.0?}", begin.elapsed());
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
    serves(&api, &first).await;
    is_refused(&api).await;
    volume.set(Weather::Calm);
    let begin = Instant::now();
    // The lease is renewed every 5 s.
    while api.send(Method::POST, "/jobs", Some(&quick(2))).await.0 != 202 {
        assert!(begin.elapsed() < LONG, "{weather:?}: nothing is taken after it");
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    println!("{weather:?}: jobs are taken again {:.1?} after it", begin.elapsed());
    works(&api).await;
    assert!(program.is_running());
    drop(program);
    assert_sound(&volume.path().join("data"));
}
