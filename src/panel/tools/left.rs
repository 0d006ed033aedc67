//! What an earlier panel left: tools that ran are started again. A container that runs still is taken over by its tool, where it is
//! still what is wanted, and what is of no tool that runs is removed. The engine is asked at each of these moments; nobody keeps a
//! list of containers. Knows no image's change.

use super::{
    ToolError, ToolFolder, ToolId, Tools,
    contained::{GRACE, Ready, launch},
    running,
    stand::{ToolState, Viewer},
};
use crate::{
    container_engine::in_time,
    secrets::Secret,
    sessions::Action,
    store::sessions::{self as table, Wanted},
    users::ProfileId,
};
use containers::{ContainerError, ContainerSpawner, Engine, Orphan, Suffix, Verdict, decide};
use std::{
    sync::Arc,
    time::{Duration, UNIX_EPOCH},
};

impl Tools {
    /// Starts again what was up when the last panel ended. Containers that run still are taken over; others are removed.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub async fn resume(&self) -> Result<(), ToolError> {
        self.clear_strays().await;
        self.start_wanted(|_| true).await?;
        self.clear_left().await;
        if self.0.parts.containers.may_come() {
            let tools = self.clone();
            self.0.runtime.spawn(async move { tools.resume_late().await });
        }
        Ok(())
    }

    /// The same for what runs in containers, where the engine was not there at the start.
    async fn resume_late(&self) {
        self.0.parts.containers.comes().await;
        self.learn_images().await;
        if let Err(e) = self.start_wanted(|folder| folder.spec.container.is_some()).await {
            tracing::warn!("what ran before in containers is not started again: {e}");
        }
        self.clear_left().await;
    }

    async fn start_wanted(&self, which: impl Fn(&ToolFolder) -> bool) -> Result<(), ToolError> {
        for (id, by) in self.wanted().await? {
            if self.folder(&id).is_ok_and(|folder| !which(&folder)) {
                continue;
            }
            if let Err(e) = self.start(&id, Viewer { profile: &by, admin: true }).await {
                tracing::warn!(tool = id.as_str(), "it ran before and does not start again: {e}");
            }
        }
        Ok(())
    }

    /// What was up when a panel ended, and who had started it.
    async fn wanted(&self) -> Result<Vec<(ToolId, ProfileId)>, ToolError> {
        let rows = self.0.parts.store.read(|c| table::wanted(c)).await?;
        let read = |row: Wanted| Some((ToolId::parse(&row.tool).ok()?, row.by?));
        Ok(rows.into_iter().filter_map(read).collect())
    }

    /// Before anything starts: removes what is of no tool that runs in a container now. One that runs as a process meanwhile would
    /// write to the same folders.
    async fn clear_strays(&self) {
        let Some(engine) = self.0.parts.containers.of_earlier().await else { return };
        for orphan in listed(&engine).await {
            let folder = ToolId::parse(orphan.container.tool()).ok().and_then(|id| self.folder(&id).ok());
            if folder.is_none_or(|folder| !self.is_contained(&folder)) {
                clear(&engine, &orphan, "its tool does not run in a container any more").await;
            }
        }
    }

    /// Removes what was left of tools that do not go on, and of updates that did not come to their end.
    async fn clear_left(&self) {
        let Some(engine) = self.0.parts.containers.engine() else { return };
        let Ok(wanted) = self.wanted().await else { return };
        for orphan in listed(&engine).await {
            let tool = orphan.container.tool();
            // Whoever runs or changes a tool sees to all that there is of it.
            let is_busy = |state: ToolState| state.is_up() || state.is_changing();
            if ToolId::parse(tool).is_ok_and(|id| self.doing(&id).is_some_and(is_busy)) {
                continue;
            }
            // It could not be started because nobody knew whether it is installed: it is taken over when it is.
            if !self.0.parts.containers.knows(tool) && wanted.iter().any(|(id, _)| id.as_str() == tool) {
                continue;
            }
            clear(&engine, &orphan, "its tool is not wanted any more").await;
        }
    }

    /// Removes the container of a tool that did not come as far as to take it over.
    pub(super) async fn clear_left_of(&self, folder: &ToolFolder) {
        if !self.is_contained(folder) {
            return;
        }
        let Some(engine) = self.0.parts.containers.engine() else { return };
        match left_of(&engine, folder.spec.id.as_str()).await {
            Ok(Some(orphan)) => clear(&engine, &orphan, "its tool cannot be started").await,
            Ok(None) => {}
            Err(e) => tracing::warn!(tool = folder.spec.id.as_str(), "whether its container is left is not known: {e}"),
        }
    }

    /// Goes on with the container that an earlier panel left of a tool. None: there is none, or it was another than what is wanted
    /// now and is gone.
    pub(super) async fn take_over(
        &self,
        engine: &Engine,
        folder: &ToolFolder,
        by: &ProfileId,
    ) -> Result<Option<Ready>, ToolError> {
        let id = folder.spec.id.as_str();
        let left = left_of(engine, id).await.map_err(|e| ToolError::Refused(e.to_string()))?;
        let Some(orphan) = left else { return Ok(None) };
        let port = orphan.standing.ports.first().map_or(0, |port| port.host);
        let token = orphan.standing.env.get("EASEL_TOKEN").map(|token| Secret::new(token.as_str()));
        let start = running::start_of(self, folder, by, port, token.clone());
        let spec = self.container_of(folder, &start, self.current_image(folder)?).await?;
        let whole = port != 0 && token.is_some() == folder.spec.authorization.is_some();
        let why = match decide(&orphan, Some(&spec)) {
            Verdict::Remove(why) => why,
            // Without its token the gate could let nobody in.
            Verdict::Adopt if !whole => "its port or token is not known any more",
            Verdict::Adopt => {
                tracing::info!(tool = id, "its container runs already and goes on");
                let since = self.last_written(id).await;
                let spawner = Arc::new(ContainerSpawner::adopting(engine.clone(), spec, orphan.container, since));
                return Ok(Some(Ready { launch: launch(self, id), spawner, port, token }));
            }
        };
        clear(engine, &orphan, why).await;
        Ok(None)
    }

    /// When the last terminal of a tool was written to, since 1970: what its container said after that is new.
    async fn last_written(&self, tool: &str) -> Option<Duration> {
        let sessions = &self.0.parts.sessions;
        let newest = sessions.list(Some(tool.to_owned()), None, 100).await.ok()?;
        let started = newest.into_iter().find(|record| record.action == Action::Start)?;
        let transcript = sessions.transcript(&started).await.ok()?;
        let written = tokio::task::spawn_blocking(move || transcript.written()).await.ok()?;
        written.ok()?.duration_since(UNIX_EPOCH).ok()
    }
}

/// Every container of this studio; none where the engine does not say.
async fn listed(engine: &Engine) -> Vec<Orphan> {
    let told = in_time("listing containers", engine.orphans()).await;
    told.unwrap_or_else(|e| {
        tracing::warn!("what an earlier panel left running is not known: {e}");
        Vec::new()
    })
}

/// A tool's own container, as it is; what an update left beside it is mended.
async fn left_of(engine: &Engine, tool: &str) -> Result<Option<Orphan>, ContainerError> {
    let look = async {
        engine.mend(tool).await?;
        let Some(container) = engine.find(tool, Suffix::None).await? else { return Ok(None) };
        let standing = engine.standing(&container).await?;
        Ok(Some(Orphan { container, suffix: Some(Suffix::None), standing }))
    };
    in_time("looking for its container", look).await
}

/// Ends and removes a container that nobody wants.
async fn clear(engine: &Engine, orphan: &Orphan, why: &str) {
    let tool = orphan.container.tool();
    tracing::info!(tool, "a container that was left is removed: {why}");
    if let Err(e) = engine.clear(&orphan.container, GRACE).await {
        tracing::warn!(tool, "a container that was left is not removed: {e}");
    }
}
