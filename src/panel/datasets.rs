//! Datasets for training a LoRA: pictures with captions, brought, captioned and exported. Each belongs to one profile.
//! Knows no HTTP of its own; only `captioner/` asks another machine.

mod archive;
mod bring;
mod bucket;
mod captioner;
mod captions;
mod check;
mod export;
mod files;
mod gallery;
mod layout;
pub mod limits;
mod names;
mod pieces;
mod removal;
mod replace;
mod shown;
mod tasks;
mod unpack;

pub use bring::Added;
pub use bucket::{Fit, RESOLUTIONS, fit};
pub use captioner::{INSTRUCTION, Instructed, Protocol, Vision, VisionView};
pub use captions::{Preview, Replaced};
pub use layout::{Layout, PLACEHOLDER, safe};
pub use pieces::{Arrival, Begin, Stage};
pub use replace::Search;
pub use shown::{DatasetView, PictureView};
pub use tasks::TaskView;

use crate::{
    artifacts::Artifacts,
    beneath::Beneath,
    clock::Clock,
    config::Config,
    events::Events,
    spool::Spool,
    store::{Connection, Store, StoreError, dataset_pictures, datasets as rows},
    users::ProfileId,
};
use limits::MAX_DATASETS;
use names::{check_unique, parse_name, parse_trigger};
use std::{collections::HashMap, io, path::PathBuf, sync::Arc, sync::Mutex};
use tasks::Tasks;
use tokio::sync::Semaphore;

/// Pictures that are decoded at the same time: one may take half a gigabyte for a moment.
const CHECKED_AT_ONCE: usize = 2;

/// A dataset with what is in it. Times are milliseconds since 1970.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Dataset {
    /// Its id; sorts by when it was made.
    pub id: String,
    /// Whose it is.
    pub profile: ProfileId,
    /// What it is called.
    pub name: String,
    /// The word that the LoRA is called by in prompts; may be empty.
    pub trigger: String,
    /// Grows with every change.
    pub version: i64,
    /// When it was made.
    pub created: i64,
    /// When it last changed.
    pub changed: i64,
    /// How many pictures it has.
    pub pictures: u32,
    /// How many of them have a caption.
    pub captioned: u32,
    /// Bytes of its pictures.
    pub bytes: u64,
    /// How many captions the last change of many at once changed, where it can be taken back; else 0.
    pub undo: u32,
}

/// A picture of a dataset.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Picture {
    /// Its id; sorts by when it came.
    pub id: String,
    /// Which dataset it is in.
    pub dataset: String,
    /// Whose it is.
    pub profile: ProfileId,
    /// What its file was called, without the extension.
    pub name: String,
    /// Media type: PNG, JPEG or WebP.
    pub mime: String,
    /// Size of the file.
    pub bytes: u64,
    /// Pixels, as it is shown.
    pub width: u32,
    /// Pixels, as it is shown.
    pub height: u32,
    /// SHA-256 of the file, 64 hex digits.
    pub sha256: String,
    /// What stands beside it; may be empty.
    pub caption: String,
    /// The dataset's version when it last changed.
    pub version: i64,
    /// When it came.
    pub created: i64,
    /// When it was removed.
    pub deleted: Option<i64>,
}

