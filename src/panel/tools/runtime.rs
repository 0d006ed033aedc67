//! The handle of the tools: where each stands, and the doors to what is done with them. Knows no script and no HTTP.

use super::{
    Accepted, Admits, Home, Installation, Shelf, ToolFolder, ToolId,
    change::{self, Wish},
    contract::Places,
    ending::Counted,
    family,
    health::Asker,
    running,
    stand::{ToolState, Viewer},
    steps::Mark,
};
use crate::{
    clock::Clock,
    config::Variables,
    container_engine::ContainerEngine,
    doors::Doors,
    engine_client::Engines,
    events::Events,
    gate::{Gallery, Gates},
    gpus::Gpus,
    sessions::{Action, SessionError, SessionId, Sessions},
    store::{Store, StoreError, sessions as table},
    uids::{ToolUser, ToolUsers},
};
use std::{
    collections::BTreeMap,
    io,
    path::PathBuf,
    sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock},
};
use supervise::HostSpawner;
use tokio::{
    runtime::Handle,
    sync::{mpsc, watch},
};

/// Why a tool does not do as told.
#[derive(Debug, thiserror::Error)]
pub enum ToolError {
    /// There is no such tool.
    #[error("There is no such tool.")]
    Unknown,
    /// Who asks may not; says why.
    #[error("{0}")]
    Forbidden(String),
    /// It cannot be done as it stands; says why.
    #[error("{0}")]
    Refused(String),
    /// A terminal cannot be had.
    #[error(transparent)]
    Session(#[from] SessionError),
    /// The store refuses.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// It would not find room on the graphics card; says who holds it.
    #[error("{0}")]
    NoRoom(String),
    /// The disk refuses.
    #[error("the disk refuses: {0}")]
    Disk(#[from] io::Error),
}

/// The handle.
#[derive(Clone, Debug)]
pub struct Tools(pub(super) Arc<Inner>);

#[derive(Debug)]
pub(super) struct Inner {
    pub(super) parts: Parts,
    /// The tools in use. Another takes its place when the studio's repository has moved.
    shelf: RwLock<Arc<Shelf>>,
    /// What an admin has let run, as the store has it.
    pub(super) accepted: Mutex<BTreeMap<String, Accepted>>,
    pub(super) asker: Asker,
    entries: Mutex<BTreeMap<ToolId, Entry>>,
    /// How many tools are up, for the end.
    pub(super) up: watch::Sender<usize>,
    /// How many are being changed, for the end.
    pub(super) changing: watch::Sender<usize>,
    /// Where tools are kept. Whoever starts one may be a worker of the web server, whose own runtime ends before the tool.
    pub(super) runtime: Handle,
}

/// What tools need of the rest.
#[derive(Clone, Debug)]
pub struct Parts {
    /// Terminals and transcripts.
    pub sessions: Sessions,
    /// Rows of what is wanted.
    pub store: Store,
    /// Who is told that something has changed.
    pub events: Events,
    /// The time.
    pub clock: Clock,
    /// The studio's own engines, which share the graphics cards with them.
    pub engines: Engines,
    /// What stands between browsers and tools.
    pub gates: Gates,
    /// Takes in what is made in a tool that all share.
    pub gallery: Option<Arc<dyn Gallery>>,
    /// The graphics cards.
    pub gpus: Arc<Gpus>,
    /// Makes the processes.
    pub spawner: Arc<HostSpawner>,
    /// Makes the containers, where there is an engine.
    pub containers: ContainerEngine,
    /// The program that can be a guardian.
    pub guardian: PathBuf,
    /// Where things lie.
    pub places: Places,
    /// Below it lie each profile's outputs.
    pub outputs: PathBuf,
    /// Whom tools run as.
    pub users: Arc<ToolUsers>,
    /// The front door, which must tell tools from people once there are any.
    pub doors: Doors,
    /// Easel's own environment, of which a tool sees what it may.
    pub variables: Variables,
}

#[derive(Debug, Default)]
pub(super) struct Entry {
    /// What is done with it; none: the disk says where it stands.
    pub(super) state: Option<ToolState>,
    /// As it was when that began. Its folder may be another since, broken, or gone.
    pub(super) folder: Option<ToolFolder>,
    /// The last step that its script told, and the last error.
    pub(super) step: Option<Mark>,
    error: Option<String>,
    /// Tells the task of a tool that is up to end it.
    stop: Option<mpsc::UnboundedSender<Stop>>,
}

impl Entry {
    pub(super) fn doing(&self) -> Option<family::Doing<'_>> {
        self.folder.as_ref().zip(self.state.as_ref())
    }
}

/// How a tool is ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stop {
    /// Nobody wants it any more.
    ForGood,
    /// The panel ends; it is wanted again when the panel is back.
    ForNow,
}

