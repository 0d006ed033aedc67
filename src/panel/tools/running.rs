//! One tool that is up, from its start to its end: the one task that owns its service, asks whether it is well, and ends
//! it. Knows states and time; how a process is made and ended is `supervise`'s.

use super::{
    Action, Admits, Health, Isolation, Restart, ToolError, ToolFolder, Tools, change,
    contained::Ready,
    contract::{CONFIG_ERROR, Call, Start},
    lines, ports,
    pulse::{Beat, Pulse},
    runtime::Stop,
    stand::ToolState,
    starts::{self, InSessions, Newest, ready},
};
use crate::{
    gate::{self, GateSpec, GateState},
    secrets::Secret,
    sessions,
    users::ProfileId,
};
use containers::Road;
use std::{
    net::{Ipv4Addr, SocketAddr},
    sync::Arc,
    time::Duration,
};
use supervise::{Exit, Happened, Policy, Service, Spawned, Spawner as _, Time};
use tokio::{sync::mpsc, time::timeout};

/// A tool that ended so often before it was ever well will not be well the next time.
const HOPELESS: u32 = 3;
/// Its own script gets so long to make it end, before it is asked by a signal.
const KILL_SCRIPT: Duration = Duration::from_secs(20);
/// And after the signal so long, before everything that came of it is killed.
const GRACE: Duration = Duration::from_secs(10);

