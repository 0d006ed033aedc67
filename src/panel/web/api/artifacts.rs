//! `/api/v1/artifacts`: the caller's gallery, its files, deleting and taking it back. Knows no paths.

use super::{body, ranges};
use crate::{
    App,
    artifacts::{Artifact, ArtifactView, Filter, Made, download_name, parse_month},
    error::AppError,
    web::auth::Artist,
};
use actix_web::{
    HttpRequest, HttpResponse,
    http::header,
    web::{Data, Json, Path, Payload, Query},
};
use media::Kind;
use serde::{Deserialize, Serialize};

/// Pictures of one page at most.
const MAX_PAGE: u32 = 500;
/// Pictures of one deletion at most.
const MAX_CHOSEN: usize = 10_000;
/// Bytes of a video's still at most: 512 pixels a side as a PNG, from browsers that write no WebP.
const MAX_STILL: usize = 2 << 20;
/// A file of ours never changes under its id.
const FOR_EVER: &str = "private, max-age=31536000, immutable";
/// Whatever a browser may see in such a file, it does nothing with it.
const SANDBOX: &str = "sandbox; default-src 'none'; style-src 'unsafe-inline'";

/// Which pictures.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
pub struct Which {
    /// How many, 1 to 500; 100 where absent.
    limit: Option<u32>,
    /// Only pictures older than this one.
    before: Option<String>,
    /// Text in the prompts, in any case.
    q: Option<String>,
    /// Id of the model.
    model: Option<String>,
    /// Year and month in UTC: 2026-03.
    month: Option<String>,
}

impl Which {
    fn filter(&mut self) -> Result<Filter, AppError> {
        let month = match self.month.as_deref().filter(|m| !m.is_empty()) {
            None => None,
            Some(text) => Some(parse_month(text).ok_or_else(|| AppError::field("month", "It is a year and a month: 2026-03."))?),
        };
        Ok(Filter { q: self.q.take(), model: self.model.take().filter(|m| !m.is_empty()), month })
    }
}

/// A page of a gallery.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct ArtifactPage {
    /// The pictures, newest first.
    items: Vec<ArtifactView>,
    /// `before` of the next page; absent on the last.
    next: Option<String>,
    /// How many there are in all.
    total: u64,
}

/// The caller's pictures, newest first.
#[utoipa::path(get, path = "/api/v1/artifacts", tag = "artifacts", params(Which), responses((status = 200, body = ArtifactPage)))]
pub async fn list(app: Data<App>, artist: Artist, which: Query<Which>) -> Result<Json<ArtifactPage>, AppError> {
    let mut which = which.into_inner();
    let filter = which.filter()?;
    let limit = crate::web::api::limit(which.limit, 100, MAX_PAGE)?;
    let (page, total) = app.artifacts.page(&artist.profile.id, filter, which.before, limit).await?;
    let next = (page.len() == limit as usize).then(|| page.last().map(|a| a.id.clone())).flatten();
    Ok(Json(ArtifactPage { items: page.into_iter().map(ArtifactView::from).collect(), next, total }))
}

/// Id, width, height and time (ms since 1970) of every picture, newest first: what a gallery is laid out from.
#[utoipa::path(get, path = "/api/v1/artifacts/layout", tag = "artifacts", params(Which), responses((status = 200, body = Vec<Vec<serde_json::Value>>)))]
pub async fn layout(app: Data<App>, artist: Artist, which: Query<Which>) -> Result<HttpResponse, AppError> {
    let filter = which.into_inner().filter()?;
    Ok(HttpResponse::Ok().json(app.artifacts.layout(&artist.profile.id, filter).await?))
}

async fn find(app: &App, artist: &Artist, id: &str) -> Result<Artifact, AppError> {
    app.artifacts.get(&artist.profile.id, id).await?.ok_or(AppError::NotFound)
}

/// One picture with its recipe.
#[utoipa::path(get, path = "/api/v1/artifacts/{id}", tag = "artifacts", params(("id" = String, Path)), responses((status = 200, body = ArtifactView)))]
pub async fn get(app: Data<App>, artist: Artist, id: Path<String>) -> Result<Json<ArtifactView>, AppError> {
    Ok(Json(find(&app, &artist, &id).await?.into()))
}

/// How a file is wanted.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
pub struct How {
    /// Any value: to be saved, under a name that tells what it is.
    download: Option<String>,
}

