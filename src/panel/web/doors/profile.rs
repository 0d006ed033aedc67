//! What a profile changes about itself: PIN, theme, keyboard shortcuts, an admin's password. The page that
//! shows them is not here.

use super::{Fields, auth, fields, is_private, next, refused};
use crate::doors::Guess;
use crate::secrets::{Secret, check_password, check_pin};
use crate::users::Theme;
use crate::web::auth::{Admin, Artist};
use crate::{App, error::AppError};
use actix_web::web::Data;
use actix_web::{HttpRequest, HttpResponse};
use serde::Deserialize;

/// A new PIN, or none.
#[derive(Debug, Deserialize)]
pub struct NewPin {
    /// Empty: no PIN from now on.
    pin: Secret,
    /// The present one, where there is one.
    current: Option<Secret>,
}

/// A new password for admin mode.
#[derive(Debug, Deserialize)]
pub struct NewPassword {
    password: Secret,
    current: Secret,
}

/// Light, dark or as the system.
#[derive(Debug, Deserialize)]
pub struct NewTheme {
    theme: Theme,
}

/// Whether single-letter keys work.
#[derive(Debug, Deserialize)]
pub struct NewShortcuts {
    /// A checkbox that is off is not sent at all.
    shortcuts: Option<String>,
}

/// An API token may not change who can come in.
fn by_browser(artist: &Artist) -> Result<crate::secrets::Fingerprint, AppError> {
    artist.login.ok_or_else(|| AppError::Forbidden("An API token cannot change this.".into()))
}

/// A guess at the present secret, as an error under its field.
fn must_be_right(guess: Guess, wrong: &str) -> Result<(), AppError> {
    match (refused(guess, wrong), guess) {
        (None, _) => Ok(()),
        (Some(why), Guess::Wrong(_)) => Err(AppError::field("current", why.text)),
        (Some(why), _) => Err(AppError::TooMany(why.text, why.wait)),
    }
}

/// `POST /profile/pin`, fields `pin` and `current`. Every other browser of this profile is logged out.
pub async fn set_pin(
    app: Data<App>,
    request: HttpRequest,
    artist: Artist,
    typed: Fields<NewPin>,
) -> Result<HttpResponse, AppError> {
    by_browser(&artist)?;
    let (id, NewPin { pin, current }) = (artist.profile.id.clone(), fields(typed));
    let hash = if pin.expose().is_empty() {
        None
    } else {
        check_pin(&pin).map_err(|e| AppError::field("pin", e.to_string()))?;
        Some(pin)
    };
    if artist.profile.has_pin {
        let current = current.unwrap_or_else(|| Secret::new(""));
        let guess = app.doors.try_pin(&id, app.users.pin_hash(&id), current).await?;
        must_be_right(guess, "This is not the present PIN.")?;
    }
    let hash = match hash {
        Some(pin) => Some(app.doors.hasher().hash(pin).await?),
        None => None,
    };
    app.users.set_pin(&id, hash, id.as_str()).await?;
    let cookie = renew(&app, &request, &artist).await?;
    Ok(next(&request, "/profile", &[cookie]))
}

/// `POST /profile/password`, fields `password` and `current`, in admin mode.
pub async fn set_password(
    app: Data<App>,
    request: HttpRequest,
    admin: Admin,
    typed: Fields<NewPassword>,
) -> Result<HttpResponse, AppError> {
    let (id, NewPassword { password, current }) = (admin.artist.profile.id.clone(), fields(typed));
    if !is_private(&request) {
        return Err(AppError::Forbidden("A password cannot be typed safely at this address.".into()));
    }
    check_password(&password).map_err(|e| AppError::field("password", e.to_string()))?;
    let guess = app.doors.try_password(&id, app.users.password_hash(&id), current).await?;
    must_be_right(guess, "This is not the present password.")?;
    let hash = app.doors.hasher().hash(password).await?;
    app.users.set_password(&id, hash, id.as_str()).await?;
    let cookie = renew(&app, &request, &admin.artist).await?;
    Ok(next(&request, "/profile", &[cookie]))
}

/// Ends every login of the profile and begins one for this browser.
async fn renew<'a>(app: &App, request: &HttpRequest, artist: &Artist) -> Result<actix_web::cookie::Cookie<'a>, AppError> {
    let login = by_browser(artist)?;
    let keyed = app.logins.is_keyed(&login);
    app.logins.end_of(artist.profile.id.clone()).await?;
    let token = app.logins.begin(Some(artist.profile.id.clone()), keyed).await?;
    Ok(auth::login_cookie(request, &token))
}

/// `POST /profile/theme`, field `theme`.
pub async fn set_theme(
    app: Data<App>,
    request: HttpRequest,
    artist: Artist,
    typed: Fields<NewTheme>,
) -> Result<HttpResponse, AppError> {
    app.users.set_theme(&artist.profile.id, fields(typed).theme).await?;
    Ok(next(&request, "/profile", &[]))
}

/// `POST /profile/shortcuts`, field `shortcuts`: "on", or nothing.
pub async fn set_shortcuts(
    app: Data<App>,
    request: HttpRequest,
    artist: Artist,
    typed: Fields<NewShortcuts>,
) -> Result<HttpResponse, AppError> {
    let on = fields(typed).shortcuts.is_some_and(|value| !value.is_empty() && value != "off");
    app.users.set_shortcuts(&artist.profile.id, on).await?;
    Ok(next(&request, "/profile", &[]))
}
