//! One picture, video or sound with its whole recipe. Knows no files.

use super::{embedded, html, shell::Shell, words};
use crate::{
    App,
    artifacts::{ArtifactView, Filter},
    error::AppError,
    web::auth::Artist,
};
use actix_web::{
    HttpResponse,
    web::{Data, Path},
};
use askama::Template;
use media::Kind;
use protocol::{ModelInfo, Recipe, Schedule};
use serde::Serialize;

/// A line of the recipe.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Fact {
    name: &'static str,
    value: String,
    /// The value says that there is none.
    none: bool,
}

impl Fact {
    fn new(name: &'static str, value: impl ToString) -> Fact {
        Fact { name, value: value.to_string(), none: false }
    }

    fn or_none(name: &'static str, value: Option<String>) -> Fact {
        let none = value.is_none();
        Fact { name, value: value.unwrap_or_else(|| "none".into()), none }
    }
}

/// What the script is given.
#[derive(Debug, Serialize)]
struct Boot<'a> {
    picture: &'a ArtifactView,
    newer: &'a Option<String>,
    older: &'a Option<String>,
}

/// The page.
#[derive(Debug, Template)]
#[template(path = "picture.html")]
pub struct PicturePage {
    theme: &'static str,
    shell: Shell,
    /// Place in the gallery, the newest is 1.
    at: String,
    total: String,
    /// How it is looked at: `picture`, `video` or `sound`; and that with a capital.
    kind: &'static str,
    noun: &'static str,
    /// It moves by itself; who wants no movement sees its first frame.
    animated: bool,
    ratio: f32,
    url: String,
    thumb: String,
    width: u32,
    height: u32,
    prompt: String,
    /// What it is to who does not see it.
    alt: String,
    newer: Option<String>,
    older: Option<String>,
    /// "PNG, 31 kB".
    file_words: String,
    facts: Vec<Fact>,
    /// The studio's own engine made it, so its settings can be used again.
    made_here: bool,
    /// Where its workflow is, of a picture of ComfyUI's.
    workflow: Option<String>,
    created: String,
    boot: String,
}

/// The whole recipe in the words of the field.
fn facts(recipe: &Recipe, models: &[ModelInfo]) -> Vec<Fact> {
    let model = models.iter().find(|m| m.id == recipe.model).map_or(recipe.model.as_str(), |m| m.name.as_str());
    let sampler = match recipe.schedule {
        Schedule::Plain => recipe.sampler.label().to_owned(),
        schedule => format!("{}, {}", recipe.sampler.label(), schedule.label()),
    };
    let negative = Some(recipe.negative_prompt.trim()).filter(|n| !n.is_empty()).map(str::to_owned);
    let mut facts = vec![
        Fact::or_none("Negative prompt", negative),
        Fact::new("Model", model),
        Fact::new("Size", format!("{} × {}", recipe.width, recipe.height)),
        Fact::new("Seed", recipe.seed),
        Fact::new("Steps", recipe.steps),
        Fact::new("Guidance", recipe.guidance),
        Fact::new("Sampler", sampler),
        Fact::new("Clip skip", recipe.clip_skip),
    ];
    if recipe.guidance_rescale > 0.0 {
        facts.push(Fact::new("Rescale", recipe.guidance_rescale));
    }
    if recipe.eta > 0.0 {
        facts.push(Fact::new("Eta", recipe.eta));
    }
    facts.push(match (&recipe.image, recipe.strength) {
        (Some(_), Some(strength)) if recipe.mask.is_some() => Fact::new("Reference", format!("with a mask, strength {strength}")),
        (Some(_), Some(strength)) => Fact::new("Reference", format!("strength {strength}")),
        _ => Fact::or_none("Reference", None),
    });
    facts
}

/// "PNG, 31 kB".
fn file_words(picture: &ArtifactView) -> String {
    let format = media::Format::of_mime(&picture.mime).map_or("File", |format| format.name);
    format!("{format}, {}", words::bytes(picture.bytes))
}

/// What is known of what was made in ComfyUI.
fn facts_elsewhere(picture: &ArtifactView) -> Vec<Fact> {
    let mut facts = vec![Fact::new("Made in", "ComfyUI")];
    if picture.width > 0 {
        facts.push(Fact::new("Size", format!("{} × {}", picture.width, picture.height)));
    }
    if let Some(ms) = picture.duration_ms {
        facts.push(Fact::new("Length", words::length(ms)));
    }
    facts
}

/// `GET /picture/{id}`
pub async fn page(app: Data<App>, artist: Artist, id: Path<String>) -> Result<HttpResponse, AppError> {
    let profile = &artist.profile.id;
    let found = app.artifacts.get(profile, &id).await?.ok_or(AppError::NotFound)?;
    let place = app.artifacts.neighbours(profile, &id).await?;
    let (_, total) = app.artifacts.page(profile, Filter::default(), None, 1).await?;
    let recipe = found.made.recipe().cloned();
    let noun = match found.kind() {
        Kind::Picture => "Picture",
        Kind::Video => "Video",
        Kind::Sound => "Sound",
    };
    let picture = ArtifactView::from(found);
    let boot = Boot { picture: &picture, newer: &place.newer, older: &place.older };
    html(&PicturePage {
        theme: artist.profile.theme.as_str(),
        shell: Shell::new(&app, &artist, "gallery"),
        at: words::count(place.newer_ones + 1),
        total: words::count(total),
        kind: picture.kind,
        noun,
        animated: picture.animated,
        // A sound is a bar to play it by.
        ratio: if picture.height > 0 { picture.width as f32 / picture.height as f32 } else { 4.0 },
        boot: embedded(&boot),
        url: picture.url.clone(),
        thumb: picture.thumb.clone(),
        width: picture.width,
        height: picture.height,
        file_words: file_words(&picture),
        facts: recipe.as_ref().map_or_else(|| facts_elsewhere(&picture), |recipe| facts(recipe, &app.engines.models())),
        made_here: recipe.is_some(),
        workflow: picture.workflow.clone(),
        alt: if picture.prompt.is_empty() { format!("A {} without a prompt", picture.kind) } else { picture.prompt.clone() },
        prompt: picture.prompt.clone(),
        created: picture.created.clone(),
        newer: place.newer,
        older: place.older,
    })
}
