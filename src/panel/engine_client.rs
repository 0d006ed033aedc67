//! An engine child as the panel sees it: a handle, and one task that starts it, talks to it and starts it
//! again when it dies; and all of them together. Knows no jobs beyond their ids, no store and no web.

mod again;
mod engines;
mod task;
mod view;
mod wire;

pub use engines::Engines;
pub use view::{EngineStatus, EngineView, Together, working};

use again::Again;
use protocol::{FromEngine, JobId, Recipe, ToEngine};
use std::{sync::Arc, time::Duration};
use supervise::{Launch, Policy, Service, Spawner};
use tokio::sync::{mpsc, oneshot, watch};
use view::Place;

/// Longest wait for a count of tokens.
const TOKENS_WAIT: Duration = Duration::from_secs(5);

/// What comes of a job.
#[derive(Clone, Debug, PartialEq)]
pub enum EngineEvent {
    /// The engine's words.
    Told(FromEngine),
    /// It died; its last lines.
    Died(Vec<String>),
    /// It is not there, and the job did not reach it.
    NotSent,
}

/// Work for the engine.
#[derive(Clone, Debug)]
pub struct Order {
    /// The job.
    pub job: JobId,
    /// What to make.
    pub recipe: Recipe,
    /// File of the reference picture.
    pub image: Option<Vec<u8>>,
    /// File of the mask.
    pub mask: Option<Vec<u8>>,
}

/// How many tokens a prompt has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tokens {
    /// Without begin and end; none for an unknown model.
    pub tokens: Option<u32>,
    /// Chunks that they fill, at least 1.
    pub chunks: u32,
}

enum Ask {
    Generate(Box<Order>, mpsc::UnboundedSender<EngineEvent>),
    Tokens { model: String, prompt: String, answer: oneshot::Sender<Tokens> },
    Plain(ToEngine),
    Restart,
    SetAside(oneshot::Sender<()>),
    Stop(oneshot::Sender<()>),
}

/// The handle of one engine.
#[derive(Clone, Debug)]
pub struct EngineClient {
    asks: mpsc::UnboundedSender<Ask>,
    views: watch::Receiver<Vec<EngineView>>,
    index: usize,
}

impl EngineClient {
    /// Starts the engine that `launch` describes, called `name` in the log; how it is, it writes to its `place`.
    fn start(name: &str, launch: Launch, policy: Policy, spawner: Arc<dyn Spawner>, place: Place) -> EngineClient {
        let (asks, inbox) = mpsc::unbounded_channel();
        let (views, index) = (place.all.subscribe(), place.index);
        let (service, happened) = Service::new(name, launch, policy, spawner);
        service.start();
        tokio::spawn(task::Task::new(service, happened, Again::new(policy), place).run(inbox));
        EngineClient { asks, views, index }
    }

    /// What is known of it now.
    pub fn view(&self) -> EngineView {
        self.views.borrow().get(self.index).cloned().unwrap_or_default()
    }

    /// Makes pictures. The last event is `Done`, `Cancelled` or `Failed` of the job, `Died` or `NotSent`.
    pub fn generate(&self, order: Order) -> mpsc::UnboundedReceiver<EngineEvent> {
        let (tells, events) = mpsc::unbounded_channel();
        if let Err(refused) = self.asks.send(Ask::Generate(Box::new(order), tells))
            && let Ask::Generate(_, tells) = refused.0
        {
            let _ = tells.send(EngineEvent::NotSent);
        }
        events
    }

    /// Stops a job within 500 ms, if it is this one's.
    pub fn cancel(&self, job: &JobId) {
        let _ = self.asks.send(Ask::Plain(ToEngine::Cancel { job: job.clone() }));
    }

    /// Looks at the models folder again, if that is a while ago.
    pub fn scan(&self) {
        let _ = self.asks.send(Ask::Plain(ToEngine::Scan));
    }

    /// Asks it to give the memory of its models back; a job that runs is finished first.
    pub fn unload(&self) {
        let _ = self.asks.send(Ask::Plain(ToEngine::Unload));
    }

    /// Counts a prompt's tokens; none while the engine is away.
    pub async fn count_tokens(&self, model: &str, prompt: &str) -> Option<Tokens> {
        let (answer, tokens) = oneshot::channel();
        let ask = Ask::Tokens { model: model.to_owned(), prompt: prompt.to_owned(), answer };
        self.asks.send(ask).ok()?;
        tokio::time::timeout(TOKENS_WAIT, tokens).await.ok()?.ok()
    }

    /// Restarts it once its job is over; also one that was set aside or has given up.
    pub fn restart(&self) {
        let _ = self.asks.send(Ask::Restart);
    }

    /// Has it end until it is started again; a job that it has goes back to the queue.
    async fn set_aside(&self) {
        let (done, aside) = oneshot::channel();
        if self.asks.send(Ask::SetAside(done)).is_ok() {
            let _ = aside.await;
        }
    }

    /// Ends it in order for good, and waits until its process is gone.
    pub async fn stop(&self) {
        let (done, stopped) = oneshot::channel();
        if self.asks.send(Ask::Stop(done)).is_ok() {
            let _ = stopped.await;
        }
    }
}

#[cfg(test)]
mod tests;
