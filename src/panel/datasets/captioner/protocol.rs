//! The three ways to show a picture to a vision model and to read what it says: Anthropic's Messages, chat completions as
//! OpenAI and many servers speak them, Gemini's generateContent. Pure: builds and reads JSON, sends nothing.

use super::{policy::Trouble, settings::Vision};
use crate::{logs::masked, uploads::sentence};
use serde_json::{Value, json};
use std::{str::FromStr, time::Duration};

/// Tokens that a caption may take, where a protocol asks for a limit.
const MOST_TOKENS: u32 = 1_024;
/// Characters of a service's own words that are shown.
const MOST_WORDS: usize = 200;

/// How a service is spoken to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protocol {
    /// `POST /v1/messages`.
    Anthropic,
    /// `POST /chat/completions`.
    OpenAi,
    /// `POST /v1beta/models/{model}:generateContent`.
    Gemini,
}

impl Protocol {
    /// Every protocol.
    pub const ALL: [Protocol; 3] = [Protocol::Anthropic, Protocol::OpenAi, Protocol::Gemini];

    /// As the store and the API write it.
    pub fn name(self) -> &'static str {
        match self {
            Protocol::Anthropic => "anthropic",
            Protocol::OpenAi => "openai",
            Protocol::Gemini => "gemini",
        }
    }

    /// The address of the service that it is named after.
    pub fn home(self) -> &'static str {
        match self {
            Protocol::Anthropic => "https://api.anthropic.com",
            Protocol::OpenAi => "https://api.openai.com/v1",
            Protocol::Gemini => "https://generativelanguage.googleapis.com",
        }
    }
}

impl FromStr for Protocol {
    type Err = String;

    fn from_str(text: &str) -> Result<Protocol, String> {
        Protocol::ALL.into_iter().find(|p| p.name() == text).ok_or_else(|| format!("\"{text}\" is no protocol"))
    }
}

/// A request to be sent as JSON by POST. The key is in a header only.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Request {
    pub(super) url: String,
    /// The header that carries the key, with what stands before it.
    pub(super) key: (&'static str, &'static str),
    pub(super) headers: Vec<(&'static str, &'static str)>,
    pub(super) body: Value,
}

/// The question about one JPEG, given as base64.
pub(super) fn request(vision: &Vision, instruction: &str, jpeg: &str) -> Request {
    let (base, model) = (&vision.base_url, &vision.model);
    match vision.protocol {
        Protocol::Anthropic => {
            let source = json!({"type": "base64", "media_type": "image/jpeg", "data": jpeg});
            let content = json!([{"type": "image", "source": source}, {"type": "text", "text": instruction}]);
            Request {
                url: format!("{base}/v1/messages"),
                key: ("x-api-key", ""),
                headers: vec![("anthropic-version", "2023-06-01")],
                body: json!({"model": model, "max_tokens": MOST_TOKENS, "messages": [{"role": "user", "content": content}]}),
            }
        }
        Protocol::OpenAi => {
            let picture = json!({"url": format!("data:image/jpeg;base64,{jpeg}")});
            let content = json!([{"type": "text", "text": instruction}, {"type": "image_url", "image_url": picture}]);
            Request {
                url: format!("{base}/chat/completions"),
                key: ("authorization", "Bearer "),
                headers: Vec::new(),
                // No limit of tokens: its name differs between servers, and each refuses the other's.
                body: json!({"model": model, "messages": [{"role": "user", "content": content}]}),
            }
        }
        Protocol::Gemini => {
            let picture = json!({"inlineData": {"mimeType": "image/jpeg", "data": jpeg}});
            let model = model.strip_prefix("models/").unwrap_or(model);
            Request {
                url: format!("{base}/v1beta/models/{model}:generateContent"),
                key: ("x-goog-api-key", ""),
                headers: Vec::new(),
                body: json!({"contents": [{"role": "user", "parts": [picture, {"text": instruction}]}]}),
            }
        }
    }
}

/// The caption in an answer.
///
/// # Errors
/// [`Trouble`] in words for a person; the service's own only as far as they cannot hold the key.
pub(super) fn read(vision: &Vision, status: u16, retry_after: Option<Duration>, body: &[u8]) -> Result<String, Trouble> {
    let body: Option<Value> = serde_json::from_slice(body).ok();
    if !(200..300).contains(&status) {
        return Err(refusal(vision, status, retry_after, body.as_ref()));
    }
    let Some(body) = body else {
        return Err(Trouble::Service("It answered with something that is no JSON. Check the address.".into()));
    };
    let text = match vision.protocol {
        Protocol::Anthropic => joined(&body["content"]),
        Protocol::OpenAi => match &body["choices"][0]["message"]["content"] {
            Value::String(text) => text.clone(),
            parts => joined(parts),
        },
        Protocol::Gemini => joined(&body["candidates"][0]["content"]["parts"]),
    };
    if !text.trim().is_empty() {
        return Ok(text);
    }
    let why = match vision.protocol {
        Protocol::Anthropic => &body["stop_reason"],
        Protocol::OpenAi => &body["choices"][0]["finish_reason"],
        Protocol::Gemini if body["promptFeedback"]["blockReason"].is_string() => &body["promptFeedback"]["blockReason"],
        Protocol::Gemini => &body["candidates"][0]["finishReason"],
    };
    let why = why.as_str().map(|why| format!(" ({})", shown(vision, why))).unwrap_or_default();
    Err(Trouble::Picture(format!("The model says nothing about it{why}")))
}

