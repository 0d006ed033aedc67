//! Puts the parts together and serves until told to stop. Knows every part, decides nothing.

use crate::{
    app::App,
    artifacts::Artifacts,
    clock::Clock,
    config::Config,
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
}

impl Application {
    /// Opens everything and binds; nothing is served yet.
    pub async fn build(config: Config) -> anyhow::Result<Application> {
        Application::build_at(config, Clock::real()).await
    }

    /// The same, by another clock.
    pub async fn build_at(config: Config, clock: Clock) -> anyhow::Result<Application> {
        let listener = TcpListener::bind((config.bind, config.port))
            .with_context(|| format!("listening on {} port {}", config.bind, config.port))?;
        let port = listener.local_addr()?.port();
        let store = Store::open(&config.data.join("state"))?;
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
        let app = App {
            clock,
            users: Users::new(store.clone()),
            logins: Logins::new(store.clone()),
            doors: Doors::new(&config),
            jobs: Jobs::open(parts).await?,
            engine,
            artifacts,
            uploads,
            events,
            config: Arc::new(config),
            store,
        };
        Ok(Application { app, port, listener })
    }

    /// The port that was taken.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The handles, for the control socket and for tests.
    pub fn app(&self) -> &App {
        &self.app
    }

    /// Serves until SIGTERM or SIGINT, then ends in order: no new requests, streams end, the running job
    /// goes back to the queue, the engine ends.
    pub async fn run_until_stopped(self) -> anyhow::Result<()> {
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
        let app = self.app.clone();
        let server = self.serve()?;
        let handle = server.handle();
        let sweeper = tokio::spawn(sweep(app.clone()));
        let serving = tokio::spawn(server);
        told.await;
        tracing::info!("stopping");
        sweeper.abort();
        app.events.close();
        handle.stop(true).await;
        serving.await.context("serving")?.context("serving")?;
        app.jobs.stop().await;
        app.engine.stop().await;
        Ok(())
    }

    fn serve(self) -> anyhow::Result<Server> {
        let app = Data::new(self.app);
        let make =
            move || Actix::new().app_data(app.clone()).wrap(middleware::from_fn(web::pages_of_errors)).configure(web::routes);
        let workers = std::thread::available_parallelism().map_or(2, |n| n.get().min(MOST_WORKERS));
        let server = HttpServer::new(make).workers(workers).backlog(BACKLOG).shutdown_timeout(GRACE_S).disable_signals();
        Ok(server.listen(self.listener)?.run())
    }
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
    loop {
        if let Err(e) = app.artifacts.sweep().await {
            tracing::warn!("clearing deleted pictures: {e:#}");
        }
        if let Err(e) = app.uploads.sweep().await {
            tracing::warn!("clearing unfinished uploads: {e}");
        }
        if let Err(e) = app.jobs.sweep().await {
            tracing::warn!("clearing old events: {e}");
        }
        app.clock.sleep(SWEEP_EVERY).await;
    }
}
