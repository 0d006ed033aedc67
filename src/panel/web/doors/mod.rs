//! The doors: studio key, picker, PIN, first profile, admin mode. Each file has a page with its handlers.
//! What stands here is what they share: how a form is read, a page or a next address is answered, and what
//! came of a guess. Knows no rule: those are in `crate::doors`.

pub mod admin;
pub mod first;
pub mod key;
pub mod leave;
pub mod password;
pub mod picker;
pub mod pin;
pub mod profile;

use super::{asker, auth, errors};
use crate::doors::{DoorError, Guess};
use crate::engine_client::EngineStatus;
use crate::secrets::{Secret, SecretError};
use crate::users::{Profile, ProfileId, Role, UserError};
use crate::{App, error::AppError};
use actix_web::http::{StatusCode, header};
use actix_web::web::{Data, Form, Json};
use actix_web::{Either, HttpRequest, HttpResponse, cookie::Cookie};
use serde::{Deserialize, Serialize};

/// A form as browsers post it, or the same fields as JSON from a script.
pub type Fields<T> = Either<Form<T>, Json<T>>;

fn fields<T>(fields: Fields<T>) -> T {
    match fields {
        Either::Left(form) => form.into_inner(),
        Either::Right(json) => json.into_inner(),
    }
}

/// What stands at the foot of every door.
#[derive(Clone, Debug)]
pub struct Foot {
    /// "0.1.0".
    pub version: &'static str,
    /// The address that the browser is at, without its scheme.
    pub host: String,
    /// "ready on CPU, 2 cores".
    pub engine: String,
}

impl Foot {
    fn of(request: &HttpRequest) -> Foot {
        let host = asker::host(request.head()).unwrap_or_default().to_string();
        let app = request.app_data::<Data<App>>().expect("startup gives every request the App");
        let view = app.engines.view();
        // Strangers stand before this door: why it does not run is none of their business.
        let engine = match view.status {
            EngineStatus::Ready => format!("ready on {}", view.device),
            EngineStatus::Starting | EngineStatus::Restarting { .. } => "starting".into(),
            EngineStatus::Failed { .. } | EngineStatus::Stopped => "not running".into(),
        };
        Foot { version: env!("CARGO_PKG_VERSION"), host, engine }
    }
}

/// A profile on a card.
#[derive(Clone, Debug)]
pub struct Person {
    /// Its id, for addresses.
    pub id: ProfileId,
    /// Its name.
    pub name: String,
    /// One or two letters of it.
    pub initials: String,
    /// Number of its colour.
    pub colour: u8,
    /// A PIN is asked.
    pub has_pin: bool,
    /// May turn admin mode on.
    pub admin: bool,
}

impl Person {
    fn of(profile: &Profile) -> Person {
        Person {
            id: profile.id.clone(),
            name: profile.name.clone(),
            initials: initials(&profile.name),
            colour: profile.colour,
            has_pin: profile.has_pin,
            admin: profile.role == Role::Admin,
        }
    }
}

/// The first letter of a name, and of its last word where there are two or more in an alphabet.
pub fn initials(name: &str) -> String {
    let mut words = name.split_whitespace();
    let first = words.next().and_then(|word| word.chars().next());
    let last = words.next_back().and_then(|word| word.chars().next()).filter(|c| c.is_alphabetic());
    first.into_iter().chain(last).flat_map(char::to_uppercase).collect()
}

/// What went wrong with a guess, under its field.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refused {
    /// A sentence.
    pub text: String,
    /// Seconds until the next try is looked at; the page counts them down.
    pub wait: u64,
}

/// The refusal of a guess that was not right; None for one that was.
fn refused(guess: Guess, wrong: &str) -> Option<Refused> {
    match guess {
        Guess::Right => None,
        Guess::Wrong(wait) => Some(Refused { text: wrong.to_string(), wait }),
        Guess::Wait(wait) => Some(Refused { text: "Too many tries.".to_string(), wait }),
    }
}

