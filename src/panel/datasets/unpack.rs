//! The pictures of an archive into a dataset, as a task: one entry in memory at a time, what is no picture counted and
//! left out. Started again it adds nothing twice, so that neither a restart in the middle nor a full disk loses anything.

use super::{
    Added, Arrival, DatasetError, Datasets,
    archive::{Archive, Entry, Trouble},
    bring::{New, in_words, is_ours},
    files,
    layout::stem_of,
    limits::{MAX_CAPTION, MAX_PICTURE},
    tasks::{Kind, Running},
};
use crate::{store::dataset_uploads, users::ProfileId};
use std::{future::Future, io, pin::Pin, sync::PoisonError, time::Duration};
use tokio::task::JoinError;

/// Why a picture is left out that came twice.
pub(super) const ALREADY: &str = "It is in the dataset already";

/// So long an archive rests that the disk or the store did not let unpack. Then it is tried again.
pub(super) const REST: Duration = Duration::from_secs(300);

/// Why an archive was not unpacked to its end.
enum Stopped {
    /// It is the archive's fault, and would be again: why.
    Archive(String),
    /// It is the disk's or the store's, and passes: why.
    Ours(String),
}

impl From<DatasetError> for Stopped {
    fn from(e: DatasetError) -> Stopped {
        // Without its dataset it is nobody's.
        let passes = is_ours(&e) && !matches!(e, DatasetError::Unknown);
        if passes { Stopped::Ours(in_words(&e)) } else { Stopped::Archive(in_words(&e)) }
    }
}

impl From<Trouble> for Stopped {
    fn from(trouble: Trouble) -> Stopped {
        match trouble {
            Trouble::Entry(why) | Trouble::Archive(why) => Stopped::Archive(why),
            Trouble::Disk(e) => DatasetError::from(e).into(),
        }
    }
}

/// What can be awaited, of a type that can be named.
type Boxed = Pin<Box<dyn Future<Output = Result<(), DatasetError>> + Send>>;

impl Datasets {
    /// Starts to unpack the next archive of a dataset that waits, unless something runs there; whose end looks again.
    pub(super) fn unpack_next(&self, profile: &ProfileId, dataset: &str) -> Boxed {
        let (this, profile, dataset) = (self.clone(), profile.clone(), dataset.to_owned());
        // A box, because an unpacking ends by asking for the next one.
        Box::pin(async move {
            let of = dataset.clone();
            let waiting = this.0.store.read(move |c| dataset_uploads::waiting(c, Some(&of))).await?;
            let Some(archive) = waiting.into_iter().find(|archive| !this.rests(&archive.id)) else { return Ok(()) };
            let Ok(running) = this.0.tasks.begin(&profile, &dataset, Kind::Unpack, &archive.name) else { return Ok(()) };
            tokio::spawn(this.clone().unpack(archive, running));
            Ok(())
        })
    }

    /// The end of any task: it is told, and an archive that came meanwhile has its turn.
    pub(super) async fn end(&self, running: Running, profile: &ProfileId, dataset: &str, result: Result<(), String>) {
        running.end(result);
        self.go_on(profile, dataset).await;
    }

    async fn go_on(&self, profile: &ProfileId, dataset: &str) {
        if let Err(e) = self.unpack_next(profile, dataset).await {
            tracing::error!("an archive of a dataset waits for the next start: {e}");
        }
    }

    pub(super) async fn unpack(self, arrival: Arrival, running: Running) {
        let (of, id) = (arrival.profile.clone(), arrival.id.clone());
        if let Ok(None) = self.0.store.read(move |c| dataset_uploads::get(c, &of, &id)).await {
            // It was unpacked between the look at what waits and the begin of this.
            running.withdraw();
            return self.go_on(&arrival.profile, &arrival.dataset).await;
        }
        let result = match self.unpack_all(&arrival, &running).await {
            // Its sender was told that all is there: it stays until it is unpacked.
            Err(Stopped::Ours(why)) => {
                let until = self.0.clock.ms() + REST.as_millis() as i64;
                self.0.resting.lock().unwrap_or_else(PoisonError::into_inner).insert(arrival.id.clone(), until);
                Err(format!("{why} The archive is kept, and is tried again every few minutes."))
            }
            // Also where it is no good: what is here can be seen, and a better one be sent.
            result => {
                if let Err(e) = self.give_up(&arrival).await {
                    tracing::error!("an archive that was unpacked is not put away: {e}");
                }
                result.map_err(|stopped| match stopped {
                    Stopped::Archive(why) | Stopped::Ours(why) => why,
                })
            }
        };
        self.end(running, &arrival.profile, &arrival.dataset, result).await;
    }

