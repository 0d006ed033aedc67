//! Permission as a type in a handler's signature: [`Studio`], [`Artist`], [`Admin`]. Each looks at the
//! account again on each request. Knows no page.

use super::asker;
use crate::{App, error::AppError, logins::Login, origins::Origin, secrets::Fingerprint, users::Profile, users::Role};
use actix_web::http::header;
use actix_web::{FromRequest, HttpRequest, cookie::Cookie, cookie::SameSite, dev::Payload, web::Data};
use std::future::{Ready, ready};

/// Past the studio key, or with none needed; perhaps without a profile yet.
#[derive(Clone, Debug)]
pub struct Studio {
    /// The browser's login, where it has one.
    pub login: Option<Fingerprint>,
    /// It came through the studio key. Without it, the login counts only where the keyless rule holds.
    pub keyed: bool,
    /// Who is logged in, if anybody.
    pub profile: Option<Profile>,
}

/// A logged-in profile, by a browser's cookie or by an API token.
#[derive(Clone, Debug)]
pub struct Artist {
    /// Who.
    pub profile: Profile,
    /// The browser's login. None with an API token.
    pub login: Option<Fingerprint>,
    /// The API token. None with a browser's login.
    pub token: Option<Fingerprint>,
    /// Minutes of admin mode that are left. None where it is off.
    pub admin_minutes: Option<u32>,
}

/// An [`Artist`] in admin mode: a role, a password typed in the last 30 minutes of use, and an address that
/// nobody between can read.
#[derive(Clone, Debug)]
pub struct Admin {
    /// Who.
    pub artist: Artist,
}

impl Artist {
    /// Whether the login or token still counts: for streams, which live longer than one question.
    pub fn is_still_in(&self, app: &App) -> bool {
        let alive = self.login.is_some_and(|login| app.logins.is_alive(&login))
            || self.token.is_some_and(|token| app.logins.is_token(&token));
        alive && app.users.enabled(&self.profile.id).is_some()
    }
}

impl Admin {
    /// Whether admin mode is still on: for sockets, which live longer than one question. Is no use of it.
    pub fn is_still_on(&self, app: &App) -> bool {
        let profile = app.users.enabled(&self.artist.profile.id);
        let on = self.artist.login.is_some_and(|login| app.logins.is_admin(&login));
        on && profile.is_some_and(|profile| profile.role == Role::Admin)
    }

    /// The same, as a use: its time begins anew.
    pub fn use_it(&self, app: &App) -> bool {
        let on = self.is_still_on(app);
        if let Some(login) = self.artist.login.filter(|_| on) {
            app.logins.use_admin(&login);
        }
        on
    }
}

/// Said to an admin who is not in admin mode.
pub const NEEDS_ADMIN_MODE: &str = "This needs admin mode.";

/// What a request's cookie or token says.
enum Known {
    Nobody,
    Browser(Fingerprint, Login),
    Token(Fingerprint, Profile),
}

/// The name of a cookie at the origin that the request came to.
pub(super) fn cookie_name(request: &HttpRequest, what: &str) -> String {
    let nowhere = || Origin { https: false, host: String::new(), port: 0 };
    asker::origin(request).unwrap_or_else(nowhere).cookie_name(what)
}

/// A cookie with every flag set. Lax, so that a link into the studio from elsewhere finds its login; what
/// changes anything needs an Origin of the list besides.
fn cookie<'a>(request: &HttpRequest, what: &str, value: String, life: actix_web::cookie::time::Duration) -> Cookie<'a> {
    let https = asker::origin(request).is_some_and(|o| o.https);
    Cookie::build(cookie_name(request, what), value)
        .path("/")
        .http_only(true)
        .secure(https)
        .same_site(SameSite::Lax)
        .max_age(life)
        .finish()
}

/// The cookie of a new login.
pub(super) fn login_cookie<'a>(request: &HttpRequest, token: &crate::secrets::Secret) -> Cookie<'a> {
    cookie(request, "login", token.expose().to_string(), actix_web::cookie::time::Duration::days(30))
}

/// Takes the cookie of a login away.
pub(super) fn no_login_cookie<'a>(request: &HttpRequest) -> Cookie<'a> {
    cookie(request, "login", String::new(), actix_web::cookie::time::Duration::ZERO)
}

