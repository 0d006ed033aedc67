//! A graph as it may run: what its nodes save and read is led into the folder of the profile that sent it. Pure; which
//! inputs those are is data, `nodes.txt`, and where that says nothing what ComfyUI tells of the node.

use super::Refusal;
use super::names::{As, File, Owner, is_text_file};
use super::rules::{Rules, Treatment, encoded, is_address};
use super::texts::{Texts, is_disguised, is_plain};
use super::types::{Class, Takes, Types, is_place};
use serde_json::{Map, Value};

/// Nodes of one graph.
const NODES_MAX: usize = 10_000;
/// What a picture's name begins with where nothing is said, as in ComfyUI.
const PREFIX: &str = "ComfyUI";
/// Words in the name of an input that may begin or be a path, as far as names tell.
const PATHS: [&str; 5] = ["path", "dir", "folder", "file", "prefix"];
/// What nodes of the Impact and Inspire Packs have for "the picture lies in my other input".
const NO_FILE: &str = "#DATA";
/// Characters that some node makes something else of, and so a folder that leads elsewhere.
const TOKENS: [char; 12] = ['%', '[', ']', '{', '}', '$', '*', '?', '~', '<', '>', '|'];
/// ComfyUI keeps what a node has shown for whoever runs the same again, so each profile's are made different by an input that
/// the node does not have.
const SHOWN_TO: &str = "easel";

/// Who sends a graph.
pub(super) struct Sender<'a> {
    /// Whose folder it works in.
    pub(super) owner: &'a Owner,
    /// Whether the profile's own prompts made a file that lies outside of all profiles' folders.
    pub(super) has: &'a dyn Fn(&File) -> bool,
    /// An admin in admin mode may run nodes that read any path.
    pub(super) admin: bool,
    /// What is done with which input.
    pub(super) rules: &'a Rules,
    /// The graph's classes.
    pub(super) types: &'a Types,
}

/// One node on its way.
struct Node<'a> {
    class: &'a str,
    /// The whole graph: an input may come from another node.
    graph: &'a Map<String, Value>,
    texts: &'a Texts<'a>,
    sender: &'a Sender<'a>,
}

/// The graph as ComfyUI gets it: of each node its class, its inputs and its title, and nothing else.
pub(super) fn rewrite(graph: &Value, sender: &Sender<'_>) -> Result<Value, Refusal> {
    let graph = graph.as_object().ok_or_else(|| Refusal::new("The graph is no object of nodes.".into()))?;
    if graph.len() > NODES_MAX {
        return Err(Refusal::new(format!("A graph may have {NODES_MAX} nodes.")));
    }
    let texts = Texts::of(graph, sender.types, sender.rules);
    let mut written = Map::new();
    for (id, node) in graph {
        let class = node["class_type"].as_str().unwrap_or_default();
        let told = |why: Refusal| Refusal::new(format!("Node {id} ({class}): {}", why.why));
        written.insert(id.clone(), Node { class, graph, texts: &texts, sender }.written(node).map_err(told)?);
    }
    Ok(Value::Object(written))
}

