//! One tool that is up, from its start to its end: the one task that owns its service, asks whether it is well, and ends
//! it. Knows states and time; how a process is made and ended is `supervise`'s.

use super::{
    Action, Admits, Health, Isolation, Restart, ToolError, ToolFolder, Tools, change,
    contained::{Ready, has_own_folders},
    contract::{CONFIG_ERROR, Call, Start},
    lines, ports,
    pulse::{Beat, Pulse},
    runtime::Stop,
    stand::ToolState,
};
use crate::{
    gate::{self, GateSpec, GateState},
    secrets::{Secret, random_token},
    sessions::{self, Begin, SessionId, Sessions},
    users::ProfileId,
};
use containers::Road;
use std::{
    net::{Ipv4Addr, SocketAddr},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};
use supervise::{Exit, Happened, Launch, Policy, Service, Signal, SpawnError, Spawned, Spawner, Time, spawner::Spawning};
use tokio::sync::mpsc;

/// A tool that ended so often before it was ever well will not be well the next time.
const HOPELESS: u32 = 3;
/// Its own script gets so long to make it end, before it is asked by a signal.
const KILL_SCRIPT: Duration = Duration::from_secs(20);
/// And after the signal so long, before everything that came of it is killed.
const GRACE: Duration = Duration::from_secs(10);

/// Runs a tool until it is stopped or given up.
pub(super) async fn run(tools: &Tools, folder: &ToolFolder, by: ProfileId, told: mpsc::UnboundedReceiver<Stop>) {
    let id = folder.spec.id.clone();
    let mut broken = match Up::begin(tools, folder, by).await {
        Ok(up) => up.run(told).await,
        Err(e) => {
            tools.clear_left_of(folder).await;
            Some(not_begun(e))
        }
    };
    // Not open any more, or never: both are as wanted.
    let _ = tools.0.parts.gates.close(id.as_str()).await;
    if let Some(ToolState::Broken { installed, .. }) = &mut broken
        && tools.is_contained(folder)
    {
        *installed = tools.is_kept(folder).await;
    }
    tools.rest(&id, broken);
}

/// Where a tool stands that did not come as far as to its first process.
fn not_begun(why: ToolError) -> ToolState {
    let (why, remedy) = match why {
        ToolError::NoRoom(why) => return ToolState::NoRoom { why },
        ToolError::Refused(why) => (why, "Then try again."),
        e => (format!("It could not be started: {e}."), "Try again; if it happens again, look at Easel's log."),
    };
    ToolState::Broken { why, remedy: remedy.into(), session: None, installed: true }
}

/// Opens the gate in front of a tool. Whoever has its port is named.
async fn open_gate(tools: &Tools, folder: &ToolFolder, by: &ProfileId) -> Result<(), ToolError> {
    let spec = &folder.spec;
    let port = spec.public_port.ok_or(ToolError::Unknown)?;
    let admits = match spec.admits {
        Admits::Everyone => gate::Admits::Everyone,
        Admits::Starter => gate::Admits::Only(by.clone()),
        Admits::Admins => gate::Admits::Admins,
    };
    let isolation = spec.isolation.map(|Isolation::ComfyUi| gate::Isolation::ComfyUi {
        folders: gate::Folders {
            workspace: tools.0.parts.places.workspace.clone(),
            // Where its start script lets it be.
            program: format!("{}/app", tools.shelf().catalogue.home(folder).unwrap_or_default()),
        },
        gallery: tools.0.parts.gallery.clone(),
    });
    let gate = GateSpec { tool: spec.id.as_str().to_owned(), name: spec.name.clone(), port, admits, isolation };
    match tools.0.parts.gates.open(gate).await {
        Ok(_) => Ok(()),
        Err(e) => Err(ToolError::Refused(match ports::owner(port) {
            Some(owner) => format!(
                "Port {port} is taken by {} (process {}), which Easel did not start. Stop that program, or set another \
                 public_port in setup/{}/tool.toml.",
                owner.name, owner.pid, spec.id
            ),
            None => e.to_string(),
        })),
    }
}

/// What a tool is started with by somebody.
pub(super) fn start_of(tools: &Tools, folder: &ToolFolder, by: &ProfileId, port: u16, token: Option<Secret>) -> Start {
    let (parts, id) = (&tools.0.parts, folder.spec.id.as_str());
    let base_url = parts.gates.best_address(id).ok().map(|origin| origin.to_string());
    Start { port, base_url, token, profile: Some((by.to_string(), parts.outputs.join(by.as_str()).join(id))) }
}

