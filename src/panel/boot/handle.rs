//! A start while the studio serves already: repositories, tools, profiles, what runs by itself; and the same sync again when
//! an admin says so. Knows no page.

use super::{
    kept::kept,
    place::{shelf, users_file},
    steps::{Progress, Report, Step},
    sync::{RepoReport, Work, here},
};
use crate::{
    clock::Clock,
    config::{Config, Repo},
    events::Events,
    logins::Logins,
    sessions::{self, SessionId, Sessions},
    tools::{Origin, Tools, stand::Viewer},
    users::{ProfileId, Users},
};
use std::{
    io,
    path::PathBuf,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};
use tokio::runtime::Handle;

/// How often it is looked whether a sync that somebody else began has ended.
const LOOK: Duration = Duration::from_millis(100);

/// Why something of a repository is not done.
#[derive(Debug, thiserror::Error)]
pub enum BootError {
    /// There is no such repository, commit or host.
    #[error("There is no such repository or commit.")]
    Unknown,
    /// Something else is done with the repositories.
    #[error("Something else is done with the repositories. Wait until it has ended.")]
    Busy,
    /// It cannot be done as it stands; says why.
    #[error("{0}")]
    Refused(String),
    /// No terminal can be had.
    #[error(transparent)]
    Session(#[from] sessions::SessionError),
    /// The disk refuses.
    #[error("the disk refuses: {0}")]
    Disk(#[from] io::Error),
}

/// What a start needs of the rest.
#[derive(Clone, Debug)]
pub struct Parts {
    /// What Easel was told.
    pub config: Arc<Config>,
    /// The time.
    pub clock: Clock,
    /// Terminals.
    pub sessions: Sessions,
    /// The tools.
    pub tools: Tools,
    /// Profiles, and who is logged in.
    pub users: Users,
    /// Who is logged in.
    pub logins: Logins,
    /// Who is told.
    pub events: Events,
}

/// The handle.
#[derive(Clone, Debug)]
pub struct Boot(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    parts: Parts,
    state: Mutex<State>,
    /// One at a time puts tools in use: two would write the same copies.
    putting: Mutex<()>,
    /// Where a sync is seen to its end. Whoever asks for one may be a worker of the web server, and may hang up.
    runtime: Handle,
}

#[derive(Debug, Default)]
pub(super) struct State {
    report: Report,
    pub(super) repos: Vec<RepoReport>,
    /// The work on repositories that runs, and its terminal.
    pub(super) syncing: Option<(SessionId, Work)>,
    /// The terminal of the last one.
    pub(super) last: Option<SessionId>,
    /// The list of profiles, where it was looked for.
    users: Option<PathBuf>,
}

/// How a start is, and how the repositories stand.
#[derive(Clone, Debug)]
pub struct BootView {
    /// The start.
    pub report: Report,
    /// What came of the last sync of each repository.
    pub repos: Vec<RepoReport>,
    /// The terminal of the sync that runs.
    pub syncing: Option<SessionId>,
    /// The terminal of the last one.
    pub last: Option<SessionId>,
}

impl Boot {
    /// Nothing is done yet; what is known is what the last panel left.
    pub fn new(parts: Parts) -> Boot {
        let state = State { repos: kept(&parts.config.data), ..State::default() };
        Boot(Arc::new(Inner { parts, state: Mutex::new(state), putting: Mutex::default(), runtime: Handle::current() }))
    }

    /// How it is.
    pub fn view(&self) -> BootView {
        let State { report, repos, syncing, last, .. } = &*self.state();
        // Of a repository that is not configured any more, nothing is said.
        let configured = |report: &&RepoReport| self.0.parts.config.boot.repos.iter().any(|repo| repo.name == report.name);
        let repos = repos.iter().filter(configured).cloned().collect();
        let syncing = syncing.as_ref().map(|(session, _)| session.clone());
        BootView { report: report.clone(), repos, syncing, last: last.clone() }
    }

    /// The list of profiles: the studio's repository's, where none is named and it has one. As it was when last looked for: who asks
    /// does so every two seconds.
    pub fn users_file(&self) -> PathBuf {
        self.state().users.clone().unwrap_or_else(|| self.config().users.clone())
    }

    /// Looks which list of profiles it is.
    pub async fn find_users_file(&self) -> PathBuf {
        let config = self.config().clone();
        if let Ok(file) = tokio::task::spawn_blocking(move || users_file(&config)).await {
            self.state().users = Some(file);
        }
        self.users_file()
    }

    /// Does what a start does. Returns when all is done or told.
    ///
    /// # Errors
    /// A sentence, where a required repository is not there.
    pub async fn run(&self) -> Result<(), String> {
        self.sync_at_start().await?;
        self.set(Step::Tools, Progress::Running);
        let tools = self.put_tools().await;
        self.set(Step::Tools, tools);
        self.set(Step::Profiles, Progress::Running);
        let parts = &self.0.parts;
        let profiles = match super::sync_users(&parts.users, &parts.logins, &self.users_file()).await {
            Ok(()) => Progress::Done { words: format!("{} profiles", parts.users.list().len()) },
            Err(e) => Progress::Degraded { why: format!("users.toml could not be applied: {e}") },
        };
        self.set(Step::Profiles, profiles);
        self.set(Step::Starts, Progress::Running);
        let started = match parts.tools.resume().await {
            Ok(()) => self.autostart().await,
            Err(e) => Progress::Degraded { why: format!("What ran before is not started again: {e}") },
        };
        self.set(Step::Starts, started);
        Ok(())
    }

    async fn sync_at_start(&self) -> Result<(), String> {
        let config = &self.0.parts.config;
        if config.boot.repos.is_empty() {
            self.set(Step::Repositories, Progress::Done { words: "none is configured".into() });
            return Ok(());
        }
        self.set(Step::Repositories, Progress::Running);
        let told = loop {
            match self.begin(Work::All, ProfileId::studio()).await {
                Ok(Ok(begun)) => {
                    self.end(begun).await;
                    break self.told();
                }
                // Somebody was faster, who sees it to its end.
                Ok(Err(_)) => {
                    self.idle().await;
                    break self.told();
                }
                // Somebody does something else before.
                Err(BootError::Busy) => self.idle().await,
                Err(e) => break Progress::Degraded { why: format!("The repositories could not be synced: {e}") },
            }
        };
        self.set(Step::Repositories, told);
        self.find_required().await
    }

    /// Returns once nothing is done with the repositories.
    async fn idle(&self) {
        while self.state().syncing.is_some() {
            tokio::time::sleep(LOOK).await;
        }
    }

    /// What is required is there.
    async fn find_required(&self) -> Result<(), String> {
        let config = self.config().clone();
        let look = move || {
            let missing = |repo: &&Repo| repo.required && !matches!(here(&config.boot, repo), Ok(Some(_)));
            config.boot.repos.iter().find(missing).map(|repo| repo.name.clone())
        };
        let Ok(Some(name)) = tokio::task::spawn_blocking(look).await else { return Ok(()) };
        let why = self.state().repos.iter().find(|report| report.name == name).and_then(RepoReport::behind);
        Err(format!("The repository {name} is required and is not there. {}", why.unwrap_or_default()))
    }

    /// Puts the studio's tools in use, the repository's where it has any, and forgets versions of them that nobody needs any more.
    pub(super) async fn put_tools(&self) -> Progress {
        self.find_users_file().await;
        let this = Arc::clone(&self.0);
        let put = move || {
            let _alone = this.putting.lock().unwrap_or_else(PoisonError::into_inner);
            let (config, tools) = (&this.parts.config, &this.parts.tools);
            let shelf = shelf(config)?;
            let words = match &shelf.origin {
                Origin::Own => "those that came with Easel".to_owned(),
                Origin::Repository { commit } => format!("from commit {}", &commit[..commit.len().min(10)]),
            };
            let broken: Vec<String> = shelf.catalogue.broken().iter().map(|broken| broken.folder.clone()).collect();
            tools.put(shelf);
            tools.forget_versions(&std::path::absolute(&config.data)?);
            Ok::<_, io::Error>((words, broken))
        };
        match tokio::task::spawn_blocking(put).await.map_err(io::Error::other).and_then(|put| put) {
            Ok((words, broken)) if broken.is_empty() => Progress::Done { words },
            Ok((words, broken)) => Progress::Degraded { why: format!("{words}; left out: {}", broken.join(", ")) },
            Err(e) => Progress::Degraded { why: format!("The tools of the repository cannot be used: {e}") },
        }
    }

    /// Starts what is to run always.
    async fn autostart(&self) -> Progress {
        let (studio, tools) = (ProfileId::studio(), &self.0.parts.tools);
        let (mut started, mut not) = (Vec::new(), Vec::new());
        for folder in tools.folders().into_iter().filter(|folder| folder.spec.autostart) {
            match tools.start(&folder.spec.id, Viewer { profile: &studio, admin: true }).await {
                Ok(()) => started.push(folder.spec.name),
                Err(e) => not.push(format!("{}: {e}", folder.spec.name)),
            }
        }
        if !not.is_empty() {
            return Progress::Degraded { why: not.join(" ") };
        }
        Progress::Done { words: if started.is_empty() { "nothing more".into() } else { started.join(", ") } }
    }

    pub(super) fn set(&self, step: Step, progress: Progress) {
        if let Progress::Degraded { why } = &progress {
            tracing::warn!(step = step.title(), "{why}");
        }
        self.state().report.set(step, progress);
        self.0.parts.events.stir_notices();
    }

    /// A repository of the configuration.
    pub(super) fn repo(&self, name: &str) -> Result<Repo, BootError> {
        self.0.parts.config.boot.repos.iter().find(|repo| repo.name == name).cloned().ok_or(BootError::Unknown)
    }

    pub(super) fn config(&self) -> &Arc<Config> {
        &self.0.parts.config
    }

    pub(super) fn parts(&self) -> &Parts {
        &self.0.parts
    }

    pub(super) fn runtime(&self) -> &Handle {
        &self.0.runtime
    }

    pub(super) fn state(&self) -> MutexGuard<'_, State> {
        // Each change is whole.
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
