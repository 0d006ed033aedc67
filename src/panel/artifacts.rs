//! Finished pictures, and videos and sounds that came from elsewhere: files below `outputs/`, rows in the store. A file is
//! durable before its row, and its row before anybody hears of it. Knows no HTTP and no engine.

mod chosen;
mod files;
mod made;
mod shown;
mod taken;

use made::Incoming;
pub use made::{InComfyUi, Made};
pub use shown::{ArtifactView, Filter, download_name, parse_month};

use crate::{
    beneath::Beneath,
    clock::Clock,
    events::{Events, Kind},
    store::{self, Store, StoreError},
    users::ProfileId,
};
use anyhow::Context;
use protocol::{JobId, Recipe};
use std::{
    collections::HashMap,
    fs::File,
    io,
    path::Path,
    time::{Duration, SystemTime},
};

/// How long a deleted picture can be restored.
pub const UNDO: Duration = Duration::from_secs(30);
/// A file's time may be so far behind the clock: disks count in coarse steps, and servers of files have clocks of their own.
/// What is being written now must not be taken for what a crash left.
const CLOCKS: Duration = Duration::from_secs(60);

/// A finished picture, video or sound. Times are milliseconds since 1970.
#[derive(Clone, Debug, PartialEq)]
pub struct Artifact {
    /// Its id; sorts by completion.
    pub id: String,
    /// Whose it is.
    pub profile: ProfileId,
    /// The job that made it.
    pub job: JobId,
    /// Which picture of the batch.
    pub index: u32,
    /// Its file, below `outputs/`.
    pub path: String,
    /// Pixels; 0 of a sound.
    pub width: u32,
    /// Pixels; 0 of a sound.
    pub height: u32,
    /// Media type.
    pub mime: String,
    /// Size of the file.
    pub bytes: u64,
    /// When it was finished.
    pub created: i64,
    /// How it was made.
    pub made: Made,
    /// When it was deleted.
    pub deleted: Option<i64>,
}

impl Artifact {
    /// How it is looked at.
    pub fn kind(&self) -> media::Kind {
        media::Format::of_mime(&self.mime).map_or(media::Kind::Picture, |format| format.kind)
    }
}

/// Where a picture stands in its gallery.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Neighbours {
    /// How many are newer.
    pub newer_ones: u64,
    /// The next newer one.
    pub newer: Option<String>,
    /// The next older one.
    pub older: Option<String>,
}

/// A picture on its way in.
#[derive(Clone, Debug)]
pub struct NewPicture {
    /// Which picture of the batch.
    pub index: u32,
    /// Pixels.
    pub width: u32,
    /// Pixels.
    pub height: u32,
    /// The whole file.
    pub file: Vec<u8>,
    /// A WebP of at most 512 pixels a side.
    pub thumb: Vec<u8>,
    /// The recipe of this picture alone.
    pub recipe: Recipe,
}

/// The handle.
#[derive(Clone, Debug)]
pub struct Artifacts {
    store: Store,
    events: Events,
    clock: Clock,
    outputs: Beneath,
    choices: chosen::Choices,
}

/// Whether a picture could not be put for want of space.
pub fn is_full(e: &anyhow::Error) -> bool {
    e.chain().any(|cause| {
        let io = cause.downcast_ref::<io::Error>().map(io::Error::kind);
        matches!(io, Some(io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded))
            || matches!(cause.downcast_ref(), Some(StoreError::Full))
    })
}

impl Artifacts {
    /// The pictures below `outputs`.
    ///
    /// # Errors
    /// When the folder cannot be made or opened.
    pub fn open(outputs: &Path, store: Store, events: Events, clock: Clock) -> io::Result<Artifacts> {
        Ok(Artifacts { store, events, clock, outputs: Beneath::open(outputs)?, choices: chosen::Choices::default() })
    }

    /// Keeps a choice of pictures to be downloaded together, for ten minutes; its name.
    pub fn choose(&self, profile: &ProfileId, ids: Vec<String>) -> String {
        self.choices.keep(&self.clock, profile, ids)
    }

    /// The pictures that a profile chose under a name. None of a choice that is not kept any more, or another's.
    pub fn chosen(&self, profile: &ProfileId, name: &str) -> Option<Vec<String>> {
        self.choices.find(&self.clock, profile, name)
    }

    /// Removes what a crash left half-written below `outputs`. Beside the first requests, because a large
    /// gallery takes a while to walk through.
    pub async fn tidy(outputs: &Path) {
        let (outputs, started) = (outputs.to_path_buf(), SystemTime::now() - CLOCKS);
        // The walk cannot fail, only find nothing.
        let _ = tokio::task::spawn_blocking(move || files::remove_temporary(&outputs, started)).await;
    }

    /// Puts a picture into its owner's gallery, durably, then tells it. One that a job made before is
    /// already there and stays.
    ///
    /// # Errors
    /// When the disk or the store refuses; then neither file nor row is left.
    pub async fn publish(&self, profile: &ProfileId, job: &JobId, picture: NewPicture) -> anyhow::Result<()> {
        self.put(profile, job, picture.into()).await
    }

