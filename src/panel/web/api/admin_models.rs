//! `/api/v1/admin/models`: what is in the models folder, what is on its way there, and what cannot be loaded. Knows no
//! process and no file.

use super::body;
use crate::{
    App,
    error::AppError,
    models::{ArrivalView, MAX_PIECE, ModelError, Stage, Wish},
    secrets::Secret,
    web::auth::Admin,
};
use actix_web::{
    HttpRequest, HttpResponse,
    web::{Data, Json, Path, Payload},
};
use protocol::ModelInfo;
use serde::{Deserialize, Serialize};

/// A model that can be loaded.
#[derive(Debug, Serialize, utoipa::ToSchema)]
#[schema(as = InstalledModel)]
pub struct Installed {
    /// Its id in recipes.
    id: String,
    /// Its name.
    name: String,
    /// What it is: sd15, sd15-inpaint.
    family: String,
    /// What it is, in a sentence.
    about: String,
    /// Size of the weights.
    bytes: u64,
    /// File or folder below models/; empty of the one inside the program.
    place: String,
    /// It is part of the program and cannot be removed.
    embedded: bool,
    /// Native width and height, in pixels.
    native: (u32, u32),
    /// Jobs that wait or run and need it.
    jobs: usize,
}

/// A file that is no model.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct Broken {
    /// Below models/.
    place: String,
    /// Why it cannot be loaded.
    why: String,
}

/// Everything about models.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct AllModels {
    /// What can be loaded.
    models: Vec<Installed>,
    /// What cannot.
    broken: Vec<Broken>,
    /// What is on its way.
    arrivals: Vec<ArrivalView>,
    /// The models folder.
    folder: String,
}

/// What to fetch.
#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Fetch {
    /// An http or https address of a .safetensors file.
    #[schema(value_type = String)]
    url: Secret,
    /// Its name in the models folder; the server's where absent.
    name: Option<String>,
    /// The SHA-256 that it must have.
    sha256: Option<String>,
    /// Access token for the address's own host.
    #[schema(value_type = Option<String>)]
    token: Option<Secret>,
}

/// What is going to be sent.
#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ModelBegin {
    /// Name of the file in the models folder.
    name: String,
    /// Its size, 1 byte to 200 GiB.
    bytes: u64,
    /// 64 lower-case hex digits that tell this file from others of its name and size. An upload of the same that was broken
    /// off is gone on with.
    mark: Option<String>,
}

/// Something that was begun.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct ModelBegun {
    /// Its id.
    id: String,
    /// Where to go on.
    offset: u64,
}

/// A piece that was taken.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct ModelTaken {
    /// Where to go on.
    offset: u64,
    /// With the last piece: the model's id.
    model: Option<String>,
}

impl From<ModelError> for AppError {
    fn from(e: ModelError) -> AppError {
        match e {
            ModelError::Unknown => AppError::NotFound,
            ModelError::Field(field, words) => AppError::field(field, words),
            ModelError::Clash(_) | ModelError::WrongOffset(_) | ModelError::Refused(_) => AppError::Conflict(e.to_string()),
            ModelError::Broken(words) => AppError::Unavailable(words),
            ModelError::TooLarge(words) => AppError::TooLarge(words),
            ModelError::Store(e) => e.into(),
            ModelError::Disk(e) => AppError::io(&e),
        }
    }
}

fn by(admin: &Admin) -> &str {
    admin.artist.profile.id.as_str()
}

/// Everything about models, as it is now.
pub(in crate::web) fn all(app: &App) -> AllModels {
    // Whatever was put into the folder meanwhile is in the next answer.
    app.engines.scan();
    let view = app.engines.view();
    let needed = app.jobs.models_needed();
    let installed = |m: &ModelInfo| Installed {
        id: m.id.clone(),
        name: m.name.clone(),
        family: m.family.clone(),
        about: m.about.clone(),
        bytes: m.bytes,
        place: m.place.clone(),
        embedded: m.embedded,
        native: m.native,
        jobs: needed.get(&m.id).copied().unwrap_or(0),
    };
    let broken = |(place, why): &(String, String)| Broken { place: place.clone(), why: why.clone() };
    AllModels {
        models: view.models.iter().map(installed).collect(),
        broken: view.refused.iter().map(broken).collect(),
        arrivals: app.models.list(),
        folder: app.config.data.join("models").display().to_string(),
    }
}

/// What can be loaded, what cannot, and what is on its way.
#[utoipa::path(get, path = "/api/v1/admin/models", tag = "admin", responses((status = 200, body = AllModels)))]
pub async fn list(app: Data<App>, _admin: Admin) -> Json<AllModels> {
    Json(all(&app))
}

