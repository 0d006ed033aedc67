//! The handles that a request may reach. Knows no HTTP; every handle is cheap to clone.

use crate::{
    artifacts::Artifacts, audit::Audit, boot::Boot, clock::Clock, config::Config, container_engine::ContainerEngine,
    datasets::Datasets, doors::Doors, engine_client::Engines, events::Events, gate::Gates, jobs::Jobs, logins::Logins,
    logs::Logs, models::Models, pod::Pod, sessions::Sessions, store::Store, system::System, tools::Tools, uploads::Uploads,
    users::Users,
};
use std::sync::Arc;

/// Everything that a request may reach.
#[derive(Clone, Debug)]
pub struct App {
    /// What Easel was told.
    pub config: Arc<Config>,
    /// The time.
    pub clock: Clock,
    /// When this process began to serve, ms since 1970.
    pub started: i64,
    /// SQLite behind one writer thread.
    pub store: Store,
    /// Profiles.
    pub users: Users,
    /// Who is logged in.
    pub logins: Logins,
    /// The studio key and the rules of the front door.
    pub doors: Doors,
    /// The doors in front of tools.
    pub gates: Gates,
    /// The queue and its jobs.
    pub jobs: Jobs,
    /// The engine children.
    pub engines: Engines,
    /// Live terminals and transcripts.
    pub sessions: Sessions,
    /// Programs beside the studio.
    pub tools: Tools,
    /// What runs tools in containers, if there is anything.
    pub containers: ContainerEngine,
    /// Finished pictures.
    pub artifacts: Artifacts,
    /// Pictures that artists brought.
    pub uploads: Uploads,
    /// Pictures with captions, for training.
    pub datasets: Datasets,
    /// The stream of what happens.
    pub events: Events,
    /// Who changed what.
    pub audit: Audit,
    /// What was logged.
    pub logs: Logs,
    /// Models on their way in and out.
    pub models: Models,
    /// How it started, and its repositories.
    pub boot: Boot,
    /// The rented pod that it may be on.
    pub pod: Pod,
    /// What the machine does.
    pub system: System,
}