    async fn put(&self, profile: &ProfileId, job: &JobId, picture: Incoming) -> anyhow::Result<()> {
        if self.has(job, picture.index).await? {
            return Ok(());
        }
        let artifact = self.describe(profile, job, &picture);
        let (outputs, a) = (self.outputs.clone(), artifact.clone());
        tokio::task::spawn_blocking(move || files::write(&outputs, &a, &picture)).await?.context("writing the picture")?;
        let kept = self.insert(artifact.clone()).await;
        if !matches!(kept, Ok(true)) {
            self.unlink(artifact).await?;
        }
        kept?;
        Ok(())
    }

    /// Whether that one of a job is there, or was deleted.
    async fn has(&self, job: &JobId, index: u32) -> Result<bool, StoreError> {
        let job = job.clone();
        Ok(self.store.read(move |c| store::artifacts::indexes(c, &job)).await?.contains(&index))
    }

    fn describe(&self, profile: &ProfileId, job: &JobId, picture: &Incoming) -> Artifact {
        let (id, now) = (ulid::Ulid::generate().to_string(), self.clock.now());
        let month = now.strftime("%Y-%m");
        Artifact {
            path: format!("{profile}/{month}/{id}.{}", picture.extension),
            id,
            profile: profile.clone(),
            job: job.clone(),
            index: picture.index,
            width: picture.width,
            height: picture.height,
            mime: picture.mime.clone(),
            bytes: picture.bytes,
            created: now.as_millisecond(),
            made: picture.made.clone(),
            deleted: None,
        }
    }

    async fn insert(&self, artifact: Artifact) -> Result<bool, StoreError> {
        let events = self.events.clone();
        let change = move |c: &mut store::Connection| {
            let (profile, job, now) = (artifact.profile.clone(), artifact.job.clone(), artifact.created);
            let change = c.transaction()?;
            if !store::artifacts::insert(&change, &artifact)? {
                return Ok(false);
            }
            let body = serde_json::to_string(&ArtifactView::from(artifact)).expect("numbers and strings are JSON");
            let event = store::events::insert(&change, &profile, &job, Kind::Artifact, body, now)?;
            change.commit()?;
            events.announce(&profile, &event);
            Ok(true)
        };
        self.store.run(change).await
    }

