//! Puts the parts together and serves until told to stop. Knows every part, decides nothing.

use crate::{
    app::App,
    artifacts::Artifacts,
    boot::{self, News},
    clock::Clock,
    config::Config,
    control::{Desk, socket::Socket},
    datafolder::DataFolder,
    doors::Doors,
    engine_client::EngineClient,
    events::Events,
    jobs::{self, Jobs},
    logins::Logins,
    store::Store,
    uploads::Uploads,
    users::Users,
    web,
};
use actix_web::{App as Actix, HttpServer, dev::Server, middleware, web::Data};
use anyhow::Context;
use std::{net::TcpListener, sync::Arc, time::Duration};
use supervise::{HostSpawner, Launch, Policy};
use tokio::signal::unix::{SignalKind, signal};

/// Connections that the kernel keeps waiting for us.
const BACKLOG: u32 = 1024;
/// Threads that serve; the engine wants the other cores.
const MOST_WORKERS: usize = 4;
/// Niceness of the engine.
const ENGINE_NICE: u8 = 10;
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
    /// Opens everything and binds; nothing is served yet.
    pub async fn build(config: Config) -> anyhow::Result<Application> {
        Application::build_at(config, Clock::real()).await
    }

    /// The same, by another clock.
    pub async fn build_at(config: Config, clock: Clock) -> anyhow::Result<Application> {
        let mut config = config;
        config.surroundings = config.surroundings.with_interfaces();
        if let Some(folder) = &config.assets {
            assets::serve_from(folder.clone());
        }
        let (path, surroundings) = (config.data.clone(), config.surroundings.clone());
        let folder = tokio::task::spawn_blocking(move || DataFolder::take(&path, &surroundings)).await??;
        let listener = TcpListener::bind((config.bind, config.port))
            .with_context(|| format!("listening on {} port {}", config.bind, config.port))?;
        let port = listener.local_addr()?.port();
        let store = Store::open(&config.data.join("state"))?.guarded(folder.guard());
        let events = Events::open(store.clone()).await?;
        let artifacts = Artifacts::open(&config.data.join("outputs"), store.clone(), events.clone(), clock.clone())?;
        let uploads = Uploads::open(&config.data.join("spool"), store.clone(), clock.clone())?;
        let engine = EngineClient::start(launch(&config), Policy::default(), Arc::new(HostSpawner::new()?));
        let parts = jobs::Parts {
            store: store.clone(),
            events: events.clone(),
            artifacts: artifacts.clone(),
            uploads: uploads.clone(),
            engine: engine.clone(),
            clock: clock.clone(),
        };
        let doors = Doors::open(&config, port, store.clone(), clock.clone())?;
        let app = App {
            users: Users::open(store.clone(), clock.clone()).await?,
            logins: Logins::open(store.clone(), clock.clone()).await?,
            doors,
            clock,
            jobs: Jobs::open(parts).await?,
            engine,
            artifacts,
            uploads,
            events,
            config: Arc::new(config),
            store,
        };
        boot::sync_users(&app.users, &app.logins, &app.config.users).await?;
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

    /// Serves until SIGTERM or SIGINT, then ends in order: no new requests, streams end, the running job
    /// goes back to the queue, the engine ends.
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
        let watch = boot::watch_users(app.users.clone(), app.logins.clone(), app.config.users.clone());
        let watch = tokio::spawn(watch);
        let control = tokio::spawn(control.serve(Desk::of(&app)));
        let handle = server.handle();
        let sweeper = tokio::spawn(sweep(app.clone()));
        let serving = tokio::spawn(server);
        let lost = tokio::select! {
            () = told => None,
            lost = folder.lost() => Some(lost),
        };
        tracing::info!("stopping");
        sweeper.abort();
        watch.abort();
        app.events.close();
        handle.stop(true).await;
        serving.await.context("serving")?.context("serving")?;
        app.jobs.stop().await;
        app.engine.stop().await;
        control.abort();
        let _ = control.await;
        drop(folder);
        lost.map_or(Ok(()), |lost| Err(lost.into()))
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

/// What to start as engine: behind everything else, so that pages answer while it saturates the machine.
fn launch(config: &Config) -> Launch {
    Launch::new(&config.engine_program)
        .arg("engine")
        .arg("--data")
        .arg(&config.data)
        .arg("--threads")
        .arg(config.engine_threads.to_string())
        .arg("--idle-s")
        .arg(config.engine_idle.as_secs().to_string())
        .nice(ENGINE_NICE)
        .with_stream()
}

/// Clears away, now and again, what nobody can ask for any more.
async fn sweep(app: App) {
    Artifacts::tidy(&app.config.data.join("outputs")).await;
    if let Err(e) = app.uploads.tidy(&app.config.data.join("spool")).await {
        tracing::warn!("clearing what a crash left of uploads: {e}");
    }
    for round in 0u64.. {
        if let Err(e) = app.artifacts.sweep().await {
            tracing::warn!("clearing deleted pictures: {e:#}");
        }
        if let Err(e) = app.uploads.sweep().await {
            tracing::warn!("clearing unfinished uploads: {e}");
        }
        // These look at whole tables, for what is days old.
        if round % ROUNDS_OF_AN_HOUR == 0 {
            if let Err(e) = app.jobs.sweep().await {
                tracing::warn!("clearing old events: {e}");
            }
            if let Err(e) = app.uploads.forget_unneeded().await {
                tracing::warn!("clearing uploads that nothing needs: {e}");
            }
            if let Err(e) = app.store.copy_daily().await {
                tracing::warn!("copying the store: {e}");
            }
        }
        app.clock.sleep(SWEEP_EVERY).await;
    }
}
