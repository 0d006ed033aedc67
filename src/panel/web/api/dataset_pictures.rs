//! `/api/v1/dataset-pictures`: one picture of a dataset, its caption and its files. Knows no disk.

use super::{artifacts, body};
use crate::{
    App,
    datasets::{DatasetError, Picture, PictureView},
    error::{AppError, Shown},
    web::auth::Artist,
};
use actix_web::{
    HttpRequest, HttpResponse,
    http::header,
    web::{Data, Path, Payload},
};
use serde::{Deserialize, Serialize};

/// A caption.
#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Caption {
    /// At most 4,000 characters; may be empty.
    caption: String,
    /// The picture's version that it was written over.
    version: i64,
}

/// A caption that was written over one that is not there any more.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct StaleCaption {
    #[serde(flatten)]
    problem: Shown,
    /// The picture as it is now.
    picture: PictureView,
}

async fn find(app: &App, artist: &Artist, id: &str) -> Result<Picture, AppError> {
    Ok(app.datasets.picture(&artist.profile.id, id).await?)
}

/// Writes a caption. One that was changed meanwhile is not written over: the answer is 409 with the newer one.
#[utoipa::path(put, path = "/api/v1/dataset-pictures/{id}/caption", tag = "datasets", params(("id" = String, Path)), request_body = Caption,
    responses((status = 200, body = PictureView), (status = 409, body = StaleCaption, content_type = "application/problem+json")))]
pub async fn caption(app: Data<App>, artist: Artist, id: Path<String>, payload: Payload) -> Result<HttpResponse, AppError> {
    find(&app, &artist, &id).await?;
    let Caption { caption, version } = body::parse(&body::bytes(payload, body::MAX_JSON).await?)?;
    match app.datasets.caption(&artist.profile.id, &id, &caption, version).await {
        Ok(picture) => Ok(HttpResponse::Ok().json(PictureView::from(picture))),
        Err(DatasetError::Stale(newer)) => {
            let picture = PictureView::from((*newer).clone());
            let problem = AppError::from(DatasetError::Stale(newer)).shown();
            let mut answer = HttpResponse::Conflict();
            answer.insert_header((header::CONTENT_TYPE, "application/problem+json"));
            Ok(answer.insert_header((header::CACHE_CONTROL, "no-store")).json(StaleCaption { problem, picture }))
        }
        Err(e) => Err(e.into()),
    }
}

/// Removes a picture. For 30 seconds it can be restored.
#[utoipa::path(delete, path = "/api/v1/dataset-pictures/{id}", tag = "datasets", params(("id" = String, Path)), responses((status = 204)))]
pub async fn remove(app: Data<App>, artist: Artist, id: Path<String>) -> Result<HttpResponse, AppError> {
    app.datasets.remove(&artist.profile.id, &id).await?;
    Ok(HttpResponse::NoContent().finish())
}

/// Takes a removal back.
#[utoipa::path(post, path = "/api/v1/dataset-pictures/{id}/restore", tag = "datasets", params(("id" = String, Path)), responses((status = 204)))]
pub async fn restore(app: Data<App>, artist: Artist, id: Path<String>) -> Result<HttpResponse, AppError> {
    app.datasets.restore(&artist.profile.id, &id).await?;
    Ok(HttpResponse::NoContent().finish())
}

/// The picture's file, as it came.
#[utoipa::path(get, path = "/api/v1/dataset-pictures/{id}/file", tag = "datasets", params(("id" = String, Path)),
    responses((status = 200, content_type = "image/png", body = Vec<u8>), (status = 304)))]
pub async fn file(app: Data<App>, artist: Artist, id: Path<String>, request: HttpRequest) -> Result<HttpResponse, AppError> {
    let picture = find(&app, &artist, &id).await?;
    let tag = format!("\"{}\"", picture.id);
    if artifacts::is_known(&request, &tag) {
        return Ok(HttpResponse::NotModified().insert_header((header::ETAG, tag)).finish());
    }
    Ok(artifacts::picture(&picture.mime, tag).body(app.datasets.file(&picture).await?))
}

/// A WebP of at most 512 pixels a side.
#[utoipa::path(get, path = "/api/v1/dataset-pictures/{id}/thumb", tag = "datasets", params(("id" = String, Path)),
    responses((status = 200, content_type = "image/webp", body = Vec<u8>), (status = 304)))]
pub async fn thumb(app: Data<App>, artist: Artist, id: Path<String>, request: HttpRequest) -> Result<HttpResponse, AppError> {
    let picture = find(&app, &artist, &id).await?;
    let tag = format!("\"{}-thumb\"", picture.id);
    if artifacts::is_known(&request, &tag) {
        return Ok(HttpResponse::NotModified().insert_header((header::ETAG, tag)).finish());
    }
    Ok(artifacts::picture("image/webp", tag).body(app.datasets.thumb(&picture).await?))
}
