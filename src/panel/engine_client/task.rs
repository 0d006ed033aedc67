//! The one task that owns the conversation with the engine. Knows who waits for which answer.

use super::{Ask, EngineEvent, EngineStatus, EngineView, Order, Tokens, again::Again, view::Place, wire::Wire};
use protocol::{BUILD_ID, FromEngine, JobId, NoGpu, ToEngine};
use std::{collections::HashMap, sync::Arc, time::Duration};
use supervise::{Happened, Service};
use tokio::{
    sync::{mpsc, oneshot},
    time::Instant,
};

/// Time that a new engine has to say hello. It may have tried a GPU twice until then, each time in vain.
const HELLO_WAIT: Duration = Duration::from_secs(120);

/// Time that a process has to end once its stream has.
const EXIT_WAIT: Duration = Duration::from_secs(2);
/// Time that a cancelled job has to end. An engine that does not listen any more would hold up everybody.
const CANCEL_WAIT: Duration = Duration::from_secs(30);
/// The models folder is not looked at more often.
const SCAN_EVERY: Duration = Duration::from_secs(5);

pub(super) struct Task {
    service: Service,
    happened: mpsc::UnboundedReceiver<Happened>,
    place: Place,
    wire: Option<Wire>,
    /// Until when the engine has to say hello, or to end; none while it talks.
    hello_by: Option<Instant>,
    job: Option<Running>,
    /// Until when a cancelled job has to end.
    cancel_by: Option<Instant>,
    wanted: Wanted,
    again: Again,
    counts: HashMap<u64, oneshot::Sender<Tokens>>,
    asked: u64,
    /// When the models folder was last looked at.
    scanned: Instant,
}

/// What its process is wanted to do, which says what the end of it means.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Wanted {
    /// To be there.
    Here,
    /// To be there, and to start anew once its job is over.
    AnewAfterJob,
    /// To end, and to start anew.
    Anew,
    /// To end, until something else is wanted.
    Aside,
}

/// The job that it has.
struct Running {
    job: JobId,
    model: String,
    tells: mpsc::UnboundedSender<EngineEvent>,
}

enum Input {
    Ask(Option<Ask>),
    Happened(Option<Happened>),
    Heard(Option<FromEngine>),
    Silent,
    LookAgain,
}

impl Task {
    pub(super) fn new(service: Service, happened: mpsc::UnboundedReceiver<Happened>, again: Again, place: Place) -> Task {
        Task {
            service,
            happened,
            place,
            wire: None,
            hello_by: None,
            job: None,
            cancel_by: None,
            wanted: Wanted::Here,
            again,
            counts: HashMap::new(),
            asked: 0,
            scanned: Instant::now(),
        }
    }

    pub(super) async fn run(mut self, mut asks: mpsc::UnboundedReceiver<Ask>) {
        loop {
            let input = tokio::select! {
                ask = asks.recv() => Input::Ask(ask),
                happened = self.happened.recv() => Input::Happened(happened),
                heard = hear(&mut self.wire) => Input::Heard(heard),
                () = silence(self.hello_by.or(self.cancel_by)) => Input::Silent,
                () = silence(self.again.at) => Input::LookAgain,
            };
            match input {
                Input::Ask(None) | Input::Happened(None) => return,
                Input::Ask(Some(Ask::Stop(done))) => {
                    self.stop().await;
                    let _ = done.send(());
                    return;
                }
                Input::Ask(Some(ask)) => self.ask(ask),
                Input::Happened(Some(Happened::Started { pid, stream })) => self.greet(pid, stream),
                Input::Happened(Some(Happened::NotStarted { why })) => self.lost(self.once_gone(why, false)),
                Input::Happened(Some(Happened::Ended { exit, mut log, for_good })) => {
                    let why = exit.to_string();
                    // Killed from outside it says nothing itself.
                    log.push(format!("The engine {why}."));
                    self.bury(log).await;
                    self.lost(self.once_gone(why, for_good));
                }
                Input::Heard(Some(message)) => self.hear(message),
                // Usually the process is ending, and its own exit says more than a kill would.
                Input::Heard(None) => {
                    self.wire = None;
                    self.hello_by = Some(Instant::now() + EXIT_WAIT);
                    self.away("it has closed its end");
                }
                Input::Silent => self.hang_up("it does not answer"),
                Input::LookAgain => self.restart(),
            }
        }
    }

