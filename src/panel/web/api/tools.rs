//! `/api/v1/tools`: the programs beside the studio, and what is done with them. Knows no process.

use super::body;
use crate::{
    App,
    audit::{Deed, Kind},
    error::AppError,
    gate::{ENTER, GateError, Visitor},
    secrets::Secret,
    sessions::{Action, SessionId},
    tools::{
        Admits, Card, Choice, Presence, Standing, ToolError, ToolId, Wish, lines,
        stand::{May, ToolState, Viewer},
        steps::Mark,
    },
    web::{
        asker,
        auth::{Admin, Artist},
    },
};
use actix_web::{
    HttpRequest, HttpResponse,
    http::header,
    web::{Data, Json, Path, Payload},
};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// How far a script is.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct StepView {
    /// From 1.
    at: u32,
    /// How many.
    of: u32,
    /// What it does.
    what: String,
}

/// A tool, as the caller may see it.
#[derive(Debug, Serialize, utoipa::ToSchema)]
#[schema(as = Tool)]
pub struct ToolView {
    /// Its id.
    pub(crate) id: String,
    /// What people call it.
    pub(crate) name: String,
    /// What it is.
    pub(crate) about: String,
    /// absent, interrupted, installing, stopped, no-room (on the graphics card), starting, running, stopping or broken.
    pub(crate) state: &'static str,
    /// Its version, where it is installed and rests.
    version: Option<String>,
    /// The version before its last update, for who may go back to it.
    earlier: Option<String>,
    /// Name of the profile that started it or changes it.
    by: Option<String>,
    /// That is the caller.
    own: bool,
    /// Milliseconds since 1970 since when it has stood so.
    since: Option<i64>,
    /// Its scripts have changed with the repository, and wait for an admin to look at them.
    unseen: bool,
    /// What went wrong, for who may mend it.
    why: Option<String>,
    /// What to do about that.
    remedy: Option<String>,
    /// The last line of its terminal, while something happens.
    line: Option<String>,
    /// How far its script is.
    step: Option<StepView>,
    /// Its terminal, for who may watch it.
    session: Option<String>,
    /// Who opens it: everyone, starter or admins.
    admits: &'static str,
    /// It runs in a container.
    contained: bool,
    /// It runs; what does not only installs.
    pub(crate) runs: bool,
    /// What it installs can be chosen.
    choices: bool,
    /// Choices that are there whole, of a tool that only installs what is chosen.
    there: Option<usize>,
    /// Of how many.
    there_of: Option<usize>,
    /// The sets of files that it installs, where it does.
    #[serde(skip_serializing_if = "Option::is_none")]
    sets: Option<Vec<ChoiceView>>,
    /// Memory of the graphics card that it wants, in GB.
    vram_gb: u32,
    /// What the caller may do.
    may: May,
}

