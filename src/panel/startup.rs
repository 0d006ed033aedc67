//! Puts the parts together and serves until told to stop. Knows every part, decides nothing.

mod engines;
mod room;

use crate::{
    app::App,
    artifacts::Artifacts,
    audit::Audit,
    boot::{self, Boot, News},
    clock::Clock,
    config::Config,
    container_engine::ContainerEngine,
    control::{Desk, socket::Socket},
    datafolder::DataFolder,
    datasets::Datasets,
    doors::Doors,
    engine_client::Engines,
    events::Events,
    gate::Gates,
    gpus::Gpus,
    jobs::{self, Jobs},
    logins::Logins,
    logs::{Logs, Ring},
    models::Models,
    pod::Pod,
    sessions::{self, Sessions},
    store::Store,
    system::System,
    tools::{self, Shelf, Tools, contract::Places},
    uids::{Folders, ToolUsers},
    uploads::Uploads,
    users::Users,
    web,
};
use actix_web::{App as Actix, HttpServer, dev::Server, middleware, web::Data};
use anyhow::Context;
use std::{net::TcpListener, sync::Arc, time::Duration};
use supervise::{HostSpawner, Policy, Spawner};
use tokio::signal::unix::{SignalKind, signal};

/// Connections that the kernel keeps waiting for us.
const BACKLOG: u32 = 1024;
/// Threads that serve; the engine wants the other cores.
const MOST_WORKERS: usize = 4;
/// Clearings in an hour.
const ROUNDS_OF_AN_HOUR: u64 = 360;
/// Time between clearings.
const SWEEP_EVERY: Duration = Duration::from_secs(10);
/// Seconds that requests in flight get at the end.
const GRACE_S: u64 = 5;

/// A built studio, listening.
#[derive(Debug)]
pub struct Application {
    app: App,
    port: u16,
    listener: TcpListener,
    control: Socket,
    news: News,
    /// Held until everything else has ended.
    folder: DataFolder,
}

impl Application {
    /// Opens everything and binds; nothing is served yet. What is logged is shown from `log`.
    pub async fn build(config: Config, log: Ring) -> anyhow::Result<Application> {
        Application::build_with(config, Clock::real(), log).await
    }

    /// The same by another clock, with no log to show.
    pub async fn build_at(config: Config, clock: Clock) -> anyhow::Result<Application> {
        Application::build_with(config, clock, Ring::default()).await
    }

    async fn build_with(config: Config, clock: Clock, log: Ring) -> anyhow::Result<Application> {
        let (config, folder, listener) = take_places(config).await?;
        let port = listener.local_addr()?.port();
        let store = Store::open(&config.data.join("state"))?.guarded(folder.guard());
        let events = Events::open(store.clone()).await?;
        let artifacts = Artifacts::open(&config.data.join("outputs"), store.clone(), events.clone(), clock.clone())?;
        let uploads = Uploads::open(&config.data.join("spool"), store.clone(), clock.clone())?;
        let spawner = Arc::new(HostSpawner::adopting()?);
        let (gpus, engines) = start_engines(&config, spawner.clone());
        let sessions = Sessions::open(&config.data.join("logs"), store.clone(), clock.clone(), spawner.clone()).await?;
        let audit = Audit::new(store.clone(), clock.clone());
        let doors = Doors::open(&config, port, store.clone(), clock.clone())?;
        let users = Users::open(store.clone(), clock.clone()).await?;
        let logins = Logins::open(store.clone(), clock.clone()).await?;
        let gates = Gates::new(config.clone(), doors.origins().clone(), users.clone(), logins.clone(), clock.clone());
        let others = Others {
            sessions: &sessions,
            store: &store,
            events: &events,
            clock: &clock,
            gates: &gates,
            artifacts: &artifacts,
            doors: &doors,
            engines: &engines,
            gpus,
            spawner: spawner.clone(),
            users: &users,
            logins: &logins,
        };
        let tools = tools(&config, &others).await?;
        let parts = others.of_jobs(&uploads, &tools);
        let app = App {
            boot: starter(config.clone(), tools.clone(), &others),
            datasets: Datasets::open(&config, store.clone(), events.clone(), clock.clone(), artifacts.clone()).await?,
            gates,
            users,
            logins,
            doors,
            jobs: Jobs::open(parts).await?,
            pod: Pod::new(&config, clock.clone(), events.clone()),
            logs: Logs::open(&config.data.join("logs"), log)?,
            models: Models::open(&config, store.clone(), clock.clone(), audit.clone(), spawner).await?,
            system: System::new(&config, clock.clone(), engines.clone(), tools.clone()),
            audit,
            started: clock.ms(),
            clock,
            engines,
            sessions,
            containers: tools.containers().clone(),
            tools,
            artifacts,
            uploads,
            events,
            config,
            store,
        };
        app.tools.read_accepted().await?;
        boot::sync_users(&app.users, &app.logins, &app.boot.find_users_file().await).await?;
        let news = boot::news(&app.users, &app.doors).await?;
        // Bound before the address is printed: whoever reads it may run a command at once, and that waits here.
        let control = Socket::listen(&app.config)?;
        Ok(Application { app, port, listener, control, news, folder })
    }