/// Begins to download a model.
#[utoipa::path(post, path = "/api/v1/admin/models", tag = "admin", request_body = Fetch, responses((status = 202, body = ModelBegun)))]
pub async fn fetch(app: Data<App>, admin: Admin, payload: Payload) -> Result<HttpResponse, AppError> {
    let Fetch { url, name, sha256, token } = body::parse(&body::bytes(payload, body::MAX_JSON).await?)?;
    let some = |text: Option<String>| text.filter(|t| !t.is_empty());
    let token = token.filter(|t| !t.expose().is_empty());
    let id = app.models.download(by(&admin), Wish { url, name: some(name), sha256: some(sha256), token }).await?;
    Ok(HttpResponse::Accepted().json(ModelBegun { id, offset: 0 }))
}

/// Removes a model and its files, for good.
#[utoipa::path(delete, path = "/api/v1/admin/models/{id}", tag = "admin", params(("id" = String, Path)), responses((status = 204)))]
pub async fn remove(app: Data<App>, admin: Admin, id: Path<String>) -> Result<HttpResponse, AppError> {
    let model = app.engines.model(&id).ok_or(AppError::NotFound)?;
    if model.embedded {
        return Err(AppError::Conflict(format!("{} is part of the program and cannot be removed.", model.name)));
    }
    app.models.remove(by(&admin), &id).await?;
    app.engines.scan();
    Ok(HttpResponse::NoContent().finish())
}

/// Starts a download that failed once more; it goes on where it stopped.
#[utoipa::path(post, path = "/api/v1/admin/arrivals/{id}/again", tag = "admin", params(("id" = String, Path)),
    responses((status = 204)))]
pub async fn again(app: Data<App>, _admin: Admin, id: Path<String>) -> Result<HttpResponse, AppError> {
    app.models.again(&id)?;
    Ok(HttpResponse::NoContent().finish())
}

/// Gives up a model on its way, with what came of it so far.
#[utoipa::path(delete, path = "/api/v1/admin/arrivals/{id}", tag = "admin", params(("id" = String, Path)), responses((status = 204)))]
pub async fn cancel(app: Data<App>, admin: Admin, id: Path<String>) -> Result<HttpResponse, AppError> {
    app.models.cancel(by(&admin), &id).await?;
    Ok(HttpResponse::NoContent().finish())
}

/// Begins to upload a model, or goes on with the same one.
#[utoipa::path(post, path = "/api/v1/admin/arrivals", tag = "admin", request_body = ModelBegin, responses((status = 201, body = ModelBegun)))]
pub async fn begin(app: Data<App>, admin: Admin, payload: Payload) -> Result<HttpResponse, AppError> {
    let ModelBegin { name, bytes, mark } = body::parse(&body::bytes(payload, body::MAX_JSON).await?)?;
    let (id, offset) = app.models.begin_upload(by(&admin), name, bytes, mark).await?;
    Ok(HttpResponse::Created().json(ModelBegun { id, offset }))
}

/// Takes the next piece, of at most 8 MiB. With the last one the file's header is checked, and it gets its name.
#[utoipa::path(patch, path = "/api/v1/admin/arrivals/{id}", tag = "admin",
    params(("id" = String, Path), ("Upload-Offset" = u64, Header, description = "Of the first byte of this piece.")),
    request_body(content = Vec<u8>, content_type = "application/octet-stream"),
    responses((status = 200, body = ModelTaken)))]
pub async fn piece(
    app: Data<App>,
    admin: Admin,
    request: HttpRequest,
    id: Path<String>,
    payload: Payload,
) -> Result<Json<ModelTaken>, AppError> {
    let offset = body::upload_offset(&request)?;
    let piece = body::bytes(payload, MAX_PIECE as usize).await?;
    let after = offset.saturating_add(piece.len() as u64);
    Ok(Json(match app.models.piece(by(&admin), &id, offset, piece).await? {
        Stage::Offset(offset) => ModelTaken { offset, model: None },
        Stage::Complete(model) => {
            app.engines.scan();
            ModelTaken { offset: after, model: Some(model) }
        }
    }))
}

/// Where to go on, in the header `Upload-Offset`.
#[utoipa::path(head, path = "/api/v1/admin/arrivals/{id}", tag = "admin", params(("id" = String, Path)),
    responses((status = 200, headers(("Upload-Offset" = u64)))))]
pub async fn offset(app: Data<App>, _admin: Admin, id: Path<String>) -> Result<HttpResponse, AppError> {
    let offset = app.models.upload_offset(&id).await?;
    Ok(HttpResponse::Ok().insert_header(("Upload-Offset", offset)).insert_header(("Cache-Control", "no-store")).finish())
}
