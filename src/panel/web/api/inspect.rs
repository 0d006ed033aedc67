//! `/api/v1/inspect`: the settings inside a picture file. Keeps nothing.

use super::body;
use crate::{App, error::AppError, uploads::MAX_FILE, web::auth::Artist};
use actix_web::{
    HttpRequest, HttpResponse,
    web::{Data, Payload},
};
use serde_json::json;

/// Reads the settings out of a picture: a form with the field `file`, or the file itself.
#[utoipa::path(post, path = "/api/v1/inspect", tag = "uploads",
    request_body(content(("multipart/form-data"), (Vec<u8> = "application/octet-stream"))),
    responses((status = 200, body = Object)))]
pub async fn inspect(_app: Data<App>, _artist: Artist, request: HttpRequest, payload: Payload) -> Result<HttpResponse, AppError> {
    let file = if body::is_form(&request) {
        let mut fields = body::form(&request, payload, &[("file", MAX_FILE as usize)]).await?;
        fields.pop().ok_or_else(|| AppError::field("file", "It is missing."))?.1
    } else {
        body::bytes(payload, MAX_FILE as usize).await?
    };
    let found = tokio::task::spawn_blocking(move || media::inspect::inspect(&file)).await.map_err(anyhow::Error::from)?;
    let found = found.map_err(|e| AppError::field("file", format!("{e}.")))?;
    Ok(HttpResponse::Ok().json(json!({
        "draft": found.draft,
        "source": found.source.map(media::Source::name),
        "notes": found.notes,
        "width": found.width,
        "height": found.height,
    })))
}