    /// The port that was taken.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The handles, for the control socket and for tests.
    pub fn app(&self) -> &App {
        &self.app
    }

    /// What standard output is told at start, and nothing else.
    pub fn news(&self) -> &News {
        &self.news
    }

    /// Serves until SIGTERM or SIGINT, then ends in order: no new requests, streams end, the running jobs
    /// go back to the queue, the engines end.
    pub async fn run_until_stopped(self) -> anyhow::Result<()> {
        // Where the size of files is limited (ulimit -f), a write that fails must not end the panel instead.
        let _too_large = signal(SignalKind::from_raw(rustix::process::Signal::XFSZ.as_raw()))?;
        let (mut terminate, mut interrupt) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
        let told = async move {
            tokio::select! {
                _ = terminate.recv() => {}
                _ = interrupt.recv() => {}
            }
        };
        self.run_until(told).await
    }

    /// Serves until `told`, then ends in order.
    pub async fn run_until(self, told: impl Future<Output = ()>) -> anyhow::Result<()> {
        let Application { app, listener, control, folder, .. } = self;
        let server = serve(app.clone(), listener)?;
        let boot = app.boot.clone();
        let watch = boot::watch_users(app.users.clone(), app.logins.clone(), move || boot.users_file());
        let watch = tokio::spawn(watch);
        let control = tokio::spawn(control.serve(Desk::of(&app)));
        let handle = server.handle();
        let sweeper = tokio::spawn(sweep(app.clone()));
        let looker = tokio::spawn(app.system.clone().look_on());
        let idler = tokio::spawn(stop_when_idle(app.clone()));
        let serving = tokio::spawn(server);
        // The studio serves while it starts.
        let start = async {
            match app.boot.run().await {
                Ok(()) => std::future::pending().await,
                Err(why) => why,
            }
        };
        let lost = tokio::select! {
            () = told => None,
            lost = folder.lost() => Some(lost.into()),
            why = start => Some(anyhow::Error::msg(why)),
        };
        tracing::info!("stopping");
        sweeper.abort();
        looker.abort();
        idler.abort();
        watch.abort();
        app.events.close();
        app.gates.close_all().await;
        handle.stop(true).await;
        serving.await.context("serving")?.context("serving")?;
        app.jobs.stop().await;
        app.tools.end_all().await;
        app.sessions.stop().await;
        app.tools.end_changes().await;
        app.engines.stop().await;
        control.abort();
        let _ = control.await;
        drop(folder);
        lost.map_or(Ok(()), Err)
    }
}

