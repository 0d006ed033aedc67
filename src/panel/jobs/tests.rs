//! Whole jobs against a real store and a played engine: turns, deaths, restarts, cancelling.

use super::*;
use crate::engine_client::EngineStatus;
use futures_util::future::BoxFuture;
use protocol::{BUILD_ID, FromEngine, Problem, Recipe, ToEngine, frame};
use std::{
    path::Path,
    sync::atomic::{AtomicU32, Ordering},
};
use supervise::{Exit, Launch, Policy, Scripted, ScriptedSpawner, Spawner};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::UnixStream,
    sync::mpsc,
};

/// Others on a graphics card.
#[derive(Debug, Default)]
struct Others {
    asked: AtomicU32,
    /// What they do when they are asked.
    mood: Mutex<Mood>,
}

#[derive(Clone, Copy, Debug, Default)]
enum Mood {
    #[default]
    LetGo,
    Silent,
    Panic,
}

impl Room for Others {
    fn make(&self) -> BoxFuture<'_, ()> {
        self.asked.fetch_add(1, Ordering::Relaxed);
        let mood = *self.mood.lock().unwrap();
        Box::pin(async move {
            match mood {
                Mood::LetGo => {}
                Mood::Silent => std::future::pending().await,
                Mood::Panic => panic!("as asked"),
            }
        })
    }

    fn holders(&self) -> BoxFuture<'_, Option<String>> {
        Box::pin(async { Some("Card: ComfyUI holds 14.0 GB.".to_owned()) })
    }
}

/// A studio without pages.
struct Studio {
    jobs: Jobs,
    parts: Parts,
    others: Arc<Others>,
    /// Prompts in the order in which the engine got them.
    started: mpsc::UnboundedReceiver<String>,
}

impl Studio {
    async fn open(folder: &Path) -> Studio {
        Studio::with_engines(1, folder).await
    }

    async fn with_engines(count: usize, folder: &Path) -> Studio {
        let clock = Clock::real();
        let store = Store::open(&folder.join("state")).unwrap();
        let events = Events::open(store.clone()).await.unwrap();
        let artifacts = Artifacts::open(&folder.join("outputs"), store.clone(), events.clone(), clock.clone()).unwrap();
        let uploads = Uploads::open(&folder.join("spool"), store.clone(), clock.clone()).unwrap();
        let (spawner, parts) = ScriptedSpawner::new();
        let policy = Policy { first_wait: Duration::from_millis(5), jitter: 0.0, ..Policy::default() };
        let spawner: Arc<dyn Spawner> = Arc::new(spawner);
        let engines = Engines::start(vec![Launch::new("toy").with_stream(); count], policy, &spawner);
        let (tells, started) = mpsc::unbounded_channel();
        tokio::spawn(play(parts, tells));
        let others = Arc::<Others>::default();
        let parts = Parts { store, events, artifacts, uploads, engines, room: others.clone(), clock };
        let jobs = Jobs::open(parts.clone()).await.unwrap();
        Studio { jobs, parts, others, started }
    }

    async fn submit(&self, profile: &str, prompt: &str) -> JobId {
        let recipe = Recipe { prompt: prompt.into(), batch: 2, ..Recipe::example() };
        self.jobs.submit(&profile.parse().unwrap(), recipe, None).await.unwrap().id
    }

    async fn state(&self, profile: &str, id: &JobId) -> JobView {
        self.jobs.get(&profile.parse().unwrap(), id).await.unwrap().unwrap()
    }

