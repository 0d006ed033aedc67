//! Archives of friends and of enemies: what is taken, what is left out and said, and that nothing lands anywhere else.

use super::{Place, Stage, picture};
use crate::{
    datasets::{DatasetError, TaskView, limits::MAX_ENTRIES, tasks::Kind, unpack::REST},
    store::dataset_uploads,
};
use std::{
    collections::BTreeSet,
    io::{Cursor, Write as _},
    path::Path,
};
use zip::{CompressionMethod, ZipWriter, write::SimpleFileOptions};

fn stored() -> SimpleFileOptions {
    SimpleFileOptions::default().compression_method(CompressionMethod::Stored)
}

fn deflated() -> SimpleFileOptions {
    SimpleFileOptions::default().compression_method(CompressionMethod::Deflated)
}

/// An archive of these files.
fn archive(files: &[(&str, &[u8])]) -> Vec<u8> {
    let mut zip = ZipWriter::new(Cursor::new(Vec::new()));
    for (name, bytes) in files {
        zip.start_file(*name, if name.ends_with(".txt") { deflated() } else { stored() }).unwrap();
        zip.write_all(bytes).unwrap();
    }
    zip.finish().unwrap().into_inner()
}

/// Writes another name of the same length into every header: writers refuse to.
fn renamed(mut archive: Vec<u8>, from: &str, to: &str) -> Vec<u8> {
    assert_eq!(from.len(), to.len());
    let places: Vec<usize> =
        archive.windows(from.len()).enumerate().filter(|(_, w)| *w == from.as_bytes()).map(|(i, _)| i).collect();
    assert_eq!(places.len(), 2, "in front of the file and in the directory");
    for at in places {
        archive[at..at + to.len()].copy_from_slice(to.as_bytes());
    }
    archive
}

/// Every file below a folder but the store's, with its length.
fn tree(folder: &Path) -> BTreeSet<(String, u64)> {
    let (mut found, mut left) = (BTreeSet::new(), vec![folder.to_path_buf()]);
    while let Some(at) = left.pop() {
        for entry in std::fs::read_dir(at).unwrap().map(Result::unwrap) {
            let (path, meta) = (entry.path(), entry.metadata().unwrap());
            if meta.is_dir() && !path.ends_with("state") {
                left.push(path);
            } else if meta.is_file() {
                found.insert((path.display().to_string(), meta.len()));
            }
        }
    }
    found
}

/// Unpacks an archive into a fresh dataset: the place, the task at its end, names and captions of what came.
async fn unpack(archive: Vec<u8>) -> (Place, TaskView, Vec<(String, String)>) {
    let place = Place::new().await;
    let dataset = place.dataset().await;
    let stage = place.send(&dataset, "cats.zip", &archive, 1 << 20).await.unwrap();
    assert_eq!(stage, Stage::Archive);
    let task = place.over(&dataset).await;
    let pictures = place.pictures(&dataset).await;
    // Two files for each picture, and nothing else anywhere: no archive, no name out of it.
    let datasets = place.folder.path().join("datasets/zoe").display().to_string();
    let files = tree(place.folder.path());
    assert_eq!(files.len(), 2 * pictures.len(), "{files:?}");
    for (file, _) in &files {
        assert!(pictures.iter().any(|p| file.starts_with(&format!("{datasets}/{}.", p.id))), "{file}");
    }
    (place, task, pictures.into_iter().map(|p| (p.name, p.caption)).collect())
}

/// How many were left out for a reason that holds these words.
fn skipped(task: &TaskView, words: &str) -> u32 {
    task.skipped.iter().filter(|s| s.why.contains(words)).map(|s| s.count).sum()
}

#[tokio::test]
async fn captions_come_along_folders_are_flattened_and_litter_is_left() {
    let files: &[(&str, &[u8])] = &[
        ("cats/one.jpg", &picture(10, 80, 60)),
        ("cats/one.txt", "\u{feff}a grey cat\r\n".as_bytes()),
        ("cats/two.jpg", &picture(60, 80, 60)),
        ("cats/two.caption", b"a white cat"),
        ("more/one.jpg", &picture(110, 80, 60)),
        ("more/again.jpg", &picture(10, 80, 60)),
        ("one.txt", b"of no picture"),
        ("notes.pdf", b"%PDF"),
        ("fake.png", b"Dear Zoe"),
        ("__MACOSX/cats/._one.jpg", b"litter"),
        (".DS_Store", b"litter"),
    ];
    let (_place, task, names) = unpack(archive(files)).await;
    let pair = |name: &str, caption: &str| (name.to_owned(), caption.to_owned());
    assert_eq!(names, [pair("one", "a grey cat"), pair("two", "a white cat"), pair("one", "")]);
    assert_eq!((task.state, task.good, task.done, task.total), ("done", 3, 5, 5), "{task:?}");
    for (words, count) in [("already", 1), ("without its picture", 1), ("not that of a PNG", 1), ("not a picture", 1)] {
        assert_eq!(skipped(&task, words), count, "{words}: {task:?}");
    }
}

