//! `/api/v1/tools/{id}/scripts`: what the repository changed in a tool's scripts, and that an admin lets it run. Knows no git.

use super::body;
use crate::{
    App,
    audit::{Deed, Kind},
    boot::changes::{ChangedFile, Changes},
    error::AppError,
    tools::{ToolId, Version},
    web::{api::tools::viewer, auth::Admin},
};
use actix_web::{
    HttpResponse,
    web::{Data, Json, Path, Payload},
};
use serde::{Deserialize, Serialize};

/// Scripts that no admin has seen yet.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct UnseenScripts {
    /// What they are, as one value; accepting names it.
    fingerprint: String,
    /// The commit that they came with.
    commit: String,
    /// The commit of those that were let run before, and that these are held beside; none: all are listed.
    before: Option<String>,
    /// What changed, in all that its scripts may use: the tool's own folder, the functions that scripts share, the list of choices.
    files: Vec<ChangedFile>,
}

/// What of a tool's scripts no admin has seen; 404 where all of them were.
#[utoipa::path(get, path = "/api/v1/tools/{id}/scripts", tag = "tools", params(("id" = String, Path)), responses((status = 200, body = UnseenScripts)))]
pub async fn get(app: Data<App>, _admin: Admin, id: Path<String>) -> Result<Json<UnseenScripts>, AppError> {
    let id = ToolId::parse(&id).map_err(|_| AppError::NotFound)?;
    let unseen = app.tools.get(&id).await?.unseen.ok_or(AppError::NotFound)?;
    let Version { fingerprint, commit } = unseen.version.clone();
    let Changes { since, files } = app.boot.changes(unseen).await?;
    Ok(Json(UnseenScripts { fingerprint, commit, before: since, files }))
}

/// Which scripts were looked at.
#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Seen {
    /// As the list of changes gave it.
    fingerprint: String,
}

/// Lets the scripts of a tool run that an admin has looked at.
#[utoipa::path(post, path = "/api/v1/tools/{id}/scripts", tag = "tools", params(("id" = String, Path)), request_body = Seen, responses((status = 204)))]
pub async fn accept(app: Data<App>, admin: Admin, id: Path<String>, payload: Payload) -> Result<HttpResponse, AppError> {
    let id = ToolId::parse(&id).map_err(|_| AppError::NotFound)?;
    let Seen { fingerprint } = body::parse(&body::bytes(payload, body::MAX_JSON).await?)?;
    app.tools.accept(&id, &fingerprint, viewer(&admin.artist)).await?;
    let who = admin.artist.profile.id.as_str();
    app.audit.write(Deed::done(who, Kind::Tool, format!("let the scripts of {id} run"))).await?;
    Ok(HttpResponse::NoContent().finish())
}
