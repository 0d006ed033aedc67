//! The handle of an engine: connecting, whether it answers, which one it is. Knows no container.

use crate::{ContainerError, Studio, Surroundings, find};
use bollard::{API_DEFAULT_VERSION, Docker, models::SystemVersion};
use std::{
    fmt,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};
use tokio::time::timeout;

/// Seconds that the engine may take before it begins to answer. Stopping a container is asked with a time of its own on top.
const ANSWER_S: u64 = 60;
/// Whether it is there at all is told sooner.
const PING: Duration = Duration::from_secs(5);

/// An engine, used by one studio. Cheap to clone.
#[derive(Clone)]
pub struct Engine(pub(crate) Arc<Inner>);

pub(crate) struct Inner {
    pub(crate) docker: Docker,
    pub(crate) socket: PathBuf,
    pub(crate) studio: Studio,
    /// It speaks Docker's language, with gaps.
    pub(crate) podman: bool,
}

impl fmt::Debug for Engine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Engine").field("socket", &self.0.socket).field("studio", &self.0.studio).finish_non_exhaustive()
    }
}

/// Which engine it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Version {
    /// "Docker 20.10.24", "Podman Engine 5.4.0".
    pub name: String,
    /// Of its interface: "1.41".
    pub api: String,
    /// Whether it names a runtime for NVIDIA's cards. Newer Dockers may have none and give cards all the same.
    pub gpus: bool,
}

impl Engine {
    /// The engine of this machine.
    ///
    /// # Errors
    /// When there is none, it may not be used, or it does not answer.
    pub async fn here(around: &Surroundings, studio: Studio) -> Result<Engine, ContainerError> {
        Engine::at(&find(around)?, studio).await
    }

    /// The engine behind a socket.
    ///
    /// # Errors
    /// When it does not answer.
    pub async fn at(socket: &Path, studio: Studio) -> Result<Engine, ContainerError> {
        let doing = format!("connecting to {}", socket.display());
        let said = |e| ContainerError::of(&doing, e);
        let docker = Docker::connect_with_unix(&socket.to_string_lossy(), ANSWER_S, API_DEFAULT_VERSION).map_err(said)?;
        let asked = timeout(PING, docker.negotiate_version()).await;
        let docker = asked.map_err(|_| ContainerError::Lost { doing: doing.clone(), why: "no answer in time".into() })?;
        let docker = docker.map_err(said)?;
        let version = docker.version().await.map_err(said)?;
        let podman = name_of(&version).starts_with("Podman");
        Ok(Engine(Arc::new(Inner { docker, socket: socket.to_owned(), studio, podman })))
    }

    /// Its socket.
    pub fn socket(&self) -> &Path {
        &self.0.socket
    }

    /// Whose containers it is asked for.
    pub fn studio(&self) -> &Studio {
        &self.0.studio
    }

    /// Whether it answers, within 5 seconds.
    ///
    /// # Errors
    /// When it does not.
    pub async fn ping(&self) -> Result<(), ContainerError> {
        let doing = "asking whether it is there";
        match timeout(PING, self.0.docker.ping()).await {
            Ok(answer) => answer.map(drop).map_err(|e| ContainerError::of(doing, e)),
            Err(_) => Err(ContainerError::Lost { doing: doing.into(), why: "no answer in time".into() }),
        }
    }

    /// Which one it is.
    ///
    /// # Errors
    /// When it does not answer.
    pub async fn version(&self) -> Result<Version, ContainerError> {
        let said = |e| ContainerError::of("asking for its version", e);
        let version = self.0.docker.version().await.map_err(said)?;
        let info = self.0.docker.info().await.map_err(said)?;
        let name = name_of(&version).to_owned();
        let runtimes = info.runtimes.unwrap_or_default();
        Ok(Version {
            gpus: !self.0.podman && runtimes.keys().any(|runtime| runtime.contains("nvidia")),
            name: format!("{name} {}", version.version.unwrap_or_default()).trim_end().to_owned(),
            api: version.api_version.unwrap_or_default(),
        })
    }

    /// A path of its interface, in the version that both sides speak.
    pub(crate) fn path(&self, rest: &str) -> String {
        let version = self.0.docker.client_version();
        format!("/v{}.{}{rest}", version.major_version, version.minor_version)
    }
}

/// Docker calls its main part "Engine", Podman "Podman Engine".
fn name_of(version: &SystemVersion) -> &str {
    let main = version.components.as_deref().and_then(|parts| parts.first());
    match main.map(|part| part.name.as_str()) {
        None | Some("Engine") => "Docker",
        Some(name) => name,
    }
}
