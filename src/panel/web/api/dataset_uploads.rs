//! `/api/v1/dataset-uploads`: pictures into a dataset, by upload in pieces, out of the gallery, out of the workspace. Knows
//! no disk.

use super::body;
use crate::{
    App,
    datasets::{Added, Begin, PictureView, Stage, limits::MAX_PIECE},
    error::AppError,
    web::auth::{Admin, Artist},
};
use actix_web::{
    HttpRequest, HttpResponse,
    web::{Data, Json, Path, Payload},
};
use serde::{Deserialize, Serialize};

/// What is going to be sent.
#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct DatasetBegin {
    /// The file's name; one that ends in .zip may be larger.
    name: String,
    /// Its size in bytes: a picture up to 64 MiB, an archive below 4 GiB.
    bytes: u64,
    /// The caption of a picture.
    #[serde(default)]
    caption: String,
}

/// An upload that was begun.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct DatasetBegun {
    /// Its id.
    id: String,
    /// Where to go on.
    offset: u64,
}

/// A piece that was taken.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct DatasetTaken {
    /// Where to go on.
    offset: u64,
    /// more: the next piece is wanted; added: it is a picture of the dataset; already: the same file was there; unpacking:
    /// it is an archive, and the dataset's task tells how far it is.
    state: &'static str,
    /// The picture.
    picture: Option<PictureView>,
}

/// Pictures of the gallery.
#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Picked {
    /// Their ids, 1 to 50.
    ids: Vec<String>,
    /// Their prompts become their captions.
    #[serde(default)]
    prompts: bool,
}

/// What became of them.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct PickedResult {
    /// Pictures that came.
    added: u32,
    /// Pictures that were there.
    already: u32,
}

/// A folder of pictures.
#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct FromFolder {
    /// Its path below the workspace.
    path: String,
}

/// Begins to bring a picture or an archive of pictures.
#[utoipa::path(post, path = "/api/v1/datasets/{id}/uploads", tag = "datasets", params(("id" = String, Path)), request_body = DatasetBegin,
    responses((status = 201, body = DatasetBegun)))]
pub async fn begin(app: Data<App>, artist: Artist, id: Path<String>, payload: Payload) -> Result<HttpResponse, AppError> {
    let profile = &artist.profile.id;
    app.datasets.get(profile, &id).await?;
    let DatasetBegin { name, bytes, caption } = body::parse(&body::bytes(payload, body::MAX_JSON).await?)?;
    let id = app.datasets.begin(profile, &id, Begin { name, bytes, caption }).await?;
    Ok(HttpResponse::Created().json(DatasetBegun { id, offset: 0 }))
}

/// Takes the next piece, of at most 8 MiB. With the last one a picture is checked and added; an archive is unpacked by a
/// task.
#[utoipa::path(patch, path = "/api/v1/dataset-uploads/{id}", tag = "datasets",
    params(("id" = String, Path), ("Upload-Offset" = u64, Header, description = "Of the first byte of this piece.")),
    request_body(content = Vec<u8>, content_type = "application/octet-stream"),
    responses((status = 200, body = DatasetTaken)))]
pub async fn piece(
    app: Data<App>,
    artist: Artist,
    request: HttpRequest,
    id: Path<String>,
    payload: Payload,
) -> Result<Json<DatasetTaken>, AppError> {
    let offset = body::upload_offset(&request)?;
    let piece = body::bytes(payload, MAX_PIECE as usize).await?;
    let after = offset.saturating_add(piece.len() as u64);
    Ok(Json(match app.datasets.piece(&artist.profile.id, &id, offset, piece).await? {
        Stage::Offset(offset) => DatasetTaken { offset, state: "more", picture: None },
        Stage::Picture(added) => match *added {
            Added::New(p) => DatasetTaken { offset: after, state: "added", picture: Some(p.into()) },
            Added::Already(p) => DatasetTaken { offset: after, state: "already", picture: Some(p.into()) },
        },
        Stage::Archive => DatasetTaken { offset: after, state: "unpacking", picture: None },
    }))
}

/// Where to go on, in the header `Upload-Offset`.
#[utoipa::path(head, path = "/api/v1/dataset-uploads/{id}", tag = "datasets", params(("id" = String, Path)),
    responses((status = 200, headers(("Upload-Offset" = u64)))))]
pub async fn offset(app: Data<App>, artist: Artist, id: Path<String>) -> Result<HttpResponse, AppError> {
    let offset = app.datasets.offset(&artist.profile.id, &id).await?;
    Ok(HttpResponse::Ok().insert_header(("Upload-Offset", offset)).insert_header(("Cache-Control", "no-store")).finish())
}

/// Adds pictures of the caller's gallery.
#[utoipa::path(post, path = "/api/v1/datasets/{id}/artifacts", tag = "datasets", params(("id" = String, Path)), request_body = Picked,
    responses((status = 200, body = PickedResult)))]
pub async fn pick(app: Data<App>, artist: Artist, id: Path<String>, payload: Payload) -> Result<Json<PickedResult>, AppError> {
    let profile = &artist.profile.id;
    app.datasets.get(profile, &id).await?;
    let Picked { ids, prompts } = body::parse(&body::bytes(payload, body::MAX_JSON).await?)?;
    let all = app.datasets.pick(profile, &id, &ids, prompts).await?;
    let added = all.iter().filter(|a| matches!(a, Added::New(_))).count();
    Ok(Json(PickedResult { added: added as u32, already: (all.len() - added) as u32 }))
}

/// Adds the pictures of a folder of the workspace, by a task. For admins, since the workspace is everybody's.
#[utoipa::path(post, path = "/api/v1/datasets/{id}/folder", tag = "datasets", params(("id" = String, Path)), request_body = FromFolder,
    responses((status = 202)))]
pub async fn folder(app: Data<App>, admin: Admin, id: Path<String>, payload: Payload) -> Result<HttpResponse, AppError> {
    let profile = &admin.artist.profile.id;
    app.datasets.get(profile, &id).await?;
    let FromFolder { path } = body::parse(&body::bytes(payload, body::MAX_JSON).await?)?;
    app.datasets.folder(profile, &id, &path).await?;
    Ok(HttpResponse::Accepted().finish())
}
