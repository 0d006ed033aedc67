//! `/api/v1/jobs`: submitting, looking, stopping. Knows no SQL and no engine.

use super::{body, recipes, upload_error};
use crate::{
    App,
    error::AppError,
    jobs::{Job, JobState, JobView, Key, SubmitError},
    uploads::{MAX_FILE, hex},
    web::auth::Artist,
};
use actix_web::{
    HttpRequest, HttpResponse,
    web::{Data, Json, Path, Payload, Query},
};
use protocol::{Draft, JobId};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

/// Jobs of one page at most.
const MAX_PAGE: u32 = 200;
/// What a form may hold, and how many bytes of each.
const FIELDS: [(&str, usize); 3] = [("recipe", body::MAX_JSON), ("image", MAX_FILE as usize), ("mask", MAX_FILE as usize)];
/// Longest idempotency key.
const MAX_KEY: usize = 255;

/// A job that was taken.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct Accepted {
    /// Its id.
    id: String,
    /// queued, or where it is when the key was used before.
    state: &'static str,
    /// Its own event stream.
    events: String,
}

impl From<Job> for Accepted {
    fn from(job: Job) -> Accepted {
        Accepted { state: job.state.name(), events: format!("/api/v1/jobs/{}/events", job.id), id: job.id.0 }
    }
}

/// Which jobs.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
pub struct Which {
    /// Only jobs in this state.
    state: Option<String>,
    /// How many, 1 to 200; 50 where absent.
    limit: Option<u32>,
    /// Only jobs older than this one.
    before: Option<String>,
}

/// A page of jobs.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct JobPage {
    /// The jobs, newest first.
    items: Vec<JobView>,
    /// `before` of the next page; absent on the last.
    next: Option<String>,
}

/// Submits a recipe, as JSON or as a form with the fields `recipe`, `image`, `mask`.
#[utoipa::path(post, path = "/api/v1/jobs", tag = "jobs",
    params(("Idempotency-Key" = Option<String>, Header, description = "The same key with the same body is the same job, for a day.")),
    request_body(content(("application/json"), ("multipart/form-data"))),
    responses((status = 202, body = Accepted)))]
pub async fn submit(app: Data<App>, artist: Artist, request: HttpRequest, payload: Payload) -> Result<HttpResponse, AppError> {
    let profile = &artist.profile.id;
    let key = key(&request)?;
    let (draft, hash) = read(&app, &artist, &request, payload).await?;
    let key = key.map(|key| Key { key, request: hash });
    if let Some(key) = &key
        && let Some(job) = app.jobs.made_by(profile, key).await.map_err(refused)?
    {
        return Ok(HttpResponse::Accepted().json(Accepted::from(job)));
    }
    let recipe = recipes::resolve(&app, profile, draft).await?;
    let job = app.jobs.submit(profile, recipe, key).await.map_err(refused)?;
    Ok(HttpResponse::Accepted().json(Accepted::from(job)))
}

fn refused(e: SubmitError) -> AppError {
    match e {
        SubmitError::QueueFull => AppError::Unavailable(e.to_string()),
        SubmitError::KeyReused => AppError::Conflict(e.to_string()),
        SubmitError::NoPicture(field, image) => recipes::absent(field, &image),
        SubmitError::Store(e) => e.into(),
    }
}

fn key(request: &HttpRequest) -> Result<Option<String>, AppError> {
    let Some(value) = request.headers().get("idempotency-key") else { return Ok(None) };
    let key = value.to_str().ok().filter(|k| (1..=MAX_KEY).contains(&k.len()));
    let wrong = || AppError::field("Idempotency-Key", format!("It is 1 to {MAX_KEY} visible ASCII characters."));
    Ok(Some(key.ok_or_else(wrong)?.to_owned()))
}

