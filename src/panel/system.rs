//! What the machine does: processors, memory, GPUs, Easel's own processes and its disk; now, and over a day. One
//! task looks every two seconds; what costs more is looked at only while somebody watches. Knows no HTTP.

mod cgroup;
pub mod disk;
mod history;
pub mod host;
pub mod processes;

pub use history::{DAY, History, Minute, Sample};

use crate::{clock::Clock, config::Config, engine_client::Engines, gpus::Gpu, tools::Tools};
use disk::Disk;
use host::{Cpu, Host, Memory};
use processes::{Table, Tree};
use serde::Serialize;
use std::{
    path::PathBuf,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

/// Time between two looks.
pub const LOOK: Duration = Duration::from_secs(2);
/// Processes are looked at for so long after somebody asked, in ms.
const WATCHED: i64 = 10_000;
/// The disk is walked through no more often, in ms, and only when somebody watches.
const WALK_EVERY: i64 = 60_000;

/// What is known now.
#[derive(Clone, Debug, Default, Serialize, utoipa::ToSchema)]
pub struct Now {
    /// When it was looked at, ms since 1970.
    pub at: i64,
    /// Processors.
    pub cpu: Cpu,
    /// Memory.
    pub memory: Memory,
    /// GPUs; empty where there are none.
    pub gpus: Vec<Gpu>,
    /// Why no GPU is shown.
    pub no_gpus: Option<String>,
    /// The panel and each child of it, with all their descendants.
    pub processes: Vec<Tree>,
    /// What Easel's folder holds. None before it was counted.
    pub disk: Option<Disk>,
}

#[derive(Debug, Default)]
struct State {
    now: Now,
    history: History,
    /// When somebody last asked, ms.
    asked: i64,
    /// When the disk was last walked through to the end, ms.
    walked: i64,
    /// It is being walked through.
    walking: bool,
}

impl State {
    /// Whether the disk is walked through from now on: never twice at once, and with some time between two walks.
    fn may_walk(&mut self, at: i64) -> bool {
        let may = !self.walking && at - self.walked >= WALK_EVERY;
        self.walking |= may;
        may
    }
}

/// A walk through the disk; dropped, it is over, however it ended.
struct Walking(System);

impl Drop for Walking {
    fn drop(&mut self) {
        let at = self.0.0.clock.ms();
        let mut state = self.0.state();
        (state.walking, state.walked) = (false, at);
    }
}

#[derive(Debug)]
struct Inner {
    state: Mutex<State>,
    clock: Clock,
    data: PathBuf,
    engines: Engines,
    tools: Tools,
}

/// The handle.
#[derive(Clone, Debug)]
pub struct System(Arc<Inner>);

impl System {
    /// Nothing is looked at before [`System::look_on`].
    pub fn new(config: &Config, clock: Clock, engines: Engines, tools: Tools) -> System {
        System(Arc::new(Inner { state: Mutex::default(), clock, data: config.data.clone(), engines, tools }))
    }

    /// What is known now. Whoever asks is taken for somebody who goes on watching.
    pub fn now(&self) -> Now {
        let at = self.0.clock.ms();
        let mut state = self.state();
        state.asked = at;
        state.now.clone()
    }

    /// The minutes of the last day, oldest first.
    pub fn minutes(&self) -> Vec<Minute> {
        self.state().history.minutes().collect()
    }

    /// The samples of the last minutes, oldest first.
    pub fn samples(&self) -> Vec<Sample> {
        self.state().history.samples().collect()
    }

    /// Whether the machine has computed for the last two minutes: on average over 5 % of a GPU, or a quarter of all processors.
    pub fn is_working(&self) -> bool {
        let samples = self.samples();
        let mean = |of: fn(&Sample) -> f32| samples.iter().map(of).sum::<f32>() / samples.len().max(1) as f32;
        mean(|s| s.gpu.unwrap_or(0.0)) > 5.0 || mean(|s| s.cpu) > 25.0
    }

    /// Looks until the task is aborted.
    pub async fn look_on(self) {
        let mut eye = Eye { host: Host::new(), table: Table::default() };
        loop {
            let this = self.clone();
            // Reading /proc does not block for long, but it does.
            let looked = tokio::task::spawn_blocking(move || {
                this.look(&mut eye);
                eye
            });
            eye = match looked.await {
                Ok(eye) => eye,
                Err(e) => {
                    tracing::error!("looking at the machine: {e}");
                    return;
                }
            };
            self.0.clock.sleep(LOOK).await;
        }
    }

    fn look(&self, eye: &mut Eye) {
        let at = self.0.clock.ms();
        let (cpu, memory) = eye.host.look();
        let (gpus, no_gpus) = self.0.tools.gpus().look();
        let watched = self.state().asked > at - WATCHED;
        let processes = watched.then(|| {
            let mut names = self.0.tools.processes();
            names.extend(self.0.engines.processes());
            let mut trees = eye.table.look(std::process::id(), |pid| names.get(&pid).cloned());
            processes::gpu_memory(&mut trees, &gpus);
            trees
        });
        let sample = Sample::of(at, &cpu, &memory, &gpus);
        let mut state = self.state();
        state.history.push(sample);
        let (disk, before) = (state.now.disk.take(), std::mem::take(&mut state.now.processes));
        state.now = Now { at, cpu, memory, gpus, no_gpus, processes: processes.unwrap_or(before), disk };
        let walks = watched && state.may_walk(at);
        drop(state);
        if walks {
            self.walk();
        }
    }

    /// Counts the disk beside everything else: on a network volume it takes a while, and on one that hangs for ever.
    fn walk(&self) {
        let walk = Walking(self.clone());
        let count = move || {
            let this = &walk.0;
            let disk = disk::count(&this.0.data, this.0.clock.ms());
            this.state().now.disk = Some(disk);
        };
        if let Err(e) = std::thread::Builder::new().name("disk".into()).spawn(count) {
            tracing::warn!("counting the disk: {e}");
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // Every change is whole before anything can panic.
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What looking needs to remember from one time to the next.
struct Eye {
    host: Host,
    table: Table,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_walk_at_a_time_and_a_minute_between_two() {
        let mut state = State { walked: 1_000, ..State::default() };
        assert!(!state.may_walk(1_000 + WALK_EVERY - 1));
        assert!(state.may_walk(1_000 + WALK_EVERY));
        assert!(!state.may_walk(1_000 + 100 * WALK_EVERY), "the first is still at it");
        (state.walking, state.walked) = (false, 9_000);
        assert!(!state.may_walk(10_000) && state.may_walk(9_000 + WALK_EVERY));
    }
}
