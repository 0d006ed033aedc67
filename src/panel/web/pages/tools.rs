//! The tools page, the page of one session, and the list of earlier ones. Knows no process.

use super::{embedded, html, shell::Shell};
use crate::{
    App,
    error::AppError,
    notices::{self, Notice},
    sessions::{Action, Record, SessionId},
    tools::ToolId,
    users::ProfileId,
    web::{
        api::{
            sessions::SessionView,
            tools::{ToolList, everything},
        },
        asker,
        auth::{Admin, Artist},
        front::csp_with_forms_to,
    },
};
use actix_web::{
    HttpRequest, HttpResponse,
    http::header::{self, HeaderValue},
    web::{Data, Path, Query},
};
use askama::Template;
use serde::{Deserialize, Serialize};

/// Sessions of the list.
const EARLIER: u32 = 100;

#[derive(Debug, Serialize)]
struct ToolsBoot {
    seq: i64,
    #[serde(flatten)]
    list: ToolList,
    datasets: OwnDatasets,
    notices: Vec<Notice>,
}

/// What the artist has in the part of Easel that makes training sets; it stands among the tools.
#[derive(Debug, Serialize)]
struct OwnDatasets {
    /// How many.
    sets: usize,
    /// Pictures in all of them.
    pictures: u64,
}

/// The tools.
#[derive(Debug, Template)]
#[template(path = "tools.html")]
pub struct ToolsPage {
    theme: &'static str,
    shell: Shell,
    /// An admin may open a shell.
    may_shell: bool,
    boot: String,
}

/// `GET /tools`
pub async fn page(app: Data<App>, artist: Artist, request: HttpRequest) -> Result<HttpResponse, AppError> {
    let seq = app.events.last(&artist.profile.id);
    let list = everything(&app, &artist).await?;
    let own = app.datasets.list(&artist.profile.id).await?;
    let datasets = OwnDatasets { sets: own.len(), pictures: own.iter().map(|d| u64::from(d.pictures)).sum() };
    let mut page = html(&ToolsPage {
        theme: artist.profile.theme.as_str(),
        shell: Shell::new(&app, &artist, "tools"),
        may_shell: artist.admin_minutes.is_some() && app.config.shell,
        boot: embedded(&ToolsBoot { seq, list, datasets, notices: notices::all(&app, artist.admin_minutes.is_some()) }),
    })?;
    let gates = gates(&app, &request)?;
    let policy = HeaderValue::from_str(&csp_with_forms_to(gates.iter().map(String::as_str)));
    page.headers_mut().insert(header::CONTENT_SECURITY_POLICY, policy.map_err(|e| AppError::Internal(e.into()))?);
    Ok(page)
}

/// The origins of all gates as this browser would find them.
fn gates(app: &App, request: &HttpRequest) -> Result<Vec<String>, AppError> {
    let Some(panel) = asker::origin(request) else { return Ok(Vec::new()) };
    let ports = app.tools.folders().into_iter().filter_map(|folder| folder.spec.public_port);
    ports.map(|port| Ok(app.gates.address_of_port(port, &panel)?.to_string())).collect()
}

#[derive(Debug, Serialize)]
struct SessionBoot<'a> {
    session: SessionView,
    title: &'a str,
}

/// One session.
#[derive(Debug, Template)]
#[template(path = "session.html")]
pub struct SessionPage {
    theme: &'static str,
    shell: Shell,
    id: String,
    title: String,
    running: bool,
    begun: String,
    boot: String,
}

/// `GET /sessions/{id}`
pub async fn session(app: Data<App>, admin: Admin, id: Path<String>) -> Result<HttpResponse, AppError> {
    let id = SessionId::parse(&id).ok_or(AppError::NotFound)?;
    let record = app.sessions.get(&id).await?.ok_or(AppError::NotFound)?;
    let live = app.sessions.get_live(&id);
    let (title, by) = (title(&app, &record), who(&app, &record));
    let view = SessionView::new(record, live.as_ref());
    html(&SessionPage {
        theme: admin.artist.profile.theme.as_str(),
        shell: Shell::new(&app, &admin.artist, "tools"),
        id: id.as_str().to_owned(),
        running: live.is_some(),
        begun: format!("begun by {by}"),
        boot: embedded(&SessionBoot { session: view, title: &title }),
        title,
    })
}

/// What a session is called.
fn title(app: &App, record: &Record) -> String {
    let id = record.tool.as_deref().and_then(|tool| ToolId::parse(tool).ok());
    let folder = id.and_then(|id| app.tools.folder(&id).ok());
    record.title(folder.as_ref().map(|folder| folder.spec.name.as_str()))
}

fn who(app: &App, record: &Record) -> String {
    if record.by == ProfileId::studio() {
        return "Easel".into();
    }
    app.users.enabled(&record.by).map_or_else(|| record.by.to_string(), |profile| profile.name)
}

/// One line of the list.
#[derive(Debug)]
struct Line {
    id: String,
    title: String,
    by: String,
    started: String,
    state: &'static str,
    kind: &'static str,
}

/// Earlier sessions.
#[derive(Debug, Template)]
#[template(path = "sessions.html")]
pub struct SessionsPage {
    theme: &'static str,
    shell: Shell,
    lines: Vec<Line>,
}

/// Which sessions.
#[derive(Debug, Deserialize)]
pub struct Which {
    /// Only of this tool.
    tool: Option<String>,
}

/// `GET /sessions`
pub async fn sessions(app: Data<App>, admin: Admin, which: Query<Which>) -> Result<HttpResponse, AppError> {
    let records = app.sessions.list(which.into_inner().tool, None, EARLIER).await?;
    let line = |record: &Record| {
        let running = app.sessions.get_live(&record.id).is_some();
        let good = record.outcome.is_some_and(|o| o == crate::sessions::Outcome::Code(0));
        let (state, kind) = match (running, good, record.action) {
            (true, ..) => ("Running", "busy"),
            (_, true, _) => ("Done", "run"),
            (.., Action::Start | Action::Shell) => ("Ended", "off"),
            _ => ("Failed", "bad"),
        };
        Line {
            id: record.id.as_str().to_owned(),
            title: title(&app, record),
            by: who(&app, record),
            started: crate::clock::rfc3339(record.started),
            state,
            kind,
        }
    };
    let lines = records.iter().map(line).collect();
    let artist = &admin.artist;
    html(&SessionsPage { theme: artist.profile.theme.as_str(), shell: Shell::new(&app, artist, "tools"), lines })
}
