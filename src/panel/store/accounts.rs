//! Profiles, logins, tokens, keys, tickets and guesses as typed rows. Knows no rule about them.

use super::{StoreError, sql};
use crate::doors::Guesses;
use crate::logins::Login;
use crate::secrets::{Fingerprint, Phc};
use crate::users::{Account, Name, ProfileId, Role, Theme};
use rusqlite::{Connection, OptionalExtension as _, Row, params, types::Type};

/// A column whose text does not parse: the store was written by something else.
fn unreadable(column: usize, why: impl std::error::Error + Send + Sync + 'static) -> rusqlite::Error {
    rusqlite::Error::FromSqlConversionFailure(column, Type::Text, Box::new(why))
}

fn id_at(row: &Row<'_>, column: usize) -> rusqlite::Result<ProfileId> {
    ProfileId::parse(&row.get::<_, String>(column)?).map_err(|e| unreadable(column, e))
}

fn optional_id_at(row: &Row<'_>, column: usize) -> rusqlite::Result<Option<ProfileId>> {
    let text: Option<String> = row.get(column)?;
    text.map(|text| ProfileId::parse(&text)).transpose().map_err(|e| unreadable(column, e))
}

fn phc_at(row: &Row<'_>, column: usize) -> rusqlite::Result<Option<Phc>> {
    let text: Option<String> = row.get(column)?;
    text.map(|text| Phc::parse(&text)).transpose().map_err(|e| unreadable(column, e))
}

fn account(row: &Row<'_>) -> rusqlite::Result<Account> {
    Ok(Account {
        id: id_at(row, 0)?,
        name: Name::parse(&row.get::<_, String>(1)?).map_err(|e| unreadable(1, e))?,
        role: Role::parse(&row.get::<_, String>(2)?),
        pending: row.get::<_, Option<String>>(3)?.map(|text| Role::parse(&text)),
        colour: row.get(4)?,
        pin: phc_at(row, 5)?,
        pin_known: row.get(6)?,
        password: phc_at(row, 7)?,
        password_known: row.get(8)?,
        from_file: row.get(9)?,
        disabled_by_file: row.get(10)?,
        disabled_by_admin: row.get(11)?,
        theme: Theme::parse(&row.get::<_, String>(12)?).unwrap_or_default(),
        shortcuts: row.get(13)?,
        created: row.get(14)?,
    })
}

/// Every profile, oldest first.
pub fn profiles(connection: &Connection) -> Result<Vec<Account>, StoreError> {
    let mut statement = connection.prepare(sql::PROFILES)?;
    let rows = statement.query_map([], account)?;
    Ok(rows.collect::<rusqlite::Result<_>>()?)
}

/// Writes a whole profile, new or known.
pub fn put_profile(connection: &Connection, a: &Account) -> Result<(), StoreError> {
    connection.execute(
        sql::PUT_PROFILE,
        params![
            a.id.as_str(),
            a.name.as_str(),
            a.role.as_str(),
            a.pending.map(Role::as_str),
            a.colour,
            a.pin.as_ref().map(Phc::as_str),
            a.pin_known,
            a.password.as_ref().map(Phc::as_str),
            a.password_known,
            a.from_file,
            a.disabled_by_file,
            a.disabled_by_admin,
            a.theme.as_str(),
            a.shortcuts,
            a.created,
        ],
    )?;
    Ok(())
}

/// Every login that is not too old: begun after `created`, seen after `seen`. The others are forgotten.
pub fn logins(connection: &Connection, created: i64, seen: i64) -> Result<Vec<(Fingerprint, Login)>, StoreError> {
    connection.execute(sql::END_OLD_LOGINS, [created, seen])?;
    let mut statement = connection.prepare(sql::LOGINS)?;
    let rows = statement.query_map([], |row| {
        let login = Login {
            profile: optional_id_at(row, 1)?,
            keyed: row.get(2)?,
            created: row.get(3)?,
            seen: row.get(4)?,
            saved: row.get(4)?,
            admin: None,
        };
        Ok((Fingerprint(row.get(0)?), login))
    })?;
    Ok(rows.collect::<rusqlite::Result<_>>()?)
}

/// Writes a login.
pub fn put_login(connection: &Connection, token: &Fingerprint, login: &Login) -> Result<(), StoreError> {
    let profile = login.profile.as_ref().map(ProfileId::as_str);
    connection.execute(sql::PUT_LOGIN, params![token.0, profile, login.keyed, login.created, login.seen])?;
    Ok(())
}

