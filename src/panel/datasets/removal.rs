//! Datasets and pictures that go: a picture can come back for a while, a dataset cannot. Knows no HTTP.

use super::{Dataset, DatasetError, Datasets, files};
use crate::{
    artifacts::UNDO,
    store::{Connection, dataset_pictures, dataset_uploads, datasets as rows},
    users::ProfileId,
};

impl Datasets {
    /// Removes a dataset with its pictures, for good. What runs for it is cancelled.
    ///
    /// # Errors
    /// [`DatasetError::Unknown`], or when the store or the disk refuses.
    pub async fn delete(&self, profile: &ProfileId, id: &str) -> Result<(), DatasetError> {
        // Whose it is comes first: nobody ends what runs for another's.
        self.get(profile, id).await?;
        self.0.tasks.cancel(id);
        let (of, dataset) = (profile.clone(), id.to_owned());
        let change = move |c: &mut Connection| {
            let c = c.transaction()?;
            let (files, uploads) = (dataset_pictures::files(&c, &dataset)?, dataset_uploads::of(&c, &dataset)?);
            let gone = rows::delete(&c, &of, &dataset)?;
            c.commit()?;
            Ok(gone.then_some((files, uploads)))
        };
        let (pictures, uploads) = self.0.store.run(change).await?.ok_or(DatasetError::Unknown)?;
        self.0.tasks.gone(profile, id);
        // The rows are gone, so nobody finds the files any more; what a crash leaves of them is tidied away.
        let mut paths: Vec<String> = uploads.iter().map(|a| files::part(profile, &a.id)).collect();
        for (id, mime) in pictures {
            paths.extend([files::picture(profile, &id, &mime), files::thumb(profile, &id)]);
        }
        let folder = self.0.files.clone();
        files::blocking(move || paths.iter().try_for_each(|path| folder.remove(path))).await
    }

    /// Removes a picture; for 30 seconds it can be restored.
    ///
    /// # Errors
    /// [`DatasetError::Unknown`], or when the store refuses.
    pub async fn remove(&self, profile: &ProfileId, id: &str) -> Result<(), DatasetError> {
        let (picture, now) = (self.picture(profile, id).await?, self.0.clock.ms());
        let dataset = picture.dataset.clone();
        let remove = move |c: &Connection, _: &Dataset, version| Ok(dataset_pictures::delete(c, &picture.id, now, version)?);
        if self.change(profile, &dataset, remove).await? { Ok(()) } else { Err(DatasetError::Unknown) }
    }

    /// Takes a removal back.
    ///
    /// # Errors
    /// [`DatasetError::Unknown`] where it is too late, or when the store refuses.
    pub async fn restore(&self, profile: &ProfileId, id: &str) -> Result<(), DatasetError> {
        let (of, picture) = (profile.clone(), id.to_owned());
        let found = self.0.store.read(move |c| dataset_pictures::get(c, &of, &picture)).await?;
        let dataset = found.ok_or(DatasetError::Unknown)?.dataset;
        let (picture, since) = (id.to_owned(), self.0.clock.ms() - UNDO.as_millis() as i64);
        let restore = move |c: &Connection, _: &Dataset, version| Ok(dataset_pictures::restore(c, &picture, since, version)?);
        if self.change(profile, &dataset, restore).await? { Ok(()) } else { Err(DatasetError::Unknown) }
    }
}
