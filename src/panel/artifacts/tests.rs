//! Publishing, deleting, taking back, disks that refuse.

use super::*;
use crate::gate::{Coming, Found, Gallery as _, Taken};
use protocol::{Format, Sampler, Schedule};

struct Scene {
    folder: tempfile::TempDir,
    artifacts: Artifacts,
    clock: Clock,
    ada: ProfileId,
}

async fn scene() -> Scene {
    let folder = tempfile::tempdir().unwrap();
    let clock = Clock::at("2026-03-05T12:00:00Z".parse().unwrap());
    let store = Store::open(&folder.path().join("state")).unwrap();
    let events = Events::open(store.clone()).await.unwrap();
    let artifacts = Artifacts::open(&folder.path().join("outputs"), store, events, clock.clone()).unwrap();
    Scene { folder, artifacts, clock, ada: "ada".parse().unwrap() }
}

fn picture(index: u32) -> NewPicture {
    let pixels = media::Rgb8::new(64, 48, vec![90; 64 * 48 * 3]).unwrap();
    let recipe = Recipe {
        model: "tiny".into(),
        prompt: "Ein See, \"rot\"; x".into(),
        negative_prompt: String::new(),
        width: 64,
        height: 48,
        steps: 1,
        guidance: 1.0,
        sampler: Sampler::Euler,
        schedule: Schedule::Plain,
        eta: 0.0,
        guidance_rescale: 0.0,
        clip_skip: 1,
        seed: 7,
        batch: 1,
        strength: None,
        image: None,
        mask: None,
        format: Format::Png,
    };
    let file = media::encode::file(&pixels, &recipe).unwrap();
    NewPicture { index, width: 64, height: 48, file, thumb: b"thumb".to_vec(), recipe }
}

fn job() -> JobId {
    JobId("0".repeat(26))
}

impl Scene {
    async fn all(&self) -> Vec<Artifact> {
        self.artifacts.page(&self.ada, Filter::default(), None, 10).await.unwrap().0
    }

    fn files(&self) -> usize {
        let folder = self.folder.path().join("outputs/ada/2026-03");
        let count = |path| std::fs::read_dir(path).map_or(0, |d| d.filter(|e| e.as_ref().unwrap().path().is_file()).count());
        count(folder.join(".thumbs")) + count(folder)
    }
}

#[tokio::test]
async fn a_picture_of_a_job_is_published_once() {
    let scene = scene().await;
    for index in [0, 1, 0, 1] {
        scene.artifacts.publish(&scene.ada, &job(), picture(index)).await.unwrap();
    }
    let all = scene.all().await;
    assert_eq!((all.len(), scene.files()), (2, 4));
    assert_eq!(scene.artifacts.bytes(&all[0]).await.unwrap(), picture(1).file);
    assert_eq!(download_name(&all[0]), "2026-03-05-ein-see-rot-x-7.png");
    assert!(scene.artifacts.get(&"bob".parse().unwrap(), &all[0].id).await.unwrap().is_none());
}

#[tokio::test]
async fn a_deletion_can_be_taken_back_for_half_a_minute() {
    let scene = scene().await;
    scene.artifacts.publish(&scene.ada, &job(), picture(0)).await.unwrap();
    let id = scene.all().await[0].id.clone();
    let one = || vec![id.clone()];
    assert!(scene.artifacts.delete(&"bob".parse().unwrap(), one()).await.unwrap().is_empty());
    assert_eq!(scene.artifacts.delete(&scene.ada, one()).await.unwrap(), one());
    assert!(scene.all().await.is_empty());
    scene.clock.advance(UNDO - Duration::from_secs(1));
    scene.artifacts.sweep().await.unwrap();
    assert!(scene.artifacts.restore(&"bob".parse().unwrap(), one()).await.unwrap().is_empty());
    assert_eq!(scene.artifacts.restore(&scene.ada, one()).await.unwrap(), one());
    assert_eq!((scene.all().await.len(), scene.files()), (1, 2));
    assert_eq!(scene.artifacts.delete(&scene.ada, one()).await.unwrap(), one());
    scene.clock.advance(UNDO);
    scene.artifacts.sweep().await.unwrap();
    assert!(scene.artifacts.restore(&scene.ada, one()).await.unwrap().is_empty());
    assert_eq!(scene.files(), 0);
}

