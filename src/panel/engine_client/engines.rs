//! All engines of a studio, for whoever does not care which: one a GPU, or as many as are configured. Sets those aside that
//! nobody needs. Knows no queue, and not when one of them is started again.

use super::{
    EngineClient, Tokens,
    view::{EngineView, Place, Together, spare, working},
};
use futures_util::future::join_all;
use protocol::{JobId, ModelInfo};
use std::sync::{Arc, Weak};
use supervise::{Launch, Policy, Spawner};
use tokio::sync::watch;

/// The handle.
#[derive(Clone, Debug)]
pub struct Engines(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    each: Vec<EngineClient>,
    views: watch::Receiver<Vec<EngineView>>,
}

impl Engines {
    /// Starts an engine for each of `launches`. Call it inside a tokio runtime.
    pub fn start(launches: Vec<Launch>, policy: Policy, spawner: &Arc<dyn Spawner>) -> Engines {
        let count = launches.len();
        let (all, views) = watch::channel(vec![EngineView::default(); count]);
        let one = |(index, launch)| {
            let place = Place { all: all.clone(), index };
            EngineClient::start(&name(index, count), launch, policy, Arc::clone(spawner), place)
        };
        let each = launches.into_iter().enumerate().map(one).collect();
        let engines = Engines(Arc::new(Inner { each, views: views.clone() }));
        tokio::spawn(set_aside(Arc::downgrade(&engines.0), views));
        engines
    }

    /// Each of them.
    pub fn each(&self) -> &[EngineClient] {
        &self.0.each
    }

    /// What is known of each now.
    pub fn views(&self) -> Vec<EngineView> {
        self.0.views.borrow().clone()
    }

    /// Follows what is known of each.
    pub fn watch(&self) -> watch::Receiver<Vec<EngineView>> {
        self.0.views.clone()
    }

    /// What is known of them together now.
    pub fn view(&self) -> Together {
        Together::of(&self.0.views.borrow())
    }

    /// How many work.
    pub fn working(&self) -> usize {
        working(&self.0.views.borrow()).len()
    }

    /// Processes and what they are called.
    pub fn processes(&self) -> Vec<(u32, String)> {
        let views = self.0.views.borrow();
        let called = |i| if views.len() == 1 { "Engine".to_owned() } else { format!("Engine {}", i + 1) };
        views.iter().enumerate().filter_map(|(i, view)| Some((view.pid?, called(i)))).collect()
    }

    /// Everything that can be loaded.
    pub fn models(&self) -> Arc<Vec<ModelInfo>> {
        self.view().models
    }

    /// One model.
    pub fn model(&self, id: &str) -> Option<ModelInfo> {
        self.models().iter().find(|m| m.id == id).cloned()
    }

    /// Stops a job within 500 ms, wherever it runs.
    pub fn cancel(&self, job: &JobId) {
        // Whoever does not have it leaves it alone.
        self.0.each.iter().for_each(|engine| engine.cancel(job));
    }

    /// Has all look at the models folder again, if that is a while ago.
    pub fn scan(&self) {
        self.0.each.iter().for_each(EngineClient::scan);
    }

    /// Asks those on a GPU to give the memory of their models back; jobs that run are finished first. On processors there is
    /// nothing to give back, and reading a model again takes its time.
    pub fn leave_gpus(&self) {
        let on_gpu = |engine: &&EngineClient| !engine.view().device.starts_with("CPU");
        self.0.each.iter().filter(on_gpu).for_each(EngineClient::unload);
    }

    /// Counts a prompt's tokens; none while no engine works.
    pub async fn count_tokens(&self, model: &str, prompt: &str) -> Option<Tokens> {
        let first = working(&self.0.views.borrow()).into_iter().next()?;
        self.0.each.get(first)?.count_tokens(model, prompt).await
    }

    /// Ends all in order and waits until their processes are gone.
    pub async fn stop(&self) {
        join_all(self.0.each.iter().map(EngineClient::stop)).await;
    }
}

/// What an engine is called in the log.
fn name(index: usize, count: usize) -> String {
    if count == 1 { "engine".to_owned() } else { format!("engine {}", index + 1) }
}

/// Ends engines that nobody needs, until there are no engines any more. Holds nothing that would keep them.
async fn set_aside(engines: Weak<Inner>, mut views: watch::Receiver<Vec<EngineView>>) {
    while views.changed().await.is_ok() {
        let unneeded = {
            let all = views.borrow_and_update();
            spare(&all).and_then(|i| Some((i, all.get(i)?.no_gpu.clone()?)))
        };
        let Some((index, why)) = unneeded else { continue };
        let Some(engines) = engines.upgrade() else { return };
        tracing::warn!("{} is set aside, because others have what it lacks. {why}", name(index, engines.each.len()));
        if let Some(engine) = engines.each.get(index) {
            engine.set_aside().await;
        }
    }
}
