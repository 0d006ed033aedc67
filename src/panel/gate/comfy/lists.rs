//! What ComfyUI tells, with everything taken out that is another profile's. Pure.

use super::names::{File, Kind, Owner};
use serde_json::{Map, Value, json};

/// What keys of a node's output are called under which lie files that the node has made.
const MADE: [&str; 10] = ["image", "gif", "audio", "video", "anim", "latent", "3d", "mask", "frame", "preview"];
/// Keys of an input's options that make it a choice among uploaded files.
const UPLOADS: [&str; 6] = ["image_upload", "video_upload", "audio_upload", "file_upload", "animated_image_upload", "upload"];

/// What names of files end in that a node chooses from which says so, as ComfyUI tells them apart.
const PICTURES: &str = "png apng jpg jpeg webp gif bmp tif tiff avif heic jxl svg";
const VIDEOS: &str = "mp4 m4v webm mkv mov avi mpg mpeg ts";
const SOUNDS: &str = "wav mp3 flac ogg opus m4a aac";

/// How `GET /prompt` says it.
pub(super) fn remaining(count: usize) -> Value {
    json!({ "exec_info": { "queue_remaining": count } })
}

/// What nodes say of where in the whole machine a file lies is left out.
pub(super) fn without_paths(output: &mut Value) {
    for shown in output.as_object_mut().into_iter().flat_map(Map::values_mut).filter_map(Value::as_array_mut).flatten() {
        if let Some(file) = shown.as_object_mut() {
            file.remove("fullpath");
        }
    }
}

/// An entry of queue or history with its browser's id as the browser knows it.
pub(super) fn shown(mut entry: Value, owner: &Owner) -> Value {
    if let Some(client) = entry.get_mut(3).and_then(|extra| extra.get_mut("client_id")) {
        *client = client.as_str().and_then(|real| owner.shown_client(real)).into();
    }
    entry
}

/// One prompt's history as ComfyUI tells it (`{id: entry}`): the entry, if that prompt has run.
pub(super) fn history(mut told: Value, id: &str, owner: &Owner) -> Option<Value> {
    let mut entry = told.get_mut(id)?.take();
    if let Some(prompt) = entry.get_mut("prompt") {
        *prompt = shown(prompt.take(), owner);
    }
    entry.get_mut("outputs").and_then(Value::as_object_mut).into_iter().flat_map(Map::values_mut).for_each(without_paths);
    Some(entry)
}

/// The files that a node shows: what lies in lists of its output, as `{filename, subfolder, type}`. Only under keys that say
/// so: a viewer of what lies there already gives back whatever it was told.
pub(super) fn files(output: &Value) -> Vec<File> {
    let made = |key: &str| MADE.iter().any(|word| key.to_ascii_lowercase().contains(word));
    let lists = output.as_object().into_iter().flatten().filter(|(key, _)| made(key)).filter_map(|(_, list)| list.as_array());
    let file = |shown: &Value| {
        Some(File {
            kind: Kind::parse(shown["type"].as_str()?)?,
            subfolder: shown["subfolder"].as_str().unwrap_or_default().to_owned(),
            name: shown["filename"].as_str()?.to_owned(),
        })
    };
    lists.flatten().filter_map(file).collect()
}

/// The files that all nodes of a prompt show, by its history.
pub(super) fn outputs(entry: &Value) -> Vec<File> {
    entry["outputs"].as_object().into_iter().flat_map(Map::values).flat_map(files).collect()
}

/// The jobs of a profile out of all, a page of them.
pub(super) fn jobs(told: &Value, offset: usize, limit: Option<usize>, owns: impl Fn(&str) -> bool) -> Value {
    let all = told["jobs"].as_array().into_iter().flatten();
    let own: Vec<&Value> = all.filter(|job| job["id"].as_str().is_some_and(&owns)).collect();
    let page: Vec<&&Value> = own.iter().skip(offset).take(limit.unwrap_or(usize::MAX)).collect();
    let more = offset + page.len() < own.len();
    let pagination = json!({ "offset": offset, "limit": limit, "total": own.len(), "has_more": more });
    json!({ "jobs": page, "pagination": pagination })
}

