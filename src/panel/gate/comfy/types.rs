//! What nodes take and give, as ComfyUI tells it, as far as it decides about files. Pure.

use super::names::{As, check_extension};
use super::{lists, rules};
use serde_json::{Map, Value};
use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

/// Classes that are remembered; with one more all are asked for anew.
const CLASSES_MAX: usize = 20_000;

/// Kinds of things that nobody types: where a text stands in their place, some node reads it as a path or an address.
const MEDIA: [&str; 5] = ["IMAGE", "MASK", "LATENT", "AUDIO", "VIDEO"];

/// What an input takes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Takes {
    /// A number or a switch, made one of whatever is sent.
    Number,
    /// One of these. They are kept only where they are places: the input's name says so, or there is a file among them.
    Choice(Vec<String>),
    /// One of the uploads.
    Upload,
    /// Any text, or anything at all; what stands there at first.
    Text(String),
    /// The same, and what stands there at first is a path.
    Place,
    /// A thing of this kind, which only another node makes.
    Thing(String),
}

/// A class of nodes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Class {
    inputs: HashMap<String, Takes>,
    outputs: Vec<String>,
    /// What it shows is kept for whoever runs the same again.
    shows: bool,
}

impl Class {
    /// As `/object_info` tells it.
    fn of(told: &Value) -> Class {
        let groups = ["required", "optional"].iter().filter_map(|group| told["input"][*group].as_object());
        let inputs = groups.flatten().map(|(name, spec)| (name.clone(), takes(name, spec))).collect();
        let kind = |kind: &Value| kind.as_str().unwrap_or_default().to_owned();
        let outputs = told["output"].as_array().into_iter().flatten().map(kind).collect();
        Class { inputs, outputs, shows: told["output_node"] != Value::Bool(false) }
    }

    /// What an input takes; none for one that it does not have. `a.b` belongs to `a`, where that one changes with what is chosen.
    pub(super) fn input(&self, name: &str) -> Option<&Takes> {
        let changing = || self.inputs.get(name.split_once('.')?.0).filter(|takes| matches!(takes, Takes::Text(_)));
        self.inputs.get(name).or_else(changing)
    }

    /// Whether what it shows is kept.
    pub(super) fn shows(&self) -> bool {
        self.shows
    }

    /// Whether a text may come out of it.
    pub(super) fn gives_text(&self) -> bool {
        self.outputs.iter().any(|kinds| is_any(kinds) || kinds.split(',').any(|kind| kind.trim() == "STRING"))
    }

    /// What comes out at a place.
    pub(super) fn output(&self, place: usize) -> Option<&str> {
        self.outputs.get(place).map(String::as_str)
    }
}

impl Takes {
    /// Whether nobody types it: only another node makes it.
    pub(super) fn is_media(&self) -> bool {
        matches!(self, Takes::Thing(kind) if MEDIA.contains(&kind.as_str()))
    }
}

/// Whether an output of these kinds may be anything that came in.
pub(super) fn is_any(kinds: &str) -> bool {
    kinds
        .split(',')
        .any(|kind| kind.contains('*') || kind.trim().starts_with("COMFY_") || kind.trim().eq_ignore_ascii_case("any"))
}

/// Whether a choice is somebody's file, and not a model: those are everybody's.
fn is_file(text: &str) -> bool {
    !text.ends_with(".safetensors") && check_extension(text, As::Bytes).is_ok()
}

/// Whether an input that takes this is about places.
pub(super) fn is_place(name: &str, takes: Option<&Takes>) -> bool {
    match takes {
        Some(Takes::Number) => false,
        Some(Takes::Place) => true,
        Some(Takes::Choice(offered)) if !offered.is_empty() => true,
        _ => rules::says_where(name),
    }
}

fn takes(name: &str, spec: &Value) -> Takes {
    let options = &spec[1];
    if options.as_object().is_some_and(lists::is_upload) {
        return Takes::Upload;
    }
    let choice = |choices: &Value| {
        let texts: Vec<&str> = choices.as_array().into_iter().flatten().filter_map(Value::as_str).collect();
        let places = rules::says_where(name) || texts.iter().any(|text| is_file(text));
        Takes::Choice(if places { texts.into_iter().map(str::to_owned).collect() } else { Vec::new() })
    };
    match &spec[0] {
        Value::Array(_) => choice(&spec[0]),
        Value::String(kind) => match kind.as_str() {
            "INT" | "FLOAT" | "BOOLEAN" => Takes::Number,
            "COMBO" => choice(&options["options"]),
            // `STRING,INT` takes both, and ComfyUI's own changing kinds take what the node likes.
            kind if kind.contains('*') || kind.contains("STRING") || kind.starts_with("COMFY_") => {
                let said = |key: &str| options[key].as_str().unwrap_or_default();
                if rules::is_path(said("default")) || rules::is_path(said("placeholder")) {
                    Takes::Place
                } else {
                    Takes::Text(said("default").to_owned())
                }
            }
            kind => Takes::Thing(kind.to_owned()),
        },
        _ => Takes::Text(String::new()),
    }
}