/// Runs a tool until it is stopped or given up.
pub(super) async fn run(tools: &Tools, folder: &ToolFolder, by: ProfileId, mut told: mpsc::UnboundedReceiver<Stop>) {
    let id = folder.spec.id.clone();
    let mut how = None;
    let mut broken = match Up::begin(tools, folder, by).await {
        Ok(up) => up.run(&mut told, &mut how).await,
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
    let all = how.into_iter().chain(std::iter::from_fn(|| told.try_recv().ok()));
    if !is_for_now(all) {
        tools.unwant(&id).await;
    }
    tools.rest(&id, broken);
}

/// Whether a tool ends because the panel does, from what its task was told: then the next panel starts it again. What ended by
/// itself, was given up or found no room comes back when somebody asks for it, and not before.
fn is_for_now(mut told: impl Iterator<Item = Stop>) -> bool {
    told.any(|how| how == Stop::ForNow)
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

/// Makes a tool's first process ready, where there is room for it.
async fn first(tools: &Tools, folder: &ToolFolder, by: &ProfileId) -> Result<Ready, ToolError> {
    match tools.make_room(folder).await {
        Some(why) => Err(ToolError::NoRoom(why)),
        None => ready(tools, folder, by).await,
    }
}

struct Up<'a> {
    tools: &'a Tools,
    folder: &'a ToolFolder,
    /// It is in a container, which its kill script could not see into.
    contained: bool,
    health: Health,
    by: ProfileId,
    service: Service,
    happened: mpsc::UnboundedReceiver<Happened>,
    newest: Newest,
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
        let health = folder.spec.health.clone().ok_or(ToolError::Unknown)?;
        let ready = if contained { tools.ready_container(folder, &by).await? } else { first(tools, folder, &by).await? };
        let (spawner, launch, newest) = InSessions::new(tools, folder, &by, contained, ready);
        let policy = Policy { grace: GRACE, config_error: CONFIG_ERROR, ..Policy::default() };
        let (service, happened) = Service::new(folder.spec.id.as_str(), launch, policy, Arc::new(spawner));
        service.start();
        let pulse = Pulse::new(&health, Time::real());
        let (deaths, pid, well) = (0, None, false);
        Ok(Up { tools, folder, contained, health, by, service, happened, newest, deaths, pulse, pid, well })
    }

    /// Until its end; what is wrong with it then. Puts down how it was ended, where it was.
    async fn run(mut self, told: &mut mpsc::UnboundedReceiver<Stop>, ended: &mut Option<Stop>) -> Option<ToolState> {
        loop {
            let (pid, port, was_well) = (self.pid, self.newest.get().port, self.well);
            let (tools, asker, health) = (self.tools, &self.tools.0.asker, &self.health);
            // Without a process, whoever answers there is somebody else.
            let is_well = async || {
                let Some(pid) = pid else { return false };
                asker.is_well(port, health).await && (was_well || !tools.listens_for_another(port, pid).await)
            };
            tokio::select! {
                how = told.recv() => {
                    tracing::info!(tool = self.folder.spec.id.as_str(), ?how, "stopping");
                    *ended = how;
                    return self.stop().await;
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
                        let late = self.broken(format!("It did not answer on {} within {after} s.", self.health.path));
                        return Some(self.stop().await.unwrap_or(late));
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
            Happened::NotStarted { why } => {
                let why = why.trim_end_matches('.');
                Some(Some(self.broken(format!("It could not be started: {why}."))))
            }
            Happened::Ended { exit, for_good, .. } => {
                self.pid = None;
                let was_well = std::mem::take(&mut self.well);
                self.deaths = if was_well { 1 } else { self.deaths + 1 };
                if let Exit::Stuck(_) = exit {
                    return Some(Some(self.stuck(exit)));
                }
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
        let state = ToolState::Starting { by: self.by.clone(), since, session: self.newest.get().session };
        self.tools.set(&self.folder.spec.id, state);
        self.behind_the_gate(GateState::Starting { line: self.last_line() });
    }

    fn behind_the_gate(&self, state: GateState) {
        // The gate was opened before everything else, and closes after it.
        let _ = self.tools.0.parts.gates.set(self.folder.spec.id.as_str(), state);
    }

    fn last_line(&self) -> String {
        let live = self.newest.get().session.and_then(|id| self.tools.0.parts.sessions.get_live(&id));
        live.map(|live| lines::last_line(&live.session.last(lines::ENOUGH))).unwrap_or_default()
    }

    /// It is well, for the first time since it started.
    fn is_well(&mut self) {
        self.well = true;
        self.service.ready();
        let starts::Start { session, port, authorization } = self.newest.get();
        tracing::info!(tool = self.folder.spec.id.as_str(), port, "running");
        let (by, since) = (self.by.clone(), self.tools.0.parts.clock.ms());
        let upstream = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        self.behind_the_gate(GateState::Open { upstream, authorization });
        self.tools.set(&self.folder.spec.id, ToolState::Running { by, since, session, port });
    }

    /// Asks it to end by its own means, then by a signal, then ends all that came of it. Some: even so it does not end.
    async fn stop(&mut self) -> Option<ToolState> {
        let id = &self.folder.spec.id;
        self.tools.set(id, ToolState::Stopping { by: self.by.clone() });
        let mut ended = None;
        let leader = self.pid.filter(|_| !self.contained).and_then(supervise::leader);
        if let (Some(pid), Some(script)) = (leader, self.folder.script(Action::Kill)) {
            // One that takes longer is ended, as nobody waits for it any more.
            match timeout(KILL_SCRIPT, kill_script(self.tools, self.folder, &script, pid)).await {
                Ok(Ok(())) | Err(_) => {
                    // It may take its time, as long as it was asked.
                    let gone = async {
                        loop {
                            let happened = self.happened.recv().await;
                            if matches!(happened, Some(Happened::Ended { .. }) | None) {
                                break happened;
                            }
                        }
                    };
                    ended = timeout(KILL_SCRIPT, gone).await.ok().flatten();
                }
                Ok(Err(e)) => tracing::warn!(tool = id.as_str(), "its script for ending it did not work: {e}"),
            }
        }
        self.service.stop().await;
        // One that was killed before, because it did not answer, may have been told as stuck while its script was at work.
        let rest = ended.into_iter().chain(std::iter::from_fn(|| self.happened.try_recv().ok()));
        let stuck = rest.filter_map(|happened| match happened {
            Happened::Ended { exit: exit @ Exit::Stuck(_), .. } => Some(exit),
            _ => None,
        });
        stuck.last().map(|exit| self.stuck(exit))
    }

    /// Where it stands when the system does not let it end.
    fn stuck(&self, exit: Exit) -> ToolState {
        let why = format!("It {exit}.");
        let remedy = "It ends when that answers, such as a network volume or the graphics driver; if it never does, restart the \
                      machine.";
        ToolState::Broken { why, remedy: remedy.into(), session: self.newest.get().session, installed: true }
    }

    fn broken(&self, why: String) -> ToolState {
        let why = self.tools.told_error(&self.folder.spec.id).unwrap_or(why);
        let remedy = "Its log says more. Try again, or an admin makes it anew.".into();
        ToolState::Broken { why, remedy, session: self.newest.get().session, installed: true }
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
    let Spawned { exit, output, signals: _signals, .. } = spawned;
    // What it prints is of no use to anybody, but a full pipe would hold it up.
    for mut pipe in output {
        tokio::spawn(async move { tokio::io::copy(&mut pipe, &mut tokio::io::sink()).await });
    }
    let _ = exit.await;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_the_panel_ends_comes_back_with_the_next() {
        assert!(is_for_now([Stop::ForNow].into_iter()) && is_for_now([Stop::ForGood, Stop::ForNow].into_iter()));
        assert!(!is_for_now([].into_iter()), "it ended by itself, was given up, or found no room");
        assert!(!is_for_now([Stop::ForGood].into_iter()));
    }
}
