//! Rows of models on their way in. Knows no file and no process.

use super::{StoreError, sql};
use rusqlite::{Connection, Row, params};

/// A model on its way in, as it outlives the panel.
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "the columns are explained in schema.sql")]
pub struct Arrival {
    pub id: String,
    pub profile: String,
    pub name: Option<String>,
    pub host: String,
    pub url: Option<String>,
    pub bytes: Option<u64>,
    pub sha256: Option<String>,
    pub mark: Option<String>,
    pub created: i64,
}

/// A new one.
pub fn insert(c: &Connection, a: &Arrival) -> Result<(), StoreError> {
    let bytes = a.bytes.map(u64::cast_signed);
    c.execute(sql::ARRIVAL_INSERT, params![a.id, a.profile, a.name, a.host, a.url, bytes, a.sha256, a.mark, a.created])?;
    Ok(())
}

/// All of them, oldest first.
pub fn all(c: &Connection) -> Result<Vec<Arrival>, StoreError> {
    let mut query = c.prepare(sql::ARRIVALS)?;
    query.query_map([], arrival)?.map(|row| Ok(row?)).collect()
}

/// Its name is known.
pub fn name(c: &Connection, id: &str, name: &str) -> Result<(), StoreError> {
    c.execute(sql::ARRIVAL_NAME, [id, name])?;
    Ok(())
}

/// It is there, or was given up.
pub fn end(c: &Connection, id: &str) -> Result<(), StoreError> {
    c.execute(sql::ARRIVAL_DELETE, [id])?;
    Ok(())
}

fn arrival(row: &Row<'_>) -> rusqlite::Result<Arrival> {
    Ok(Arrival {
        id: row.get("id")?,
        profile: row.get("profile")?,
        name: row.get("name")?,
        host: row.get("host")?,
        url: row.get("url")?,
        bytes: row.get::<_, Option<i64>>("bytes")?.map(i64::cast_unsigned),
        sha256: row.get("sha256")?,
        mark: row.get("mark")?,
        created: row.get("created")?,
    })
}
