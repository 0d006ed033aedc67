//! A tool's image is fetched, tried and gone back from, in a terminal as a script is. What a container is stands in `contained.rs`,
//! what becomes of those that a panel left in `left.rs`.

use super::{
    Container, Health, ToolError, ToolFolder, Tools,
    contained::{GRACE, launch},
    health::Asker,
    ports, running,
};
use crate::{sessions::Action, users::ProfileId};
use containers::{ContainerError, ContainerSpec, Engine, ImageId, ImageName, Road, Suffix, Work, WorkSpawner};
use std::{
    ops::ControlFlow,
    sync::Arc,
    time::{Duration, Instant},
};
use supervise::{Launch, Spawner};
use tokio::time::sleep;

/// Between two questions whether a new image works.
const ASK: Duration = Duration::from_millis(500);

/// A new image of a tool on trial.
struct Trial {
    engine: Engine,
    name: ImageName,
    /// What it runs from now.
    current: Option<ImageId>,
    /// What it goes back to; none: to what the registry has.
    back_to: Option<ImageId>,
    /// Of the current image; the new one takes its place.
    spec: ContainerSpec,
    asker: Asker,
    health: Health,
    port: u16,
}

impl Trial {
    async fn run(self, mut work: Work) -> Result<(), ContainerError> {
        let Trial { engine, name, current, back_to, mut spec, asker, health, port } = self;
        spec.image = match back_to {
            Some(former) => {
                work.step(1, 2, "Taking the former image");
                former
            }
            None => {
                work.step(1, 2, format_args!("Pulling {name}"));
                pull(&engine, &name, current.as_ref(), &mut work).await?
            }
        };
        if current.as_ref() == Some(&spec.image) {
            work.line("It is up to date.");
            return Ok(());
        }
        work.step(2, 2, "Trying it");
        let timeout = health.start_timeout;
        let updated = engine.update(&spec, GRACE, async |_| wait_until_well(&asker, port, &health, timeout).await).await?;
        // It was tried, and rests again.
        engine.clear(&updated.container, GRACE).await
    }
}

async fn wait_until_well(asker: &Asker, port: u16, health: &Health, timeout: Duration) -> Result<(), String> {
    let begun = Instant::now();
    while !asker.is_well(port, health).await {
        if begun.elapsed() > timeout {
            return Err(format!("it did not answer on {} within {} s", health.path, timeout.as_secs()));
        }
        sleep(ASK).await;
    }
    Ok(())
}

/// Gets an image from its registry. Where that has none to give, one of that name that somebody put here is taken, unless it is
/// what runs already.
async fn pull(engine: &Engine, name: &ImageName, current: Option<&ImageId>, work: &mut Work) -> Result<ImageId, ContainerError> {
    let pulled = engine.pull(name, None, |progress| {
        work.progress(&progress);
        ControlFlow::Continue(())
    });
    let why = match pulled.await {
        Ok(pulled) => {
            work.line("");
            return Ok(pulled.id);
        }
        Err(why @ (ContainerError::NotPulled { .. } | ContainerError::NoImage { .. } | ContainerError::Denied { .. })) => why,
        Err(why) => return Err(why),
    };
    match engine.image(name.as_str()).await? {
        Some(here) if current != Some(&here) => {
            work.line(format_args!("::warn The image that is here already is taken. {why}"));
            Ok(here)
        }
        _ => Err(why),
    }
}

impl Tools {
    /// What does with a tool's image what a script does with a process's folder.
    pub(super) async fn work_on_image(
        &self,
        folder: &ToolFolder,
        action: Action,
        by: &ProfileId,
    ) -> Result<(Launch, Arc<dyn Spawner>), ToolError> {
        let (engine, Container { image: name, .. }, _) = self.engine_for(folder)?;
        let (id, name) = (folder.spec.id.as_str().to_owned(), name.clone());
        let what = format!("The image of {}", folder.spec.name);
        let work = match action {
            Action::Install => WorkSpawner::new(&what, async move |mut work: Work| {
                work.step(1, 1, format_args!("Pulling {name}"));
                let image = pull(&engine, &name, None, &mut work).await?;
                engine.keep(&id, &image).await
            }),
            Action::Update | Action::GoBack => {
                let trial = self.trial(folder, action, by).await?;
                WorkSpawner::new(&what, move |work: Work| trial.run(work))
            }
            _ => return Err(ToolError::Refused("Its container is made anew at each start already.".into())),
        };
        Ok((launch(self, &what), Arc::new(work)))
    }

    async fn trial(&self, folder: &ToolFolder, action: Action, by: &ProfileId) -> Result<Trial, ToolError> {
        let (engine, Container { image: name, .. }, _) = self.engine_for(folder)?;
        let kept = self.0.parts.containers.kept(folder.spec.id.as_str());
        let current = kept.current.ok_or_else(|| ToolError::Refused("It is not installed.".into()))?;
        let back_to = if action == Action::GoBack { kept.former } else { None };
        if action == Action::GoBack && back_to.is_none() {
            return Err(ToolError::Refused("There is no former image to go back to.".into()));
        }
        if let Some(why) = self.make_room(folder).await {
            return Err(ToolError::NoRoom(why));
        }
        let (port, health) = (ports::free()?, folder.spec.health.clone().ok_or(ToolError::Unknown)?);
        let token = folder.spec.authorization.is_some().then(crate::secrets::random_token);
        let start = running::start_of(self, folder, by, port, token);
        let spec = self.container_of(folder, &start, current.clone()).await?;
        let (asker, name) = (self.0.asker.clone(), name.clone());
        Ok(Trial { engine, name, current: Some(current), back_to, spec, asker, health, port })
    }

    /// After a change of a tool's image, however it ended: no container of it is left, and what is kept is known.
    pub(super) async fn after_image(&self, folder: &ToolFolder) {
        let (tool, containers) = (folder.spec.id.as_str(), &self.0.parts.containers);
        let Some(engine) = containers.engine() else { return };
        let tidy = async {
            engine.mend(tool).await?;
            if let Some(left) = engine.find(tool, Suffix::None).await? {
                engine.clear(&left, GRACE).await?;
            }
            containers.learn(tool).await
        };
        if let Err(e) = tidy.await {
            tracing::warn!(tool, "what a change of its image left is not cleared away: {e}");
        }
    }

    /// Asks the engine what it keeps of the tools that run in containers, once it was looked for.
    pub(super) async fn learn_images(&self) {
        self.0.parts.containers.settled().await;
        for folder in self.folders().iter().filter(|folder| folder.spec.container.is_some()) {
            let tool = folder.spec.id.as_str();
            if let Err(e) = self.0.parts.containers.learn(tool).await {
                tracing::warn!(tool, "whether its image is here is not known: {e}");
            }
        }
        self.tell();
    }

    /// Whether a tool runs in a container, as far as is known now.
    pub(super) fn is_contained(&self, folder: &ToolFolder) -> bool {
        self.road(folder) == Ok(Road::Container)
    }
}
