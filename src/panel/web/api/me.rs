//! `/api/v1/me`: who is asking. Knows no rule.

use crate::{App, web::auth::Artist};
use actix_web::{HttpResponse, web::Data};
use serde_json::json;

/// The caller.
#[utoipa::path(get, path = "/api/v1/me", tag = "me", responses((status = 200, body = Object)))]
pub async fn me(app: Data<App>, artist: Artist) -> HttpResponse {
    let profile = &artist.profile;
    HttpResponse::Ok().insert_header(("Cache-Control", "no-store")).json(json!({
        "id": profile.id,
        "name": profile.name,
        "role": profile.role,
        "admin_mode": artist.admin_minutes.is_some(),
        "admin_minutes": artist.admin_minutes,
        "theme": profile.theme,
        "device": app.engines.view().device,
    }))
}