/// A tool as somebody may see it.
pub(crate) fn view(app: &App, artist: &Artist, standing: &Standing) -> ToolView {
    let Standing { folder, state, contained, step, earlier, unseen, waits_for, choices } = standing;
    let spec = &folder.spec;
    let viewer = viewer(artist);
    let may = standing.may(viewer);
    let own = state.by() == Some(viewer.profile);
    // What a terminal says is for who may watch it, or has started it.
    let trusted = viewer.admin || own;
    let (why, remedy) = match state {
        ToolState::Broken { why, remedy, .. } if trusted => (Some(why.clone()), Some(remedy.clone())),
        ToolState::Interrupted { change } if trusted => {
            let remedy = "Running it again goes on where it stopped.".to_owned();
            (Some(format!("Its last {change} was interrupted.")), Some(remedy))
        }
        ToolState::Unfinished { why, .. } if trusted => {
            (Some(why.clone()), Some("Its terminal says more. Running it again goes on where it stopped.".to_owned()))
        }
        // What Easel itself says is for everybody.
        ToolState::Needs { other } => {
            let remedy = if trusted { format!("Install {other} first.") } else { String::new() };
            (Some(format!("It needs {other}, which is not installed.")), Some(remedy))
        }
        ToolState::NoRoom { why } => {
            (Some(why.clone()), Some("Stop one of them, or ask who uses it, and start it again.".into()))
        }
        _ => match waits_for {
            Some(other) => (Some(format!("{other} is at work in its folder.")), Some("Wait until that has ended.".into())),
            None => (None, None),
        },
    };
    let moving = matches!(state, ToolState::Changing { .. } | ToolState::Starting { .. });
    let live = state.session().filter(|_| moving && trusted).and_then(|id| app.sessions.get_live(id));
    let line = live.map(|live| lines::last_line(&live.session.last(lines::ENOUGH)));
    ToolView {
        id: spec.id.to_string(),
        name: spec.name.clone(),
        about: spec.about.clone(),
        state: state.name(),
        version: if let ToolState::Stopped { version } = state { Some(version.clone()) } else { None },
        earlier: earlier.clone().filter(|_| may.go_back),
        by: state.by().and_then(|id| app.users.enabled(id)).map(|profile| profile.name),
        own,
        since: state.since(),
        unseen: unseen.is_some(),
        why,
        remedy,
        line: line.filter(|line| !line.is_empty()),
        step: step.clone().and_then(|mark| match mark {
            Mark::Step { at, of, what } => Some(StepView { at, of, what }),
            _ => None,
        }),
        session: state.session().filter(|_| may.watch).map(|id| id.as_str().to_owned()),
        admits: match spec.admits {
            Admits::Everyone => "everyone",
            Admits::Starter => "starter",
            Admits::Admins => "admins",
        },
        contained: *contained,
        runs: folder.runs(),
        choices: folder.choices.is_some(),
        there: choices.as_ref().map(|all| all.iter().filter(|(_, presence)| presence.there == presence.of).count()),
        there_of: choices.as_ref().map(Vec::len),
        sets: choices.as_ref().filter(|_| folder.installs_sets()).map(|all| all.iter().map(ChoiceView::from).collect()),
        vram_gb: spec.vram_gb,
        may,
    }
}

/// Who asks.
pub(crate) fn viewer(artist: &Artist) -> Viewer<'_> {
    Viewer { profile: &artist.profile.id, admin: artist.admin_minutes.is_some() }
}

/// Every tool.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct ToolList {
    /// By id.
    pub(crate) items: Vec<ToolView>,
    /// The graphics cards, and who holds their memory; none where there is no card.
    pub(crate) cards: Vec<Card>,
    /// Milliseconds since 1970 by the studio's clock, which `since` goes by too.
    pub(crate) now: i64,
}

/// The tools as somebody may see them, and the cards that they share.
pub(crate) async fn everything(app: &App, artist: &Artist) -> Result<ToolList, AppError> {
    let (tools, cards) = tokio::join!(app.tools.list(), app.tools.cards());
    let items = tools?.iter().map(|standing| view(app, artist, standing)).collect();
    Ok(ToolList { items, cards, now: app.clock.ms() })
}

/// The programs beside the studio. The event stream says `tools` when this answer has changed.
#[utoipa::path(get, path = "/api/v1/tools", tag = "tools", responses((status = 200, body = ToolList)))]
pub async fn list(app: Data<App>, artist: Artist) -> Result<Json<ToolList>, AppError> {
    Ok(Json(everything(&app, &artist).await?))
}

/// One of them.
#[utoipa::path(get, path = "/api/v1/tools/{id}", tag = "tools", params(("id" = String, Path)), responses((status = 200, body = ToolView)))]
pub async fn get(app: Data<App>, artist: Artist, id: Path<String>) -> Result<Json<ToolView>, AppError> {
    Ok(Json(view(&app, &artist, &app.tools.get(&parse(&id)?).await?)))
}

/// One thing to choose.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct ChoiceView {
    /// What goes into `picks`.
    id: String,
    /// What people call it.
    name: String,
    /// What it is.
    about: String,
    /// Under which licence it stands.
    licence: Option<String>,
    /// Files or folders of it that are there.
    there: usize,
    /// Of how many.
    of: usize,
    /// Size of all of it, in GB, as far as it is known.
    gb: f64,
    /// Size of what is missing.
    missing_gb: f64,
    /// Variables of the tokens that missing files ask for and Easel does not have.
    tokens: Vec<String>,
}

