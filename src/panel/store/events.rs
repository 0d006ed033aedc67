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

/// Events of a profile, of one job or of all, with `after < seq <= until`, oldest first: as many as `bytes` of bodies hold, but
/// one at least. The number up to which these are all.
pub fn after(
    c: &Connection,
    profile: &ProfileId,
    only: Option<&JobId>,
    (after, until): (i64, i64),
    bytes: usize,
) -> Result<(Vec<Numbered>, i64), StoreError> {
    let mut query = c.prepare_cached(sql::EVENTS_AFTER)?;
    let mut rows = query.query(params![profile.as_str(), after, until, only.map(|job| &job.0)])?;
    let (mut page, mut held) = (Vec::new(), 0);
    while let Some(row) = rows.next()? {
        let event = read(row)?;
        held += event.body.len();
        let seq = event.seq;
        page.push(event);
        if held >= bytes {
            return Ok((page, seq));
        }
    }
    Ok((page, until))
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