    /// Closes the stream, which asks the engine to end, and waits for it.
    async fn stop(&mut self) {
        self.wire = None;
        self.service.stop().await;
        if let Some(Running { tells, .. }) = self.job.take() {
            let _ = tells.send(EngineEvent::NotSent);
        }
        self.lost(EngineStatus::Stopped);
    }

    /// Starts it anew: now, or when its job is over.
    fn restart(&mut self) {
        self.again.at = None;
        if self.job.is_some() {
            self.wanted = Wanted::AnewAfterJob;
            return self.place.change(|view| view.restarts = true);
        }
        self.leave(Wanted::Anew, |view| {
            view.status = EngineStatus::Starting;
            // Nothing is known of where it will compute.
            (view.device, view.no_gpu) = (String::new(), None);
        });
        self.service.restart();
    }

    /// Ends it until something else is wanted. Its job is another's.
    fn set_aside(&mut self) {
        self.leave(Wanted::Aside, |view| view.status = EngineStatus::Stopped);
        if let Some(Running { tells, .. }) = self.job.take() {
            let _ = tells.send(EngineEvent::NotSent);
        }
        self.service.leave();
    }

    /// How it is once its process is gone.
    fn once_gone(&self, why: String, for_good: bool) -> EngineStatus {
        match self.wanted {
            Wanted::Aside => EngineStatus::Stopped,
            Wanted::Anew => EngineStatus::Starting,
            Wanted::Here | Wanted::AnewAfterJob if for_good => EngineStatus::Failed { why },
            Wanted::Here | Wanted::AnewAfterJob => EngineStatus::Restarting { why },
        }
    }

    /// Hears and tells it nothing more. The end of its stream asks it to end.
    fn leave(&mut self, wanted: Wanted, is_now: impl FnOnce(&mut EngineView)) {
        (self.wire, self.hello_by, self.cancel_by) = (None, None, None);
        self.wanted = wanted;
        // One change: who looks on decides by all of it.
        self.place.change(|view| {
            (view.loaded, view.restarts) = (None, false);
            is_now(view);
        });
    }

    fn hang_up(&mut self, why: &str) {
        self.away(why);
        self.wire = None;
        self.hello_by = None;
        self.cancel_by = None;
        self.service.kill();
    }

    fn greet(&mut self, pid: u32, stream: Option<tokio::net::UnixStream>) {
        // It was on its way when that changed, and ends again.
        if self.wanted == Wanted::Aside {
            return;
        }
        self.wanted = Wanted::Here;
        let wire = stream.map(Wire::new);
        if let Some(wire) = &wire {
            let _ = wire.send(&ToEngine::Hello { build: BUILD_ID.into() });
        }
        self.wire = wire;
        self.hello_by = Some(Instant::now() + HELLO_WAIT);
        self.place.change(|view| view.pid = Some(pid));
    }

    /// The process is gone: whoever waits for it is told.
    async fn bury(&mut self, log: Vec<String>) {
        // What it said before it died is still in the pipe, and may be the end of a job.
        if let Some(mut wire) = self.wire.take() {
            while let Ok(Some(message)) = tokio::time::timeout(Duration::from_millis(200), wire.next()).await {
                self.hear(message);
            }
        }
        self.hello_by = None;
        self.cancel_by = None;
        self.counts.clear();
        if let Some(Running { tells, .. }) = self.job.take() {
            let _ = tells.send(EngineEvent::Died(log));
        }
    }

    /// It takes no more work, though its process may be there for a while: whoever has work waits.
    fn away(&self, why: &str) {
        self.place.change(|view| view.status = EngineStatus::Restarting { why: why.into() });
    }

    fn lost(&self, status: EngineStatus) {
        self.place.change(|view| {
            view.status = status;
            view.pid = None;
            view.loaded = None;
            view.restarts = false;
        });
    }

    fn is_ready(&self) -> bool {
        self.wire.is_some() && self.place.is_ready()
    }

