//! `/api/v1/audit`: who changed what. Knows no store.

use crate::{
    App,
    audit::{Filter, Kind, Line},
    clock::rfc3339,
    error::AppError,
    web::auth::Admin,
};
use actix_web::web::{Data, Json, Query};
use serde::{Deserialize, Serialize};

/// Lines of one page at most.
const MAX_PAGE: u32 = 500;
/// Lines of a page where nothing is said.
pub(in crate::web) const PAGE: u32 = 100;

/// Which lines.
#[derive(Debug, Default, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
pub struct Which {
    /// admin-mode, profile, key, model, job or tool.
    kind: Option<String>,
    /// A profile's id, "command line" or "users.toml".
    who: Option<String>,
    /// true: only what was refused; false: only what was done.
    refused: Option<bool>,
    /// Text in what was done, in any case.
    q: Option<String>,
    /// How many, 1 to 500; 100 where absent.
    limit: Option<u32>,
    /// Only lines with smaller numbers.
    before: Option<i64>,
}

/// A line of the audit trail.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct AuditLine {
    /// Its number.
    seq: i64,
    /// When, RFC 3339.
    at: String,
    /// Who.
    who: String,
    /// About what.
    kind: &'static str,
    /// What was done or tried.
    what: String,
    /// It was tried and refused.
    refused: bool,
}

impl From<Line> for AuditLine {
    fn from(line: Line) -> AuditLine {
        let Line { seq, at, deed } = line;
        AuditLine { seq, at: rfc3339(at), who: deed.who, kind: deed.kind.name(), what: deed.what, refused: deed.refused }
    }
}

/// A page of the audit trail.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct AuditPage {
    /// Lines, newest first.
    items: Vec<AuditLine>,
    /// `before` of the next page; absent on the last.
    next: Option<i64>,
    /// Everybody who stands in the trail.
    people: Vec<String>,
}

pub(in crate::web) async fn page(app: &App, filter: Filter, before: Option<i64>, limit: u32) -> Result<AuditPage, AppError> {
    let items: Vec<AuditLine> = app.audit.page(filter, before, limit).await?.into_iter().map(AuditLine::from).collect();
    let next = (items.len() == limit as usize).then(|| items.last().map(|l| l.seq)).flatten();
    Ok(AuditPage { items, next, people: app.audit.people().await? })
}

/// Who changed what, newest first.
#[utoipa::path(get, path = "/api/v1/audit", tag = "admin", params(Which), responses((status = 200, body = AuditPage)))]
pub async fn list(app: Data<App>, _admin: Admin, which: Query<Which>) -> Result<Json<AuditPage>, AppError> {
    let Which { kind, who, refused, q, limit, before } = which.into_inner();
    let kind = super::one_of("kind", kind.as_deref(), Kind::parse, &Kind::ALL.map(Kind::name))?;
    let filter = Filter { kind, who: who.filter(|w| !w.is_empty()), refused, text: q.filter(|q| !q.is_empty()) };
    let limit = super::limit(limit, PAGE, MAX_PAGE)?;
    Ok(Json(page(&app, filter, before, limit).await?))
}
