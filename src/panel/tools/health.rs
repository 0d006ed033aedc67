//! Whether a tool is well, by its own answer and not by an open port. The only file of the panel that asks over HTTP; it asks
//! loopback. Decides nothing.

use super::{Health, ReleaseVram};
use crate::outgoing::client;
use std::{net::Ipv4Addr, time::Duration};

/// An answer that takes longer is none; nor is one that takes longer than the time between two questions.
const PATIENCE: Duration = Duration::from_secs(5);

/// Asks tools.
#[derive(Clone, Debug)]
pub(super) struct Asker(reqwest::Client);

impl Asker {
    /// An asker that knows no proxy and follows nowhere.
    ///
    /// # Errors
    /// When the system has no randomness or no certificates for the client, though it uses none.
    pub(super) fn new() -> Result<Asker, reqwest::Error> {
        let client = client().no_proxy().redirect(reqwest::redirect::Policy::none()).timeout(PATIENCE);
        Ok(Asker(client.pool_max_idle_per_host(0).build()?))
    }

    /// Whether a tool on this port answers as one that is well.
    pub(super) async fn is_well(&self, port: u16, health: &Health) -> bool {
        let question = self.0.get(url(port, &health.path)).timeout(PATIENCE.min(health.interval));
        let answer = question.send().await;
        answer.is_ok_and(|answer| health.expect.contains(&answer.status().as_u16()))
    }

    /// Asks a tool to give the card's memory back. False: it did not agree.
    pub(super) async fn release_vram(&self, port: u16, how: &ReleaseVram) -> bool {
        let url = url(port, &how.path);
        let request = if how.method == "GET" { self.0.get(url) } else { self.0.post(url) };
        let request = request.header("content-type", "application/json").body(how.body.clone());
        request.send().await.is_ok_and(|answer| answer.status().is_success())
    }
}

fn url(port: u16, path: &str) -> String {
    format!("http://{}:{port}{path}", Ipv4Addr::LOCALHOST)
}