/// Why something is not done.
#[derive(Debug, thiserror::Error)]
pub enum DatasetError {
    /// There is none such of this profile.
    #[error("There is no such dataset or picture.")]
    Unknown,
    /// A field that cannot be taken: which, and why.
    #[error("{1}")]
    Field(&'static str, String),
    /// It clashes with what is there.
    #[error("{0}")]
    Clash(String),
    /// The caption was changed meanwhile; this is the picture now.
    #[error("This caption was changed elsewhere meanwhile. Nothing of yours was saved over it.")]
    Stale(Box<Picture>),
    /// Over a limit; names it.
    #[error("{0}")]
    TooLarge(String),
    /// A piece for another offset than the next.
    #[error("The next byte wanted is {0}.")]
    WrongOffset(u64),
    /// The store refused.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The disk refused.
    #[error("the disk failed: {0}")]
    Disk(#[from] io::Error),
}

#[derive(Debug)]
struct Inner {
    store: Store,
    clock: Clock,
    artifacts: Artifacts,
    /// `datasets/` in the data folder.
    files: Beneath,
    /// The same as a path, to be walked through.
    folder: PathBuf,
    workspace: PathBuf,
    /// A vision model may be on a private address too.
    private: bool,
    tasks: Tasks,
    /// Uploads on their way, in the same folder.
    parts: Spool,
    /// Archives that the disk did not let unpack, and until when (ms) each is left in peace.
    resting: Mutex<HashMap<String, i64>>,
    checking: Semaphore,
}

/// The handle.
#[derive(Clone, Debug)]
pub struct Datasets(Arc<Inner>);

impl Datasets {
    /// The datasets of a data folder. Archives that came before the panel ended are unpacked to their end. Call it inside
    /// a tokio runtime.
    ///
    /// # Errors
    /// When the folder cannot be made or the store not be read.
    pub async fn open(
        config: &Config,
        store: Store,
        events: Events,
        clock: Clock,
        artifacts: Artifacts,
    ) -> Result<Datasets, DatasetError> {
        let folder = config.data.join("datasets");
        let files = Beneath::open(&folder)?;
        let datasets = Datasets(Arc::new(Inner {
            parts: Spool::new(files.clone()),
            files,
            folder,
            workspace: config.workspace.clone(),
            private: config.private_downloads,
            tasks: Tasks::new(events),
            resting: Mutex::default(),
            checking: Semaphore::new(CHECKED_AT_ONCE),
            store,
            clock,
            artifacts,
        }));
        datasets.unpack_waiting().await?;
        Ok(datasets)
    }

    /// The datasets of a profile, the last changed first.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub async fn list(&self, profile: &ProfileId) -> Result<Vec<Dataset>, StoreError> {
        let profile = profile.clone();
        self.0.store.read(move |c| rows::all(c, &profile)).await
    }

    /// One of them.
    ///
    /// # Errors
    /// [`DatasetError::Unknown`], or when the store cannot be read.
    pub async fn get(&self, profile: &ProfileId, id: &str) -> Result<Dataset, DatasetError> {
        let (profile, id) = (profile.clone(), id.to_owned());
        self.0.store.read(move |c| rows::get(c, &profile, &id)).await?.ok_or(DatasetError::Unknown)
    }

    /// A dataset as it is now, and its pictures that changed after a version; all with 0. One look at the store, so that
    /// version and pictures belong together.
    ///
    /// # Errors
    /// [`DatasetError::Unknown`], or when the store cannot be read.
    pub async fn look(&self, profile: &ProfileId, id: &str, after: i64) -> Result<(Dataset, Vec<Picture>), DatasetError> {
        let (profile, id) = (profile.clone(), id.to_owned());
        let look = move |c: &mut Connection| {
            let c = c.transaction()?;
            let Some(dataset) = rows::get(&c, &profile, &id)? else { return Ok(None) };
            Ok(Some((dataset, dataset_pictures::after(&c, &id, after)?)))
        };
        self.0.store.read(look).await?.ok_or(DatasetError::Unknown)
    }

    /// The ids of a dataset's first pictures.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub async fn first(&self, dataset: &str, most: u32) -> Result<Vec<String>, StoreError> {
        let dataset = dataset.to_owned();
        self.0.store.read(move |c| dataset_pictures::first(c, &dataset, most)).await
    }

    /// One picture of a profile that is not removed.
    ///
    /// # Errors
    /// [`DatasetError::Unknown`], or when the store cannot be read.
    pub async fn picture(&self, profile: &ProfileId, id: &str) -> Result<Picture, DatasetError> {
        let (profile, id) = (profile.clone(), id.to_owned());
        let found = self.0.store.read(move |c| dataset_pictures::get(c, &profile, &id)).await?;
        found.filter(|p| p.deleted.is_none()).ok_or(DatasetError::Unknown)
    }

