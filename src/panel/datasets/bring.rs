//! One picture into a dataset, whichever road it came: checked, written under a random id, durable before its row, its
//! row before anybody hears of it. Knows no upload and no archive.

use super::{
    DatasetError, Datasets, Picture,
    check::{Checked, check},
    files,
    limits::{MAX_CAPTION, MAX_PICTURE, MAX_PICTURES, MAX_PROFILE},
};
use crate::{
    store::{Connection, StoreError, dataset_pictures},
    users::ProfileId,
};
use std::io;

/// A picture on its way in.
#[derive(Clone, Debug)]
pub(super) struct New {
    /// What it was called, without the extension.
    pub(super) name: String,
    /// What stands beside it; may be empty.
    pub(super) caption: String,
    /// The whole file.
    pub(super) file: Vec<u8>,
}

/// What became of one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Added {
    /// It is a picture of the dataset now.
    New(Picture),
    /// The very same file is there already.
    Already(Picture),
}

/// Characters of a picture's name that are kept.
const MOST_NAME: usize = 100;

impl Datasets {
    /// Takes a picture.
    ///
    /// # Errors
    /// [`DatasetError::Field`] for what is no picture that trainers read, [`DatasetError::TooLarge`] over a limit,
    /// [`DatasetError::Unknown`] where the dataset went meanwhile; or when the disk or the store refuses.
    pub(super) async fn add(&self, profile: &ProfileId, dataset: &str, new: New) -> Result<Added, DatasetError> {
        let caption = clean_caption(&new.caption)?;
        if new.file.len() as u64 > MAX_PICTURE {
            return Err(DatasetError::TooLarge(format!("A picture can have at most {} MB.", MAX_PICTURE / 1_000_000)));
        }
        let (checked, file) = {
            let _turn = self.0.checking.acquire().await.expect("the semaphore is never closed");
            let work = move || check(&new.file).map(|checked| (checked, new.file));
            let checked = match tokio::task::spawn_blocking(work).await {
                Ok(checked) => checked,
                // As it would each time this file comes.
                Err(e) if e.is_panic() => {
                    tracing::error!("a picture made its decoder panic: {e}");
                    Err("It cannot be read. An admin finds the reason in Easel's log.".into())
                }
                Err(e) => return Err(io::Error::other(e).into()),
            };
            checked.map_err(|why| DatasetError::Field("file", why))?
        };
        let (of, sha256, len) = (dataset.to_owned(), checked.sha256.clone(), file.len() as u64);
        // Looked at before anything is written; decided again with the row.
        if let Some(known) = self.0.store.read(move |c| dataset_pictures::same(c, &of, &sha256)).await?
            && known.deleted.is_none()
        {
            return Ok(Added::Already(known));
        }
        let picture = Picture {
            id: ulid::Ulid::generate().to_string(),
            dataset: dataset.to_owned(),
            profile: profile.clone(),
            name: new.name.chars().filter(|c| !c.is_control()).take(MOST_NAME).collect(),
            mime: checked.mime.to_owned(),
            bytes: len,
            width: checked.width,
            height: checked.height,
            sha256: checked.sha256.clone(),
            caption,
            version: 0,
            created: self.0.clock.ms(),
            deleted: None,
        };
        self.write(&picture, checked, file).await?;
        let row = picture.clone();
        let added = self.change(profile, dataset, move |c, _, version| put(c, Picture { version, ..row })).await;
        if !matches!(added, Ok(Added::New(_))) {
            self.unlink(&picture).await?;
        }
        added
    }

    async fn write(&self, picture: &Picture, checked: Checked, file: Vec<u8>) -> Result<(), DatasetError> {
        let (folder, profile) = (self.0.files.clone(), picture.profile.clone());
        let (path, thumb) = (files::picture(&profile, &picture.id, &picture.mime), files::thumb(&profile, &picture.id));
        files::blocking(move || {
            let name = |path: &str| path.rsplit('/').next().unwrap_or(path).to_owned();
            folder.write(profile.as_str(), &name(&thumb), &checked.thumb)?;
            folder.write(profile.as_str(), &name(&path), &file).inspect_err(|_| drop(folder.remove(&thumb)))
        })
        .await
    }

