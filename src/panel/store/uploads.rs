//! Rows of uploads, finished and not. Knows no files.

use super::{StoreError, sql};
use crate::{
    uploads::{Part, Upload},
    users::ProfileId,
};
use rusqlite::{Connection, OptionalExtension, params};

/// A finished upload.
pub fn insert(c: &Connection, profile: &ProfileId, upload: &Upload, now: i64) -> Result<(), StoreError> {
    let row = params![profile.as_str(), upload.sha256, upload.bytes.cast_signed(), upload.width, upload.height, now];
    c.execute(sql::UPLOAD_INSERT, row)?;
    Ok(())
}

/// One upload of a profile.
pub fn get(c: &Connection, profile: &ProfileId, sha256: &str) -> Result<Option<Upload>, StoreError> {
    let mut query = c.prepare_cached(sql::UPLOAD)?;
    let read = |row: &rusqlite::Row<'_>| {
        Ok(Upload {
            sha256: row.get("sha256")?,
            bytes: row.get::<_, i64>("bytes")?.cast_unsigned(),
            width: row.get("width")?,
            height: row.get("height")?,
        })
    };
    Ok(query.query_row([profile.as_str(), sha256], read).optional()?)
}

/// Makes an upload young again. False where the profile has none such.
pub fn touch(c: &Connection, profile: &ProfileId, sha256: &str, now: i64) -> Result<bool, StoreError> {
    Ok(c.prepare_cached(sql::UPLOAD_TOUCH)?.execute(params![profile.as_str(), sha256, now])? > 0)
}

/// Forgets up to a hundred uploads from before `before` that no picture needs, nor a job that is not over or was
/// over after `over` (ms): profile and hash of each.
pub fn forget_unneeded(c: &Connection, before: i64, over: i64) -> Result<Vec<(String, String)>, StoreError> {
    let mut query = c.prepare_cached(sql::UPLOADS_UNNEEDED)?;
    Ok(query.query_map([before, over], |row| Ok((row.get(0)?, row.get(1)?)))?.collect::<Result<_, _>>()?)
}

/// Bytes of a profile's uploads, finished and promised.
pub fn bytes(c: &Connection, profile: &ProfileId) -> Result<u64, StoreError> {
    Ok(c.query_row(sql::UPLOAD_BYTES, [profile.as_str()], |row| row.get::<_, i64>(0))?.cast_unsigned())
}

/// Begins one.
pub fn begin(
    c: &Connection,
    profile: &ProfileId,
    id: &str,
    bytes: u64,
    sha256: Option<&str>,
    now: i64,
) -> Result<(), StoreError> {
    c.execute(sql::PART_INSERT, params![id, profile.as_str(), bytes.cast_signed(), sha256, now])?;
    Ok(())
}

/// One that was begun.
pub fn part(c: &Connection, profile: &ProfileId, id: &str) -> Result<Option<Part>, StoreError> {
    let read = |row: &rusqlite::Row<'_>| {
        let (bytes, sha256) = (row.get::<_, i64>(0)?.cast_unsigned(), row.get(1)?);
        Ok(Part { bytes, sha256, finished: row.get(2)? })
    };
    Ok(c.query_row(sql::PART, [profile.as_str(), id], read).optional()?)
}

/// It is finished and kept under its hash.
pub fn finish_part(c: &Connection, id: &str, sha256: &str) -> Result<(), StoreError> {
    c.execute(sql::PART_FINISH, [id, sha256])?;
    Ok(())
}

/// How many unfinished ones a profile has.
pub fn parts(c: &Connection, profile: &ProfileId) -> Result<u32, StoreError> {
    Ok(c.query_row(sql::PARTS_COUNT, [profile.as_str()], |row| row.get(0))?)
}

/// One is given up.
pub fn end_part(c: &Connection, id: &str) -> Result<(), StoreError> {
    c.execute(sql::PART_DELETE, [id])?;
    Ok(())
}

/// Those begun before `before` (ms), also finished ones: id and profile.
pub fn stale_parts(c: &Connection, before: i64) -> Result<Vec<(String, String)>, StoreError> {
    let mut query = c.prepare(sql::PARTS_STALE)?;
    Ok(query.query_map([before], |row| Ok((row.get(0)?, row.get(1)?)))?.collect::<Result<_, _>>()?)
}
