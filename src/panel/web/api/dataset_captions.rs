//! Captions of a whole dataset: find and replace, its undoing, a vision model. Knows no text itself.

use super::body;
use crate::{
    App,
    datasets::{Instructed, Replaced, Search},
    error::AppError,
    web::auth::Artist,
};
use actix_web::{
    HttpResponse,
    web::{Data, Json, Path, Payload},
};
use serde::{Deserialize, Serialize};

/// What is looked for in every caption.
#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Replacement {
    /// The text that is looked for, 1 to 500 characters.
    find: String,
    /// What comes in its place; may be empty.
    #[serde(default)]
    with: String,
    /// Upper and lower case differ.
    #[serde(default)]
    match_case: bool,
    /// Not inside a longer word.
    #[serde(default)]
    whole_words: bool,
    /// Only says what would change.
    #[serde(default)]
    preview: bool,
}

/// A caption that would change.
#[derive(Debug, Serialize, utoipa::ToSchema)]
#[schema(as = ReplacementExample)]
pub struct Example {
    /// As it is.
    before: String,
    /// As it would be.
    after: String,
}

/// What changed, or would.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct Replacing {
    /// How many captions.
    captions: u32,
    /// In how many places; of a preview.
    places: u32,
    /// Captions that would become too long, so that nothing is changed; of a preview.
    too_long: u32,
    /// The first few before and after; of a preview.
    examples: Vec<Example>,
    /// Captions that were edited since and stay; of an undoing.
    kept: u32,
}

impl From<Replaced> for Replacing {
    fn from(r: Replaced) -> Replacing {
        Replacing { captions: r.captions, places: 0, too_long: 0, examples: Vec::new(), kept: r.kept }
    }
}

/// What is asked of a vision model.
#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Captioning {
    /// The words that go with each picture, at most 2,000 characters; the standing ones where empty.
    #[serde(default)]
    instruction: String,
    /// Also pictures that have a caption.
    #[serde(default)]
    all: bool,
}

/// Replaces text in all captions of a dataset, or says what would change.
#[utoipa::path(post, path = "/api/v1/datasets/{id}/replace", tag = "datasets", params(("id" = String, Path)), request_body = Replacement,
    responses((status = 200, body = Replacing)))]
pub async fn replace(app: Data<App>, artist: Artist, id: Path<String>, payload: Payload) -> Result<Json<Replacing>, AppError> {
    let profile = &artist.profile.id;
    app.datasets.get(profile, &id).await?;
    let asked: Replacement = body::parse(&body::bytes(payload, body::MAX_JSON).await?)?;
    let search = Search { find: asked.find, with: asked.with, match_case: asked.match_case, whole_words: asked.whole_words };
    if !asked.preview {
        return Ok(Json(app.datasets.replace(profile, &id, search).await?.into()));
    }
    let p = app.datasets.preview(profile, &id, &search).await?;
    let (captions, places, too_long) = (p.captions, p.places, p.too_long);
    let examples = p.examples.into_iter().map(|(before, after)| Example { before, after }).collect();
    Ok(Json(Replacing { captions, places, too_long, examples, kept: 0 }))
}

/// Takes the last change of many captions back. Those that were edited since stay.
#[utoipa::path(post, path = "/api/v1/datasets/{id}/undo", tag = "datasets", params(("id" = String, Path)), responses((status = 200, body = Replacing)))]
pub async fn undo(app: Data<App>, artist: Artist, id: Path<String>) -> Result<Json<Replacing>, AppError> {
    Ok(Json(app.datasets.undo(&artist.profile.id, &id).await?.into()))
}

/// Starts to caption a dataset's pictures by the vision model; the dataset's task tells how far it is.
#[utoipa::path(post, path = "/api/v1/datasets/{id}/captions", tag = "datasets", params(("id" = String, Path)), request_body = Captioning,
    responses((status = 202)))]
pub async fn caption_all(app: Data<App>, artist: Artist, id: Path<String>, payload: Payload) -> Result<HttpResponse, AppError> {
    let profile = &artist.profile.id;
    app.datasets.get(profile, &id).await?;
    let Captioning { instruction, all } = body::parse(&body::bytes(payload, body::MAX_JSON).await?)?;
    app.datasets.caption_all(profile, &id, Instructed { instruction, all }).await?;
    Ok(HttpResponse::Accepted().finish())
}