fn serve(app: App, listener: TcpListener) -> anyhow::Result<Server> {
    let app = Data::new(app);
    let make = move || {
        Actix::new()
            .app_data(app.clone())
            .app_data(web::form_limit())
            .wrap(middleware::from_fn(web::front))
            .configure(web::routes)
    };
    let workers = std::thread::available_parallelism().map_or(2, |n| n.get().min(MOST_WORKERS));
    let server = HttpServer::new(make).workers(workers).backlog(BACKLOG).shutdown_timeout(GRACE_S).disable_signals();
    Ok(server.listen(listener)?.run())
}

/// Takes the data folder and the port; the configuration as this machine completes it.
async fn take_places(mut config: Config) -> anyhow::Result<(Arc<Config>, DataFolder, TcpListener)> {
    config.surroundings = config.surroundings.with_interfaces();
    if let Some(folder) = &config.assets {
        assets::serve_from(folder.clone());
    }
    let folder = take_folder(&mut config).await?;
    let listener = TcpListener::bind((config.bind, config.port))
        .with_context(|| format!("listening on {} port {}", config.bind, config.port))?;
    Ok((Arc::new(config), folder, listener))
}

/// Takes the data folder, and has the folder of tools in it where none is configured.
async fn take_folder(config: &mut Config) -> anyhow::Result<DataFolder> {
    let (data, surroundings, setup) = (config.data.clone(), config.surroundings.clone(), config.setup.clone());
    let take = move || -> anyhow::Result<_> {
        let folder = DataFolder::take(&data, &surroundings)?;
        Ok((folder, boot::setup_folder(&data, setup)?))
    };
    let (folder, setup) = tokio::task::spawn_blocking(take).await??;
    config.setup = Some(setup);
    Ok(folder)
}

/// What the tools need of the rest.
struct Others<'a> {
    sessions: &'a Sessions,
    store: &'a Store,
    events: &'a Events,
    clock: &'a Clock,
    gates: &'a Gates,
    artifacts: &'a Artifacts,
    doors: &'a Doors,
    engines: &'a Engines,
    gpus: Arc<Gpus>,
    spawner: Arc<HostSpawner>,
    users: &'a Users,
    logins: &'a Logins,
}

impl Others<'_> {
    fn of_jobs(&self, uploads: &Uploads, tools: &Tools) -> jobs::Parts {
        jobs::Parts {
            store: self.store.clone(),
            events: self.events.clone(),
            artifacts: self.artifacts.clone(),
            uploads: uploads.clone(),
            engines: self.engines.clone(),
            room: Arc::new(room::OfTools(tools.clone())),
            clock: self.clock.clone(),
        }
    }
}

/// What starts them, and brings their repository in step.
fn starter(config: Arc<Config>, tools: Tools, others: &Others<'_>) -> Boot {
    Boot::new(boot::Parts {
        config,
        tools,
        clock: others.clock.clone(),
        sessions: others.sessions.clone(),
        users: others.users.clone(),
        logins: others.logins.clone(),
        events: others.events.clone(),
    })
}

/// The tools of the setup folder.
async fn tools(config: &Arc<Config>, others: &Others<'_>) -> anyhow::Result<Tools> {
    // Scripts start in another folder, so every path they get is a whole one.
    let data = std::path::absolute(&config.data)?;
    let workspace = std::path::absolute(&config.workspace)?;
    std::fs::create_dir_all(&workspace).with_context(|| format!("making the folder of tools, {}", workspace.display()))?;
    let setup = config.setup.clone().unwrap_or_else(|| data.join("setup"));
    let configured = config.clone();
    let shelf = tokio::task::spawn_blocking(move || boot::shelf(&configured)).await?.unwrap_or_else(|e| {
        // The start tries it again and tells people. Other tools do not take over what these have installed.
        tracing::error!("the tools of the repository cannot be used: {e}");
        Shelf::default()
    });
    let variables = config.surroundings.variables.clone();
    let folders = variables.get("PATH").into_iter().flat_map(std::env::split_paths);
    let (models, outputs) = (data.join("models"), data.join("outputs"));
    let users = ToolUsers::look(Folders { workspace: &workspace, models: &models, outputs: &outputs, setup: &setup });
    if let Some(why) = users.why_shared() {
        tracing::info!("{why}");
    }
    let uv = folders.map(|folder| folder.join("uv")).find(|uv| uv.is_file() && users.may_run(uv));
    let parts = tools::Parts {
        sessions: others.sessions.clone(),
        store: others.store.clone(),
        events: others.events.clone(),
        clock: others.clock.clone(),
        gates: others.gates.clone(),
        gallery: Some(Arc::new(others.artifacts.clone())),
        engines: others.engines.clone(),
        gpus: others.gpus.clone(),
        spawner: others.spawner.clone(),
        // Looked for beside the start, which does not wait for it.
        containers: ContainerEngine::look(config),
        guardian: config.engine_program.clone(),
        places: Places { workspace, models, backup: data.join("backup"), uv },
        outputs,
        users: Arc::new(users),
        doors: others.doors.clone(),
        variables,
    };
    Ok(Tools::new(shelf, parts)?)
}

