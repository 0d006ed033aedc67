//! Live terminals of this studio and the transcripts of those that are over: who began each, who types, what came of it.
//! Knows neither connections nor what the programs are for.

mod kept;
mod keyboard;
mod record;
mod transcript;

pub use keyboard::{Keyboard, Room, Seat};
pub use record::{Action, Outcome, Record, SessionId};
pub use transcript::Transcript;

use crate::{
    beneath::Beneath,
    clock::Clock,
    store::{Store, StoreError, sessions as table},
    users::ProfileId,
};
use std::{
    collections::HashMap,
    io,
    path::Path,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};
use supervise::{
    Exit, HostSpawner, Launch, Session, Signal, SpawnError, Spawner,
    session::{Recorder, Sizes},
};
use tokio::{runtime::Handle, sync::oneshot};

/// Transcripts are kept so long, and each tool's newest for good.
const KEPT: Duration = Duration::from_secs(90 * 24 * 3600);
/// And so many of each tool and action: one that crashes every minute would leave a hundred thousand in that time.
const MOST_OF_EACH: u32 = 500;
/// The folder of transcripts of free shells.
const SHELLS: &str = "shell";
/// What is asked to end when the panel ends gets so long before it is killed.
const GRACE: Duration = Duration::from_secs(5);

/// Why a session did not begin.
#[derive(Debug, thiserror::Error)]
pub enum SessionError {
    /// The store refuses.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// No transcript, no terminal.
    #[error("a terminal cannot be opened: {0}")]
    Disk(#[from] io::Error),
    /// No process.
    #[error(transparent)]
    Spawn(#[from] SpawnError),
    /// A launch without a terminal.
    #[error("a session needs a terminal")]
    NoTerminal,
}

/// What begins.
#[derive(Clone, Debug)]
pub struct Begin {
    /// Its id, made by whoever has to know it before it runs.
    pub id: SessionId,
    /// Of which tool; none: a free shell.
    pub tool: Option<String>,
    /// What is done with it.
    pub action: Action,
    /// By whom.
    pub by: ProfileId,
}

/// A session that runs.
#[derive(Clone, Debug)]
pub struct Live {
    /// What it is.
    pub record: Record,
    /// Its terminal.
    pub session: Session,
    /// Who looks and who types.
    pub keyboard: Keyboard,
}

/// The handle.
#[derive(Clone, Debug)]
pub struct Sessions(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    store: Store,
    clock: Clock,
    spawner: Arc<HostSpawner>,
    transcripts: Beneath,
    live: Mutex<HashMap<SessionId, Live>>,
    /// Where what watches over them runs. Whoever begins one may be a worker of the web server, whose own runtime ends before
    /// what was begun in it.
    runtime: Handle,
}

impl Sessions {
    /// The sessions of a studio; those that a panel left behind when it died are over. Transcripts lie in `folder`.
    ///
    /// # Errors
    /// When store or folder cannot be used.
    pub async fn open(folder: &Path, store: Store, clock: Clock, spawner: Arc<HostSpawner>) -> Result<Sessions, SessionError> {
        let now = clock.ms();
        store.run(move |c| table::end_lost(c, now)).await?;
        let transcripts = Beneath::open(folder)?;
        Ok(Sessions(Arc::new(Inner { store, clock, spawner, transcripts, live: Mutex::default(), runtime: Handle::current() })))
    }

    /// Starts a program in a terminal. With the session comes its exit, once, after its last byte.
    ///
    /// # Errors
    /// When there is no terminal, process, transcript or row for it; nothing runs then.
    pub async fn begin(&self, what: Begin, launch: &Launch) -> Result<(Live, oneshot::Receiver<Exit>), SessionError> {
        self.begin_by(what, launch, self.0.spawner.clone()).await
    }

    /// The same with what `spawner` makes of the launch, such as a container.
    ///
    /// # Errors
    /// As above.
    pub async fn begin_by(
        &self,
        what: Begin,
        launch: &Launch,
        spawner: Arc<dyn Spawner>,
    ) -> Result<(Live, oneshot::Receiver<Exit>), SessionError> {
        let (this, launch) = (self.clone(), launch.clone());
        let begun = async move { this.begin_at_home(what, &launch, spawner.as_ref()).await };
        self.0.runtime.spawn(begun).await.map_err(io::Error::other)?
    }

    async fn begin_at_home(
        &self,
        what: Begin,
        launch: &Launch,
        spawner: &dyn Spawner,
    ) -> Result<(Live, oneshot::Receiver<Exit>), SessionError> {
        let size = launch.guarded.as_ref().and_then(|g| g.terminal).ok_or(SessionError::NoTerminal)?;
        let record = Record::new(what, self.0.clock.ms());
        let transcript = self.new_transcript(&record).await?;
        let row = record.clone();
        self.0.store.run(move |c| table::insert(c, &row)).await?;
        let begun = match spawner.spawn(launch).await {
            Ok(spawned) => Session::begin(spawned, size, Some(transcript)).map_err(SessionError::from),
            Err(e) => Err(e.into()),
        };
        let (session, exit) = match begun {
            Ok(begun) => begun,
            Err(e) => {
                self.close(&record.id, Outcome::Lost, 0).await;
                return Err(e);
            }
        };
        let live = Live { record, session, keyboard: Keyboard::default() };
        self.live().insert(live.record.id.clone(), live.clone());
        let (tell, told) = oneshot::channel();
        tokio::spawn(self.clone().see_out(live.clone(), exit, tell));
        Ok((live, told))
    }

    /// The transcript of a new session. Its folder is made durable, which waits for the disk.
    async fn new_transcript(&self, record: &Record) -> io::Result<Recorder> {
        let (sessions, folder, id) = (self.clone(), folder_of(record.tool.as_deref()), record.id.clone());
        let make = move || {
            let place = transcript::Place::new(sessions.0.transcripts.folder(&folder)?, id);
            Recorder::new(Arc::new(place), Sizes::default())
        };
        tokio::task::spawn_blocking(make).await.map_err(io::Error::other)?
    }

    async fn see_out(self, live: Live, exit: oneshot::Receiver<Exit>, tell: oneshot::Sender<Exit>) {
        let exit = exit.await.unwrap_or(Exit::Unknown);
        let bytes = *live.session.end().borrow();
        self.close(&live.record.id, exit.into(), bytes).await;
        // Who looks holds the session himself, and reads it to its end.
        self.live().remove(&live.record.id);
        let _ = tell.send(exit);
    }

    async fn close(&self, id: &SessionId, outcome: Outcome, bytes: u64) {
        let (row, now) = (id.clone(), self.0.clock.ms());
        if let Err(e) = self.0.store.run(move |c| table::end(c, &row, now, outcome, bytes)).await {
            // The next start of the panel finds it unfinished and says that its end is not known.
            tracing::error!(session = id.as_str(), "the end of a terminal session was not kept: {e}");
        }
    }

    /// A session that runs.
    pub fn get_live(&self, id: &SessionId) -> Option<Live> {
        self.live().get(id).cloned()
    }

    /// Every session that runs.
    pub fn all_live(&self) -> Vec<Live> {
        self.live().values().cloned().collect()
    }

    /// A session that runs or ran.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub async fn get(&self, id: &SessionId) -> Result<Option<Record>, StoreError> {
        let id = id.clone();
        self.0.store.read(move |c| table::get(c, &id)).await
    }

    /// Sessions of one tool or of all, newest first.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub async fn list(&self, tool: Option<String>, before: Option<String>, limit: u32) -> Result<Vec<Record>, StoreError> {
        self.0.store.read(move |c| table::page(c, tool.as_deref(), before.as_deref(), limit)).await
    }

