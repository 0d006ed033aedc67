//! The gallery: its bar and its states; the rows are laid out by the script from the data in the page. Knows
//! no files.

use super::{embedded, html, shell::Shell};
use crate::{
    App,
    artifacts::{ArtifactView, Filter},
    error::AppError,
    web::auth::Artist,
};
use actix_web::{HttpResponse, web::Data};
use askama::Template;
use serde::Serialize;

/// Pictures whose words come with the page: the first screen of a large display.
const FIRST: u32 = 100;

/// A model to filter by.
#[derive(Clone, Debug)]
struct Named {
    id: String,
    name: String,
}

/// What the script is given.
#[derive(Debug, Serialize)]
struct Boot {
    /// Number of the last event that this page has seen.
    seq: i64,
    total: u64,
    items: Vec<ArtifactView>,
}

/// The page.
#[derive(Debug, Template)]
#[template(path = "gallery.html")]
pub struct GalleryPage {
    theme: &'static str,
    shell: Shell,
    models: Vec<Named>,
    total: u64,
    boot: String,
}

/// `GET /gallery`
pub async fn page(app: Data<App>, artist: Artist) -> Result<HttpResponse, AppError> {
    let profile = &artist.profile.id;
    let seq = app.events.last(profile);
    let (items, total) = app.artifacts.page(profile, Filter::default(), None, FIRST).await?;
    let boot = Boot { seq, total, items: items.into_iter().map(ArtifactView::from).collect() };
    let models = app.engines.models();
    html(&GalleryPage {
        theme: artist.profile.theme.as_str(),
        shell: Shell::new(&app, &artist, "gallery"),
        models: models.iter().map(|m| Named { id: m.id.clone(), name: m.name.clone() }).collect(),
        total,
        boot: embedded(&boot),
    })
}