#[tokio::test]
async fn no_name_leads_anywhere() {
    for evil in ["../../../../x.jpg", "/tmp/evil-abc.jpg", "..\\..\\..\\..\\x.jpg", "C:\\evil-abcd\\x.jpg", "a/../../../xx.jpg"] {
        let plain = format!("{}{}", "p".repeat(evil.len() - 4), ".jpg");
        let zip = renamed(archive(&[(&plain, &picture(10, 80, 60)), ("good.jpg", &picture(90, 80, 60))]), &plain, evil);
        let (_place, task, names) = unpack(zip).await;
        assert_eq!(names, [("good".to_owned(), String::new())], "{evil}");
        assert_eq!(skipped(&task, "leads out"), 1, "{evil}: {task:?}");
        assert!(!Path::new("/tmp/evil-abc.jpg").exists());
    }
}

#[tokio::test]
async fn links_passwords_and_twins_are_left_out() {
    let mut zip = ZipWriter::new(Cursor::new(Vec::new()));
    zip.add_symlink("link.jpg", "/etc/passwd", stored()).unwrap();
    zip.start_file("good.jpg", stored()).unwrap();
    zip.write_all(&picture(90, 80, 60)).unwrap();
    let (_place, task, names) = unpack(zip.finish().unwrap().into_inner()).await;
    assert_eq!((names.len(), skipped(&task, "a link")), (1, 1), "{task:?}");

    // The mark of a password, in both headers of the first entry.
    let mut locked = archive(&[("lock.jpg", &picture(10, 80, 60)), ("good.jpg", &picture(90, 80, 60))]);
    locked[6] |= 1;
    let directory = locked.windows(4).position(|w| w == b"PK\x01\x02").unwrap();
    locked[directory + 8] |= 1;
    let (_place, task, names) = unpack(locked).await;
    assert_eq!((names.len(), skipped(&task, "password")), (1, 1), "{task:?}");

    // Two entries of one name: one of them counts, and nothing breaks.
    let twins = archive(&[("aaaa.jpg", &picture(10, 80, 60)), ("bbbb.jpg", &picture(90, 80, 60))]);
    let (_place, task, names) = unpack(renamed(twins, "bbbb.jpg", "aaaa.jpg")).await;
    assert!((1..=2).contains(&names.len()) && task.state == "done", "{task:?}");
}

#[tokio::test]
async fn a_bomb_is_given_up_and_what_came_before_stays() {
    let mut zip = ZipWriter::new(Cursor::new(Vec::new()));
    zip.start_file("first.jpg", stored()).unwrap();
    zip.write_all(&picture(90, 80, 60)).unwrap();
    zip.start_file("bomb.png", deflated()).unwrap();
    zip.write_all(&vec![0; 24 << 20]).unwrap();
    zip.start_file("after.jpg", stored()).unwrap();
    zip.write_all(&picture(30, 80, 60)).unwrap();
    let bomb = zip.finish().unwrap().into_inner();
    assert!(bomb.len() < 100_000, "{} bytes", bomb.len());
    let (_place, task, names) = unpack(bomb).await;
    assert_eq!((task.state, task.good, names.len()), ("failed", 1, 1), "{task:?}");
    assert!(task.words.contains("100 times"), "{task:?}");
    // The same as a caption: it may be larger than its limit, but not as large as that.
    let mut zip = ZipWriter::new(Cursor::new(Vec::new()));
    for (name, bytes) in [("a.jpg", picture(90, 80, 60)), ("a.txt", vec![b'a'; 24 << 20])] {
        zip.start_file(name, deflated()).unwrap();
        zip.write_all(&bytes).unwrap();
    }
    let (_place, task, names) = unpack(zip.finish().unwrap().into_inner()).await;
    assert_eq!((task.state, names.as_slice()), ("done", [("a".to_owned(), String::new())].as_slice()), "{task:?}");
    assert_eq!(skipped(&task, "Its caption"), 1);
}

