//! A tool in a container: what its container is, what of the contract's environment it sees, and how it is made ready to start.
//! What is done with its image stands in `image.rs`, what becomes of one that an earlier panel left in `left.rs`.

use super::{
    Admits, Container, Home, Installation, ToolError, ToolFolder, Tools,
    contract::{Call, Places, Start, environment},
    ports, running,
    shell::TERM,
};
use crate::{
    container_engine::{ContainerEngine, Kept},
    secrets::Secret,
    uids::ToolUser,
    users::ProfileId,
};
use containers::{ContainerSpawner, ContainerSpec, Engine, Gpus, ImageId, Mount, NoEngine, Port, Road};
use std::{
    collections::BTreeMap,
    os::unix::fs::MetadataExt as _,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};
use supervise::{Guarded, Launch, Size, Spawner};

/// After it was asked to end, a container gets so long before it is killed.
pub(super) const GRACE: Duration = Duration::from_secs(10);
/// Variables that differ at every start; a container with other ones is the same container.
const ONCE: [&str; 3] = ["EASEL_TOKEN", "EASEL_BASE_URL", "EASEL_PROFILE"];
/// What of Easel's own environment a container gets beside what its `tool.toml` names: nothing that is a path of this machine.
const PASSED: &[&str] = &[
    "EASEL_TOOL",
    "EASEL_GIT_MIRROR",
    "EASEL_TORCH_INDEX",
    "EASEL_DOTNET_FEED",
    "EASEL_GPU",
    "EASEL_OUTPUT",
    "EASEL_INPUT",
    "EASEL_TEMP",
    "EASEL_USER_DIR",
    "HF_ENDPOINT",
    "UV_INDEX_URL",
    "UV_DEFAULT_INDEX",
    "PIP_INDEX_URL",
    "http_proxy",
    "https_proxy",
    "no_proxy",
    "all_proxy",
    "HTTP_PROXY",
    "HTTPS_PROXY",
    "NO_PROXY",
    "ALL_PROXY",
    "LANG",
    "LANGUAGE",
    "TZ",
];

/// A container that is ready to be started.
pub(super) struct Ready {
    pub(super) launch: Launch,
    pub(super) spawner: Arc<dyn Spawner>,
    /// Its port on loopback.
    pub(super) port: u16,
    pub(super) token: Option<Secret>,
}

/// What a container is made from.
pub(super) struct Wanted<'a> {
    pub(super) folder: &'a ToolFolder,
    pub(super) container: &'a Container,
    /// Its folder below the workspace.
    pub(super) home: &'a str,
    pub(super) places: &'a Places,
    pub(super) start: &'a Start,
    pub(super) user: Option<(u32, u32)>,
    pub(super) image: ImageId,
    /// Easel's own environment.
    pub(super) panel: &'a BTreeMap<String, String>,
}

/// The container of a tool. Folders are seen inside where they lie outside, unless `tool.toml` says otherwise, so that the
/// contract's variables are true there too.
pub(super) fn spec_of(wanted: &Wanted<'_>) -> ContainerSpec {
    let Wanted { folder, container, home, places, start, user, image, panel } = wanted;
    let tool = &folder.spec;
    let call = Call::Start((*start).clone());
    let all = environment(tool, home, &folder.path, places, &call, panel);
    let seen = |name: &String| PASSED.contains(&name.as_str()) || name.starts_with("LC_") || tool.environment.contains(name);
    let own = places.workspace.join(home);
    let data = container.data.clone().unwrap_or_else(|| own.clone());
    let models = container.models.clone().unwrap_or_else(|| places.models.clone());
    let mut spec = ContainerSpec::new(tool.id.as_str(), image.clone());
    spec.once = ONCE.iter().filter_map(|name| Some(((*name).to_owned(), all.get(*name)?.clone()))).collect();
    spec.env = all.into_iter().filter(|(name, _)| seen(name)).collect();
    let mut set = |name: &str, value: String| drop(spec.env.insert(name.to_owned(), value));
    set("EASEL_TOOL_DIR", text(&data));
    set("EASEL_MODELS", text(&models));
    // Only loopback of this machine leads there; inside, loopback would be the container's own.
    set("EASEL_HOST", "0.0.0.0".into());
    set("EASEL_PORT", container.port.to_string());
    TERM.iter().for_each(|(name, value)| set(name, (*value).to_owned()));
    if user.is_some() {
        // An image knows no such user, and programs would write to the root folder.
        set("HOME", text(&data.join("home")));
    }
    spec.mounts = vec![
        Mount { host: own, inside: data, read_only: false },
        Mount { host: places.models.clone(), inside: models, read_only: true },
    ];
    if let Some((_, own)) = start.profile.as_ref().filter(|_| has_own_folders(folder)) {
        spec.mounts.push(Mount { host: own.clone(), inside: own.clone(), read_only: false });
    }
    spec.command = container.command.clone();
    spec.user = *user;
    spec.ports = vec![Port { host: start.port, inside: container.port }];
    spec.gpus = if tool.needs_gpu { Gpus::All } else { Gpus::None };
    spec.memory = container.memory;
    spec.shared_memory = container.shared_memory;
    spec.capabilities = container.capabilities.clone();
    spec
}

