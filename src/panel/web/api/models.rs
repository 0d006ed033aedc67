//! `/api/v1/models`, `/tokens`, `/estimate`: what can be asked before a job is. Knows no tokenizer.

use super::{body, recipes};
use crate::{App, error::AppError, web::auth::Artist};
use actix_web::{
    HttpResponse,
    web::{Data, Json, Payload},
};
use protocol::{ModelInfo, Sampler, draft::MAX_PROMPT};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

/// Everything that can be loaded, and how the engine is.
#[utoipa::path(get, path = "/api/v1/models", tag = "models", responses((status = 200, body = Object)))]
pub async fn list(app: Data<App>, _artist: Artist) -> Result<HttpResponse, AppError> {
    // Whatever was put into the folder meanwhile is in the next answer.
    app.engines.scan();
    let view = app.engines.view();
    let status = view.status.name();
    let models = view.models.iter().map(shown).collect::<Result<Vec<Value>, _>>().map_err(anyhow::Error::from)?;
    Ok(HttpResponse::Ok().json(json!({ "models": models, "engine": { "status": status, "device": view.device } })))
}

/// A model with its samplers' labels and schedules, so that a form needs no list of its own.
pub(in crate::web) fn shown(model: &ModelInfo) -> serde_json::Result<Value> {
    let mut value = serde_json::to_value(model)?;
    value["samplers"] = model.samplers.iter().map(|s| sampler(*s)).collect();
    Ok(value)
}

fn sampler(s: Sampler) -> Value {
    let schedules: Vec<Value> = s.schedules().iter().map(|c| json!({ "name": c.name(), "label": c.label() })).collect();
    json!({ "name": s.name(), "label": s.label(), "schedules": schedules })
}

/// A prompt to count.
#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Prompt {
    /// Model whose tokenizer counts; the default one where absent.
    model: Option<String>,
    /// The prompt, weights and BREAK included.
    prompt: String,
}

/// How long a prompt is.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct Counted {
    /// Tokens without begin and end.
    tokens: u32,
    /// Tokens of one chunk.
    chunk: u32,
    /// Chunks that they fill, at least 1.
    chunks: u32,
}

/// Counts a prompt's tokens.
#[utoipa::path(post, path = "/api/v1/tokens", tag = "models", request_body = Prompt, responses((status = 200, body = Counted)))]
pub async fn tokens(app: Data<App>, _artist: Artist, payload: Payload) -> Result<Json<Counted>, AppError> {
    let Prompt { model, prompt } = body::parse(&body::bytes(payload, body::MAX_JSON).await?)?;
    if prompt.chars().count() > MAX_PROMPT {
        return Err(AppError::field("prompt", format!("It is over the limit of {MAX_PROMPT} characters.")));
    }
    let model = recipes::model(&app, model.as_deref())?;
    let away = || AppError::Unavailable("The engine does not answer. Try again in a moment.".into());
    let counted = app.engines.count_tokens(&model.id, &prompt).await.ok_or_else(away)?;
    // A wrong count is worse than none: this model went away a moment ago, or its tokenizer cannot be read.
    let tokens = counted.tokens.ok_or_else(away)?;
    Ok(Json(Counted { tokens, chunk: model.chunk_tokens, chunks: counted.chunks }))
}

/// What a draft would take.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct Estimated {
    /// Seconds from its start.
    eta_s: f32,
    /// Seconds until its start.
    starts_in_s: f32,
    /// Steps that it would do, all pictures together.
    steps: u32,
    /// Pixels.
    width: u32,
    /// Pixels.
    height: u32,
}

/// Estimates a draft, without submitting it.
#[utoipa::path(post, path = "/api/v1/estimate", tag = "models", request_body = Object, responses((status = 200, body = Estimated)))]
pub async fn estimate(app: Data<App>, artist: Artist, payload: Payload) -> Result<Json<Estimated>, AppError> {
    let draft = body::draft(&body::bytes(payload, body::MAX_JSON).await?)?;
    let recipe = recipes::without_looking(&app, draft)?;
    let estimate = app.jobs.estimate(&artist.profile.id, &recipe);
    Ok(Json(Estimated {
        eta_s: estimate.eta_s,
        starts_in_s: estimate.starts_in_s,
        steps: recipe.steps * recipe.batch,
        width: recipe.width,
        height: recipe.height,
    }))
}
