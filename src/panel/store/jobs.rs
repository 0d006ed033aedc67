//! Rows of jobs and of idempotency keys. Knows no queue.

use super::{StoreError, sql};
use crate::{
    jobs::{Job, JobState},
    users::ProfileId,
};
use protocol::{JobId, Problem};
use rusqlite::{Connection, OptionalExtension, Row, params};

fn json<T: serde::Serialize>(value: &T) -> String {
    serde_json::to_string(value).expect("numbers and strings are JSON")
}

/// A new, queued job.
pub fn insert(c: &Connection, job: &Job) -> Result<(), StoreError> {
    c.prepare_cached(sql::JOB_INSERT)?.execute(params![job.id.0, job.profile.as_str(), job.created, json(&job.recipe)])?;
    Ok(())
}

/// A job's transition.
pub fn update(c: &Connection, job: &Job) -> Result<(), StoreError> {
    let problem = job.state.problem().map(json);
    c.prepare_cached(sql::JOB_UPDATE)?.execute(params![
        job.id.0,
        job.state.name(),
        job.started,
        job.finished,
        job.starts,
        job.engine_deaths,
        job.cancel,
        problem
    ])?;
    Ok(())
}

/// One job.
pub fn get(c: &Connection, id: &JobId) -> Result<Option<Job>, StoreError> {
    c.prepare_cached(sql::JOB)?.query_row([&id.0], |row| Ok(read(row))).optional()?.transpose()
}

/// Jobs of a profile, newest first, in one state or any, before one of them.
pub fn page(
    c: &Connection,
    profile: &ProfileId,
    state: Option<&str>,
    before: Option<&str>,
    limit: u32,
) -> Result<Vec<Job>, StoreError> {
    let mut query = c.prepare_cached(sql::JOBS_PAGE)?;
    let mut rows = query.query(params![profile.as_str(), state, before, limit])?;
    collect(&mut rows)
}

/// The same of every profile, or of one.
pub fn page_of_all(
    c: &Connection,
    state: Option<&str>,
    profile: Option<&ProfileId>,
    before: Option<&str>,
    limit: u32,
) -> Result<Vec<Job>, StoreError> {
    let mut query = c.prepare_cached(sql::JOBS_OF_ALL)?;
    collect(&mut query.query(params![state, profile.map(ProfileId::as_str), before, limit])?)
}

/// Jobs that wait or run, oldest first.
pub fn unfinished(c: &Connection) -> Result<Vec<Job>, StoreError> {
    collect(&mut c.prepare_cached(sql::JOBS_UNFINISHED)?.query([])?)
}

/// The last jobs that were done, newest first.
pub fn last_done(c: &Connection) -> Result<Vec<Job>, StoreError> {
    collect(&mut c.prepare_cached(sql::JOBS_LAST_DONE)?.query([])?)
}

/// How many jobs of a profile wait or run.
pub fn waiting(c: &Connection, profile: &ProfileId) -> Result<usize, StoreError> {
    Ok(c.prepare_cached(sql::JOBS_WAITING)?.query_row([profile.as_str()], |row| row.get::<_, u32>(0))? as usize)
}

/// When each profile last started a job.
pub fn last_starts(c: &Connection) -> Result<Vec<(ProfileId, i64)>, StoreError> {
    let mut query = c.prepare(sql::JOBS_LAST_STARTS)?;
    let mut rows = query.query([])?;
    let mut found = Vec::new();
    while let Some(row) = rows.next()? {
        found.push((profile(row)?, row.get("started")?));
    }
    Ok(found)
}

/// What an idempotency key made before: the hash of that request, and its job.
pub fn by_key(c: &Connection, profile: &ProfileId, key: &str) -> Result<Option<(String, JobId)>, StoreError> {
    let mut query = c.prepare_cached(sql::KEY)?;
    Ok(query.query_row([profile.as_str(), key], |row| Ok((row.get(0)?, JobId(row.get(1)?)))).optional()?)
}

/// Remembers what an idempotency key made.
pub fn keep_key(c: &Connection, job: &Job, key: &str, request: &str) -> Result<(), StoreError> {
    let row = params![job.profile.as_str(), key, request, job.id.0, job.created];
    c.prepare_cached(sql::KEY_INSERT)?.execute(row)?;
    Ok(())
}

/// Forgets keys older than `before` (ms).
pub fn prune_keys(c: &Connection, before: i64) -> Result<usize, StoreError> {
    Ok(c.execute(sql::KEYS_PRUNE, [before])?)
}

fn collect(rows: &mut rusqlite::Rows<'_>) -> Result<Vec<Job>, StoreError> {
    let mut found = Vec::new();
    while let Some(row) = rows.next()? {
        found.push(read(row)?);
    }
    Ok(found)
}

pub(super) fn profile(row: &Row<'_>) -> Result<ProfileId, StoreError> {
    let id: String = row.get("profile")?;
    id.parse().map_err(|_| StoreError::Malformed { what: "profile", why: id })
}

fn read(row: &Row<'_>) -> Result<Job, StoreError> {
    let problem = || -> Result<Problem, StoreError> {
        let text: Option<String> = row.get("problem")?;
        serde_json::from_str(&text.unwrap_or_default()).map_err(|e| StoreError::Malformed { what: "problem", why: e.to_string() })
    };
    let state: String = row.get("state")?;
    let state = match state.as_str() {
        "queued" => JobState::Queued,
        "running" => JobState::Running,
        "done" => JobState::Done,
        "failed" => JobState::Failed(problem()?),
        "cancelled" => JobState::Cancelled,
        "parked" => JobState::Parked(problem()?),
        _ => return Err(StoreError::Malformed { what: "job state", why: state }),
    };
    let recipe: String = row.get("recipe")?;
    Ok(Job {
        id: JobId(row.get("id")?),
        profile: profile(row)?,
        state,
        created: row.get("created")?,
        started: row.get("started")?,
        finished: row.get("finished")?,
        starts: row.get("starts")?,
        engine_deaths: row.get("engine_deaths")?,
        cancel: row.get("cancel")?,
        recipe: serde_json::from_str(&recipe).map_err(|e| StoreError::Malformed { what: "recipe", why: e.to_string() })?,
    })
}
