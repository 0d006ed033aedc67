//! One container of this studio, from its making to its removal. Whatever changes one takes an [`Owned`].

use crate::{ContainerError, ContainerSpec, Engine, Gpus, Standing, Suffix, body, inspect::exit_of, raw};
use bollard::{
    errors::Error,
    models::{ContainerCreateResponse, ContainerInspectResponse},
    query_parameters::{
        KillContainerOptions, RemoveContainerOptions, RenameContainerOptions, ResizeContainerTTYOptions, StartContainerOptions,
        StopContainerOptions, WaitContainerOptions,
    },
};
use futures_util::StreamExt as _;
use serde_json::Value;
use std::time::{Duration, Instant};
use supervise::{Exit, Size};
use tokio::time::sleep;

/// Whoever waits for a container's end does so through a restart of the engine that takes no longer.
const LOST: Duration = Duration::from_secs(60);
/// Between two questions whether the engine is there meanwhile: one that hangs ends no connection.
const LOOK: Duration = Duration::from_secs(10);
/// Between two tries to wait again.
const AGAIN: Duration = Duration::from_millis(300);
/// On top of the grace, for the engine's own work.
const STOPPING: Duration = Duration::from_secs(30);

/// A container of this studio. Only a look at its labels makes one, and its id never means another container.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Owned {
    id: String,
    tool: String,
    spec: String,
}

impl Owned {
    /// The engine's id of it, 64 hexadecimal digits.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// The tool that it is for.
    pub fn tool(&self) -> &str {
        &self.tool
    }

    /// Hash of what it was made from.
    pub fn spec_hash(&self) -> &str {
        &self.spec
    }
}

impl Engine {
    /// Makes a container without starting it. One of the same name that is left from before is removed.
    ///
    /// # Errors
    /// When the specification is wrong, the image is not here, or the name is somebody else's.
    pub async fn create(&self, spec: &ContainerSpec, suffix: Suffix) -> Result<Owned, ContainerError> {
        spec.check()?;
        if self.0.podman && spec.gpus != Gpus::None {
            // It takes the request, and starts a container without any.
            return Err(ContainerError::NoGpus { why: "Podman takes no notice of Docker's way to ask for them".into() });
        }
        for mount in &spec.mounts {
            // Some engines make a folder that is not there, as root.
            tokio::fs::metadata(&mount.host).await.map_err(|why| {
                ContainerError::Wrong(format!("{} cannot be seen in the container: {why}.", mount.host.display()))
            })?;
        }
        if let Some(left) = self.find(&spec.tool, suffix).await? {
            self.remove(&left).await?;
        }
        let path = self.path(&format!("/containers/create?name={}", self.0.studio.container(&spec.tool, suffix)));
        let body = body::of(spec, &self.0.studio);
        let made = raw::post(self.socket(), &path, &body, "making the container").await;
        let made: ContainerCreateResponse = made.map_err(|e| match e {
            // It is asked for by its id, so no name can be wrong: somebody cleared it away.
            ContainerError::NoImage { .. } => ContainerError::ImageGone { image: spec.image.short() },
            other => other,
        })?;
        Ok(Owned { id: made.id, tool: spec.tool.clone(), spec: spec.hash() })
    }

    /// A tool's container, whether it runs or not.
    ///
    /// # Errors
    /// When the name is somebody else's, or the engine does not answer.
    pub async fn find(&self, tool: &str, suffix: Suffix) -> Result<Option<Owned>, ContainerError> {
        let name = self.0.studio.container(tool, suffix);
        match self.inspect(&name).await {
            Ok(told) => self.owned(&told).map(Some).ok_or(ContainerError::NotOurs(name)),
            Err(ContainerError::Gone { .. }) => Ok(None),
            Err(e) => Err(e),
        }
    }

    /// Starts it.
    ///
    /// # Errors
    /// When it cannot run: no graphics cards, a taken port, no such program.
    pub async fn start(&self, container: &Owned) -> Result<(), ContainerError> {
        let started = self.0.docker.start_container(&container.id, None::<StartContainerOptions>).await;
        started.map_err(|e| ContainerError::of("starting the container", e))
    }

