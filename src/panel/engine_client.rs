//! The engine child as the panel sees it: a handle, and one task that starts it, talks to it and starts it
//! again when it dies. Knows no jobs beyond their ids, no store and no web.

mod task;
mod wire;

use protocol::{FromEngine, JobId, ModelInfo, Recipe, ToEngine};
use std::{sync::Arc, time::Duration};
use supervise::{Launch, Policy, Service, Spawner};
use tokio::sync::{mpsc, oneshot, watch};

/// Longest wait for a count of tokens.
const TOKENS_WAIT: Duration = Duration::from_secs(5);

/// How the engine is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum EngineStatus {
    /// Not there yet.
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
    /// It was stopped in order.
    Stopped,
}

/// What is known of the engine.
#[derive(Clone, Debug)]
pub struct EngineView {
    /// How it is.
    pub status: EngineStatus,
    /// Where it computes, in words; empty before its first word.
    pub device: String,
    /// Everything that can be loaded; what it last told, also while it restarts.
    pub models: Arc<Vec<ModelInfo>>,
    /// Files under `models/` that are no model: path, reason.
    pub refused: Arc<Vec<(String, String)>>,
    /// Its process, while there is one.
    pub pid: Option<u32>,
}

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
    Stop(oneshot::Sender<()>),
}

/// The handle.
#[derive(Clone, Debug)]
pub struct EngineClient {
    asks: mpsc::UnboundedSender<Ask>,
    view: watch::Receiver<EngineView>,
}

impl EngineClient {
    /// Starts the engine that `launch` describes. Call it inside a tokio runtime.
    pub fn start(launch: Launch, policy: Policy, spawner: Arc<dyn Spawner>) -> EngineClient {
        let (asks, inbox) = mpsc::unbounded_channel();
        let view = EngineView {
            status: EngineStatus::Starting,
            device: String::new(),
            models: Arc::default(),
            refused: Arc::default(),
            pid: None,
        };
        let (publish, view) = watch::channel(view);
        let (service, happened) = Service::new("engine", launch, policy, spawner);
        service.start();
        tokio::spawn(task::Task::new(service, happened, publish).run(inbox));
        EngineClient { asks, view }
    }

    /// What is known of it now.
    pub fn view(&self) -> EngineView {
        self.view.borrow().clone()
    }

    /// Follows what is known of it.
    pub fn watch(&self) -> watch::Receiver<EngineView> {
        self.view.clone()
    }

    /// Everything that can be loaded.
    pub fn models(&self) -> Arc<Vec<ModelInfo>> {
        Arc::clone(&self.view.borrow().models)
    }

    /// One model.
    pub fn model(&self, id: &str) -> Option<ModelInfo> {
        self.view.borrow().models.iter().find(|m| m.id == id).cloned()
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

    /// Stops a job within 500 ms.
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

    /// Ends it in order and waits until its process is gone.
    pub async fn stop(&self) {
        let (done, stopped) = oneshot::channel();
        if self.asks.send(Ask::Stop(done)).is_ok() {
            let _ = stopped.await;
        }
    }
}

#[cfg(test)]
mod tests;
