//! `/api/v1/sessions`: live terminals and their transcripts, for admins in admin mode. Knows no WebSocket.

use super::limit;
use crate::{
    App,
    audit::{Deed, Kind},
    clock::rfc3339,
    error::AppError,
    sessions::{Action, Begin, Live, Outcome, Record, SessionError, SessionId},
    tools::shell,
    web::auth::Admin,
};
use actix_web::{
    HttpResponse,
    http::header,
    web::{Bytes, Data, Json, Path, Query},
};
use futures_util::stream;
use serde::{Deserialize, Serialize};
use std::{
    fs::File,
    io::{self, Read as _, Seek as _, SeekFrom},
};
use supervise::Signal;

/// Sessions of one page at most.
const MAX_PAGE: u32 = 200;
/// Bytes of a transcript sent at once.
const CHUNK: u64 = 64 * 1024;

/// A session.
#[derive(Debug, Serialize, utoipa::ToSchema)]
#[schema(as = Session)]
pub struct SessionView {
    /// Its id.
    id: String,
    /// The tool; none: a free shell.
    tool: Option<String>,
    /// What is done with it.
    action: Action,
    /// Id of the profile that began it.
    by: String,
    /// running, ended or lost (the panel died first).
    state: &'static str,
    /// Its exit code.
    code: Option<i32>,
    /// The signal that ended it.
    signal: Option<i32>,
    /// When it began, RFC 3339.
    started: String,
    /// When it ended, RFC 3339.
    finished: Option<String>,
    /// Bytes that it wrote so far.
    bytes: u64,
    /// How many look at it.
    viewers: usize,
}

impl SessionView {
    pub(crate) fn new(record: Record, live: Option<&Live>) -> SessionView {
        let (state, code, signal) = match (live, record.outcome) {
            (Some(_), _) => ("running", None, None),
            (None, Some(Outcome::Code(code))) => ("ended", Some(code), None),
            (None, Some(Outcome::Signal(signal))) => ("ended", None, Some(signal)),
            (None, Some(Outcome::Lost) | None) => ("lost", None, None),
        };
        SessionView {
            id: record.id.as_str().into(),
            tool: record.tool,
            action: record.action,
            by: record.by.to_string(),
            state,
            code,
            signal,
            started: rfc3339(record.started),
            finished: record.finished.map(rfc3339),
            bytes: live.map_or(record.bytes, |live| *live.session.end().borrow()),
            viewers: live.map_or(0, |live| live.keyboard.watch().borrow().viewers),
        }
    }
}

/// Which sessions.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
pub struct Which {
    /// Only of this tool.
    tool: Option<String>,
    /// How many, 1 to 200; 50 where absent.
    limit: Option<u32>,
    /// Only sessions older than this one.
    before: Option<String>,
}

/// A page of sessions.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct SessionPage {
    /// The sessions, newest first.
    items: Vec<SessionView>,
    /// `before` of the next page; absent on the last.
    next: Option<String>,
}

/// Sessions, newest first.
#[utoipa::path(get, path = "/api/v1/sessions", tag = "sessions", params(Which), responses((status = 200, body = SessionPage)))]
pub async fn list(app: Data<App>, _admin: Admin, which: Query<Which>) -> Result<Json<SessionPage>, AppError> {
    let Which { tool, limit: asked, before } = which.into_inner();
    let limit = limit(asked, 50, MAX_PAGE)?;
    let records = app.sessions.list(tool, before, limit).await?;
    let next = (records.len() == limit as usize).then(|| records.last().map(|r| r.id.as_str().to_owned())).flatten();
    let view = |record: Record| {
        let live = app.sessions.get_live(&record.id);
        SessionView::new(record, live.as_ref())
    };
    Ok(Json(SessionPage { items: records.into_iter().map(view).collect(), next }))
}

/// One session.
#[utoipa::path(get, path = "/api/v1/sessions/{id}", tag = "sessions", params(("id" = String, Path)),
    responses((status = 200, body = SessionView)))]
pub async fn get(app: Data<App>, _admin: Admin, id: Path<String>) -> Result<Json<SessionView>, AppError> {
    let record = find(&app, &id).await?;
    let live = app.sessions.get_live(&record.id);
    Ok(Json(SessionView::new(record, live.as_ref())))
}

async fn find(app: &App, id: &str) -> Result<Record, AppError> {
    let id = SessionId::parse(id).ok_or(AppError::NotFound)?;
    app.sessions.get(&id).await?.ok_or(AppError::NotFound)
}