fn text(path: &Path) -> String {
    path.to_string_lossy().into_owned()
}

/// Whether the profile that starts it has folders of its own in it.
pub(super) fn has_own_folders(folder: &ToolFolder) -> bool {
    folder.spec.admits != Admits::Everyone && !folder.spec.per_profile.is_empty()
}

/// A launch whose spawner knows what runs; it says how large the terminal is.
pub(super) fn launch(tools: &Tools, what: &str) -> Launch {
    let guardian = tools.0.parts.guardian.clone();
    Launch::new(what).guarded(Guarded { guardian, user: None, terminal: Some(Size::default()) })
}

/// What is kept of a tool's images, as an installation: its version is the beginning of an image's id.
pub(super) fn installation(kept: &Kept) -> Installation {
    match &kept.current {
        None => Installation::Absent,
        Some(current) => {
            let (commit, earlier) = (Some(current.as_str().to_owned()), kept.former.as_ref().map(ImageId::short));
            Installation::Installed { version: current.short(), commit, at: String::new(), earlier }
        }
    }
}

impl Tools {
    /// What runs tools in containers, if there is anything.
    pub fn containers(&self) -> &ContainerEngine {
        &self.0.parts.containers
    }

    /// Whether a tool runs as a process or in a container.
    ///
    /// # Errors
    /// When it may run in a container only, and there is no engine.
    pub(super) fn road(&self, folder: &ToolFolder) -> Result<Road, NoEngine> {
        match (&folder.spec.home, &folder.spec.container) {
            (Home::Own(_), Some(_)) => self.0.parts.containers.road(),
            _ => Ok(Road::Process),
        }
    }

    /// The same once the engine was looked for.
    pub(super) async fn settled_road(&self, folder: &ToolFolder) -> Result<Road, ToolError> {
        let containers = &self.0.parts.containers;
        if folder.spec.container.is_some() {
            containers.settled().await;
        }
        let road = self.road(folder).map_err(|why| ToolError::Refused(why.to_string()))?;
        // What is not known to be installed may be, where the engine was away when it was asked.
        let id = folder.spec.id.as_str();
        if road == Road::Container && containers.kept(id) == Kept::default() {
            containers.learn(id).await.map_err(|e| ToolError::Refused(e.to_string()))?;
            if containers.kept(id) != Kept::default() {
                self.tell();
            }
        }
        Ok(road)
    }

