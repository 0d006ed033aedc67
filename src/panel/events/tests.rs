//! Replay, slow listeners, latest wins.

use super::*;
use std::time::Duration;

impl Batch {
    fn is_quiet(&self) -> bool {
        text(self).is_empty()
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
        self.tell_long(profile, job, count, 1).await;
    }

    /// The same with bodies of about so many bytes.
    async fn tell_long(&self, profile: &ProfileId, job: &str, count: usize, bytes: usize) {
        let (events, profile, job) = (self.events.clone(), profile.clone(), JobId(job.into()));
        let change = move |c: &mut crate::store::Connection| {
            let c = c.transaction()?;
            let body = format!("\"{}\"", "a".repeat(bytes));
            let told: Result<Vec<_>, _> =
                (0..count).map(|_| table::insert(&c, &profile, &job, Kind::State, body.clone(), 0)).collect();
            let told = told?;
            c.commit()?;
            told.iter().for_each(|event| events.announce(&profile, event));
            Ok(())
        };
        self.events.store.run(change).await.unwrap();
    }
}

/// What was told of jobs: how the whole studio stands comes with each connection.
fn text(batch: &Batch) -> String {
    let all = batch.numbered.iter().chain(&batch.passing).map(|l| String::from_utf8_lossy(l).into_owned());
    all.filter(|line| !is_of_the_studio(line)).collect()
}

fn is_of_the_studio(line: &str) -> bool {
    line.starts_with("event: tools\n") || line.starts_with("event: notices\n")
}

/// Everything that a listener was not told yet, with the largest batch's bytes.
async fn all(listener: &mut Subscription) -> (Vec<i64>, usize) {
    let (mut told, mut largest) = (Vec::new(), 0);
    loop {
        let batch = listener.take().await.unwrap();
        told.extend(ids(&batch));
        largest = largest.max(batch.numbered.iter().map(Bytes::len).sum());
        if !batch.more {
            return (told, largest);
        }
        assert!(batch.passing.is_empty(), "what passes is newer than what is still to come");
        assert!(listener.changed().await, "there is more");
    }
}

fn ids(batch: &Batch) -> Vec<i64> {
    let text = text(batch);
    text.lines().filter_map(|l| l.strip_prefix("id: ")).map(|n| n.parse().unwrap()).collect()
}

#[tokio::test]
async fn a_listener_goes_on_from_its_number_also_when_memory_forgot_it() {
    let scene = scene().await;
    scene.tell(&scene.ada, "a", 2500).await;
    let mut first = scene.events.subscribe(&scene.ada, Some(0), None);
    assert_eq!(all(&mut first).await.0, (1..=2500).collect::<Vec<_>>());
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
async fn two_weeks_are_told_in_small_batches_and_little_is_kept_in_memory() {
    let scene = scene().await;
    // 200 events of one job among 6 MB of another's.
    for _ in 0..20 {
        scene.tell_long(&scene.ada, "long", 5, 60_000).await;
        scene.tell(&scene.ada, "short", 10).await;
    }
    let held: usize = scene.events.channel(&scene.ada).held();
    assert!(held <= 1 << 20, "{held} bytes in memory");
    let mut listener = scene.events.subscribe(&scene.ada, Some(0), None);
    let (told, largest) = all(&mut listener).await;
    assert_eq!(told, (1..=300).collect::<Vec<_>>());
    assert!(largest <= 1 << 20, "{largest} bytes at once");
    let mut of_one = scene.events.subscribe(&scene.ada, Some(0), Some(JobId("short".into())));
    assert_eq!(all(&mut of_one).await.0.len(), 200);
    assert_eq!(of_one.seq(), 300);
}

#[tokio::test]
async fn nobody_hears_of_anothers_jobs() {
    let scene = scene().await;
    let bob: ProfileId = "bob".parse().unwrap();
    let mut listener = scene.events.subscribe(&bob, Some(0), None);
    listener.take().await.unwrap();
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
    listener.take().await.unwrap();
    let waiting = tokio::spawn(async move { listener.changed().await });
    tokio::task::yield_now().await;
    scene.events.close();
    assert!(!waiting.await.unwrap());
}

#[tokio::test]
async fn what_changed_between_two_connections_is_told_by_the_second() {
    let scene = scene().await;
    let of_the_studio = async |listener: &mut Subscription| {
        let batch = listener.take().await.unwrap();
        let lines = batch.passing.iter().map(|l| String::from_utf8_lossy(l).into_owned());
        lines.filter(|line| is_of_the_studio(line)).collect::<Vec<_>>()
    };
    let mut first = scene.events.subscribe(&scene.ada, None, None);
    let before = of_the_studio(&mut first).await;
    assert_eq!((before.len(), of_the_studio(&mut first).await.len()), (2, 0));
    drop(first);
    scene.events.stir_tools();
    let mut second = scene.events.subscribe(&scene.ada, None, None);
    let after = of_the_studio(&mut second).await;
    assert!(after[0] != before[0] && after[1] == before[1], "{before:?} {after:?}");
    let mut of_one_job = scene.events.subscribe(&scene.ada, None, Some(JobId("a".into())));
    assert!(of_the_studio(&mut of_one_job).await.is_empty());
}
