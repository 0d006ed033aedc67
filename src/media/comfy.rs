//! What ComfyUI writes into its files: the graph that ran and the workflow that people see, as texts `prompt` and `workflow`.
//! Finds them in pictures; reads the words of the prompt out of the graph as far as they stand in it; runs no graph.

use crate::{decode, exif, inspect::png_text};
use serde_json::Value;

/// Nodes between a sampler and the words that it paints.
const STEPS_MAX: usize = 32;
/// Inputs in which nodes hold words, the likeliest first.
const WORDS: [&str; 8] = ["text", "prompt", "text_g", "clip_l", "t5xxl", "string", "value", "text_positive"];

/// What was found in a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Comfy {
    /// What it was asked to be; empty where the graph does not say it in words.
    pub prompt: String,
    /// The workflow as ComfyUI's page loads it: JSON.
    pub workflow: Option<String>,
}

/// Texts that a file carries, by the keys that ComfyUI and its packs of nodes give them.
#[derive(Debug, Default)]
pub(crate) struct Texts {
    graph: Option<String>,
    workflow: Option<String>,
    /// Both as one JSON, as VideoHelperSuite once wrote them.
    comment: Option<String>,
}

impl Texts {
    /// Keeps a text whose key is one of those; the first of each.
    pub(crate) fn note(&mut self, key: &str, text: &[u8]) {
        let place = match key.to_ascii_lowercase().as_str() {
            "prompt" => &mut self.graph,
            "workflow" => &mut self.workflow,
            "comment" => &mut self.comment,
            _ => return,
        };
        if place.is_none() {
            *place = std::str::from_utf8(text).ok().map(|text| text.trim_end_matches('\0').to_owned());
        }
    }

    /// What they say; none where nothing can be read.
    pub(crate) fn read(mut self) -> Option<Comfy> {
        let comment = self.comment.take().and_then(|comment| serde_json::from_str::<Value>(&comment).ok()).unwrap_or_default();
        let within = |key: &str| match &comment[key] {
            Value::String(text) => Some(text.clone()),
            value @ Value::Object(_) => Some(value.to_string()),
            _ => None,
        };
        let is_json = |text: &String| serde_json::from_str::<Value>(text).is_ok_and(|value| value.is_object());
        let graph = self.graph.or_else(|| within("prompt")).filter(is_json);
        let workflow = self.workflow.or_else(|| within("workflow")).filter(is_json);
        let words = graph.as_deref().and_then(|graph| serde_json::from_str(graph).ok()).and_then(|graph| positive(&graph));
        (graph.is_some() || workflow.is_some()).then(|| Comfy { prompt: words.unwrap_or_default(), workflow })
    }
}

/// What ComfyUI wrote into a picture; none where it wrote nothing that can be read.
pub fn read(bytes: &[u8]) -> Option<Comfy> {
    let mut texts = Texts::default();
    let keys = ["prompt", "workflow"];
    for (key, text) in keys.into_iter().zip(png_text(bytes, keys)) {
        text.inspect(|text| texts.note(key, text.as_bytes()));
    }
    // In WebPs each is a field of the EXIF, its key in front.
    for text in decode::exif(bytes).map(exif::plain).unwrap_or_default() {
        text.split_once(':').inspect(|(key, text)| texts.note(key, text.as_bytes()));
    }
    texts.read()
}

/// The words at the end of the first sampler's positive input.
fn positive(graph: &Value) -> Option<String> {
    let nodes = graph.as_object()?;
    let input = |node: &Value, name: &str| node.get("inputs").and_then(|inputs| inputs.get(name)).cloned();
    let mut ids: Vec<&String> = nodes.keys().collect();
    // Numbers by size, so that the same graph says the same words.
    ids.sort_by_key(|id| (id.parse::<u64>().unwrap_or(u64::MAX), (*id).clone()));
    let start = |name: &'static str| ids.iter().find_map(|id| input(&nodes[*id], name).filter(|link| linked(link).is_some()));
    let mut link = start("positive").or_else(|| start("conditioning"))?;
    for _ in 0..STEPS_MAX {
        let node = nodes.get(linked(&link)?)?;
        let said = WORDS.iter().filter_map(|name| input(node, name)).collect::<Vec<_>>();
        if let Some(words) = said.iter().filter_map(Value::as_str).map(str::trim).find(|words| !words.is_empty()) {
            return Some(words.to_owned());
        }
        let next = ["positive", "conditioning", "conditioning_1"].iter().find_map(|name| input(node, name));
        link = next.or_else(|| said.into_iter().find(|value| linked(value).is_some()))?;
    }
    None
}

/// The node that an input comes from.
fn linked(value: &Value) -> Option<&str> {
    value.as_array().filter(|link| link.len() == 2 && link[1].is_u64())?[0].as_str()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    /// A PNG of one pixel with these text chunks.
    fn picture(texts: &[(&str, &str)]) -> Vec<u8> {
        let mut bytes = Vec::new();
        let mut encoder = png::Encoder::new(&mut bytes, 1, 1);
        for (key, text) in texts {
            encoder.add_text_chunk((*key).into(), (*text).into()).unwrap();
        }
        encoder.write_header().unwrap().write_image_data(&[0]).unwrap();
        bytes
    }

    #[test]
    fn words_and_workflow_are_read() {
        let graph = json!({
            "3": {"class_type": "KSampler", "inputs": {"positive": ["12", 0], "negative": ["7", 0], "seed": 1}},
            "12": {"class_type": "FluxGuidance", "inputs": {"conditioning": ["6", 0], "guidance": 3.5}},
            "6": {"class_type": "CLIPTextEncode", "inputs": {"text": ["20", 0], "clip": ["4", 1]}},
            "20": {"class_type": "PrimitiveString", "inputs": {"value": " a red lake "}},
            "7": {"class_type": "CLIPTextEncode", "inputs": {"text": "blurry"}}
        });
        let read = read(&picture(&[("prompt", &graph.to_string()), ("workflow", "{\"nodes\": []}")])).unwrap();
        assert_eq!(read, Comfy { prompt: "a red lake".into(), workflow: Some("{\"nodes\": []}".into()) });
    }

    #[test]
    fn what_is_not_comfyuis_is_nothing() {
        for texts in [&[][..], &[("parameters", "a cat")], &[("prompt", "a cat")], &[("workflow", "[]")]] {
            assert_eq!(read(&picture(texts)), None, "{texts:?}");
        }
        assert_eq!(read(b"no picture"), None);
    }

    #[test]
    fn circles_and_dead_ends_say_nothing() {
        for graph in [
            json!({"1": {"inputs": {"positive": ["2", 0]}}, "2": {"inputs": {"conditioning": ["1", 0]}}}),
            json!({"1": {"inputs": {"positive": ["9", 0]}}}),
            json!({"1": {"inputs": {"positive": ["1", 0]}}}),
            json!({"1": {"inputs": []}, "2": 7, "3": null}),
            json!({}),
        ] {
            let found = read(&picture(&[("prompt", &graph.to_string())])).unwrap();
            assert_eq!((found.prompt.as_str(), found.workflow), ("", None), "{graph}");
        }
    }
}
