//! The rented pod that a studio may stand on: what it is, what it costs, whether its disk lasts, and that it is stopped when
//! nobody uses it. Knows no page.

mod api;
mod disk;
mod idle;

pub use api::Price;
pub use disk::is_the_containers_own;
pub use idle::{COUNTDOWN, Idle};

use crate::{clock::Clock, config::Config, config::Host, events::Events, secrets::Secret};
use api::Api;
use idle::{Event, next};
use serde::Serialize;
use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

/// How often it is looked whether anybody uses the pod.
pub const LOOK: Duration = Duration::from_secs(5);
/// The price is asked for this often, in ms.
const PRICE_EVERY: i64 = 60 * 60 * 1_000;

/// What is known of the pod. Absent fields are not told by its provider.
#[derive(Clone, Debug, Default, PartialEq, Serialize, utoipa::ToSchema)]
pub struct PodView {
    /// "RunPod" or "Vast".
    pub provider: &'static str,
    /// Its id.
    pub id: Option<String>,
    /// The data centre.
    pub region: Option<String>,
    /// The network volume.
    pub volume: Option<String>,
    /// US dollars an hour.
    pub per_hour: Option<f64>,
    /// US dollars since Easel started, at that price.
    pub spent: Option<f64>,
    /// What Easel keeps lies on the container's own disk: it is gone when the pod stops.
    pub disk_is_lost: bool,
    /// Minutes without use after which the pod is stopped; none: it is not.
    pub idle_stop_min: Option<u64>,
    /// Why it is not, although it was asked for.
    pub no_idle_stop: Option<String>,
}

/// The handle.
#[derive(Clone, Debug)]
pub struct Pod(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    clock: Clock,
    events: Events,
    started: i64,
    /// Quiet for so long, it is stopped; none: never.
    after: Option<Duration>,
    api: Option<Api>,
    fixed: Option<PodView>,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    idle: Idle,
    price: Option<Price>,
    asked: Option<i64>,
}

impl Pod {
    /// The pod that the configuration says this is, or none.
    pub fn new(config: &Config, clock: Clock, events: Events) -> Pod {
        let now = clock.ms();
        let variables = &config.surroundings.variables;
        let get = |name: &str| variables.get(name).filter(|v| !v.is_empty()).map(str::to_owned);
        let wanted = Some(config.idle_stop).filter(|after| !after.is_zero());
        let key = get("RUNPOD_API_KEY").map(Secret::new);
        let (provider, region, volume) = match &config.surroundings.host {
            Host::Plain => (None, None, None),
            Host::RunPod { .. } => (Some("RunPod"), get("RUNPOD_DC_ID"), get("RUNPOD_VOLUME_ID")),
            Host::Vast { .. } => (Some("Vast"), None, None),
        };
        let id = config.surroundings.pod().map(str::to_owned);
        let disk_is_lost = provider.is_some() && disk::is_the_containers_own(&config.data);
        let api = match (provider, &id, key) {
            (Some("RunPod"), Some(id), Some(key)) => Api::new(&config.runpod_api, id, key).ok(),
            _ => None,
        };
        let no_idle_stop = wanted.and_then(|_| why_no_idle_stop(config));
        let after = wanted.filter(|_| no_idle_stop.is_none());
        if let Some(why) = &no_idle_stop {
            tracing::warn!("idle_stop_min is set, and the pod is not stopped: {why}");
        }
        let fixed = provider.map(|provider| PodView {
            provider,
            id,
            region,
            volume,
            disk_is_lost,
            idle_stop_min: after.map(|after| after.as_secs() / 60),
            no_idle_stop,
            ..PodView::default()
        });
        let state = State { idle: Idle::Watching { since: now }, price: None, asked: None };
        Pod(Arc::new(Inner { clock, events, started: now, after, api, fixed, state: Mutex::new(state) }))
    }