    /// Makes an empty dataset.
    ///
    /// # Errors
    /// [`DatasetError::Field`] or [`DatasetError::Clash`] for a name that cannot be taken; [`DatasetError::TooLarge`].
    pub async fn make(&self, profile: &ProfileId, name: &str, trigger: &str) -> Result<Dataset, DatasetError> {
        let (name, trigger) = (parse_name(name)?, parse_trigger(trigger)?);
        let now = self.0.clock.ms();
        let dataset = Dataset {
            id: ulid::Ulid::generate().to_string(),
            profile: profile.clone(),
            name,
            trigger,
            version: 1,
            created: now,
            changed: now,
            pictures: 0,
            captioned: 0,
            bytes: 0,
            undo: 0,
        };
        let row = dataset.clone();
        let change = move |c: &mut Connection| {
            let all = rows::all(c, &row.profile)?;
            if all.len() >= MAX_DATASETS as usize {
                return Ok(Err(DatasetError::TooLarge(format!("You have {MAX_DATASETS} datasets. Delete one first."))));
            }
            Ok(check_unique(&all, &row.id, &row.name).map(|()| rows::insert(c, &row)))
        };
        self.0.store.run(change).await???;
        self.tell(profile, &dataset.id, dataset.version);
        Ok(dataset)
    }

    /// Gives it another name and trigger word.
    ///
    /// # Errors
    /// As [`Datasets::make`], or [`DatasetError::Unknown`].
    pub async fn rename(&self, profile: &ProfileId, id: &str, name: &str, trigger: &str) -> Result<(), DatasetError> {
        let (name, trigger) = (parse_name(name)?, parse_trigger(trigger)?);
        self.change(profile, id, move |c, dataset, _| {
            check_unique(&rows::all(c, &dataset.profile)?, &dataset.id, &name)?;
            Ok(rows::rename(c, &dataset.id, &name, &trigger)?)
        })
        .await
    }

    /// One change of a dataset: in one transaction, with its next version, told to everybody after the commit.
    async fn change<T: Send + 'static>(
        &self,
        profile: &ProfileId,
        id: &str,
        work: impl FnOnce(&Connection, &Dataset, i64) -> Result<T, DatasetError> + Send + 'static,
    ) -> Result<T, DatasetError> {
        let (this, profile, id, now) = (self.clone(), profile.clone(), id.to_owned(), self.0.clock.ms());
        let change = move |c: &mut Connection| {
            let c = c.transaction()?;
            let Some(version) = rows::bump(&c, &profile, &id, now)? else { return Ok(Err(DatasetError::Unknown)) };
            let Some(dataset) = rows::get(&c, &profile, &id)? else { return Ok(Err(DatasetError::Unknown)) };
            // What is refused leaves no trace: the transaction goes back as it is dropped.
            let done = match work(&c, &dataset, version) {
                Ok(done) => done,
                Err(e) => return Ok(Err(e)),
            };
            c.commit()?;
            this.tell(&profile, &id, version);
            Ok(Ok(done))
        };
        self.0.store.run(change).await?
    }

    /// Says that a dataset has this version now. Called on the store's thread, so that versions are told in order.
    fn tell(&self, profile: &ProfileId, id: &str, version: i64) {
        self.0.tasks.tell(profile, id, version);
    }

    /// What runs for a dataset, or ran last.
    pub fn task(&self, id: &str) -> Option<TaskView> {
        self.0.tasks.view(id)
    }

    /// Ends what runs for a dataset; what is done stays. Nothing runs: nothing happens.
    pub fn cancel(&self, id: &str) {
        self.0.tasks.cancel(id);
    }
}

#[cfg(test)]
mod tests;