/// A page as an answer. Doors are never kept by a browser or a proxy.
fn page(status: StatusCode, page: &impl askama::Template) -> Result<HttpResponse, AppError> {
    let text = page.render().map_err(|e| AppError::Internal(e.into()))?;
    Ok(HttpResponse::build(status)
        .insert_header((header::CONTENT_TYPE, "text/html; charset=utf-8"))
        .insert_header((header::CACHE_CONTROL, "no-store"))
        .body(text))
}

/// A refusal: the page again with the sentence, or JSON for a script.
fn again(request: &HttpRequest, why: &Refused, form: &impl askama::Template) -> Result<HttpResponse, AppError> {
    if errors::wants_json(request.headers()) {
        return Err(AppError::TooMany(why.text.clone(), why.wait));
    }
    let mut answer = page(StatusCode::TOO_MANY_REQUESTS, form)?;
    answer.headers_mut().insert(header::RETRY_AFTER, header::HeaderValue::from(why.wait));
    Ok(answer)
}

#[derive(Serialize)]
struct Next<'a> {
    next: &'a str,
}

/// Done: where to go from here.
fn next(request: &HttpRequest, path: &str, cookies: &[Cookie<'_>]) -> HttpResponse {
    let mut answer = if errors::wants_json(request.headers()) {
        HttpResponse::Ok().insert_header((header::CACHE_CONTROL, "no-store")).json(Next { next: path })
    } else {
        HttpResponse::SeeOther().insert_header((header::LOCATION, path)).finish()
    };
    for cookie in cookies {
        // A cookie that cannot be written as a header would have to hold control characters.
        let _ = answer.add_cookie(cookie);
    }
    answer
}

/// Replaces the browser's login by one for `profile`: a new token, so that one that was planted is worth
/// nothing.
async fn log_in(app: &App, request: &HttpRequest, studio: &auth::Studio, profile: &Profile) -> Result<HttpResponse, AppError> {
    let token = app.logins.begin(Some(profile.id.clone()), studio.keyed).await?;
    if let Some(old) = studio.login {
        app.logins.end(old).await?;
    }
    let cookies = [auth::login_cookie(request, &token), auth::last_cookie(request, &profile.id)];
    Ok(next(request, "/studio", &cookies))
}

/// The command that makes this studio reachable on loopback, where passwords may be typed.
fn ssh_line(app: &App, request: &HttpRequest) -> String {
    let own = app.doors.origins().iter().next().map_or(app.config.port, |o| o.port);
    let host = asker::origin(request).map_or_else(|| "HOST".into(), |o| o.host);
    format!("ssh -L {own}:127.0.0.1:{own} {host}")
}

/// Whether nobody between can read what is typed at the address that the browser is at.
fn is_private(request: &HttpRequest) -> bool {
    asker::origin(request).is_some_and(|origin| origin.is_private())
}

/// A field that holds one secret.
#[derive(Debug, Deserialize)]
pub struct OneSecret {
    #[serde(alias = "key", alias = "pin", alias = "password", alias = "ticket")]
    secret: Secret,
}

impl From<DoorError> for AppError {
    fn from(e: DoorError) -> AppError {
        match e {
            DoorError::Store(e) => e.into(),
            DoorError::Secret(e) => e.into(),
            DoorError::Config(e) => AppError::Internal(e.into()),
        }
    }
}

impl From<SecretError> for AppError {
    fn from(e: SecretError) -> AppError {
        match e {
            SecretError::Busy => AppError::TooMany(e.to_string(), 3),
            e => AppError::field("secret", e.to_string()),
        }
    }
}

impl From<UserError> for AppError {
    fn from(e: UserError) -> AppError {
        match e {
            UserError::Unknown(_) => AppError::NotFound,
            UserError::Taken(_) | UserError::NotFirst | UserError::Oneself | UserError::InFile(_) => {
                AppError::Conflict(e.to_string())
            }
            UserError::NoId(_) | UserError::Name(_) => AppError::field("name", e.to_string()),
            UserError::Secret(e) => e.into(),
            UserError::Store(e) => e.into(),
        }
    }
}

/// The profile of an address: one that can be used now.
fn usable(app: &App, id: &str) -> Result<Profile, AppError> {
    let id = ProfileId::parse(id).map_err(|_| AppError::NotFound)?;
    app.users.enabled(&id).ok_or(AppError::NotFound)
}

#[cfg(test)]
mod tests;
