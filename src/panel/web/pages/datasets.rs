//! The datasets of an artist, and one of them with its pictures; cards are drawn by the script from the data in the page.
//! Knows no files.

use super::{embedded, html, shell::Shell, words};
use crate::{
    App,
    datasets::{INSTRUCTION, PLACEHOLDER, Protocol, VisionView, limits},
    error::AppError,
    web::{
        api::datasets::{DatasetNow, ListedDataset, listed, now},
        auth::Artist,
    },
};
use actix_web::{
    HttpResponse,
    web::{Data, Path},
};
use askama::Template;
use serde::Serialize;

#[derive(Debug, Serialize)]
struct AllBoot {
    seq: i64,
    items: Vec<ListedDataset>,
    /// For an admin in admin mode.
    vision: Option<VisionView>,
    /// The addresses that the services have themselves.
    homes: [(&'static str, &'static str); 3],
}

/// All datasets.
#[derive(Debug, Template)]
#[template(path = "datasets.html")]
pub struct DatasetsPage {
    theme: &'static str,
    shell: Shell,
    boot: String,
}

/// `GET /datasets`
pub async fn all(app: Data<App>, artist: Artist) -> Result<HttpResponse, AppError> {
    let seq = app.events.last(&artist.profile.id);
    let items = listed(&app, &artist).await?;
    let vision = match artist.admin_minutes {
        Some(_) => app.datasets.vision().await?.as_ref().map(VisionView::from),
        None => None,
    };
    let homes = Protocol::ALL.map(|p| (p.name(), p.home()));
    html(&DatasetsPage {
        theme: artist.profile.theme.as_str(),
        shell: Shell::new(&app, &artist, "datasets"),
        boot: embedded(&AllBoot { seq, items, vision, homes }),
    })
}

#[derive(Debug, Serialize)]
struct OneBoot {
    seq: i64,
    #[serde(flatten)]
    now: DatasetNow,
    /// The vision model's name, where one is set up.
    vision: Option<String>,
    /// What it is asked where the artist says nothing else.
    instruction: &'static str,
    /// What stands for the trigger word in a caption.
    placeholder: &'static str,
    most_caption: usize,
}

/// One dataset.
#[derive(Debug, Template)]
#[template(path = "dataset.html")]
pub struct DatasetPage {
    theme: &'static str,
    shell: Shell,
    id: String,
    name: String,
    /// Largest picture and archive.
    most: (String, String),
    boot: String,
}

/// `GET /datasets/{id}`
pub async fn one(app: Data<App>, artist: Artist, id: Path<String>) -> Result<HttpResponse, AppError> {
    let seq = app.events.last(&artist.profile.id);
    let now = now(&app, &artist, &id, 0).await?;
    let vision = app.datasets.vision().await?.map(|v| v.model);
    let name = now.dataset.name.clone();
    let (instruction, placeholder) = (INSTRUCTION, PLACEHOLDER);
    let boot = OneBoot { seq, now, vision, instruction, placeholder, most_caption: limits::MAX_CAPTION };
    html(&DatasetPage {
        theme: artist.profile.theme.as_str(),
        shell: Shell::new(&app, &artist, "datasets"),
        id: id.into_inner(),
        name,
        most: (words::bytes(limits::MAX_PICTURE), words::bytes(limits::MAX_ZIP)),
        boot: embedded(&boot),
    })
}
