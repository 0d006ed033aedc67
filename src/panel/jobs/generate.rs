//! One start of one job: its reference pictures, the engine's words, its pictures into the gallery. Knows
//! neither queue nor states; returns how the start ended.

use super::{Job, Jobs, Loading, Outcome, room, worker::told_to_stop};
use crate::{
    artifacts::{NewPicture, is_full},
    engine_client::{EngineEvent, Order},
    events::Passing,
    users::ProfileId,
};
use protocol::{FromEngine, ImageRef, Problem};
use serde::Serialize;

/// How one order ended.
enum Ended {
    Over(Outcome),
    /// The card was full before anything was made.
    GpuFull(Problem),
}

/// Runs a job once, on that engine. Where its card is full, room is made and it is sent a second time.
pub(super) async fn run(jobs: &Jobs, engine: usize, job: &Job) -> Outcome {
    let problem = match order(jobs, engine, job).await {
        Ended::Over(outcome) => return outcome,
        Ended::GpuFull(problem) => problem,
    };
    tracing::info!(job = %job.id, "{problem}");
    if let Err(outcome) = room::made(jobs, job).await {
        return outcome;
    }
    // Also where nobody agreed: what was full a moment ago may have room by others' doing.
    match order(jobs, engine, job).await {
        Ended::Over(outcome) => outcome,
        Ended::GpuFull(problem) => Outcome::Failed(room::described(jobs, problem).await),
    }
}

async fn order(jobs: &Jobs, engine: usize, job: &Job) -> Ended {
    let (image, mask) = match references(jobs, job).await {
        Ok(references) => references,
        Err(problem) => return Ended::Over(Outcome::Failed(problem)),
    };
    let Some(engine) = jobs.0.parts.engines.each().get(engine) else { return Ended::Over(Outcome::NotSent) };
    let mut events = engine.generate(Order { job: job.id.clone(), recipe: job.recipe.clone(), image, mask });
    // A cancel that came before the order was unknown to the engine; one that comes after finds the job.
    if jobs.board().get(&job.id).is_some_and(|e| e.job.cancel) {
        engine.cancel(&job.id);
    }
    let mut stopping = jobs.0.stopping.subscribe();
    let mut failure = None;
    loop {
        let event = tokio::select! {
            event = events.recv() => event.unwrap_or(EngineEvent::NotSent),
            () = told_to_stop(&mut stopping) => {
                engine.cancel(&job.id);
                return Ended::Over(Outcome::Stopping);
            }
        };
        let message = match event {
            EngineEvent::Told(message) => message,
            EngineEvent::Died(log) => return Ended::Over(failure.map_or(Outcome::EngineDied(log), Outcome::Failed)),
            EngineEvent::NotSent => return Ended::Over(Outcome::NotSent),
        };
        match hear(jobs, job, message).await {
            Heard::More => {}
            // The engine goes on until it hears of it; only its last word frees it for the next job.
            Heard::Refused(problem) => {
                failure.get_or_insert(problem);
                engine.cancel(&job.id);
            }
            Heard::Over(ended) => return failure.map_or(ended, |problem| Ended::Over(Outcome::Failed(problem))),
        }
    }
}

enum Heard {
    More,
    Refused(Problem),
    Over(Ended),
}

async fn hear(jobs: &Jobs, job: &Job, message: FromEngine) -> Heard {
    match message {
        FromEngine::Loading { model, done, total, .. } => note_loading(jobs, job, Loading { model, done, total }),
        FromEngine::Step { step, steps, eta_s, preview, .. } => {
            note_step(jobs, job, StepBody { job: &job.id.0, step, steps, progress: 0.0, eta_s });
            if let Some(webp) = preview {
                let body = PreviewBody { job: &job.id.0, webp: base64(&webp) };
                jobs.0.parts.events.pass(&job.profile, &job.id, Passing::Preview, &body);
            }
        }
        FromEngine::Picture { index, width, height, file, thumb, .. } => {
            let recipe = job.recipe.of_picture(index);
            let picture = NewPicture { index, width, height, file, thumb, recipe };
            if let Err(e) = jobs.0.parts.artifacts.publish(&job.profile, &job.id, picture).await {
                tracing::error!(job = %job.id, "{e:#}");
                return Heard::Refused(not_kept(&e));
            }
        }
        FromEngine::Done { seconds, .. } => {
            jobs.board().rates.learn(&job.recipe, f64::from(seconds));
            return Heard::Over(Ended::Over(Outcome::Done));
        }
        FromEngine::Cancelled { .. } => return Heard::Over(Ended::Over(Outcome::Cancelled)),
        FromEngine::Failed { problem, .. } => return Heard::Over(Ended::Over(Outcome::Failed(problem))),
        FromEngine::GpuFull { problem, .. } => return Heard::Over(Ended::GpuFull(problem)),
        // Not about a job.
        FromEngine::Hello { .. } | FromEngine::Models { .. } | FromEngine::Tokens { .. } | FromEngine::Unloaded => {}
    }
    Heard::More
}