/// The store's thread is busy: what asks of it waits in a queue, a restore in the last second first.
#[tokio::test]
async fn a_restore_that_waits_in_the_queue_keeps_its_picture() {
    let scene = scene().await;
    scene.artifacts.publish(&scene.ada, &job(), picture(0)).await.unwrap();
    let id = scene.all().await[0].id.clone();
    scene.artifacts.delete(&scene.ada, vec![id.clone()]).await.unwrap();
    scene.clock.advance(UNDO - Duration::from_secs(1));
    let (go, gate) = std::sync::mpsc::channel::<()>();
    let store = scene.artifacts.store.clone();
    let busy = tokio::spawn(async move { store.run(move |_| Ok(gate.recv().is_ok())).await });
    let (restore, sweep) = (scene.artifacts.clone(), scene.artifacts.clone());
    let ada = scene.ada.clone();
    let restored = tokio::spawn(async move { restore.restore(&ada, vec![id]).await });
    tokio::time::sleep(Duration::from_millis(50)).await;
    scene.clock.advance(Duration::from_secs(1));
    let swept = tokio::spawn(async move { sweep.sweep().await });
    tokio::time::sleep(Duration::from_millis(100)).await;
    go.send(()).unwrap();
    assert!(busy.await.unwrap().unwrap() && !restored.await.unwrap().unwrap().is_empty());
    swept.await.unwrap().unwrap();
    assert_eq!((scene.all().await.len(), scene.files()), (1, 2), "told that it is back");
}

#[tokio::test]
async fn a_picture_that_cannot_be_unlinked_keeps_no_other() {
    let scene = scene().await;
    for index in [0, 1] {
        scene.artifacts.publish(&scene.ada, &job(), picture(index)).await.unwrap();
    }
    let mut all = scene.all().await;
    all.sort_by_key(|a| std::cmp::Reverse(a.index));
    for artifact in &all {
        scene.artifacts.delete(&scene.ada, vec![artifact.id.clone()]).await.unwrap();
    }
    let outputs = scene.folder.path().join("outputs");
    // The first to be looked at: a folder of its name is in the way.
    let stuck = outputs.join(&all[1].path);
    std::fs::remove_file(&stuck).unwrap();
    std::fs::create_dir(&stuck).unwrap();
    scene.clock.advance(UNDO);
    assert!(scene.artifacts.sweep().await.is_err());
    assert!(!outputs.join(&all[0].path).exists());
    std::fs::remove_dir(&stuck).unwrap();
    scene.artifacts.sweep().await.unwrap();
    assert_eq!(scene.files(), 0);
}

#[tokio::test]
async fn of_many_pictures_one_that_is_gone_keeps_none_of_the_others() {
    let scene = scene().await;
    for index in 0..3 {
        scene.artifacts.publish(&scene.ada, &job(), picture(index)).await.unwrap();
    }
    let ids: Vec<String> = scene.all().await.into_iter().map(|a| a.id).collect();
    assert!(scene.artifacts.delete(&"bob".parse().unwrap(), ids.clone()).await.unwrap().is_empty(), "they are not his");
    scene.artifacts.delete(&scene.ada, vec![ids[1].clone()]).await.unwrap();
    let with_another = [ids.clone(), vec!["0".repeat(26)]].concat();
    assert_eq!(scene.artifacts.delete(&scene.ada, with_another.clone()).await.unwrap(), [ids[0].clone(), ids[2].clone()]);
    assert!(scene.all().await.is_empty());
    assert_eq!(scene.artifacts.restore(&scene.ada, with_another).await.unwrap(), ids);
    assert_eq!(scene.all().await.len(), 3);
}

#[tokio::test]
async fn a_disk_that_refuses_leaves_neither_file_nor_row() {
    let scene = scene().await;
    let outputs = scene.folder.path().join("outputs");
    std::fs::write(outputs.join("ada"), "in the way").unwrap();
    assert!(scene.artifacts.publish(&scene.ada, &job(), picture(0)).await.is_err());
    assert!(scene.all().await.is_empty());
    std::fs::remove_file(outputs.join("ada")).unwrap();
    scene.artifacts.publish(&scene.ada, &job(), picture(0)).await.unwrap();
    assert_eq!(scene.all().await.len(), 1, "it goes on without a restart");
}

#[tokio::test]
async fn a_lost_thumbnail_is_made_again_and_half_written_files_are_cleared() {
    let scene = scene().await;
    scene.artifacts.publish(&scene.ada, &job(), picture(0)).await.unwrap();
    let artifact = scene.all().await.remove(0);
    let month = scene.folder.path().join("outputs/ada/2026-03");
    std::fs::remove_dir_all(month.join(".thumbs")).unwrap();
    let thumb = scene.artifacts.thumb(&artifact).await.unwrap().unwrap();
    assert_eq!(media::decode::probe(&thumb).unwrap().mime, "image/webp");
    for name in [".x.png.tmp", ".y.png.tmp"] {
        std::fs::write(month.join(name), "half").unwrap();
    }
    // The clock of the disk may be behind: the second is being written.
    for (name, age) in [(".x.png.tmp", Duration::from_secs(120)), (".y.png.tmp", Duration::from_millis(20))] {
        let file = std::fs::File::options().write(true).open(month.join(name)).unwrap();
        file.set_modified(SystemTime::now() - age).unwrap();
    }
    Artifacts::tidy(&scene.folder.path().join("outputs")).await;
    assert!(!month.join(".x.png.tmp").exists() && month.join(".y.png.tmp").exists());
    std::fs::remove_file(month.join(".y.png.tmp")).unwrap();
    assert_eq!(scene.files(), 2);
}