impl From<&(Choice, Presence)> for ChoiceView {
    fn from((choice, presence): &(Choice, Presence)) -> ChoiceView {
        ChoiceView {
            id: choice.id.clone(),
            name: choice.name.clone(),
            about: choice.about.clone(),
            licence: choice.licence.clone(),
            there: presence.there,
            of: presence.of,
            gb: presence.gb,
            missing_gb: presence.missing_gb,
            tokens: presence.tokens.iter().cloned().collect(),
        }
    }
}

/// Everything that can be chosen.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct ChoiceList {
    /// In the order of the tool's file.
    items: Vec<ChoiceView>,
}

/// What a tool lets its installer choose, and what of it is there.
#[utoipa::path(get, path = "/api/v1/tools/{id}/choices", tag = "tools", params(("id" = String, Path)),
    responses((status = 200, body = ChoiceList)))]
pub async fn choices(app: Data<App>, _admin: Admin, id: Path<String>) -> Result<Json<ChoiceList>, AppError> {
    let choices = app.tools.choices(&parse(&id)?).await?;
    Ok(Json(ChoiceList { items: choices.iter().map(ChoiceView::from).collect() }))
}

fn parse(id: &str) -> Result<ToolId, AppError> {
    ToolId::parse(id).map_err(|_| AppError::NotFound)
}

/// What was begun.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct ToolBegun {
    /// The terminal of it, for an admin to attach to.
    #[serde(skip_serializing_if = "Option::is_none")]
    session: Option<String>,
    /// Where the tool stands now.
    tool: ToolView,
}

/// What to install or update.
#[derive(Debug, Default, Deserialize, utoipa::ToSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Picks {
    /// Ids of what is chosen; everything where absent or empty.
    picks: Vec<String>,
    /// Tokens that missing files ask for, by the name of their variable. They are used for this one run and not kept.
    #[schema(value_type = BTreeMap<String, String>)]
    tokens: BTreeMap<String, Secret>,
}

macro_rules! change {
    ($name:ident, $action:expr, $path:literal, $doc:literal) => {
        #[doc = $doc]
        #[utoipa::path(post, path = $path, tag = "tools", params(("id" = String, Path)), request_body = Picks, responses((status = 202, body = ToolBegun)))]
        pub async fn $name(app: Data<App>, admin: Admin, id: Path<String>, payload: Payload) -> Result<HttpResponse, AppError> {
            let id = parse(&id)?;
            let bytes = body::bytes(payload, body::MAX_JSON).await?;
            let picks: Picks = if bytes.is_empty() { Picks::default() } else { body::parse(&bytes)? };
            let wish = Wish { picks: picks.picks, tokens: picks.tokens };
            let change = async move |app: &App, artist: &Artist, id: &ToolId| app.tools.change(id, $action, wish, viewer(artist)).await;
            let session = done(&app, &admin.artist, &id, $action.name(), change).await?;
            begun(&app, &admin.artist, &id, Some(session)).await
        }
    };
}
change!(
    install,
    Action::Install,
    "/api/v1/tools/{id}/install",
    "Installs a tool, or goes on with that; joins what is already at it."
);
change!(update, Action::Update, "/api/v1/tools/{id}/update", "Brings a tool up to date.");
change!(
    go_back,
    Action::GoBack,
    "/api/v1/tools/{id}/go-back",
    "Brings back the version before a tool's last update, with its packages; the one that is left can be gone back to again."
);
change!(reinstall, Action::Reinstall, "/api/v1/tools/{id}/reinstall", "Makes a tool anew; models, outputs and settings stay.");

/// Does something with a tool, and writes it down in the audit trail: both to the end, also where the browser has hung up.
async fn done<T: 'static>(
    app: &Data<App>,
    artist: &Artist,
    id: &ToolId,
    what: &'static str,
    act: impl AsyncFnOnce(&App, &Artist, &ToolId) -> Result<T, ToolError> + 'static,
) -> Result<T, AppError> {
    let (app, artist, id) = (app.clone(), artist.clone(), id.clone());
    let doing = actix_web::rt::spawn(async move {
        let done = act(&app, &artist, &id).await?;
        let deed = Deed::done(artist.profile.id.as_str(), Kind::Tool, format!("{what} {id}"));
        app.audit.write(deed).await?;
        Ok(done)
    });
    doing.await.map_err(|e| AppError::disk(&std::io::Error::other(e)))?
}

