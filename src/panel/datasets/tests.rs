//! Datasets on a real disk and store: pictures, captions, limits, what is left over.

use super::*;
use crate::events::Events;
use std::time::Duration;

mod archives;
mod captioner;

/// A studio's datasets with one profile.
pub(super) struct Place {
    pub(super) datasets: Datasets,
    pub(super) zoe: ProfileId,
    pub(super) folder: tempfile::TempDir,
    pub(super) clock: Clock,
}

impl Place {
    pub(super) async fn new() -> Place {
        Place::with(|_| {}).await
    }

    pub(super) async fn with(change: impl FnOnce(&mut Config)) -> Place {
        let folder = tempfile::tempdir().unwrap();
        let clock = Clock::at(jiff::Timestamp::from_second(1_800_000_000).unwrap());
        let mut config = Config::for_tests(folder.path());
        change(&mut config);
        let datasets = Place::open_as(folder.path(), &clock, &config).await;
        Place { datasets, zoe: ProfileId::parse("zoe").unwrap(), folder, clock }
    }

    /// The same folder as a panel that starts finds it.
    async fn open(folder: &std::path::Path, clock: &Clock) -> Datasets {
        Place::open_as(folder, clock, &Config::for_tests(folder)).await
    }

    async fn open_as(folder: &std::path::Path, clock: &Clock, config: &Config) -> Datasets {
        let store = Store::open(&folder.join("state")).unwrap();
        let events = Events::open(store.clone()).await.unwrap();
        let artifacts = Artifacts::open(&folder.join("outputs"), store.clone(), events.clone(), clock.clone()).unwrap();
        Datasets::open(config, store, events, clock.clone(), artifacts).await.unwrap()
    }

    pub(super) async fn dataset(&self) -> String {
        self.datasets.make(&self.zoe, "Cats", "ohwx").await.unwrap().id
    }

    /// Adds a picture without a caption.
    pub(super) async fn send_plain(&self, dataset: &str, name: &str, file: &[u8]) {
        let begin = Begin { name: name.into(), bytes: file.len() as u64, caption: String::new() };
        let id = self.datasets.begin(&self.zoe, dataset, begin).await.unwrap();
        self.datasets.piece(&self.zoe, &id, 0, file.to_vec()).await.unwrap();
    }

    /// Sends a file in pieces of at most `piece` bytes.
    pub(super) async fn send(&self, dataset: &str, name: &str, file: &[u8], piece: usize) -> Result<Stage, DatasetError> {
        let begin = Begin { name: name.into(), bytes: file.len() as u64, caption: "a cat".into() };
        let id = self.datasets.begin(&self.zoe, dataset, begin).await?;
        let mut stage = Stage::Offset(0);
        for (i, part) in file.chunks(piece).enumerate() {
            stage = self.datasets.piece(&self.zoe, &id, (i * piece) as u64, part.to_vec()).await?;
        }
        Ok(stage)
    }

    /// The picture that a file became.
    async fn added(&self, dataset: &str, name: &str, file: &[u8], piece: usize) -> Picture {
        match self.send(dataset, name, file, piece).await.unwrap() {
            Stage::Picture(added) => match *added {
                Added::New(picture) => picture,
                Added::Already(_) => panic!("{name} was there already"),
            },
            other => panic!("{name}: {other:?}"),
        }
    }

    pub(super) async fn pictures(&self, dataset: &str) -> Vec<Picture> {
        self.datasets.look(&self.zoe, dataset, 0).await.unwrap().1
    }

    /// Waits for the end of what runs.
    pub(super) async fn over(&self, dataset: &str) -> TaskView {
        for _ in 0..2_000 {
            match self.datasets.task(dataset) {
                Some(task) if task.state != "running" => return task,
                _ => tokio::time::sleep(Duration::from_millis(10)).await,
            }
        }
        panic!("it does not end: {:?}", self.datasets.task(dataset))
    }

    /// Names of all files of datasets.
    pub(super) fn files(&self) -> Vec<String> {
        let Ok(entries) = std::fs::read_dir(self.folder.path().join("datasets/zoe")) else { return Vec::new() };
        entries.map(|e| e.unwrap().file_name().into_string().unwrap()).collect()
    }
}

/// A picture of one colour.
pub(super) fn picture(colour: u8, width: u32, height: u32) -> Vec<u8> {
    let pixels = media::Rgb8::new(width, height, vec![colour; (width * height * 3) as usize]).unwrap();
    media::encode::jpeg(&pixels).unwrap()
}