    fn ask(&mut self, ask: Ask) {
        match ask {
            Ask::Generate(order, tells) => self.generate(*order, tells),
            Ask::Tokens { model, prompt, answer } => {
                self.asked += 1;
                if self.is_ready() && self.send(&ToEngine::CountTokens { ask: self.asked, model, prompt }) {
                    self.counts.retain(|_, waiting| !waiting.is_closed());
                    self.counts.insert(self.asked, answer);
                }
            }
            Ask::Plain(ToEngine::Scan) if self.scanned.elapsed() < SCAN_EVERY => {}
            // It is another engine's.
            Ask::Plain(ToEngine::Cancel { job }) if !self.has(&job) => {}
            Ask::Plain(message) => {
                match &message {
                    ToEngine::Scan => self.scanned = Instant::now(),
                    ToEngine::Cancel { .. } => {
                        self.cancel_by.get_or_insert(Instant::now() + CANCEL_WAIT);
                    }
                    _ => {}
                }
                if self.is_ready() {
                    self.send(&message);
                }
            }
            Ask::Restart => self.restart(),
            Ask::SetAside(done) => {
                self.set_aside();
                let _ = done.send(());
            }
            // The loop ends with it.
            Ask::Stop(_) => {}
        }
    }

    fn generate(&mut self, order: Order, tells: mpsc::UnboundedSender<EngineEvent>) {
        let Order { job, recipe, image, mask } = order;
        let model = recipe.model.clone();
        let message = ToEngine::Generate { job: job.clone(), recipe: Box::new(recipe), image, mask };
        if self.job.is_none() && self.is_ready() && self.send(&message) {
            self.job = Some(Running { job, model, tells });
        } else {
            let _ = tells.send(EngineEvent::NotSent);
        }
    }

    fn has(&self, job: &JobId) -> bool {
        self.job.as_ref().is_some_and(|running| running.job == *job)
    }

    fn send(&self, message: &ToEngine) -> bool {
        let Some(wire) = &self.wire else { return false };
        wire.send(message).inspect_err(|e| tracing::error!("{e}")).is_ok()
    }

    fn hear(&mut self, message: FromEngine) {
        match message {
            FromEngine::Hello { build, device, no_gpu } => self.welcome(&build, device, no_gpu),
            FromEngine::Models { models, refused } => self.place.change(|view| {
                view.models = Arc::new(models);
                view.refused = Arc::new(refused);
                if self.hello_by.is_none() {
                    view.status = EngineStatus::Ready;
                }
            }),
            FromEngine::Tokens { ask, tokens, chunks } => {
                if let Some(answer) = self.counts.remove(&ask) {
                    let _ = answer.send(Tokens { tokens, chunks });
                }
            }
            FromEngine::Unloaded => {
                tracing::debug!("the engine gave its models' memory back");
                self.place.has_loaded(None);
            }
            message => self.pass_on(message),
        }
    }

    fn welcome(&mut self, build: &str, device: String, no_gpu: Option<NoGpu>) {
        if build != BUILD_ID {
            tracing::error!(engine = build, panel = BUILD_ID, "the engine is of another build: restart Easel");
            return self.hang_up("it is of another build");
        }
        tracing::info!(engine = self.place.index + 1, device, "the engine is there");
        self.hello_by = None;
        self.again.told(no_gpu.as_ref(), Instant::now());
        self.service.ready();
        self.place.change(|view| {
            view.device = device;
            view.no_gpu = no_gpu;
        });
        // It is ready once its models are known.
        self.scanned = Instant::now();
        self.send(&ToEngine::Scan);
    }

    /// Words about a job, to whoever waits for it.
    fn pass_on(&mut self, message: FromEngine) {
        let (job, last) = match &message {
            FromEngine::Loading { job, .. } | FromEngine::Step { job, .. } | FromEngine::Picture { job, .. } => (job, false),
            FromEngine::Done { job, .. }
            | FromEngine::Cancelled { job }
            | FromEngine::Failed { job, .. }
            | FromEngine::GpuFull { job, .. } => (job, true),
            _ => return,
        };
        let Some(running) = self.job.take_if(|running| running.job == *job) else { return };
        match &message {
            // Whatever was there before is gone.
            FromEngine::Loading { .. } => self.place.has_loaded(None),
            FromEngine::Step { .. } => self.place.has_loaded(Some(&running.model)),
            _ => {}
        }
        if !last {
            let _ = running.tells.send(EngineEvent::Told(message));
            self.job = Some(running);
            return;
        }
        self.cancel_by = None;
        // Before whoever waits can send the next one.
        if self.wanted == Wanted::AnewAfterJob {
            self.restart();
        }
        let _ = running.tells.send(EngineEvent::Told(message));
    }
}

async fn hear(wire: &mut Option<Wire>) -> Option<FromEngine> {
    match wire {
        Some(wire) => wire.next().await,
        None => std::future::pending().await,
    }
}

async fn silence(until: Option<Instant>) {
    match until {
        Some(at) => tokio::time::sleep_until(at).await,
        None => std::future::pending().await,
    }
}
