//! `/pin/{id}`: the PIN of a profile. Knows no rule about guessing.

use super::{Fields, Foot, OneSecret, Person, Refused, again, fields, log_in, next, refused, usable};
use crate::users::ProfileId;
use crate::{App, error::AppError, web::auth::Studio};
use actix_web::http::StatusCode;
use actix_web::web::{Data, Path};
use actix_web::{HttpRequest, HttpResponse};
use askama::Template;

/// The PIN of one profile.
#[derive(Debug, Template)]
#[template(path = "doors/pin.html")]
pub struct PinPage {
    /// The door's foot.
    pub foot: Foot,
    /// The profile's own theme.
    pub theme: &'static str,
    /// Whose PIN.
    pub person: Person,
    /// What was wrong with the last try.
    pub refused: Option<Refused>,
}

/// `GET /pin/{id}`.
pub async fn page(app: Data<App>, request: HttpRequest, _studio: Studio, id: Path<String>) -> Result<HttpResponse, AppError> {
    let profile = usable(&app, &id)?;
    if !profile.has_pin {
        return Ok(next(&request, "/", &[]));
    }
    let page = PinPage { foot: Foot::of(&request), theme: profile.theme.as_str(), person: Person::of(&profile), refused: None };
    super::page(StatusCode::OK, &page)
}

/// `POST /pin/{id}`, field `pin`. A profile that does not exist, is disabled or has no PIN is answered as a
/// wrong PIN is, and takes as long.
pub async fn enter(
    app: Data<App>,
    request: HttpRequest,
    studio: Studio,
    id: Path<String>,
    typed: Fields<OneSecret>,
) -> Result<HttpResponse, AppError> {
    let id = ProfileId::parse(&id).map_err(|_| AppError::NotFound)?;
    let guess = app.doors.try_pin(&id, app.users.pin_hash(&id), fields(typed).secret).await?;
    let Some(why) = refused(guess, "Wrong PIN. An admin can reset it.") else {
        let profile = usable(&app, id.as_str())?;
        return log_in(&app, &request, &studio, &profile).await;
    };
    let known = app.users.enabled(&id);
    let person = known.as_ref().map_or_else(|| unknown(&id), Person::of);
    let theme = known.map_or("system", |p| p.theme.as_str());
    again(&request, &why, &PinPage { foot: Foot::of(&request), theme, person, refused: Some(why.clone()) })
}

/// A card for an id that nobody has.
fn unknown(id: &ProfileId) -> Person {
    let name = id.to_string();
    Person { id: id.clone(), initials: super::initials(&name), name, colour: 0, has_pin: true, admin: false }
}