#[tokio::test]
async fn a_picture_comes_in_pieces_once_and_goes_for_good_after_a_while() {
    let place = Place::new().await;
    let dataset = place.dataset().await;
    let file = picture(90, 300, 200);
    let p = place.added(&dataset, "a/b/cat one.jpg", &file, 500).await;
    assert_eq!((p.name.as_str(), p.caption.as_str(), p.width, p.height), ("cat one", "a cat", 300, 200));
    let twice = place.send(&dataset, "other.jpg", &file, 1 << 20).await.unwrap();
    assert_eq!(twice, Stage::Picture(Box::new(Added::Already(p.clone()))));
    assert_eq!(place.datasets.file(&p).await.unwrap(), file);
    assert_eq!(place.files().len(), 2, "the picture and its thumbnail: {:?}", place.files());
    place.datasets.remove(&place.zoe, &p.id).await.unwrap();
    place.datasets.restore(&place.zoe, &p.id).await.unwrap();
    assert_eq!(place.pictures(&dataset).await.len(), 1);
    place.datasets.remove(&place.zoe, &p.id).await.unwrap();
    assert!(place.pictures(&dataset).await.is_empty());
    place.clock.advance(Duration::from_secs(31));
    place.datasets.sweep().await.unwrap();
    assert!(place.datasets.restore(&place.zoe, &p.id).await.is_err());
    assert!(place.files().is_empty(), "{:?}", place.files());
}

#[tokio::test]
async fn a_restore_that_waits_in_the_queue_keeps_its_picture() {
    let place = Place::new().await;
    let dataset = place.dataset().await;
    let p = place.added(&dataset, "a.jpg", &picture(90, 64, 64), 1 << 20).await;
    place.datasets.remove(&place.zoe, &p.id).await.unwrap();
    place.clock.advance(Duration::from_secs(29));
    let (go, gate) = std::sync::mpsc::channel::<()>();
    let store = place.datasets.0.store.clone();
    let busy = tokio::spawn(async move { store.run(move |_| Ok(gate.recv().is_ok())).await });
    let (datasets, zoe, id) = (place.datasets.clone(), place.zoe.clone(), p.id.clone());
    let restored = tokio::spawn(async move { datasets.restore(&zoe, &id).await });
    // Until it waits in the queue: it reads first.
    tokio::time::sleep(Duration::from_millis(50)).await;
    place.clock.advance(Duration::from_secs(2));
    let datasets = place.datasets.clone();
    let swept = tokio::spawn(async move { datasets.sweep().await });
    tokio::time::sleep(Duration::from_millis(100)).await;
    go.send(()).unwrap();
    assert!(busy.await.unwrap().unwrap());
    restored.await.unwrap().unwrap();
    swept.await.unwrap().unwrap();
    assert_eq!((place.pictures(&dataset).await.len(), place.files().len()), (1, 2), "told that it is back");
}

#[tokio::test]
async fn an_upload_is_given_up_a_day_after_its_last_piece() {
    let place = Place::new().await;
    let dataset = place.dataset().await;
    let begin = Begin { name: "a.zip".into(), bytes: 10, caption: String::new() };
    let id = place.datasets.begin(&place.zoe, &dataset, begin).await.unwrap();
    place.datasets.piece(&place.zoe, &id, 0, vec![1; 5]).await.unwrap();
    place.clock.advance(Duration::from_secs(25 * 3600));
    place.datasets.sweep().await.unwrap();
    assert_eq!(place.datasets.offset(&place.zoe, &id).await.unwrap(), 5, "begun long ago, and still coming");
    let path = place.folder.path().join(format!("datasets/zoe/{id}.part"));
    let old = std::time::SystemTime::now() - Duration::from_secs(25 * 3600);
    std::fs::File::options().write(true).open(path).unwrap().set_modified(old).unwrap();
    place.datasets.sweep().await.unwrap();
    assert!(matches!(place.datasets.offset(&place.zoe, &id).await, Err(DatasetError::Unknown)));
    assert!(place.files().is_empty());
}

