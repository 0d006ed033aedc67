//! An engine whose part is played by the test, over a real socket.

use super::*;
use protocol::{BUILD_ID, Format, NoGpu, Problem, Sampler, Schedule, frame};
use supervise::{Exit, Scripted, ScriptedSpawner};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::UnixStream,
};

fn quick() -> Policy {
    Policy { first_wait: Duration::from_millis(5), ..Policy::default() }
}

fn recipe() -> Recipe {
    Recipe {
        model: "tiny".into(),
        prompt: String::new(),
        negative_prompt: String::new(),
        width: 64,
        height: 64,
        steps: 1,
        guidance: 1.0,
        sampler: Sampler::Euler,
        schedule: Schedule::Plain,
        eta: 0.0,
        guidance_rescale: 0.0,
        clip_skip: 1,
        seed: 0,
        batch: 1,
        strength: None,
        image: None,
        mask: None,
        format: Format::Png,
    }
}

async fn hear(stream: &mut UnixStream) -> ToEngine {
    let mut prefix = [0; 4];
    stream.read_exact(&mut prefix).await.unwrap();
    let mut body = vec![0; frame::body_length(prefix).unwrap()];
    stream.read_exact(&mut body).await.unwrap();
    frame::decode(&body).unwrap()
}

async fn say(stream: &mut UnixStream, message: &FromEngine) {
    stream.write_all(&frame::encode(message).unwrap()).await.unwrap();
}

/// Plays the beginning of every engine's life.
async fn greet(part: &mut Scripted) -> UnixStream {
    greet_from(part, "a test", None).await
}

fn unusable() -> NoGpu {
    NoGpu::Unusable("No GPU is used.".into())
}

async fn greet_from(part: &mut Scripted, device: &str, no_gpu: Option<NoGpu>) -> UnixStream {
    let mut stream = part.stream.take().unwrap();
    assert!(matches!(hear(&mut stream).await, ToEngine::Hello { .. }));
    say(&mut stream, &FromEngine::Hello { build: BUILD_ID.into(), device: device.into(), no_gpu }).await;
    assert_eq!(hear(&mut stream).await, ToEngine::Scan);
    say(&mut stream, &FromEngine::Models { models: vec![], refused: vec![] }).await;
    stream
}

async fn ready(client: &EngineClient) {
    client.views.clone().wait_for(|all| all[0].status == EngineStatus::Ready).await.unwrap();
}

fn one(spawner: ScriptedSpawner) -> EngineClient {
    so_many(1, spawner).each()[0].clone()
}

fn so_many(count: usize, spawner: ScriptedSpawner) -> Engines {
    let spawner: Arc<dyn Spawner> = Arc::new(spawner);
    Engines::start(vec![Launch::new("toy").with_stream(); count], quick(), &spawner)
}

fn order(job: &str) -> Order {
    Order { job: JobId(job.into()), recipe: recipe(), image: None, mask: None }
}

#[tokio::test]
async fn a_death_is_told_to_whoever_waits_and_the_next_engine_works() {
    let (spawner, mut parts) = ScriptedSpawner::new();
    let client = one(spawner);
    assert_eq!(client.generate(order("early")).recv().await, Some(EngineEvent::NotSent));

    let mut part = parts.recv().await.unwrap();
    let mut stream = greet(&mut part).await;
    ready(&client).await;
    let mut events = client.generate(order("one"));
    assert!(matches!(hear(&mut stream).await, ToEngine::Generate { .. }));
    part.stderr.write_all(b"out of memory\n").await.unwrap();
    drop((stream, part.stderr));
    part.exit.send(Exit::Signal(9)).unwrap();
    let Some(EngineEvent::Died(log)) = events.recv().await else { panic!("no word of its death") };
    assert!(log.len() == 2 && log[0] == "out of memory" && log[1].contains("signal 9"), "{log:?}");

    let mut part = parts.recv().await.unwrap();
    let mut stream = greet(&mut part).await;
    ready(&client).await;
    let mut events = client.generate(order("two"));
    assert!(matches!(hear(&mut stream).await, ToEngine::Generate { .. }));
    let failed = FromEngine::Failed { job: JobId("two".into()), problem: Problem::new("no") };
    say(&mut stream, &failed).await;
    assert_eq!(events.recv().await, Some(EngineEvent::Told(failed)));
    assert_eq!(events.recv().await, None);
}