#[tokio::test]
async fn what_no_archive_needs_is_refused_before_it_takes_memory() {
    let mut many = ZipWriter::new(Cursor::new(Vec::new()));
    for i in 0..=MAX_ENTRIES {
        many.start_file(format!("{i}.jpg"), stored()).unwrap();
    }
    let mut large_form = archive(&[("a.jpg", &picture(90, 80, 60))]);
    let end = large_form.len() - 22;
    large_form.splice(end..end, *b"PK\x06\x07aaaaaaaaaaaaaaaa");
    let mut cut = archive(&[("a.jpg", &picture(90, 80, 60))]);
    cut.truncate(cut.len() - 30);
    let none = archive(&[("a.pdf", b"%PDF")]);
    for (zip, words) in [
        (many.finish().unwrap().into_inner(), "entries"),
        (large_form, "4 GiB"),
        (cut, "cannot be read"),
        (none, "no PNG, JPEG or WebP"),
        (b"PK\x05\x06nothing more".to_vec(), "cannot be read"),
    ] {
        let (_place, task, names) = unpack(zip).await;
        assert!(names.is_empty() && task.state == "failed" && task.words.contains(words), "{words}: {task:?}");
    }
}

#[tokio::test]
async fn damage_stays_within_its_entry() {
    let mut zip = archive(&[("aaaa.jpg", &picture(10, 80, 60)), ("bbbb.jpg", &picture(90, 80, 60))]);
    // Into the first picture's bytes: its check sum is wrong.
    zip[60] ^= 0xff;
    let (_place, task, names) = unpack(zip).await;
    assert_eq!((names.len(), skipped(&task, "damaged")), (1, 1), "{task:?}");
}

