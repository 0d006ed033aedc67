//! One listener: a cursor, and the way from the store to the memory. Knows no connection.

use super::{
    Channel, Events, Versions,
    channel::{Cursor, News},
    numbered,
};
use crate::{
    store::{StoreError, events as table},
    users::ProfileId,
};
use bytes::Bytes;
use protocol::JobId;
use std::sync::Arc;
use tokio::sync::watch;

/// Bytes of events that are read from the store at once: whoever asks for two weeks is told them by and by.
const PAGE: usize = 256 << 10;

/// What is new for a listener, as lines of a stream.
#[derive(Debug, Default)]
pub struct Batch {
    /// Numbered events, in order.
    pub numbered: Vec<Bytes>,
    /// The latest of the rest.
    pub passing: Vec<Bytes>,
    /// There is more in the store, older than anything else: take again.
    pub more: bool,
}

/// One listener.
#[derive(Debug)]
pub struct Subscription {
    events: Events,
    profile: ProfileId,
    channel: Arc<Channel>,
    bell: watch::Receiver<u64>,
    studio: watch::Receiver<Versions>,
    /// What of it this listener was told last.
    told: Versions,
    cursor: Cursor,
    only: Option<JobId>,
    /// The last batch was not all.
    more: bool,
}

impl Subscription {
    pub(super) fn new(
        events: Events,
        profile: ProfileId,
        channel: Arc<Channel>,
        after: Option<i64>,
        only: Option<JobId>,
    ) -> Subscription {
        let bell = channel.listen();
        let last = channel.last();
        // A number from the future comes from a store that was put back since; it means "from now on".
        let seq = after.filter(|n| (0..=last).contains(n)).unwrap_or(last);
        let studio = events.inner.studio.subscribe();
        let told = Versions::default();
        Subscription { events, profile, channel, bell, studio, told, cursor: Cursor { seq, version: 0 }, only, more: false }
    }

    /// The number up to which this listener knows everything.
    pub fn seq(&self) -> i64 {
        self.cursor.seq
    }

    /// What is new, without waiting: at first the replay, page by page, and with its end the latest of all that passes.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub async fn take(&mut self) -> Result<Batch, StoreError> {
        let batch = match self.channel.news(self.cursor, self.only.as_ref()) {
            News::Lines(mut new, cursor) => {
                self.cursor = cursor;
                new.passing.extend(self.stirred());
                new
            }
            News::Behind => Batch { numbered: self.page().await?, passing: Vec::new(), more: true },
        };
        self.more = batch.more;
        Ok(batch)
    }

    /// Reads a page of what is no longer in memory.
    async fn page(&mut self) -> Result<Vec<Bytes>, StoreError> {
        let (profile, only) = (self.profile.clone(), self.only.clone());
        // What the store has up to `last` now, the memory had then.
        let range = (self.cursor.seq, self.channel.last());
        let (page, seq) = self.events.store.read(move |c| table::after(c, &profile, only.as_ref(), range, PAGE)).await?;
        self.cursor.seq = seq;
        Ok(page.iter().map(numbered).collect())
    }

    /// A line for each thing of the studio that has changed, once for any number of changes.
    fn stirred(&mut self) -> Vec<Bytes> {
        let (before, now) = (self.told, *self.studio.borrow());
        if self.only.is_some() {
            return Vec::new();
        }
        self.told = now;
        let line = |(name, before, now): (&str, u64, u64)| {
            (before != now).then(|| Bytes::from(format!("event: {name}\ndata: {{\"version\":{now}}}\n\n")))
        };
        [("tools", before.tools, now.tools), ("notices", before.notices, now.notices)].into_iter().filter_map(line).collect()
    }

    /// Waits until something is new. False when all streams end.
    pub async fn changed(&mut self) -> bool {
        if self.events.is_closed() {
            return false;
        }
        if self.more {
            return true;
        }
        let (told, all) = (self.told, self.only.is_none());
        let rang = tokio::select! {
            rang = self.bell.changed() => rang.is_ok(),
            stirred = self.studio.wait_for(move |versions| all && *versions != told) => stirred.is_ok(),
        };
        rang && !self.events.is_closed()
    }
}