/// The draft of a request, its pictures kept, and a hash of all that came.
async fn read(app: &App, artist: &Artist, request: &HttpRequest, payload: Payload) -> Result<(Draft, String), AppError> {
    if !body::is_form(request) {
        let bytes = body::bytes(payload, body::MAX_JSON).await?;
        return Ok((body::draft(&bytes)?, hex(&Sha256::digest(&bytes))));
    }
    let fields = body::form(request, payload, &FIELDS).await?;
    let mut hash = Sha256::new();
    let (mut draft, mut image, mut mask) = (Draft::default(), None, None);
    for (name, value) in fields {
        hash.update(name.as_bytes());
        hash.update((value.len() as u64).to_le_bytes());
        hash.update(&value);
        match name.as_str() {
            "recipe" => draft = body::draft(&value)?,
            field => {
                let kept = app.uploads.whole(&artist.profile.id, value).await.map_err(|e| upload_error(field, e))?;
                let slot = if field == "image" { &mut image } else { &mut mask };
                *slot = Some(format!("upload:{}", kept.sha256));
            }
        }
    }
    let draft = Draft { image: image.or(draft.image.take()), mask: mask.or(draft.mask.take()), ..draft };
    Ok((draft, hex(&hash.finalize())))
}

/// The caller's jobs, newest first.
#[utoipa::path(get, path = "/api/v1/jobs", tag = "jobs", params(Which), responses((status = 200, body = JobPage)))]
pub async fn list(app: Data<App>, artist: Artist, which: Query<Which>) -> Result<Json<JobPage>, AppError> {
    let Which { state, limit, before } = which.into_inner();
    let known = |name: &str| JobState::NAMES.into_iter().find(|n| *n == name);
    let state = super::one_of("state", state.as_deref(), known, &JobState::NAMES)?;
    let limit = super::limit(limit, 50, MAX_PAGE)?;
    let items = app.jobs.list(&artist.profile.id, state, before, limit).await?;
    let next = (items.len() == limit as usize).then(|| items.last().map(|j| j.id.clone())).flatten();
    Ok(Json(JobPage { items, next }))
}

/// One job.
#[utoipa::path(get, path = "/api/v1/jobs/{id}", tag = "jobs", params(("id" = String, Path)), responses((status = 200, body = JobView)))]
pub async fn get(app: Data<App>, artist: Artist, id: Path<String>) -> Result<Json<JobView>, AppError> {
    let job = app.jobs.get(&artist.profile.id, &JobId(id.into_inner())).await?;
    Ok(Json(job.ok_or(AppError::NotFound)?))
}

/// Stops a job. One that is over stays as it is.
#[utoipa::path(delete, path = "/api/v1/jobs/{id}", tag = "jobs", params(("id" = String, Path)), responses((status = 200, body = Accepted)))]
pub async fn cancel(app: Data<App>, artist: Artist, id: Path<String>) -> Result<Json<Accepted>, AppError> {
    let job = app.jobs.cancel(&artist.profile.id, &JobId(id.into_inner())).await?;
    Ok(Json(job.ok_or(AppError::NotFound)?.into()))
}

/// Submits the same recipe again: what "run again" on a failed or parked job does.
#[utoipa::path(post, path = "/api/v1/jobs/{id}/again", tag = "jobs", params(("id" = String, Path)), responses((status = 202, body = Accepted)))]
pub async fn again(app: Data<App>, artist: Artist, id: Path<String>) -> Result<HttpResponse, AppError> {
    let profile = &artist.profile.id;
    let old = app.jobs.get(profile, &JobId(id.into_inner())).await?.ok_or(AppError::NotFound)?;
    let draft = serde_json::to_value(&old.recipe).and_then(serde_json::from_value::<Draft>);
    let recipe = recipes::resolve(&app, profile, draft.map_err(anyhow::Error::from)?).await?;
    let job = app.jobs.submit(profile, recipe, None).await.map_err(refused)?;
    Ok(HttpResponse::Accepted().json(Accepted::from(job)))
}