fn note_loading(jobs: &Jobs, job: &Job, loading: Loading) {
    let body = LoadingBody { job: &job.id.0, model: &loading.model, done: loading.done, total: loading.total };
    jobs.0.parts.events.pass(&job.profile, &job.id, Passing::Loading, &body);
    if let Some(progress) = jobs.board().progress(&job.id) {
        progress.loading = (loading.done < loading.total).then_some(loading);
    }
}

fn note_step(jobs: &Jobs, job: &Job, mut body: StepBody<'_>) {
    if let Some(progress) = jobs.board().progress(&job.id) {
        progress.loading = None;
        progress.step = body.step;
        progress.steps = body.steps;
        progress.eta_s = Some(body.eta_s);
        body.progress = progress.share();
    }
    jobs.0.parts.events.pass(&job.profile, &job.id, Passing::Step, &body);
}

/// The files that a recipe refers to, found anew at each start.
async fn references(jobs: &Jobs, job: &Job) -> Result<(Option<Vec<u8>>, Option<Vec<u8>>), Problem> {
    let image = reference(jobs, &job.profile, job.recipe.image.as_ref(), "image").await?;
    Ok((image, reference(jobs, &job.profile, job.recipe.mask.as_ref(), "mask").await?))
}

async fn reference(jobs: &Jobs, profile: &ProfileId, image: Option<&ImageRef>, field: &str) -> Result<Option<Vec<u8>>, Problem> {
    let Some(image) = image else { return Ok(None) };
    let gone = || Problem::new(format!("The {field} of this recipe is not there any more.")).at(image.to_string());
    let bytes = match image {
        ImageRef::Artifact(id) => {
            let artifacts = &jobs.0.parts.artifacts;
            let artifact = artifacts.get(profile, id).await.ok().flatten().ok_or_else(gone)?;
            artifacts.bytes(&artifact).await.map_err(|_| gone())?
        }
        ImageRef::Upload(sha256) => jobs.0.parts.uploads.bytes(profile, sha256).await.map_err(|_| gone())?,
    };
    Ok(Some(bytes))
}

/// A picture that could not be kept, in words.
fn not_kept(e: &anyhow::Error) -> Problem {
    if is_full(e) {
        Problem::new("The disk is full; the picture could not be kept.").remedy("Free some space, then run it again.")
    } else {
        Problem::new("The picture could not be written to the disk.")
            .at(format!("{e:#}"))
            .remedy("Look at the disk, then run it again.")
    }
}

#[derive(Serialize)]
struct StepBody<'a> {
    job: &'a str,
    step: u32,
    steps: u32,
    progress: f32,
    eta_s: f32,
}

#[derive(Serialize)]
struct LoadingBody<'a> {
    job: &'a str,
    model: &'a str,
    done: u64,
    total: u64,
}

#[derive(Serialize)]
struct PreviewBody<'a> {
    job: &'a str,
    webp: String,
}

/// Base 64 with padding (RFC 4648).
fn base64(bytes: &[u8]) -> String {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for chunk in bytes.chunks(3) {
        let group = [chunk[0], chunk.get(1).copied().unwrap_or(0), chunk.get(2).copied().unwrap_or(0)];
        let bits = u32::from_be_bytes([0, group[0], group[1], group[2]]);
        for i in 0..4 {
            let digit = ALPHABET[(bits >> (18 - 6 * i)) as usize & 63];
            text.push(if i <= chunk.len() { char::from(digit) } else { '=' });
        }
    }
    text
}

#[cfg(test)]
mod tests {
    #[test]
    fn base64_is_that_of_rfc_4648() {
        for (bytes, text) in [("", ""), ("f", "Zg=="), ("fo", "Zm8="), ("foo", "Zm9v"), ("foobar", "Zm9vYmFy")] {
            assert_eq!(super::base64(bytes.as_bytes()), text);
        }
    }
}
