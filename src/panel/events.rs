//! What happens, fanned out to each profile: numbered events that are in the store, and the latest of what
//! is not worth storing (steps, previews, places, what holds a job up). Knows no HTTP beyond the shape of its lines.
//!
//! Nobody has a queue of his own. Each listener has a cursor into his profile's channel and takes what is
//! newer when his connection can take it: a slow one skips steps and previews, never a numbered event, and
//! delays nobody.

mod channel;
mod subscription;

pub use subscription::{Batch, Subscription};

use crate::{
    store::{Store, StoreError, events as table},
    users::ProfileId,
};
use bytes::Bytes;
use channel::Channel;
use protocol::JobId;
use serde::Serialize;
use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::SystemTime,
};
use tokio::sync::watch;

/// A numbered event, as the store has it.
#[derive(Clone, Debug)]
pub struct Numbered {
    /// Its number; grows over all profiles.
    pub seq: i64,
    /// Of which job.
    pub job: JobId,
    /// What kind.
    pub kind: Kind,
    /// JSON.
    pub body: String,
}

/// The kinds of numbered events.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A job's state.
    State,
    /// A finished picture.
    Artifact,
}

impl Kind {
    /// The name in the stream and in the store.
    pub fn name(self) -> &'static str {
        match self {
            Kind::State => "state",
            Kind::Artifact => "artifact",
        }
    }

    /// The kind of a name.
    pub fn parse(name: &str) -> Option<Kind> {
        [Kind::State, Kind::Artifact].into_iter().find(|k| k.name() == name)
    }
}

/// What is only ever interesting in its latest form.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Passing {
    /// A model is being read.
    Loading,
    /// A step was done.
    Step,
    /// What the picture looks like now.
    Preview,
    /// Place in the queue.
    Place,
    /// What holds it up, or that nothing does any more.
    Held,
    /// A dataset, or what runs for it, has changed.
    Dataset,
}

impl Passing {
    fn name(self) -> &'static str {
        match self {
            Passing::Loading => "loading",
            Passing::Step => "step",
            Passing::Preview => "preview",
            Passing::Place => "place",
            Passing::Held => "held",
            Passing::Dataset => "dataset",
        }
    }
}

/// The handle.
#[derive(Clone, Debug)]
pub struct Events {
    store: Store,
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    /// The last number when the panel started: nothing before it is in memory.
    floor: i64,
    closed: AtomicBool,
    channels: Mutex<HashMap<ProfileId, Arc<Channel>>>,
    studio: watch::Sender<Versions>,
}

/// What changes for everybody at once; each number grows whenever it does. A listener hears them when he comes and whenever
/// they change, and asks for what he may see where they are new to him.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Versions {
    /// Where tools stand.
    tools: u64,
    /// What the studio has to say to its people.
    notices: u64,
}

impl Versions {
    /// Numbers that no earlier panel has told: a browser may have heard that one's.
    fn of_this_start() -> Versions {
        let now = SystemTime::UNIX_EPOCH.elapsed().map_or(1, |since| u64::try_from(since.as_millis()).unwrap_or(1));
        Versions { tools: now, notices: now }
    }
}

impl Events {
    /// The events of a store.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub async fn open(store: Store) -> Result<Events, StoreError> {
        let floor = store.read(|c| table::last_seq(c)).await?;
        let inner = Inner {
            floor,
            closed: AtomicBool::new(false),
            channels: Mutex::default(),
            studio: watch::Sender::new(Versions::of_this_start()),
        };
        Ok(Events { store, inner: Arc::new(inner) })
    }

    /// Tells the listeners of a profile. Called on the store's thread right after the commit, so that
    /// numbers are announced in order.
    pub fn announce(&self, profile: &ProfileId, event: &Numbered) {
        self.channel(profile).push(event.seq, &event.job, numbered(event));
    }

    /// Replaces the latest of a kind. Does nothing but remember it when nobody listens.
    pub fn pass<T: Serialize>(&self, profile: &ProfileId, job: &JobId, kind: Passing, body: &T) {
        let data = serde_json::to_string(body).expect("numbers and strings are JSON");
        let line = Bytes::from(format!("event: {}\ndata: {data}\n\n", kind.name()));
        self.channel(profile).replace(job, kind, line);
    }

    /// Forgets what passed in a job that is over or starts anew.
    pub fn forget(&self, profile: &ProfileId, job: &JobId) {
        self.channel(profile).forget(job);
    }

    /// Tells a profile how one of its datasets stands; what was told of it before is forgotten.
    pub fn dataset_changed<T: Serialize>(&self, profile: &ProfileId, dataset: &str, told: &T) {
        self.pass(profile, &JobId(dataset.into()), Passing::Dataset, told);
    }

    /// Tells a profile that one of its datasets is gone. Kept in one place for all of them, so that datasets that come and
    /// go leave nothing in memory.
    pub fn dataset_gone<T: Serialize>(&self, profile: &ProfileId, dataset: &str, told: &T) {
        self.forget(profile, &JobId(dataset.into()));
        self.pass(profile, &JobId(String::new()), Passing::Dataset, told);
    }

    /// The last number: what a page that is made now goes on from.
    pub fn last(&self, profile: &ProfileId) -> i64 {
        self.channel(profile).last()
    }

    /// Listens: numbered events after `after` (none: from now on), of one job or of all.
    pub fn subscribe(&self, profile: &ProfileId, after: Option<i64>, only: Option<JobId>) -> Subscription {
        Subscription::new(self.clone(), profile.clone(), self.channel(profile), after, only)
    }

    /// Tells everybody that something about the tools has changed.
    pub fn stir_tools(&self) {
        self.inner.studio.send_modify(|versions| versions.tools += 1);
    }

    /// Tells everybody that the studio has something else to say.
    pub fn stir_notices(&self) {
        self.inner.studio.send_modify(|versions| versions.notices += 1);
    }

    /// Ends every stream.
    pub fn close(&self) {
        self.inner.closed.store(true, Ordering::Release);
        for channel in self.inner.channels.lock().unwrap_or_else(PoisonError::into_inner).values() {
            channel.ring();
        }
    }

    fn is_closed(&self) -> bool {
        self.inner.closed.load(Ordering::Acquire)
    }

    fn channel(&self, profile: &ProfileId) -> Arc<Channel> {
        let mut channels = self.inner.channels.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(channel) = channels.get(profile) {
            return Arc::clone(channel);
        }
        let channel = Arc::new(Channel::new(self.inner.floor));
        channels.insert(profile.clone(), Arc::clone(&channel));
        channel
    }
}

/// A numbered event as lines of a stream.
pub(crate) fn numbered(event: &Numbered) -> Bytes {
    Bytes::from(format!("id: {}\nevent: {}\ndata: {}\n\n", event.seq, event.kind.name(), event.body))
}

#[cfg(test)]
mod tests;
