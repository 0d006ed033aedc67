//! Rows of files on their way into datasets, and the row of the vision model. Knows no file.

use super::{StoreError, jobs::profile, sql};
use crate::{
    datasets::{Arrival, Vision},
    secrets::Secret,
    users::ProfileId,
};
use rusqlite::{Connection, OptionalExtension, Row, params};

/// One begins.
pub fn insert(c: &Connection, a: &Arrival) -> Result<(), StoreError> {
    let row = params![a.id, a.profile.as_str(), a.dataset, a.name, a.caption, a.bytes.cast_signed(), a.created];
    c.execute(sql::DATASET_UPLOAD_INSERT, row)?;
    Ok(())
}

/// One of a profile.
pub fn get(c: &Connection, profile: &ProfileId, id: &str) -> Result<Option<Arrival>, StoreError> {
    c.prepare_cached(sql::DATASET_UPLOAD)?.query_row([profile.as_str(), id], |row| Ok(read(row))).optional()?.transpose()
}

/// How many of a profile are under way.
pub fn count(c: &Connection, profile: &ProfileId) -> Result<u32, StoreError> {
    Ok(c.query_row(sql::DATASET_UPLOADS_COUNT, [profile.as_str()], |row| row.get(0))?)
}

/// It became a picture. Its row tells a sender that lost the answer.
pub fn taken(c: &Connection, id: &str, picture: &str) -> Result<(), StoreError> {
    c.execute(sql::DATASET_UPLOAD_TAKEN, [id, picture])?;
    Ok(())
}

/// It is an archive, and all here.
pub fn whole(c: &Connection, id: &str) -> Result<(), StoreError> {
    c.execute(sql::DATASET_UPLOAD_WHOLE, [id])?;
    Ok(())
}

/// Archives that wait to be unpacked, oldest first: of one dataset, or all.
pub fn waiting(c: &Connection, dataset: Option<&str>) -> Result<Vec<Arrival>, StoreError> {
    collect(&mut c.prepare_cached(sql::DATASET_UPLOADS_WHOLE)?.query([dataset])?)
}

/// Those of a dataset.
pub fn of(c: &Connection, dataset: &str) -> Result<Vec<Arrival>, StoreError> {
    collect(&mut c.prepare_cached(sql::DATASET_UPLOADS_OF)?.query([dataset])?)
}

/// Those begun before `before` that are not all here.
pub fn stale(c: &Connection, before: i64) -> Result<Vec<Arrival>, StoreError> {
    collect(&mut c.prepare_cached(sql::DATASET_UPLOADS_STALE)?.query([before])?)
}

/// It is given up, or done.
pub fn end(c: &Connection, id: &str) -> Result<(), StoreError> {
    c.execute(sql::DATASET_UPLOAD_END, [id])?;
    Ok(())
}

/// The vision model, where one is set up: its row, not yet checked.
pub fn vision(c: &Connection) -> Result<Option<Vision>, StoreError> {
    let read = |row: &Row<'_>| {
        Ok((row.get::<_, String>(0)?, row.get::<_, String>(1)?, row.get::<_, String>(2)?, row.get::<_, String>(3)?))
    };
    let Some((protocol, base_url, model, key)) = c.query_row(sql::CAPTIONER, [], read).optional()? else { return Ok(None) };
    let protocol = protocol.parse().map_err(|why| StoreError::Malformed { what: "captioner.protocol", why })?;
    Ok(Some(Vision { protocol, base_url, model, key: Secret::new(key) }))
}

/// Another vision model, or none.
pub fn put_vision(c: &Connection, vision: Option<&Vision>) -> Result<(), StoreError> {
    match vision {
        Some(v) => c.execute(sql::CAPTIONER_PUT, [v.protocol.name(), &v.base_url, &v.model, v.key.expose()])?,
        None => c.execute(sql::CAPTIONER_END, [])?,
    };
    Ok(())
}

fn collect(rows: &mut rusqlite::Rows<'_>) -> Result<Vec<Arrival>, StoreError> {
    let mut all = Vec::new();
    while let Some(row) = rows.next()? {
        all.push(read(row)?);
    }
    Ok(all)
}

fn read(row: &Row<'_>) -> Result<Arrival, StoreError> {
    Ok(Arrival {
        id: row.get("id")?,
        profile: profile(row)?,
        dataset: row.get("dataset")?,
        name: row.get("name")?,
        caption: row.get("caption")?,
        bytes: row.get::<_, i64>("bytes")?.cast_unsigned(),
        picture: row.get("picture")?,
        whole: row.get("whole")?,
        created: row.get("created")?,
    })
}