impl Node<'_> {
    fn written(&self, node: &Value) -> Result<Value, Refusal> {
        if self.sender.rules.bars(self.class) && !self.sender.admin {
            return Err(self.reserved());
        }
        let mut written = Map::new();
        // What ComfyUI itself refuses it shall refuse in its own words.
        if let Some(class) = node.get("class_type").filter(|class| class.is_string() || class.is_null()) {
            written.insert("class_type".into(), class.clone());
        }
        if let Some(meta) = node.get("_meta") {
            written.insert("_meta".into(), meta.clone());
        }
        let mut inputs = Map::new();
        for (name, value) in node["inputs"].as_object().into_iter().flatten() {
            if is_disguised(value) {
                return Err(Refusal::new(format!("\"{name}\" holds what ComfyUI reads in two ways.")));
            }
            if let Some(value) = self.input(name, value)? {
                inputs.insert(name.clone(), value);
            }
        }
        if self.sender.types.get(self.class).map_or(!self.sender.admin, |class| class.shows()) {
            inputs.insert(SHOWN_TO.into(), Value::from(self.sender.owner.folder()));
        }
        written.insert("inputs".into(), Value::Object(inputs));
        Ok(Value::Object(written))
    }

    fn reserved(&self) -> Refusal {
        Refusal::new(format!(
            "it reads, writes or runs whatever it is told, so only an admin in admin mode runs it. An admin who trusts \
             everybody with it writes the line \"{} * pass\" into {}.",
            encoded(self.class),
            super::OWN_RULES
        ))
    }

    /// An input as ComfyUI gets it. None where it is left out.
    fn input(&self, name: &str, value: &Value) -> Result<Option<Value>, Refusal> {
        let owner = self.sender.owner;
        let typed = || {
            value.as_str().ok_or_else(|| {
                Refusal::new(format!(
                    "\"{name}\" must be typed in, and not come from another node: it says where your files lie."
                ))
            })
        };
        Ok(Some(match self.sender.rules.of(self.class, name) {
            Some(Treatment::Prefix) => {
                let text = typed()?;
                without_tokens(name, text, true)?;
                Value::from(prefix(owner, text)?)
            }
            Some(Treatment::Name) => {
                let text = typed()?;
                if !text.is_empty() && (owner.own(text).is_err() || text.contains('/')) {
                    return Err(Refusal::new(format!("\"{name}\" must be a plain name.")));
                }
                value.clone()
            }
            Some(Treatment::Folder) => {
                let text = typed()?;
                without_tokens(name, text, false)?;
                Value::from(owner.own_folder(text)?)
            }
            Some(Treatment::Extension) => {
                if !is_text_file(typed()?) {
                    return Err(Refusal::new(format!("\"{name}\" must be a kind of text, like .txt or .json.")));
                }
                value.clone()
            }
            Some(Treatment::Key | Treatment::Store) => match value {
                Value::String(text) if text.is_empty() => value.clone(),
                // One store of ComfyUI's whole process: each profile has names of its own in it.
                _ => Value::from(format!("{}:{}", owner.folder(), typed()?)),
            },
            Some(Treatment::Number) => match value {
                Value::Number(_) | Value::Bool(_) | Value::Null => value.clone(),
                _ => return Err(Refusal::new(format!("\"{name}\" must be a number or a switch."))),
            },
            Some(Treatment::Word) => {
                if !typed()?.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '-')) {
                    return Err(Refusal::new(format!("\"{name}\" must be one word.")));
                }
                value.clone()
            }
            Some(Treatment::File) => self.file(name, value)?,
            Some(Treatment::Text) => Value::from(owner.input_as(As::Bytes, typed()?, self.sender.has)?),
            Some(Treatment::Pass) => value.clone(),
            Some(Treatment::Never) | None if self.sender.admin => self.any(name, value)?,
            Some(Treatment::Never) => return Err(self.reserved()),
            None => return self.unknown(name, value),
        }))
    }

    /// A file, or a scene of Load3D, which is a handful of them.
    fn file(&self, name: &str, value: &Value) -> Result<Value, Refusal> {
        let (owner, has) = (self.sender.owner, self.sender.has);
        Ok(match value {
            Value::Object(parts) if !parts.contains_key("__value__") => {
                let each = |(key, part): (&String, &Value)| match part {
                    Value::String(text) if !text.is_empty() => Ok((key.clone(), Value::from(owner.input(text, has)?))),
                    Value::String(_) | Value::Null | Value::Bool(_) | Value::Number(_) => Ok((key.clone(), part.clone())),
                    _ => Err(Refusal::new(format!("\"{name}\" holds what is no name of a file."))),
                };
                Value::Object(parts.iter().map(each).collect::<Result<_, _>>()?)
            }
            Value::String(text) if text.is_empty() || text == NO_FILE => value.clone(),
            Value::String(text) => Value::from(owner.input(text, has)?),
            _ => {
                return Err(Refusal::new(format!(
                    "\"{name}\" must be typed in, and not come from another node: it says where your files lie."
                )));
            }
        })
    }

    /// An input of which the table says nothing, by what ComfyUI says that it takes. What may lead anywhere is refused,
    /// because nobody has looked at what the node does with it.
    fn unknown(&self, name: &str, value: &Value) -> Result<Option<Value>, Refusal> {
        let class = self.sender.types.get(self.class);
        let takes = class.and_then(|class| class.input(name));
        if takes == Some(&Takes::Upload) {
            return self.file(name, value).map(Some);
        }
        if takes.is_some_and(Takes::is_media) && value.as_str().map_or(value.is_object(), |text| !text.is_empty()) {
            return Err(Refusal::new(format!("\"{name}\" must come from another node.")));
        }
        if let (Some(class), Value::Array(link)) = (class, value)
            && !self.takes_text(class, takes)
            && self.texts.may_come(link, takes)
        {
            return Err(self.no_text(name));
        }
        match takes {
            Some(Takes::Thing(_)) if !value.is_array() && !is_plain(value) => return Err(self.no_text(name)),
            // ComfyUI leaves it out for most nodes, and the others read what they like into it.
            None if class.is_some() && !value.is_array() && !is_plain(value) => return Ok(None),
            _ => {}
        }
        if !is_place(name, takes) {
            return self.any(name, value).map(Some);
        }
        match (takes, value) {
            (_, Value::Number(_) | Value::Bool(_) | Value::Null) => {}
            (_, Value::String(text)) if text.is_empty() || self.is_own(text) => {}
            // The address that the node's maker wrote there is not of whoever sends the graph.
            (Some(Takes::Text(usual)), Value::String(text)) if text == usual && is_address(name) => {}
            // An annotated name is led into the own folder.
            (Some(Takes::Choice(offered)), Value::String(text)) if offered.contains(text) || is_annotated(text) => {}
            (Some(Takes::Choice(_)), Value::String(text)) => {
                return Err(Refusal::new(format!("\"{name}\" does not offer \"{}\".", shown(text))));
            }
            (Some(Takes::Thing(kind)), Value::Array(link)) if self.comes_as(link) == Some(kind.as_str()) => {}
            // ComfyUI gives the node nothing that it does not ask for, but what comes from another node.
            (None, value) if class.is_some() && !value.is_array() => return Ok(None),
            _ => return Err(self.unclear(name)),
        }
        self.any(name, value).map(Some)
    }

    /// Whether an input that takes this may get a text out of another node. One that the class does not have may where the
    /// class makes nothing but more text of it.
    fn takes_text(&self, class: &Class, takes: Option<&Takes>) -> bool {
        match takes {
            Some(Takes::Text(_) | Takes::Place) => !self.sender.rules.keeps(self.class),
            Some(_) => false,
            None => class.gives_text() && !self.sender.rules.keeps(self.class),
        }
    }

    fn no_text(&self, name: &str) -> Refusal {
        Refusal::new(format!(
            "\"{name}\" takes no text, and may get one: link it to a node that makes what it takes. An admin in admin mode can \
             run it; one who trusts everybody with it writes the line \"{} {} pass\" into {}.",
            encoded(self.class),
            encoded(name),
            super::OWN_RULES
        ))
    }

    /// Of which kind a link's other end is, as its class says.
    fn comes_as(&self, link: &[Value]) -> Option<&str> {
        let [id, place] = link else { return None };
        let class = self.graph.get(id.as_str()?)?["class_type"].as_str()?;
        self.sender.types.get(class)?.output(usize::try_from(place.as_u64()?).ok()?)
    }

    /// Whether a text is a path in the profile's own folder, whoever reads it.
    fn is_own(&self, text: &str) -> bool {
        !text.contains(TOKENS) && self.sender.owner.own_folder(text).is_ok_and(|own| own == text)
    }

    fn unclear(&self, name: &str) -> Refusal {
        Refusal::new(format!(
            "\"{name}\" says where something is read or written, and nobody has said yet what this node does there. Leave it \
             empty, or type in a folder of your own, like \"{}/x\". An admin in admin mode can run it; one who trusts everybody \
             with it writes the line \"{} {} pass\" into {}.",
            self.sender.owner.folder(),
            encoded(self.class),
            encoded(name),
            super::OWN_RULES
        ))
    }

    /// An input that nothing is known of: annotated names are led into the profile's own folder, the folders of others and
    /// paths that lead anywhere are refused, everything else stays.
    fn any(&self, name: &str, value: &Value) -> Result<Value, Refusal> {
        Ok(match value {
            Value::String(text) => Value::from(self.any_text(name, text)?),
            Value::Array(values) => Value::Array(values.iter().map(|v| self.any(name, v)).collect::<Result<_, _>>()?),
            Value::Object(values) => {
                let each = |(key, v): (&String, &Value)| Ok((key.clone(), self.any(name, v)?));
                Value::Object(values.iter().map(each).collect::<Result<_, Refusal>>()?)
            }
            other => other.clone(),
        })
    }

    fn any_text(&self, name: &str, text: &str) -> Result<String, Refusal> {
        let sender = self.sender;
        if sender.owner.is_foreign(text) {
            return Err(Refusal::new(format!("\"{name}\" names another profile's folder.")));
        }
        if is_annotated(text) {
            return sender.owner.input(text, sender.has);
        }
        let lower = name.to_ascii_lowercase();
        let up = text.split(['/', '\\']).any(|part| part.trim() == "..");
        let anywhere = text.starts_with(['/', '\\', '~']) || text.get(1..3).is_some_and(|s| s == ":\\" || s == ":/");
        if !sender.admin && PATHS.iter().any(|word| lower.contains(word)) && (up || anywhere) {
            return Err(Refusal::new(format!("\"{name}\" leads out of your own folder.")));
        }
        Ok(text.to_owned())
    }
}

