//! A start while the studio serves already: repositories, tools, profiles, what runs by itself; and the same sync again when
//! an admin says so. Knows no page.

use super::{
    steps::{Progress, Report, Step},
    sync::{self, RepoReport},
};
use crate::{
    clock::Clock,
    config::{Config, Repo},
    events::Events,
    logins::Logins,
    sessions::{self, Action, Begin, SessionId, Sessions},
    tools::{Origin, Shelf, Tools, stand::Viewer},
    users::{ProfileId, Users},
};
use std::{
    ffi::OsString,
    io,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};
use supervise::{Exit, Guarded, Launch, Size};
use tokio::{runtime::Handle, sync::oneshot};

/// The folder of tools in the studio's repository, and its list of profiles.
const SETUP: &str = "setup";
const USERS: &str = "users.toml";

/// Why something of a repository is not done.
#[derive(Debug, thiserror::Error)]
pub enum BootError {
    /// There is no such repository, commit or host.
    #[error("There is no such repository.")]
    Unknown,
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
struct State {
    report: Report,
    repos: Vec<RepoReport>,
    /// The terminal of the sync that runs.
    syncing: Option<SessionId>,
    /// The terminal of the last one.
    last: Option<SessionId>,
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
        let state = State { repos: sync::kept(&parts.config.data), ..State::default() };
        Boot(Arc::new(Inner { parts, state: Mutex::new(state), putting: Mutex::default(), runtime: Handle::current() }))
    }

    /// How it is.
    pub fn view(&self) -> BootView {
        let State { report, repos, syncing, last } = &*self.state();
        // Of a repository that is not configured any more, nothing is said.
        let configured = |report: &&RepoReport| self.0.parts.config.boot.repos.iter().any(|repo| repo.name == report.name);
        let repos = repos.iter().filter(configured).cloned().collect();
        BootView { report: report.clone(), repos, syncing: syncing.clone(), last: last.clone() }
    }

    /// The list of profiles: the studio's repository's, where none is named and it has one.
    pub fn users_file(&self) -> PathBuf {
        users_file(&self.0.parts.config)
    }

    /// Does what a start does. Returns when all is done or told.
    ///
    /// # Errors
    /// A sentence, where a required repository is not there.
    pub async fn run(&self) -> Result<(), String> {
        self.sync_at_start().await?;
        self.set(Step::Tools, Progress::Running);
        let tools = self.put_tools(true).await;
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
        let told = match self.begin(ProfileId::studio()).await {
            Ok((_, exit)) => {
                self.end(exit.await.unwrap_or(Exit::Unknown)).await;
                self.told()
            }
            Err(e) => Progress::Degraded { why: format!("The repositories could not be synced: {e}") },
        };
        self.set(Step::Repositories, told);
        let missing = |repo: &&Repo| repo.required && !matches!(repos::standing(&repo.path), Ok(Some(_)));
        let Some(repo) = config.boot.repos.iter().find(missing) else { return Ok(()) };
        let why = self.state().repos.iter().find(|report| report.name == repo.name).and_then(RepoReport::behind);
        Err(format!("The repository {} is required and is not there. {}", repo.name, why.unwrap_or_default()))
    }

    /// What the reports of all repositories come to.
    fn told(&self) -> Progress {
        let view = self.view();
        match view.repos.iter().find_map(|report| Some((report, report.behind()?))) {
            Some((report, why)) => Progress::Degraded { why: format!("{}: {why}", report.name) },
            None => Progress::Done { words: "in step".into() },
        }
    }

    /// Syncs now, and answers with the terminal of it; joins one that runs.
    ///
    /// # Errors
    /// When none is configured, or there is no terminal.
    pub async fn sync_now(&self, by: ProfileId) -> Result<SessionId, BootError> {
        if let Some(session) = self.state().syncing.clone() {
            return Ok(session);
        }
        if self.0.parts.config.boot.repos.is_empty() {
            return Err(BootError::Refused("No repository is configured.".into()));
        }
        let this = self.clone();
        let begun = self.0.runtime.spawn(async move {
            let (session, exit) = this.begin(by).await?;
            tokio::spawn(async move {
                this.end(exit.await.unwrap_or(Exit::Unknown)).await;
                this.set(Step::Repositories, this.told());
                let tools = this.put_tools(false).await;
                this.set(Step::Tools, tools);
            });
            Ok(session)
        });
        begun.await.map_err(io::Error::other)?
    }