#[tokio::test]
async fn what_is_no_picture_for_a_trainer_is_refused_and_leaves_nothing() {
    let place = Place::new().await;
    let dataset = place.dataset().await;
    let mut cut = picture(9, 200, 200);
    cut.truncate(cut.len() / 2);
    let gif =
        b"GIF89a\x01\x00\x01\x00\x80\x00\x00\x00\x00\x00\xff\xff\xff,\x00\x00\x00\x00\x01\x00\x01\x00\x00\x02\x02D\x01\x00;"
            .to_vec();
    for (name, file) in [("letter.png", b"Dear Zoe".to_vec()), ("cut.jpg", cut), ("x.gif", gif), ("zip.png", b"PKxx".to_vec())] {
        match place.send(&dataset, name, &file, 1 << 20).await {
            Err(DatasetError::Field("file", why)) => println!("{name}: {why}"),
            Ok(Stage::Archive) => assert_eq!(place.over(&dataset).await.state, "failed"),
            other => panic!("{name}: {other:?}"),
        }
    }
    assert!(place.pictures(&dataset).await.is_empty() && place.files().is_empty(), "{:?}", place.files());
    assert!(matches!(place.send(&dataset, "empty.png", b"", 1).await, Err(DatasetError::Field("bytes", _))));
    let large = Begin { name: "x.png".into(), bytes: limits::MAX_PICTURE + 1, caption: String::new() };
    assert!(matches!(place.datasets.begin(&place.zoe, &dataset, large).await, Err(DatasetError::TooLarge(_))));
}

#[tokio::test]
async fn a_caption_is_never_written_over_a_newer_one() {
    let place = Place::new().await;
    let dataset = place.dataset().await;
    let p = place.added(&dataset, "a.jpg", &picture(1, 64, 64), 9_999).await;
    let write = |text: &'static str, version| place.datasets.caption(&place.zoe, &p.id, text, version);
    let first = write(" a black cat\r\non grass ", p.version).await.unwrap();
    assert_eq!(first.caption, "a black cat\non grass");
    let Err(DatasetError::Stale(newer)) = write("a white cat", p.version).await else { panic!("written over") };
    assert_eq!(*newer, first);
    // A lost answer: the same once more is no clash.
    assert_eq!(write("a black cat\non grass", p.version).await.unwrap(), first);
    assert_eq!(write("a white cat", first.version).await.unwrap().caption, "a white cat");
    assert!(matches!(write(Box::leak("x".repeat(4_001).into_boxed_str()), 0).await, Err(DatasetError::Field("caption", _))));
    let eve = ProfileId::parse("eve").unwrap();
    assert!(matches!(place.datasets.caption(&eve, &p.id, "x", 9).await, Err(DatasetError::Unknown)));
}

#[tokio::test]
async fn a_replacement_is_taken_back_but_for_what_was_edited_since() {
    let place = Place::new().await;
    let dataset = place.dataset().await;
    for colour in [1, 2, 3] {
        place.send(&dataset, "a.jpg", &picture(colour * 40, 64, 64), 99_999).await.unwrap();
    }
    let search = Search { find: "cat".into(), with: "dog".into(), ..Search::default() };
    let preview = place.datasets.preview(&place.zoe, &dataset, &search).await.unwrap();
    assert_eq!((preview.captions, preview.places, preview.too_long, preview.examples.len()), (3, 3, 0, 3));
    assert_eq!(place.pictures(&dataset).await[0].caption, "a cat", "only looked at");
    assert_eq!(place.datasets.replace(&place.zoe, &dataset, search.clone()).await.unwrap().captions, 3);
    assert_eq!(place.datasets.get(&place.zoe, &dataset).await.unwrap().undo, 3);
    let edited = place.pictures(&dataset).await.remove(0);
    place.datasets.caption(&place.zoe, &edited.id, "by hand", edited.version).await.unwrap();
    assert_eq!(place.datasets.undo(&place.zoe, &dataset).await.unwrap(), Replaced { captions: 2, kept: 1 });
    let captions: Vec<_> = place.pictures(&dataset).await.into_iter().map(|p| p.caption).collect();
    assert_eq!(captions, ["by hand", "a cat", "a cat"]);
    assert!(matches!(place.datasets.undo(&place.zoe, &dataset).await, Err(DatasetError::Clash(_))));
    let long = Search { find: "a".into(), with: "x".repeat(500), ..Search::default() };
    let wide = Search { find: "x".into(), with: "y".repeat(500), ..Search::default() };
    place.datasets.replace(&place.zoe, &dataset, long).await.unwrap();
    assert!(matches!(place.datasets.replace(&place.zoe, &dataset, wide).await, Err(DatasetError::Field("with", _))));
    assert!(place.pictures(&dataset).await[1].caption.starts_with("xxx"), "all or none");
}