#[tokio::test]
async fn archives_wait_for_each_other_and_for_a_panel_that_starts_again() {
    let place = Place::new().await;
    let dataset = place.dataset().await;
    let files: Vec<(String, Vec<u8>)> = (0..6).map(|i| (format!("{i}.jpg"), picture(i * 40, 400, 300))).collect();
    let part = |files: &[(String, Vec<u8>)]| archive(&files.iter().map(|(n, b)| (n.as_str(), b.as_slice())).collect::<Vec<_>>());
    for half in [&files[..3], &files[3..]] {
        assert_eq!(place.send(&dataset, "half.zip", &part(half), 1 << 20).await.unwrap(), Stage::Archive);
    }
    for _ in 0..1_000 {
        if place.pictures(&dataset).await.len() == 6 && place.files().len() == 12 {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }
    assert_eq!(place.pictures(&dataset).await.len(), 6);
    // Cancelled, or ended with the panel: nothing is held for ever.
    place.over(&dataset).await;
    assert!(matches!(place.datasets.undo(&place.zoe, &dataset).await, Err(DatasetError::Clash(_))));
}

/// Two look at what waits at the same time, and the second begins once the first has unpacked it.
#[tokio::test]
async fn an_archive_that_was_unpacked_meanwhile_is_not_called_lost() {
    let place = Place::new().await;
    let dataset = place.dataset().await;
    let running = place.datasets.0.tasks.begin(&place.zoe, &dataset, Kind::Export, "x").unwrap();
    place.send(&dataset, "cats.zip", &archive(&[("a.jpg", &picture(1, 64, 64))]), 1 << 20).await.unwrap();
    let waiting = place.datasets.0.store.read(|c| dataset_uploads::waiting(c, None)).await.unwrap().remove(0);
    place.datasets.end(running, &place.zoe, &dataset, Ok(())).await;
    let task = place.over(&dataset).await;
    assert_eq!((task.kind, task.state, task.good), ("unpack", "done", 1), "{task:?}");
    let second = place.datasets.0.tasks.begin(&place.zoe, &dataset, Kind::Unpack, "cats.zip").unwrap();
    place.datasets.clone().unpack(waiting, second).await;
    assert_eq!(place.datasets.task(&dataset).unwrap(), task);
    drop(place.datasets.0.tasks.begin(&place.zoe, &dataset, Kind::Export, "x").expect("nothing runs"));
}

#[tokio::test]
async fn nobody_ends_what_runs_for_anothers_dataset() {
    let place = Place::new().await;
    let dataset = place.dataset().await;
    let running = place.datasets.0.tasks.begin(&place.zoe, &dataset, Kind::Unpack, "cats.zip").unwrap();
    let refused = place.datasets.delete(&"bob".parse().unwrap(), &dataset).await;
    assert!(matches!(refused, Err(DatasetError::Unknown)) && !running.is_cancelled(), "{refused:?}");
    place.datasets.delete(&place.zoe, &dataset).await.unwrap();
    assert!(running.is_cancelled());
}

/// Its sender was told that all is there, and may have thrown it away.
#[tokio::test]
async fn an_archive_that_the_disk_does_not_take_is_kept_until_there_is_space() {
    let place = Place::new().await;
    let dataset = place.dataset().await;
    let captions: Vec<String> = (0..20).map(|i| format!("{i} ").repeat(1_000)).collect();
    let pictures: Vec<Vec<u8>> = (0..20).map(|i| picture(i * 12, 64, 64)).collect();
    let names: Vec<String> = (0..20).flat_map(|i| [format!("{i}.jpg"), format!("{i}.txt")]).collect();
    let bytes = pictures.iter().zip(&captions).flat_map(|(p, c)| [p.as_slice(), c.as_bytes()]);
    let files: Vec<(&str, &[u8])> = names.iter().map(String::as_str).zip(bytes).collect();
    let zip = archive(&files);
    // Something else runs, so that the archive waits until the store is full.
    let running = place.datasets.0.tasks.begin(&place.zoe, &dataset, Kind::Export, "x").unwrap();
    assert_eq!(place.send(&dataset, "cats.zip", &zip, 1 << 20).await.unwrap(), Stage::Archive);
    let store = place.datasets.0.store.clone();
    let limit = async |pages: i64| store.run(move |c| Ok(c.pragma_update(None, "max_page_count", pages)?)).await.unwrap();
    limit(store.run(|c| Ok(c.pragma_query_value(None, "page_count", |row| row.get::<_, i64>(0))?)).await.unwrap() + 8).await;
    place.datasets.end(running, &place.zoe, &dataset, Ok(())).await;
    let task = place.over(&dataset).await;
    assert!(task.state == "failed" && task.good < 20, "{task:?}");
    assert!(task.words.contains("disk is full") && task.words.contains("is kept"), "{task:?}");
    let parts = || place.files().into_iter().filter(|name| name.ends_with(".part")).count();
    assert_eq!(parts(), 1);
    // Neither at once nor for ever: it is left in peace for a while.
    place.datasets.sweep().await.unwrap();
    assert_eq!(place.over(&dataset).await.number, task.number);
    limit(1_000_000).await;
    place.clock.advance(REST);
    place.datasets.sweep().await.unwrap();
    let again = place.over(&dataset).await;
    assert_eq!((again.state, again.good + skipped(&again, "already")), ("done", 20), "{again:?}");
    assert_eq!((place.pictures(&dataset).await.len(), parts()), (20, 0));
}

#[test]
fn a_panel_that_died_while_unpacking_goes_on_at_its_next_start() {
    let place = {
        // The runtime ends in the middle, as a panel that is killed does.
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
        let place = runtime.block_on(Place::new());
        let files: Vec<(String, Vec<u8>)> = (0..40).map(|i| (format!("{i}.jpg"), picture(i * 6, 900, 700))).collect();
        let zip = archive(&files.iter().map(|(n, b)| (n.as_str(), b.as_slice())).collect::<Vec<_>>());
        runtime.block_on(async {
            let dataset = place.dataset().await;
            place.send(&dataset, "cats.zip", &zip, 1 << 20).await.unwrap();
            while place.pictures(&dataset).await.is_empty() {
                tokio::time::sleep(std::time::Duration::from_millis(2)).await;
            }
        });
        runtime.shutdown_background();
        place
    };
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    runtime.block_on(async {
        let again = Place { datasets: Place::open(place.folder.path(), &place.clock).await, ..place };
        let dataset = again.datasets.list(&again.zoe).await.unwrap().remove(0);
        let before = dataset.pictures;
        let task = again.over(&dataset.id).await;
        println!("{before} pictures were there, {} came after the restart", task.good);
        assert!(before < 40, "it was over already");
        assert_eq!((task.state, task.good + skipped(&task, "already")), ("done", 40), "{task:?}");
        assert_eq!(again.pictures(&dataset.id).await.len(), 40);
    });
}
