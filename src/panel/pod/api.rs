//! RunPod's own interface, as far as a pod asks about itself: what it costs, and to be stopped. Knows no studio.

use crate::{outgoing::client, secrets::Secret};
use reqwest::{Client, Method, Response, StatusCode, redirect::Policy};
use serde::Deserialize;
use std::time::Duration;

/// A server that does not answer for so long is none.
const PATIENCE: Duration = Duration::from_secs(20);
/// Largest answer that is read.
const MAX_ANSWER: usize = 1 << 20;
/// Most characters of a refusal that are shown.
const WORDS_MAX: usize = 200;

/// The interface for one pod.
#[derive(Clone, Debug)]
pub(super) struct Api {
    client: Client,
    base: String,
    pod: String,
    key: Secret,
}

/// What a pod costs.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Price {
    /// US dollars an hour while it runs.
    pub per_hour: f64,
}

/// The pod as the interface describes it: of version 2, and of version 1, which calls the price otherwise.
#[derive(Deserialize)]
struct Described {
    #[serde(alias = "costPerHr")]
    cost: Option<f64>,
}

/// A problem as RFC 9457 has it.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Problem {
    title: String,
    detail: String,
}

impl Api {
    /// The interface at `base` for the pod `pod`, asked with its own key.
    ///
    /// # Errors
    /// A sentence, when no client can be made.
    pub(super) fn new(base: &str, pod: &str, key: Secret) -> Result<Api, String> {
        // A redirect would carry the key elsewhere.
        let client = client().timeout(PATIENCE).redirect(Policy::none()).build();
        let client = client.map_err(|e| format!("No client can be made: {e}."))?;
        Ok(Api { client, base: base.trim_end_matches('/').to_owned(), pod: pod.to_owned(), key })
    }

    /// What the pod costs, where the interface says.
    ///
    /// # Errors
    /// A sentence: it cannot be reached or refuses.
    pub(super) async fn price(&self) -> Result<Option<Price>, String> {
        let body = self.ask(Method::GET, &format!("/pods/{}", self.pod), None).await?;
        let described: Described = serde_json::from_slice(&body).map_err(|e| format!("RunPod's answer cannot be read: {e}."))?;
        Ok(described.cost.filter(|cost| cost.is_finite() && *cost > 0.0).map(|per_hour| Price { per_hour }))
    }

    /// Asks for the pod to be stopped. Its disk at the volume stays; its GPU goes back.
    ///
    /// # Errors
    /// A sentence: it cannot be reached or refuses.
    pub(super) async fn stop(&self) -> Result<(), String> {
        let action = serde_json::json!({ "action": "stop" });
        self.ask(Method::POST, &format!("/pods/{}/action", self.pod), Some(action)).await.map(drop)
    }

    async fn ask(&self, method: Method, path: &str, body: Option<serde_json::Value>) -> Result<Vec<u8>, String> {
        let request = self.client.request(method, format!("{}{path}", self.base)).bearer_auth(self.key.expose());
        let request = if let Some(body) = &body { request.json(body) } else { request };
        // An error of reqwest names the address, in which nothing is secret.
        let mut answer = request.send().await.map_err(|e| format!("RunPod cannot be reached: {}.", e.without_url()))?;
        let bytes = read(&mut answer).await?;
        if answer.status().is_success() { Ok(bytes) } else { Err(refusal(answer.status(), &bytes)) }
    }
}

async fn read(answer: &mut Response) -> Result<Vec<u8>, String> {
    let mut bytes = Vec::new();
    while let Some(piece) = answer.chunk().await.map_err(|e| format!("RunPod's answer broke off: {}.", e.without_url()))? {
        if bytes.len() + piece.len() > MAX_ANSWER {
            return Err("RunPod's answer is longer than 1 MiB.".into());
        }
        bytes.extend_from_slice(&piece);
    }
    Ok(bytes)
}

/// What a status means here, with the interface's own words where it has some.
fn refusal(status: StatusCode, body: &[u8]) -> String {
    let Problem { title, detail } = serde_json::from_slice(body).unwrap_or_default();
    let said = if detail.is_empty() { title } else { detail };
    let said: String = said.chars().filter(|c| !c.is_control()).take(WORDS_MAX).collect();
    let what = match status.as_u16() {
        401 | 403 => "RunPod does not take the pod's key (RUNPOD_API_KEY)".to_owned(),
        404 => "RunPod does not know this pod".to_owned(),
        409 => "the pod cannot be stopped as it stands".to_owned(),
        429 => "RunPod wants to be asked later".to_owned(),
        other => format!("RunPod answered {other}"),
    };
    if said.is_empty() { format!("{what}.") } else { format!("{what}: {said}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_is_told_in_the_services_words() {
        let body = br#"{"title":"Conflict","detail":"Pod is locked","status":409}"#;
        assert_eq!(refusal(StatusCode::CONFLICT, body), "the pod cannot be stopped as it stands: Pod is locked");
        assert_eq!(refusal(StatusCode::BAD_GATEWAY, b"<html>"), "RunPod answered 502.");
        assert!(!refusal(StatusCode::BAD_REQUEST, br#"{"title":"a\u001b[31m"}"#).contains('\u{1b}'));
    }

    #[test]
    fn the_price_is_read_from_both_versions() {
        for text in [r#"{"id":"p","cost":0.44,"status":"RUNNING"}"#, r#"{"id":"p","costPerHr":0.44}"#] {
            assert_eq!(serde_json::from_str::<Described>(text).unwrap().cost, Some(0.44));
        }
    }
}