    /// What is known of it; none on a machine that is nobody's pod.
    pub fn view(&self) -> Option<PodView> {
        let mut view = self.0.fixed.clone()?;
        view.per_hour = self.state().price.map(|price| price.per_hour);
        let hours = (self.0.clock.ms() - self.0.started).max(0) as f64 / 3_600_000.0;
        view.spent = view.per_hour.map(|per_hour| per_hour * hours);
        Some(view)
    }

    /// Whether it is stopped when nobody uses it.
    pub fn stops_itself(&self) -> bool {
        self.0.after.is_some()
    }

    /// How long nobody has used it, and what comes of it.
    pub fn idle(&self) -> Idle {
        self.state().idle.clone()
    }

    /// Somebody wants it to run on.
    pub fn keep(&self) {
        self.happened(Event::Keep);
    }

    /// Looks, until the task is aborted. `busy` says whether anything or anybody keeps it busy now.
    pub async fn look_on(self, mut busy: impl FnMut() -> bool) {
        let Some(api) = self.0.api.clone() else { return };
        loop {
            self.ask_price(&api).await;
            if self.0.after.is_some() && self.happened(Event::Look { busy: busy() }) {
                tracing::warn!("nobody has used this pod for long enough: it is stopped");
                if let Err(why) = api.stop().await {
                    tracing::error!("the pod is not stopped: {why}");
                    self.happened(Event::Refused(why));
                }
            }
            self.0.clock.sleep(LOOK).await;
        }
    }

    async fn ask_price(&self, api: &Api) {
        let now = self.0.clock.ms();
        if self.state().asked.is_some_and(|asked| now - asked < PRICE_EVERY) {
            return;
        }
        let price = api.price().await;
        let mut state = self.state();
        state.asked = Some(now);
        match price {
            Ok(price) => state.price = price,
            Err(why) => tracing::debug!("the pod's price is not known: {why}"),
        }
    }

    /// Whether the pod is to be stopped now.
    fn happened(&self, event: Event) -> bool {
        let Some(after) = self.0.after else { return false };
        let now = self.0.clock.ms();
        let (stop, told) = {
            let mut state = self.state();
            let before = state.idle.clone();
            let (idle, stop) = next(before.clone(), event, now, after);
            let told = std::mem::discriminant(&before) != std::mem::discriminant(&idle);
            state.idle = idle;
            (stop, told)
        };
        if told {
            self.0.events.stir_notices();
        }
        stop
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // Each change is whole.
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Why this pod would not be stopped when nobody uses it, as a sentence; none: it would.
pub fn why_no_idle_stop(config: &Config) -> Option<String> {
    let variables = &config.surroundings.variables;
    let has = |name: &str| variables.get(name).is_some_and(|value| !value.is_empty());
    let provider = match &config.surroundings.host {
        Host::Plain => None,
        Host::RunPod { .. } => Some("RunPod"),
        Host::Vast { .. } => Some("Vast"),
    };
    let disk_is_lost = provider.is_some() && is_the_containers_own(&config.data);
    why_not(provider, disk_is_lost, config.surroundings.pod().is_some() && has("RUNPOD_API_KEY"))
}

/// The same as a function of what it depends on.
fn why_not(provider: Option<&str>, disk_is_lost: bool, has_api: bool) -> Option<String> {
    match provider {
        None => Some("this machine is no rented pod.".into()),
        Some("Vast") => Some("Easel knows no way to stop an instance of Vast; stop it there.".into()),
        _ if disk_is_lost => Some("its data folder is on the container's own disk, which would be lost.".into()),
        _ if !has_api => Some("RUNPOD_POD_ID or RUNPOD_API_KEY is missing.".into()),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::why_not;

    #[test]
    fn what_would_be_lost_is_not_stopped() {
        assert!(why_not(None, false, false).is_some() && why_not(Some("Vast"), false, true).is_some());
        assert!(why_not(Some("RunPod"), true, true).unwrap().contains("container's own disk"));
        assert!(why_not(Some("RunPod"), false, false).is_some());
        assert_eq!(why_not(Some("RunPod"), false, true), None);
    }
}
