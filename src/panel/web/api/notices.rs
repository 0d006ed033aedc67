//! `/api/v1/notices`: what the studio has to say to its people, and that its pod is to run on. Knows no sentence.

use crate::{
    App,
    audit::{Deed, Kind},
    error::AppError,
    notices::{self, Notice},
    web::auth::Artist,
};
use actix_web::{
    HttpResponse,
    web::{Data, Json},
};
use serde::Serialize;

/// What there is to say.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct NoticeList {
    /// The most urgent first.
    items: Vec<Notice>,
}

/// What the studio has to say now. The event stream says `notices` when this answer has changed.
#[utoipa::path(get, path = "/api/v1/notices", tag = "studio", responses((status = 200, body = NoticeList)))]
pub async fn list(app: Data<App>, artist: Artist) -> Json<NoticeList> {
    Json(NoticeList { items: notices::all(&app, artist.admin_minutes.is_some()) })
}

/// Lets a pod that is about to stop run on. Anybody may: whoever works does not want it to stop.
#[utoipa::path(post, path = "/api/v1/pod/keep", tag = "studio", responses((status = 204)))]
pub async fn keep(app: Data<App>, artist: Artist) -> Result<HttpResponse, AppError> {
    app.pod.keep();
    app.audit.write(Deed::done(artist.profile.id.as_str(), Kind::Studio, "keep the pod running")).await?;
    Ok(HttpResponse::NoContent().finish())
}
