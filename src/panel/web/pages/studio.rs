//! The studio: composer, stage, latest pictures; everything that the first paint shows, and the same as data
//! for the scripts. Knows no queue and no engine beyond what they tell.

use super::{embedded, html, shell::Shell};
use crate::{
    App,
    artifacts::ArtifactView,
    engine_client::EngineStatus,
    error::AppError,
    jobs::JobView,
    users::ProfileId,
    web::{api::models::shown, auth::Artist},
};
use actix_web::{HttpResponse, web::Data};
use askama::Template;
use protocol::{ModelInfo, Recipe, Sampler, Schedule, model::WordGroup};
use serde::Serialize;
use serde_json::Value;

/// Pictures that the strip holds at first.
const LATEST: u32 = 40;

/// A name for recipes and its label for people.
#[derive(Clone, Debug)]
struct Choice {
    name: &'static str,
    label: &'static str,
    chosen: bool,
}

fn schedules(sampler: Sampler, chosen: Schedule) -> Vec<Choice> {
    let choice = |s: &Schedule| Choice { name: s.name(), label: s.label(), chosen: *s == chosen };
    sampler.schedules().iter().map(choice).collect()
}

/// The composer as the first paint shows it: the first model's defaults.
#[derive(Clone, Debug)]
struct Composer {
    models: Vec<(String, String)>,
    name: String,
    about: String,
    chunk_tokens: u32,
    vocabulary: Vec<WordGroup>,
    has_surprises: bool,
    width: u32,
    height: u32,
    steps: u32,
    guidance: f32,
    rescale: f32,
    clip_skip: u32,
    strength: f32,
    samplers: Vec<Choice>,
    schedules: Vec<Choice>,
}

impl Composer {
    fn of(models: &[ModelInfo]) -> Composer {
        let names = models.iter().map(|m| (m.id.clone(), m.name.clone())).collect();
        let Some(m) = models.first() else { return Composer::without_model() };
        let d = &m.defaults;
        let samplers = m.samplers.iter().map(|s| Choice { name: s.name(), label: s.label(), chosen: *s == d.sampler });
        Composer {
            models: names,
            name: m.name.clone(),
            about: m.about.clone(),
            chunk_tokens: m.chunk_tokens,
            vocabulary: m.vocabulary.clone(),
            has_surprises: !m.surprises.is_empty(),
            width: m.native.0,
            height: m.native.1,
            steps: d.steps,
            guidance: d.guidance,
            rescale: d.guidance_rescale,
            clip_skip: d.clip_skip,
            strength: d.strength,
            samplers: samplers.collect(),
            schedules: schedules(d.sampler, d.schedule),
        }
    }

    /// Before the engine's first word.
    fn without_model() -> Composer {
        Composer {
            models: Vec::new(),
            name: String::new(),
            about: String::new(),
            chunk_tokens: 75,
            vocabulary: Vec::new(),
            has_surprises: false,
            width: 256,
            height: 256,
            steps: 20,
            guidance: 7.5,
            rescale: 0.0,
            clip_skip: 1,
            strength: 0.75,
            samplers: Vec::new(),
            schedules: Vec::new(),
        }
    }
}

/// A prompt to start from, with a picture where one ships with Easel.
#[derive(Clone, Debug)]
struct Start {
    prompt: String,
    picture: Option<String>,
}

/// A picture of the strip.
#[derive(Clone, Debug)]
struct Hung {
    id: String,
    url: String,
    thumb: String,
    width: u32,
    height: u32,
    prompt: String,
}

impl Hung {
    fn of(a: &ArtifactView) -> Hung {
        let prompt = a.prompt.clone();
        Hung { id: a.id.clone(), url: a.url.clone(), thumb: a.thumb.clone(), width: a.width, height: a.height, prompt }
    }
}

/// What the scripts are given: the same as the page shows, as data.
#[derive(Debug, Serialize)]
struct Boot<'a> {
    /// Number of the last event that this page has seen.
    seq: i64,
    device: &'a str,
    models: Vec<Value>,
    jobs: &'a [JobView],
    pictures: &'a [ArtifactView],
}

