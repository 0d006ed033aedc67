//! Models on their way with a worker that the test plays: what is stored, what goes on after a restart, what is given up.

use super::*;
use crate::store::Guard;
use std::{
    sync::atomic::{AtomicBool, Ordering},
    time::Duration,
};
use supervise::{Exit, Scripted, ScriptedSpawner};
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};

const URL: &str = "https://models.example/files/tiny.safetensors";

struct Studio {
    models: Models,
    store: Store,
    workers: mpsc::UnboundedReceiver<Scripted>,
}

async fn open(folder: &TempDir) -> Studio {
    open_with(folder, Store::open(&folder.path().join("state")).unwrap(), Clock::real()).await
}

async fn open_with(folder: &TempDir, store: Store, clock: Clock) -> Studio {
    let (spawner, workers) = ScriptedSpawner::new();
    let config = Config::for_tests(folder.path());
    let audit = Audit::new(store.clone(), clock.clone());
    let models = Models::open(&config, store.clone(), clock, audit, Arc::new(spawner)).await.unwrap();
    Studio { models, store, workers }
}

fn wish(url: &str) -> Wish {
    Wish { url: Secret::new(url), name: None, sha256: None, token: None }
}

/// A worker in the test's hands.
struct Played {
    worker: Scripted,
    stream: BufReader<tokio::net::UnixStream>,
}

impl Studio {
    async fn worker(&mut self) -> Played {
        let mut worker = self.workers.recv().await.unwrap();
        let stream = BufReader::new(worker.stream.take().unwrap());
        Played { worker, stream }
    }

