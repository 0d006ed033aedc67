//! Where the files of datasets lie below `datasets/`, and what is cleared away there. Knows no picture.

use super::{Arrival, DatasetError, Datasets, Picture, layout::extension};
use crate::{
    artifacts::UNDO,
    store::{Connection, dataset_pictures, dataset_uploads},
    uploads::files_before,
    users::ProfileId,
};
use std::{
    io,
    time::{Duration, SystemTime},
};

/// So long after its last piece an unfinished upload is given up, and a file that belongs to nothing removed.
const STALE: Duration = Duration::from_secs(24 * 3600);

/// A picture, named by its random id and by what was found in it.
pub(super) fn picture(profile: &ProfileId, id: &str, mime: &str) -> String {
    format!("{profile}/{id}.{}", extension(mime))
}

/// Its thumbnail.
pub(super) fn thumb(profile: &ProfileId, id: &str) -> String {
    format!("{profile}/{id}.thumb")
}

/// A file that is on its way.
pub(super) fn part(profile: &ProfileId, id: &str) -> String {
    format!("{profile}/{id}.part")
}

/// Work of the disk, off the async threads.
pub(super) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> io::Result<T> + Send + 'static,
) -> Result<T, DatasetError> {
    Ok(tokio::task::spawn_blocking(work).await.map_err(io::Error::other)??)
}

impl Datasets {
    /// Unlinks what was removed long enough ago, gives up what nobody went on with for a day, and begins with archives that
    /// wait because the disk did not take them.
    ///
    /// # Errors
    /// When the store or the disk refuses, the first of them; what failed is tried again next time.
    pub async fn sweep(&self) -> Result<(), DatasetError> {
        let now = self.0.clock.ms();
        let until = now - UNDO.as_millis() as i64;
        let mut result = Ok(());
        for gone in self.0.store.read(move |c| dataset_pictures::expired(c, until)).await? {
            let swept = self.forget(gone, until).await;
            result = result.and(swept);
        }
        let before = now - STALE.as_millis() as i64;
        for arrival in self.0.store.read(move |c| dataset_uploads::stale(c, before)).await? {
            let swept = self.give_up_stale(&arrival).await;
            result = result.and(swept);
        }
        result.and(self.unpack_waiting().await)
    }

    /// Row and files go in one turn of the store's thread: who restores a picture finds both, or is told that it is too late.
    async fn forget(&self, gone: Picture, until: i64) -> Result<(), DatasetError> {
        let folder = self.0.files.clone();
        let change = move |c: &mut Connection| {
            let change = c.transaction()?;
            if !dataset_pictures::forget(&change, &gone.id, until)? {
                return Ok(Ok(()));
            }
            // The files before the commit: a crash between the two is repeated.
            let paths = [picture(&gone.profile, &gone.id, &gone.mime), thumb(&gone.profile, &gone.id)];
            if let Err(e) = paths.iter().try_for_each(|path| folder.remove(path)) {
                return Ok(Err(e));
            }
            change.commit()?;
            Ok(Ok(()))
        };
        Ok(self.0.store.run(change).await??)
    }

    async fn give_up_stale(&self, arrival: &Arrival) -> Result<(), DatasetError> {
        let path = part(&arrival.profile, &arrival.id);
        match self.0.parts.hold_if_left(path, STALE).await? {
            Some(_held) => self.give_up(arrival).await,
            None => Ok(()),
        }
    }

    /// Removes what came of an upload, and its row.
    pub(super) async fn give_up(&self, arrival: &Arrival) -> Result<(), DatasetError> {
        let (folder, path) = (self.0.files.clone(), part(&arrival.profile, &arrival.id));
        blocking(move || folder.remove(&path)).await?;
        let id = arrival.id.clone();
        Ok(self.0.store.run(move |c| dataset_uploads::end(c, &id)).await?)
    }

    /// Removes files of a day ago that belong to no picture and no upload: what crashes left.
    ///
    /// # Errors
    /// When the store or the disk refuses; nothing needs it to be done soon.
    pub async fn tidy(&self) -> Result<(), DatasetError> {
        let (folder, now) = (self.0.folder.clone(), SystemTime::now());
        // Younger ones may be on their way in.
        for (profile, name) in blocking(move || files_before(&folder, now - STALE)).await? {
            let Ok(owner) = profile.parse::<ProfileId>() else { continue };
            let id = name.trim_start_matches('.').split('.').next().unwrap_or_default().to_owned();
            let left_over = name.starts_with('.');
            let (of, which) = (owner.clone(), id);
            if left_over || !self.0.store.read(move |c| dataset_pictures::is_known(c, &of, &which)).await? {
                let (folder, path) = (self.0.files.clone(), format!("{owner}/{name}"));
                blocking(move || folder.remove(&path)).await?;
            }
        }
        Ok(())
    }
}