/// Opens a shell, where `shell` in easel.toml allows it.
#[utoipa::path(post, path = "/api/v1/sessions", tag = "sessions", responses((status = 202, body = SessionView)))]
pub async fn open(app: Data<App>, admin: Admin) -> Result<HttpResponse, AppError> {
    shell::allowed(&app.config)?;
    let by = admin.artist.profile.id;
    app.audit.write(Deed::done(by.as_str(), Kind::Tool, "opened a shell")).await?;
    let what = Begin { id: SessionId::generate(), tool: None, action: Action::Shell, by };
    let (live, _) = app.sessions.begin(what, &shell::launch(&app.config)).await?;
    Ok(HttpResponse::Accepted().json(SessionView::new(live.record.clone(), Some(&live))))
}

/// How hard.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
pub struct How {
    /// Ends everything that came of it, at once; otherwise it is asked to end.
    force: Option<bool>,
}

/// Asks a session's program to end.
#[utoipa::path(delete, path = "/api/v1/sessions/{id}", tag = "sessions", params(("id" = String, Path), How),
    responses((status = 202, body = SessionView)))]
pub async fn end(app: Data<App>, _admin: Admin, id: Path<String>, how: Query<How>) -> Result<HttpResponse, AppError> {
    let id = SessionId::parse(&id).ok_or(AppError::NotFound)?;
    let live = app.sessions.get_live(&id).ok_or(AppError::NotFound)?;
    live.session.signal(if how.force.unwrap_or(false) { Signal::Kill } else { Signal::Terminate });
    Ok(HttpResponse::Accepted().json(SessionView::new(live.record.clone(), Some(&live))))
}

/// Where to begin.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
pub struct From {
    /// Number of the first byte that is wanted; 0 where absent.
    from: Option<u64>,
}

/// What a session wrote so far, byte for byte.
#[utoipa::path(get, path = "/api/v1/sessions/{id}/transcript", tag = "sessions", params(("id" = String, Path), From),
    responses((status = 200, content_type = "application/octet-stream", body = Vec<u8>)))]
pub async fn transcript(app: Data<App>, _admin: Admin, id: Path<String>, from: Query<From>) -> Result<HttpResponse, AppError> {
    let record = find(&app, &id).await?;
    let mut file = app.sessions.transcript(&record).await.map_err(|_| AppError::NotFound)?;
    let length = file.metadata().map_err(|e| AppError::disk(&e))?.len();
    let from = from.from.unwrap_or(0).min(length);
    file.seek(SeekFrom::Start(from)).map_err(|e| AppError::disk(&e))?;
    let what = record.tool.as_deref().unwrap_or("shell");
    let name = format!("attachment; filename=\"{what}-{}-{}.log\"", record.action.name(), record.id.as_str());
    Ok(HttpResponse::Ok()
        .insert_header((header::CONTENT_TYPE, "application/octet-stream"))
        .insert_header((header::CONTENT_DISPOSITION, name))
        .insert_header((header::CACHE_CONTROL, "no-store"))
        // What a program wrote is not a page of ours, whatever it looks like.
        .insert_header((header::CONTENT_SECURITY_POLICY, "sandbox; default-src 'none'"))
        .streaming(pieces(file, length - from)))
}

/// A file in pieces, read where waiting for a disk holds nobody up.
fn pieces(file: File, left: u64) -> impl futures_util::Stream<Item = io::Result<Bytes>> {
    stream::try_unfold((file, left), |(mut file, left)| async move {
        if left == 0 {
            return Ok(None);
        }
        let read = tokio::task::spawn_blocking(move || {
            let mut piece = vec![0; left.min(CHUNK) as usize];
            let n = file.read(&mut piece)?;
            piece.truncate(n);
            Ok::<_, io::Error>((file, piece))
        });
        let (file, piece) = read.await.map_err(io::Error::other)??;
        // Where it gets shorter at its limit, or is removed under our hands, the answer is short.
        let left = if piece.is_empty() { 0 } else { left - piece.len() as u64 };
        Ok(Some((Bytes::from(piece), (file, left))))
    })
}

impl std::convert::From<SessionError> for AppError {
    fn from(e: SessionError) -> AppError {
        match e {
            SessionError::Store(e) => e.into(),
            SessionError::Disk(e) => AppError::io(&e),
            e => AppError::Unavailable(format!("It could not be started: {e}.")),
        }
    }
}
