//! A profile's own page: its PIN. Knows no hash; the forms are taken in `web/doors`.

use super::shell::Shell;
use crate::{App, error::AppError, web::auth::Artist};
use actix_web::{HttpResponse, web::Data};
use askama::Template;

/// The page.
#[derive(Debug, Template)]
#[template(path = "profile.html")]
pub struct ProfilePage {
    theme: &'static str,
    shell: Shell,
    /// Whether a PIN is set.
    has_pin: bool,
}

/// `GET /profile`
pub async fn page(app: Data<App>, artist: Artist) -> Result<HttpResponse, AppError> {
    let profile = &artist.profile;
    super::html(&ProfilePage {
        theme: profile.theme.as_str(),
        shell: Shell::new(&app, &artist, "profile"),
        has_pin: profile.has_pin,
    })
}
