//! `/api/v1/boot`: how the studio started, and its repositories: sync, go back, take a rewritten history, pin a host. Knows no git.

use super::body;
use crate::{
    App,
    audit::{Deed, Kind},
    boot::{
        BootError,
        steps::{Progress, Step},
        sync::{CommitView, RepoReport, Work},
    },
    error::AppError,
    web::auth::Admin,
};
use actix_web::{
    HttpResponse,
    web::{Data, Json, Path, Payload},
};
use serde::{Deserialize, Serialize};

/// One step of a start.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct StepState {
    /// Which.
    step: Step,
    /// What it is called.
    title: &'static str,
    /// How far it is.
    #[serde(flatten)]
    progress: Progress,
}

/// A repository that is kept in step.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct RepoState {
    /// Its name.
    name: String,
    /// Where it comes from.
    url: String,
    /// The branch that is followed.
    branch: String,
    /// Without it the studio does not start.
    required: bool,
    /// What came of the last sync; none: there was none yet.
    report: Option<RepoReport>,
    /// Why it is not as the remote has it.
    behind: Option<String>,
}

/// How the studio started.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct BootState {
    /// The start, step by step.
    steps: Vec<StepState>,
    /// Nothing is left to do.
    over: bool,
    /// The repositories, by name.
    repos: Vec<RepoState>,
    /// The terminal of the sync that runs.
    syncing: Option<String>,
    /// The terminal of the last one.
    last: Option<String>,
}

pub(in crate::web) fn state(app: &App) -> BootState {
    let view = app.boot.view();
    let repo = |repo: &crate::config::Repo| {
        let report = view.repos.iter().find(|report| report.name == repo.name).cloned();
        RepoState {
            name: repo.name.clone(),
            url: repo.address.to_string(),
            branch: repo.branch.as_str().to_owned(),
            required: repo.required,
            behind: report.as_ref().and_then(RepoReport::behind),
            report,
        }
    };
    let step = |(step, progress): &(Step, Progress)| StepState { step: *step, title: step.title(), progress: progress.clone() };
    BootState {
        steps: view.report.steps().map(step).collect(),
        over: view.report.is_over(),
        repos: app.config.boot.repos.iter().map(repo).collect(),
        syncing: view.syncing.map(|id| id.as_str().to_owned()),
        last: view.last.map(|id| id.as_str().to_owned()),
    }
}

/// How the studio started, and how its repositories stand. The event stream says `notices` when this has changed.
#[utoipa::path(get, path = "/api/v1/boot", tag = "boot", responses((status = 200, body = BootState)))]
pub async fn get(app: Data<App>, _admin: Admin) -> Json<BootState> {
    Json(state(&app))
}

/// The terminal of a sync.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct SyncBegun {
    /// For an admin to attach to.
    session: String,
}

/// Brings the repositories in step now; joins a sync that runs.
#[utoipa::path(post, path = "/api/v1/boot/sync", tag = "boot", responses((status = 202, body = SyncBegun)))]
pub async fn sync(app: Data<App>, admin: Admin) -> Result<HttpResponse, AppError> {
    begin(&app, &admin, Work::All).await
}

/// The commits of a repository.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct CommitList {
    /// Newest first.
    items: Vec<CommitView>,
}

/// The newest commits of a repository's branch, as far as they were ever fetched.
#[utoipa::path(get, path = "/api/v1/boot/repos/{name}/commits", tag = "boot", params(("name" = String, Path)), responses((status = 200, body = CommitList)))]
pub async fn history(app: Data<App>, _admin: Admin, name: Path<String>) -> Result<Json<CommitList>, AppError> {
    Ok(Json(CommitList { items: app.boot.history(&name).await? }))
}

/// Which commit.
#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct WhichCommit {
    /// Its id, in 40 hexadecimal digits.
    commit: String,
}

/// Goes to a commit of a repository's history, in a terminal. It stays there until the remote has something newer than what was left.
#[utoipa::path(post, path = "/api/v1/boot/repos/{name}/commit", tag = "boot", params(("name" = String, Path)), request_body = WhichCommit, responses((status = 202, body = SyncBegun)))]
pub async fn go_to(app: Data<App>, admin: Admin, name: Path<String>, payload: Payload) -> Result<HttpResponse, AppError> {
    let WhichCommit { commit } = body::parse(&body::bytes(payload, body::MAX_JSON).await?)?;
    begin(&app, &admin, Work::GoTo { repo: name.into_inner(), commit }).await
}

/// Takes a history that the remote has rewritten, up to the commit that was shown, in a terminal.
#[utoipa::path(post, path = "/api/v1/boot/repos/{name}/rewritten", tag = "boot", params(("name" = String, Path)), request_body = WhichCommit, responses((status = 202, body = SyncBegun)))]
pub async fn rewritten(app: Data<App>, admin: Admin, name: Path<String>, payload: Payload) -> Result<HttpResponse, AppError> {
    let WhichCommit { commit } = body::parse(&body::bytes(payload, body::MAX_JSON).await?)?;
    begin(&app, &admin, Work::Take { repo: name.into_inner(), commit }).await
}

async fn begin(app: &App, admin: &Admin, work: Work) -> Result<HttpResponse, AppError> {
    let deed = work.to_string();
    let session = app.boot.work(work, admin.artist.profile.id.clone()).await?;
    note(app, admin, &deed).await?;
    Ok(HttpResponse::Accepted().json(SyncBegun { session: session.as_str().to_owned() }))
}

/// Which key of a host.
#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct WhichKey {
    /// The host as the report names it.
    host: String,
    /// Its fingerprint as the report shows it, compared with what the host's owner publishes.
    fingerprint: String,
}

/// Pins the key of a repository's ssh host. The next sync believes it, and no other.
#[utoipa::path(post, path = "/api/v1/boot/repos/{name}/pin", tag = "boot", params(("name" = String, Path)), request_body = WhichKey, responses((status = 204)))]
pub async fn pin(app: Data<App>, admin: Admin, name: Path<String>, payload: Payload) -> Result<HttpResponse, AppError> {
    let WhichKey { host, fingerprint } = body::parse(&body::bytes(payload, body::MAX_JSON).await?)?;
    app.boot.pin(&name, &host, &fingerprint).await?;
    note(&app, &admin, &format!("pin the key {fingerprint} of {host}")).await?;
    Ok(HttpResponse::NoContent().finish())
}

async fn note(app: &App, admin: &Admin, what: &str) -> Result<(), AppError> {
    Ok(app.audit.write(Deed::done(admin.artist.profile.id.as_str(), Kind::Studio, what)).await?)
}

impl From<BootError> for AppError {
    fn from(e: BootError) -> AppError {
        match e {
            BootError::Unknown => AppError::NotFound,
            BootError::Busy => AppError::Conflict(e.to_string()),
            BootError::Refused(why) => AppError::Conflict(why),
            BootError::Session(e) => e.into(),
            BootError::Disk(e) => AppError::io(&e),
        }
    }
}
