//! `/api/v1/containers`: the container engine, or why there is none, this studio's containers, and shells inside them. What their
//! variables hold is never told: tokens stand in them. Knows no engine's interface.

use super::sessions::SessionView;
use crate::{
    App,
    audit::{Deed, Kind},
    container_engine::Found,
    error::AppError,
    sessions::{Action, Begin, SessionId},
    tools::{ToolId, shell, stand::ToolState},
    web::auth::Admin,
};
use actix_web::{
    HttpResponse,
    web::{Data, Json, Path},
};
use containers::{ContainerError, ExecSpawner, Orphan, Suffix, Wellness};
use serde::Serialize;
use std::sync::Arc;

/// The engine.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct EngineView {
    /// Name and version: "Docker 27.3.1".
    name: String,
    /// Version of its interface.
    api: String,
    /// Its socket.
    socket: String,
    /// It names a runtime for NVIDIA's cards. Newer ones may give cards without.
    gpus: bool,
}

/// A port of a container, on this machine's loopback only.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct PortView {
    /// Here.
    host: u16,
    /// Inside.
    inside: u16,
}

/// A container of this studio.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct ContainerView {
    /// The beginning of the engine's id of it.
    id: String,
    /// Id of its tool.
    tool: String,
    /// What people call that; its id where there is no such tool any more.
    name: String,
    /// It runs.
    running: bool,
    /// How it ended, where it did.
    ended: Option<String>,
    /// When it started (RFC 3339); empty: never.
    started: String,
    /// What the image's own check says, or where it has none, Easel's questions: none, starting, well or unwell.
    health: &'static str,
    /// The system ended it because memory ran out.
    out_of_memory: bool,
    /// Its ports.
    ports: Vec<PortView>,
}

/// Containers, and what runs them.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct Containers {
    /// How tools run that can run either way: auto, process or container.
    way: &'static str,
    /// The engine is being looked for.
    looking: bool,
    /// The engine; none: there is none.
    engine: Option<EngineView>,
    /// Why there is none, or why its containers are not known.
    why: Option<String>,
    /// This studio's containers, by tool; none: the engine was not asked yet, or did not say.
    items: Option<Vec<ContainerView>>,
    /// Shells are allowed.
    shell: bool,
}

/// What is known without asking anybody.
pub(in crate::web) fn known(app: &App) -> Containers {
    let way = app.containers.way().as_str();
    let (looking, engine, why) = match app.containers.found() {
        Found::Looking => (true, None, None),
        Found::Nowhere(why) => (false, None, Some(why.to_string())),
        Found::Here(engine, version) => {
            let socket = engine.socket().display().to_string();
            (false, Some(EngineView { name: version.name, api: version.api, socket, gpus: version.gpus }), None)
        }
    };
    Containers { way, looking, engine, why, items: None, shell: app.config.shell }
}

fn view(app: &App, orphan: &Orphan) -> ContainerView {
    let (tool, standing) = (orphan.container.tool(), &orphan.standing);
    let id = ToolId::parse(tool).ok();
    let name = id.as_ref().and_then(|id| app.tools.folder(id).ok()).map(|folder| folder.spec.name);
    let doing = id.as_ref().and_then(|id| app.tools.doing(id));
    ContainerView {
        id: orphan.container.id().chars().take(12).collect(),
        tool: tool.to_owned(),
        name: name.unwrap_or_else(|| tool.to_owned()),
        running: standing.running,
        ended: standing.exit.map(|exit| exit.to_string()),
        started: standing.started.clone(),
        health: match standing.wellness {
            Wellness::NotTold => match doing {
                Some(ToolState::Running { .. }) => "well",
                Some(ToolState::Starting { .. }) => "starting",
                _ => "none",
            },
            Wellness::Starting => "starting",
            Wellness::Well => "well",
            Wellness::Unwell => "unwell",
        },
        out_of_memory: standing.out_of_memory,
        ports: standing.ports.iter().map(|port| PortView { host: port.host, inside: port.inside }).collect(),
    }
}

/// The container engine, or why there is none, and this studio's containers.
#[utoipa::path(get, path = "/api/v1/containers", tag = "containers", responses((status = 200, body = Containers)))]
pub async fn get(app: Data<App>, _admin: Admin) -> Json<Containers> {
    let known = known(&app);
    if known.engine.is_none() {
        return Json(known);
    }
    Json(match app.containers.containers().await {
        Ok(mut all) => {
            all.sort_by(|a, b| a.container.tool().cmp(b.container.tool()));
            Containers { items: Some(all.iter().map(|orphan| view(&app, orphan)).collect()), ..known }
        }
        Err(why) => Containers { why: Some(why), ..known },
    })
}

/// Opens a shell inside a tool's container, where `shell` in easel.toml allows it.
#[utoipa::path(post, path = "/api/v1/containers/{tool}/shell", tag = "containers", params(("tool" = String, Path)),
    responses((status = 202, body = SessionView)))]
pub async fn shell(app: Data<App>, admin: Admin, tool: Path<String>) -> Result<HttpResponse, AppError> {
    shell::allowed(&app.config)?;
    let id = ToolId::parse(&tool).map_err(|_| AppError::NotFound)?;
    let engine = app.containers.engine().ok_or(AppError::NotFound)?;
    let away = |e: ContainerError| AppError::Unavailable(format!("The container engine does not help: {e}."));
    let container = engine.find(id.as_str(), Suffix::None).await.map_err(away)?.ok_or(AppError::NotFound)?;
    if !engine.standing(&container).await.map_err(away)?.running {
        return Err(AppError::Conflict(format!("The container of {id} does not run. Start the tool first.")));
    }
    let by = admin.artist.profile.id;
    app.audit.write(Deed::done(by.as_str(), Kind::Tool, format!("opened a shell in the container of {id}"))).await?;
    let what = Begin { id: SessionId::generate(), tool: Some(id.to_string()), action: Action::Shell, by };
    let inside = Arc::new(ExecSpawner::new(engine, container));
    let (live, _) = app.sessions.begin_by(what, &shell::inside(&app.config), inside).await?;
    Ok(HttpResponse::Accepted().json(SessionView::new(live.record.clone(), Some(&live))))
}
