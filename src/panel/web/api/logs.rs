//! `/api/v1/logs`: the newest lines, and the files of the days before. Knows nothing of how lines are made.

use super::streamed::{Out, streamed};
use crate::{
    App,
    clock::rfc3339,
    error::AppError,
    logs::{Filter, Level, Line, LogFile, Page, masked},
    web::auth::Admin,
};
use actix_web::{
    HttpResponse,
    http::header,
    web::{Data, Json, Query},
};
use serde::{Deserialize, Serialize};
use std::{
    fs::File,
    io::{BufRead as _, BufReader, Read as _, Write as _},
};

/// Lines of one answer at most.
const MAX_LINES: u32 = 2_000;
/// Lines of an answer where nothing is said.
pub(in crate::web) const LINES: u32 = 500;
/// Longer lines of a file are cut, in bytes.
const FILE_LINE: u64 = 64 << 10;

/// Which lines.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
pub struct Which {
    /// Only lines after this number.
    after: Option<u64>,
    /// This bad or worse: error, warn, info, debug, trace.
    level: Option<String>,
    /// Only of this part of Easel or this child.
    service: Option<String>,
    /// Text in the line, in any case.
    q: Option<String>,
    /// How many, 1 to 2000; 500 where absent. The newest win.
    limit: Option<u32>,
}

/// A line of the log.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct LogLine {
    /// Its number.
    seq: u64,
    /// When, RFC 3339.
    at: String,
    /// error, warn, info, debug or trace.
    level: &'static str,
    /// Who said it.
    service: String,
    /// What.
    text: String,
}

impl From<Line> for LogLine {
    fn from(l: Line) -> LogLine {
        LogLine { seq: l.seq, at: rfc3339(l.at), level: l.level.name(), service: l.service, text: l.text }
    }
}

/// The newest lines.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct LogPage {
    /// The lines, oldest first.
    lines: Vec<LogLine>,
    /// Where to go on.
    last: u64,
    /// Lines after `after` that are kept no longer.
    lost: u64,
    /// Everybody who said something since the start.
    services: Vec<String>,
}

/// A log file.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct FileView {
    /// Its name.
    name: String,
    /// Size.
    bytes: u64,
    /// When it was last written, RFC 3339.
    written: String,
}

impl From<LogFile> for FileView {
    fn from(f: LogFile) -> FileView {
        FileView { name: f.name, bytes: f.bytes, written: rfc3339(f.written) }
    }
}

/// The newest lines that pass.
pub(in crate::web) fn page(app: &App, after: u64, filter: &Filter, limit: u32) -> LogPage {
    let Page { lines, last, lost } = app.logs.ring.after(after, filter, limit as usize);
    LogPage { lines: lines.into_iter().map(LogLine::from).collect(), last, lost, services: app.logs.ring.services() }
}

/// The newest lines since the start, oldest first.
#[utoipa::path(get, path = "/api/v1/logs", tag = "admin", params(Which), responses((status = 200, body = LogPage)))]
pub async fn list(app: Data<App>, _admin: Admin, which: Query<Which>) -> Result<Json<LogPage>, AppError> {
    let Which { after, level, service, q, limit } = which.into_inner();
    let level = super::one_of("level", level.as_deref(), Level::parse, &Level::ALL.map(Level::name))?;
    let filter = Filter { level, service: service.filter(|s| !s.is_empty()), text: q.filter(|q| !q.is_empty()) };
    let limit = super::limit(limit, LINES, MAX_LINES)?;
    Ok(Json(page(&app, after.unwrap_or(0), &filter, limit)))
}

/// The files on the disk, newest first.
pub(in crate::web) async fn all_files(app: &App) -> Result<Vec<FileView>, AppError> {
    let logs = app.logs.clone();
    let files = tokio::task::spawn_blocking(move || logs.files()).await.map_err(anyhow::Error::from)?;
    Ok(files.map_err(|e| AppError::disk(&e))?.into_iter().map(FileView::from).collect())
}

/// The files on the disk, newest first.
#[utoipa::path(get, path = "/api/v1/logs/files", tag = "admin", responses((status = 200, body = Vec<FileView>)))]
pub async fn files(app: Data<App>, _admin: Admin) -> Result<Json<Vec<FileView>>, AppError> {
    Ok(Json(all_files(&app).await?))
}

/// Which file.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
pub struct Named {
    /// As the list has it.
    name: String,
}

/// A log file to keep, secrets masked.
#[utoipa::path(get, path = "/api/v1/logs/file", tag = "admin", params(Named),
    responses((status = 200, content_type = "text/plain", body = String)))]
pub async fn file(app: Data<App>, _admin: Admin, named: Query<Named>) -> Result<HttpResponse, AppError> {
    let Named { name } = named.into_inner();
    let (logs, wanted) = (app.logs.clone(), name.clone());
    let opened = tokio::task::spawn_blocking(move || logs.file(&wanted)).await.map_err(anyhow::Error::from)?;
    let file = opened.map_err(|_| AppError::NotFound)?;
    let plain = |c: char| if c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_') { c } else { '-' };
    let saved: String = name.chars().map(plain).collect();
    Ok(HttpResponse::Ok()
        .insert_header((header::CONTENT_TYPE, "text/plain; charset=utf-8"))
        .insert_header((header::CONTENT_DISPOSITION, format!("attachment; filename=\"{saved}\"")))
        .insert_header((header::CACHE_CONTROL, "no-store"))
        .streaming(streamed(move |out| copy(file, out))))
}

/// Copies a file line by line, so that each can be masked.
fn copy(file: File, mut out: Out) -> anyhow::Result<()> {
    let mut lines = BufReader::new(file);
    let mut line = Vec::new();
    while lines.by_ref().take(FILE_LINE).read_until(b'\n', &mut line)? > 0 {
        out.write_all(masked(&String::from_utf8_lossy(&line)).as_bytes())?;
        line.clear();
    }
    Ok(out.flush()?)
}
