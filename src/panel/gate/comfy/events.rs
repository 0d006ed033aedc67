//! Messages of ComfyUI's WebSocket, one browser's: which of them are about its profile's own prompts, and what it may say
//! itself. Pure; knows no socket.

use super::lists;
use super::names::{File, Owner};
use super::pyjson;
use serde_json::{Value, json};

/// Messages that carry the id of the prompt that they are about.
const ABOUT_A_PROMPT: [&str; 9] = [
    "execution_start",
    "execution_cached",
    "executing",
    "executed",
    "progress",
    "progress_state",
    "execution_success",
    "execution_error",
    "execution_interrupted",
];
/// Those after which it runs no more.
const ENDS: [&str; 3] = ["execution_success", "execution_error", "execution_interrupted"];
/// Messages of custom nodes that are sent to all, about the prompt that runs.
const OF_NODES: [&str; 9] = [
    "VHS_latentpreview",
    "kj_preview_override",
    "pysssss/update_status",
    "impact/update_status",
    "impact-node-feedback",
    "value-send",
    "img-send",
    "latent-send",
    "easyuse-toast",
];
/// Binary messages: a preview, a text for a node, a preview with what it is of.
const PREVIEW: u32 = 1;
const TEXT: u32 = 3;
const PREVIEW_OF: u32 = 4;
/// Bytes of what a preview says about itself.
const METADATA_MAX: usize = 64 * 1024;

/// Whether a binary message is a picture of how far something is, of which only the newest counts.
pub(super) fn is_preview(bytes: &[u8]) -> bool {
    matches!(word(bytes), Some(PREVIEW | PREVIEW_OF))
}

/// What becomes of a message to the browser.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Heard {
    /// It is not told.
    Nothing,
    /// It is told this.
    Text(String),
    /// It is told this, and its profile has made these files.
    Made(String, Vec<File>),
    /// Its own count is told, and what it is called where that was told too.
    Status(Option<String>),
}

/// One browser's stream.
#[derive(Debug, Default)]
pub(super) struct Stream {
    /// A prompt of its profile runs, as far as it was told. ComfyUI runs one at a time and tells of its beginning and end in
    /// the same order as of all in between, so what is sent to everybody meanwhile is about that one.
    running: bool,
}

impl Stream {
    /// A text of ComfyUI's.
    pub(super) fn text(&mut self, text: &str, owner: &Owner, owns: impl Fn(&str) -> bool) -> Heard {
        let Some(mut message) = pyjson::read(text.as_bytes()) else { return Heard::Nothing };
        if let Some(output) = message.pointer_mut("/data/output") {
            lists::without_paths(output);
        }
        let (Some(kind), data) = (message["type"].as_str(), &message["data"]) else { return Heard::Nothing };
        match kind {
            "status" => {
                let sid = data["sid"].as_str();
                // ComfyUI tells it its id: one of another profile is not even counted for it.
                match sid.map(|real| owner.shown_client(real)) {
                    Some(None) => Heard::Nothing,
                    shown => Heard::Status(shown.flatten().map(str::to_owned)),
                }
            }
            "feature_flags" => Heard::Text(message.to_string()),
            _ if ABOUT_A_PROMPT.contains(&kind) => {
                let own = data["prompt_id"].as_str().is_some_and(owns);
                let ended = ENDS.contains(&kind) || kind == "executing" && data["node"].is_null();
                self.running = own && !ended;
                match kind {
                    _ if !own => Heard::Nothing,
                    "executed" => Heard::Made(message.to_string(), lists::files(&data["output"])),
                    _ => Heard::Text(message.to_string()),
                }
            }
            _ if OF_NODES.contains(&kind) && self.running => Heard::Text(message.to_string()),
            _ => Heard::Nothing,
        }
    }

    /// Whether a binary message of ComfyUI's is told.
    pub(super) fn binary(&self, bytes: &[u8], owns: impl Fn(&str) -> bool) -> bool {
        match word(bytes) {
            Some(PREVIEW | TEXT) => self.running,
            Some(PREVIEW_OF) => {
                let Some(length) = word(&bytes[4..]).and_then(|length| usize::try_from(length).ok()) else { return false };
                let metadata = bytes[8..].get(..length).filter(|_| length <= METADATA_MAX);
                let metadata = metadata.and_then(pyjson::read);
                metadata.is_some_and(|metadata| metadata["prompt_id"].as_str().is_some_and(owns))
            }
            _ => false,
        }
    }
}

fn word(bytes: &[u8]) -> Option<u32> {
    Some(u32::from_be_bytes(bytes.get(..4)?.try_into().ok()?))
}

/// How a count is told.
pub(super) fn status(count: usize, sid: Option<&str>) -> String {
    let mut data = json!({ "status": lists::remaining(count) });
    if let Some(sid) = sid {
        data["sid"] = Value::from(sid);
    }
    json!({ "type": "status", "data": data }).to_string()
}

/// What a browser says, as ComfyUI hears it: which features it has, and nothing else.
pub(super) fn said(text: &str) -> Option<String> {
    let message: Value = serde_json::from_str(text).ok()?;
    let flags = (message["type"] == "feature_flags").then(|| message["data"].as_object())??;
    let plain = |value: &Value| value.is_boolean() || value.is_number() || value.is_string();
    let flags: serde_json::Map<String, Value> =
        flags.iter().filter(|(_, value)| plain(value)).map(|(key, value)| (key.clone(), value.clone())).collect();
    Some(json!({ "type": "feature_flags", "data": flags }).to_string())
}

#[cfg(test)]
#[path = "tests/messages.rs"]
mod tests;