#[tokio::test]
async fn an_engine_that_hung_up_takes_no_work_though_its_process_is_still_there() {
    let (spawner, mut parts) = ScriptedSpawner::new();
    let client = one(spawner);
    let mut part = parts.recv().await.unwrap();
    let stream = greet(&mut part).await;
    ready(&client).await;
    drop(stream);
    let mut views = client.views.clone();
    let away = views.wait_for(|all| matches!(all[0].status, EngineStatus::Restarting { .. }));
    tokio::time::timeout(Duration::from_secs(1), away).await.expect("nobody was told").unwrap();
    assert_eq!(client.generate(order("one")).recv().await, Some(EngineEvent::NotSent));
}

#[tokio::test]
async fn an_engine_of_another_build_is_not_spoken_to() {
    let (spawner, mut parts) = ScriptedSpawner::new();
    let client = one(spawner);
    let mut part = parts.recv().await.unwrap();
    let mut stream = part.stream.take().unwrap();
    hear(&mut stream).await;
    say(&mut stream, &FromEngine::Hello { build: "another".into(), device: String::new(), no_gpu: None }).await;
    assert_eq!(part.signals.recv().await, Some(supervise::Signal::Kill));
    assert_ne!(client.view().status, EngineStatus::Ready);
}

#[tokio::test]
async fn tokens_are_counted_while_a_job_runs() {
    let (spawner, mut parts) = ScriptedSpawner::new();
    let client = one(spawner);
    let mut part = parts.recv().await.unwrap();
    let mut stream = greet(&mut part).await;
    ready(&client).await;
    let _events = client.generate(order("one"));
    assert!(matches!(hear(&mut stream).await, ToEngine::Generate { .. }));
    let count = tokio::spawn(async move { client.count_tokens("tiny", "a lake").await });
    let ToEngine::CountTokens { ask, .. } = hear(&mut stream).await else { panic!("not asked") };
    say(&mut stream, &FromEngine::Tokens { ask, tokens: Some(2), chunks: 1 }).await;
    assert_eq!(count.await.unwrap(), Some(Tokens { tokens: Some(2), chunks: 1 }));
}

#[tokio::test]
async fn an_engine_without_a_gpu_is_set_aside_once_another_has_one() {
    let (spawner, mut parts) = ScriptedSpawner::new();
    let engines = so_many(2, spawner);
    let (mut slow, mut fast) = (parts.recv().await.unwrap(), parts.recv().await.unwrap());
    let _stream = greet_from(&mut slow, "CPU, 2 cores", Some(unusable())).await;
    let mut views = engines.watch();
    views.wait_for(|all| all.iter().any(|view| view.status == EngineStatus::Ready)).await.unwrap();
    assert_eq!((engines.working(), engines.view().status), (0, EngineStatus::Starting), "the other may have one");
    let _stream = greet_from(&mut fast, "H100, f16", None).await;
    assert_eq!(slow.signals.recv().await, Some(supervise::Signal::Terminate));
    slow.exit.send(Exit::Code(0)).unwrap();
    let one_is = |all: &[EngineView], status: EngineStatus| all.iter().any(|view| view.status == status);
    views.wait_for(|all| one_is(all, EngineStatus::Stopped) && one_is(all, EngineStatus::Ready)).await.unwrap();
    let stopped = engines.views().into_iter().find(|view| view.status == EngineStatus::Stopped).unwrap();
    assert_eq!(stopped.no_gpu, Some(unusable()));
    let together = engines.view();
    assert_eq!((engines.working(), together.status, together.device.as_str()), (1, EngineStatus::Ready, "H100, f16"));
    // Somebody has mended its card.
    let aside = engines.each().iter().find(|engine| engine.view().status == EngineStatus::Stopped).unwrap();
    aside.restart();
    let mut mended = parts.recv().await.unwrap();
    let _stream = greet_from(&mut mended, "H100, f16", None).await;
    views.wait_for(|all| all.iter().all(|view| view.status == EngineStatus::Ready)).await.unwrap();
    assert_eq!((engines.working(), engines.view().device.as_str()), (2, "2 × H100, f16"));
}