    /// How it stands.
    ///
    /// # Errors
    /// When it is gone, or the engine does not answer.
    pub async fn standing(&self, container: &Owned) -> Result<Standing, ContainerError> {
        Ok(Standing::of(&self.inspect(&container.id).await?))
    }

    /// Asks it to end, and ends it after `grace`. Returns when it has ended.
    ///
    /// # Errors
    /// When the engine does not do it in that time and half a minute.
    pub async fn stop(&self, container: &Owned, grace: Duration) -> Result<(), ContainerError> {
        let docker = self.0.docker.clone().with_timeout(grace + STOPPING);
        let options = StopContainerOptions { signal: None, t: Some(i32::try_from(grace.as_secs()).unwrap_or(i32::MAX)) };
        ended_is_well(docker.stop_container(&container.id, Some(options)).await, "stopping the container")
    }

    /// Asks it to end, by the signal that its image names, and does not wait.
    ///
    /// # Errors
    /// When the engine does not answer.
    pub async fn terminate(&self, container: &Owned) -> Result<(), ContainerError> {
        let named = self.inspect(&container.id).await?.config.and_then(|config| config.stop_signal);
        self.send(container, named.as_deref().filter(|name| !name.is_empty()).unwrap_or("SIGTERM")).await
    }

    /// Ends it.
    ///
    /// # Errors
    /// When the engine does not answer.
    pub async fn kill(&self, container: &Owned) -> Result<(), ContainerError> {
        self.send(container, "SIGKILL").await
    }

    async fn send(&self, container: &Owned, signal: &str) -> Result<(), ContainerError> {
        let options = KillContainerOptions { signal: signal.to_owned() };
        ended_is_well(self.0.docker.kill_container(&container.id, Some(options)).await, "ending the container")
    }

    /// Removes it with what it alone kept; folders of this machine stay. Ends it first where it runs.
    ///
    /// # Errors
    /// When the engine does not do it.
    pub async fn remove(&self, container: &Owned) -> Result<(), ContainerError> {
        let options = RemoveContainerOptions { v: true, force: true, link: false };
        match self.0.docker.remove_container(&container.id, Some(options)).await {
            // Somebody else does.
            Err(Error::DockerResponseServerError { status_code: 409, message }) if message.contains("in progress") => Ok(()),
            done => ended_is_well(done, "removing the container"),
        }
    }

    /// Gives it another of its tool's names.
    ///
    /// # Errors
    /// When that name is taken.
    pub async fn rename(&self, container: &Owned, suffix: Suffix) -> Result<(), ContainerError> {
        let options = RenameContainerOptions { name: self.0.studio.container(&container.tool, suffix) };
        let done = self.0.docker.rename_container(&container.id, options).await;
        done.map_err(|e| ContainerError::of("renaming the container", e))
    }

    /// Sets the size of its terminal.
    ///
    /// # Errors
    /// When it does not run.
    pub async fn resize(&self, container: &Owned, size: Size) -> Result<(), ContainerError> {
        let options = ResizeContainerTTYOptions { h: size.rows.into(), w: size.cols.into() };
        let done = self.0.docker.resize_container_tty(&container.id, options).await;
        done.map_err(|e| ContainerError::of("resizing a terminal", e))
    }

    /// Waits for its end, through a restart of the engine too. Unknown: it was removed, or the engine stayed away for a
    /// minute.
    pub async fn wait(&self, container: &Owned) -> Exit {
        tokio::select! {
            exit = self.wait_through_restarts(container) => exit,
            () = gone(|| async { self.ping().await.is_ok() }, LOOK, LOST) => {
                tracing::warn!(tool = container.tool, "the container engine does not answer any more");
                Exit::Unknown
            }
        }
    }

    async fn wait_through_restarts(&self, container: &Owned) -> Exit {
        loop {
            match self.wait_once(container).await {
                Ok(Some(exit)) => return exit,
                // The engine ended, and closed its answer in good order.
                Ok(None) => {}
                Err(e) if e.is_lost() => tracing::debug!("{e}"),
                Err(e) => {
                    tracing::warn!(tool = container.tool, "{e}");
                    return Exit::Unknown;
                }
            }
            sleep(AGAIN).await;
        }
    }

