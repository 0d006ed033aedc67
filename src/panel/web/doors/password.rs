//! `/password`: where a one-use link sets a profile's password for admin mode. Knows no other way to it.

use super::{Fields, Foot, fields, is_private, next, ssh_line};
use crate::doors::TicketKind;
use crate::secrets::{Secret, check_password};
use crate::{App, error::AppError};
use actix_web::http::StatusCode;
use actix_web::web::Data;
use actix_web::{HttpRequest, HttpResponse};
use askama::Template;
use serde::Deserialize;

/// A new password. A script on it puts the fragment of the link into the field `ticket`.
#[derive(Debug, Template)]
#[template(path = "doors/password.html")]
pub struct PasswordPage {
    /// The door's foot.
    pub foot: Foot,
    /// "system": nobody has chosen yet.
    pub theme: &'static str,
    /// What is wrong with the password.
    pub problem: Option<String>,
    /// The ticket, again after a password that could not be taken.
    pub ticket: String,
    /// The link was used, or is too old.
    pub old_link: bool,
    /// Where a password cannot be typed safely: the command that helps.
    pub ssh: Option<String>,
}

/// What the form sends.
#[derive(Debug, Deserialize)]
pub struct NewPassword {
    ticket: Secret,
    password: Secret,
}

impl PasswordPage {
    fn new(app: &App, request: &HttpRequest) -> PasswordPage {
        let ssh = (!is_private(request)).then(|| ssh_line(app, request));
        let foot = Foot::of(request);
        PasswordPage { foot, theme: "system", problem: None, ticket: String::new(), old_link: false, ssh }
    }
}

/// `GET /password`.
pub async fn page(app: Data<App>, request: HttpRequest) -> Result<HttpResponse, AppError> {
    super::page(StatusCode::OK, &PasswordPage::new(&app, &request))
}

/// `POST /password`, fields `ticket` and `password`. A password that is too short leaves the ticket good.
pub async fn set(app: Data<App>, request: HttpRequest, typed: Fields<NewPassword>) -> Result<HttpResponse, AppError> {
    let NewPassword { ticket, password } = fields(typed);
    let mut form = PasswordPage::new(&app, &request);
    if form.ssh.is_some() {
        return Err(AppError::Forbidden("A password cannot be typed safely at this address.".into()));
    }
    if let Err(e) = check_password(&password) {
        form.problem = Some(e.to_string());
        form.ticket = ticket.expose().to_string();
        return super::page(StatusCode::UNPROCESSABLE_ENTITY, &form);
    }
    let Some(Some(id)) = app.doors.take_ticket(TicketKind::Password, ticket.expose()).await? else {
        form.old_link = true;
        return super::page(StatusCode::GONE, &form);
    };
    let hash = app.doors.hasher().hash(password).await?;
    app.users.set_password(&id, hash, "a one-use link").await?;
    Ok(next(&request, "/", &[]))
}
