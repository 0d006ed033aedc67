//! Power cuts: the panel dies and with it everything that was not synced. What was acknowledged and what was announced is
//! there afterwards. Knows the API.

use super::with_users;
use crate::{
    full_disk::{assert_whole, picture, upload},
    jobs_survive::{Api, assert_sound, quick},
    program::{Program, is_long},
};
use std::{collections::BTreeMap, time::Duration};

const CUTS: usize = 10;
const CUTS_LONG: usize = 60;
/// Jobs submitted before each cut.
const JOBS: usize = 2;

/// What the studio promised.
#[derive(Default)]
struct Promised {
    /// Jobs answered with 202.
    jobs: Vec<String>,
    /// Uploads answered with 200, by address.
    uploads: Vec<String>,
    /// Pictures of jobs that were told to be done, by address.
    pictures: BTreeMap<String, Vec<u8>>,
}

impl Promised {
    /// Submits and looks, until the caller drops this in the middle of whatever it does, or until a picture is there.
    async fn work(&mut self, api: &Api, round: usize, until_a_picture: bool) {
        for n in round * JOBS..(round + 1) * JOBS {
            self.jobs.extend(api.submit(&format!("key {n}"), &quick(n)).await);
        }
        let answer = upload(api, picture(round as u32)).await;
        assert_eq!(answer.0, 200, "{}", answer.1);
        let sha256 = answer.1["upload"].as_str().unwrap().trim_start_matches("upload:");
        self.uploads.push(format!("/api/v1/uploads/{sha256}/file"));
        loop {
            for id in &self.jobs {
                let job = api.get(&format!("/jobs/{id}")).await;
                for picture in job["artifacts"].as_array().unwrap() {
                    let url = picture["url"].as_str().unwrap();
                    if !self.pictures.contains_key(url) {
                        self.pictures.insert(url.to_owned(), Vec::new());
                        self.pictures.insert(url.to_owned(), api.file(url).await.unwrap());
                        if until_a_picture {
                            return;
                        }
                    }
                }
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// Every job is known, every upload and every picture whole, and the same as before where it was fetched before.
    async fn is_kept(&self, api: &Api) {
        for id in &self.jobs {
            api.get(&format!("/jobs/{id}")).await;
        }
        for url in &self.uploads {
            image::load_from_memory(&api.file(url).await.unwrap()).unwrap();
        }
        for (url, before) in &self.pictures {
            let now = api.file(url).await.unwrap();
            image::load_from_memory(&now).unwrap();
            assert!(before.is_empty() || *before == now, "{url} is another picture");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_power_cut_loses_what_was_acknowledged() {
    let cuts = if is_long() { CUTS_LONG } else { CUTS };
    let Some(mut volume) = with_users() else { return };
    let mut program = Program::start_in(volume.path(), &[]);
    let mut api = Api::of(&program, "zoe");
    let mut promised = Promised::default();
    // A studio that has been here for a while; its first minute is another test.
    volume.settle();
    for n in 0..cuts {
        api.ready().await;
        // Moments spread over a job's whole life by the golden ratio: no two alike, every run the same. The last is when a picture
        // was told, which on a busy machine none of the others may come to.
        let (moment, last) = (Duration::from_millis(((n as f64 * 0.618).fract() * 2500.0) as u64 + 20), n + 1 == cuts);
        let moment = if last { Duration::from_secs(60) } else { moment };
        let _ = tokio::time::timeout(moment, promised.work(&api, n, last)).await;
        program.kill();
        volume.power_cut();
        assert_whole(&volume.path().join("data"));
        program = Program::start_in(volume.path(), &[]);
        api = api.at(&program);
        promised.is_kept(&api).await;
    }
    let announced = promised.pictures.len();
    let mut parked = 0;
    for id in &promised.jobs {
        let job = api.over(id).await;
        let pictures = job["artifacts"].as_array().unwrap().len();
        parked += usize::from(job["state"] == "parked");
        assert!(job["state"] == "parked" || (job["state"] == "done" && pictures == 1), "{job}");
    }
    promised.is_kept(&api).await;
    let (jobs, uploads) = (promised.jobs.len(), promised.uploads.len());
    println!(
        "{cuts} power cuts: {jobs} jobs, {parked} parked, {uploads} uploads, {announced} pictures announced before the last"
    );
    assert!(jobs > 0 && uploads > 0 && announced > 0, "nothing was promised, so nothing was tried");
    assert_whole(program.data());
    drop(program);
    assert_sound(&volume.path().join("data"));
}

/// Nothing lasts here by itself, not even the folders that the first start makes.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_power_cut_in_the_first_minute_loses_nothing_either() {
    let Some(mut volume) = with_users() else { return };
    let mut program = Program::start_in(volume.path(), &[]);
    let api = Api::of(&program, "zoe");
    api.ready().await;
    let id = api.submit("first", &quick(1)).await.unwrap();
    program.kill();
    volume.power_cut();
    let left = std::fs::read_dir(volume.path()).unwrap().map(|entry| entry.unwrap().file_name());
    println!("left: {:?}", left.collect::<Vec<_>>());
    let program = Program::start_in(volume.path(), &[]);
    let job = api.at(&program).over(&id).await;
    assert_eq!((job["state"].as_str(), job["artifacts"].as_array().unwrap().len()), (Some("done"), 1), "{job}");
}
