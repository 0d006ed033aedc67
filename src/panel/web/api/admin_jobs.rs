//! `/api/v1/admin/jobs`: everybody's jobs, without their prompts. Knows no SQL.

use crate::{
    App,
    audit::{Deed, Kind},
    error::AppError,
    jobs::{HiddenJob, JobState, Which as Filter},
    users::ProfileId,
    web::auth::Admin,
};
use actix_web::web::{Data, Json, Path, Query};
use protocol::JobId;
use serde::{Deserialize, Serialize};

/// Jobs of one page at most.
const MAX_PAGE: u32 = 200;
/// Jobs of a page where nothing is said.
pub(in crate::web) const PAGE: u32 = 50;

/// Which jobs.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
pub struct Which {
    /// Only jobs in this state.
    state: Option<String>,
    /// Only jobs of this profile.
    profile: Option<String>,
    /// How many, 1 to 200; 50 where absent.
    limit: Option<u32>,
    /// Only jobs older than this one.
    before: Option<String>,
}

/// A page of everybody's jobs.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct AllJobs {
    /// The jobs, newest first.
    items: Vec<HiddenJob>,
    /// `before` of the next page; absent on the last.
    next: Option<String>,
}

pub(in crate::web) async fn page(app: &App, which: Filter, before: Option<String>, limit: u32) -> Result<AllJobs, AppError> {
    let items = app.jobs.of_all(which, before, limit).await?;
    let next = (items.len() == limit as usize).then(|| items.last().map(|j| j.id.clone())).flatten();
    Ok(AllJobs { items, next })
}

/// Everybody's jobs, newest first, without their prompts.
#[utoipa::path(get, path = "/api/v1/admin/jobs", tag = "admin", params(Which), responses((status = 200, body = AllJobs)))]
pub async fn list(app: Data<App>, _admin: Admin, which: Query<Which>) -> Result<Json<AllJobs>, AppError> {
    let Which { state, profile, limit, before } = which.into_inner();
    let known = |name: &str| JobState::NAMES.into_iter().find(|n| *n == name);
    let state = super::one_of("state", state.as_deref(), known, &JobState::NAMES)?;
    let profile = profile.filter(|p| !p.is_empty()).map(|p| ProfileId::parse(&p)).transpose();
    let profile = profile.map_err(|e| AppError::field("profile", e.to_string()))?;
    let limit = super::limit(limit, PAGE, MAX_PAGE)?;
    Ok(Json(page(&app, Filter { state, profile }, before, limit).await?))
}

/// Stops somebody's job. One that is over stays as it is.
#[utoipa::path(delete, path = "/api/v1/admin/jobs/{id}", tag = "admin", params(("id" = String, Path)),
    responses((status = 200, body = HiddenJob)))]
pub async fn cancel(app: Data<App>, admin: Admin, id: Path<String>) -> Result<Json<HiddenJob>, AppError> {
    let id = JobId(id.into_inner());
    let owner = app.jobs.owner(&id).await?.ok_or(AppError::NotFound)?;
    let job = app.jobs.cancel(&owner, &id).await?.ok_or(AppError::NotFound)?;
    app.audit.write(Deed::done(admin.artist.profile.id.as_str(), Kind::Job, format!("cancelled {id} of {owner}"))).await?;
    Ok(Json(HiddenJob::new(&job, None)))
}
