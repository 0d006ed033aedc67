//! `/api/v1/admin-mode`: on with a password, off without, for the login that asks. Knows no rule about guessing.

use super::body;
use crate::{
    App,
    doors::Guess,
    error::AppError,
    secrets::Secret,
    web::{auth::Artist, doors::admin},
};
use actix_web::{
    HttpRequest, HttpResponse,
    web::{Data, Payload},
};
use serde::Deserialize;

/// The password of the profile that asks.
#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Password {
    #[schema(value_type = String)]
    password: Secret,
}

/// Turns admin mode on for 30 minutes of use.
#[utoipa::path(post, path = "/api/v1/admin-mode", tag = "admin", request_body = Password, responses((status = 204)))]
pub async fn turn_on(app: Data<App>, artist: Artist, request: HttpRequest, payload: Payload) -> Result<HttpResponse, AppError> {
    let Password { password } = body::parse(&body::bytes(payload, body::MAX_JSON).await?)?;
    match admin::try_turning_on(&app, &request, &artist, password).await? {
        Guess::Right => Ok(HttpResponse::NoContent().finish()),
        Guess::Wrong(wait) => Err(AppError::TooMany("Wrong password.".into(), wait)),
        Guess::Wait(wait) => Err(AppError::TooMany("Too many tries.".into(), wait)),
    }
}

/// Turns it off.
#[utoipa::path(delete, path = "/api/v1/admin-mode", tag = "admin", responses((status = 204)))]
pub async fn turn_off(app: Data<App>, artist: Artist) -> Result<HttpResponse, AppError> {
    admin::turn_off_for(&app, &artist).await?;
    Ok(HttpResponse::NoContent().finish())
}