/// Stops a rented pod that nobody uses, where that is wished.
async fn stop_when_idle(app: App) {
    let (pod, mut used) = (app.pod.clone(), app.logins.last_use());
    let busy = move || {
        let now = app.logins.last_use();
        std::mem::replace(&mut used, now) != now || is_busy(&app)
    };
    pod.look_on(busy).await;
}

/// Whether anything is at work that nobody has to look at: jobs, scripts and shells, or a machine that computes for a tool.
fn is_busy(app: &App) -> bool {
    let jobs = app.users.list().iter().any(|profile| app.jobs.unfinished(&profile.id) > 0);
    let live = app.sessions.all_live();
    let is_tool = |live: &sessions::Live| live.record.action == sessions::Action::Start;
    let terminals = live.iter().any(|live| !is_tool(live));
    jobs || terminals || live.iter().any(is_tool) && app.system.is_working()
}

/// The graphics cards, and the engines: one a card, or as many as are configured.
fn start_engines(config: &Config, spawner: Arc<dyn Spawner>) -> (Arc<Gpus>, Engines) {
    let gpus = Arc::new(Gpus::open());
    let launches = engines::launches(config, gpus.count());
    (gpus, Engines::start(launches, Policy::default(), &spawner))
}

/// Clears away, now and again, what nobody can ask for any more.
async fn sweep(app: App) {
    Artifacts::tidy(&app.config.data.join("outputs")).await;
    if let Err(e) = app.uploads.tidy(&app.config.data.join("spool")).await {
        tracing::warn!("clearing what a crash left of uploads: {e}");
    }
    if let Err(e) = app.datasets.tidy().await {
        tracing::warn!("clearing what a crash left of datasets: {e}");
    }
    for round in 0u64.. {
        if let Err(e) = app.artifacts.sweep().await {
            tracing::warn!("clearing deleted pictures: {e:#}");
        }
        if let Err(e) = app.uploads.sweep().await {
            tracing::warn!("clearing unfinished uploads: {e}");
        }
        if let Err(e) = app.datasets.sweep().await {
            tracing::warn!("clearing removed pictures of datasets: {e}");
        }
        // These look at whole tables, for what is days old.
        if round % ROUNDS_OF_AN_HOUR == 0 {
            if let Err(e) = app.jobs.sweep().await {
                tracing::warn!("clearing old events: {e}");
            }
            if let Err(e) = app.uploads.forget_unneeded().await {
                tracing::warn!("clearing uploads that nothing needs: {e}");
            }
            if let Err(e) = app.sessions.sweep().await {
                tracing::warn!("clearing old transcripts: {e}");
            }
            if let Err(e) = app.models.sweep().await {
                tracing::warn!("clearing unfinished uploads of models: {e}");
            }
            if let Err(e) = app.store.copy_daily().await {
                tracing::warn!("copying the store: {e}");
            }
        }
        app.clock.sleep(SWEEP_EVERY).await;
    }
}
