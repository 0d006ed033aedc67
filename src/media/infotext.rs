//! Infotext: the recipe as A1111 and its relatives write it, one text of three parts (prompt, negative prompt,
//! a line of settings). Knows the format and our names for its values; knows no files.

use crate::names;
use protocol::{
    Draft, Recipe, Schedule,
    draft::{MAX_PROMPT, MAX_SEED},
    model::id_of_name,
};
use std::fmt::Write;

/// Longest text that is read, in bytes: two longest prompts in any script and a long line of settings.
const MAX_TEXT: usize = 4 * (2 * MAX_PROMPT) + 64_000;
/// A last line with fewer settings than this is part of the prompt (A1111's rule).
const FEWEST: usize = 3;
const NEGATIVE: &str = "Negative prompt:";

/// What a text of settings said, and what could not be taken as it was.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Read {
    /// The settings, in our terms.
    pub draft: Draft,
    /// Sentences on what was replaced ("DPM++ SDE is not offered; DPM++ 2M SDE comes nearest.").
    pub notes: Vec<String>,
}

/// The infotext of a recipe.
pub fn write(recipe: &Recipe) -> String {
    let mut text = recipe.prompt.clone();
    if !recipe.negative_prompt.is_empty() {
        text += &format!("\n{NEGATIVE} {}", recipe.negative_prompt);
    }
    let mut settings = vec![
        ("Steps", recipe.steps.to_string()),
        ("Sampler", recipe.sampler.label().to_owned()),
        ("Schedule type", recipe.schedule.label().to_owned()),
        ("CFG scale", recipe.guidance.to_string()),
        ("Seed", recipe.seed.to_string()),
        ("Size", format!("{}x{}", recipe.width, recipe.height)),
        ("Model", recipe.model.clone()),
    ];
    if let Some(strength) = recipe.strength {
        settings.push(("Denoising strength", strength.to_string()));
    }
    if recipe.clip_skip != 1 {
        settings.push(("Clip skip", recipe.clip_skip.to_string()));
    }
    if recipe.eta != 0.0 {
        settings.push(("Eta DDIM", recipe.eta.to_string()));
    }
    if recipe.guidance_rescale != 0.0 {
        settings.push(("CFG Rescale", recipe.guidance_rescale.to_string()));
    }
    settings.push(("Version", concat!("Easel ", env!("CARGO_PKG_VERSION")).to_owned()));
    for (i, (key, value)) in settings.iter().enumerate() {
        let gap = if i == 0 { "\n" } else { ", " };
        write!(text, "{gap}{key}: {}", quoted(value)).expect("writing to a string does not fail");
    }
    text
}

/// A value that would end early is written as a JSON string.
fn quoted(value: &str) -> String {
    if value.contains([',', ':', '\n']) { serde_json::Value::from(value).to_string() } else { value.to_owned() }
}

/// The settings in an infotext; `None` where its last line is no line of settings.
pub fn read(text: &str) -> Option<Read> {
    if text.len() > MAX_TEXT {
        return None;
    }
    let text = text.trim_end();
    let (prompts, last) = text.rsplit_once('\n').unwrap_or(("", text));
    let settings = settings(last);
    if settings.len() < FEWEST {
        return None;
    }
    let (prompt, negative) = split_prompts(prompts);
    let mut read = Read::default();
    read.draft.prompt = Some(prompt);
    read.draft.negative_prompt = Some(negative);
    apply(&mut read, &settings);
    Some(read)
}

/// Prompt and negative prompt; the latter begins at the last line that says so.
fn split_prompts(text: &str) -> (String, String) {
    let lines: Vec<&str> = text.split('\n').collect();
    match lines.iter().rposition(|l| l.trim_start().starts_with(NEGATIVE)) {
        None => (text.to_owned(), String::new()),
        Some(at) => {
            let first = lines[at].trim_start()[NEGATIVE.len()..].trim_start();
            let negative = [&[first], &lines[at + 1..]].concat().join("\n");
            (lines[..at].join("\n"), negative)
        }
    }
}