/// Makes a tool's process ready to be started.
async fn ready(tools: &Tools, folder: &ToolFolder, by: &ProfileId) -> Result<Ready, ToolError> {
    let script = folder.script(Action::Start).ok_or(ToolError::Unknown)?;
    if let Some(why) = tools.make_room(folder).await {
        return Err(ToolError::NoRoom(why));
    }
    let port = ports::free()?;
    let user = tools.user_of(folder).await?;
    let token = folder.spec.authorization.is_some().then(random_token);
    let start = start_of(tools, folder, by, port, token.clone());
    if let Some((_, own)) = start.profile.as_ref().filter(|_| has_own_folders(folder)) {
        let (users, own) = (Arc::clone(&tools.0.parts.users), own.clone());
        let give = move || users.give_in_passage(&own, user);
        tokio::task::spawn_blocking(give).await.map_err(std::io::Error::other)??;
    }
    let launch = change::launch(tools, folder, &script, &Call::Start(start), user)?;
    Ok(Ready { launch, spawner: tools.0.parts.spawner.clone(), port, token })
}

struct Up<'a> {
    tools: &'a Tools,
    folder: &'a ToolFolder,
    /// It is in a container, which its kill script could not see into.
    contained: bool,
    health: Health,
    by: ProfileId,
    port: u16,
    /// What the gate sends to it for whoever was let in.
    authorization: Option<Secret>,
    service: Service,
    happened: mpsc::UnboundedReceiver<Happened>,
    shown: Shown,
    /// Deaths since it was last well.
    deaths: u32,
    pulse: Pulse,
    pid: Option<u32>,
    /// It has been well since its newest start.
    well: bool,
}

impl<'a> Up<'a> {
    async fn begin(tools: &'a Tools, folder: &'a ToolFolder, by: ProfileId) -> Result<Up<'a>, ToolError> {
        open_gate(tools, folder, &by).await?;
        let contained = tools.settled_road(folder).await? == Road::Container;
        let parts = &tools.0.parts;
        let health = folder.spec.health.clone().ok_or(ToolError::Unknown)?;
        let ready = if contained { tools.ready_container(folder, &by).await? } else { ready(tools, folder, &by).await? };
        let Ready { launch, spawner, port, token } = ready;
        let authorization = folder.spec.authorization.as_ref().zip(token.as_ref());
        let authorization = authorization.map(|(text, token)| Secret::new(text.replace("{token}", token.expose())));
        let shown = Shown::default();
        let spawner = InSession {
            sessions: parts.sessions.clone(),
            spawner,
            tool: folder.spec.id.as_str().to_owned(),
            by: by.clone(),
            shown: shown.clone(),
        };
        let policy = Policy { grace: GRACE, config_error: CONFIG_ERROR, ..Policy::default() };
        let (service, happened) = Service::new(folder.spec.id.as_str(), launch, policy, Arc::new(spawner));
        service.start();
        let pulse = Pulse::new(&health, Time::real());
        let (deaths, pid, well) = (0, None, false);
        let up =
            Up { tools, folder, contained, health, by, port, authorization, service, happened, shown, deaths, pulse, pid, well };
        Ok(up)
    }

    /// Until its end; what is wrong with it then.
    async fn run(mut self, mut told: mpsc::UnboundedReceiver<Stop>) -> Option<ToolState> {
        loop {
            let (pid, port) = (self.pid, self.port);
            let (asker, health) = (&self.tools.0.asker, &self.health);
            // Without a process, whoever answers there is somebody else.
            let is_well = async || pid.is_some() && asker.is_well(port, health).await;
            tokio::select! {
                how = told.recv() => {
                    tracing::info!(tool = self.folder.spec.id.as_str(), ?how, "stopping");
                    self.stop().await;
                    return None;
                }
                Some(happened) = self.happened.recv() => if let Some(end) = self.hear(happened) {
                    self.service.stop().await;
                    return end;
                },
                beat = self.pulse.beat(is_well) => match beat {
                    Beat::Well => self.is_well(),
                    Beat::Running => {}
                    Beat::Starting => {
                        // Its last line may have changed.
                        self.behind_the_gate(GateState::Starting { line: self.last_line() });
                        self.tools.tell();
                    }
                    Beat::Silent => {
                        tracing::warn!(tool = self.folder.spec.id.as_str(), "it does not answer any more and is started anew");
                        self.service.kill();
                    }
                    Beat::TooLate => {
                        let after = self.health.start_timeout.as_secs();
                        self.stop().await;
                        return Some(self.broken(format!("It did not answer on {} within {after} s.", self.health.path)));
                    }
                },
            }
        }
    }

    /// Some: it is over, well or broken.
    fn hear(&mut self, happened: Happened) -> Option<Option<ToolState>> {
        match happened {
            Happened::Started { pid, .. } => {
                self.pid = Some(pid);
                self.starts();
                None
            }
            Happened::NotStarted { why } => Some(Some(self.broken(format!("It could not be started: {why}.")))),
            Happened::Ended { exit, for_good, .. } => {
                self.pid = None;
                let was_well = std::mem::take(&mut self.well);
                self.deaths = if was_well { 1 } else { self.deaths + 1 };
                if exit == Exit::Code(0) && was_well {
                    return Some(None);
                }
                let again = self.folder.spec.restart == Restart::OnFailure && !for_good && self.deaths < HOPELESS;
                if !again {
                    return Some(Some(self.broken(format!("It {exit}."))));
                }
                self.starts();
                None
            }
        }
    }

    /// It starts, for the first time or again.
    fn starts(&mut self) {
        self.pulse.starts();
        let since = self.tools.0.parts.clock.ms();
        let state = ToolState::Starting { by: self.by.clone(), since, session: self.shown.get() };
        self.tools.set(&self.folder.spec.id, state);
        self.behind_the_gate(GateState::Starting { line: self.last_line() });
    }

    fn behind_the_gate(&self, state: GateState) {
        // The gate was opened before everything else, and closes after it.
        let _ = self.tools.0.parts.gates.set(self.folder.spec.id.as_str(), state);
    }

    fn last_line(&self) -> String {
        let live = self.shown.get().and_then(|id| self.tools.0.parts.sessions.get_live(&id));
        live.map(|live| lines::last_line(&live.session.last(lines::ENOUGH))).unwrap_or_default()
    }

    /// It is well, for the first time since it started.
    fn is_well(&mut self) {
        self.well = true;
        self.service.ready();
        tracing::info!(tool = self.folder.spec.id.as_str(), port = self.port, "running");
        let (by, port, session, since) = (self.by.clone(), self.port, self.shown.get(), self.tools.0.parts.clock.ms());
        let (upstream, authorization) = (SocketAddr::from((Ipv4Addr::LOCALHOST, port)), self.authorization.clone());
        self.behind_the_gate(GateState::Open { upstream, authorization });
        self.tools.set(&self.folder.spec.id, ToolState::Running { by, since, session, port });
    }

    /// Asks it to end by its own means, then by a signal, then ends all that came of it.
    async fn stop(&mut self) {
        let id = &self.folder.spec.id;
        self.tools.set(id, ToolState::Stopping { by: self.by.clone() });
        let leader = self.pid.filter(|_| !self.contained).and_then(supervise::leader);
        if let (Some(pid), Some(script)) = (leader, self.folder.script(Action::Kill)) {
            match kill_script(self.tools, self.folder, &script, pid).await {
                Ok(()) => {
                    // It may take its time, as long as it was asked.
                    let gone = async { while !matches!(self.happened.recv().await, Some(Happened::Ended { .. }) | None) {} };
                    let _ = tokio::time::timeout(KILL_SCRIPT, gone).await;
                }
                Err(e) => tracing::warn!(tool = id.as_str(), "its script for ending it did not work: {e}"),
            }
        }
        self.service.stop().await;
    }

    fn broken(&self, why: String) -> ToolState {
        let why = self.tools.told_error(&self.folder.spec.id).unwrap_or(why);
        let remedy = "Its log says more. Try again, or an admin makes it anew.".into();
        ToolState::Broken { why, remedy, session: self.shown.get(), installed: true }
    }
}

