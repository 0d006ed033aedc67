//! One listener: a cursor, and the way from the store to the memory. Knows no connection.

use super::{
    Channel, Events,
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

/// Events read from the store at once.
const PAGE: u32 = 500;

/// What is new for a listener, as lines of a stream.
#[derive(Debug, Default)]
pub struct Batch {
    /// Numbered events, in order.
    pub numbered: Vec<Bytes>,
    /// The latest of the rest.
    pub passing: Vec<Bytes>,
}

/// One listener.
#[derive(Debug)]
pub struct Subscription {
    events: Events,
    profile: ProfileId,
    channel: Arc<Channel>,
    bell: watch::Receiver<u64>,
    cursor: Cursor,
    only: Option<JobId>,
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
        Subscription { events, profile, channel, bell, cursor: Cursor { seq, version: 0 }, only }
    }

    /// The number up to which this listener knows everything.
    pub fn seq(&self) -> i64 {
        self.cursor.seq
    }

    /// What is new, without waiting: at first the replay and the latest of all that passes.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub async fn take(&mut self) -> Result<Batch, StoreError> {
        let mut numbered = Vec::new();
        loop {
            match self.channel.news(self.cursor, self.only.as_ref()) {
                News::Lines(mut new, cursor) => {
                    numbered.append(&mut new.numbered);
                    self.cursor = cursor;
                    return Ok(Batch { numbered, passing: new.passing });
                }
                News::Behind => self.page(&mut numbered).await?,
            }
        }
    }

    /// Reads a page of what is no longer in memory.
    async fn page(&mut self, lines: &mut Vec<Bytes>) -> Result<(), StoreError> {
        let (profile, after, last) = (self.profile.clone(), self.cursor.seq, self.channel.last());
        let page = self.events.store.read(move |c| table::after(c, &profile, after, last, PAGE)).await?;
        // A short page is the end of what the store has up to `last`, which the memory had then.
        let full = page.len() == PAGE as usize;
        self.cursor.seq = if full { page.last().map_or(last, |e| e.seq) } else { last };
        lines.extend(page.iter().filter(|e| self.only.as_ref().is_none_or(|only| *only == e.job)).map(numbered));
        Ok(())
    }

    /// Waits until something is new. False when all streams end.
    pub async fn changed(&mut self) -> bool {
        !self.events.is_closed() && self.bell.changed().await.is_ok() && !self.events.is_closed()
    }
}
