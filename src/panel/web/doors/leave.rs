//! Switching the profile and logging out. Knows no page.

use super::{auth, next};
use crate::{App, error::AppError, web::auth::Studio};
use actix_web::web::Data;
use actix_web::{HttpRequest, HttpResponse};

/// `POST /switch`: back to the picker. The studio key stays entered.
pub async fn switch(app: Data<App>, request: HttpRequest, studio: Studio) -> Result<HttpResponse, AppError> {
    if let Some(login) = studio.login {
        app.logins.end(login).await?;
    }
    let cookie = if studio.keyed && studio.login.is_some() {
        auth::login_cookie(&request, &app.logins.begin(None, true).await?)
    } else {
        auth::no_login_cookie(&request)
    };
    Ok(next(&request, "/", &[cookie]))
}

/// `POST /logout`: the studio key has to be entered again, where there is one.
pub async fn logout(app: Data<App>, request: HttpRequest, studio: Option<Studio>) -> Result<HttpResponse, AppError> {
    if let Some(login) = studio.and_then(|s| s.login) {
        app.logins.end(login).await?;
    }
    Ok(next(&request, "/", &[auth::no_login_cookie(&request)]))
}