/// A PNG of 8 × 8 pixels by Easel, with ComfyUI's text chunks in front of the pixels.
fn of_comfy(texts: &[(&str, &str)]) -> Vec<u8> {
    let mut bytes = picture(0).file;
    let at = bytes.windows(4).position(|w| w == b"IDAT").unwrap() - 4;
    for (key, text) in texts {
        let body = [b"tEXt", key.as_bytes(), b"\0", text.as_bytes()].concat();
        let length = u32::try_from(body.len() - 4).unwrap().to_be_bytes();
        let chunk = [&length[..], &body, &crc(&body).to_be_bytes()].concat();
        bytes.splice(at..at, chunk);
    }
    bytes
}

/// The sum that a PNG's chunks end with.
fn crc(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(!0u32, |sum, byte| {
        (0..8).fold(sum ^ u32::from(*byte), |sum, _| if sum & 1 == 1 { sum >> 1 ^ 0xedb8_8320 } else { sum >> 1 })
    })
}

fn found(index: u32, file: Vec<u8>) -> Found {
    let bytes = Some(file.len() as u64);
    let pieces: Vec<_> = file.chunks(97).map(|piece| Ok(piece.to_vec().into())).collect();
    coming(index, bytes, pieces)
}

fn coming(index: u32, bytes: Option<u64>, pieces: Vec<io::Result<bytes::Bytes>>) -> Found {
    let file = Coming { bytes, pieces: Box::pin(futures_util::stream::iter(pieces)) };
    Found { profile: "ada".parse().unwrap(), prompt: "6f9619ff".into(), index, file }
}

#[tokio::test]
async fn a_picture_of_comfyuis_without_room_is_told_from_one_that_is_refused() {
    let (scene, file) = (scene().await, picture(0).file);
    let pages = |n: i64| scene.artifacts.store.run(move |c| Ok(c.pragma_update(None, "max_page_count", n)?));
    // No more than there are; the store says how many that is.
    pages(1).await.unwrap();
    let mut index = 0;
    while scene.artifacts.take(found(index, file.clone())).await == Taken::Settled {
        index += 1;
        assert!(index < 1000, "it is never full");
    }
    assert_eq!(scene.artifacts.take(found(2000, b"no picture".to_vec())).await, Taken::Settled, "room changes nothing");
    pages(1_000_000).await.unwrap();
    let before = scene.files();
    assert_eq!(scene.artifacts.take(found(index, file)).await, Taken::Settled);
    assert!(scene.files() > before, "it comes in once there is room");
}

#[tokio::test]
async fn a_picture_of_comfyuis_is_taken_in_once_with_its_workflow() {
    let scene = scene().await;
    let graph = r#"{"1": {"inputs": {"positive": ["2", 0]}}, "2": {"inputs": {"text": "Two Moons"}}}"#;
    let file = of_comfy(&[("prompt", graph), ("workflow", "{\"nodes\": []}")]);
    for _ in 0..2 {
        scene.artifacts.take(found(0, file.clone())).await;
    }
    scene.artifacts.take(found(1, b"no picture".to_vec())).await;
    let all = scene.all().await;
    assert_eq!((all.len(), scene.files()), (1, 2));
    let picture = &all[0];
    let made = InComfyUi { prompt: "Two Moons".into(), workflow: true, ..InComfyUi::default() };
    assert_eq!(picture.made, Made::InComfyUi(made));
    assert_eq!((picture.width, picture.height, picture.mime.as_str()), (64, 48, "image/png"));
    assert_eq!(scene.artifacts.bytes(picture).await.unwrap(), file, "byte by byte as ComfyUI wrote it");
    assert!(download_name(picture).starts_with("2026-03-05-two-moons-") && download_name(picture).ends_with(".png"));
    let moons = Filter { q: Some("two moons".into()), ..Filter::default() };
    assert_eq!(scene.artifacts.page(&scene.ada, moons, None, 10).await.unwrap().1, 1, "it is found by its words");
    assert!(scene.artifacts.made_here(&scene.ada, 10).await.unwrap().is_empty());
    let view = serde_json::to_value(ArtifactView::from(picture.clone())).unwrap();
    assert_eq!((view["source"].as_str(), view["recipe"].is_null()), (Some("comfyui"), true));
    assert_eq!(view["workflow"], format!("/api/v1/artifacts/{}/workflow", picture.id));
}

