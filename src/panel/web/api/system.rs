//! `/api/v1/system`: what the machine does, now and over a day. Knows no /proc.

use crate::{
    App,
    audit::{Deed, Kind},
    engine_client::{EngineStatus, EngineView},
    error::AppError,
    pod::PodView,
    system::{Minute, Now, Sample},
    web::auth::Admin,
};
use actix_web::{
    HttpResponse,
    web::{Data, Json, Path, Query},
};
use protocol::NoGpu;
use serde::{Deserialize, Serialize};

/// An engine as an admin sees it.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct EngineState {
    /// starting, ready, restarting, failed or stopped.
    status: &'static str,
    /// Why it is away.
    why: Option<String>,
    /// Where it computes.
    device: String,
    /// Why that is no GPU although one would have been taken. Of several engines, one that has none is set aside: it is stopped
    /// as soon as another has one.
    no_gpu: Option<String>,
    /// Others have that GPU, or its memory: the engine looks again by itself, in half an hour at the latest.
    looks_again: bool,
    /// Its process.
    pid: Option<u32>,
    /// Id of the model that it has in memory.
    loaded: Option<String>,
    /// It restarts once its job is over.
    restarts: bool,
}

impl EngineState {
    fn of(view: EngineView) -> EngineState {
        let status = view.status.name();
        let why = match view.status {
            EngineStatus::Restarting { why } | EngineStatus::Failed { why } => Some(why),
            EngineStatus::Starting | EngineStatus::Ready | EngineStatus::Stopped => None,
        };
        EngineState {
            status,
            why,
            device: view.device,
            looks_again: matches!(view.no_gpu, Some(NoGpu::Taken(_))),
            no_gpu: view.no_gpu.map(|why| why.to_string()),
            pid: view.pid,
            loaded: view.loaded,
            restarts: view.restarts,
        }
    }
}

/// What the machine does.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct SystemState {
    /// Processors, memory, GPUs, processes, disk.
    now: Now,
    /// The last two minutes, oldest first.
    samples: Vec<Sample>,
    /// Where the engines that work compute, in words: "2 × NVIDIA H100, f16".
    device: String,
    /// The engines, one a GPU or as many as are configured.
    engines: Vec<EngineState>,
    /// Why tools run as Easel's own user. None: each runs as one of its own.
    tools_shared: Option<String>,
    /// The rented pod that this is; none elsewhere.
    pod: Option<PodView>,
    /// Profiles' jobs that wait or run.
    jobs: usize,
    /// The last day, one mean a minute, oldest first; only where asked for.
    minutes: Option<Vec<Minute>>,
}

/// What is wanted.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
pub struct What {
    /// true: with the minutes of the last day.
    minutes: Option<bool>,
}

pub(in crate::web) fn state(app: &App, minutes: bool) -> SystemState {
    SystemState {
        now: app.system.now(),
        samples: app.system.samples(),
        device: app.engines.view().device,
        engines: app.engines.views().into_iter().map(EngineState::of).collect(),
        tools_shared: app.tools.why_shared().map(str::to_owned),
        pod: app.pod.view(),
        jobs: app.users.list().iter().map(|p| app.jobs.unfinished(&p.id)).sum(),
        minutes: minutes.then(|| app.system.minutes()),
    }
}

/// What the machine does now, and over the last two minutes or the last day.
#[utoipa::path(get, path = "/api/v1/system", tag = "admin", params(What), responses((status = 200, body = SystemState)))]
pub async fn get(app: Data<App>, _admin: Admin, what: Query<What>) -> Result<Json<SystemState>, AppError> {
    Ok(Json(state(&app, what.minutes.unwrap_or(false))))
}

/// Restarts an engine, once its job is over: it looks for its GPU again, and one that was set aside or has given up comes back.
#[utoipa::path(post, path = "/api/v1/system/engines/{number}/restart", tag = "admin",
    params(("number" = usize, Path, description = "From 1, in the order of `engines`")), responses((status = 202)))]
pub async fn restart_engine(app: Data<App>, admin: Admin, number: Path<String>) -> Result<HttpResponse, AppError> {
    let index = number.parse::<usize>().ok().and_then(|number| number.checked_sub(1)).ok_or(AppError::NotFound)?;
    app.engines.each().get(index).ok_or(AppError::NotFound)?.restart();
    let what = format!("restarted engine {number}");
    app.audit.write(Deed::done(admin.artist.profile.id.as_str(), Kind::Studio, what)).await?;
    Ok(HttpResponse::Accepted().finish())
}
