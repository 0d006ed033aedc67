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
/// And so soon again where it was not told: after a pod's boot its network often comes late.
const PRICE_AGAIN: i64 = 60 * 1_000;

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
    /// When the price is asked for next.
    ask_at: i64,
}

impl Pod {
    /// The pod that the configuration says this is, or none.
    pub fn new(config: &Config, clock: Clock, events: Events) -> Pod {
        let now = clock.ms();
        let variables = &config.surroundings.variables;
        let get = |name: &str| variables.get(name).filter(|v| !v.is_empty()).map(str::to_owned);
        let wanted = Some(config.idle_stop).filter(|after| !after.is_zero());
        let key = get("RUNPOD_API_KEY").map(Secret::new);
        let provider = provider(config);
        let of_runpod = |name: &str| get(name).filter(|_| provider == Some("RunPod"));
        let (region, volume) = (of_runpod("RUNPOD_DC_ID"), of_runpod("RUNPOD_VOLUME_ID"));
        let id = config.surroundings.pod().map(str::to_owned);
        let disk_is_lost = is_lost(config);
        let api = match (provider, &id, key) {
            (Some("RunPod"), Some(id), Some(key)) => Api::new(&config.runpod_api, id, key).ok(),
            _ => None,
        };
        let no_idle_stop = wanted.and_then(|_| why_not(provider, disk_is_lost, has_api(config)));
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
        let state = State { idle: Idle::Watching { since: now }, price: None, ask_at: now };
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
        // Far ahead: the clock was set back.
        if (1..=PRICE_EVERY).contains(&(self.state().ask_at - now)) {
            return;
        }
        let price = api.price().await;
        let mut state = self.state();
        match price {
            Ok(price) => {
                state.price = price;
                state.ask_at = now + PRICE_EVERY;
            }
            Err(why) => {
                tracing::debug!("the pod's price is not known: {why}");
                state.ask_at = now + PRICE_AGAIN;
            }
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

/// Whose pod this is.
fn provider(config: &Config) -> Option<&'static str> {
    match &config.surroundings.host {
        Host::Plain => None,
        Host::RunPod { .. } => Some("RunPod"),
        Host::Vast { .. } => Some("Vast"),
    }
}

/// Whether what Easel keeps is gone when the pod stops.
fn is_lost(config: &Config) -> bool {
    provider(config).is_some() && is_the_containers_own(&config.data)
}

fn has_api(config: &Config) -> bool {
    let key = config.surroundings.variables.get("RUNPOD_API_KEY");
    config.surroundings.pod().is_some() && key.is_some_and(|key| !key.is_empty())
}

/// Why this pod would not be stopped when nobody uses it, as a sentence; none: it would.
pub fn why_no_idle_stop(config: &Config) -> Option<String> {
    why_not(provider(config), is_lost(config), has_api(config))
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
    use super::*;
    use crate::{config::Flags, store::Store};
    use jiff::Timestamp;
    use std::{
        io::{Read as _, Write as _},
        net::TcpListener,
    };

    /// An interface that cannot be reached at first, and tells a price then. Its address.
    fn reached_late() -> String {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = format!("http://{}", listener.local_addr().unwrap());
        std::thread::spawn(move || {
            for (status, body) in [("502 Bad Gateway", ""), ("200 OK", r#"{"cost":0.44}"#)] {
                let (mut stream, _) = listener.accept().unwrap();
                let _ = stream.read(&mut [0; 4096]).unwrap();
                let length = body.len();
                let head = format!("HTTP/1.1 {status}\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n");
                stream.write_all(format!("{head}{body}").as_bytes()).unwrap();
            }
        });
        address
    }

    #[tokio::test]
    async fn a_price_that_is_not_told_at_once_is_asked_for_again_soon() {
        let folder = tempfile::tempdir().unwrap();
        let variables = [("RUNPOD_POD_ID", "p"), ("RUNPOD_API_KEY", "k")].map(|(name, value)| (name.into(), value.into())).into();
        let file = Some(("easel.toml".into(), format!("runpod_api = \"{}\"", reached_late())));
        let config = Config::from_parts(Flags::default(), &variables, file).unwrap();
        let clock = Clock::at(Timestamp::UNIX_EPOCH);
        let events = Events::open(Store::open(folder.path()).unwrap()).await.unwrap();
        let pod = Pod::new(&config, clock.clone(), events);
        let api = pod.0.api.clone().unwrap();
        for (wait, per_hour) in [(0, None), (59, None), (1, Some(0.44)), (3_599, Some(0.44))] {
            clock.advance(Duration::from_secs(wait));
            pod.ask_price(&api).await;
            assert_eq!(pod.view().unwrap().per_hour, per_hour, "{wait} s later");
        }
    }

    #[test]
    fn what_would_be_lost_is_not_stopped() {
        assert!(why_not(None, false, false).is_some() && why_not(Some("Vast"), false, true).is_some());
        assert!(why_not(Some("RunPod"), true, true).unwrap().contains("container's own disk"));
        assert!(why_not(Some("RunPod"), false, false).is_some());
        assert_eq!(why_not(Some("RunPod"), false, true), None);
    }
}