    /// Whether an archive could not be unpacked a moment ago.
    fn rests(&self, id: &str) -> bool {
        let now = self.0.clock.ms();
        let mut resting = self.0.resting.lock().unwrap_or_else(PoisonError::into_inner);
        resting.retain(|_, until| *until > now);
        resting.contains_key(id)
    }

    /// Begins with every archive that waits and may be tried again.
    pub(super) async fn unpack_waiting(&self) -> Result<(), DatasetError> {
        for archive in self.0.store.read(|c| dataset_uploads::waiting(c, None)).await? {
            self.unpack_next(&archive.profile, &archive.dataset).await?;
        }
        Ok(())
    }

    async fn unpack_all(&self, arrival: &Arrival, running: &Running) -> Result<(), Stopped> {
        let (folder, path) = (self.0.files.clone(), files::part(&arrival.profile, &arrival.id));
        let open = move || {
            let file = folder.file(&path).map_err(|e| match e.kind() {
                io::ErrorKind::NotFound => Stopped::Archive("Its file is not there any more. Send it again.".into()),
                _ => DatasetError::from(e).into(),
            })?;
            let archive = Archive::open(file)?;
            let contents = archive.contents();
            Ok::<_, Stopped>((archive, contents))
        };
        let (mut archive, contents) = tokio::task::spawn_blocking(open).await.map_err(broke)??;
        running.update(|task| {
            task.total = contents.pictures.len() as u32;
            contents.skipped.iter().for_each(|(why, name)| task.skip(*why, name));
        });
        if contents.pictures.is_empty() {
            return Err(Stopped::Archive("There is no PNG, JPEG or WebP in it.".into()));
        }
        for entry in contents.pictures {
            if running.is_cancelled() {
                return Ok(());
            }
            let name = entry.name.clone();
            let (back, read) = read(archive, entry).await.map_err(broke)?;
            archive = back;
            match read {
                Err(Trouble::Entry(why)) => running.update(|task| task.skip(why, &name)),
                Err(trouble) => return Err(trouble.into()),
                Ok((new, note)) => self.take(arrival, running, new, note).await?,
            }
            running.update(|task| task.done += 1);
        }
        Ok(())
    }

    /// One picture, whatever becomes of it.
    async fn take(&self, arrival: &Arrival, running: &Running, new: New, note: Option<&'static str>) -> Result<(), Stopped> {
        let name = new.name.clone();
        let added = self.add(&arrival.profile, &arrival.dataset, new).await;
        running.update(|task| {
            if let Some(note) = note {
                task.skip(note, &name);
            }
            match &added {
                Ok(Added::New(_)) => task.good += 1,
                Ok(Added::Already(_)) => task.skip(ALREADY, &name),
                Err(DatasetError::Field(_, why)) => task.skip(why.trim_end_matches('.'), &name),
                Err(_) => {}
            }
        });
        match added {
            // The dataset is full, or the disk: so it is for the next one.
            Err(e) if matches!(e, DatasetError::TooLarge(_)) || is_ours(&e) => Err(e.into()),
            _ => Ok(()),
        }
    }
}

/// What was read of an entry: the picture, and what is to be noted about its caption.
type Read = Result<(New, Option<&'static str>), Trouble>;

/// Something in an archive made its reader panic, as it would at every start; or the panel is ending.
fn broke(e: JoinError) -> Stopped {
    tracing::error!("an archive: {e}");
    if e.is_cancelled() {
        return Stopped::Ours("Easel is stopping.".into());
    }
    Stopped::Archive("It cannot be read. An admin finds the reason in Easel's log.".into())
}

/// Reads a picture and its caption, off the async threads; the archive comes back.
async fn read(mut archive: Archive, entry: Entry) -> Result<(Archive, Read), JoinError> {
    let work = move || {
        let mut read = || -> Read {
            let file = archive.read(entry.index, MAX_PICTURE)?;
            let (caption, note) = match entry.caption.map(|index| archive.caption(index)) {
                None => (String::new(), None),
                Some(Ok(text)) if text.trim().chars().count() <= MAX_CAPTION => (text, None),
                Some(Err(trouble @ (Trouble::Archive(_) | Trouble::Disk(_)))) => return Err(trouble),
                Some(_) => (String::new(), Some("Its caption is too long or damaged, and was left out")),
            };
            Ok((New { name: stem_of(&entry.name).to_owned(), caption, file }, note))
        };
        let read = read();
        (archive, read)
    };
    tokio::task::spawn_blocking(work).await
}
