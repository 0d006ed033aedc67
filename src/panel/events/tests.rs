//! Replay, slow listeners, latest wins.

use super::*;
use std::time::Duration;

impl Batch {
    fn is_quiet(&self) -> bool {
        self.numbered.is_empty() && self.passing.is_empty()
    }
}

struct Scene {
    _folder: tempfile::TempDir,
    events: Events,
    ada: ProfileId,
}

async fn scene() -> Scene {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(folder.path()).unwrap();
    Scene { events: Events::open(store).await.unwrap(), _folder: folder, ada: "ada".parse().unwrap() }
}

impl Scene {
    /// Stores and announces numbered events, as a change of a job does.
    async fn tell(&self, profile: &ProfileId, job: &str, count: usize) {
        let (events, profile, job) = (self.events.clone(), profile.clone(), JobId(job.into()));
        let change = move |c: &mut crate::store::Connection| {
            for i in 0..count {
                let event = table::insert(c, &profile, &job, Kind::State, format!("{{\"n\":{i}}}"), 0)?;
                events.announce(&profile, &event);
            }
            Ok(())
        };
        self.events.store.run(change).await.unwrap();
    }
}

fn text(batch: &Batch) -> String {
    batch.numbered.iter().chain(&batch.passing).map(|l| String::from_utf8_lossy(l).into_owned()).collect()
}

fn ids(batch: &Batch) -> Vec<i64> {
    let text = text(batch);
    text.lines().filter_map(|l| l.strip_prefix("id: ")).map(|n| n.parse().unwrap()).collect()
}

#[tokio::test]
async fn a_listener_goes_on_from_its_number_also_when_memory_forgot_it() {
    let scene = scene().await;
    scene.tell(&scene.ada, "a", 2500).await;
    let mut all = scene.events.subscribe(&scene.ada, Some(0), None);
    assert_eq!(ids(&all.take().await.unwrap()), (1..=2500).collect::<Vec<_>>());
    let mut late = scene.events.subscribe(&scene.ada, Some(2490), None);
    assert_eq!(ids(&late.take().await.unwrap()), (2491..=2500).collect::<Vec<_>>());
    let mut new = scene.events.subscribe(&scene.ada, None, None);
    assert!(new.take().await.unwrap().is_quiet());
    assert_eq!(new.seq(), 2500);
    scene.tell(&scene.ada, "a", 1).await;
    assert!(new.changed().await);
    assert_eq!(ids(&new.take().await.unwrap()), [2501]);
}

#[tokio::test]
async fn nobody_hears_of_anothers_jobs() {
    let scene = scene().await;
    let bob: ProfileId = "bob".parse().unwrap();
    let mut listener = scene.events.subscribe(&bob, Some(0), None);
    scene.tell(&scene.ada, "a", 3).await;
    scene.events.pass(&scene.ada, &JobId("a".into()), Passing::Step, &1);
    assert!(tokio::time::timeout(Duration::from_millis(50), listener.changed()).await.is_err());
    assert!(listener.take().await.unwrap().is_quiet());
    let mut replay = scene.events.subscribe(&bob, Some(0), None);
    assert!(replay.take().await.unwrap().is_quiet());
}

#[tokio::test]
async fn of_what_passes_only_the_latest_is_told() {
    let scene = scene().await;
    let job = JobId("a".into());
    let mut slow = scene.events.subscribe(&scene.ada, None, None);
    for step in 1..=100 {
        scene.events.pass(&scene.ada, &job, Passing::Step, &step);
    }
    assert_eq!(text(&slow.take().await.unwrap()), "event: step\ndata: 100\n\n");
    assert!(slow.take().await.unwrap().is_quiet());
    let mut new = scene.events.subscribe(&scene.ada, None, None);
    assert_eq!(text(&new.take().await.unwrap()), "event: step\ndata: 100\n\n", "a reload shows where it is");
    scene.events.forget(&scene.ada, &job);
    assert!(scene.events.subscribe(&scene.ada, None, None).take().await.unwrap().is_quiet());
}

#[tokio::test]
async fn streams_end_when_the_panel_does() {
    let scene = scene().await;
    let mut listener = scene.events.subscribe(&scene.ada, None, None);
    let waiting = tokio::spawn(async move { listener.changed().await });
    tokio::task::yield_now().await;
    scene.events.close();
    assert!(!waiting.await.unwrap());
}
