//! The processes of a tool that is up, one after the other: each in a terminal session of its own, and with a port and a token of
//! its own, since the port of one that has died may be another's by now. Knows when none is wanted any more from whoever owns it.

use super::{
    Action, ToolError, ToolFolder, Tools, change,
    contained::{Ready, has_own_folders},
    contract::Call,
    ports, running,
};
use crate::{
    secrets::{Secret, random_token},
    sessions::{self, Begin, SessionId},
    users::ProfileId,
};
use std::sync::{Arc, Mutex, PoisonError};
use supervise::{Launch, Signal, SpawnError, Spawned, Spawner, spawner::Spawning};
use tokio::sync::mpsc;

/// The newest start of a tool; cheap to clone.
#[derive(Clone, Debug, Default)]
pub(super) struct Newest(Arc<Mutex<Start>>);

/// One start.
#[derive(Clone, Debug, Default)]
pub(super) struct Start {
    /// Its terminal; none: it has not come as far.
    pub(super) session: Option<SessionId>,
    /// Its port on loopback.
    pub(super) port: u16,
    /// What the gate sends to it for whoever was let in.
    pub(super) authorization: Option<Secret>,
}

impl Newest {
    pub(super) fn get(&self) -> Start {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn set(&self, start: Start) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = start;
    }
}

/// Makes a tool's process ready to be started, for the first time or again.
pub(super) async fn ready(tools: &Tools, folder: &ToolFolder, by: &ProfileId) -> Result<Ready, ToolError> {
    let script = folder.script(Action::Start).ok_or(ToolError::Unknown)?;
    let port = ports::free()?;
    let user = tools.user_of(folder).await?;
    let token = folder.spec.authorization.is_some().then(random_token);
    let start = running::start_of(tools, folder, by, port, token.clone());
    if let Some((_, own)) = start.profile.as_ref().filter(|_| has_own_folders(folder)) {
        let (users, own) = (Arc::clone(&tools.0.parts.users), own.clone());
        let give = move || users.give_in_passage(&own, user);
        tokio::task::spawn_blocking(give).await.map_err(std::io::Error::other)??;
    }
    let launch = change::launch(tools, folder, &script, &Call::Start(start), user)?;
    Ok(Ready { launch, spawner: tools.0.parts.spawner.clone(), port, token })
}

/// Makes each process of a tool in a session of its own.
pub(super) struct InSessions {
    tools: Tools,
    folder: ToolFolder,
    by: ProfileId,
    /// A container is the same one at each start.
    contained: bool,
    /// Makes the process.
    spawner: Arc<dyn Spawner>,
    /// Port and token of the first start, or of all of a container.
    first: Mutex<Option<(u16, Option<Secret>)>>,
    newest: Newest,
}

impl std::fmt::Debug for InSessions {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("InSessions").field("tool", &self.folder.spec.id).finish_non_exhaustive()
    }
}

impl InSessions {
    /// For a tool that is ready to be started; with its launch, and where its newest start is told.
    pub(super) fn new(
        tools: &Tools,
        folder: &ToolFolder,
        by: &ProfileId,
        contained: bool,
        ready: Ready,
    ) -> (InSessions, Launch, Newest) {
        let Ready { launch, spawner, port, token } = ready;
        let newest = Newest::default();
        let (tools, folder, by, first) = (tools.clone(), folder.clone(), by.clone(), Mutex::new(Some((port, token))));
        (InSessions { tools, folder, by, contained, spawner, first, newest: newest.clone() }, launch, newest)
    }

    /// What is started now: what was made ready for the first time, and anew after that.
    async fn next(&self, launch: &Launch) -> Result<(Launch, u16, Option<Secret>), ToolError> {
        let made = {
            let mut first = self.first.lock().unwrap_or_else(PoisonError::into_inner);
            if self.contained { first.clone() } else { first.take() }
        };
        if let Some((port, token)) = made {
            return Ok((launch.clone(), port, token));
        }
        let Ready { launch, port, token, .. } = ready(&self.tools, &self.folder, &self.by).await?;
        Ok((launch, port, token))
    }

    async fn spawn_next(&self, launch: &Launch) -> Result<Spawned, ToolError> {
        let (launch, port, token) = self.next(launch).await?;
        let spec = &self.folder.spec;
        let authorization = spec.authorization.as_ref().zip(token.as_ref());
        let authorization = authorization.map(|(text, token)| Secret::new(text.replace("{token}", token.expose())));
        let id = SessionId::generate();
        let (tool, by) = (Some(spec.id.as_str().to_owned()), self.by.clone());
        let what = Begin { id: id.clone(), tool, action: sessions::Action::Start, by };
        let (live, exit) = self.tools.0.parts.sessions.begin_by(what, &launch, self.spawner.clone()).await?;
        self.newest.set(Start { session: Some(id), port, authorization });
        let (signals, mut inbox) = mpsc::unbounded_channel();
        let session = live.session.clone();
        tokio::spawn(async move {
            while let Some(signal) = inbox.recv().await {
                session.signal(signal);
            }
            // Nobody owns it any more.
            session.signal(Signal::Kill);
        });
        Ok(Spawned { pid: live.session.pid(), stream: None, output: Vec::new(), terminal: None, signals, exit })
    }
}

impl Spawner for InSessions {
    fn spawn<'a>(&'a self, launch: &'a Launch) -> Spawning<'a> {
        Box::pin(async move {
            let refused = |why: ToolError| match why {
                // It says already what could not be started.
                ToolError::Session(sessions::SessionError::Spawn(e)) => e,
                why => SpawnError::Refused { program: launch.program.display().to_string(), why: std::io::Error::other(why) },
            };
            self.spawn_next(launch).await.map_err(refused)
        })
    }
}