async fn begun(app: &App, artist: &Artist, id: &ToolId, session: Option<SessionId>) -> Result<HttpResponse, AppError> {
    let tool = view(app, artist, &app.tools.get(id).await?);
    Ok(HttpResponse::Accepted().json(ToolBegun { session: session.map(|id| id.as_str().to_owned()), tool }))
}

/// Starts a tool.
#[utoipa::path(post, path = "/api/v1/tools/{id}/start", tag = "tools", params(("id" = String, Path)), responses((status = 202, body = ToolBegun)))]
pub async fn start(app: Data<App>, artist: Artist, id: Path<String>) -> Result<HttpResponse, AppError> {
    let id = parse(&id)?;
    let start = async |app: &App, artist: &Artist, id: &ToolId| app.tools.start(id, viewer(artist)).await;
    done(&app, &artist, &id, "start", start).await?;
    begun(&app, &artist, &id, None).await
}

/// Stops a tool: whoever started it, or an admin in admin mode.
#[utoipa::path(post, path = "/api/v1/tools/{id}/stop", tag = "tools", params(("id" = String, Path)), responses((status = 202, body = ToolBegun)))]
pub async fn stop(app: Data<App>, artist: Artist, id: Path<String>) -> Result<HttpResponse, AppError> {
    let id = parse(&id)?;
    let stop = async |app: &App, artist: &Artist, id: &ToolId| app.tools.stop(id, viewer(artist)).await;
    done(&app, &artist, &id, "stop", stop).await?;
    begun(&app, &artist, &id, None).await
}

/// The right to enter a tool's gate once.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct TicketView {
    /// Where a form posts it to.
    action: String,
    /// What the form posts, as the field `ticket`.
    ticket: String,
    /// For so many seconds.
    life_s: u64,
}

/// A ticket for a tool's gate: one use, within seconds, for the browser whose login asks.
#[utoipa::path(post, path = "/api/v1/tools/{id}/ticket", tag = "tools", params(("id" = String, Path)),
    responses((status = 200, body = TicketView)))]
pub async fn ticket(app: Data<App>, artist: Artist, request: HttpRequest, id: Path<String>) -> Result<HttpResponse, AppError> {
    let id = parse(&id)?;
    let standing = app.tools.get(&id).await?;
    if !standing.may(viewer(&artist)).open {
        return Err(AppError::Forbidden("It does not run, or is not open to you.".into()));
    }
    let browser = || AppError::Forbidden("Only a browser that is logged in opens tools; an API token does not.".into());
    let visitor = Visitor { profile: artist.profile.id.clone(), login: artist.login.ok_or_else(browser)? };
    let origin = asker::origin(&request).ok_or(AppError::NotFound)?;
    let address = app.gates.address(id.as_str(), &origin)?;
    let ticket = app.gates.ticket(id.as_str(), &visitor)?;
    app.tools.note_opened(&id).await?;
    Ok(HttpResponse::Ok().insert_header((header::CACHE_CONTROL, "no-store")).json(TicketView {
        action: format!("{address}{ENTER}"),
        ticket: ticket.secret.expose().to_owned(),
        life_s: ticket.life.as_secs(),
    }))
}

impl From<GateError> for AppError {
    fn from(e: GateError) -> AppError {
        match e {
            GateError::NotAdmitted(_) => AppError::Forbidden(e.to_string()),
            e => AppError::Conflict(e.to_string()),
        }
    }
}

impl From<ToolError> for AppError {
    fn from(e: ToolError) -> AppError {
        match e {
            ToolError::Unknown => AppError::NotFound,
            ToolError::Forbidden(why) => AppError::Forbidden(why),
            ToolError::Refused(why) | ToolError::NoRoom(why) => AppError::Conflict(why),
            ToolError::Session(e) => e.into(),
            ToolError::Store(e) => e.into(),
            ToolError::Disk(e) => AppError::io(&e),
        }
    }
}
