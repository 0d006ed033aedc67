//! Rows of events. Knows no listener.

use super::{StoreError, sql};
use crate::{
    events::{Kind, Numbered},
    users::ProfileId,
};
use protocol::JobId;
use rusqlite::{Connection, Row, params};

/// The last number given; 0 before the first.
pub fn last_seq(c: &Connection) -> Result<i64, StoreError> {
    Ok(c.query_row(sql::EVENT_LAST, [], |row| row.get(0))?)
}

/// Gives an event its number. Belongs into the transaction of what it tells.
pub fn insert(
    c: &Connection,
    profile: &ProfileId,
    job: &JobId,
    kind: Kind,
    body: String,
    now: i64,
) -> Result<Numbered, StoreError> {
    c.prepare_cached(sql::EVENT_INSERT)?.execute(params![profile.as_str(), job.0, kind.name(), body, now])?;
    Ok(Numbered { seq: c.last_insert_rowid(), job: job.clone(), kind, body })
}

/// Events of a profile with `after < seq <= until`, oldest first.
pub fn after(c: &Connection, profile: &ProfileId, after: i64, until: i64, limit: u32) -> Result<Vec<Numbered>, StoreError> {
    let mut query = c.prepare_cached(sql::EVENTS_AFTER)?;
    let rows = query.query_map(params![profile.as_str(), after, until, limit], read)?;
    rows.map(|row| Ok(row?)).collect()
}

/// Forgets events older than `before` (ms).
pub fn prune(c: &Connection, before: i64) -> Result<usize, StoreError> {
    Ok(c.execute(sql::EVENTS_PRUNE, [before])?)
}

fn read(row: &Row<'_>) -> rusqlite::Result<Numbered> {
    let kind: String = row.get("kind")?;
    let kind = Kind::parse(&kind).unwrap_or(Kind::State);
    Ok(Numbered { seq: row.get("seq")?, job: JobId(row.get("job")?), kind, body: row.get("body")? })
}
