//! `/admin`: admin mode on and off. Knows no page that needs it.

use super::{Fields, Foot, OneSecret, Refused, again, fields, is_private, next, refused, ssh_line, usable};
use crate::audit::{Deed, Kind};
use crate::control::{Control, Desk, Reply};
use crate::doors::Guess;
use crate::secrets::Secret;
use crate::users::Role;
use crate::{App, error::AppError, web::auth::Admin, web::auth::Artist};
use actix_web::http::StatusCode;
use actix_web::web::{Data, Path};
use actix_web::{HttpRequest, HttpResponse};
use askama::Template;

/// The password for admin mode, or why it cannot be turned on here.
#[derive(Debug, Template)]
#[template(path = "doors/admin.html")]
pub struct AdminPage {
    /// The door's foot.
    pub foot: Foot,
    /// The profile's own theme.
    pub theme: &'static str,
    /// Whose password.
    pub name: String,
    /// The profile's id, for the command that sets a password.
    pub id: String,
    /// It has a password.
    pub has_password: bool,
    /// Where a password cannot be typed safely: the command that helps.
    pub ssh: Option<String>,
    /// What was wrong with the last try.
    pub refused: Option<Refused>,
}

impl AdminPage {
    fn new(app: &App, request: &HttpRequest, artist: &Artist, refused: Option<Refused>) -> AdminPage {
        let profile = &artist.profile;
        AdminPage {
            foot: Foot::of(request),
            theme: profile.theme.as_str(),
            name: profile.name.clone(),
            id: profile.id.to_string(),
            has_password: profile.has_password,
            ssh: (!is_private(request)).then(|| ssh_line(app, request)),
            refused,
        }
    }
}

/// Where an admin in admin mode begins.
const HOME: &str = "/admin/system";

fn only_admins(artist: &Artist) -> Result<(), AppError> {
    if artist.profile.role == Role::Admin { Ok(()) } else { Err(AppError::Forbidden("This profile is not an admin.".into())) }
}

/// A guess at the password of whoever asks. Right, it turns admin mode on for that login. Either way it is written down.
///
/// # Errors
/// Where this login can have no admin mode; says why.
pub(in crate::web) async fn try_turning_on(
    app: &App,
    request: &HttpRequest,
    artist: &Artist,
    password: Secret,
) -> Result<Guess, AppError> {
    only_admins(artist)?;
    let login = artist.login.ok_or_else(|| AppError::Forbidden("An API token has no admin mode.".into()))?;
    let id = &artist.profile.id;
    if !is_private(request) {
        return Err(AppError::Forbidden("A password cannot be typed safely at this address.".into()));
    }
    if !artist.profile.has_password {
        return Err(AppError::Forbidden(format!("There is no password yet. On the machine: easel user set-password {id}")));
    }
    let guess = app.doors.try_password(id, app.users.password_hash(id), password).await?;
    let deed = match guess {
        Guess::Right => Deed::done(id.as_str(), Kind::AdminMode, "turned admin mode on"),
        Guess::Wrong(_) => Deed::refused(id.as_str(), Kind::AdminMode, "wrong password for admin mode"),
        // Not looked at, and anybody can make a million of these.
        Guess::Wait(_) => return Ok(guess),
    };
    app.audit.write(deed).await?;
    if guess == Guess::Right {
        app.logins.set_admin(&login, true);
    }
    Ok(guess)
}

/// Turns admin mode off for the login of whoever asks.
pub(in crate::web) async fn turn_off_for(app: &App, artist: &Artist) -> Result<(), AppError> {
    if let Some(login) = artist.login.filter(|_| artist.admin_minutes.is_some()) {
        app.logins.set_admin(&login, false);
        app.audit.write(Deed::done(artist.profile.id.as_str(), Kind::AdminMode, "turned admin mode off")).await?;
    }
    Ok(())
}

/// `GET /admin`.
pub async fn page(app: Data<App>, request: HttpRequest, artist: Artist) -> Result<HttpResponse, AppError> {
    only_admins(&artist)?;
    if artist.admin_minutes.is_some() {
        return Ok(next(&request, HOME, &[]));
    }
    super::page(StatusCode::OK, &AdminPage::new(&app, &request, &artist, None))
}

/// `POST /admin`, field `password`. Only a browser's login has an admin mode.
pub async fn turn_on(
    app: Data<App>,
    request: HttpRequest,
    artist: Artist,
    typed: Fields<OneSecret>,
) -> Result<HttpResponse, AppError> {
    only_admins(&artist)?;
    let form = AdminPage::new(&app, &request, &artist, None);
    if form.ssh.is_some() || !form.has_password {
        return super::page(StatusCode::FORBIDDEN, &form);
    }
    let guess = try_turning_on(&app, &request, &artist, fields(typed).secret).await?;
    if let Some(why) = refused(guess, "Wrong password.") {
        return again(&request, &why, &AdminPage { refused: Some(why.clone()), ..form });
    }
    Ok(next(&request, HOME, &[]))
}

/// `POST /admin/off`.
pub async fn turn_off(app: Data<App>, request: HttpRequest, artist: Artist) -> Result<HttpResponse, AppError> {
    turn_off_for(&app, &artist).await?;
    Ok(next(&request, "/studio", &[]))
}

/// `POST /admin/link/{id}`: a link into the studio for one profile, once and for 15 minutes, as JSON
/// `{"link": …}`. Shown to the admin who asked, and kept nowhere.
pub async fn link(app: Data<App>, admin: Admin, id: Path<String>) -> Result<HttpResponse, AppError> {
    let profile = usable(&app, &id)?;
    let desk = Desk::of(&app).asked_by(&admin.artist.profile.id);
    let made = desk.carry_out(Control::KeyShowLink { user: Some(profile.id.to_string()) }).await?;
    let Reply::Once { secret, .. } = made else { return Err(AppError::NotFound) };
    let body = serde_json::json!({ "link": secret.expose() });
    Ok(HttpResponse::Ok().insert_header((actix_web::http::header::CACHE_CONTROL, "no-store")).json(body))
}
