//! `/api/v1/sessions`: terminals that run and that ran, for admins in admin mode. Knows no WebSocket and no transcript.

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
    web::{Data, Json, Path, Query},
};
use serde::{Deserialize, Serialize};
use supervise::Signal;

/// Sessions of one page at most.
const MAX_PAGE: u32 = 200;

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

pub(super) async fn find(app: &App, id: &str) -> Result<Record, AppError> {
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

impl From<SessionError> for AppError {
    fn from(e: SessionError) -> AppError {
        match e {
            SessionError::Store(e) => e.into(),
            SessionError::Disk(e) => AppError::io(&e),
            e => AppError::Unavailable(format!("It could not be started: {e}.")),
        }
    }
}
