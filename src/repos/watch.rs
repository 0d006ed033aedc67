//! One piece of work on a thread of its own, watched by its caller: progress goes out, cancel and time limits come in. Knows no git.

use crate::{Fault, Limits, Phase, Progress};
use std::{
    ops::ControlFlow,
    sync::{Arc, Mutex, MutexGuard, PoisonError, mpsc},
    thread,
    time::{Duration, Instant},
};

/// How often the caller is asked whether to go on. Cancel takes this long and a socket's wait more.
const TICK: Duration = Duration::from_millis(100);

/// What the work and its watcher share.
#[derive(Clone, Debug)]
pub(crate) struct Watch(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    host: String,
    limits: Limits,
    started: Instant,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    progress: Progress,
    /// When the remote was last heard of, or libgit2 got on with what it had.
    heard: Instant,
    stop: Option<Stop>,
    /// Past the point of no return: what was begun is finished.
    sealed: bool,
}

/// Why the work is to stop.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stop {
    Cancelled,
    Stalled,
    TimedOut,
    TooMuch,
}

impl Watch {
    fn new(host: &str, limits: Limits) -> Watch {
        let now = Instant::now();
        let state = State { progress: Progress::default(), heard: now, stop: None, sealed: false };
        Watch(Arc::new(Shared { host: host.to_owned(), limits, started: now, state: Mutex::new(state) }))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Something moved.
    pub(crate) fn touch(&self) {
        self.state().heard = Instant::now();
    }

    /// Begins a phase of so many steps.
    pub(crate) fn phase(&self, phase: Phase, total: usize) {
        let mut state = self.state();
        state.heard = Instant::now();
        // What was finished may be stopped again at what comes next.
        state.sealed &= phase == Phase::Switching;
        state.progress = Progress { phase, done: 0, total, bytes: state.progress.bytes };
    }

    /// One step of the phase is done. An error where the work is to stop.
    pub(crate) fn step(&self) -> Result<(), Fault> {
        self.state().progress.done += 1;
        self.check()
    }

    /// An error where the work is to stop.
    pub(crate) fn check(&self) -> Result<(), Fault> {
        let state = self.state();
        state.stop.filter(|_| !state.sealed).map_or(Ok(()), |stop| Err(self.fault(stop)))
    }

    /// What has arrived so far. False where the work is to stop.
    pub(crate) fn received(&self, done: usize, total: usize, bytes: u64) -> bool {
        let mut state = self.state();
        let progress = Progress { phase: Phase::Receiving, done, total, bytes };
        if progress != state.progress {
            (state.progress, state.heard) = (progress, Instant::now());
        }
        if bytes > self.0.limits.pack {
            state.stop.get_or_insert(Stop::TooMuch);
        }
        state.stop.is_none()
    }

    /// From here on nothing stops the work.
    pub(crate) fn seal(&self) -> Result<(), Fault> {
        let mut state = self.state();
        if let Some(stop) = state.stop {
            return Err(self.fault(stop));
        }
        state.sealed = true;
        Ok(())
    }

    pub(crate) fn stopped(&self) -> bool {
        self.state().stop.is_some()
    }

    /// The reason of the stop, where there is one.
    pub(crate) fn why(&self) -> Option<Fault> {
        self.state().stop.map(|stop| self.fault(stop))
    }

    fn fault(&self, stop: Stop) -> Fault {
        let limits = &self.0.limits;
        match stop {
            Stop::Cancelled => Fault::Cancelled,
            Stop::Stalled => Fault::Stalled { host: self.0.host.clone(), seconds: limits.stall.as_secs() },
            Stop::TimedOut => Fault::TimedOut(limits.total.as_secs()),
            Stop::TooMuch => {
                Fault::TooLarge { what: "what the remote sends".to_owned(), limit: format!("{} bytes", limits.pack) }
            }
        }
    }

    /// Looks at the clock, and at what the caller said.
    fn look(&self, said: ControlFlow<()>) {
        let mut state = self.state();
        let verdict = verdict(said, state.progress.phase, self.0.started.elapsed(), state.heard.elapsed(), &self.0.limits);
        if let Some(stop) = verdict {
            state.stop.get_or_insert(stop);
        }
    }
}

/// Whether the work is to stop: only a remote can stall.
fn verdict(said: ControlFlow<()>, phase: Phase, whole: Duration, silent: Duration, limits: &Limits) -> Option<Stop> {
    let remote = matches!(phase, Phase::Connecting | Phase::Receiving);
    match said {
        ControlFlow::Break(()) => Some(Stop::Cancelled),
        ControlFlow::Continue(()) if whole > limits.total => Some(Stop::TimedOut),
        ControlFlow::Continue(()) if remote && silent > limits.stall => Some(Stop::Stalled),
        ControlFlow::Continue(()) => None,
    }
}

/// Runs `work` on a thread of its own and tells `progress` of it, ten times a second.
pub(crate) fn run<T: Send>(
    host: &str,
    limits: Limits,
    progress: &mut dyn FnMut(Progress) -> ControlFlow<()>,
    work: impl FnOnce(&Watch) -> Result<T, Fault> + Send,
) -> Result<T, Fault> {
    let watch = Watch::new(host, limits);
    thread::scope(|scope| {
        let (done, ended) = mpsc::channel::<()>();
        let worker = {
            let watch = &watch;
            thread::Builder::new().name("git".to_owned()).spawn_scoped(scope, move || {
                // Dropped at the end, by a panic as well.
                let _done = done;
                work(watch)
            })
        };
        let worker = worker.map_err(|e| Fault::io("starting a thread", e))?;
        while let Err(mpsc::RecvTimeoutError::Timeout) = ended.recv_timeout(TICK) {
            let now = watch.state().progress;
            watch.look(progress(now));
        }
        // The last word, so that whoever draws a bar sees it full.
        let _ = progress(watch.state().progress);
        worker.join().unwrap_or_else(|_| Err(Fault::Git("the work ended by a fault in the program".to_owned())))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_remote_stalls_and_the_caller_comes_first() {
        let limits = Limits { stall: Duration::from_secs(1), total: Duration::from_secs(9), ..Limits::default() };
        let at = |phase, whole, silent| {
            verdict(ControlFlow::Continue(()), phase, Duration::from_secs(whole), Duration::from_secs(silent), &limits)
        };
        assert_eq!(at(Phase::Receiving, 3, 2), Some(Stop::Stalled));
        assert_eq!(at(Phase::Preparing, 3, 2), None);
        assert_eq!(at(Phase::Connecting, 3, 1), None);
        assert_eq!(at(Phase::Connecting, 10, 5), Some(Stop::TimedOut));
        let said = verdict(ControlFlow::Break(()), Phase::Connecting, Duration::from_secs(10), Duration::ZERO, &limits);
        assert_eq!(said, Some(Stop::Cancelled));
    }

    #[test]
    fn a_panic_of_the_work_is_an_error() {
        let result: Result<(), _> = run("h", Limits::default(), &mut |_| ControlFlow::Continue(()), |_| panic!("on purpose"));
        assert!(matches!(result, Err(Fault::Git(_))));
    }
}