impl Tools {
    /// The tools of a setup folder; none is up.
    ///
    /// # Errors
    /// When the system gives no client to ask them with.
    pub fn new(shelf: Shelf, parts: Parts) -> Result<Tools, ToolError> {
        let asker = Asker::new().map_err(io::Error::other)?;
        let inner = Inner {
            parts,
            shelf: RwLock::new(Arc::new(shelf)),
            accepted: Mutex::default(),
            asker,
            entries: Mutex::default(),
            up: watch::Sender::new(0),
            changing: watch::Sender::new(0),
            runtime: Handle::current(),
        };
        let tools = Tools(Arc::new(inner));
        tools.learn_beside();
        Ok(tools)
    }

    /// The tools in use now. Whoever works with one holds on to what it was when that began.
    pub(super) fn shelf(&self) -> Arc<Shelf> {
        Arc::clone(&self.0.shelf.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Other tools, or other scripts of the same, from now on. What is up or being changed goes on as it began.
    pub fn put(&self, shelf: Shelf) {
        *self.0.shelf.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(shelf);
        self.tell();
        self.learn_beside();
    }

    /// Cards say what is installed in containers as soon as the engine has.
    fn learn_beside(&self) {
        let tools = self.clone();
        self.0.runtime.spawn(async move { tools.learn_images().await });
    }

    /// Somebody opens a tool: remembered for its card.
    ///
    /// # Errors
    /// When the store refuses.
    pub async fn note_opened(&self, id: &ToolId) -> Result<(), ToolError> {
        let (row, now) = (id.as_str().to_owned(), self.0.parts.clock.ms());
        Ok(self.0.parts.store.run(move |c| table::opened(c, &row, now)).await?)
    }

    /// Why tools run as Easel's own user, as a sentence. None: each runs as one of its own.
    pub fn why_shared(&self) -> Option<&str> {
        self.0.parts.users.why_shared()
    }

    /// Whom a tool runs as, with its folders made and given to that user. None: Easel's own user.
    pub(super) async fn user_of(&self, folder: &ToolFolder) -> Result<Option<ToolUser>, ToolError> {
        let shelf = self.shelf();
        let owner = shelf.catalogue.owner(folder);
        let Home::Own(home) = &owner.spec.home else { return Err(ToolError::Unknown) };
        let (users, home) = (Arc::clone(&self.0.parts.users), home.clone());
        let backup = self.0.parts.places.backup.join(&home);
        let prepare = move || {
            let user = users.of(&home)?;
            if user.is_some() {
                users.give_in_passage(&backup, user)?;
            }
            Ok(user)
        };
        let user = tokio::task::spawn_blocking(prepare).await.map_err(io::Error::other)?.map_err(ToolError::Disk)?;
        if user.is_some() {
            self.0.parts.doors.tools_are_apart();
        }
        Ok(user)
    }

    /// Installs, updates or makes a tool anew, and answers with its terminal: that of the script that is already at it,
    /// where there is one.
    ///
    /// # Errors
    /// When `viewer` may not, or it cannot be begun.
    pub async fn change(&self, id: &ToolId, action: Action, wish: Wish, viewer: Viewer<'_>) -> Result<SessionId, ToolError> {
        let standing = self.get(id).await?;
        if !viewer.admin {
            return Err(ToolError::Forbidden("Only an admin in admin mode changes tools.".into()));
        }
        standing.refuse_unseen()?;
        if action == Action::GoBack && standing.earlier.is_none() {
            return Err(ToolError::Refused(format!("{} has no earlier version to go back to.", standing.folder.spec.name)));
        }
        let session = SessionId::generate();
        let by = viewer.profile.clone();
        let since = self.0.parts.clock.ms();
        {
            let mut entries = self.entries();
            let busy = family::busy(entries.values().filter_map(Entry::doing), &standing.folder);
            if let Some((busy, state)) = busy.first() {
                let name = &busy.spec.name;
                return match state {
                    ToolState::Changing { session, .. } if busy.spec.id == *id => Ok(session.clone()),
                    // What was asked for is another thing than what is done there: joining that would leave it undone.
                    ToolState::Changing { .. } => Err(ToolError::Refused(family::at_work(name))),
                    _ => Err(ToolError::Refused(format!("{name} is running. Stop it first."))),
                };
            }
            let state = Some(ToolState::Changing { action, session: session.clone(), by: by.clone(), since });
            let folder = Some(standing.folder.clone());
            entries.insert(id.clone(), Entry { state, folder, ..Entry::default() });
        }
        self.tell();
        let (tools, id, folder) = (self.clone(), id.clone(), standing.folder);
        let begin = async move {
            let begun = change::begin(&tools, &folder, action, wish, by, session.clone()).await;
            if begun.is_err() {
                tools.rest(&id, None);
            }
            begun.map(|()| session)
        };
        // Whoever asked may be gone before it has begun; what was begun is seen to all the same.
        self.0.runtime.spawn(begin).await.map_err(io::Error::other)?
    }

    /// Starts a tool. It answers at once; where it stands then is told.
    ///
    /// # Errors
    /// When `viewer` may not, or it cannot run as it stands.
    pub async fn start(&self, id: &ToolId, viewer: Viewer<'_>) -> Result<(), ToolError> {
        // What it is installed as, its engine says.
        if self.doing(id).is_none_or(|state| !state.is_up()) {
            self.settled_road(&self.folder(id)?).await?;
        }
        let standing = self.get(id).await?;
        if standing.state.is_up() {
            return Ok(());
        }
        if standing.folder.spec.admits == Admits::Admins && !viewer.admin {
            return Err(ToolError::Forbidden("It is for admins in admin mode.".into()));
        }
        standing.refuse_unseen()?;
        if let Some(other) = &standing.waits_for {
            return Err(ToolError::Refused(family::at_work(other)));
        }
        if !standing.may(viewer).start {
            return Err(ToolError::Refused("It cannot be started as it stands.".into()));
        }
        if !matches!(self.installation(&standing.folder).await?, Installation::Installed { .. }) {
            return Err(ToolError::Refused("It is not installed whole. An admin installs it first.".into()));
        }
        let by = viewer.profile.clone();
        let (stop, told) = mpsc::unbounded_channel();
        {
            let mut entries = self.entries();
            for (busy, state) in family::busy(entries.values().filter_map(Entry::doing), &standing.folder) {
                if busy.spec.id == *id {
                    return Ok(());
                }
                if state.is_changing() {
                    return Err(ToolError::Refused(family::at_work(&busy.spec.name)));
                }
            }
            let entry = entries.entry(id.clone()).or_default();
            let state = Some(ToolState::Starting { by: by.clone(), since: self.0.parts.clock.ms(), session: None });
            *entry = Entry { state, folder: Some(standing.folder.clone()), stop: Some(stop), ..Entry::default() };
        }
        self.tell();
        let (counted, tools, id, folder) = (Counted::new(&self.0.up), self.clone(), id.clone(), standing.folder);
        let begin = async move {
            let (row, who) = (id.as_str().to_owned(), by.clone());
            if let Err(e) = tools.0.parts.store.run(move |c| table::want(c, &row, Some(&who))).await {
                tools.rest(&id, None);
                return Err(e.into());
            }
            tools.0.runtime.clone().spawn(async move {
                let _counted = counted;
                running::run(&tools, &folder, by, told).await;
            });
            Ok(())
        };
        // As above.
        self.0.runtime.spawn(begin).await.map_err(io::Error::other)?
    }

    /// Stops a tool. It answers at once.
    ///
    /// # Errors
    /// When `viewer` may not.
    pub async fn stop(&self, id: &ToolId, viewer: Viewer<'_>) -> Result<(), ToolError> {
        let standing = self.get(id).await?;
        if !standing.state.is_up() {
            if viewer.admin {
                // One that did not come up may be wanted still, such as by an earlier version of Easel.
                self.unwant(id).await;
            }
            return Ok(());
        }
        if standing.state.by() != Some(viewer.profile) && !viewer.admin {
            return Err(ToolError::Forbidden("Whoever started it stops it, or an admin in admin mode.".into()));
        }
        let row = id.as_str().to_owned();
        self.0.parts.store.run(move |c| table::want(c, &row, None)).await?;
        self.tell_stop(id, Stop::ForGood);
        Ok(())
    }

    /// Nobody wants a tool any more: the next panel does not start it.
    pub(super) async fn unwant(&self, id: &ToolId) {
        let row = id.as_str().to_owned();
        if let Err(e) = self.0.parts.store.run(move |c| table::want(c, &row, None)).await {
            tracing::error!(
                tool = id.as_str(),
                "that nobody wants it any more was not kept, so it starts with the next panel: {e}"
            );
        }
    }

    /// Tells the task of a tool to end it.
    pub(super) fn tell_stop(&self, id: &ToolId, how: Stop) {
        if let Some(stop) = self.entries().get(id).and_then(|e| e.stop.as_ref()) {
            // A task that is just ending has nobody left to tell.
            let _ = stop.send(how);
        }
    }

    /// A tool stands otherwise from now on.
    pub(super) fn set(&self, id: &ToolId, state: ToolState) {
        if let Some(entry) = self.entries().get_mut(id) {
            entry.state = Some(state);
        }
        self.tell();
    }

    /// Nothing is done with a tool any more: the disk says where it stands, or it is broken.
    pub(super) fn rest(&self, id: &ToolId, broken: Option<ToolState>) {
        self.entries().insert(id.clone(), Entry { state: broken, ..Entry::default() });
        self.tell();
    }

    /// A script has told something.
    pub(super) fn note(&self, id: &ToolId, mark: Mark) {
        if let Some(entry) = self.entries().get_mut(id) {
            match mark {
                Mark::Step { .. } => entry.step = Some(mark),
                Mark::Error(why) => entry.error = Some(why),
                Mark::Warn(_) => {}
            }
        }
        self.tell();
    }

    /// The last error that a script told.
    pub(super) fn told_error(&self, id: &ToolId) -> Option<String> {
        self.entries().get(id)?.error.clone()
    }

    /// Everybody looks again.
    pub(super) fn tell(&self) {
        self.0.parts.events.stir_tools();
    }

    pub(super) fn entries(&self) -> MutexGuard<'_, BTreeMap<ToolId, Entry>> {
        // Each change is one insertion or one field.
        self.0.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
