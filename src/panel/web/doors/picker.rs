//! `/`: who is painting. The profiles as buttons, the last used first; without any profile, the first
//! page. Knows no rule of the door.

use super::{Foot, Person, auth, log_in, next, usable};
use crate::{App, error::AppError, web::auth::Studio};
use actix_web::http::StatusCode;
use actix_web::web::{Data, Path};
use actix_web::{HttpRequest, HttpResponse};
use askama::Template;

/// The profiles of the studio.
#[derive(Debug, Template)]
#[template(path = "doors/picker.html")]
pub struct PickerPage {
    /// The door's foot.
    pub foot: Foot,
    /// "system": nobody has chosen yet.
    pub theme: &'static str,
    /// The last used first; the first has the focus.
    pub people: Vec<Person>,
}

/// `GET /`: the key, the first page, the picker or the studio, whichever comes next.
pub async fn page(app: Data<App>, request: HttpRequest, studio: Option<Studio>) -> Result<HttpResponse, AppError> {
    let Some(studio) = studio else { return Ok(next(&request, "/key", &[])) };
    if studio.profile.is_some() {
        return Ok(next(&request, "/studio", &[]));
    }
    if app.users.is_empty() {
        return super::first::page(&app, &request);
    }
    let last = request.cookie(&auth::cookie_name(&request, "last")).map(|cookie| cookie.value().to_string());
    let mut people: Vec<Person> = app.users.list().iter().filter(|p| !p.disabled).map(Person::of).collect();
    people.sort_by_key(|person| last.as_deref() != Some(person.id.as_str()));
    super::page(StatusCode::OK, &PickerPage { foot: Foot::of(&request), theme: "system", people })
}

/// `POST /pick/{id}`: one click, or on to its PIN.
pub async fn pick(app: Data<App>, request: HttpRequest, studio: Studio, id: Path<String>) -> Result<HttpResponse, AppError> {
    let profile = usable(&app, &id)?;
    if profile.has_pin {
        return Ok(next(&request, &format!("/pin/{}", profile.id), &[]));
    }
    log_in(&app, &request, &studio, &profile).await
}
