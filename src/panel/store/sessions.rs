//! Rows of sessions, and of what is wanted of tools. Knows no process and no transcript.

use super::{StoreError, sql};
use crate::{
    sessions::{Action, Outcome, Record, SessionId},
    tools::Accepted,
    users::ProfileId,
};
use rusqlite::{Connection, OptionalExtension, Row, params};
use std::collections::BTreeMap;

/// A session begins.
pub fn insert(c: &Connection, record: &Record) -> Result<(), StoreError> {
    let row = params![record.id.as_str(), record.tool, record.action.name(), record.by.as_str(), record.started];
    c.execute(sql::SESSION_INSERT, row)?;
    Ok(())
}

/// It has ended.
pub fn end(c: &Connection, id: &SessionId, now: i64, outcome: Outcome, bytes: u64) -> Result<(), StoreError> {
    c.execute(sql::SESSION_END, params![id.as_str(), now, outcome.to_string(), bytes.cast_signed()])?;
    Ok(())
}

/// Ends what a panel that died left running.
pub fn end_lost(c: &Connection, now: i64) -> Result<usize, StoreError> {
    Ok(c.execute(sql::SESSIONS_LOST, [now])?)
}

/// One session.
pub fn get(c: &Connection, id: &SessionId) -> Result<Option<Record>, StoreError> {
    c.query_row(sql::SESSION, [id.as_str()], |row| Ok(read(row))).optional()?.transpose()
}

/// Sessions of one tool or of all, newest first.
pub fn page(c: &Connection, tool: Option<&str>, before: Option<&str>, limit: u32) -> Result<Vec<Record>, StoreError> {
    let mut query = c.prepare_cached(sql::SESSIONS)?;
    query.query_and_then(params![tool, before, limit], read)?.collect()
}

/// Forgets sessions that ended before `before` (ms), and of each tool and action all but the newest `most`. The very newest
/// of each stays. Id and tool of each that is forgotten.
pub fn prune(c: &Connection, before: i64, most: u32) -> Result<Vec<(String, Option<String>)>, StoreError> {
    let mut query = c.prepare(sql::SESSIONS_PRUNE)?;
    Ok(query.query_map(params![before, most], |row| Ok((row.get(0)?, row.get(1)?)))?.collect::<Result<_, _>>()?)
}

/// What is wanted of a tool.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wanted {
    /// The tool.
    pub tool: String,
    /// Who started it; none: it is not wanted.
    pub by: Option<ProfileId>,
    /// When somebody last opened it, ms.
    pub opened: Option<i64>,
}

/// Who wants a tool to run; none: nobody.
pub fn want(c: &Connection, tool: &str, by: Option<&ProfileId>) -> Result<(), StoreError> {
    c.execute(sql::TOOL_WANT, params![tool, by.map(ProfileId::as_str)])?;
    Ok(())
}

/// An admin lets these scripts of a tool run.
pub fn accept(c: &Connection, tool: &str, accepted: &Accepted) -> Result<(), StoreError> {
    c.execute(sql::TOOL_ACCEPT, params![tool, accepted.fingerprint, accepted.commit])?;
    Ok(())
}

/// What was let run, by tool.
pub fn accepted(c: &Connection) -> Result<BTreeMap<String, Accepted>, StoreError> {
    let mut query = c.prepare(sql::TOOLS_ACCEPTED)?;
    let rows = query.query_map([], |row| Ok((row.get(0)?, Accepted { fingerprint: row.get(1)?, commit: row.get(2)? })))?;
    Ok(rows.collect::<Result<_, _>>()?)
}

/// Somebody opened a tool.
pub fn opened(c: &Connection, tool: &str, now: i64) -> Result<(), StoreError> {
    c.execute(sql::TOOL_OPENED, params![tool, now])?;
    Ok(())
}

/// What is wanted of every tool that was ever started.
pub fn wanted(c: &Connection) -> Result<Vec<Wanted>, StoreError> {
    let mut query = c.prepare(sql::TOOLS)?;
    let rows = query.query_map([], |row| {
        let by: Option<String> = row.get(1)?;
        Ok(Wanted { tool: row.get(0)?, by: by.and_then(|id| ProfileId::parse(&id).ok()), opened: row.get(2)? })
    })?;
    Ok(rows.collect::<Result<_, _>>()?)
}

fn read(row: &Row<'_>) -> Result<Record, StoreError> {
    let malformed = |what| move |why: String| StoreError::Malformed { what, why };
    let (id, profile): (String, String) = (row.get("id")?, row.get("profile")?);
    let (action, outcome): (String, Option<String>) = (row.get("action")?, row.get("outcome")?);
    Ok(Record {
        id: SessionId::parse(&id).ok_or_else(|| malformed("sessions.id")(id.clone()))?,
        tool: row.get("tool")?,
        action: Action::parse(&action).ok_or_else(|| malformed("sessions.action")(action.clone()))?,
        by: ProfileId::parse(&profile).map_err(|e| malformed("sessions.profile")(e.to_string()))?,
        started: row.get("started")?,
        finished: row.get("finished")?,
        outcome: outcome.as_deref().and_then(Outcome::parse),
        bytes: row.get::<_, Option<i64>>("bytes")?.unwrap_or(0).cast_unsigned(),
    })
}
