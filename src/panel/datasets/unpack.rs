//! The pictures of an archive into a dataset, as a task: one entry in memory at a time, what is no picture counted and
//! left out. Started again it adds nothing twice, so that a restart in the middle loses nothing.

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
use std::{future::Future, io, pin::Pin};

/// Why a picture is left out that came twice.
pub(super) const ALREADY: &str = "It is in the dataset already";

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
            let Some(archive) = waiting.into_iter().next() else { return Ok(()) };
            let Ok(running) = this.0.tasks.begin(&profile, &dataset, Kind::Unpack, &archive.name) else { return Ok(()) };
            tokio::spawn(this.clone().unpack(archive, running));
            Ok(())
        })
    }

    /// The end of any task: it is told, and an archive that came meanwhile has its turn.
    pub(super) async fn end(&self, running: Running, profile: &ProfileId, dataset: &str, result: Result<(), String>) {
        running.end(result);
        if let Err(e) = self.unpack_next(profile, dataset).await {
            tracing::error!("an archive of a dataset waits for the next start: {e}");
        }
    }

    async fn unpack(self, arrival: Arrival, running: Running) {
        let result = self.unpack_all(&arrival, &running).await;
        // Also after a failure: what is here can be seen, and the archive be sent again.
        if let Err(e) = self.give_up(&arrival).await {
            tracing::error!("an archive that was unpacked is not put away: {e}");
        }
        self.end(running, &arrival.profile, &arrival.dataset, result).await;
    }

    async fn unpack_all(&self, arrival: &Arrival, running: &Running) -> Result<(), String> {
        let (folder, path) = (self.0.files.clone(), files::part(&arrival.profile, &arrival.id));
        let open = move || {
            let file = folder.file(&path).map_err(|e| in_words(&e.into()))?;
            let archive = Archive::open(file)?;
            let contents = archive.contents();
            Ok::<_, String>((archive, contents))
        };
        let (mut archive, contents) = tokio::task::spawn_blocking(open).await.map_err(|e| e.to_string())??;
        running.update(|task| {
            task.total = contents.pictures.len() as u32;
            contents.skipped.iter().for_each(|(why, name)| task.skip(*why, name));
        });
        if contents.pictures.is_empty() {
            return Err("There is no PNG, JPEG or WebP in it.".into());
        }
        for entry in contents.pictures {
            if running.is_cancelled() {
                return Ok(());
            }
            let name = entry.name.clone();
            let (back, read) = read(archive, entry).await.map_err(|e| in_words(&e.into()))?;
            archive = back;
            match read {
                Err(Trouble::Archive(why)) => return Err(why),
                Err(Trouble::Entry(why)) => running.update(|task| task.skip(why, &name)),
                Ok((new, note)) => self.take(arrival, running, new, note).await?,
            }
            running.update(|task| task.done += 1);
        }
        Ok(())
    }

    /// One picture, whatever becomes of it.
    async fn take(&self, arrival: &Arrival, running: &Running, new: New, note: Option<&'static str>) -> Result<(), String> {
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
            Err(e @ DatasetError::TooLarge(_)) => Err(e.to_string()),
            Err(e) if is_ours(&e) => Err(in_words(&e)),
            _ => Ok(()),
        }
    }
}

/// What was read of an entry: the picture, and what is to be noted about its caption.
type Read = Result<(New, Option<&'static str>), Trouble>;

/// Reads a picture and its caption, off the async threads; the archive comes back.
async fn read(mut archive: Archive, entry: Entry) -> io::Result<(Archive, Read)> {
    let work = move || {
        let mut read = || -> Read {
            let file = archive.read(entry.index, MAX_PICTURE)?;
            let (caption, note) = match entry.caption.map(|index| archive.caption(index)) {
                None => (String::new(), None),
                Some(Ok(text)) if text.trim().chars().count() <= MAX_CAPTION => (text, None),
                Some(Err(Trouble::Archive(why))) => return Err(Trouble::Archive(why)),
                Some(_) => (String::new(), Some("Its caption is too long or damaged, and was left out")),
            };
            Ok((New { name: stem_of(&entry.name).to_owned(), caption, file }, note))
        };
        let read = read();
        (archive, read)
    };
    tokio::task::spawn_blocking(work).await.map_err(io::Error::other)
}
