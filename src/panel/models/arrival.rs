//! One model on its way in: what was wished, and how it stands. Pure; knows no process and no disk.

use crate::{clock::rfc3339, secrets::Secret, store::arrivals};
use protocol::ToModelWorker;
use serde::Serialize;
use std::time::Instant;
use tokio::sync::mpsc;

/// Said of a download whose address was not stored.
pub(super) const FORGOTTEN: &str = "Easel was started again since, and keeps no address with a question mark in it: a part of it may \
     be a secret. Add the same address once more; it goes on where it stopped.";
/// Share of the newest measurement in the running mean of the speed.
const NEWEST: f64 = 0.3;

/// What to fetch.
#[derive(Clone, Debug)]
pub struct Wish {
    /// From where.
    pub url: Secret,
    /// Its name below `models/`; the server's where absent.
    pub name: Option<String>,
    /// The SHA-256 that it must have.
    pub sha256: Option<String>,
    /// Access token for the address's own host.
    pub token: Option<Secret>,
}

/// A model on its way in.
#[derive(Clone, Debug, Serialize, utoipa::ToSchema)]
#[schema(as = Arrival)]
pub struct ArrivalView {
    /// Its id.
    pub id: String,
    /// The admin who asked.
    pub by: String,
    /// Of the file below `models/`; none before the server has told it.
    pub name: Option<String>,
    /// The host that it comes from; empty of an upload.
    pub from: String,
    /// waiting, running, failed or done.
    pub state: &'static str,
    /// Bytes that are there.
    pub done: u64,
    /// Bytes in all, where known.
    pub total: Option<u64>,
    /// Bytes a second.
    pub speed: Option<f64>,
    /// Why it failed.
    pub error: Option<String>,
    /// Whether it can be started again.
    pub again: bool,
    /// The model that it became.
    pub model: Option<String>,
    /// When it was asked for, RFC 3339.
    pub created: String,
}

/// Where an upload is after a piece.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Stage {
    /// More is to come from this offset.
    Offset(u64),
    /// All is there, and is a model of this id.
    Complete(String),
}

/// One of them, with what nobody sees.
#[derive(Debug)]
pub(super) struct Arrival {
    pub(super) view: ArrivalView,
    /// None of an upload, and of a download whose address is not known any more.
    pub(super) wish: Option<Wish>,
    /// Which file an upload is, where its sender said so.
    pub(super) mark: Option<String>,
    /// Tells its worker to give up.
    pub(super) cancel: Option<mpsc::UnboundedSender<ToModelWorker>>,
    /// When `done` was last measured.
    measured: Option<(Instant, u64)>,
}

impl Arrival {
    pub(super) fn new(row: &arrivals::Arrival, wish: Option<Wish>) -> Arrival {
        let view = ArrivalView {
            id: row.id.clone(),
            by: row.profile.clone(),
            name: row.name.clone(),
            from: row.host.clone(),
            state: "waiting",
            done: 0,
            total: row.bytes,
            speed: None,
            error: None,
            again: false,
            model: None,
            created: rfc3339(row.created),
        };
        Arrival { view, wish, mark: row.mark.clone(), cancel: None, measured: None }
    }

    /// One that an earlier panel left.
    pub(super) fn found_again(row: arrivals::Arrival, url: Option<Secret>) -> Arrival {
        let wish = url.map(|url| Wish { url, name: row.name.clone(), sha256: row.sha256.clone(), token: None });
        let mut arrival = Arrival::new(&row, wish);
        if row.bytes.is_none() && arrival.wish.is_none() {
            arrival.fail(FORGOTTEN.into());
        }
        arrival
    }

    pub(super) fn set(&mut self, state: &'static str) {
        self.view.state = state;
        (self.view.error, self.view.speed, self.view.again) = (None, None, false);
        self.measured = None;
    }

    pub(super) fn fail(&mut self, why: String) {
        self.set("failed");
        self.view.error = Some(why);
        self.view.again = self.wish.is_some();
        self.cancel = None;
    }

    pub(super) fn arrived(&mut self, model: &str) {
        self.set("done");
        self.view.model = Some(model.into());
        self.view.done = self.view.total.unwrap_or(self.view.done);
        (self.wish, self.cancel) = (None, None);
    }

    pub(super) fn progress(&mut self, done: u64, total: Option<u64>) {
        let now = Instant::now();
        if let Some((at, before)) = self.measured {
            let seconds = now.duration_since(at).as_secs_f64();
            if seconds > 0.0 && done >= before {
                let speed = (done - before) as f64 / seconds;
                self.view.speed = Some(self.view.speed.map_or(speed, |mean| mean + NEWEST * (speed - mean)));
            }
        }
        self.measured = Some((now, done));
        (self.view.done, self.view.total) = (done, total);
    }
}
