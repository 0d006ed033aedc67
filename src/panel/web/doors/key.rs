//! `/key`: the studio key, once on each browser; and the ticket of a link, which takes its place. Knows no
//! profile's page.

use super::{Fields, Foot, OneSecret, Refused, again, fields, log_in, next, refused};
use crate::doors::{Guess, TicketKind};
use crate::{App, error::AppError, web::auth, web::auth::Studio};
use actix_web::http::StatusCode;
use actix_web::web::Data;
use actix_web::{HttpRequest, HttpResponse};
use askama::Template;

/// Said to whoever has to wait: a stranger's guesses may be why.
const WAIT: &str = "Too many tries from this address. A new link opens the door at once: easel key show-link makes one.";
const WRONG: &str = "This is not the key of this studio. Check that all of it was copied: it has five groups of four.";

/// The studio key. A script on it posts the fragment of a link to `/ticket`, field `ticket`.
#[derive(Debug, Template)]
#[template(path = "doors/key.html")]
pub struct KeyPage {
    /// The door's foot.
    pub foot: Foot,
    /// "system": nobody has chosen yet.
    pub theme: &'static str,
    /// What was wrong with the last try.
    pub refused: Option<Refused>,
    /// The link that led here was used, or is too old.
    pub old_link: bool,
}

impl KeyPage {
    fn new(request: &HttpRequest, refused: Option<Refused>, old_link: bool) -> KeyPage {
        KeyPage { foot: Foot::of(request), theme: "system", refused, old_link }
    }
}

/// `GET /key`. Shown also to who is past it already: a link's ticket may name a profile.
pub async fn page(request: HttpRequest) -> Result<HttpResponse, AppError> {
    super::page(StatusCode::OK, &KeyPage::new(&request, None, false))
}

/// `POST /key`, field `key`.
pub async fn enter(app: Data<App>, request: HttpRequest, typed: Fields<OneSecret>) -> Result<HttpResponse, AppError> {
    let peer = request.peer_addr().map(|peer| peer.ip());
    let guess = app.doors.try_key(peer, fields(typed).secret.expose()).await?;
    if let Some(mut why) = refused(guess, WRONG) {
        if matches!(guess, Guess::Wait(_)) {
            why.text = WAIT.into();
        }
        return again(&request, &why, &KeyPage::new(&request, Some(why.clone()), false));
    }
    let token = app.logins.begin(None, true).await?;
    Ok(next(&request, "/", &[auth::login_cookie(&request, &token)]))
}

/// `POST /ticket`, field `ticket`. One that names a profile goes to its studio, or to its PIN.
pub async fn ticket(app: Data<App>, request: HttpRequest, typed: Fields<OneSecret>) -> Result<HttpResponse, AppError> {
    let Some(profile) = app.doors.take_ticket(TicketKind::Studio, fields(typed).secret.expose()).await? else {
        return super::page(StatusCode::GONE, &KeyPage::new(&request, None, true));
    };
    let profile = profile.and_then(|id| app.users.enabled(&id));
    if let Some(profile) = profile.as_ref().filter(|p| !p.has_pin) {
        let studio = Studio { login: None, keyed: true, profile: None };
        return log_in(&app, &request, &studio, profile).await;
    }
    let token = app.logins.begin(None, true).await?;
    let path = profile.map_or_else(|| "/".to_string(), |p| format!("/pin/{}", p.id));
    Ok(next(&request, &path, &[auth::login_cookie(&request, &token)]))
}
