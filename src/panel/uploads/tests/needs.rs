//! Which uploads stay: those that a recipe of their owner needs.

use super::*;
use crate::{
    artifacts::{Artifact, Artifacts, Filter, NewPicture},
    events::Events,
    jobs::{Job, JobState},
};
use protocol::{JobId, Recipe};
use serde_json::json;

const HOUR: Duration = Duration::from_secs(3600);
const DAY: Duration = Duration::from_secs(24 * 3600);

fn recipe(image: Option<&str>, mask: Option<&str>) -> Recipe {
    let name = |sha256: &str| format!("upload:{sha256}");
    let recipe = json!({ "model": "tiny", "prompt": "a lake", "negative_prompt": "", "width": 64, "height": 64, "steps": 4,
        "guidance": 5.0, "sampler": "euler", "schedule": "plain", "eta": 0.0, "guidance_rescale": 0.0, "clip_skip": 1, "seed": 1,
        "batch": 1, "strength": 0.5, "image": image.map(name), "mask": mask.map(name), "format": "png" });
    serde_json::from_value(recipe).unwrap()
}

fn job(n: u32, profile: &ProfileId, recipe: Recipe) -> Job {
    Job {
        id: JobId(format!("{n:026}")),
        profile: profile.clone(),
        state: JobState::Queued,
        created: 0,
        started: None,
        finished: None,
        starts: 0,
        engine_deaths: 0,
        cancel: false,
        recipe,
    }
}

/// Another file each time.
fn picture(n: u8) -> Vec<u8> {
    let pixels = media::Rgb8::new(8, 8, (0..8 * 8 * 3).map(|i: u32| (i as u8).wrapping_mul(n)).collect()).unwrap();
    media::thumb::thumbnail(&pixels).unwrap()
}

fn virtual_scene() -> Scene {
    let Scene { folder, uploads, ada } = scene();
    Scene { uploads: Uploads { clock: Clock::at("2026-03-05T12:00:00Z".parse().unwrap()), ..uploads }, folder, ada }
}

impl Scene {
    async fn upload(&self, n: u8) -> String {
        self.uploads.whole(&self.ada, picture(n)).await.unwrap().sha256
    }

    /// Whether row and file are there; never one alone.
    async fn has(&self, sha256: &str) -> bool {
        let row = self.uploads.get(&self.ada, sha256).await.unwrap().is_some();
        let file = self.uploads.bytes(&self.ada, sha256).await.is_ok();
        assert_eq!(row, file, "one without the other");
        row
    }

    async fn store_job(&self, job: Job) {
        self.uploads.store.run(move |c| store::jobs::insert(c, &job)).await.unwrap();
    }

    async fn pass(&self, time: Duration) {
        self.uploads.clock.advance(time);
        self.uploads.forget_unneeded().await.unwrap();
    }
}

#[tokio::test]
async fn what_no_recipe_needs_goes_after_a_day() {
    let scene = virtual_scene();
    let (first, second) = (scene.upload(1).await, scene.upload(2).await);
    scene.pass(DAY - HOUR).await;
    assert!(scene.has(&first).await && scene.has(&second).await);
    assert_eq!(scene.upload(2).await, second, "it comes again");
    scene.pass(2 * HOUR).await;
    assert!(!scene.has(&first).await && scene.has(&second).await);
    scene.pass(DAY).await;
    assert!(!scene.has(&second).await);
    assert_eq!(scene.upload(1).await, first);
    assert!(scene.has(&first).await);
}

#[tokio::test]
async fn a_job_keeps_its_own_pictures_until_a_month_after_it_is_over() {
    let scene = virtual_scene();
    let (image, mask) = (scene.upload(1).await, scene.upload(2).await);
    let bob: ProfileId = "bob".parse().unwrap();
    let bobs = scene.uploads.whole(&bob, picture(1)).await.unwrap().sha256;
    assert_eq!(bobs, image, "the same file");
    let waiting = job(1, &scene.ada, recipe(Some(&image), Some(&mask)));
    scene.store_job(waiting.clone()).await;
    scene.pass(100 * DAY).await;
    assert!(scene.has(&image).await && scene.has(&mask).await);
    assert!(scene.uploads.get(&bob, &image).await.unwrap().is_none(), "another's job keeps nothing of his");
    let over = Job { state: JobState::Cancelled, finished: Some(scene.uploads.clock.ms()), ..waiting };
    scene.uploads.store.run(move |c| store::jobs::update(c, &over)).await.unwrap();
    scene.pass(29 * DAY).await;
    assert!(scene.has(&image).await && scene.has(&mask).await);
    scene.pass(2 * DAY).await;
    assert!(!scene.has(&image).await && !scene.has(&mask).await);
}

#[tokio::test]
async fn a_picture_keeps_what_it_was_made_from_until_it_is_gone() {
    let scene = virtual_scene();
    let (image, mask) = (scene.upload(1).await, scene.upload(2).await);
    let (store, clock) = (scene.uploads.store.clone(), scene.uploads.clock.clone());
    let events = Events::open(store.clone()).await.unwrap();
    let artifacts = Artifacts::open(&scene.folder.path().join("outputs"), store, events, clock).unwrap();
    let new = |index, recipe| NewPicture { index, width: 8, height: 8, file: vec![1], thumb: vec![1], recipe };
    let of = JobId("0".repeat(26));
    artifacts.publish(&scene.ada, &of, new(0, recipe(Some(&image), None))).await.unwrap();
    artifacts.publish(&scene.ada, &of, new(1, recipe(Some(&image), Some(&mask)))).await.unwrap();
    scene.pass(400 * DAY).await;
    assert!(scene.has(&image).await && scene.has(&mask).await);
    let delete = async |index: u32| {
        let (all, _) = artifacts.page(&scene.ada, Filter::default(), None, 10).await.unwrap();
        let Artifact { id, .. } = all.into_iter().find(|a| a.index == index).unwrap();
        artifacts.delete(&scene.ada, vec![id]).await.unwrap();
        scene.pass(Duration::from_secs(29)).await;
        assert!(scene.has(&image).await, "it can still be restored");
        scene.uploads.clock.advance(HOUR);
        artifacts.sweep().await.unwrap();
        scene.pass(HOUR).await;
    };
    delete(1).await;
    assert!(scene.has(&image).await && !scene.has(&mask).await);
    delete(0).await;
    assert!(!scene.has(&image).await);
}

#[tokio::test]
async fn what_crashes_left_is_cleared_and_nothing_else() {
    let scene = virtual_scene();
    let kept = scene.upload(1).await;
    let unfinished = scene.uploads.begin(&scene.ada, 10, None).await.unwrap();
    scene.uploads.piece(&scene.ada, &unfinished, 0, vec![1]).await.unwrap();
    let folder = scene.folder.path().join("spool/ada");
    let (orphan, half) = (folder.join("a".repeat(64)), folder.join(format!(".{}.tmp", "b".repeat(64))));
    let young = folder.join("c".repeat(64));
    for path in [&orphan, &half, &young] {
        std::fs::write(path, "left").unwrap();
    }
    let old = SystemTime::now() - 2 * DAY;
    for path in [&orphan, &half, &folder.join(&kept), &folder.join(format!("{unfinished}.part"))] {
        std::fs::File::options().write(true).open(path).unwrap().set_modified(old).unwrap();
    }
    scene.uploads.tidy(&scene.folder.path().join("spool")).await.unwrap();
    assert!(!orphan.exists() && !half.exists() && young.exists());
    assert!(scene.has(&kept).await);
    assert_eq!(scene.uploads.offset(&scene.ada, &unfinished).await.unwrap(), 1);
}
