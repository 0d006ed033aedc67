//! `tool.toml` as a type: what one tool is and needs. Parses and checks; knows no disk and no script.

use super::{Container, ToolId, container::RawContainer, keys};
use serde::Deserialize;
use std::{collections::BTreeSet, time::Duration};

/// Most characters of a name.
const NAME_MAX: usize = 40;
/// Most characters of a description.
const ABOUT_MAX: usize = 200;
/// Longest time that a tool may take to become healthy, in seconds.
const START_TIMEOUT_MAX: u64 = 3600;
/// Longest time between two questions whether a running tool is well, in seconds, and the usual one.
const INTERVAL_MAX: u64 = 300;
const INTERVAL: u64 = 10;
/// Most packages, and most names of variables.
const LIST_MAX: usize = 64;
/// Most bytes of a body that asks for memory.
const BODY_MAX: usize = 4096;
/// Ports below belong to the system.
const PORT_MIN: u16 = 1024;
/// Most memory of a card that a tool can say it wants, in GB.
const VRAM_MAX: u32 = 1024;

/// What `tool.toml` says, checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ToolSpec {
    /// The folder's name.
    pub id: ToolId,
    /// What people call it.
    pub name: String,
    /// What it is, in one or two sentences.
    pub about: String,
    /// Port on which Easel's gate listens for it; none for what only installs.
    pub public_port: Option<u16>,
    /// Where it is installed.
    pub home: Home,
    /// How it tells that it is well; there whenever `public_port` is.
    pub health: Option<Health>,
    /// Debian packages that Easel installs before its scripts run.
    pub apt: Vec<String>,
    /// It is of no use without an NVIDIA card.
    pub needs_gpu: bool,
    /// Memory of the card that it wants, in GB; 0 where it uses none.
    pub vram_gb: u32,
    /// Who may open it.
    pub admits: Admits,
    /// How the gate keeps those apart whom it admits, where the tool does not do it itself.
    pub isolation: Option<Isolation>,
    /// Folders that each profile has of its own.
    pub per_profile: BTreeSet<Own>,
    /// Started when Easel starts.
    pub autostart: bool,
    /// Variables of Easel's environment or settings that it may see, beside the contract's.
    pub environment: Vec<String>,
    /// What happens when it ends by itself.
    pub restart: Restart,
    /// How it runs in a container, of what can.
    pub container: Option<Container>,
    /// What can be chosen before it is installed or updated.
    pub picks: Option<Picks>,
    /// How it is asked to give the card's memory back while it is idle.
    pub release_vram: Option<ReleaseVram>,
    /// `Authorization` that the gate sends for whoever it has let in; `{token}` stands for the token of this start.
    pub authorization: Option<String>,
}

/// Where a tool is installed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Home {
    /// In this folder of the workspace: one plain name.
    Own(String),
    /// In the folder of another tool, as its user and under its lock.
    Within(ToolId),
}

/// How a tool tells that it is well.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Health {
    /// Path of its own server.
    pub path: String,
    /// Statuses that mean it is well.
    pub expect: Vec<u16>,
    /// It is given up when it is not well after so long.
    pub start_timeout: Duration,
    /// Time between two questions once it is well; three in a row without an answer, and it is started anew.
    pub interval: Duration,
}

/// Who may open a tool. Only admins install.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Admits {
    /// Every profile.
    Everyone,
    /// The profile that started it: it knows no users, and whoever is in sees all.
    Starter,
    /// Admins in admin mode.
    Admins,
}

/// A way to keep profiles apart inside a tool that all of them share.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Isolation {
    /// The gate knows ComfyUI's API: each profile has its own queue, history, pictures, uploads and settings.
    ComfyUi,
}

/// A folder that a profile has of its own inside a tool.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Own {
    /// What it makes.
    Output,
    /// What it is given.
    Input,
    /// What it needs for a while.
    Temp,
    /// Settings and workflows.
    User,
}

impl Own {
    /// Its name below the profile's folder of a tool.
    pub fn folder(self) -> &'static str {
        match self {
            Own::Output => "output",
            Own::Input => "input",
            Own::Temp => "temp",
            Own::User => "user",
        }
    }
}

/// What happens when a tool ends by itself.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Restart {
    /// It starts again unless it ended with exit code 0 or 3.
    #[default]
    OnFailure,
    /// It stays stopped.
    Never,
}

/// A file of things to choose from.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Picks {
    /// `FOLDER/NAME` below the setup folder: a `.txt` of repositories or a `.toml` of sets.
    pub file: String,
    /// Where repositories lie below the install folder; sets lie in the models folder.
    pub below: Option<String>,
}

