//! Rows of artifacts. Knows no files.

use super::{StoreError, jobs::profile, sql};
use crate::{
    artifacts::{Artifact, Filter, Made, Neighbours},
    users::ProfileId,
};
use protocol::JobId;
use rusqlite::{Connection, OptionalExtension, Row, params};

/// Where a picture was made, as rows say it.
const EASEL: &str = "easel";
const COMFYUI: &str = "comfyui";

/// A new artifact. False where that picture of the job exists already.
pub fn insert(c: &Connection, a: &Artifact) -> Result<bool, StoreError> {
    let (source, model, negative, recipe) = match &a.made {
        Made::Here(recipe) => (EASEL, recipe.model.as_str(), recipe.negative_prompt.as_str(), serde_json::to_string(recipe)),
        Made::InComfyUi(comfy) => (COMFYUI, COMFYUI, "", serde_json::to_string(comfy)),
    };
    let recipe = recipe.expect("numbers and strings are JSON");
    let search = format!("{}\n{negative}", a.made.prompt()).to_lowercase();
    let rows = c.prepare_cached(sql::ARTIFACT_INSERT)?.execute(params![
        a.id,
        a.profile.as_str(),
        a.job.0,
        a.index,
        a.path,
        a.width,
        a.height,
        a.mime,
        a.bytes.cast_signed(),
        a.created,
        model,
        search,
        recipe,
        source
    ])?;
    Ok(rows > 0)
}

/// One artifact of a profile; also a deleted one while it can be restored.
pub fn get(c: &Connection, profile: &ProfileId, id: &str) -> Result<Option<Artifact>, StoreError> {
    c.prepare_cached(sql::ARTIFACT)?.query_row([profile.as_str(), id], |row| Ok(read(row))).optional()?.transpose()
}

/// Which pictures a job has already, deleted ones too.
pub fn indexes(c: &Connection, job: &JobId) -> Result<Vec<u32>, StoreError> {
    let mut query = c.prepare_cached(sql::ARTIFACT_INDEXES)?;
    Ok(query.query_map([&job.0], |row| row.get(0))?.collect::<Result<_, _>>()?)
}

/// A job's pictures.
pub fn of_job(c: &Connection, job: &JobId) -> Result<Vec<Artifact>, StoreError> {
    collect(&mut c.prepare_cached(sql::ARTIFACTS_OF_JOB)?.query([&job.0])?)
}

/// The newest that the studio itself made.
pub fn made_here(c: &Connection, profile: &ProfileId, limit: u32) -> Result<Vec<Artifact>, StoreError> {
    collect(&mut c.prepare_cached(sql::ARTIFACTS_MADE_HERE)?.query(params![profile.as_str(), limit])?)
}

/// A page of a gallery, newest first.
pub fn page(
    c: &Connection,
    profile: &ProfileId,
    filter: &Filter,
    before: Option<&str>,
    limit: u32,
) -> Result<Vec<Artifact>, StoreError> {
    let (from, to) = filter.times();
    let row = params![profile.as_str(), before, filter.search(), filter.model, from, to, limit];
    collect(&mut c.prepare_cached(sql::ARTIFACTS_PAGE)?.query(row)?)
}

/// How many pictures pass a filter.
pub fn count(c: &Connection, profile: &ProfileId, filter: &Filter) -> Result<u64, StoreError> {
    let (from, to) = filter.times();
    let row = params![profile.as_str(), filter.search(), filter.model, from, to];
    Ok(c.prepare_cached(sql::ARTIFACTS_COUNT)?.query_row(row, |row| row.get::<_, i64>(0))?.cast_unsigned())
}

/// Id, width, height and time (ms) of every picture that passes a filter, newest first.
pub fn layout(c: &Connection, profile: &ProfileId, filter: &Filter) -> Result<Vec<(String, u32, u32, i64)>, StoreError> {
    let (from, to) = filter.times();
    let mut query = c.prepare_cached(sql::ARTIFACTS_LAYOUT)?;
    let row = params![profile.as_str(), filter.search(), filter.model, from, to];
    let rows = query.query_map(row, |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?)))?;
    Ok(rows.collect::<Result<_, _>>()?)
}

/// How many pictures of the profile are newer than one, and the ids next to it: newer, older.
pub fn neighbours(c: &Connection, profile: &ProfileId, id: &str) -> Result<Neighbours, StoreError> {
    let read = |row: &Row<'_>| {
        Ok(Neighbours { newer_ones: row.get::<_, i64>(0)?.cast_unsigned(), newer: row.get(1)?, older: row.get(2)? })
    };
    Ok(c.prepare_cached(sql::ARTIFACT_NEIGHBOURS)?.query_row([profile.as_str(), id], read)?)
}

/// Marks one as deleted. False where there is none.
pub fn delete(c: &Connection, profile: &ProfileId, id: &str, now: i64) -> Result<bool, StoreError> {
    Ok(c.prepare_cached(sql::ARTIFACT_DELETE)?.execute(params![profile.as_str(), id, now])? > 0)
}

/// Takes the mark away from one that was deleted after `since` (ms). False where there is none.
pub fn restore(c: &Connection, profile: &ProfileId, id: &str, since: i64) -> Result<bool, StoreError> {
    Ok(c.prepare_cached(sql::ARTIFACT_RESTORE)?.execute(params![profile.as_str(), id, since])? > 0)
}

/// Those deleted at `until` (ms) or before.
pub fn expired(c: &Connection, until: i64) -> Result<Vec<Artifact>, StoreError> {
    collect(&mut c.prepare_cached(sql::ARTIFACTS_EXPIRED)?.query([until])?)
}

/// Forgets one that was deleted at `until` (ms) or before. False where it was restored meanwhile.
pub fn forget(c: &Connection, id: &str, until: i64) -> Result<bool, StoreError> {
    Ok(c.execute(sql::ARTIFACT_FORGET, params![id, until])? > 0)
}

fn collect(rows: &mut rusqlite::Rows<'_>) -> Result<Vec<Artifact>, StoreError> {
    let mut found = Vec::new();
    while let Some(row) = rows.next()? {
        found.push(read(row)?);
    }
    Ok(found)
}

fn read(row: &Row<'_>) -> Result<Artifact, StoreError> {
    let (recipe, source): (String, String) = (row.get("recipe")?, row.get("source")?);
    let made = match source.as_str() {
        COMFYUI => serde_json::from_str(&recipe).map(Made::InComfyUi),
        _ => serde_json::from_str(&recipe).map(Made::Here),
    };
    Ok(Artifact {
        id: row.get("id")?,
        profile: profile(row)?,
        job: JobId(row.get("job")?),
        index: row.get("idx")?,
        path: row.get("path")?,
        width: row.get("width")?,
        height: row.get("height")?,
        mime: row.get("mime")?,
        bytes: row.get::<_, i64>("bytes")?.cast_unsigned(),
        created: row.get("created")?,
        made: made.map_err(|e| StoreError::Malformed { what: "recipe", why: e.to_string() })?,
        deleted: row.get("deleted")?,
    })
}

/// How many pictures each profile keeps.
pub fn of_each(c: &Connection) -> Result<Vec<(String, u64)>, StoreError> {
    let mut query = c.prepare(sql::ARTIFACTS_OF_EACH)?;
    let count = |row: &rusqlite::Row<'_>| Ok((row.get(0)?, row.get::<_, i64>(1)?.cast_unsigned()));
    Ok(query.query_map([], count)?.collect::<Result<_, _>>()?)
}
