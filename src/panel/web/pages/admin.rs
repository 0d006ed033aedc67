//! The admin pages: frame, tabs and what each shows first, as data for its script. Knows no rule and no SQL: the data
//! is what the API answers.

use super::{embedded, html, shell::Shell};
use crate::{
    App,
    audit::Filter as AuditFilter,
    error::AppError,
    jobs::Which,
    logs::Filter as LogFilter,
    web::{api, auth::Admin},
};
use actix_web::{HttpResponse, web::Data};
use askama::Template;
use serde_json::{Value, json};

/// The frame of an admin page.
#[derive(Clone, Debug)]
pub struct Frame {
    pub(super) theme: &'static str,
    pub(super) shell: Shell,
    /// Which page this is.
    pub(super) tab: &'static str,
}

/// Every page with its words, in the order of the tabs.
pub const TABS: [(&str, &str); 9] = [
    ("system", "System"),
    ("users", "Users"),
    ("models", "Models"),
    ("jobs", "Jobs"),
    ("logs", "Logs"),
    ("audit", "Audit"),
    ("boot", "Sync"),
    ("containers", "Containers"),
    ("debug", "Debug"),
];

impl Frame {
    pub(super) fn new(app: &App, admin: &Admin, tab: &'static str) -> Frame {
        Frame { theme: admin.artist.profile.theme.as_str(), shell: Shell::new(app, &admin.artist, "admin"), tab }
    }
}

macro_rules! pages {
    ($($(#[$doc:meta])* $name:ident $path:literal)*) => {
        $(
            $(#[$doc])*
            #[derive(Debug, Template)]
            #[template(path = $path)]
            pub struct $name {
                theme: &'static str,
                shell: Shell,
                tab: &'static str,
                boot: String,
            }

            impl $name {
                fn new(frame: Frame, boot: &impl serde::Serialize) -> $name {
                    let Frame { theme, shell, tab } = frame;
                    $name { theme, shell, tab, boot: embedded(boot) }
                }
            }
        )*
    };
}

pages! {
    /// Processors, memory, GPUs, disk.
    SystemPage "admin/system.html"
    /// Profiles.
    UsersPage "admin/users.html"
    /// Models.
    ModelsPage "admin/models.html"
    /// Everybody's jobs.
    JobsPage "admin/jobs.html"
    /// The log.
    LogsPage "admin/logs.html"
    /// Who changed what.
    AuditPage "admin/audit.html"
    /// How the studio started, and its repositories.
    BootPage "admin/boot.html"
    /// The container engine and its containers.
    ContainersPage "admin/containers.html"
}

/// Everybody's name by id.
fn names(app: &App) -> Value {
    app.users.list().into_iter().map(|p| (p.id.to_string(), Value::from(p.name))).collect::<serde_json::Map<_, _>>().into()
}

/// `GET /admin/system`
pub async fn system(app: Data<App>, admin: Admin) -> Result<HttpResponse, AppError> {
    let boot = json!({ "state": api::system::state(&app, true), "started": crate::clock::rfc3339(app.started) });
    html(&SystemPage::new(Frame::new(&app, &admin, "system"), &boot))
}

/// `GET /admin/users`
pub async fn users(app: Data<App>, admin: Admin) -> Result<HttpResponse, AppError> {
    let boot = api::users::all(&app, &admin).await?;
    html(&UsersPage::new(Frame::new(&app, &admin, "users"), &boot))
}

/// `GET /admin/models`
pub async fn models(app: Data<App>, admin: Admin) -> Result<HttpResponse, AppError> {
    let boot = api::admin_models::all(&app);
    html(&ModelsPage::new(Frame::new(&app, &admin, "models"), &boot))
}

/// `GET /admin/boot`
pub async fn boot(app: Data<App>, admin: Admin) -> Result<HttpResponse, AppError> {
    html(&BootPage::new(Frame::new(&app, &admin, "boot"), &api::boot::state(&app)))
}

/// `GET /admin/containers`
pub async fn containers(app: Data<App>, admin: Admin) -> Result<HttpResponse, AppError> {
    // The engine may be slow, and the page asks it by itself.
    html(&ContainersPage::new(Frame::new(&app, &admin, "containers"), &api::containers::known(&app)))
}

/// `GET /admin/jobs`
pub async fn jobs(app: Data<App>, admin: Admin) -> Result<HttpResponse, AppError> {
    let page = api::admin_jobs::page(&app, Which::default(), None, api::admin_jobs::PAGE).await?;
    let boot = json!({ "page": page, "names": names(&app) });
    html(&JobsPage::new(Frame::new(&app, &admin, "jobs"), &boot))
}

/// `GET /admin/logs`
pub async fn logs(app: Data<App>, admin: Admin) -> Result<HttpResponse, AppError> {
    let page = api::logs::page(&app, 0, &LogFilter::default(), api::logs::LINES);
    let boot = json!({ "page": page, "files": api::logs::all_files(&app).await? });
    html(&LogsPage::new(Frame::new(&app, &admin, "logs"), &boot))
}

/// `GET /admin/audit`
pub async fn audit(app: Data<App>, admin: Admin) -> Result<HttpResponse, AppError> {
    let page = api::audit::page(&app, AuditFilter::default(), None, api::audit::PAGE).await?;
    let boot = json!({ "page": page, "names": names(&app) });
    html(&AuditPage::new(Frame::new(&app, &admin, "audit"), &boot))
}