#[tokio::test]
async fn an_engine_whose_gpu_is_taken_looks_again_by_itself_until_it_has_it() {
    let (spawner, mut parts) = ScriptedSpawner::new();
    let client = one(spawner);
    for _ in 0..3 {
        let mut part = parts.recv().await.unwrap();
        let taken = NoGpu::Taken("The GPU's memory is full.".into());
        let _stream = greet_from(&mut part, "CPU, 2 cores", Some(taken.clone())).await;
        ready(&client).await;
        assert_eq!(client.view().no_gpu, Some(taken));
        assert_eq!(part.signals.recv().await, Some(supervise::Signal::Terminate));
        let EngineView { status, device, no_gpu, .. } = client.view();
        assert_eq!((status, device.as_str(), no_gpu), (EngineStatus::Starting, "", None));
        part.exit.send(Exit::Code(0)).unwrap();
    }
    let mut part = parts.recv().await.unwrap();
    let _stream = greet_from(&mut part, "H100, f16", None).await;
    ready(&client).await;
    assert_eq!(client.view().no_gpu, None);
}

#[tokio::test]
async fn a_restart_waits_for_the_job_and_brings_back_what_gave_up() {
    let (spawner, mut parts) = ScriptedSpawner::new();
    let client = one(spawner);
    let mut part = parts.recv().await.unwrap();
    let mut stream = greet(&mut part).await;
    ready(&client).await;
    let mut events = client.generate(order("one"));
    assert!(matches!(hear(&mut stream).await, ToEngine::Generate { .. }));
    client.restart();
    client.views.clone().wait_for(|all| all[0].restarts).await.unwrap();
    let done = FromEngine::Done { job: JobId("one".into()), seconds: 1.0 };
    say(&mut stream, &done).await;
    assert_eq!(events.recv().await, Some(EngineEvent::Told(done)));
    assert_eq!(client.generate(order("two")).recv().await, Some(EngineEvent::NotSent), "it is on its way out");
    assert_eq!(part.signals.recv().await, Some(supervise::Signal::Terminate));
    assert_eq!((client.view().status, client.view().restarts), (EngineStatus::Starting, false));
    part.exit.send(Exit::Code(0)).unwrap();

    let part = parts.recv().await.unwrap();
    part.exit.send(Exit::Code(3)).unwrap();
    client.views.clone().wait_for(|all| matches!(all[0].status, EngineStatus::Failed { .. })).await.unwrap();
    client.restart();
    let mut part = parts.recv().await.unwrap();
    let _stream = greet(&mut part).await;
    ready(&client).await;
}

#[tokio::test]
async fn a_cancel_reaches_the_engine_that_has_the_job_and_no_other() {
    let (spawner, mut parts) = ScriptedSpawner::new();
    let engines = so_many(2, spawner);
    let (mut processes, mut streams) = (Vec::new(), Vec::new());
    for _ in 0..2 {
        processes.push(parts.recv().await.unwrap());
        streams.push(greet(processes.last_mut().unwrap()).await);
    }
    engines.watch().wait_for(|all| all.iter().all(|view| view.status == EngineStatus::Ready)).await.unwrap();
    let mut running: Vec<_> = engines.each().iter().zip(["one", "two"]).map(|(e, id)| e.generate(order(id))).collect();
    let mut jobs = Vec::new();
    for stream in &mut streams {
        let ToEngine::Generate { job, .. } = hear(stream).await else { panic!("no job") };
        jobs.push(job);
    }
    let (id, step) = (JobId("two".into()), |job| FromEngine::Step { job, step: 1, steps: 2, eta_s: 1.0, preview: None });
    engines.cancel(&id);
    // Behind a cancel that it had heard.
    engines.leave_gpus();
    for (stream, job) in streams.iter_mut().zip(jobs) {
        if job == id {
            assert_eq!(hear(stream).await, ToEngine::Cancel { job: id.clone() });
        }
        assert_eq!(hear(stream).await, ToEngine::Unload);
        say(stream, &step(job)).await;
    }
    for events in &mut running {
        assert!(matches!(events.recv().await, Some(EngineEvent::Told(FromEngine::Step { .. }))));
    }
    assert!(engines.views().iter().all(|view| view.loaded.as_deref() == Some("tiny")));
}