/// A request that makes an idle tool give memory back.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ReleaseVram {
    /// `POST` or `GET`.
    pub method: String,
    /// Path of its own server.
    pub path: String,
    /// JSON to send.
    #[serde(default)]
    pub body: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Raw {
    name: String,
    about: String,
    public_port: Option<u16>,
    install: Option<String>,
    within: Option<String>,
    health: Option<RawHealth>,
    #[serde(default)]
    apt: Vec<String>,
    #[serde(default)]
    needs_gpu: bool,
    #[serde(default)]
    vram_gb: u32,
    admits: Option<Admits>,
    isolation: Option<Isolation>,
    #[serde(default)]
    per_profile: BTreeSet<Own>,
    #[serde(default)]
    autostart: bool,
    #[serde(default)]
    environment: Vec<String>,
    #[serde(default)]
    restart: Restart,
    image: Option<String>,
    container: Option<RawContainer>,
    picks: Option<Picks>,
    release_vram: Option<ReleaseVram>,
    #[serde(default)]
    gate: RawGate,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawHealth {
    path: String,
    expect: Vec<u16>,
    start_timeout_s: u64,
    interval_s: Option<u64>,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct RawGate {
    authorization: Option<String>,
}

impl ToolSpec {
    /// Reads `tool.toml` of the folder `id`. Every problem is a sentence.
    pub fn parse(id: ToolId, text: &str) -> Result<ToolSpec, Vec<String>> {
        let said = |e: toml::de::Error| {
            let line = e.span().map(|span| text[..span.start.min(text.len())].matches('\n').count() + 1);
            vec![format!("{}{}", line.map(|l| format!("line {l}: ")).unwrap_or_default(), e.message().trim_end())]
        };
        let unknown = keys::unknown(&text.parse::<toml::Table>().map_err(said)?);
        if !unknown.is_empty() {
            return Err(unknown);
        }
        let raw: Raw = toml::from_str(text).map_err(said)?;
        let home = home(&raw);
        let container = Container::of(raw.image.as_deref(), raw.container.as_ref(), raw.public_port);
        let mut problems = check(&raw);
        problems.extend(home.as_ref().err().cloned());
        problems.extend(container.as_ref().err().into_iter().flatten().cloned());
        match (home, container) {
            (Ok(home), Ok(container)) if problems.is_empty() => Ok(raw.into_spec(id, home, container)),
            _ => Err(problems),
        }
    }

    /// The folder of the workspace that it uses.
    pub fn home_of<'a>(&'a self, others: impl Fn(&ToolId) -> Option<&'a ToolSpec>) -> Option<&'a str> {
        match &self.home {
            Home::Own(folder) => Some(folder),
            Home::Within(other) => match &others(other)?.home {
                Home::Own(folder) => Some(folder),
                Home::Within(_) => None,
            },
        }
    }
}

impl Raw {
    fn into_spec(self, id: ToolId, home: Home, container: Option<Container>) -> ToolSpec {
        let health = self.health.map(|h| Health {
            path: h.path,
            expect: h.expect,
            start_timeout: Duration::from_secs(h.start_timeout_s),
            interval: Duration::from_secs(h.interval_s.unwrap_or(INTERVAL)),
        });
        ToolSpec {
            id,
            home,
            health,
            name: self.name,
            about: self.about,
            public_port: self.public_port,
            apt: self.apt,
            needs_gpu: self.needs_gpu,
            vram_gb: self.vram_gb,
            // What says nothing about it is not opened by everybody.
            admits: self.admits.unwrap_or(Admits::Admins),
            isolation: self.isolation,
            per_profile: self.per_profile,
            autostart: self.autostart,
            environment: self.environment,
            restart: self.restart,
            container,
            picks: self.picks,
            release_vram: self.release_vram,
            authorization: self.gate.authorization,
        }
    }
}

fn home(raw: &Raw) -> Result<Home, String> {
    match (&raw.install, &raw.within) {
        (Some(folder), None) if is_plain(folder) => Ok(Home::Own(folder.clone())),
        (Some(folder), None) => Err(format!("install = \"{folder}\" is not one plain name of a folder")),
        (None, Some(other)) => ToolId::parse(other).map(Home::Within).map_err(|e| format!("within: {e}")),
        _ => Err("either install (a folder of its own) or within (the tool whose folder it uses) is needed".into()),
    }
}

/// Everything that types do not say. One sentence a problem.
fn check(raw: &Raw) -> Vec<String> {
    let mut problems = Vec::new();
    let mut must = |good: bool, sentence: String| {
        if !good {
            problems.push(sentence);
        }
    };
    must(is_text(&raw.name, NAME_MAX), format!("name must have 1 to {NAME_MAX} visible characters"));
    must(is_text(&raw.about, ABOUT_MAX), format!("about must have 1 to {ABOUT_MAX} visible characters"));
    if let Some(port) = raw.public_port {
        must(port >= PORT_MIN, format!("public_port = {port} belongs to the system; take one from {PORT_MIN} on"));
    }
    must(raw.public_port.is_some() == raw.health.is_some(), "public_port and health belong together".into());
    let shared = raw.admits == Some(Admits::Everyone) && raw.public_port.is_some();
    must(raw.isolation.is_none() || shared, "isolation is for what everyone opens: admits must be \"everyone\"".into());
    // The gate knows what is whose by where the tool's folder lies.
    let moved = raw.container.as_ref().is_some_and(RawContainer::moves_folder);
    must(raw.isolation.is_none() || !moved, "isolation: container.data must not say where the folder is seen".into());
    must(raw.vram_gb <= VRAM_MAX, format!("vram_gb = {} is more than any card has", raw.vram_gb));
    must(raw.apt.len() <= LIST_MAX && raw.environment.len() <= LIST_MAX, format!("a list may have {LIST_MAX} entries"));
    for package in &raw.apt {
        must(is_package(package), format!("apt: \"{package}\" is not the name of a Debian package"));
    }
    for name in &raw.environment {
        must(is_variable(name), format!("environment: \"{name}\" is not a name like HF_TOKEN"));
        must(!name.starts_with("EASEL_"), format!("environment: {name} is Easel's own; scripts get those by themselves"));
    }
    if let Some(health) = &raw.health {
        must(is_url_path(&health.path), format!("health.path = \"{}\" must be a path like /health", health.path));
        let statuses = !health.expect.is_empty() && health.expect.iter().all(|s| (200..500).contains(s));
        must(statuses, "health.expect must list statuses from 200 to 499".into());
        let time = (1..=START_TIMEOUT_MAX).contains(&health.start_timeout_s);
        must(time, format!("health.start_timeout_s must be from 1 to {START_TIMEOUT_MAX}"));
        let interval = health.interval_s.is_none_or(|s| (1..=INTERVAL_MAX).contains(&s));
        must(interval, format!("health.interval_s must be from 1 to {INTERVAL_MAX}"));
    }
    if let Some(release) = &raw.release_vram {
        must(matches!(release.method.as_str(), "GET" | "POST"), "release_vram.method must be GET or POST".into());
        must(is_url_path(&release.path), format!("release_vram.path = \"{}\" must be a path", release.path));
        let json = release.body.is_empty() || serde_json::from_str::<serde_json::Value>(&release.body).is_ok();
        must(json && release.body.len() <= BODY_MAX, format!("release_vram.body must be JSON of at most {BODY_MAX} bytes"));
    }
    if let Some(picks) = &raw.picks {
        let known = picks.file.split_once('/').is_some_and(|(folder, name)| ToolId::parse(folder).is_ok() && is_plain(name));
        must(known, format!("picks.file = \"{}\" must be FOLDER/NAME below the setup folder", picks.file));
        let below = picks.below.as_deref().is_none_or(|path| path.split('/').all(is_plain));
        must(below, "picks.below must be a path below the install folder".into());
    }
    if let Some(text) = &raw.gate.authorization {
        let header = text.len() <= 200 && text.bytes().all(|b| (0x20..0x7f).contains(&b));
        must(header && text.contains("{token}"), "gate.authorization must be a header's value with {token} in it".into());
    }
    must(raw.image.is_none() || raw.install.is_some(), "image: what works within another tool cannot run in a container".into());
    problems
}

/// One component of a path that hides nothing and leads nowhere else.
fn is_plain(name: &str) -> bool {
    let allowed = |b: u8| b.is_ascii_alphanumeric() || b == b'-' || b == b'_' || b == b'.';
    !name.is_empty() && name.len() <= 64 && !name.starts_with('.') && name.bytes().all(allowed)
}

fn is_text(text: &str, most: usize) -> bool {
    !text.trim().is_empty() && text.chars().count() <= most && !text.chars().any(char::is_control)
}

/// As Debian's policy writes them; a release or an option is no part of a name.
fn is_package(name: &str) -> bool {
    let allowed = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b"+-.".contains(&b);
    name.len() >= 2 && name.bytes().all(allowed) && name.as_bytes()[0].is_ascii_alphanumeric()
}

fn is_variable(name: &str) -> bool {
    let allowed = |b: u8| b.is_ascii_uppercase() || b.is_ascii_digit() || b == b'_';
    !name.is_empty() && name.bytes().all(allowed) && name.as_bytes()[0].is_ascii_uppercase()
}

fn is_url_path(path: &str) -> bool {
    path.starts_with('/')
        && !path.starts_with("//")
        && path.len() <= 200
        && path.bytes().all(|b| b.is_ascii_graphic() && b != b'#')
}

#[cfg(test)]
mod tests;
