//! A graph as it may run: what its nodes save and read is led into the folder of the profile that sent it. Pure; which
//! inputs those are is data, `nodes.txt`.

use super::Refusal;
use super::names::{File, Owner};
use serde_json::{Map, Value};
use std::sync::LazyLock;

/// Nodes of one graph.
const NODES_MAX: usize = 10_000;
/// What a picture's name begins with where nothing is said, as in ComfyUI.
const PREFIX: &str = "ComfyUI";
/// Words in the name of an input that holds a path, as far as names tell.
const PATHS: [&str; 5] = ["path", "dir", "folder", "file", "prefix"];

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Treatment {
    Prefix,
    Name,
    Folder,
    File,
    Never,
}

#[derive(Debug)]
struct Row {
    class: String,
    input: &'static str,
    treatment: Treatment,
}

static ROWS: LazyLock<Vec<Row>> = LazyLock::new(|| rows(include_str!("nodes.txt")));

fn rows(text: &'static str) -> Vec<Row> {
    let row = |line: &'static str| {
        let mut words = line.split_whitespace();
        let (class, input, treatment) = (words.next()?, words.next()?, words.next()?);
        let treatment = match treatment {
            "prefix" => Treatment::Prefix,
            "name" => Treatment::Name,
            "folder" => Treatment::Folder,
            "file" => Treatment::File,
            "never" => Treatment::Never,
            _ => return None,
        };
        Some(Row { class: class.replace('+', " "), input, treatment })
    };
    text.lines().filter(|line| !line.starts_with('#') && !line.is_empty()).filter_map(row).collect()
}

/// What is done with an input; a row that names the class counts more than one for all.
fn treatment(class: &str, input: &str) -> Option<Treatment> {
    let of = |class: &str| ROWS.iter().find(|row| row.class == class && (row.input == input || row.input == "*"));
    of(class).or_else(|| of("*")).map(|row| row.treatment)
}

/// Who sends a graph.
pub(super) struct Sender<'a> {
    /// Whose folder it works in.
    pub(super) owner: &'a Owner,
    /// Whether the profile's own prompts made a file that lies outside of all profiles' folders.
    pub(super) has: &'a dyn Fn(&File) -> bool,
    /// An admin in admin mode may run nodes that read any path.
    pub(super) admin: bool,
}

/// The graph as ComfyUI gets it: of each node its class, its inputs and its title, and nothing else.
pub(super) fn rewrite(graph: &Value, sender: &Sender<'_>) -> Result<Value, Refusal> {
    let nodes = graph.as_object().ok_or_else(|| Refusal::new("The graph is no object of nodes.".into()))?;
    if nodes.len() > NODES_MAX {
        return Err(Refusal::new(format!("A graph may have {NODES_MAX} nodes.")));
    }
    let mut written = Map::new();
    for (id, node) in nodes {
        written.insert(id.clone(), node_of(id, node, sender)?);
    }
    Ok(Value::Object(written))
}

fn node_of(id: &str, node: &Value, sender: &Sender<'_>) -> Result<Value, Refusal> {
    let class = node["class_type"].as_str().unwrap_or_default();
    let told = |why: Refusal| Refusal::new(format!("Node {id} ({class}): {}", why.why));
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
        inputs.insert(name.clone(), input_of(class, name, value, sender).map_err(told)?);
    }
    if treatment(class, "") == Some(Treatment::Never) && !sender.admin {
        return Err(told(Refusal::new("it reads any path of the machine, so only an admin in admin mode runs it.".into())));
    }
    written.insert("inputs".into(), Value::Object(inputs));
    Ok(Value::Object(written))
}

fn input_of(class: &str, name: &str, value: &Value, sender: &Sender<'_>) -> Result<Value, Refusal> {
    let owner = sender.owner;
    let typed = || {
        value.as_str().ok_or_else(|| {
            Refusal::new(format!("\"{name}\" must be typed in, and not come from another node: it says where your files lie."))
        })
    };
    Ok(match treatment(class, name) {
        Some(Treatment::Prefix) => Value::from(prefix(owner, typed()?)?),
        Some(Treatment::Name) => {
            let text = typed()?;
            if owner.own(text).is_err() || text.contains('/') {
                return Err(Refusal::new(format!("\"{name}\" must be a plain name.")));
            }
            value.clone()
        }
        Some(Treatment::Folder) => Value::from(owner.own_folder(typed()?)?),
        Some(Treatment::File) => match value {
            // A scene of Load3D is a handful of them.
            Value::Object(parts) if !parts.contains_key("__value__") => {
                let each = |(key, part): (&String, &Value)| match part {
                    Value::String(text) if !text.is_empty() => Ok((key.clone(), Value::from(owner.input(text, sender.has)?))),
                    Value::String(_) | Value::Null | Value::Bool(_) | Value::Number(_) => Ok((key.clone(), part.clone())),
                    _ => Err(Refusal::new(format!("\"{name}\" holds what is no name of a file."))),
                };
                Value::Object(parts.iter().map(each).collect::<Result<_, _>>()?)
            }
            Value::String(text) if text.is_empty() => value.clone(),
            _ => Value::from(owner.input(typed()?, sender.has)?),
        },
        Some(Treatment::Never) | None => any(name, value, sender)?,
    })
}

/// What a saved file's name begins with.
fn prefix(owner: &Owner, typed: &str) -> Result<String, Refusal> {
    let typed = typed.trim();
    // With nothing behind the last slash the folder's own name would begin the file's, one folder further up.
    let typed = if typed.is_empty() || typed.ends_with('/') { format!("{typed}{PREFIX}") } else { typed.to_owned() };
    let own = owner.own(&typed)?;
    Ok(if own == owner.folder() { format!("{own}/{PREFIX}") } else { own })
}

/// An input that nothing is known of: annotated names are led into the profile's own folder, the folders of others and
/// paths that lead anywhere are refused, everything else stays.
fn any(name: &str, value: &Value, sender: &Sender<'_>) -> Result<Value, Refusal> {
    Ok(match value {
        Value::String(text) => Value::from(any_text(name, text, sender)?),
        Value::Array(values) => Value::Array(values.iter().map(|v| any(name, v, sender)).collect::<Result<_, _>>()?),
        Value::Object(values) => {
            let each = |(key, v): (&String, &Value)| Ok((key.clone(), any(name, v, sender)?));
            Value::Object(values.iter().map(each).collect::<Result<_, Refusal>>()?)
        }
        other => other.clone(),
    })
}

fn any_text(name: &str, text: &str, sender: &Sender<'_>) -> Result<String, Refusal> {
    if sender.owner.is_foreign(text) {
        return Err(Refusal::new(format!("\"{name}\" names another profile's folder.")));
    }
    if text.ends_with("[output]") || text.ends_with("[input]") || text.ends_with("[temp]") {
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

#[cfg(test)]
#[path = "tests/graphs.rs"]
mod tests;