    /// What is kept of what a session wrote so far.
    ///
    /// # Errors
    /// When the transcript is not there any more.
    pub async fn transcript(&self, record: &Record) -> io::Result<Transcript> {
        let (sessions, folder, id) = (self.clone(), folder_of(record.tool.as_deref()), record.id.clone());
        let open = move || Transcript::open(&sessions.0.transcripts.existing(&folder)?, &id);
        tokio::task::spawn_blocking(open).await.map_err(io::Error::other)?
    }

    /// Forgets what is old.
    ///
    /// # Errors
    /// When the store refuses.
    pub async fn sweep(&self) -> Result<(), StoreError> {
        let before = self.0.clock.ms() - KEPT.as_millis() as i64;
        let old = self.0.store.run(move |c| table::prune(c, before, MOST_OF_EACH)).await?;
        let old = old.into_iter().map(|(id, tool)| (id, folder_of(tool.as_deref()))).collect();
        let sessions = self.clone();
        let remove = move || transcript::remove(&sessions.0.transcripts, old);
        // A slow volume keeps nobody else waiting.
        if let Err(e) = tokio::task::spawn_blocking(remove).await {
            tracing::warn!("old transcripts were not all removed: {e}");
        }
        Ok(())
    }

    /// Ends everything that runs in a terminal.
    pub async fn stop(&self) {
        self.all_live().iter().for_each(|live| live.session.signal(Signal::Terminate));
        let gone = async {
            while !self.live().is_empty() {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        if tokio::time::timeout(GRACE, gone).await.is_err() {
            let left = self.all_live();
            left.iter().for_each(|live| live.session.signal(Signal::Kill));
            for live in left {
                let mut state = live.session.state();
                let ended = state.wait_for(|s| *s != supervise::SessionState::Running);
                let _ = tokio::time::timeout(GRACE, ended).await;
            }
        }
    }

    fn live(&self) -> MutexGuard<'_, HashMap<SessionId, Live>> {
        self.0.live.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The folder of the transcripts of a tool; of none: of free shells.
fn folder_of(tool: Option<&str>) -> String {
    tool.unwrap_or(SHELLS).to_owned()
}