/// Remembers which profile was picked here last. No secret.
pub(super) fn last_cookie<'a>(request: &HttpRequest, id: &crate::users::ProfileId) -> Cookie<'a> {
    cookie(request, "last", id.to_string(), actix_web::cookie::time::Duration::days(365))
}

/// The token of an `Authorization: Bearer` header. With one, cookies are not looked at.
pub(super) fn bearer(request: &HttpRequest) -> Option<&str> {
    let value = request.headers().get(header::AUTHORIZATION)?.to_str().ok()?;
    let (scheme, token) = value.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
}

fn known(app: &App, request: &HttpRequest) -> Known {
    if request.headers().contains_key(header::AUTHORIZATION) {
        let owner = bearer(request).and_then(|token| app.logins.token_owner(token));
        let profile = owner.and_then(|(token, id)| Some((token, app.users.enabled(&id)?)));
        return profile.map_or(Known::Nobody, |(token, profile)| Known::Token(token, profile));
    }
    let cookie = request.cookie(&cookie_name(request, "login"));
    let found = cookie.and_then(|cookie| app.logins.find(cookie.value()));
    found.map_or(Known::Nobody, |(fingerprint, login)| Known::Browser(fingerprint, login))
}

fn studio(app: &App, request: &HttpRequest) -> Result<Studio, AppError> {
    let keyless = app.doors.is_keyless(asker::asker(app, request));
    match known(app, request) {
        Known::Browser(fingerprint, login) if login.keyed || keyless => {
            let profile = login.profile.as_ref().and_then(|id| app.users.enabled(id));
            Ok(Studio { login: Some(fingerprint), keyed: login.keyed, profile })
        }
        Known::Token(_, profile) => Ok(Studio { login: None, keyed: true, profile: Some(profile) }),
        _ if keyless => Ok(Studio { login: None, keyed: false, profile: None }),
        _ => Err(AppError::Unauthorized),
    }
}

/// A person does this, and not a page that asks the API again and again by itself.
fn is_a_use(request: &HttpRequest) -> bool {
    // A gallery that is left open keeps the stills of videos that come.
    let by_itself = request.method().is_safe() || request.path().ends_with("/thumb");
    !(by_itself && request.path().starts_with("/api/"))
}

fn artist(app: &App, request: &HttpRequest) -> Result<Artist, AppError> {
    let artist = who(app, request)?;
    if is_a_use(request) {
        app.logins.note_use();
    }
    Ok(artist)
}

fn who(app: &App, request: &HttpRequest) -> Result<Artist, AppError> {
    let nobody = AppError::Unauthorized;
    match known(app, request) {
        Known::Token(token, profile) => Ok(Artist { profile, login: None, token: Some(token), admin_minutes: None }),
        Known::Browser(fingerprint, login) if login.keyed || app.doors.is_keyless(asker::asker(app, request)) => {
            let profile = login.profile.as_ref().and_then(|id| app.users.enabled(id)).ok_or(nobody)?;
            let may = profile.role == Role::Admin && asker::origin(request).is_some_and(|o| o.is_private());
            let left = login.admin_left(app.logins.now()).filter(|_| may);
            let admin_minutes = left.and_then(|ms| u32::try_from((ms + 59_999) / 60_000).ok());
            Ok(Artist { profile, login: Some(fingerprint), token: None, admin_minutes })
        }
        _ => Err(nobody),
    }
}

fn admin(app: &App, request: &HttpRequest) -> Result<Admin, AppError> {
    let artist = artist(app, request)?;
    if artist.profile.role != Role::Admin {
        return Err(AppError::Forbidden("This is for admins.".into()));
    }
    match (&artist.login, artist.admin_minutes) {
        (Some(login), Some(_)) => {
            if is_a_use(request) {
                app.logins.set_admin(login, true);
            }
            Ok(Admin { artist })
        }
        (None, _) => Err(AppError::Forbidden("An API token has no admin mode.".into())),
        _ => Err(AppError::Forbidden(NEEDS_ADMIN_MODE.into())),
    }
}

macro_rules! extractor {
    ($type:ty, $how:path) => {
        impl FromRequest for $type {
            type Error = AppError;
            type Future = Ready<Result<Self, AppError>>;

            fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
                let app = request.app_data::<Data<App>>().expect("startup gives every request the App");
                ready($how(app, request))
            }
        }
    };
}
extractor!(Studio, studio);
extractor!(Artist, artist);
extractor!(Admin, admin);