    /// The engine, and how a tool runs in a container.
    pub(super) fn engine_for<'a>(&self, folder: &'a ToolFolder) -> Result<(Engine, &'a Container, &'a str), ToolError> {
        let Home::Own(home) = &folder.spec.home else { return Err(ToolError::Unknown) };
        match (self.0.parts.containers.engine(), &folder.spec.container) {
            (Some(engine), Some(container)) => Ok((engine, container, home)),
            _ => Err(ToolError::Refused("There is no container engine.".into())),
        }
    }

    /// Whom a container runs as, with the folders that it sees made and given to that user. None: as whom its image says.
    async fn inside_user(
        &self,
        folder: &ToolFolder,
        engine: &Engine,
        own: Option<PathBuf>,
    ) -> Result<Option<(u32, u32)>, ToolError> {
        let user = self.user_of(folder).await?;
        let (_, container, home) = self.engine_for(folder)?;
        let parts = &self.0.parts;
        let (users, root) = (Arc::clone(&parts.users), parts.places.workspace.join(home));
        let per_profile = folder.spec.per_profile.clone();
        let make = move || {
            if user.is_none() {
                users.give(&root, None)?;
            }
            users.give(&root.join("home"), user)?;
            let Some(own) = own else { return Ok(()) };
            users.give_in_passage(&own, user)?;
            per_profile.into_iter().try_for_each(|name| users.give(&own.join(name.folder()), user))
        };
        tokio::task::spawn_blocking(make).await.map_err(std::io::Error::other)??;
        if !container.user {
            return Ok(None);
        }
        let socket = engine.socket().to_owned();
        let owner = tokio::task::spawn_blocking(move || std::fs::metadata(socket).map(|m| m.uid()));
        let owner = owner.await.map_err(std::io::Error::other)?.ok();
        Ok(Some(user_inside(user, rustix::process::geteuid().as_raw(), rustix::process::getegid().as_raw(), owner)))
    }

    /// Of a tool in a container that is broken: whether it is installed still. Its image may have been cleared away.
    pub(super) async fn is_kept(&self, folder: &ToolFolder) -> bool {
        let (id, containers) = (folder.spec.id.as_str(), &self.0.parts.containers);
        if let Err(e) = containers.learn(id).await {
            tracing::warn!(tool = id, "whether its image is here is not known: {e}");
        }
        containers.kept(id).current.is_some()
    }

    /// The container that a tool would be started as.
    pub(super) async fn container_of(
        &self,
        folder: &ToolFolder,
        start: &Start,
        image: ImageId,
    ) -> Result<ContainerSpec, ToolError> {
        let (engine, container, home) = self.engine_for(folder)?;
        let own = start.profile.as_ref().filter(|_| has_own_folders(folder)).map(|(_, own)| own.clone());
        let user = self.inside_user(folder, &engine, own).await?;
        let parts = &self.0.parts;
        let panel = parts.variables.all().map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
        let places = &parts.places;
        Ok(spec_of(&Wanted { folder, container, home, places, start, user, image, panel: &panel }))
    }

    /// Makes a tool's container ready to be started by somebody: one that an earlier panel left and that is still what is wanted
    /// goes on, and goes away otherwise.
    pub(super) async fn ready_container(&self, folder: &ToolFolder, by: &ProfileId) -> Result<Ready, ToolError> {
        let (engine, ..) = self.engine_for(folder)?;
        if let Some(ready) = self.take_over(&engine, folder, by).await? {
            return Ok(ready);
        }
        // What goes on has the card's memory already; what begins may find none.
        if let Some(why) = self.make_room(folder).await {
            return Err(ToolError::NoRoom(why));
        }
        let token = folder.spec.authorization.is_some().then(crate::secrets::random_token);
        let port = ports::free()?;
        let start = running::start_of(self, folder, by, port, token.clone());
        let spec = self.container_of(folder, &start, self.current_image(folder)?).await?;
        let spawner = Arc::new(ContainerSpawner::new(engine, spec));
        Ok(Ready { launch: launch(self, folder.spec.id.as_str()), spawner, port, token })
    }

    /// The image that a tool runs from.
    pub(super) fn current_image(&self, folder: &ToolFolder) -> Result<ImageId, ToolError> {
        let kept = self.0.parts.containers.kept(folder.spec.id.as_str());
        kept.current.ok_or_else(|| ToolError::Refused("It is not installed. An admin installs it first.".into()))
    }
}

/// Whom a container runs as: the tool's own user, else Easel's, so that what it writes is whose it would be without a container.
/// An engine of Easel's own user makes that one out of the root inside, and none other. Never as whom the image says: that user could
/// not write to the tool's folder.
fn user_inside(tool: Option<ToolUser>, uid: u32, gid: u32, engine_of: Option<u32>) -> (u32, u32) {
    match tool {
        Some(ToolUser { uid, gid }) => (uid, gid),
        None if uid == 0 || engine_of == Some(uid) => (0, 0),
        None => (uid, gid),
    }
}

#[cfg(test)]
mod tests;
