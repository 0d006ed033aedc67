//! Rows of the pictures of datasets and of their captions. Knows no file.

use super::{StoreError, jobs::profile, sql};
use crate::{datasets::Picture, users::ProfileId};
use rusqlite::{Connection, OptionalExtension, Row, params};

/// A new one.
pub fn insert(c: &Connection, p: &Picture) -> Result<(), StoreError> {
    c.prepare_cached(sql::DATASET_PICTURE_INSERT)?.execute(params![
        p.id,
        p.dataset,
        p.profile.as_str(),
        p.name,
        p.mime,
        p.bytes.cast_signed(),
        p.width,
        p.height,
        p.sha256,
        p.caption,
        p.version,
        p.created
    ])?;
    Ok(())
}

/// Those of a dataset that changed after a version, in the order in which they came.
pub fn after(c: &Connection, dataset: &str, version: i64) -> Result<Vec<Picture>, StoreError> {
    collect(&mut c.prepare_cached(sql::DATASET_PICTURES)?.query(params![dataset, version])?)
}

/// The ids of the first few.
pub fn first(c: &Connection, dataset: &str, most: u32) -> Result<Vec<String>, StoreError> {
    let mut query = c.prepare_cached(sql::DATASET_FIRST)?;
    Ok(query.query_map(params![dataset, most], |row| row.get(0))?.collect::<Result<_, _>>()?)
}

/// Id and media type of every picture of a dataset, deleted ones too.
pub fn files(c: &Connection, dataset: &str) -> Result<Vec<(String, String)>, StoreError> {
    let mut query = c.prepare_cached(sql::DATASET_FILES)?;
    Ok(query.query_map([dataset], |row| Ok((row.get(0)?, row.get(1)?)))?.collect::<Result<_, _>>()?)
}

/// One of a profile; also a deleted one while it can be restored.
pub fn get(c: &Connection, profile: &ProfileId, id: &str) -> Result<Option<Picture>, StoreError> {
    c.prepare_cached(sql::DATASET_PICTURE)?.query_row([profile.as_str(), id], |row| Ok(read(row))).optional()?.transpose()
}

/// The picture of a dataset that has this content; one that is not deleted, if there is any.
pub fn same(c: &Connection, dataset: &str, sha256: &str) -> Result<Option<Picture>, StoreError> {
    c.prepare_cached(sql::DATASET_SAME)?.query_row([dataset, sha256], |row| Ok(read(row))).optional()?.transpose()
}

/// How many a dataset has, deleted ones too: they can come back.
pub fn count(c: &Connection, dataset: &str) -> Result<u32, StoreError> {
    Ok(c.query_row(sql::DATASET_COUNT, [dataset], |row| row.get(0))?)
}

/// Bytes of a profile's datasets, and of what is on its way into them.
pub fn bytes(c: &Connection, profile: &ProfileId) -> Result<u64, StoreError> {
    Ok(c.query_row(sql::DATASET_BYTES, [profile.as_str()], |row| row.get::<_, i64>(0))?.cast_unsigned())
}

/// Writes a caption.
pub fn caption(c: &Connection, id: &str, caption: &str, version: i64) -> Result<(), StoreError> {
    c.prepare_cached(sql::DATASET_CAPTION)?.execute(params![id, caption, version])?;
    Ok(())
}

/// Marks one as deleted. False where it was already.
pub fn delete(c: &Connection, id: &str, now: i64, version: i64) -> Result<bool, StoreError> {
    Ok(c.execute(sql::DATASET_PICTURE_DELETE, params![id, now, version])? > 0)
}

/// Takes that back. False where it was deleted before `since`.
pub fn restore(c: &Connection, id: &str, since: i64, version: i64) -> Result<bool, StoreError> {
    Ok(c.execute(sql::DATASET_PICTURE_RESTORE, params![id, since, version])? > 0)
}

/// Those deleted until `until`.
pub fn expired(c: &Connection, until: i64) -> Result<Vec<Picture>, StoreError> {
    collect(&mut c.prepare_cached(sql::DATASET_PICTURES_EXPIRED)?.query([until])?)
}

/// Forgets one that was deleted until `until`. False where it was restored meanwhile.
pub fn forget(c: &Connection, id: &str, until: i64) -> Result<bool, StoreError> {
    Ok(c.execute(sql::DATASET_PICTURE_FORGET, params![id, until])? > 0)
}

/// Whether a file below datasets/ belongs to a picture or an upload.
pub fn is_known(c: &Connection, profile: &ProfileId, id: &str) -> Result<bool, StoreError> {
    Ok(c.query_row(sql::DATASET_FILE_KNOWN, [profile.as_str(), id], |row| row.get(0))?)
}

fn collect(rows: &mut rusqlite::Rows<'_>) -> Result<Vec<Picture>, StoreError> {
    let mut all = Vec::new();
    while let Some(row) = rows.next()? {
        all.push(read(row)?);
    }
    Ok(all)
}

fn read(row: &Row<'_>) -> Result<Picture, StoreError> {
    Ok(Picture {
        id: row.get("id")?,
        dataset: row.get("dataset")?,
        profile: profile(row)?,
        name: row.get("name")?,
        mime: row.get("mime")?,
        bytes: row.get::<_, i64>("bytes")?.cast_unsigned(),
        width: row.get("width")?,
        height: row.get("height")?,
        sha256: row.get("sha256")?,
        caption: row.get("caption")?,
        version: row.get("version")?,
        created: row.get("created")?,
        deleted: row.get("deleted")?,
    })
}