    async fn unlink(&self, picture: &Picture) -> Result<(), DatasetError> {
        let (folder, profile) = (self.0.files.clone(), &picture.profile);
        let paths = [files::picture(profile, &picture.id, &picture.mime), files::thumb(profile, &picture.id)];
        files::blocking(move || paths.iter().try_for_each(|path| folder.remove(path))).await
    }

    /// The whole file of a picture.
    ///
    /// # Errors
    /// When it is gone or unreadable.
    pub async fn file(&self, picture: &Picture) -> Result<Vec<u8>, DatasetError> {
        self.read(files::picture(&picture.profile, &picture.id, &picture.mime), MAX_PICTURE).await
    }

    /// Its thumbnail, a WebP.
    ///
    /// # Errors
    /// When it is gone or unreadable.
    pub async fn thumb(&self, picture: &Picture) -> Result<Vec<u8>, DatasetError> {
        self.read(files::thumb(&picture.profile, &picture.id), 4 << 20).await
    }

    async fn read(&self, path: String, limit: u64) -> Result<Vec<u8>, DatasetError> {
        let folder = self.0.files.clone();
        files::blocking(move || folder.read(&path, limit)).await
    }
}

/// The row, where there is room and no other has this content.
fn put(c: &Connection, picture: Picture) -> Result<Added, DatasetError> {
    if let Some(known) = dataset_pictures::same(c, &picture.dataset, &picture.sha256)?
        && known.deleted.is_none()
    {
        return Ok(Added::Already(known));
    }
    if dataset_pictures::count(c, &picture.dataset)? >= MAX_PICTURES {
        return Err(DatasetError::TooLarge(format!("A dataset holds at most {MAX_PICTURES} pictures.")));
    }
    check_room(c, &picture.profile, picture.bytes)?;
    dataset_pictures::insert(c, &picture)?;
    Ok(Added::New(picture))
}

/// Whether so many bytes more fit into a profile's datasets.
pub(super) fn check_room(c: &Connection, profile: &ProfileId, more: u64) -> Result<(), DatasetError> {
    if dataset_pictures::bytes(c, profile)?.saturating_add(more) > MAX_PROFILE {
        let words = format!("Your datasets fill their {} GiB. Delete one that is not needed any more.", MAX_PROFILE >> 30);
        return Err(DatasetError::TooLarge(words));
    }
    Ok(())
}

/// A caption as it is kept: without blanks at its ends, breaks of lines as one kind, no other control characters.
pub(super) fn clean_caption(text: &str) -> Result<String, DatasetError> {
    let text = text.trim_start_matches('\u{feff}').replace("\r\n", "\n").replace('\r', "\n");
    let text: String = text.chars().filter(|c| !c.is_control() || *c == '\n').collect();
    let text = text.trim();
    let long = text.chars().count();
    if long > MAX_CAPTION {
        return Err(DatasetError::Field("caption", format!("It has {long} characters; {MAX_CAPTION} is the most.")));
    }
    Ok(text.to_owned())
}

/// Whether a failure is the disk's or the store's, after which the rest would fail as well.
pub(super) fn is_ours(e: &DatasetError) -> bool {
    matches!(e, DatasetError::Disk(_) | DatasetError::Store(_) | DatasetError::Unknown)
}

/// A failure in words for the board of tasks. What is ours goes to the log.
pub(super) fn in_words(e: &DatasetError) -> String {
    let full = |e: &io::Error| matches!(e.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded);
    match e {
        DatasetError::Store(StoreError::Full) => "The disk is full. Free some space, then try again.".into(),
        DatasetError::Disk(e) if full(e) => "The disk is full. Free some space, then try again.".into(),
        DatasetError::Store(_) | DatasetError::Disk(_) => {
            tracing::error!("a dataset: {e}");
            "The disk does not take changes. An admin finds the reason in Easel's log.".into()
        }
        e => e.to_string(),
    }
}