/// The file, or the part of it that a `Range` names. Its media type is that of the artifact.
#[utoipa::path(get, path = "/api/v1/artifacts/{id}/file", tag = "artifacts", params(("id" = String, Path), How),
    responses((status = 200, content_type = "image/png", body = Vec<u8>), (status = 206, description = "The part that was asked for"),
        (status = 304), (status = 416, description = "It has no such part")))]
pub async fn file(
    app: Data<App>,
    artist: Artist,
    id: Path<String>,
    how: Query<How>,
    request: HttpRequest,
) -> Result<HttpResponse, AppError> {
    let artifact = find(&app, &artist, &id).await?;
    let tag = format!("\"{}\"", artifact.id);
    if is_known(&request, &tag) {
        return Ok(HttpResponse::NotModified().insert_header((header::ETAG, tag)).finish());
    }
    let (file, length) = app.artifacts.opened(&artifact).await.map_err(gone)?;
    let disposition = if how.download.is_some() { "attachment" } else { "inline" };
    let disposition = format!("{disposition}; filename=\"{}\"", download_name(&artifact));
    let mut head = picture(&artifact.mime, tag.clone());
    head.insert_header((header::CONTENT_DISPOSITION, disposition));
    Ok(ranges::answer(&request, head, &tag, file, length))
}

/// A WebP of at most 512 pixels a side.
#[utoipa::path(get, path = "/api/v1/artifacts/{id}/thumb", tag = "artifacts", params(("id" = String, Path)),
    responses((status = 200, content_type = "image/webp", body = Vec<u8>), (status = 304),
        (status = 204, description = "A sound, or a video of which no still was kept yet")))]
pub async fn thumb(app: Data<App>, artist: Artist, id: Path<String>, request: HttpRequest) -> Result<HttpResponse, AppError> {
    let artifact = find(&app, &artist, &id).await?;
    let tag = format!("\"{}-thumb\"", artifact.id);
    if is_known(&request, &tag) {
        return Ok(HttpResponse::NotModified().insert_header((header::ETAG, tag)).finish());
    }
    Ok(match app.artifacts.thumb(&artifact).await.map_err(gone)? {
        Some(bytes) => picture("image/webp", tag).body(bytes),
        None => HttpResponse::NoContent().insert_header((header::CACHE_CONTROL, "private, no-store")).finish(),
    })
}

/// Keeps a still of a video, which a browser has made, as its thumbnail: a picture of at most 2 MiB. The first one stays.
#[utoipa::path(put, path = "/api/v1/artifacts/{id}/thumb", tag = "artifacts", params(("id" = String, Path)),
    request_body(content = Vec<u8>, content_type = "image/webp"), responses((status = 204)))]
pub async fn keep_still(app: Data<App>, artist: Artist, id: Path<String>, payload: Payload) -> Result<HttpResponse, AppError> {
    let artifact = find(&app, &artist, &id).await?;
    if artifact.kind() != Kind::Video {
        return Err(AppError::field("id", "Only videos get their stills from a browser."));
    }
    let still = body::bytes(payload, MAX_STILL).await?;
    let refused = |e: anyhow::Error| match e.downcast::<media::DecodeError>() {
        Ok(e) => AppError::field("body", format!("It cannot be read: {e}.")),
        Err(e) => gone(e),
    };
    app.artifacts.keep_still(&artifact, still).await.map_err(refused)?;
    Ok(HttpResponse::NoContent().finish())
}

/// The workflow that ComfyUI wrote into the file, as its page loads it.
#[utoipa::path(get, path = "/api/v1/artifacts/{id}/workflow", tag = "artifacts", params(("id" = String, Path)),
    responses((status = 200, content_type = "application/json", body = serde_json::Value), (status = 404)))]
pub async fn workflow(app: Data<App>, artist: Artist, id: Path<String>) -> Result<HttpResponse, AppError> {
    let artifact = find(&app, &artist, &id).await?;
    if !matches!(&artifact.made, Made::InComfyUi(comfy) if comfy.workflow) {
        return Err(AppError::NotFound);
    }
    let comfy = app.artifacts.comfy(&artifact).await.map_err(gone)?;
    let workflow = comfy.and_then(|comfy| comfy.workflow).ok_or(AppError::NotFound)?;
    let name = download_name(&artifact);
    let name = name.rsplit_once('.').map_or(name.as_str(), |(name, _)| name);
    Ok(HttpResponse::Ok()
        .content_type("application/json")
        .insert_header((header::CACHE_CONTROL, "private, no-store"))
        .insert_header((header::X_CONTENT_TYPE_OPTIONS, "nosniff"))
        .insert_header((header::CONTENT_DISPOSITION, format!("attachment; filename=\"{name}.json\"")))
        .body(workflow))
}

