//! The first page of a studio that nobody is in yet: it makes the first profile, an admin. Knows no other
//! way to make one.

use super::{Fields, Foot, fields, is_private, log_in, ssh_line};
use crate::secrets::{Secret, check_password};
use crate::users::{Name, UserError};
use crate::{App, error::AppError, web::auth::Studio};
use actix_web::http::StatusCode;
use actix_web::web::Data;
use actix_web::{HttpRequest, HttpResponse};
use askama::Template;
use serde::Deserialize;

/// The first profile's name and password.
#[derive(Debug, Template)]
#[template(path = "doors/first.html")]
pub struct FirstPage {
    /// The door's foot.
    pub foot: Foot,
    /// "system": nobody has chosen yet.
    pub theme: &'static str,
    /// What was typed as the name.
    pub name: String,
    /// What is wrong with the name.
    pub name_problem: Option<String>,
    /// What is wrong with the password.
    pub password_problem: Option<String>,
    /// Where a password cannot be typed safely: the command that helps.
    pub ssh: Option<String>,
}

/// What the form sends.
#[derive(Debug, Deserialize)]
pub struct NewProfile {
    name: String,
    password: Secret,
}

impl FirstPage {
    fn new(app: &App, request: &HttpRequest, name: String) -> FirstPage {
        let ssh = (!is_private(request)).then(|| ssh_line(app, request));
        FirstPage { foot: Foot::of(request), theme: "system", name, name_problem: None, password_problem: None, ssh }
    }
}

/// Shown at `/` while there is no profile.
pub(super) fn page(app: &App, request: &HttpRequest) -> Result<HttpResponse, AppError> {
    super::page(StatusCode::OK, &FirstPage::new(app, request, String::new()))
}

/// `POST /first`, fields `name` and `password`.
pub async fn make(
    app: Data<App>,
    request: HttpRequest,
    studio: Studio,
    typed: Fields<NewProfile>,
) -> Result<HttpResponse, AppError> {
    let NewProfile { name, password } = fields(typed);
    if !app.users.is_empty() {
        return Err(UserError::NotFirst.into());
    }
    let mut form = FirstPage::new(&app, &request, name.clone());
    if form.ssh.is_some() {
        return Err(AppError::Forbidden("A password cannot be typed safely at this address.".into()));
    }
    let parsed = Name::parse(&name);
    form.name_problem = parsed.as_ref().err().map(ToString::to_string);
    form.password_problem = check_password(&password).err().map(|e| e.to_string());
    let (Ok(name), None) = (parsed, &form.password_problem) else {
        return super::page(StatusCode::UNPROCESSABLE_ENTITY, &form);
    };
    let hash = app.doors.hasher().hash(password).await?;
    let profile = app.users.add_first(name, hash).await?;
    log_in(&app, &request, &studio, &profile).await
}