#[tokio::test]
async fn names_are_unique_as_folders_and_a_dataset_goes_with_all_its_files() {
    let place = Place::new().await;
    let dataset = place.dataset().await;
    assert!(matches!(place.datasets.make(&place.zoe, " CATS. ", "").await, Err(DatasetError::Clash(_))));
    let eve = ProfileId::parse("eve").unwrap();
    assert!(place.datasets.make(&eve, "Cats", "").await.is_ok());
    assert!(matches!(place.datasets.get(&eve, &dataset).await, Err(DatasetError::Unknown)));
    place.datasets.rename(&place.zoe, &dataset, "Cats", "new word").await.unwrap();
    place.send(&dataset, "a.jpg", &picture(9, 64, 64), 99_999).await.unwrap();
    let begin = Begin { name: "b.jpg".into(), bytes: 10, caption: String::new() };
    let half = place.datasets.begin(&place.zoe, &dataset, begin).await.unwrap();
    place.datasets.piece(&place.zoe, &half, 0, vec![1; 5]).await.unwrap();
    assert_eq!(place.files().len(), 3);
    assert!(matches!(place.datasets.delete(&eve, &dataset).await, Err(DatasetError::Unknown)));
    place.datasets.delete(&place.zoe, &dataset).await.unwrap();
    assert!(place.files().is_empty(), "{:?}", place.files());
    assert!(matches!(place.datasets.piece(&place.zoe, &half, 5, vec![1; 5]).await, Err(DatasetError::Unknown)));
}

#[tokio::test]
async fn an_export_appears_whole_and_replaces_the_one_before() {
    let place = Place::new().await;
    let dataset = place.dataset().await;
    assert!(matches!(place.datasets.export(&place.zoe, &dataset, &Layout::Flat).await, Err(DatasetError::Clash(_))));
    for (name, colour) in [("../Cat.jpg", 10), ("cat.JPG", 200)] {
        place.send(&dataset, name, &picture(colour, 64, 64), 99_999).await.unwrap();
    }
    let place_of = place.datasets.export(&place.zoe, &dataset, &Layout::Flat).await.unwrap();
    assert_eq!(place_of, "datasets/zoe/Cats");
    assert_eq!(place.over(&dataset).await.state, "done");
    let folder = place.folder.path().join("workspace/datasets/zoe");
    let names = |at: &std::path::Path| {
        let mut names: Vec<String> =
            std::fs::read_dir(at).unwrap().map(|e| e.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    };
    assert_eq!(names(&folder.join("Cats")), ["Cat.jpg", "Cat.txt", "cat-2.jpg", "cat-2.txt"]);
    assert_eq!(std::fs::read_to_string(folder.join("Cats/Cat.txt")).unwrap(), "ohwx, a cat");
    assert_eq!(std::fs::read(folder.join("Cats/cat-2.jpg")).unwrap(), picture(200, 64, 64));
    let kohya = Layout::Kohya { repeats: 7, class: "cat".into() };
    place.datasets.export(&place.zoe, &dataset, &kohya).await.unwrap();
    assert_eq!(place.over(&dataset).await.state, "done");
    assert_eq!(names(&folder.join("Cats")), ["7_ohwx cat"]);
    assert_eq!(names(&folder.join("Cats/7_ohwx cat")).len(), 4);
    assert_eq!(names(&folder), ["Cats"], "nothing temporary is left");
}

#[tokio::test]
async fn a_folder_of_the_workspace_is_read_and_no_other() {
    let place = Place::new().await;
    let dataset = place.dataset().await;
    let cats = place.folder.path().join("workspace/tool/cats");
    std::fs::create_dir_all(&cats).unwrap();
    std::fs::write(cats.join("one.jpg"), picture(50, 80, 80)).unwrap();
    std::fs::write(cats.join("one.txt"), "one cat").unwrap();
    std::fs::write(cats.join("broken.png"), "no picture").unwrap();
    std::fs::write(place.folder.path().join("outside.jpg"), picture(70, 80, 80)).unwrap();
    std::os::unix::fs::symlink(place.folder.path().join("outside.jpg"), cats.join("link.jpg")).unwrap();
    std::os::unix::fs::symlink(place.folder.path(), place.folder.path().join("workspace/up")).unwrap();
    for path in ["..", "../datasets", "up", "tool/../..", "nowhere", "/etc", "tool/cats/one.jpg"] {
        let refused = place.datasets.folder(&place.zoe, &dataset, path).await;
        assert!(matches!(refused, Err(DatasetError::Field("path", _))), "{path}: {refused:?}");
    }
    place.datasets.folder(&place.zoe, &dataset, "tool/cats/").await.unwrap();
    let task = place.over(&dataset).await;
    assert_eq!((task.state, task.good, task.total), ("done", 1, 2), "{task:?}");
    let pictures = place.pictures(&dataset).await;
    assert_eq!((pictures[0].name.as_str(), pictures[0].caption.as_str()), ("one", "one cat"));
}
