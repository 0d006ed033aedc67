//! Which links of a graph may bring a text. ComfyUI lets an output that gives anything (`*`) into any input, and looks no more
//! at what comes; a node that expects a number, a choice or a picture makes a path of a text. Pure.

use super::rules::{Rules, Treatment};
use super::types::{Takes, Types, is_any};
use serde_json::{Map, Value};
use std::collections::{HashMap, HashSet};

/// Characters, besides letters and digits, of a text that leads nowhere and is no other program's instruction: those of
/// models' names, and none of those that begin an option, an address or a profile's folder (`=`, `:`, `;`, `@`, `%`).
const PLAIN: &str = " _-+./()&!#[],'";
/// Kinds of outputs that are numbers or switches.
const NUMBERS: [&str; 4] = ["INT", "FLOAT", "BOOLEAN", "NUMBER"];

/// Kinds of outputs in which no text is hidden. A context, a pipe or a list may hold one, which somebody takes out again.
const SOLID: [&str; 24] = [
    "",
    "INT",
    "FLOAT",
    "BOOLEAN",
    "NUMBER",
    "COMBO",
    "IMAGE",
    "MASK",
    "LATENT",
    "AUDIO",
    "VIDEO",
    "MODEL",
    "CLIP",
    "VAE",
    "CONDITIONING",
    "CONTROL_NET",
    "CLIP_VISION",
    "CLIP_VISION_OUTPUT",
    "STYLE_MODEL",
    "UPSCALE_MODEL",
    "NOISE",
    "SIGMAS",
    "SAMPLER",
    "GUIDER",
];

/// The texts of one graph.
pub(super) struct Texts<'a> {
    graph: &'a Map<String, Value>,
    types: &'a Types,
    /// Nodes into which a text comes: what gives back what came in may give it.
    carriers: HashSet<&'a str>,
}

/// What may come over a link.
#[derive(PartialEq, Eq)]
enum Comes<'a> {
    Text,
    /// What came into its node.
    Anything,
    /// A thing of one of these kinds.
    Kinds(&'a str),
}

impl<'a> Texts<'a> {
    pub(super) fn of(graph: &'a Map<String, Value>, types: &'a Types, rules: &Rules) -> Texts<'a> {
        let mut texts = Texts { graph, types, carriers: HashSet::new() };
        let mut onward: HashMap<&str, Vec<&str>> = HashMap::new();
        let mut new = Vec::new();
        for (id, node) in graph {
            let class = node["class_type"].as_str().unwrap_or_default();
            let inputs = || node["inputs"].as_object().into_iter().flatten();
            // Nothing that is a text comes into such a store, and so nothing out of it.
            if rules.keeps(class) {
                continue;
            }
            for (name, value) in inputs() {
                let text = match value {
                    Value::Array(link) => match texts.comes(link) {
                        Some(Comes::Kinds(kinds)) if is_solid(kinds) => false,
                        Some(Comes::Anything | Comes::Kinds(_)) => {
                            onward.entry(link[0].as_str().unwrap_or_default()).or_default().push(id);
                            false
                        }
                        comes => comes == Some(Comes::Text),
                    },
                    typed => texts.is_text(class, rules.of(class, name), name, typed),
                };
                if text {
                    new.push(id.as_str());
                }
            }
        }
        while let Some(id) = new.pop() {
            if texts.carriers.insert(id) {
                new.extend(onward.remove(id).into_iter().flatten());
            }
        }
        texts
    }

    /// Whether what is typed into an input is a text that a node may give back.
    fn is_text(&self, class: &str, treatment: Option<Treatment>, name: &str, typed: &Value) -> bool {
        match treatment {
            // What others of the profile's graphs have put there.
            Some(Treatment::Key) => true,
            Some(Treatment::Pass) => !is_plain(typed),
            // What no class declares is left out where it is not plain.
            _ => {
                let declared = self.types.get(class).and_then(|class| class.input(name));
                matches!(declared, Some(Takes::Text(_) | Takes::Place)) && !is_plain(typed)
            }
        }
    }

    /// What comes over a link; none over one to a node that is not there, which ComfyUI refuses.
    fn comes(&self, link: &[Value]) -> Option<Comes<'_>> {
        let node = self.graph.get(link.first()?.as_str()?)?;
        let class = node["class_type"].as_str().and_then(|class| self.types.get(class));
        let place = link.get(1).and_then(Value::as_u64).and_then(|place| usize::try_from(place).ok());
        let Some(kinds) = class.zip(place).and_then(|(class, place)| class.output(place)) else { return Some(Comes::Text) };
        Some(match kinds {
            _ if kinds.split(',').any(|kind| kind.trim() == "STRING") => Comes::Text,
            _ if is_any(kinds) => Comes::Anything,
            _ => Comes::Kinds(kinds),
        })
    }

    /// Whether a text may come over a link into an input that takes this.
    pub(super) fn may_come(&self, link: &[Value], takes: Option<&Takes>) -> bool {
        let expected = |kinds: &str| {
            kinds.split(',').map(str::trim).any(|kind| match takes {
                Some(Takes::Number) => NUMBERS.contains(&kind),
                // A list of choices has no name.
                Some(Takes::Choice(_) | Takes::Upload) => kind.is_empty() || kind == "COMBO",
                Some(Takes::Thing(wanted)) => wanted.split(',').any(|wanted| wanted.trim() == kind),
                Some(Takes::Text(_) | Takes::Place) | None => true,
            })
        };
        match self.comes(link) {
            None => false,
            Some(Comes::Text) => true,
            // Of another kind than is expected, by a kind that says that it is equal to all.
            Some(Comes::Kinds(kinds)) if expected(kinds) => false,
            Some(_) => link[0].as_str().is_some_and(|id| self.carriers.contains(id)),
        }
    }
}

fn is_solid(kinds: &str) -> bool {
    kinds.split(',').all(|kind| SOLID.contains(&kind.trim()))
}

/// Whether nothing in a value leads anywhere: numbers, and texts out of harmless characters.
pub(super) fn is_plain(value: &Value) -> bool {
    let plain = |text: &str| {
        text.chars().all(|c| c.is_alphanumeric() || PLAIN.contains(c))
            && !text.starts_with('/')
            && !text.split('/').any(|part| part.trim() == "..")
    };
    match value {
        Value::String(text) => plain(text),
        Value::Array(values) => values.iter().all(is_plain),
        Value::Object(values) => values.iter().all(|(key, value)| plain(key) && is_plain(value)),
        _ => true,
    }
}

/// Whether a value becomes a link behind ComfyUI's back: what stands in `__value__` is taken for what was typed, and read as
/// a link where it looks like one.
pub(super) fn is_disguised(value: &Value) -> bool {
    value
        .get("__value__")
        .and_then(Value::as_array)
        .is_some_and(|link| link.len() == 2 && link[0].is_string() && link[1].is_number())
}