/// The classes of one graph.
pub(super) type Types = HashMap<String, Arc<Class>>;

/// The classes that have been told of.
#[derive(Debug, Default)]
pub(super) struct Known(Types);

impl Known {
    /// Remembers what `/object_info` tells, of one class or of all.
    pub(super) fn learn(&mut self, told: &Value) {
        let classes = told.as_object().into_iter().flatten();
        for (name, class) in classes.filter(|(_, class)| class.is_object()) {
            if self.0.len() >= CLASSES_MAX {
                self.0.clear();
            }
            self.0.insert(name.clone(), Arc::new(Class::of(class)));
        }
    }

    /// Of these, those that are known.
    pub(super) fn of(&self, names: &BTreeSet<String>) -> Types {
        names.iter().filter_map(|name| Some((name.clone(), self.0.get(name)?.clone()))).collect()
    }
}

/// The classes that a graph names.
pub(super) fn classes(graph: &Value) -> BTreeSet<String> {
    let nodes = graph.as_object().into_iter().flat_map(Map::values);
    nodes.filter_map(|node| node["class_type"].as_str()).map(str::to_owned).collect()
}

/// The classes of which a graph chooses what they did not offer when they were asked: an upload or a model since then.
pub(super) fn stale(graph: &Value, types: &Types) -> BTreeSet<String> {
    let is_new = |class: &Class, (name, value): (&String, &Value)| match (class.input(name), value) {
        (Some(takes @ Takes::Choice(offered)), Value::String(text)) => is_place(name, Some(takes)) && !offered.contains(text),
        _ => false,
    };
    let nodes = graph.as_object().into_iter().flat_map(Map::values);
    let named = nodes.filter_map(|node| Some((node["class_type"].as_str()?, node["inputs"].as_object()?)));
    let new = named.filter(|(class, inputs)| types.get(*class).is_some_and(|class| inputs.iter().any(|i| is_new(class, i))));
    new.map(|(class, _)| class.to_owned()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn what_is_taken_is_read_in_both_ways_of_saying_it() {
        let mut known = Known::default();
        known.learn(&json!({ "A": { "input": {
            "required": { "seed": ["INT", {}], "lora_file": [["a", "b"]], "sampler": [["x"]], "picture": [["x", "example.png"]], "lora": [["a.safetensors"]], "image": [["c"], { "image_upload": true }] },
            "optional": { "clip_file": ["COMBO", { "options": ["c"] }], "any": ["*"], "both": ["STRING,INT", { "default": "x" }], "names": ["VHS_FILENAMES"], "photo": ["STRING", { "placeholder": "X://insert/path/here.png" }], "source": ["STRING", { "default": "output/abc" }] },
            "hidden": { "prompt": "PROMPT" }
        }, "output": ["IMAGE", ["x"]] }, "broken": 7 }));
        let types = known.of(&["A".to_owned(), "B".to_owned(), "broken".to_owned()].into());
        let class = &types["A"];
        assert_eq!(types.len(), 1);
        let choice = |texts: &[&str]| Takes::Choice(texts.iter().map(|t| (*t).to_owned()).collect());
        for (name, takes) in [
            ("seed", Takes::Number),
            ("lora_file", choice(&["a", "b"])),
            ("sampler", choice(&[])),
            ("lora", choice(&[])),
            ("picture", choice(&["x", "example.png"])),
            ("image", Takes::Upload),
            ("clip_file", choice(&["c"])),
            ("any", Takes::Text(String::new())),
            ("both", Takes::Text("x".into())),
            ("names", Takes::Thing("VHS_FILENAMES".into())),
            ("photo", Takes::Place),
            ("source", Takes::Place),
        ] {
            assert_eq!(class.input(name), Some(&takes), "{name}");
        }
        assert_eq!(
            (class.input("prompt"), class.output(0), class.output(1), class.output(2)),
            (None, Some("IMAGE"), Some(""), None)
        );
        let graph = json!({ "1": { "class_type": "A", "inputs": { "lora_file": "a" } }, "2": { "class_type": "B" } });
        assert_eq!(classes(&graph), ["A".to_owned(), "B".to_owned()].into());
        assert!(stale(&graph, &types).is_empty());
        let new = json!({ "1": { "class_type": "A", "inputs": { "lora_file": "new", "sampler": "new" } } });
        assert_eq!(stale(&new, &types), ["A".to_owned()].into());
    }
}
