//! Whole files, pieces, lost answers, what is refused.

use super::*;

mod needs;

struct Scene {
    folder: tempfile::TempDir,
    uploads: Uploads,
    ada: ProfileId,
}

fn scene() -> Scene {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(&folder.path().join("state")).unwrap();
    let uploads = Uploads::open(&folder.path().join("spool"), store, Clock::real()).unwrap();
    Scene { folder, uploads, ada: "ada".parse().unwrap() }
}

/// A small picture, as an encoder writes it.
fn picture() -> Vec<u8> {
    let pixels = media::Rgb8::new(64, 64, (0..64 * 64 * 3).map(|i| (i % 251) as u8).collect()).unwrap();
    media::thumb::thumbnail(&pixels).unwrap()
}

#[tokio::test]
async fn a_file_in_pieces_is_the_same_as_whole_and_is_ones_own() {
    let Scene { uploads, ada, folder } = scene();
    let file = picture();
    let whole = uploads.whole(&ada, file.clone()).await.unwrap();
    assert_eq!((whole.width, whole.height), (64, 64));
    let id = uploads.begin(&ada, file.len() as u64, Some(whole.sha256.clone())).await.unwrap();
    let middle = file.len() / 2;
    let first = uploads.piece(&ada, &id, 0, file[..middle].to_vec()).await.unwrap();
    assert_eq!(first, Stage::Offset(middle as u64));
    assert!(matches!(uploads.piece(&ada, &id, 0, vec![1]).await, Err(UploadError::WrongOffset(at)) if at == middle as u64));
    let bob = "bob".parse().unwrap();
    assert!(matches!(uploads.offset(&bob, &id).await, Err(UploadError::Unknown)));
    assert_eq!(uploads.offset(&ada, &id).await.unwrap(), middle as u64);
    let last = uploads.piece(&ada, &id, middle as u64, file[middle..].to_vec()).await.unwrap();
    assert_eq!(last, Stage::Complete(whole.clone()));
    // The last answer was lost: the sender asks where to go on, and gets it again.
    let end = uploads.offset(&ada, &id).await.unwrap();
    assert_eq!(uploads.piece(&ada, &id, end, Vec::new()).await.unwrap(), Stage::Complete(whole.clone()));
    assert_eq!(uploads.bytes(&ada, &whole.sha256).await.unwrap(), file);
    assert!(uploads.get(&bob, &whole.sha256).await.unwrap().is_none());
    let names: Vec<_> = std::fs::read_dir(folder.path().join("spool/ada")).unwrap().map(|e| e.unwrap().file_name()).collect();
    assert_eq!(names, [whole.sha256.as_str()], "pieces are cleared away");
}

#[tokio::test]
async fn what_is_no_picture_or_not_as_promised_is_refused_and_leaves_nothing() {
    let Scene { uploads, ada, folder } = scene();
    for junk in [b"<svg/>".to_vec(), b"<html>".to_vec(), picture()[..10].to_vec()] {
        assert!(matches!(uploads.whole(&ada, junk).await, Err(UploadError::NotAPicture(_))));
    }
    assert!(matches!(uploads.whole(&ada, Vec::new()).await, Err(UploadError::NotAPicture(_))));
    assert!(matches!(uploads.begin(&ada, MAX_FILE + 1, None).await, Err(UploadError::TooLarge(_))));
    let file = picture();
    let id = uploads.begin(&ada, file.len() as u64, Some("0".repeat(64))).await.unwrap();
    assert!(matches!(uploads.piece(&ada, &id, 0, file.clone()).await, Err(UploadError::WrongHash)));
    let id = uploads.begin(&ada, 10, None).await.unwrap();
    assert!(matches!(uploads.piece(&ada, &id, 0, file).await, Err(UploadError::TooLarge(_))));
    let left = std::fs::read_dir(folder.path().join("spool/ada")).map_or(0, Iterator::count);
    assert_eq!(left, 0);
}

#[tokio::test]
async fn unfinished_uploads_are_few_and_given_up_after_a_day() {
    let Scene { uploads, ada, folder } = scene();
    let uploads = Uploads { clock: Clock::at(jiff::Timestamp::UNIX_EPOCH), ..uploads };
    let first = uploads.begin(&ada, 10, None).await.unwrap();
    for _ in 1..MAX_UNFINISHED {
        uploads.begin(&ada, 10, None).await.unwrap();
    }
    assert!(matches!(uploads.begin(&ada, 10, None).await, Err(UploadError::TooLarge(_))));
    let bob = "bob".parse().unwrap();
    let slow = uploads.begin(&bob, 10, None).await.unwrap();
    uploads.piece(&bob, &slow, 0, vec![1]).await.unwrap();
    uploads.clock.advance(STALE + Duration::from_secs(1));
    uploads.sweep().await.unwrap();
    assert!(matches!(uploads.offset(&ada, &first).await, Err(UploadError::Unknown)));
    uploads.begin(&ada, 10, None).await.unwrap();
    assert_eq!(uploads.offset(&bob, &slow).await.unwrap(), 1, "begun long ago, and still coming");
    let part = std::fs::File::options().write(true).open(folder.path().join(format!("spool/bob/{slow}.part"))).unwrap();
    part.set_modified(SystemTime::now() - STALE - Duration::from_secs(1)).unwrap();
    uploads.sweep().await.unwrap();
    assert!(matches!(uploads.offset(&bob, &slow).await, Err(UploadError::Unknown)));
}

/// A proxy cut the first request, so the browser sends the last piece again while the file is being kept.
#[tokio::test]
async fn a_last_piece_that_comes_twice_at_once_spoils_nothing() {
    let Scene { uploads, ada, folder: _folder } = scene();
    let file = picture();
    let id = uploads.begin(&ada, file.len() as u64, None).await.unwrap();
    let middle = file.len() / 2;
    uploads.piece(&ada, &id, 0, file[..middle].to_vec()).await.unwrap();
    let last = || uploads.piece(&ada, &id, middle as u64, file[middle..].to_vec());
    let (first, second) = tokio::join!(last(), last());
    assert!(matches!(first, Ok(Stage::Complete(_))), "{first:?}");
    assert!(matches!(second, Err(UploadError::Busy)), "{second:?}");
    let end = uploads.offset(&ada, &id).await.unwrap();
    assert!(matches!(uploads.piece(&ada, &id, end, Vec::new()).await, Ok(Stage::Complete(_))));
}