/// Whether a name says which of ComfyUI's folders it is in.
fn is_annotated(text: &str) -> bool {
    ["[output]", "[input]", "[temp]"].iter().any(|folder| text.ends_with(folder))
}

/// What a saved file's name begins with.
fn prefix(owner: &Owner, typed: &str) -> Result<String, Refusal> {
    let typed = typed.trim();
    // With nothing behind the last slash the folder's own name would begin the file's, one folder further up.
    let typed = if typed.is_empty() || typed.ends_with('/') { format!("{typed}{PREFIX}") } else { typed.to_owned() };
    let own = owner.own(&typed)?;
    Ok(if own == owner.folder() { format!("{own}/{PREFIX}") } else { own })
}

/// Some nodes write something else in the place of `%time` or `[time(…)]`, and another input may say what: folders that lead
/// elsewhere. What cannot become more than letters and digits stays. A bracket in a file's name is no token.
fn without_tokens(name: &str, text: &str, brackets: bool) -> Result<(), Refusal> {
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | ' ');
    let mut rest = text;
    while let Some(at) = rest.find(|c| c == '%' || (c == '[' && (!brackets || rest.contains("[time(")))) {
        let token = &rest[at..];
        let inside = token.strip_prefix("[time(").and_then(|t| t.split_once(")]"));
        let date =
            inside.map(|(inside, rest)| (inside.replace(['%', 'Y', 'm', 'd', 'H', 'M', 'S', 'y', 'j', '-', '_'], ""), rest));
        let named = token.strip_prefix('%').and_then(|t| t.split_once('%'));
        let named = named.map(|(name, rest)| (name.strip_prefix("date:").unwrap_or(name), rest));
        rest = match (date, named) {
            (Some((left, rest)), _) if left.is_empty() => rest,
            (None, Some((name, rest))) if !name.is_empty() && name.chars().all(plain) && is_counted(name) => rest,
            // It needs no sign behind it in comfy-image-saver, and becomes digits too.
            _ if !brackets && token.starts_with("%date") => &token["%date".len()..],
            _ => {
                return Err(Refusal::new(format!(
                    "\"{name}\" may have %year%, %month%, %day%, %hour%, %minute%, %second%, %width% and %height% in it, and no \
                     other % or [."
                )));
            }
        };
    }
    Ok(())
}

/// Whether a token of ComfyUI's own becomes digits: the time, the size, the number in a batch, or parts of a date.
fn is_counted(token: &str) -> bool {
    matches!(token, "year" | "month" | "day" | "hour" | "minute" | "second" | "width" | "height" | "batch_num")
        || token.chars().all(|c| matches!(c, 'y' | 'M' | 'd' | 'h' | 'm' | 's' | '-' | '_' | ' '))
}

fn shown(text: &str) -> String {
    text.chars().filter(|c| !c.is_control()).take(80).collect()
}

#[cfg(test)]
#[path = "tests/graphs.rs"]
mod tests;