/// `key: value` pairs of a line, commas between them; a value that begins with a quotation mark is a JSON string.
fn settings(line: &str) -> Vec<(&str, String)> {
    let mut found = Vec::new();
    let mut rest = line.trim();
    while !rest.is_empty() {
        let Some((key, after)) = rest.split_once(':') else { break };
        // A part without a colon runs into the next key: only what follows its last comma is a key.
        let key = key.rsplit(',').next().unwrap_or(key).trim();
        let after = after.trim_start();
        let (value, tail) = value(after);
        rest = tail.trim_start().strip_prefix(',').unwrap_or(tail).trim_start();
        if is_key(key) {
            found.push((key, value));
        }
    }
    found
}

/// The value at the start of `text`, and what follows it.
fn value(text: &str) -> (String, &str) {
    if text.starts_with('"') {
        let mut strings = serde_json::Deserializer::from_str(text).into_iter::<String>();
        if let Some(Ok(value)) = strings.next() {
            return (value, &text[strings.byte_offset()..]);
        }
    }
    let end = text.find(',').unwrap_or(text.len());
    (text[..end].trim().to_owned(), &text[end..])
}

fn is_key(key: &str) -> bool {
    let word = |c: char| c.is_alphanumeric() || c == '_';
    key.chars().count() > 1 && key.starts_with(word) && key.chars().all(|c| word(c) || matches!(c, ' ' | '-' | '/'))
}

fn apply(read: &mut Read, settings: &[(&str, String)]) {
    let get = |key: &str| settings.iter().find(|(k, _)| k.eq_ignore_ascii_case(key)).map(|(_, v)| v.as_str());
    let draft = &mut read.draft;
    draft.steps = get("Steps").and_then(|v| v.parse().ok());
    draft.guidance = get("CFG scale").and_then(number);
    draft.seed = get("Seed").and_then(|v| v.parse().ok()).filter(|s| *s <= MAX_SEED);
    if let Some((width, height)) = get("Size").and_then(|v| v.split_once('x')) {
        draft.width = width.trim().parse().ok();
        draft.height = height.trim().parse().ok();
    }
    draft.model = get("Model").map(id_of_name).filter(|id| !id.is_empty());
    // Of a picture that was enlarged, it belongs to the second pass.
    draft.strength = get("Denoising strength").filter(|_| get("Hires upscale").is_none()).and_then(number);
    draft.clip_skip = get("Clip skip").and_then(|v| v.parse().ok());
    draft.eta = get("Eta DDIM").and_then(number);
    draft.guidance_rescale = get("CFG Rescale").and_then(number);
    set_sampler(read, get("Sampler"), get("Schedule type"));
}

pub(crate) fn number(text: &str) -> Option<f32> {
    text.trim().parse().ok().filter(|n: &f32| n.is_finite())
}

/// Sampler and schedule in our terms, with a note on each that had to be replaced.
pub(crate) fn set_sampler(read: &mut Read, sampler: Option<&str>, schedule: Option<&str>) {
    let Some(name) = sampler else { return };
    let Some(found) = names::sampler(name) else {
        read.notes.push(format!("The sampler {} is not known here.", shortened(name)));
        return;
    };
    if !found.exact {
        read.notes.push(format!("{} is not offered; {} comes nearest.", shortened(name), found.sampler.label()));
    }
    read.draft.sampler = Some(found.sampler.name().into());
    let wanted = match schedule {
        None => found.schedule.unwrap_or(Schedule::Plain),
        Some(name) if name.eq_ignore_ascii_case("automatic") => names::automatic(found.sampler),
        Some(name) => match names::schedule(name) {
            Some((schedule, exact)) => {
                if !exact {
                    read.notes.push(format!("The schedule {name} is not offered; {} comes nearest.", schedule.label()));
                }
                schedule
            }
            None => {
                read.notes.push(format!("The schedule {} is not known here.", shortened(name)));
                return;
            }
        },
    };
    let pairs = found.sampler.schedules();
    let taken = if pairs.contains(&wanted) { wanted } else { pairs[0] };
    if taken != wanted {
        read.notes.push(format!("{} has no {} schedule here.", found.sampler.label(), wanted.label()));
    }
    read.draft.schedule = Some(taken.name().into());
}

/// A foreign name for a sentence: quoted, 60 characters at most.
fn shortened(name: &str) -> String {
    format!("\"{}\"", name.chars().filter(|c| !c.is_control()).take(60).collect::<String>())
}

#[cfg(test)]
#[path = "tests/infotext.rs"]
mod tests;