/// Ends one login.
pub fn end_login(connection: &Connection, token: &Fingerprint) -> Result<(), StoreError> {
    connection.execute(sql::END_LOGIN, [token.0])?;
    Ok(())
}

/// Ends the logins of a profile.
pub fn end_logins_of(connection: &Connection, profile: &ProfileId) -> Result<(), StoreError> {
    connection.execute(sql::END_LOGINS_OF, [profile.as_str()])?;
    Ok(())
}

/// Every API token with its profile.
pub fn tokens(connection: &Connection) -> Result<Vec<(Fingerprint, ProfileId)>, StoreError> {
    let mut statement = connection.prepare(sql::TOKENS)?;
    let rows = statement.query_map([], |row| Ok((Fingerprint(row.get(0)?), id_at(row, 1)?)))?;
    Ok(rows.collect::<rusqlite::Result<_>>()?)
}

/// A new API token.
pub fn put_token(connection: &Connection, token: &Fingerprint, profile: &ProfileId, now: i64) -> Result<(), StoreError> {
    connection.execute(sql::PUT_TOKEN, params![token.0, profile.as_str(), now])?;
    Ok(())
}

/// Forgets the API tokens of a profile; returns how many there were.
pub fn end_tokens_of(connection: &Connection, profile: &ProfileId) -> Result<usize, StoreError> {
    Ok(connection.execute(sql::END_TOKENS_OF, [profile.as_str()])?)
}

/// The studio key, hashed.
pub fn studio_key(connection: &Connection) -> Result<Option<Fingerprint>, StoreError> {
    Ok(connection.query_row(sql::STUDIO_KEY, ["studio"], |row| Ok(Fingerprint(row.get(0)?))).optional()?)
}

/// A new studio key; with it all logins and all tickets end.
pub fn reset_studio_key(connection: &mut Connection, key: &Fingerprint, now: i64) -> Result<(), StoreError> {
    let change = connection.transaction()?;
    change.execute(sql::PUT_KEY, params!["studio", key.0, now])?;
    change.execute(sql::END_LOGINS, [])?;
    change.execute(sql::END_TICKETS, [])?;
    Ok(change.commit()?)
}

/// A new ticket.
pub fn put_ticket(
    connection: &Connection,
    ticket: &Fingerprint,
    kind: &str,
    profile: Option<&ProfileId>,
    expires: i64,
) -> Result<(), StoreError> {
    connection.execute(sql::PUT_TICKET, params![ticket.0, kind, profile.map(ProfileId::as_str), expires])?;
    Ok(())
}

/// Uses a ticket up. The outer `None` is for one that does not exist, was used, or is over at `now`.
pub fn take_ticket(
    connection: &Connection,
    ticket: &Fingerprint,
    kind: &str,
    now: i64,
) -> Result<Option<Option<ProfileId>>, StoreError> {
    connection.execute(sql::END_OLD_TICKETS, [now])?;
    let row = |row: &Row<'_>| Ok((optional_id_at(row, 0)?, row.get::<_, i64>(1)?));
    let found = connection.query_row(sql::TAKE_TICKET, params![ticket.0, kind], row).optional()?;
    Ok(found.filter(|(_, expires)| *expires > now).map(|(profile, _)| profile))
}

/// What is remembered of an account's guesses.
pub fn guesses(connection: &Connection, account: &str) -> Result<Guesses, StoreError> {
    let row = |row: &Row<'_>| Ok(Guesses { wrong: row.get(0)?, not_before: row.get(1)?, day: row.get(2)?, today: row.get(3)? });
    Ok(connection.query_row(sql::GUESSES, [account], row).optional()?.unwrap_or_default())
}

/// Remembers an account's guesses, and forgets those that ended before `stale`.
pub fn put_guesses(connection: &Connection, account: &str, g: &Guesses, stale: i64) -> Result<(), StoreError> {
    connection.execute(sql::END_OLD_GUESSES, [stale])?;
    connection.execute(sql::PUT_GUESSES, params![account, g.wrong, g.not_before, g.day, g.today])?;
    Ok(())
}

/// Forgets an account's guesses: its secret is a new one.
pub fn forget_guesses(connection: &Connection, account: &str) -> Result<(), StoreError> {
    connection.execute(sql::END_GUESSES, [account])?;
    Ok(())
}
