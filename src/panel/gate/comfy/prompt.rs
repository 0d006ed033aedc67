//! `POST /prompt` and the other bodies that a browser sends as JSON: what comes in, and what ComfyUI gets of it. Pure.

use super::Refusal;
use super::graph::{Sender, rewrite};
use serde_json::{Map, Value, json};

/// Ids in one request.
const IDS_MAX: usize = 10_000;

/// What the gate decides about a prompt.
#[derive(Clone, Debug)]
pub(super) struct Place {
    /// Its id, which nobody else has.
    pub(super) id: String,
    /// Its place in the queue: smaller comes first.
    pub(super) number: u64,
    /// Whose browser is told of it, where it named none.
    pub(super) client: String,
}

/// A body as JSON; the last of two keys of the same name counts, and is the only one that is sent on.
pub(super) fn read(body: &[u8]) -> Result<Value, Refusal> {
    serde_json::from_slice(body).map_err(|e| Refusal::new(format!("The body is no JSON: {e}.")))
}

/// The id that a client chose for its prompt: a UUID, which nobody guesses, or none.
pub(super) fn chosen_id(body: &Value) -> Result<Option<String>, Refusal> {
    match body.get("prompt_id") {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(id)) if is_uuid(id) => Ok(Some(id.to_ascii_lowercase())),
        Some(_) => Err(Refusal::new("prompt_id must be a UUID; leave it away to get one.".into())),
    }
}

fn is_uuid(text: &str) -> bool {
    let dash = |i: usize| matches!(i, 8 | 13 | 18 | 23);
    text.len() == 36 && text.bytes().enumerate().all(|(i, b)| if dash(i) { b == b'-' } else { b.is_ascii_hexdigit() })
}

/// A UUID of version 4 out of 32 random hexadecimal digits; fewer make a shorter id that is none.
pub(super) fn uuid(random: &str) -> String {
    let mut digits: Vec<char> = random.chars().take(32).collect();
    for (i, digit) in [(12, '4'), (16, 'a')] {
        if let Some(place) = digits.get_mut(i) {
            *place = digit;
        }
    }
    let mut text = String::new();
    for (i, digit) in digits.into_iter().enumerate() {
        let dash = if matches!(i, 8 | 12 | 16 | 20) { "-" } else { "" };
        text.push_str(dash);
        text.push(digit);
    }
    text
}

/// What ComfyUI gets for a prompt: nothing but what is known, and nobody else's place, id or browser.
pub(super) fn prompt(body: &Value, place: &Place, sender: &Sender<'_>) -> Result<Value, Refusal> {
    let body = body.as_object().ok_or_else(|| Refusal::new("A prompt is a JSON object.".into()))?;
    let client = match body.get("client_id").or_else(|| body.get("extra_data").and_then(|extra| extra.get("client_id"))) {
        Some(Value::String(shown)) if !shown.is_empty() => {
            sender.owner.client(shown).ok_or_else(|| Refusal::new("client_id may have letters, digits, - and _.".into()))?
        }
        // Without one, ComfyUI would tell everybody.
        _ => place.client.clone(),
    };
    let mut written = Map::new();
    if let Some(graph) = body.get("prompt") {
        written.insert("prompt".into(), rewrite(graph, sender)?);
    }
    let mut extra = body.get("extra_data").and_then(Value::as_object).cloned().unwrap_or_default();
    extra.remove("client_id");
    written.insert("extra_data".into(), Value::Object(extra));
    written.insert("client_id".into(), Value::from(client));
    written.insert("prompt_id".into(), Value::from(place.id.as_str()));
    // `number` and `front` would put it before what others wait for.
    written.insert("number".into(), Value::from(place.number));
    if let Some(targets) = body.get("partial_execution_targets").filter(|targets| !targets.is_null()) {
        let ids = targets.as_array().is_some_and(|ids| ids.len() <= IDS_MAX && ids.iter().all(Value::is_string));
        if !ids {
            return Err(Refusal::new("partial_execution_targets must be a list of nodes.".into()));
        }
        written.insert("partial_execution_targets".into(), targets.clone());
    }
    Ok(Value::Object(written))
}

/// Bytes of a text as ComfyUI tells it: Python writes what is no ASCII in six letters, or twice six.
pub(super) fn told_size(text: &str) -> usize {
    let size = |c: char| if c.is_ascii() { 1 } else { 6 * c.len_utf16() };
    text.chars().map(size).sum()
}

/// What `POST /queue` and `POST /history` ask for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Edit {
    /// All of the profile's own.
    pub(super) clear: bool,
    /// These, as far as they are the profile's own.
    pub(super) delete: Vec<String>,
}

/// Reads it.
pub(super) fn edit(body: &Value) -> Result<Edit, Refusal> {
    let clear = match body.get("clear") {
        None | Some(Value::Null) => false,
        Some(Value::Bool(clear)) => *clear,
        Some(_) => return Err(Refusal::new("clear must be true or false.".into())),
    };
    let delete = match body.get("delete") {
        None | Some(Value::Null) => Vec::new(),
        Some(Value::Array(ids)) if ids.len() <= IDS_MAX => ids.iter().filter_map(Value::as_str).map(str::to_owned).collect(),
        Some(_) => return Err(Refusal::new(format!("delete must be a list of at most {IDS_MAX} ids."))),
    };
    Ok(Edit { clear, delete })
}

/// What ComfyUI gets for an edit.
pub(super) fn deletion(ids: &[String]) -> Value {
    json!({ "delete": ids })
}

/// What ComfyUI gets for `POST /free`.
pub(super) fn free(body: &Value) -> Value {
    let on = |key: &str| body.get(key) == Some(&Value::Bool(true));
    json!({ "unload_models": on("unload_models"), "free_memory": on("free_memory") })
}

#[cfg(test)]
#[path = "tests/prompts.rs"]
mod tests;
