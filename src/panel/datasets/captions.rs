//! Captions by hand, and many at once: find and replace with a look before, and the way back. Knows no model.

use super::{
    Dataset, DatasetError, Datasets, Picture, Search,
    bring::clean_caption,
    limits::{MAX_CAPTION, MAX_SEARCH},
    replace::replace,
};
use crate::{
    store::{Connection, dataset_pictures, datasets as rows},
    users::ProfileId,
};

/// Captions shown before they are changed.
const SHOWN: usize = 5;

/// What a replacement would change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Preview {
    /// How many captions change.
    pub captions: u32,
    /// In how many places.
    pub places: u32,
    /// Captions that would become too long; then nothing is changed.
    pub too_long: u32,
    /// The first few: before and after.
    pub examples: Vec<(String, String)>,
}

/// What a replacement or its undoing did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Replaced {
    /// Captions that changed.
    pub captions: u32,
    /// Captions that were edited since and stay; of an undoing only.
    pub kept: u32,
}

impl Datasets {
    /// Writes a caption over the one of `version`; the picture as it is now.
    ///
    /// # Errors
    /// [`DatasetError::Stale`] with the newer one where it was changed meanwhile, [`DatasetError::Field`] where it is too
    /// long, [`DatasetError::Unknown`], or when the store refuses.
    pub async fn caption(&self, profile: &ProfileId, id: &str, caption: &str, version: i64) -> Result<Picture, DatasetError> {
        let caption = clean_caption(caption)?;
        let picture = self.picture(profile, id).await?;
        let (of, which, dataset) = (profile.clone(), id.to_owned(), picture.dataset);
        let write = move |c: &Connection, _: &Dataset, new| write_over(c, &of, &which, caption, version, new);
        self.change(profile, &dataset, write).await
    }

    /// What a replacement would change.
    ///
    /// # Errors
    /// [`DatasetError::Field`] for what cannot be searched for, [`DatasetError::Unknown`], or when the store cannot be read.
    pub async fn preview(&self, profile: &ProfileId, id: &str, search: &Search) -> Result<Preview, DatasetError> {
        check_search(search)?;
        let (_, pictures) = self.look(profile, id, 0).await?;
        let mut preview = Preview { captions: 0, places: 0, too_long: 0, examples: Vec::new() };
        for picture in pictures {
            let Some((after, places)) = replace(&picture.caption, search) else { continue };
            preview.captions += 1;
            preview.places += places;
            preview.too_long += u32::from(clean_caption(&after).is_err());
            if preview.examples.len() < SHOWN {
                preview.examples.push((picture.caption, after));
            }
        }
        Ok(preview)
    }

    /// Replaces in all captions of a dataset, or in none.
    ///
    /// # Errors
    /// As [`Datasets::preview`]; [`DatasetError::Field`] also where a caption would become too long.
    pub async fn replace(&self, profile: &ProfileId, id: &str, search: Search) -> Result<Replaced, DatasetError> {
        check_search(&search)?;
        let work = move |c: &Connection, dataset: &Dataset, version| {
            let mut captions = 0;
            for picture in dataset_pictures::after(c, &dataset.id, 0)? {
                let Some((after, _)) = replace(&picture.caption, &search) else { continue };
                let after = clean_caption(&after).map_err(|_| {
                    let words = format!("The caption of \"{}\" would be over {MAX_CAPTION} characters.", picture.name);
                    DatasetError::Field("with", words)
                })?;
                if captions == 0 {
                    rows::end_undo(c, &dataset.id)?;
                }
                rows::put_undo(c, &picture, version)?;
                dataset_pictures::caption(c, &picture.id, &after, version)?;
                captions += 1;
            }
            Ok(Replaced { captions, kept: 0 })
        };
        self.change(profile, id, work).await
    }

    /// Takes the last change of many captions back. What was edited since stays.
    ///
    /// # Errors
    /// [`DatasetError::Clash`] where there is none, [`DatasetError::Unknown`], or when the store refuses.
    pub async fn undo(&self, profile: &ProfileId, id: &str) -> Result<Replaced, DatasetError> {
        let work = |c: &Connection, dataset: &Dataset, version| {
            if dataset.undo == 0 {
                return Err(DatasetError::Clash("There is nothing to take back.".into()));
            }
            let (captions, kept) = rows::undo(c, &dataset.id, version)?;
            Ok(Replaced { captions, kept })
        };
        self.change(profile, id, work).await
    }
}

/// Writes a caption where it is still the one of `version`.
pub(super) fn write_over(
    c: &Connection,
    profile: &ProfileId,
    id: &str,
    caption: String,
    version: i64,
    new: i64,
) -> Result<Picture, DatasetError> {
    let found = dataset_pictures::get(c, profile, id)?.filter(|p| p.deleted.is_none());
    let picture = found.ok_or(DatasetError::Unknown)?;
    // The same text twice is no clash: an answer was lost, or two people wrote the same.
    if picture.caption == caption {
        return Ok(picture);
    }
    if picture.version != version {
        return Err(DatasetError::Stale(Box::new(picture)));
    }
    dataset_pictures::caption(c, id, &caption, new)?;
    Ok(Picture { caption, version: new, ..picture })
}

fn check_search(search: &Search) -> Result<(), DatasetError> {
    if search.find.is_empty() {
        return Err(DatasetError::Field("find", "Say what to look for.".into()));
    }
    for (field, text) in [("find", &search.find), ("with", &search.with)] {
        if text.chars().count() > MAX_SEARCH {
            return Err(DatasetError::Field(field, format!("It can have at most {MAX_SEARCH} characters.")));
        }
    }
    Ok(())
}