    /// Starts `easel sync` in a terminal.
    async fn begin(&self, by: ProfileId) -> Result<(SessionId, oneshot::Receiver<Exit>), BootError> {
        let session = SessionId::generate();
        {
            let mut state = self.state();
            if let Some(running) = &state.syncing {
                return Err(BootError::Refused(format!("A sync runs already, in session {}.", running.as_str())));
            }
            state.syncing = Some(session.clone());
        }
        let what = Begin { id: session.clone(), tool: None, action: Action::Sync, by };
        match self.0.parts.sessions.begin(what, &launch(&self.0.parts.config)).await {
            Ok((_, exit)) => {
                self.0.parts.events.stir_notices();
                Ok((session, exit))
            }
            Err(e) => {
                self.state().syncing = None;
                Err(e.into())
            }
        }
    }

    /// Takes up what a sync has left.
    async fn end(&self, exit: Exit) {
        let data = self.0.parts.config.data.clone();
        let repos = tokio::task::spawn_blocking(move || sync::kept(&data)).await.unwrap_or_default();
        for report in &repos {
            match report.behind() {
                None => tracing::info!(repository = report.name, "in step"),
                Some(why) => tracing::warn!(repository = report.name, "not in step: {why}"),
            }
        }
        tracing::info!("the sync {exit}");
        let mut state = self.state();
        state.repos = repos;
        state.last = state.syncing.take();
        drop(state);
        self.0.parts.events.stir_notices();
    }

    /// Puts the studio's tools in use: the repository's, where it has any. `alone` says that no tool runs yet.
    pub(super) async fn put_tools(&self, alone: bool) -> Progress {
        let this = Arc::clone(&self.0);
        let put = move || {
            let _alone = this.putting.lock().unwrap_or_else(PoisonError::into_inner);
            let (config, tools) = (&this.parts.config, &this.parts.tools);
            let shelf = shelf(config)?;
            if alone {
                shelf.forget_others(&config.data);
            }
            let words = match &shelf.origin {
                Origin::Own => "those that came with Easel".to_owned(),
                Origin::Repository { commit, .. } => format!("from commit {}", &commit[..commit.len().min(10)]),
            };
            let broken: Vec<String> = shelf.catalogue.broken().iter().map(|broken| broken.folder.clone()).collect();
            tools.put(shelf);
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

    fn set(&self, step: Step, progress: Progress) {
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

    pub(super) fn tools(&self) -> &Tools {
        &self.0.parts.tools
    }

    /// A repository stands otherwise now.
    pub(super) fn note(&self, report: RepoReport) -> Result<(), BootError> {
        let mut state = self.state();
        match state.repos.iter_mut().find(|other| other.name == report.name) {
            Some(other) => *other = report,
            None => state.repos.push(report),
        }
        let repos = state.repos.clone();
        drop(state);
        self.set(Step::Repositories, self.told());
        Ok(sync::keep(&self.0.parts.config.data, &repos)?)
    }

    pub(super) fn now(&self) -> i64 {
        self.0.parts.clock.ms()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // Each change is whole.
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// `easel sync`, as this panel is configured, under a guardian and in a terminal.
fn launch(config: &Config) -> Launch {
    let flag = |name: &str, path: &Path| [OsString::from(name), path.as_os_str().to_owned()];
    let mut launch = Launch::new(&config.engine_program).arg("sync");
    let file = config.file.iter().flat_map(|file| flag("--config", file));
    for arg in flag("--data", &config.data).into_iter().chain(file) {
        launch = launch.arg(arg);
    }
    launch.guarded(Guarded { guardian: config.engine_program.clone(), user: None, terminal: Some(Size::default()) })
}

/// The tools in use: a configured folder as it is, else the studio's repository's, else those inside the program.
///
/// # Errors
/// When none of these can be read.
pub fn shelf(config: &Config) -> io::Result<Shelf> {
    let data = std::path::absolute(&config.data)?;
    if !config.setup_named
        && let Some(repo) = config.boot.studio()
        && let Ok(Some(standing)) = repos::standing(&repo.path)
        && repo.path.join(SETUP).is_dir()
    {
        return Shelf::of_repository(&repo.path.join(SETUP), &standing.commit.id, &data);
    }
    // Unpacked before, or configured; one that cannot be read was told then and holds no tools.
    Ok(Shelf::own(&config.setup.clone().unwrap_or_else(|| data.join("setup"))).unwrap_or_default())
}

/// The list of profiles: a named one, else the studio's repository's, else the usual one.
pub fn users_file(config: &Config) -> PathBuf {
    let of_repo = config.boot.studio().map(|repo| repo.path.join(USERS));
    of_repo.filter(|file| !config.users_named && file.is_file()).unwrap_or_else(|| config.users.clone())
}

/// Where the tools in use come from, as [`shelf`] has it, for whoever only looks.
pub fn tools_folder(config: &Config) -> PathBuf {
    let of_repo = config.boot.studio().map(|repo| repo.path.join(SETUP));
    let own = || config.setup.clone().unwrap_or_else(|| config.data.join(SETUP));
    of_repo.filter(|folder| !config.setup_named && folder.is_dir()).unwrap_or_else(own)
}
