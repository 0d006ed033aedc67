//! What Easel was told and what it made of it: profiles, configuration with where each value came from, versions,
//! names of variables. Secrets are masked, and no variable's value is shown. Knows no rule.

use super::{admin::Frame, html, shell::Shell, words};
use crate::{
    App,
    config::Setting,
    control::in_words,
    error::AppError,
    store::sqlite_version,
    users::{Profile, Role},
    web::auth::Admin,
};
use actix_web::{HttpResponse, web::Data};
use askama::Template;
use protocol::BUILD_ID;

/// A name with its value.
#[derive(Clone, Debug)]
struct Fact {
    name: &'static str,
    value: String,
}

/// A profile as it was understood.
#[derive(Clone, Debug)]
struct Parsed {
    id: String,
    name: String,
    role: &'static str,
    /// "PIN, password, from users.toml".
    has: String,
    disabled: bool,
}

impl Parsed {
    fn of(p: Profile) -> Parsed {
        let told = [
            (p.has_pin, "PIN"),
            (p.has_password, "password"),
            (p.from_file, "from users.toml"),
            (p.pending.is_some(), "asks to be an admin"),
        ];
        let has: Vec<&str> = told.into_iter().filter_map(|(is, word)| is.then_some(word)).collect();
        let role = if p.role == Role::Admin { "Admin" } else { "Artist" };
        Parsed { id: p.id.to_string(), name: p.name, role, has: has.join(", "), disabled: p.disabled }
    }
}

/// The page.
#[derive(Debug, Template)]
#[template(path = "admin/debug.html")]
pub struct DebugPage {
    theme: &'static str,
    shell: Shell,
    tab: &'static str,
    versions: Vec<Fact>,
    people: Vec<Parsed>,
    /// What is wrong with users.toml.
    problems: Vec<String>,
    /// Where users.toml is looked for.
    users_file: String,
    settings: Vec<Setting>,
    origins: Vec<String>,
    variables: Vec<String>,
    /// How many of them.
    count: String,
}

fn versions(app: &App) -> Vec<Fact> {
    let fact = |name, value: String| Fact { name, value };
    let kernel = rustix::system::uname();
    vec![
        fact("Easel", env!("CARGO_PKG_VERSION").into()),
        fact("Build", BUILD_ID.into()),
        fact("Engine", in_words(&app.engines.views())),
        fact("SQLite", sqlite_version().into()),
        fact("Kernel", format!("{} {}", kernel.release().to_string_lossy(), kernel.machine().to_string_lossy())),
        fact("Process", std::process::id().to_string()),
        fact("User", rustix::process::geteuid().as_raw().to_string()),
    ]
}

/// `GET /admin/debug`
pub async fn page(app: Data<App>, admin: Admin) -> Result<HttpResponse, AppError> {
    let Frame { theme, shell, tab } = Frame::new(&app, &admin, "debug");
    let config = &app.config;
    html(&DebugPage {
        theme,
        shell,
        tab,
        versions: versions(&app),
        people: app.users.list().into_iter().map(Parsed::of).collect(),
        problems: app.users.problems(),
        users_file: config.users.display().to_string(),
        settings: config.settings.clone(),
        origins: app.doors.origins().iter().map(ToString::to_string).collect(),
        variables: config.variables.clone(),
        count: words::count(config.variables.len() as u64),
    })
}