/// A file that its owner removed from the disk is gone, which is no mistake of ours.
pub(super) fn gone(e: anyhow::Error) -> AppError {
    let missing = |c: &(dyn std::error::Error + 'static)| {
        c.downcast_ref::<std::io::Error>().is_some_and(|e| e.kind() == std::io::ErrorKind::NotFound)
    };
    if e.chain().any(missing) { AppError::NotFound } else { AppError::Internal(e) }
}

/// Whether a browser has kept what this tag names.
pub(super) fn is_known(request: &HttpRequest, tag: &str) -> bool {
    request.headers().get(header::IF_NONE_MATCH).and_then(|v| v.to_str().ok()).is_some_and(|known| known.contains(tag))
}

/// The beginning of an answer that is a picture of the caller's alone.
pub(super) fn picture(mime: &str, tag: String) -> actix_web::HttpResponseBuilder {
    let mut answer = HttpResponse::Ok();
    answer
        .insert_header((header::CONTENT_TYPE, mime))
        .insert_header((header::ETAG, tag))
        .insert_header((header::CACHE_CONTROL, FOR_EVER))
        // A browser that several profiles share must not answer one from what it kept for another: each login
        // has a cookie of its own.
        .insert_header((header::VARY, "Cookie"))
        .insert_header((header::CONTENT_SECURITY_POLICY, SANDBOX))
        .insert_header((header::X_CONTENT_TYPE_OPTIONS, "nosniff"))
        .insert_header(("Cross-Origin-Resource-Policy", "same-origin"));
    answer
}

/// Pictures.
#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Chosen {
    /// Their ids, 1 to 10000.
    ids: Vec<String>,
}

/// What became of them.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct Restored {
    /// Those that are back. The others were not deleted, or it is too late.
    ids: Vec<String>,
}

async fn chosen(payload: Payload) -> Result<Vec<String>, AppError> {
    let Chosen { ids } = body::parse(&body::bytes(payload, body::MAX_JSON).await?)?;
    if ids.is_empty() || ids.len() > MAX_CHOSEN {
        return Err(AppError::field("ids", format!("They are 1 to {MAX_CHOSEN} pictures.")));
    }
    Ok(ids)
}

/// Deletes pictures, all or none; one that is not there is as good as deleted. For 30 seconds they can be restored.
#[utoipa::path(post, path = "/api/v1/artifacts/delete", tag = "artifacts", request_body = Chosen, responses((status = 204)))]
pub async fn delete_many(app: Data<App>, artist: Artist, payload: Payload) -> Result<HttpResponse, AppError> {
    app.artifacts.delete(&artist.profile.id, chosen(payload).await?).await?;
    Ok(HttpResponse::NoContent().finish())
}

/// Takes deletions back.
#[utoipa::path(post, path = "/api/v1/artifacts/restore", tag = "artifacts", request_body = Chosen,
    responses((status = 200, body = Restored)))]
pub async fn restore_many(app: Data<App>, artist: Artist, payload: Payload) -> Result<Json<Restored>, AppError> {
    let ids = app.artifacts.restore(&artist.profile.id, chosen(payload).await?).await?;
    Ok(Json(Restored { ids }))
}

/// Deletes a picture. For 30 seconds it can be restored.
#[utoipa::path(delete, path = "/api/v1/artifacts/{id}", tag = "artifacts", params(("id" = String, Path)), responses((status = 204)))]
pub async fn delete(app: Data<App>, artist: Artist, id: Path<String>) -> Result<HttpResponse, AppError> {
    found(&app.artifacts.delete(&artist.profile.id, vec![id.into_inner()]).await?)
}

/// Takes a deletion back.
#[utoipa::path(post, path = "/api/v1/artifacts/{id}/restore", tag = "artifacts", params(("id" = String, Path)), responses((status = 204)))]
pub async fn restore(app: Data<App>, artist: Artist, id: Path<String>) -> Result<HttpResponse, AppError> {
    found(&app.artifacts.restore(&artist.profile.id, vec![id.into_inner()]).await?)
}

fn found(ids: &[String]) -> Result<HttpResponse, AppError> {
    if ids.is_empty() { Err(AppError::NotFound) } else { Ok(HttpResponse::NoContent().finish()) }
}