const MP4: &[u8] = include_bytes!("../../media/tests/played/saved.mp4");
const FLAC: &[u8] = include_bytes!("../../media/tests/played/saved.flac");
const GIF: &[u8] = include_bytes!("../../media/tests/played/moving.gif");

#[tokio::test]
async fn videos_sounds_and_what_moves_are_taken_in_as_what_they_are() {
    let scene = scene().await;
    for (index, file) in (0..).zip([MP4, FLAC, GIF]) {
        assert_eq!(scene.artifacts.take(found(index, file.to_vec())).await, Taken::Settled);
    }
    let all = scene.all().await;
    let views: Vec<ArtifactView> = all.iter().rev().cloned().map(ArtifactView::from).collect();
    let facts = views.iter().map(|view| (view.kind, view.mime.as_str(), view.width, view.duration_ms, view.animated));
    let expected = [
        ("video", "video/mp4", 64, Some(1000), false),
        ("sound", "audio/flac", 0, Some(100), false),
        ("picture", "image/gif", 16, None, true),
    ];
    assert_eq!(facts.collect::<Vec<_>>(), expected);
    assert!(views.iter().zip([true, true, false]).all(|(view, has)| view.workflow.is_some() == has));
    let comfy = scene.artifacts.comfy(&all[2]).await.unwrap().unwrap();
    assert_eq!((comfy.prompt.as_str(), comfy.workflow.as_deref()), ("waves at dusk", Some("{\"nodes\": []}")));
    assert!(download_name(&all[2]).ends_with(".mp4") && all[2].path.ends_with(".mp4"));
    // A video is never held whole; nor has it a thumbnail before a browser has made a still.
    assert!(scene.artifacts.bytes(&all[2]).await.is_err() && scene.artifacts.thumb(&all[2]).await.unwrap().is_none());
    assert!(scene.artifacts.keep_still(&all[2], b"no picture".to_vec()).await.unwrap_err().is::<media::DecodeError>());
    for colour in [20, 200] {
        let pixels = media::Rgb8::new(800, 600, vec![colour; 800 * 600 * 3]).unwrap();
        let still = media::thumb::thumbnail(&pixels).unwrap();
        scene.artifacts.keep_still(&all[2], still).await.unwrap();
    }
    let thumb = scene.artifacts.thumb(&all[2]).await.unwrap().unwrap();
    let seen = media::decode::rgb(&thumb).unwrap();
    assert!(seen.width() == 512 && seen.data()[0] < 50, "small, and the first one stays");
    let ids = all.iter().map(|a| a.id.clone()).collect();
    assert_eq!(scene.artifacts.delete(&scene.ada, ids).await.unwrap().len(), 3);
    scene.clock.advance(UNDO);
    scene.artifacts.sweep().await.unwrap();
    assert_eq!(scene.files(), 0, "stills go too");
}

/// Whatever happens on the way, nothing is left of what was not taken in.
#[tokio::test]
async fn what_is_not_taken_in_leaves_nothing() {
    let scene = scene().await;
    let broken = || Err(io::ErrorKind::ConnectionReset.into());
    let head = || Ok(bytes::Bytes::from_static(MP4));
    let much = Some(1 << 60);
    for (pieces, bytes, taken) in [
        (vec![Ok("#EXTM3U\nfile:///etc/passwd".into())], None, Taken::Settled),
        (vec![Ok("<svg xmlns='http://www.w3.org/2000/svg'><script/></svg>".into()), head()], None, Taken::Settled),
        (vec![], None, Taken::Settled),
        (vec![Ok(MP4[..900].to_vec().into())], None, Taken::Settled),
        (vec![head(), broken()], None, Taken::Unread),
        (vec![broken()], None, Taken::Unread),
        (vec![head()], Some(u64::MAX), Taken::Settled),
        (
            vec![head()],
            Some(31 << 30),
            if scene.artifacts.outputs.room().unwrap() < 31 << 30 { Taken::NoRoom } else { Taken::Settled },
        ),
        (vec![Ok(picture(0).file.into())], much, Taken::Settled),
    ] {
        let what = format!("{pieces:?}").chars().take(60).collect::<String>();
        assert_eq!(scene.artifacts.take(coming(7, bytes, pieces)).await, taken, "{what}");
    }
    let left = scene.all().await.len();
    assert!(left <= 1, "only the one that there may be room for");
    let folder = scene.folder.path().join("outputs/ada");
    let files = std::fs::read_dir(folder).unwrap().filter(|entry| entry.as_ref().unwrap().path().is_file());
    assert_eq!(files.count(), 0);
}
