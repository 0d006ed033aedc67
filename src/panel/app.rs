//! The handles that a request may reach. Knows no HTTP; every handle is cheap to clone.

use crate::{
    artifacts::Artifacts, clock::Clock, config::Config, doors::Doors, engine_client::EngineClient, events::Events, jobs::Jobs,
    logins::Logins, store::Store, uploads::Uploads, users::Users,
};
use std::sync::Arc;

/// Everything that a request may reach.
#[derive(Clone, Debug)]
pub struct App {
    /// What Easel was told.
    pub config: Arc<Config>,
    /// The time.
    pub clock: Clock,
    /// SQLite behind one writer thread.
    pub store: Store,
    /// Profiles.
    pub users: Users,
    /// Who is logged in.
    pub logins: Logins,
    /// The studio key and the rules of the front door.
    pub doors: Doors,
    /// The queue and its jobs.
    pub jobs: Jobs,
    /// The engine child.
    pub engine: EngineClient,
    /// Finished pictures.
    pub artifacts: Artifacts,
    /// Pictures that artists brought.
    pub uploads: Uploads,
    /// The stream of what happens.
    pub events: Events,
}
