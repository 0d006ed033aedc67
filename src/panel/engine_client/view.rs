//! How engines are, each and all together, and which of them work. Pure. Knows no process.

use protocol::{ModelInfo, NoGpu};
use std::sync::Arc;
use tokio::sync::watch;

/// How an engine is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum EngineStatus {
    /// Not there yet.
    #[default]
    Starting,
    /// Takes work.
    Ready,
    /// It died and is started again after a wait; says how.
    Restarting {
        /// How it ended.
        why: String,
    },
    /// It cannot run as configured; says how it ended.
    Failed {
        /// How it ended.
        why: String,
    },
    /// It was stopped in order; or set aside, because others have a GPU and it has none, until it is started again.
    Stopped,
}

impl EngineStatus {
    /// One word for it.
    pub fn name(&self) -> &'static str {
        match self {
            EngineStatus::Starting => "starting",
            EngineStatus::Ready => "ready",
            EngineStatus::Restarting { .. } => "restarting",
            EngineStatus::Failed { .. } => "failed",
            EngineStatus::Stopped => "stopped",
        }
    }
}

/// What is known of an engine.
#[derive(Clone, Debug, Default)]
pub struct EngineView {
    /// How it is.
    pub status: EngineStatus,
    /// Where it computes, in words; empty before its first word.
    pub device: String,
    /// Why that is no GPU although one would have been taken.
    pub no_gpu: Option<NoGpu>,
    /// Everything that can be loaded; what it last told, also while it restarts.
    pub models: Arc<Vec<ModelInfo>>,
    /// Files under `models/` that are no model: path, reason.
    pub refused: Arc<Vec<(String, String)>>,
    /// Its process, while there is one.
    pub pid: Option<u32>,
    /// Id of the model that it has in memory, as far as its jobs tell.
    pub loaded: Option<String>,
    /// It restarts once its job is over.
    pub restarts: bool,
}

impl EngineView {
    /// It wished for a GPU, has none, and is still there.
    fn fell_back(&self) -> bool {
        self.no_gpu.is_some() && self.status != EngineStatus::Stopped
    }

    /// It has what it wished for.
    fn has_its_device(&self) -> bool {
        let is_there = !matches!(self.status, EngineStatus::Failed { .. } | EngineStatus::Stopped);
        is_there && !self.device.is_empty() && self.no_gpu.is_none()
    }
}

/// What is known of all engines, where it does not matter which. They see the same folder of models.
#[derive(Clone, Debug, Default)]
pub struct Together {
    /// Ready when one of them is.
    pub status: EngineStatus,
    /// Where those that work compute: "2 × NVIDIA H100, f16".
    pub device: String,
    /// Everything that can be loaded.
    pub models: Arc<Vec<ModelInfo>>,
    /// Files under `models/` that are no model: path, reason.
    pub refused: Arc<Vec<(String, String)>>,
}

impl Together {
    /// Of these engines.
    pub fn of(all: &[EngineView]) -> Together {
        let working: Vec<&EngineView> = working(all).into_iter().filter_map(|i| all.get(i)).collect();
        let of_whom = working.first().copied().or_else(|| all.iter().find(|view| !view.models.is_empty()));
        let known: Vec<&EngineView> = if working.is_empty() { all.iter().collect() } else { working.clone() };
        let rank = |view: &&EngineView| match view.status {
            // One that is ready and does not work waits for what the others have.
            EngineStatus::Starting | EngineStatus::Ready => 0,
            EngineStatus::Restarting { .. } => 1,
            EngineStatus::Failed { .. } => 2,
            EngineStatus::Stopped => 3,
        };
        let status = match all.iter().min_by_key(rank) {
            _ if !working.is_empty() => EngineStatus::Ready,
            Some(first) if rank(&first) > 0 => first.status.clone(),
            _ => EngineStatus::Starting,
        };
        Together {
            status,
            device: devices(&known),
            models: of_whom.map(|view| Arc::clone(&view.models)).unwrap_or_default(),
            refused: of_whom.map(|view| Arc::clone(&view.refused)).unwrap_or_default(),
        }
    }
}

/// "2 × NVIDIA H100, f16; CPU, 2 cores".
fn devices(of: &[&EngineView]) -> String {
    let mut counted: Vec<(&str, usize)> = Vec::new();
    for view in of.iter().filter(|view| !view.device.is_empty()) {
        match counted.iter_mut().find(|(device, _)| *device == view.device) {
            Some((_, count)) => *count += 1,
            None => counted.push((&view.device, 1)),
        }
    }
    let words = |(device, count): (&str, usize)| if count == 1 { device.to_owned() } else { format!("{count} × {device}") };
    counted.into_iter().map(words).collect::<Vec<_>>().join("; ")
}

