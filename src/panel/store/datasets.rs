//! Rows of datasets: what they are called, their versions, the last change of many captions. Knows no file.

use super::{StoreError, dataset_pictures, sql};
use crate::{
    datasets::{Dataset, Picture},
    users::ProfileId,
};
use rusqlite::{Connection, OptionalExtension, Row, params};

/// A new one.
pub fn insert(c: &Connection, d: &Dataset) -> Result<(), StoreError> {
    c.execute(sql::DATASET_INSERT, params![d.id, d.profile.as_str(), d.name, d.trigger, d.created])?;
    Ok(())
}

/// Those of a profile, the last changed first.
pub fn all(c: &Connection, profile: &ProfileId) -> Result<Vec<Dataset>, StoreError> {
    let mut query = c.prepare_cached(sql::DATASETS)?;
    let rows = query.query_map(params![profile.as_str(), None::<&str>], |row| read(row, profile))?;
    Ok(rows.collect::<Result<_, _>>()?)
}

/// One of a profile.
pub fn get(c: &Connection, profile: &ProfileId, id: &str) -> Result<Option<Dataset>, StoreError> {
    let mut query = c.prepare_cached(sql::DATASETS)?;
    Ok(query.query_row(params![profile.as_str(), id], |row| read(row, profile)).optional()?)
}

/// Gives it the next version, which is told; none where the profile has none such.
pub fn bump(c: &Connection, profile: &ProfileId, id: &str, now: i64) -> Result<Option<i64>, StoreError> {
    let mut query = c.prepare_cached(sql::DATASET_BUMP)?;
    Ok(query.query_row(params![profile.as_str(), id, now], |row| row.get(0)).optional()?)
}

/// Its name and trigger word.
pub fn rename(c: &Connection, id: &str, name: &str, trigger: &str) -> Result<(), StoreError> {
    c.execute(sql::DATASET_RENAME, [id, name, trigger])?;
    Ok(())
}

/// Removes it with the rows of its pictures and uploads. False where the profile has none such.
pub fn delete(c: &Connection, profile: &ProfileId, id: &str) -> Result<bool, StoreError> {
    c.execute(sql::DATASET_UNDO_END, [id])?;
    Ok(c.execute(sql::DATASET_DELETE, [profile.as_str(), id])? > 0)
}

/// Remembers a caption as it was before a change of many, which gave it `version`.
pub fn put_undo(c: &Connection, before: &Picture, version: i64) -> Result<(), StoreError> {
    let mut put = c.prepare_cached(sql::DATASET_UNDO_PUT)?;
    put.execute(params![before.id, before.dataset, before.caption, version])?;
    Ok(())
}

/// Takes the last change of many back, as far as nobody edited a caption since; the captions get `version`. How many
/// came back, and how many stay as they were edited.
pub fn undo(c: &Connection, dataset: &str, version: i64) -> Result<(u32, u32), StoreError> {
    let all: u32 = c.query_row(sql::DATASET_UNDO_COUNT, [dataset], |row| row.get(0))?;
    let mut query = c.prepare_cached(sql::DATASET_UNDO)?;
    let back: Vec<(String, String)> =
        query.query_map([dataset], |row| Ok((row.get(0)?, row.get(1)?)))?.collect::<Result<_, _>>()?;
    for (picture, caption) in &back {
        dataset_pictures::caption(c, picture, caption, version)?;
    }
    end_undo(c, dataset)?;
    let came = back.len() as u32;
    Ok((came, all - came))
}

/// Forgets the last change of many.
pub fn end_undo(c: &Connection, dataset: &str) -> Result<(), StoreError> {
    c.execute(sql::DATASET_UNDO_END, [dataset])?;
    Ok(())
}

fn read(row: &Row<'_>, profile: &ProfileId) -> rusqlite::Result<Dataset> {
    Ok(Dataset {
        id: row.get("id")?,
        profile: profile.clone(),
        name: row.get("name")?,
        trigger: row.get("trigger_word")?,
        version: row.get("version")?,
        created: row.get("created")?,
        changed: row.get("changed")?,
        pictures: row.get("pictures")?,
        captioned: row.get("captioned")?,
        bytes: row.get::<_, i64>("bytes")?.cast_unsigned(),
        undo: row.get("undo")?,
    })
}