/// The texts of a list of parts.
fn joined(parts: &Value) -> String {
    let texts = parts.as_array().into_iter().flatten().filter_map(|part| part["text"].as_str());
    texts.collect::<Vec<_>>().join(" ")
}

fn refusal(vision: &Vision, status: u16, retry_after: Option<Duration>, body: Option<&Value>) -> Trouble {
    let said = body.and_then(|b| b["error"]["message"].as_str().or(b["error"].as_str()).or(b["detail"].as_str()));
    let said = said.map(|text| format!(" It says: {}", sentence(&shown(vision, text)))).unwrap_or_default();
    match status {
        401 | 403 => Trouble::Service(format!("It does not accept the key ({status}). An admin sets another one.{said}")),
        404 => Trouble::Service(format!("It knows no model \"{}\" at this address (404).{said}", vision.model)),
        402 => Trouble::Service(format!("It wants to be paid (402).{said}")),
        429 => Trouble::Busy { after: retry_after, status },
        500..600 => Trouble::Busy { after: retry_after, status },
        _ => Trouble::Picture(format!("The service refuses it ({status}).{said}")),
    }
}

/// A service's own words: short, and without the key, should it repeat that.
fn shown(vision: &Vision, text: &str) -> String {
    let key = vision.key.expose();
    let text = if key.is_empty() { text.to_owned() } else { text.replace(key, "•••") };
    let text: String = text.chars().map(|c| if c.is_control() { ' ' } else { c }).take(MOST_WORDS).collect();
    masked(&text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::secrets::Secret;

    fn vision(protocol: Protocol) -> Vision {
        Vision { protocol, base_url: "https://host".into(), model: "m-1".into(), key: Secret::new("canary-secret-key") }
    }

    #[test]
    fn requests_are_what_each_service_documents_and_hold_no_key() {
        for (protocol, url, header, picture) in [
            (Protocol::Anthropic, "https://host/v1/messages", "x-api-key", "/messages/0/content/0/source/data"),
            (Protocol::OpenAi, "https://host/chat/completions", "authorization", "/messages/0/content/1/image_url/url"),
            (
                Protocol::Gemini,
                "https://host/v1beta/models/m-1:generateContent",
                "x-goog-api-key",
                "/contents/0/parts/0/inlineData/data",
            ),
        ] {
            let request = request(&vision(protocol), "Describe it.", "QUJD");
            assert_eq!((request.url.as_str(), request.key.0), (url, header));
            assert!(request.body.pointer(picture).unwrap().as_str().unwrap().ends_with("QUJD"), "{}", request.body);
            assert!(request.body.to_string().contains("Describe it.") && !format!("{request:?}").contains("canary"));
        }
    }

    #[test]
    fn answers_and_silence_are_read() {
        let ok = |protocol, body: Value| read(&vision(protocol), 200, None, body.to_string().as_bytes());
        let said = |text: &str| json!([{"type": "text", "text": text}]);
        assert_eq!(ok(Protocol::Anthropic, json!({"content": said("a cat")})).unwrap(), "a cat");
        assert_eq!(ok(Protocol::OpenAi, json!({"choices": [{"message": {"content": "a cat"}}]})).unwrap(), "a cat");
        assert_eq!(ok(Protocol::OpenAi, json!({"choices": [{"message": {"content": said("a cat")}}]})).unwrap(), "a cat");
        let gemini = json!({"candidates": [{"content": {"parts": [{"text": "a"}, {"text": "cat"}]}}]});
        assert_eq!(ok(Protocol::Gemini, gemini).unwrap(), "a cat");
        for (protocol, body) in [
            (Protocol::Anthropic, json!({"content": [], "stop_reason": "refusal"})),
            (Protocol::OpenAi, json!({"choices": [{"message": {"content": null}, "finish_reason": "content_filter"}]})),
            (Protocol::Gemini, json!({"promptFeedback": {"blockReason": "SAFETY"}})),
            (Protocol::Gemini, json!({"candidates": [{"finishReason": "SAFETY"}]})),
            (Protocol::Gemini, json!(null)),
        ] {
            assert!(matches!(ok(protocol, body.clone()), Err(Trouble::Picture(_))), "{body}");
        }
        assert!(matches!(read(&vision(Protocol::OpenAi), 200, None, b"<html>"), Err(Trouble::Service(_))));
    }

    #[test]
    fn refusals_are_told_apart_and_never_repeat_the_key() {
        let body = json!({"error": {"message": "bad key canary-secret-key\u{7} given, sk-abcdefghijklmnopqrstuvwx"}}).to_string();
        for (status, service) in [(401, true), (403, true), (404, true), (400, false), (413, false)] {
            let trouble = read(&vision(Protocol::OpenAi), status, None, body.as_bytes()).unwrap_err();
            assert_eq!(matches!(trouble, Trouble::Service(_)), service, "{status}: {trouble:?}");
            let words = trouble.in_words();
            assert!(!words.contains("canary") && !words.contains("abcdefgh") && words.contains("Bad key"), "{words}");
        }
        let after = Some(Duration::from_secs(7));
        for status in [429, 500, 503, 529] {
            let trouble = read(&vision(Protocol::Anthropic), status, after, b"").unwrap_err();
            assert_eq!(trouble, Trouble::Busy { after, status });
        }
    }
}