/// Runs the script that asks a tool to end, to its end.
async fn kill_script(tools: &Tools, folder: &ToolFolder, script: &std::path::Path, pid: u32) -> Result<(), ToolError> {
    let user = tools.user_of(folder).await?;
    let mut launch = change::launch(tools, folder, script, &Call::Kill { pid }, user)?;
    if let Some(guarded) = &mut launch.guarded {
        guarded.terminal = None;
    }
    let spawned = tools.0.parts.spawner.spawn(&launch).await.map_err(sessions::SessionError::from)?;
    let Spawned { exit, output, signals, .. } = spawned;
    // What it prints is of no use to anybody, but a full pipe would hold it up.
    for mut pipe in output {
        tokio::spawn(async move { tokio::io::copy(&mut pipe, &mut tokio::io::sink()).await });
    }
    if tokio::time::timeout(KILL_SCRIPT, exit).await.is_err() {
        let _ = signals.send(Signal::Kill);
    }
    Ok(())
}

/// The terminal of a tool's newest start.
#[derive(Clone, Debug, Default)]
struct Shown(Arc<Mutex<Option<SessionId>>>);

impl Shown {
    fn get(&self) -> Option<SessionId> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn set(&self, id: SessionId) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(id);
    }
}

/// Makes each process of a service in a session of its own.
#[derive(Debug)]
struct InSession {
    sessions: Sessions,
    /// Makes the process.
    spawner: Arc<dyn Spawner>,
    tool: String,
    by: ProfileId,
    shown: Shown,
}

impl Spawner for InSession {
    fn spawn<'a>(&'a self, launch: &'a Launch) -> Spawning<'a> {
        Box::pin(async move {
            let id = SessionId::generate();
            let (tool, by) = (Some(self.tool.clone()), self.by.clone());
            let what = Begin { id: id.clone(), tool, action: sessions::Action::Start, by };
            let refused = |why: sessions::SessionError| SpawnError::Refused {
                program: launch.program.display().to_string(),
                why: std::io::Error::other(why),
            };
            let (live, exit) = self.sessions.begin_by(what, launch, self.spawner.clone()).await.map_err(refused)?;
            self.shown.set(id);
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
        })
    }
}