    async fn until(&self, what: &str, is: impl Fn(&[ArrivalView]) -> bool) {
        for _ in 0..500 {
            if is(&self.models.list()) {
                return;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        panic!("never {what}: {:?}", self.models.list());
    }

    async fn stored(&self) -> Vec<arrivals::Arrival> {
        self.store.read(|c| arrivals::all(c)).await.unwrap()
    }

    async fn deeds(&self) -> Vec<String> {
        let audit = Audit::new(self.store.clone(), Clock::real());
        audit.page(crate::audit::Filter::default(), None, 50).await.unwrap().into_iter().map(|l| l.deed.what).collect()
    }
}

impl Played {
    async fn hear(&mut self) -> ToModelWorker {
        let mut line = String::new();
        self.stream.read_line(&mut line).await.unwrap();
        serde_json::from_str(&line).unwrap()
    }

    async fn tell(&mut self, message: protocol::FromModelWorker) {
        let mut line = serde_json::to_vec(&message).unwrap();
        line.push(b'\n');
        self.stream.get_mut().write_all(&line).await.unwrap();
    }
}

#[tokio::test]
async fn a_download_tells_how_it_goes_and_is_forgotten_once_it_is_there() {
    use protocol::FromModelWorker::*;
    let folder = tempfile::tempdir().unwrap();
    let mut studio = open(&folder).await;
    studio.models.download("ada", wish(URL)).await.unwrap();
    assert_eq!(studio.stored().await[0].url.as_deref(), Some(URL));
    let mut played = studio.worker().await;
    let args: Vec<String> = played.worker.launch.args.iter().map(|a| a.to_string_lossy().into_owned()).collect();
    assert!(args.contains(&"work".to_owned()) && !args.iter().any(|a| a.contains("example")), "{args:?}");
    let ToModelWorker::Download { url, private: false, .. } = played.hear().await else { panic!("another task") };
    assert_eq!(url, URL);
    played.tell(Named { name: "tiny.safetensors".into() }).await;
    played.tell(Progress { done: 5, total: Some(9) }).await;
    studio.until("half there", |l| l[0].done == 5 && l[0].name.is_some() && l[0].state == "running").await;
    let twice = Wish { name: Some("tiny.safetensors".into()), ..wish(URL) };
    assert!(matches!(studio.models.download("ada", twice).await, Err(ModelError::Clash(_))), "two into one file");
    played.tell(Added { id: "tiny".into(), name: "tiny.safetensors".into() }).await;
    studio.until("there", |l| l[0].state == "done" && l[0].model.as_deref() == Some("tiny")).await;
    // What is told comes before what is written down.
    for _ in 0..500 {
        if studio.stored().await.is_empty() && studio.deeds().await.len() == 2 {
            break;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    assert!(studio.stored().await.is_empty());
    assert_eq!(studio.deeds().await, ["added: tiny", "asked for a download from models.example"]);
}

#[tokio::test]
async fn what_failed_can_be_started_again_and_given_up() {
    let folder = tempfile::tempdir().unwrap();
    let mut studio = open(&folder).await;
    let id = studio.models.download("ada", wish(URL)).await.unwrap();
    let mut played = studio.worker().await;
    played.hear().await;
    played.tell(protocol::FromModelWorker::Failed { why: "the server answers 503".into() }).await;
    studio.until("failed", |l| l[0].error.as_deref() == Some("The server answers 503.") && l[0].again).await;
    studio.models.again(&id).unwrap();
    let mut played = studio.worker().await;
    played.hear().await;
    studio.models.cancel("ada", &id).await.unwrap();
    assert_eq!(played.hear().await, ToModelWorker::Cancel);
    assert!(studio.models.list().is_empty() && studio.stored().await.is_empty());
    assert!(matches!(studio.models.cancel("ada", &id).await, Err(ModelError::Unknown)));
}

/// The name is known only once the server has told it: the second worker finds the file taken.
#[tokio::test]
async fn putting_away_an_address_that_was_asked_for_twice_leaves_the_first_its_file() {
    use protocol::FromModelWorker::*;
    let folder = tempfile::tempdir().unwrap();
    let mut studio = open(&folder).await;
    let part = folder.path().join("models/.tiny.safetensors.part");
    let (mut ids, mut workers) = (Vec::new(), Vec::new());
    for _ in 0..2 {
        ids.push(studio.models.download("ada", wish(URL)).await.unwrap());
        let mut played = studio.worker().await;
        played.hear().await;
        played.tell(Named { name: "tiny.safetensors".into() }).await;
        workers.push(played);
    }
    std::fs::write(&part, "half").unwrap();
    let fail = async |played: &mut Played| played.tell(Failed { why: "this file is being downloaded already".into() }).await;
    let is_failed = |list: &[ArrivalView], id: &String| list.iter().any(|a| a.id == *id && a.state == "failed");
    fail(&mut workers[1]).await;
    studio.until("the second failed", |list| is_failed(list, &ids[1])).await;
    studio.until("the first has its name", |list| list.iter().all(|a| a.name.is_some())).await;
    studio.models.cancel("ada", &ids[1]).await.unwrap();
    assert!(part.exists(), "the first writes it");
    fail(&mut workers[0]).await;
    studio.until("the first failed", |list| is_failed(list, &ids[0])).await;
    studio.models.cancel("ada", &ids[0]).await.unwrap();
    assert!(!part.exists());
}

#[tokio::test]
async fn a_worker_that_dies_says_how() {
    let folder = tempfile::tempdir().unwrap();
    let mut studio = open(&folder).await;
    studio.models.download("ada", wish(URL)).await.unwrap();
    let mut played = studio.worker().await;
    played.hear().await;
    played.worker.exit.send(Exit::Signal(9)).unwrap();
    drop((played.stream, played.worker.stderr));
    studio.until("failed", |l| l[0].error.as_ref().is_some_and(|e| e.contains("killed"))).await;
}

#[tokio::test]
async fn downloads_go_on_after_a_restart_and_no_secret_is_stored() {
    let folder = tempfile::tempdir().unwrap();
    let mut studio = open(&folder).await;
    studio.models.download("ada", wish(URL)).await.unwrap();
    studio.models.download("ada", wish("https://models.example/x.safetensors?token=canary")).await.unwrap();
    let stored = studio.stored().await;
    assert!(stored.iter().all(|a| !format!("{a:?}").contains("canary")), "{stored:?}");
    studio.worker().await;
    drop(studio);
    let mut again = open(&folder).await;
    let ToModelWorker::Download { url, .. } = again.worker().await.hear().await else { panic!("another task") };
    assert_eq!(url, URL);
    let list = again.models.list();
    // Both were begun within one millisecond, so either may stand first.
    let failed = list.iter().find(|a| a.state == "failed").unwrap_or_else(|| panic!("{list:?}"));
    assert!(failed.error.as_ref().unwrap().contains("question mark") && !failed.again, "{list:?}");
}

#[tokio::test]
async fn an_upload_goes_on_where_it_stopped_and_is_checked_before_it_has_a_name() {
    use protocol::FromModelWorker::*;
    let folder = tempfile::tempdir().unwrap();
    let studio = open(&folder).await;
    let begin = |name: &str, bytes| studio.models.begin_upload("ada", name.into(), bytes, None);
    for name in ["x.ckpt", "../x.safetensors", ".x.safetensors", "a/b.safetensors", ""] {
        assert!(matches!(begin(name, 5).await, Err(ModelError::Field("name", _))), "{name}");
    }
    assert!(matches!(begin("x.safetensors", MAX_BYTES + 1).await, Err(ModelError::TooLarge(_))));
    let id = begin("x.safetensors", 10).await.unwrap().0;
    let piece = |offset, bytes: &[u8]| studio.models.piece("ada", &id, offset, bytes.to_vec());
    assert_eq!(piece(0, b"01234").await.unwrap(), Stage::Offset(5));
    assert!(matches!(piece(3, b"34").await, Err(ModelError::WrongOffset(5))));
    assert!(matches!(piece(5, b"567890").await, Err(ModelError::TooLarge(_))));
    drop(studio);
    let mut studio = open(&folder).await;
    assert_eq!(studio.models.upload_offset(&id).await.unwrap(), 5, "the panel was started again");
    assert_eq!(studio.models.list()[0].done, 5);
    let last = tokio::spawn({
        let (models, id) = (studio.models.clone(), id.clone());
        async move { models.piece("ada", &id, 5, b"56789".to_vec()).await }
    });
    let mut played = studio.worker().await;
    let ToModelWorker::Take { part, name } = played.hear().await else { panic!("another task") };
    assert_eq!(std::fs::read(folder.path().join("models").join(&part)).unwrap(), b"0123456789");
    assert!(part.starts_with('.') && name == "x.safetensors", "{part} {name}");
    played.tell(Added { id: "x".into(), name }).await;
    assert_eq!(last.await.unwrap().unwrap(), Stage::Complete("x".into()));
    assert!(studio.stored().await.is_empty());
    // The answer was lost on its way: it is given again.
    assert_eq!(studio.models.upload_offset(&id).await.unwrap(), 10);
    assert_eq!(studio.models.piece("ada", &id, 10, Vec::new()).await.unwrap(), Stage::Complete("x".into()));
}

#[tokio::test]
async fn a_whole_upload_becomes_a_model_without_its_sender() {
    let folder = tempfile::tempdir().unwrap();
    let mut studio = open(&folder).await;
    let (id, _) = studio.models.begin_upload("ada", "x.safetensors".into(), 5, None).await.unwrap();
    let last = tokio::spawn({
        let (models, id) = (studio.models.clone(), id.clone());
        async move { models.piece("ada", &id, 0, b"01234".to_vec()).await }
    });
    let mut played = studio.worker().await;
    let ToModelWorker::Take { name, .. } = played.hear().await else { panic!("another task") };
    // Its connection is cut.
    last.abort();
    let busy = studio.models.piece("ada", &id, 5, Vec::new()).await;
    assert!(matches!(busy, Err(ModelError::Clash(_))), "it is looked at twice: {busy:?}");
    played.tell(protocol::FromModelWorker::Added { id: "x".into(), name }).await;
    studio.until("there", |l| l[0].state == "done").await;
    // Written down, it is let go of.
    let asked = async {
        loop {
            match studio.models.piece("ada", &id, 5, Vec::new()).await {
                Err(ModelError::Clash(_)) => tokio::time::sleep(Duration::from_millis(10)).await,
                answer => return answer,
            }
        }
    };
    let answer = tokio::time::timeout(Duration::from_secs(10), asked).await.expect("it is let go of");
    assert_eq!(answer.unwrap(), Stage::Complete("x".into()));
}

/// As on a full disk, which takes no change of the store before there is space.
#[tokio::test]
async fn what_is_given_up_makes_room_though_the_store_refuses_and_stays_listed_until_it_does_not() {
    let folder = tempfile::tempdir().unwrap();
    let takes = Arc::new(AtomicBool::new(true));
    let guard = Guard(Arc::new({
        let takes = Arc::clone(&takes);
        move || takes.load(Ordering::Relaxed)
    }));
    let store = Store::open(&folder.path().join("state")).unwrap().guarded(Some(guard));
    let studio = open_with(&folder, store, Clock::real()).await;
    let (id, _) = studio.models.begin_upload("ada", "x.safetensors".into(), 10, None).await.unwrap();
    studio.models.piece("ada", &id, 0, b"01234".to_vec()).await.unwrap();
    let part = folder.path().join("models").join(uploads::part_of(&id));
    assert!(part.exists());
    takes.store(false, Ordering::Relaxed);
    let refused = studio.models.cancel("ada", &id).await;
    assert!(matches!(refused, Err(ModelError::Store(_))), "{refused:?}");
    assert!(!part.exists() && studio.models.list()[0].id == id);
    takes.store(true, Ordering::Relaxed);
    studio.models.cancel("ada", &id).await.unwrap();
    assert!(studio.models.list().is_empty() && studio.stored().await.is_empty());
}

#[tokio::test]
async fn giving_up_an_upload_waits_for_the_worker_that_has_it_and_leaves_what_is_another_ones() {
    let folder = tempfile::tempdir().unwrap();
    let mut studio = open(&folder).await;
    let (id, _) = studio.models.begin_upload("ada", "x.safetensors".into(), 5, None).await.unwrap();
    let models = folder.path().join("models");
    // Of a download whose server has told the same name.
    std::fs::write(models.join(".x.safetensors.part"), "half").unwrap();
    let last = tokio::spawn({
        let (models, id) = (studio.models.clone(), id.clone());
        async move { models.piece("ada", &id, 0, b"01234".to_vec()).await }
    });
    let mut played = studio.worker().await;
    let ToModelWorker::Take { part, .. } = played.hear().await else { panic!("another task") };
    let given_up = tokio::spawn({
        let (models, id) = (studio.models.clone(), id.clone());
        async move { models.cancel("ada", &id).await }
    });
    tokio::time::sleep(Duration::from_millis(100)).await;
    assert!(models.join(&part).exists() && !given_up.is_finished(), "a worker looks at it");
    drop(played);
    assert!(matches!(last.await.unwrap(), Err(ModelError::Broken(_))));
    given_up.await.unwrap().unwrap();
    assert!(studio.models.list().is_empty() && studio.stored().await.is_empty());
    assert!(!models.join(&part).exists() && models.join(".x.safetensors.part").exists());
}

#[tokio::test]
async fn after_a_week_an_upload_is_given_up_that_nobody_went_on_with_and_no_other() {
    let folder = tempfile::tempdir().unwrap();
    let clock = Clock::at(jiff::Timestamp::from_second(1_800_000_000).unwrap());
    let store = Store::open(&folder.path().join("state")).unwrap();
    let mut studio = open_with(&folder, store, clock.clone()).await;
    let (left, _) = studio.models.begin_upload("ada", "left.safetensors".into(), 10, None).await.unwrap();
    let (coming, _) = studio.models.begin_upload("ada", "coming.safetensors".into(), 10, None).await.unwrap();
    let (there, _) = studio.models.begin_upload("ada", "there.safetensors".into(), 5, None).await.unwrap();
    studio.models.piece("ada", &left, 0, b"01234".to_vec()).await.unwrap();
    let last = tokio::spawn({
        let (models, there) = (studio.models.clone(), there.clone());
        async move { models.piece("ada", &there, 0, b"01234".to_vec()).await }
    });
    let mut played = studio.worker().await;
    let ToModelWorker::Take { part, name } = played.hear().await else { panic!("another task") };
    let models = folder.path().join("models");
    std::fs::rename(models.join(part), models.join(&name)).unwrap();
    played.tell(protocol::FromModelWorker::Added { id: "there".into(), name }).await;
    last.await.unwrap().unwrap();
    clock.advance(STALE + Duration::from_secs(1));
    studio.models.piece("ada", &coming, 0, b"01234".to_vec()).await.unwrap();
    let file = std::fs::File::options().write(true).open(models.join(uploads::part_of(&left))).unwrap();
    file.set_modified(std::time::SystemTime::now() - STALE - Duration::from_secs(1)).unwrap();
    studio.models.sweep().await.unwrap();
    let deeds = studio.deeds().await;
    let given_up: Vec<_> = deeds.iter().filter(|what| what.starts_with("gave up")).collect();
    assert_eq!(given_up, ["gave up: left.safetensors"]);
    assert!(!models.join(uploads::part_of(&left)).exists());
    assert!(studio.models.list().iter().any(|a| a.id == coming));
}

#[tokio::test]
async fn only_the_same_file_is_gone_on_with() {
    let folder = tempfile::tempdir().unwrap();
    let studio = open(&folder).await;
    let (one, other) = ("1".repeat(64), "2".repeat(64));
    let begin = |models: &Models, bytes, mark: &str| {
        let (models, mark) = (models.clone(), mark.to_owned());
        async move { models.begin_upload("ada", "x.safetensors".into(), bytes, Some(mark)).await }
    };
    let wrong = begin(&studio.models, 10, "2").await;
    assert!(matches!(wrong, Err(ModelError::Field("mark", _))), "{wrong:?}");
    let (id, _) = begin(&studio.models, 10, &one).await.unwrap();
    studio.models.piece("ada", &id, 0, b"01234".to_vec()).await.unwrap();
    drop(studio);
    let studio = open(&folder).await;
    assert_eq!(begin(&studio.models, 10, &one).await.unwrap(), (id, 5));
    for (bytes, mark) in [(10, &other), (11, &one)] {
        assert!(matches!(begin(&studio.models, bytes, mark).await, Err(ModelError::Clash(_))), "{bytes} {mark}");
    }
    let unmarked = studio.models.begin_upload("ada", "x.safetensors".into(), 10, None).await;
    assert!(matches!(unmarked, Err(ModelError::Clash(_))), "{unmarked:?}");
}

#[test]
fn addresses_are_looked_at_before_a_worker_is() {
    for url in ["", "ftp://a/x", "https://", "http:///x", "https://ada:secret@a/x", "https://a b/x", "https://a/\u{7}", "//a/x"] {
        assert_eq!(host_of(url), None, "{url}");
    }
    assert_eq!(host_of(&format!("https://a/{}", "x".repeat(MAX_URL))), None);
    assert_eq!(host_of("https://huggingface.co/a/b?x=1").as_deref(), Some("huggingface.co"));
    assert_eq!(host_of("http://127.0.0.1:8080").as_deref(), Some("127.0.0.1:8080"));
}