    async fn until(&self, profile: &str, id: &JobId, state: &str) -> JobView {
        for _ in 0..1000 {
            let job = self.state(profile, id).await;
            if job.state == state {
                return job;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        panic!("never {state}: {:?}", self.state(profile, id).await);
    }

    /// What holds jobs up, as a new listener is told.
    async fn held(&self, profile: &str) -> Vec<String> {
        // Behind whatever the store's thread is telling just now.
        self.parts.store.run(|_| Ok(())).await.unwrap();
        let batch = self.parts.events.subscribe(&profile.parse().unwrap(), None, None).take().await.unwrap();
        let lines = batch.passing.iter().map(|line| String::from_utf8_lossy(line).into_owned());
        lines.filter(|line| line.starts_with("event: held\n")).collect()
    }

    async fn pictures(&self, profile: &str) -> usize {
        self.parts.artifacts.page(&profile.parse().unwrap(), Default::default(), None, 100).await.unwrap().0.len()
    }
}

/// Plays every engine that is started: paints at once, but a prompt of "wait" until it is cancelled, and dies
/// over "die" after its first picture. It finds its card full at a job's first order for "full once", and at each for "full".
async fn play(mut parts: mpsc::UnboundedReceiver<Scripted>, started: mpsc::UnboundedSender<String>) {
    while let Some(mut part) = parts.recv().await {
        let (stream, started) = (part.stream.take().unwrap(), started.clone());
        tokio::spawn(async move {
            let exit = tokio::select! {
                exit = one_life(stream, &started) => exit,
                _ = part.signals.recv() => Exit::Signal(15),
            };
            let _ = part.exit.send(exit);
        });
    }
}

async fn one_life(mut stream: UnixStream, started: &mpsc::UnboundedSender<String>) -> Exit {
    let mut orders = HashMap::<JobId, u32>::new();
    loop {
        let mut prefix = [0; 4];
        if stream.read_exact(&mut prefix).await.is_err() {
            return Exit::Code(0);
        }
        let mut body = vec![0; frame::body_length(prefix).unwrap()];
        stream.read_exact(&mut body).await.unwrap();
        let answers = match frame::decode::<ToEngine>(&body).unwrap() {
            ToEngine::Hello { .. } => vec![FromEngine::Hello { build: BUILD_ID.into(), device: "a test".into(), no_gpu: None }],
            ToEngine::Scan => vec![FromEngine::Models { models: vec![], refused: vec![] }],
            ToEngine::Cancel { job } => vec![FromEngine::Cancelled { job }],
            ToEngine::Generate { job, recipe, .. } => {
                let _ = started.send(recipe.prompt.clone());
                let order = *orders.entry(job.clone()).and_modify(|order| *order += 1).or_insert(1);
                match recipe.prompt.as_str() {
                    "full once" if order == 1 => vec![full(job)],
                    "full" => vec![full(job)],
                    _ => paint(&job, &recipe),
                }
            }
            _ => vec![],
        };
        let dies = answers.is_empty();
        for answer in answers {
            stream.write_all(&frame::encode(&answer).unwrap()).await.unwrap();
            if matches!(&answer, FromEngine::Picture { thumb, .. } if thumb == b"last") {
                return Exit::Signal(9);
            }
        }
        if dies {
            return Exit::Code(1);
        }
    }
}

fn paint(job: &JobId, recipe: &Recipe) -> Vec<FromEngine> {
    let step = |step| FromEngine::Step { job: job.clone(), step, steps: 8, eta_s: 1.0, preview: Some(vec![1, 2, 3]) };
    let picture = |index, thumb: &[u8]| FromEngine::Picture {
        job: job.clone(),
        index,
        width: 64,
        height: 64,
        file: format!("picture {index} of {job}").into(),
        thumb: thumb.into(),
    };
    match recipe.prompt.as_str() {
        "wait" => vec![step(1)],
        "die" => vec![step(1), picture(0, b"last")],
        "no" => vec![FromEngine::Failed { job: job.clone(), problem: Problem::new("No.") }],
        _ => vec![step(1), picture(0, b"t"), picture(1, b"t"), FromEngine::Done { job: job.clone(), seconds: 0.5 }],
    }
}

fn full(job: JobId) -> FromEngine {
    FromEngine::GpuFull { job, problem: Problem::new("This needs 3 GB, and 1 GB are free.").remedy("Choose a smaller size.") }
}

#[tokio::test]
async fn a_job_that_finds_the_card_full_asks_others_once_and_goes_on() {
    let folder = tempfile::tempdir().unwrap();
    let mut studio = Studio::open(folder.path()).await;
    let id = studio.submit("ada", "full once").await;
    let job = studio.until("ada", &id, "done").await;
    assert_eq!((job.artifacts.len(), studio.others.asked.load(Ordering::Relaxed)), (2, 1));
    assert_eq!(studio.jobs.get(&"ada".parse().unwrap(), &id).await.unwrap().unwrap().error, None);
    while studio.started.try_recv().is_ok() {}
    let id = studio.submit("ada", "full").await;
    let error = studio.until("ada", &id, "failed").await.error.unwrap();
    assert_eq!(error.what, "This needs 3 GB, and 1 GB are free. Card: ComfyUI holds 14.0 GB.");
    assert_eq!(error.remedy, "Choose a smaller size.");
    assert_eq!(std::iter::from_fn(|| studio.started.try_recv().ok()).count(), 2, "it is sent twice, and no more");
}

#[tokio::test]
async fn a_job_that_waits_for_room_can_be_cancelled() {
    let folder = tempfile::tempdir().unwrap();
    let studio = Studio::open(folder.path()).await;
    *studio.others.mood.lock().unwrap() = Mood::Silent;
    let id = studio.submit("ada", "full").await;
    while studio.others.asked.load(Ordering::Relaxed) == 0 {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    assert!(studio.state("ada", &id).await.error.unwrap().what.contains("waits for tools"));
    let held = studio.held("ada").await;
    assert!(matches!(&held[..], [line] if line.contains("waits for tools")), "who looks on is told: {held:?}");
    studio.jobs.cancel(&"ada".parse().unwrap(), &id).await.unwrap();
    let job = studio.until("ada", &id, "cancelled").await;
    assert_eq!((job.error, studio.held("ada").await), (None, Vec::new()));
    let next = studio.submit("bob", "b").await;
    studio.until("bob", &next, "done").await;
}

#[tokio::test]
async fn a_fault_in_a_jobs_task_fails_that_job_and_its_engine_takes_the_next() {
    let folder = tempfile::tempdir().unwrap();
    let studio = Studio::open(folder.path()).await;
    *studio.others.mood.lock().unwrap() = Mood::Panic;
    let id = studio.submit("ada", "full").await;
    let job = studio.until("ada", &id, "failed").await;
    assert!(job.error.unwrap().what.contains("stumbled"));
    let next = studio.submit("bob", "b").await;
    studio.until("bob", &next, "done").await;
}

#[tokio::test]
async fn pictures_of_a_job_are_in_its_owners_gallery_alone() {
    let folder = tempfile::tempdir().unwrap();
    let studio = Studio::open(folder.path()).await;
    let id = studio.submit("ada", "a lake").await;
    let job = studio.until("ada", &id, "done").await;
    assert_eq!((job.progress, job.artifacts.len()), (1.0, 2));
    assert_eq!(job.artifacts[1].recipe.as_ref().unwrap().seed, 2);
    assert_eq!((studio.pictures("ada").await, studio.pictures("bob").await), (2, 0));
    assert!(studio.jobs.get(&"bob".parse().unwrap(), &id).await.unwrap().is_none());
    assert!(studio.jobs.cancel(&"bob".parse().unwrap(), &id).await.unwrap().is_none());
    let artifact = studio.parts.artifacts.get(&"ada".parse().unwrap(), &job.artifacts[0].id).await.unwrap().unwrap();
    assert_eq!(studio.parts.artifacts.bytes(&artifact).await.unwrap(), format!("picture 0 of {id}").as_bytes());
}

#[tokio::test]
async fn one_job_does_not_wait_for_five_hundred_of_another() {
    let folder = tempfile::tempdir().unwrap();
    let mut studio = Studio::open(folder.path()).await;
    let first = studio.submit("ada", "wait").await;
    studio.until("ada", &first, "running").await;
    for i in 0..500 {
        studio.submit("ada", &format!("a{i}")).await;
    }
    let bobs = studio.submit("bob", "b").await;
    let place = studio.jobs.board().get(&bobs).unwrap().progress.place;
    assert_eq!(place, Some(1), "next after what runs");
    studio.jobs.cancel(&"ada".parse().unwrap(), &first).await.unwrap();
    studio.until("bob", &bobs, "done").await;
    let mut order = Vec::new();
    while let Ok(prompt) = studio.started.try_recv() {
        order.push(prompt);
    }
    assert_eq!(order.iter().position(|p| p == "b"), Some(1), "{order:?}");
}

#[tokio::test]
async fn a_job_that_has_left_the_queue_has_no_place_in_it() {
    let folder = tempfile::tempdir().unwrap();
    let studio = Studio::open(folder.path()).await;
    let ada: ProfileId = "ada".parse().unwrap();
    let hears = async |what: &str| {
        // Behind whatever the store's thread is telling just now.
        studio.parts.store.run(|_| Ok(())).await.unwrap();
        let batch = studio.parts.events.subscribe(&ada, None, None).take().await.unwrap();
        batch.passing.iter().filter(|line| line.starts_with(format!("event: {what}\n").as_bytes())).count()
    };
    let (first, second) = (studio.submit("ada", "wait").await, studio.submit("ada", "wait").await);
    studio.until("ada", &first, "running").await;
    assert_eq!(hears("place").await, 1, "of the second");
    studio.jobs.cancel(&ada, &first).await.unwrap();
    studio.until("ada", &second, "running").await;
    assert_eq!(hears("place").await, 0, "a new listener, as after a reload");
    studio.jobs.cancel(&ada, &second).await.unwrap();
    studio.until("ada", &second, "cancelled").await;
    assert_eq!((hears("place").await, hears("step").await), (0, 0));
}

#[tokio::test]
async fn the_engines_third_death_fails_a_job_and_others_go_on() {
    let folder = tempfile::tempdir().unwrap();
    let mut studio = Studio::open(folder.path()).await;
    let deadly = studio.submit("ada", "die").await;
    let harmless = studio.submit("bob", "b").await;
    let failed = studio.until("ada", &deadly, "failed").await;
    assert!(failed.error.unwrap().what.contains("died 3 times"));
    assert_eq!(failed.artifacts.len(), 1, "its first picture was kept once");
    studio.until("bob", &harmless, "done").await;
    let mut deaths = 0;
    while let Ok(prompt) = studio.started.try_recv() {
        deaths += usize::from(prompt == "die");
    }
    assert_eq!(deaths, 3);
}

#[tokio::test]
async fn waiting_and_running_jobs_can_be_cancelled() {
    let folder = tempfile::tempdir().unwrap();
    let studio = Studio::open(folder.path()).await;
    let ada = "ada".parse().unwrap();
    let (running, waiting) = (studio.submit("ada", "wait").await, studio.submit("ada", "a lake").await);
    studio.until("ada", &running, "running").await;
    assert_eq!(studio.jobs.cancel(&ada, &waiting).await.unwrap().unwrap().state, JobState::Cancelled);
    studio.jobs.cancel(&ada, &running).await.unwrap().unwrap();
    studio.until("ada", &running, "cancelled").await;
    assert_eq!(studio.pictures("ada").await, 0);
}

#[tokio::test]
async fn what_the_engine_refuses_is_failed_in_its_words() {
    let folder = tempfile::tempdir().unwrap();
    let studio = Studio::open(folder.path()).await;
    let id = studio.submit("ada", "no").await;
    assert_eq!(studio.until("ada", &id, "failed").await.error.unwrap().what, "No.");
}

#[tokio::test]
async fn an_orderly_stop_costs_nothing_and_the_next_panel_goes_on() {
    let folder = tempfile::tempdir().unwrap();
    let studio = Studio::open(folder.path()).await;
    let (running, waiting) = (studio.submit("ada", "wait").await, studio.submit("ada", "a lake").await);
    studio.until("ada", &running, "running").await;
    studio.jobs.stop().await;
    studio.parts.engines.stop().await;
    assert_eq!(studio.parts.engines.view().status, EngineStatus::Stopped);
    let id = running.clone();
    let stored = studio.parts.store.read(move |c| store::jobs::get(c, &id)).await.unwrap().unwrap();
    assert_eq!((stored.state, stored.starts), (JobState::Queued, 0));
    drop(studio);
    let studio = Studio::open(folder.path()).await;
    studio.until("ada", &running, "running").await;
    studio.jobs.cancel(&"ada".parse().unwrap(), &running).await.unwrap();
    studio.until("ada", &waiting, "done").await;
}

#[tokio::test]
async fn the_same_key_is_the_same_job() {
    let folder = tempfile::tempdir().unwrap();
    let studio = Studio::open(folder.path()).await;
    let ada: ProfileId = "ada".parse().unwrap();
    let key = |request: &str| Some(Key { key: "k".into(), request: request.into() });
    let first = studio.jobs.submit(&ada, Recipe::example(), key("1")).await.unwrap();
    assert_eq!(studio.jobs.submit(&ada, Recipe::example(), key("1")).await.unwrap().id, first.id);
    assert!(matches!(studio.jobs.submit(&ada, Recipe::example(), key("2")).await, Err(SubmitError::KeyReused)));
    let bob = "bob".parse().unwrap();
    assert_ne!(studio.jobs.submit(&bob, Recipe::example(), key("1")).await.unwrap().id, first.id);
}

#[tokio::test]
async fn a_job_is_taken_only_with_the_pictures_that_it_needs() {
    let folder = tempfile::tempdir().unwrap();
    let studio = Studio::open(folder.path()).await;
    let (ada, bob): (ProfileId, ProfileId) = ("ada".parse().unwrap(), "bob".parse().unwrap());
    let pixels = media::Rgb8::new(8, 8, vec![90; 8 * 8 * 3]).unwrap();
    let upload = studio.parts.uploads.whole(&ada, media::thumb::thumbnail(&pixels).unwrap()).await.unwrap();
    let image = Some(ImageRef::Upload(upload.sha256));
    let key = Key { key: "k".into(), request: "1".into() };
    let wanted = Recipe { strength: Some(0.5), image: image.clone(), ..Recipe::example() };
    let lacking = Recipe { mask: Some(ImageRef::Upload("0".repeat(64))), ..wanted.clone() };
    let refused = studio.jobs.submit(&ada, lacking, Some(key.clone())).await;
    assert!(matches!(refused, Err(SubmitError::NoPicture("mask", _))), "{refused:?}");
    let anothers = studio.jobs.submit(&bob, wanted.clone(), None).await;
    assert!(matches!(anothers, Err(SubmitError::NoPicture("image", i)) if Some(&i) == image.as_ref()));
    assert!(studio.jobs.made_by(&ada, &key).await.unwrap().is_none(), "what is refused uses no key up");
    let taken = studio.jobs.submit(&ada, wanted, Some(key.clone())).await.unwrap();
    assert_eq!(studio.jobs.made_by(&ada, &key).await.unwrap().unwrap().id, taken.id);
    studio.until("ada", &taken.id, "done").await;
}

#[tokio::test]
async fn two_engines_work_for_two_profiles_at_once() {
    let folder = tempfile::tempdir().unwrap();
    let studio = Studio::with_engines(2, folder.path()).await;
    studio.parts.engines.watch().wait_for(|all| all.iter().all(|view| view.status == EngineStatus::Ready)).await.unwrap();
    let (first, second) = (studio.submit("ada", "wait").await, studio.submit("ada", "wait").await);
    studio.until("ada", &first, "running").await;
    studio.until("ada", &second, "running").await;
    let bobs = studio.submit("bob", "wait").await;
    assert_eq!(studio.jobs.board().get(&bobs).unwrap().progress.place, Some(1));
    studio.jobs.cancel(&"ada".parse().unwrap(), &second).await.unwrap().unwrap();
    studio.until("ada", &second, "cancelled").await;
    studio.until("bob", &bobs, "running").await;
    assert_eq!(studio.state("ada", &first).await.state, "running", "nobody cancelled it");
    studio.jobs.stop().await;
    for (profile, id) in [("ada", &first), ("bob", &bobs)] {
        assert_eq!(studio.state(profile, id).await.state, "queued", "an orderly stop waits for both");
    }
}

#[tokio::test]
async fn an_engine_that_dies_takes_no_other_job_along() {
    let folder = tempfile::tempdir().unwrap();
    let studio = Studio::with_engines(2, folder.path()).await;
    studio.parts.engines.watch().wait_for(|all| all.iter().all(|view| view.status == EngineStatus::Ready)).await.unwrap();
    let waits = studio.submit("ada", "wait").await;
    studio.until("ada", &waits, "running").await;
    let deadly = studio.submit("bob", "die").await;
    assert!(studio.until("bob", &deadly, "failed").await.error.unwrap().what.contains("died 3 times"));
    let id = waits.clone();
    let stored = studio.parts.store.read(move |c| store::jobs::get(c, &id)).await.unwrap().unwrap();
    assert_eq!((stored.state, stored.starts, stored.engine_deaths), (JobState::Running, 1, 0));
    let free = studio.submit("ada", "a lake").await;
    studio.until("ada", &free, "done").await;
}
