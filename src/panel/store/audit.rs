//! Rows of the audit trail. Knows no rule about them.

use super::{StoreError, sql};
use crate::audit::{Deed, Filter, Kind, Line};
use rusqlite::{Connection, Row, params};

/// One more line. Belongs into the transaction of what it tells, where there is one.
pub fn insert(c: &Connection, now: i64, deed: &Deed) -> Result<(), StoreError> {
    c.prepare_cached(sql::AUDIT_INSERT)?.execute(params![now, deed.who, deed.kind.name(), deed.what, deed.refused])?;
    Ok(())
}

/// Lines before a number, newest first.
pub fn page(c: &Connection, filter: &Filter, before: Option<i64>, limit: u32) -> Result<Vec<Line>, StoreError> {
    let mut query = c.prepare_cached(sql::AUDIT_PAGE)?;
    let text = filter.text.as_ref().map(|t| t.to_lowercase());
    let asked = params![before, filter.kind.map(Kind::name), filter.who, filter.refused, text, limit];
    query.query_map(asked, line)?.map(|row| Ok(row?)).collect()
}

/// Everybody who stands in the trail.
pub fn people(c: &Connection) -> Result<Vec<String>, StoreError> {
    let mut query = c.prepare_cached(sql::AUDIT_PEOPLE)?;
    Ok(query.query_map([], |row| row.get(0))?.collect::<Result<_, _>>()?)
}

fn line(row: &Row<'_>) -> rusqlite::Result<Line> {
    let kind: String = row.get("kind")?;
    let deed = Deed {
        who: row.get("who")?,
        kind: Kind::parse(&kind).unwrap_or(Kind::Profile),
        what: row.get("what")?,
        refused: row.get("refused")?,
    };
    Ok(Line { seq: row.get("seq")?, at: row.get("at")?, deed })
}
