//! `/api/v1/sessions/{id}/attach`: a WebSocket before a terminal. Knows how a viewer is served and when he has to go;
//! what he sees is the session's business.

mod protocol;
mod source;
mod viewer;

use crate::{App, error::AppError, sessions::SessionId, web::auth::Admin};
use actix_web::{
    HttpRequest, HttpResponse,
    web::{Data, Path, Payload, Query},
};
use serde::Deserialize;
use source::Source;

/// Largest message of a viewer, in bytes: one piece of keys.
const MESSAGE_MAX: usize = supervise::session::KEYS_BYTES;

/// Where to go on.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
pub struct From {
    /// Number of the first byte that is wanted; 0 where absent.
    from: Option<u64>,
}

/// Attaches to a session, running or over: its bytes as binary frames from `from` on, and JSON text frames beside
/// them. Binary frames of a viewer who has taken the keyboard are typed.
#[utoipa::path(get, path = "/api/v1/sessions/{id}/attach", tag = "sessions", params(("id" = String, Path), From),
    responses((status = 101, description = "A WebSocket"), (status = 404)))]
pub async fn attach(
    app: Data<App>,
    admin: Admin,
    request: HttpRequest,
    id: Path<String>,
    query: Query<From>,
    payload: Payload,
) -> Result<HttpResponse, AppError> {
    let id = SessionId::parse(&id).ok_or(AppError::NotFound)?;
    let source = match app.sessions.get_live(&id) {
        Some(live) => Source::live(live),
        None => {
            let record = app.sessions.get(&id).await?.ok_or(AppError::NotFound)?;
            Source::past(app.sessions.transcript(&record).await.map_err(|_| AppError::NotFound)?, &record)
        }
    };
    let no_socket = |e: actix_web::Error| AppError::field("upgrade", format!("This address speaks WebSocket: {e}."));
    let (response, socket, messages) = actix_ws::handle(&request, payload).map_err(no_socket)?;
    let messages = messages.max_frame_size(MESSAGE_MAX);
    actix_web::rt::spawn(viewer::serve(app, admin, source, query.from.unwrap_or(0), socket, messages));
    Ok(response)
}