/// What the machine tells of itself, without the command line, which holds its folders.
pub(super) fn stats(mut told: Value) -> Value {
    if let Some(system) = told.get_mut("system").and_then(Value::as_object_mut) {
        system.insert("argv".into(), json!([]));
    }
    told
}

/// Kinds of models with the folders that they lie in, of which the last name is told: where they lie is nobody's business.
pub(super) fn folders(mut told: Value) -> Value {
    let last = |folder: &mut Value| *folder = folder.as_str().map(|path| path.rsplit('/').next().unwrap_or_default()).into();
    match &mut told {
        // With their paths by their names, as an older route has it.
        Value::Object(kinds) => kinds.values_mut().filter_map(Value::as_array_mut).flatten().for_each(last),
        Value::Array(kinds) => {
            kinds.iter_mut().filter_map(|kind| kind.get_mut("folders")?.as_array_mut()).flatten().for_each(last);
        }
        _ => {}
    }
    told
}

/// The nodes, with `files` to choose from where a node chooses among uploads, and without names in others' folders.
pub(super) fn nodes(mut told: Value, files: &[String], owner: &Owner) -> Value {
    for node in told.as_object_mut().into_iter().flat_map(Map::values_mut) {
        let groups = node.get_mut("input").and_then(Value::as_object_mut).into_iter().flat_map(Map::values_mut);
        for input in groups.filter_map(Value::as_object_mut).flat_map(Map::values_mut) {
            choices(input, files);
        }
    }
    without_others(told, owner)
}

/// Whether an input with these options chooses among uploads.
pub(super) fn is_upload(options: &Map<String, Value>) -> bool {
    UPLOADS.iter().any(|key| options.get(*key).is_some_and(|on| *on != Value::Bool(false)))
}

/// Whether an input with these options chooses among such files.
fn offers(options: &Map<String, Value>, file: &str) -> bool {
    let on = |key: &str| options.get(key).is_some_and(|on| *on != Value::Bool(false));
    let is = |kinds: &str| {
        let extension = file.rsplit_once('.').map(|(_, extension)| extension.to_ascii_lowercase());
        extension.is_some_and(|extension| kinds.split(' ').any(|kind| kind == extension))
    };
    match () {
        () if on("image_upload") || on("animated_image_upload") => is(PICTURES),
        () if on("video_upload") => is(VIDEOS),
        () if on("audio_upload") => is(SOUNDS) || is(VIDEOS),
        () => true,
    }
}

/// An input is `[choices, options]`, or `["COMBO", {"options": choices}]`.
fn choices(input: &mut Value, files: &[String]) {
    let Some(options) = input.get(1).and_then(Value::as_object).filter(|options| is_upload(options)) else { return };
    let from_outputs = options.get("image_folder").is_some_and(|folder| folder == "output");
    let own: Vec<&String> = files.iter().filter(|file| !from_outputs && offers(options, file)).collect();
    let own = json!(own);
    if input[0].is_array() {
        input[0] = own;
    } else if input[1].get("options").is_some() {
        input[1]["options"] = own;
    }
}

/// The same without any text in a list, and any key, that names the folder of another profile.
pub(super) fn without_others(told: Value, owner: &Owner) -> Value {
    match told {
        Value::Array(values) => {
            let others = |value: &Value| value.as_str().is_some_and(|text| owner.is_foreign(text)) || names_another(value, owner);
            Value::Array(values.into_iter().filter(|v| !others(v)).map(|v| without_others(v, owner)).collect())
        }
        Value::Object(values) => {
            let own = values.into_iter().filter(|(key, _)| !owner.is_foreign(key));
            Value::Object(own.map(|(key, value)| (key, without_others(value, owner))).collect())
        }
        other => other,
    }
}

/// A thing with a name or a path, as lists of models have them.
fn names_another(value: &Value, owner: &Owner) -> bool {
    ["name", "path", "file"].iter().any(|key| value[*key].as_str().is_some_and(|text| owner.is_foreign(text)))
}

#[cfg(test)]
#[path = "tests/told.rs"]
mod tests;
