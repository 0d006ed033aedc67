//! Puts the parts together and serves until told to stop. Knows every part, decides nothing.

use crate::{
    app::App, artifacts::Artifacts, clock::Clock, config::Config, doors::Doors, engine_client::EngineClient, events::Events,
    jobs::Jobs, logins::Logins, store::Store, uploads::Uploads, users::Users, web,
};
use actix_web::{App as Actix, HttpServer, dev::Server, middleware, web::Data};
use anyhow::Context;
use std::{net::TcpListener, sync::Arc};

/// Connections that the kernel keeps waiting for us.
const BACKLOG: u32 = 1024;
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
        let app = App {
            clock,
            users: Users::new(store.clone()),
            logins: Logins::new(store.clone()),
            doors: Doors::new(&config),
            jobs: Jobs::new(),
            engine: EngineClient::new(),
            artifacts: Artifacts::new(),
            uploads: Uploads::new(),
            events: Events::new(),
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

    /// Serves until SIGTERM or SIGINT, then ends in order.
    pub async fn run_until_stopped(self) -> anyhow::Result<()> {
        self.serve()?.await.context("serving")
    }

    fn serve(self) -> anyhow::Result<Server> {
        let app = Data::new(self.app);
        let make =
            move || Actix::new().app_data(app.clone()).wrap(middleware::from_fn(web::pages_of_errors)).configure(web::routes);
        let workers = std::thread::available_parallelism().map_or(2, |n| n.get().min(4));
        let server = HttpServer::new(make).workers(workers).backlog(BACKLOG).shutdown_timeout(GRACE_S);
        Ok(server.listen(self.listener)?.run())
    }
}