    /// One picture of a profile that is not deleted.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub async fn get(&self, profile: &ProfileId, id: &str) -> Result<Option<Artifact>, StoreError> {
        let (profile, id) = (profile.clone(), id.to_owned());
        let found = self.store.read(move |c| store::artifacts::get(c, &profile, &id)).await?;
        Ok(found.filter(|a| a.deleted.is_none()))
    }

    /// The newest pictures that the studio itself made.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub async fn made_here(&self, profile: &ProfileId, limit: u32) -> Result<Vec<Artifact>, StoreError> {
        let profile = profile.clone();
        self.store.read(move |c| store::artifacts::made_here(c, &profile, limit)).await
    }

    /// A page of a gallery, newest first, and how many there are in all.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub async fn page(
        &self,
        profile: &ProfileId,
        filter: Filter,
        before: Option<String>,
        limit: u32,
    ) -> Result<(Vec<Artifact>, u64), StoreError> {
        let profile = profile.clone();
        let read = move |c: &mut store::Connection| {
            let page = store::artifacts::page(c, &profile, &filter, before.as_deref(), limit)?;
            Ok((page, store::artifacts::count(c, &profile, &filter)?))
        };
        self.store.read(read).await
    }

    /// How many pictures each profile keeps, by its id.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub async fn of_each(&self) -> Result<HashMap<String, u64>, StoreError> {
        Ok(self.store.read(|c| store::artifacts::of_each(c)).await?.into_iter().collect())
    }

    /// Id, width, height and time (ms) of every picture that passes a filter, newest first.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub async fn layout(&self, profile: &ProfileId, filter: Filter) -> Result<Vec<(String, u32, u32, i64)>, StoreError> {
        let profile = profile.clone();
        self.store.read(move |c| store::artifacts::layout(c, &profile, &filter)).await
    }

    /// Where a picture stands in its gallery.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub async fn neighbours(&self, profile: &ProfileId, id: &str) -> Result<Neighbours, StoreError> {
        let (profile, id) = (profile.clone(), id.to_owned());
        self.store.read(move |c| store::artifacts::neighbours(c, &profile, &id)).await
    }

    /// Deletes pictures, all or none; for [`UNDO`] they can be restored. The ids of those that were there.
    ///
    /// # Errors
    /// When the store refuses.
    pub async fn delete(&self, profile: &ProfileId, ids: Vec<String>) -> Result<Vec<String>, StoreError> {
        let (profile, now) = (profile.clone(), self.clock.ms());
        self.each(ids, move |c, id| store::artifacts::delete(c, &profile, id, now)).await
    }

    /// Takes deletions back, all or none. The ids of those that it was not too late for.
    ///
    /// # Errors
    /// When the store refuses.
    pub async fn restore(&self, profile: &ProfileId, ids: Vec<String>) -> Result<Vec<String>, StoreError> {
        let (profile, since) = (profile.clone(), self.clock.ms() - UNDO.as_millis() as i64);
        self.each(ids, move |c, id| store::artifacts::restore(c, &profile, id, since)).await
    }

    /// Changes each of these in one transaction; those that were changed.
    async fn each(
        &self,
        ids: Vec<String>,
        change: impl Fn(&store::Connection, &str) -> Result<bool, StoreError> + Send + 'static,
    ) -> Result<Vec<String>, StoreError> {
        let all = move |c: &mut store::Connection| {
            let (transaction, mut changed) = (c.transaction()?, Vec::new());
            for id in ids {
                if change(&transaction, &id)? {
                    changed.push(id);
                }
            }
            transaction.commit()?;
            Ok(changed)
        };
        self.store.run(all).await
    }

    /// Unlinks what was deleted long enough ago.
    ///
    /// # Errors
    /// When the store or the disk refuses, the first of them; what cannot be unlinked is tried again next time.
    pub async fn sweep(&self) -> anyhow::Result<()> {
        let until = self.clock.ms() - UNDO.as_millis() as i64;
        let mut result = Ok(());
        for artifact in self.store.read(move |c| store::artifacts::expired(c, until)).await? {
            let swept = self.forget(artifact, until).await;
            result = result.and(swept);
        }
        result
    }

    /// Row and files go in one turn of the store's thread: who restores a picture finds both, or is told that it is too late.
    async fn forget(&self, artifact: Artifact, until: i64) -> anyhow::Result<()> {
        let outputs = self.outputs.clone();
        let change = move |c: &mut store::Connection| {
            let change = c.transaction()?;
            if !store::artifacts::forget(&change, &artifact.id, until)? {
                return Ok(Ok(()));
            }
            // The files before the commit: a crash between the two is repeated, the other way round they would be kept for ever.
            if let Err(e) = files::remove(&outputs, &artifact) {
                return Ok(Err(e));
            }
            change.commit()?;
            Ok(Ok(()))
        };
        self.store.run(change).await?.context("removing a picture")
    }

    async fn unlink(&self, artifact: Artifact) -> anyhow::Result<()> {
        let outputs = self.outputs.clone();
        tokio::task::spawn_blocking(move || files::remove(&outputs, &artifact)).await?.context("removing a picture")
    }

    /// Its file, to read. Blocks for as long as the disk does.
    ///
    /// # Errors
    /// When it is gone or unreadable.
    pub fn file(&self, artifact: &Artifact) -> io::Result<File> {
        self.outputs.file(&artifact.path)
    }

    /// The whole file of a picture. Those of videos and sounds are longer than anything that is held in memory.
    ///
    /// # Errors
    /// When it is gone or unreadable, or no picture.
    pub async fn bytes(&self, artifact: &Artifact) -> anyhow::Result<Vec<u8>> {
        anyhow::ensure!(artifact.kind() == media::Kind::Picture, "it is no picture");
        let (outputs, path, limit) = (self.outputs.clone(), artifact.path.clone(), artifact.bytes);
        Ok(tokio::task::spawn_blocking(move || outputs.read(&path, limit)).await??)
    }

    /// Its file, to read, and how long it is.
    ///
    /// # Errors
    /// When it is gone or unreadable.
    pub async fn opened(&self, artifact: &Artifact) -> anyhow::Result<(File, u64)> {
        let (this, a) = (self.clone(), artifact.clone());
        let open = move || this.file(&a).and_then(|file| file.metadata().map(|data| (file, data.len())));
        Ok(tokio::task::spawn_blocking(open).await??)
    }

    /// What ComfyUI wrote into its file.
    ///
    /// # Errors
    /// When it is gone or unreadable.
    pub async fn comfy(&self, artifact: &Artifact) -> anyhow::Result<Option<media::comfy::Comfy>> {
        let (outputs, a) = (self.outputs.clone(), artifact.clone());
        tokio::task::spawn_blocking(move || files::comfy(&outputs, &a)).await?
    }

    /// Its thumbnail, made again where that of a picture is missing. None of a sound, and none of a video before a browser has
    /// made a still of it.
    ///
    /// # Errors
    /// When the picture is gone or unreadable.
    pub async fn thumb(&self, artifact: &Artifact) -> anyhow::Result<Option<Vec<u8>>> {
        let (outputs, a) = (self.outputs.clone(), artifact.clone());
        tokio::task::spawn_blocking(move || files::thumb(&outputs, &a)).await?
    }

    /// Keeps a still of a video as its thumbnail; one that is there stays.
    ///
    /// # Errors
    /// A [`media::DecodeError`] where it is no picture, or as the disk.
    pub async fn keep_still(&self, artifact: &Artifact, still: Vec<u8>) -> anyhow::Result<()> {
        let (outputs, a) = (self.outputs.clone(), artifact.clone());
        tokio::task::spawn_blocking(move || files::keep_still(&outputs, &a, &still)).await?
    }
}

#[cfg(test)]
mod tests;