    async fn wait_once(&self, container: &Owned) -> Result<Option<Exit>, ContainerError> {
        let options = WaitContainerOptions { condition: "not-running".into() };
        let told = std::pin::pin!(self.0.docker.wait_container(&container.id, Some(options))).next().await;
        match told {
            None => Ok(None),
            Some(Ok(told)) => Ok(Some(exit_of(told.status_code))),
            Some(Err(Error::DockerContainerWaitError { code, .. })) => Ok(Some(exit_of(code))),
            Some(Err(e)) => Err(ContainerError::of("waiting for its end", e)),
        }
    }

    /// The latest bytes that it wrote, at most so many, out of the engine's log.
    ///
    /// # Errors
    /// When it is gone, or the engine does not answer.
    pub async fn last_words(&self, container: &Owned, most: usize) -> Result<Vec<u8>, ContainerError> {
        let mut last = self.log(container, None).await?;
        last.drain(..last.len().saturating_sub(most));
        Ok(last)
    }

    /// What the engine's log has, from a moment on (since 1970).
    pub(crate) async fn log(&self, container: &Owned, since: Option<Duration>) -> Result<Vec<u8>, ContainerError> {
        let since = since.map(|at| format!("&since={}.{:09}", at.as_secs(), at.subsec_nanos())).unwrap_or_default();
        let path = self.path(&format!("/containers/{}/logs?stdout=1&stderr=1{since}", container.id));
        let mut log = Vec::new();
        let take = |bytes: &[u8]| {
            log.extend_from_slice(bytes);
            log.len() < LOG_MAX
        };
        raw::read(self.socket(), &path, "reading its log", take).await.map(|()| log)
    }

    pub(crate) async fn inspect(&self, id: &str) -> Result<ContainerInspectResponse, ContainerError> {
        let (path, doing) = (self.path(&format!("/containers/{id}/json")), "looking at the container");
        let mut told: Value = raw::get(self.socket(), &path, doing).await?;
        // Podman has a word for it that Docker has not; nobody here asks for it.
        let _ = told.pointer_mut("/State/Status").map(Value::take);
        let lost = |e: serde_json::Error| ContainerError::Lost { doing: doing.into(), why: e.to_string() };
        serde_json::from_value(told).map_err(lost)
    }

    /// Whose it is. None: not this studio's.
    pub(crate) fn owned(&self, told: &ContainerInspectResponse) -> Option<Owned> {
        let (tool, spec) = self.0.studio.reads(told.config.as_ref()?.labels.as_ref()?)?;
        Some(Owned { id: told.id.clone()?, tool, spec })
    }
}

/// Most of a log that is read: its own limits are smaller, unless somebody else made them.
const LOG_MAX: usize = 32 << 20;

/// Returns once something that is asked every `look` has not answered for longer than `lost`.
async fn gone<F: Future<Output = bool>>(mut answers: impl FnMut() -> F, look: Duration, lost: Duration) {
    let mut heard = Instant::now();
    while heard.elapsed() <= lost {
        sleep(look).await;
        if answers().await {
            heard = Instant::now();
        }
    }
}

/// What has ended, or is gone, need not be ended: that is what was wanted.
fn ended_is_well(done: Result<(), Error>, doing: &str) -> Result<(), ContainerError> {
    match done {
        Err(Error::DockerResponseServerError { status_code: 304, .. }) => Ok(()),
        Err(Error::DockerResponseServerError { status_code: 409, message }) if message.contains("not running") => Ok(()),
        Err(e) => match ContainerError::of(doing, e) {
            ContainerError::Gone { .. } => Ok(()),
            other => Err(other),
        },
        Ok(()) => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn an_engine_is_given_up_only_when_it_was_away_without_a_break() {
        let (look, lost) = (Duration::from_millis(5), Duration::from_millis(500));
        let mut asked = 0;
        let away_at_times = || {
            asked += 1;
            std::future::ready(asked % 4 == 0 && asked < 300)
        };
        let begun = Instant::now();
        gone(away_at_times, look, lost).await;
        assert!(asked >= 300 && begun.elapsed() > 2 * lost, "given up after {asked} questions");
    }
}
