//! `/api/v1/uploads`: files whole or in pieces that can be gone on with. Knows no disk.

use super::{artifacts, body, upload_error};
use crate::{
    App,
    error::AppError,
    uploads::{MAX_FILE, MAX_PIECE, Stage, Upload, UploadError, is_hash},
    web::auth::Artist,
};
use actix_web::{
    HttpRequest, HttpResponse,
    web::{Data, Path, Payload},
};
use serde::{Deserialize, Serialize};

/// What is going to be sent.
#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Begin {
    /// Size of the file, 1 to 64 MiB.
    bytes: u64,
    /// Its SHA-256, 64 lower-case hex digits; checked at the end where given.
    sha256: Option<String>,
}

/// An upload that was begun.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct Begun {
    /// Its id.
    id: String,
    /// Where to go on.
    offset: u64,
}

/// A piece that was taken.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct Taken {
    /// Where to go on.
    offset: u64,
}

/// A finished upload.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct Uploaded {
    /// Its name in recipes: `upload:SHA256`.
    upload: String,
    /// Pixels.
    width: u32,
    /// Pixels.
    height: u32,
}

impl From<Upload> for Uploaded {
    fn from(u: Upload) -> Uploaded {
        Uploaded { upload: format!("upload:{}", u.sha256), width: u.width, height: u.height }
    }
}

/// Begins an upload (JSON), or takes a whole file (a form with the field `file`).
#[utoipa::path(post, path = "/api/v1/uploads", tag = "uploads",
    request_body(content((Begin = "application/json"), ("multipart/form-data"))),
    responses((status = 201, body = Begun), (status = 200, body = Uploaded)))]
pub async fn begin(app: Data<App>, artist: Artist, request: HttpRequest, payload: Payload) -> Result<HttpResponse, AppError> {
    let profile = &artist.profile.id;
    if body::is_form(&request) {
        let fields = body::form(&request, payload, &[("file", MAX_FILE as usize)]).await?;
        let (_, file) = fields.into_iter().next().ok_or_else(|| AppError::field("file", "It is missing."))?;
        let kept = app.uploads.whole(profile, file).await.map_err(|e| upload_error("file", e))?;
        return Ok(HttpResponse::Ok().json(Uploaded::from(kept)));
    }
    let Begin { bytes, sha256 } = body::parse(&body::bytes(payload, body::MAX_JSON).await?)?;
    if !sha256.as_ref().is_none_or(|text| is_hash(text)) {
        return Err(AppError::field("sha256", "It is 64 lower-case hex digits."));
    }
    let id = app.uploads.begin(profile, bytes, sha256).await.map_err(|e| upload_error("bytes", e))?;
    Ok(HttpResponse::Created().json(Begun { id, offset: 0 }))
}

/// Takes the next piece, of at most 8 MiB.
#[utoipa::path(patch, path = "/api/v1/uploads/{id}", tag = "uploads",
    params(("id" = String, Path), ("Upload-Offset" = u64, Header, description = "Of the first byte of this piece.")),
    request_body(content = Vec<u8>, content_type = "application/octet-stream"),
    responses((status = 200, body = Taken), (status = 201, body = Uploaded)))]
pub async fn piece(
    app: Data<App>,
    artist: Artist,
    request: HttpRequest,
    id: Path<String>,
    payload: Payload,
) -> Result<HttpResponse, AppError> {
    let offset = body::upload_offset(&request)?;
    let piece = body::bytes(payload, MAX_PIECE as usize).await?;
    let stage = app.uploads.piece(&artist.profile.id, &id, offset, piece).await.map_err(|e| upload_error("file", e))?;
    Ok(match stage {
        Stage::Offset(offset) => HttpResponse::Ok().json(Taken { offset }),
        Stage::Complete(upload) => HttpResponse::Created().json(Uploaded::from(upload)),
    })
}

/// Where to go on, in the header `Upload-Offset`.
#[utoipa::path(head, path = "/api/v1/uploads/{id}", tag = "uploads", params(("id" = String, Path)),
    responses((status = 200, headers(("Upload-Offset" = u64)))))]
pub async fn offset(app: Data<App>, artist: Artist, id: Path<String>) -> Result<HttpResponse, AppError> {
    let offset = app.uploads.offset(&artist.profile.id, &id).await.map_err(|e| upload_error("id", e))?;
    Ok(HttpResponse::Ok().insert_header(("Upload-Offset", offset)).insert_header(("Cache-Control", "no-store")).finish())
}

/// The file of a finished upload, by its SHA-256.
#[utoipa::path(get, path = "/api/v1/uploads/{id}/file", tag = "uploads", params(("id" = String, Path)),
    responses((status = 200, content_type = "image/png", body = Vec<u8>)))]
pub async fn file(app: Data<App>, artist: Artist, id: Path<String>) -> Result<HttpResponse, AppError> {
    let profile = &artist.profile.id;
    let upload = app.uploads.get(profile, &id).await?.ok_or(AppError::NotFound)?;
    let bytes = app.uploads.bytes(profile, &upload.sha256).await.map_err(|e| match e {
        UploadError::Disk(e) if e.kind() == std::io::ErrorKind::NotFound => AppError::NotFound,
        e => upload_error("id", e),
    })?;
    // It passed the same probe when it came.
    let mime = media::decode::probe(&bytes).map_err(anyhow::Error::from)?.mime;
    Ok(artifacts::picture(mime, format!("\"{}\"", upload.sha256)).body(bytes))
}
