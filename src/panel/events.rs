//! What happens, fanned out to each profile: numbered events that are in the store, and the latest of what
//! is not worth storing (steps, previews, places). Knows no HTTP beyond the shape of its lines.
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
};

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
}

impl Passing {
    fn name(self) -> &'static str {
        match self {
            Passing::Loading => "loading",
            Passing::Step => "step",
            Passing::Preview => "preview",
            Passing::Place => "place",
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
}

impl Events {
    /// The events of a store.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub async fn open(store: Store) -> Result<Events, StoreError> {
        let floor = store.read(|c| table::last_seq(c)).await?;
        let inner = Inner { floor, closed: AtomicBool::new(false), channels: Mutex::default() };
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

    /// The last number: what a page that is made now goes on from.
    pub fn last(&self, profile: &ProfileId) -> i64 {
        self.channel(profile).last()
    }

    /// Listens: numbered events after `after` (none: from now on), of one job or of all.
    pub fn subscribe(&self, profile: &ProfileId, after: Option<i64>, only: Option<JobId>) -> Subscription {
        Subscription::new(self.clone(), profile.clone(), self.channel(profile), after, only)
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
