//! `/api/v1/vision`: which vision model writes captions. Its key goes in and never comes out. Knows no request to it.

use super::body;
use crate::{
    App,
    datasets::{Protocol, VisionView},
    error::AppError,
    secrets::Secret,
    web::auth::Admin,
};
use actix_web::{
    HttpResponse,
    web::{Data, Json, Payload},
};
use serde::{Deserialize, Serialize};

/// A vision model that is to be asked.
#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Setting {
    /// anthropic, openai or gemini.
    protocol: String,
    /// Where it is asked; the service's own address where empty.
    #[serde(default)]
    base_url: String,
    /// Its name there.
    model: String,
    /// What opens it. Absent, the present one stays, as long as it goes to the same server.
    #[schema(value_type = Option<String>)]
    key: Option<Secret>,
}

/// The vision model.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct VisionNow {
    /// None where none is set up.
    vision: Option<VisionView>,
}

/// The vision model, without its key.
#[utoipa::path(get, path = "/api/v1/vision", tag = "admin", responses((status = 200, body = VisionNow)))]
pub async fn get(app: Data<App>, _admin: Admin) -> Result<Json<VisionNow>, AppError> {
    let vision = app.datasets.vision().await?;
    Ok(Json(VisionNow { vision: vision.as_ref().map(VisionView::from) }))
}

/// Sets the vision model up.
#[utoipa::path(put, path = "/api/v1/vision", tag = "admin", request_body = Setting, responses((status = 200, body = VisionNow)))]
pub async fn set(app: Data<App>, admin: Admin, payload: Payload) -> Result<Json<VisionNow>, AppError> {
    let Setting { protocol, base_url, model, key } = body::parse(&body::bytes(payload, body::MAX_JSON).await?)?;
    let protocol: Protocol = protocol.parse().map_err(|_| AppError::field("protocol", "It is anthropic, openai or gemini."))?;
    let key = key.filter(|key| !key.expose().is_empty());
    let by = admin.artist.profile.id.as_str();
    let vision = app.datasets.set_vision(by, &app.audit, protocol, &base_url, &model, key).await?;
    Ok(Json(VisionNow { vision: Some(VisionView::from(&vision)) }))
}

/// Forgets the vision model and its key.
#[utoipa::path(delete, path = "/api/v1/vision", tag = "admin", responses((status = 204)))]
pub async fn forget(app: Data<App>, admin: Admin) -> Result<HttpResponse, AppError> {
    app.datasets.forget_vision(admin.artist.profile.id.as_str(), &app.audit).await?;
    Ok(HttpResponse::NoContent().finish())
}