/// Those that may be given a job. One that has no GPU although it wished for one works only when nobody has what it wished
/// for: no job lands on a slow device by chance.
pub fn working(all: &[EngineView]) -> Vec<usize> {
    let may_fall_back = |i: usize| {
        let starts = |(j, other): (usize, &EngineView)| j != i && other.status == EngineStatus::Starting;
        !is_spare(all, i) && !all.iter().enumerate().any(starts)
    };
    let works = |(i, view): &(usize, &EngineView)| view.status == EngineStatus::Ready && (!view.fell_back() || may_fall_back(*i));
    all.iter().enumerate().filter(works).map(|(i, _)| i).collect()
}

/// The first one that nobody needs: it has no GPU although it wished for one, and another has what it wished for, or is on the
/// CPU before it.
pub(super) fn spare(all: &[EngineView]) -> Option<usize> {
    (0..all.len()).find(|i| is_spare(all, *i))
}

fn is_spare(all: &[EngineView], i: usize) -> bool {
    let better = |(j, other): (usize, &EngineView)| other.has_its_device() || j < i && other.fell_back();
    all.get(i).is_some_and(EngineView::fell_back) && all.iter().enumerate().any(better)
}

/// Where one engine writes how it is, among all of them.
#[derive(Debug)]
pub(super) struct Place {
    pub(super) all: watch::Sender<Vec<EngineView>>,
    pub(super) index: usize,
}

impl Place {
    pub(super) fn change(&self, how: impl FnOnce(&mut EngineView)) {
        self.all.send_modify(|all| how(&mut all[self.index]));
    }

    pub(super) fn is_ready(&self) -> bool {
        self.all.borrow()[self.index].status == EngineStatus::Ready
    }

    /// What it has in memory. Told with every step, so who watches is woken only when it changes.
    pub(super) fn has_loaded(&self, model: Option<&str>) {
        self.all.send_if_modified(|all| {
            let loaded = &mut all[self.index].loaded;
            let changes = loaded.as_deref() != model;
            if changes {
                *loaded = model.map(str::to_owned);
            }
            changes
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn on(status: EngineStatus, device: &str) -> EngineView {
        EngineView { status, device: device.into(), ..EngineView::default() }
    }

    fn ready(device: &str) -> EngineView {
        on(EngineStatus::Ready, device)
    }

    fn fallen() -> EngineView {
        EngineView { no_gpu: Some(NoGpu::Unusable("No GPU is used.".into())), ..ready("CPU, 2 cores") }
    }

    fn away() -> EngineStatus {
        EngineStatus::Restarting { why: "was ended by signal 9".into() }
    }

    #[test]
    fn who_has_no_gpu_works_only_when_nobody_has_one() {
        assert_eq!(working(&[fallen()]), [0], "alone");
        let starting = EngineView::default();
        assert!(working(&[fallen(), starting]).is_empty(), "the other may get one");
        assert_eq!(working(&[fallen(), ready("H100")]), [1]);
        assert_eq!(spare(&[fallen(), ready("H100")]), Some(0));
        let lost = [fallen(), on(away(), "H100")];
        assert!(working(&lost).is_empty() && spare(&lost) == Some(0), "it comes back");
        assert_eq!((working(&[fallen(), fallen()]), spare(&[fallen(), fallen()])), (vec![0], Some(1)), "one CPU is enough");
        assert_eq!(working(&[fallen(), on(away(), "")]), [0], "whoever dies before its first word has none");
        let aside = EngineView { status: EngineStatus::Stopped, ..fallen() };
        assert_eq!((working(&[aside.clone(), fallen()]), spare(&[aside, fallen()])), (vec![1], None), "the last one stays");
        assert_eq!(working(&[ready("CPU, 1 core"), ready("CPU, 1 core")]), [0, 1], "as wished");
    }

    #[test]
    fn together_they_are_as_well_as_the_best_of_them() {
        let both = Together::of(&[ready("H100, f16"), ready("H100, f16"), ready("L4, f16")]);
        assert_eq!((both.status, both.device.as_str()), (EngineStatus::Ready, "2 × H100, f16; L4, f16"));
        let one = Together::of(&[on(away(), "H100, f16"), ready("L4, f16")]);
        assert_eq!((one.status, one.device.as_str()), (EngineStatus::Ready, "L4, f16"));
        assert_eq!(Together::of(&[on(away(), ""), EngineView::default()]).status, EngineStatus::Starting);
        assert_eq!(Together::of(&[on(EngineStatus::Stopped, ""), on(away(), "")]).status, away());
        assert_eq!(Together::of(&[on(EngineStatus::Stopped, "")]).status, EngineStatus::Stopped);
        assert_eq!(Together::of(&[on(away(), "CPU, 2 cores")]).device, "CPU, 2 cores", "still known");
    }
}