/// The page.
#[derive(Debug, Template)]
#[template(path = "studio.html")]
pub struct StudioPage {
    theme: &'static str,
    shell: Shell,
    form: Composer,
    latest: Vec<Hung>,
    /// Facts of the newest picture, for its caption.
    facts: Vec<String>,
    /// Width by height of what the frame shows first.
    frame_ratio: f32,
    starts: Vec<Start>,
    /// What is said while there is no model.
    no_model: &'static str,
    boot: String,
}

/// The caption's facts, in the order in which artists look for them.
fn facts(recipe: &Recipe) -> Vec<String> {
    let sampler = match recipe.schedule {
        Schedule::Plain => recipe.sampler.label().to_owned(),
        schedule => format!("{} {}", recipe.sampler.label(), schedule.label()),
    };
    vec![
        format!("Seed {}", recipe.seed),
        format!("{} step{}", recipe.steps, if recipe.steps == 1 { "" } else { "s" }),
        format!("Guidance {}", recipe.guidance),
        sampler,
        format!("{} × {}", recipe.width, recipe.height),
    ]
}

/// The example prompts of the first model, each with the picture that ships for it.
fn starts(models: &[ModelInfo]) -> Vec<Start> {
    let examples = models.first().map(|m| m.examples.as_slice()).unwrap_or_default();
    let start = |(i, prompt): (usize, &String)| {
        let file = format!("example-{}.webp", i + 1);
        Start { prompt: prompt.clone(), picture: assets::has(&file).then(|| assets::url(&file).into_owned()) }
    };
    examples.iter().take(3).enumerate().map(start).collect()
}

/// The newest pictures as the strip hangs them: newest job first, a job's own in their order.
async fn latest(app: &App, profile: &ProfileId) -> Result<Vec<ArtifactView>, AppError> {
    let mut page = app.artifacts.made_here(profile, LATEST).await?;
    page.sort_by(|a, b| b.job.cmp(&a.job).then(a.index.cmp(&b.index)));
    Ok(page.into_iter().map(ArtifactView::from).collect())
}

/// The unfinished jobs, and the last failure where nothing was finished since.
async fn jobs(app: &App, profile: &ProfileId, newest: Option<&ArtifactView>) -> Result<Vec<JobView>, AppError> {
    let mut jobs = app.jobs.snapshot(profile).await?;
    let failed = app.jobs.list(profile, Some("failed"), None, 1).await?;
    jobs.extend(failed.into_iter().filter(|job| newest.is_none_or(|a| a.job < job.id)));
    Ok(jobs)
}

/// `GET /studio`
pub async fn page(app: Data<App>, artist: Artist) -> Result<HttpResponse, AppError> {
    let profile = &artist.profile.id;
    // Before everything else is read: what happens meanwhile is told again, and nothing is missed.
    let seq = app.events.last(profile);
    let pictures = latest(&app, profile).await?;
    let jobs = jobs(&app, profile, pictures.first()).await?;
    let engine = app.engines.view();
    let models = engine.models.iter().map(shown).collect::<Result<Vec<_>, _>>().map_err(anyhow::Error::from)?;
    let boot = Boot { seq, device: &engine.device, models, jobs: &jobs, pictures: &pictures };
    let first = pictures.first();
    html(&StudioPage {
        theme: artist.profile.theme.as_str(),
        shell: Shell::new(&app, &artist, "studio"),
        form: Composer::of(&engine.models),
        facts: first.and_then(|a| a.recipe.as_ref()).map(facts).unwrap_or_default(),
        frame_ratio: first.map_or(1.0, |a| a.width as f32 / a.height as f32),
        starts: starts(&engine.models),
        no_model: match engine.status {
            EngineStatus::Ready => {
                "No model is installed yet. Put one under models/ in Easel's data folder, or run: easel models add FILE."
            }
            EngineStatus::Failed { .. } => "The engine cannot run. Its reason stands in the log.",
            _ => "The engine is starting. Write a prompt meanwhile.",
        },
        boot: embedded(&boot),
        latest: pictures.iter().map(Hung::of).collect(),
    })
}
