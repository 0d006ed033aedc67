//! Scores the embedded model by the engine itself: paints held-out prompts at the model's defaults and reads back from
//! the pixels what is in the pictures. Knows prompts and attributes; knows no network.

use super::reader::{Answers, Reader, Seen};
use crate::{Inputs, Picture, device::Device, embedded, library::Library};
use protocol::{Draft, Recipe};
use serde::Deserialize;
use std::{
    collections::BTreeMap,
    ops::ControlFlow,
    path::{Path, PathBuf},
    thread,
};

/// What a model must reach one day, in per cent of 200 prompts: attribute, score.
const BAR: [(&str, f64); 3] = [("all", 95.0), ("side", 95.0), ("number", 90.0)];
/// What the committed weights must reach: attribute, of 40 prompts, of 200. Whoever commits better weights raises these
/// numbers; one falls only where weights reach the whole bar that those before them missed. The weights of 2026-11-28 have
/// 96.1, 96.3 and 86.2 of 40, and 97.5, 97.5 and 93.9 of 200. The floors leave room for two more wrong answers of each kind,
/// since another processor's kernels may change a pixel.
const FLOOR: [(&str, f64, f64); 3] = [("all", 95.5, 97.2), ("side", 88.8, 96.2), ("number", 79.3, 92.4)];
/// Prompts in an ordinary run.
const SAMPLE: usize = 40;
/// A measurer that gives more than this to pictures of other prompts measures nothing.
const BY_CHANCE: f64 = 45.0;
/// Columns of the table.
const COLUMNS: [&str; 10] = ["all", "time", "sky", "ground", "colour", "weather", "body", "side", "thing", "number"];

/// `training/held_out.json`, made by `training/held_out.py`.
#[derive(Deserialize)]
struct HeldOut {
    #[serde(flatten)]
    answers: Answers,
    prompts: Vec<Scene>,
}

/// A prompt, and what its picture must show.
#[derive(Deserialize)]
struct Scene {
    prompt: String,
    body: String,
    side: String,
    thing: String,
    number: usize,
    /// The choices.
    #[serde(flatten)]
    choices: BTreeMap<String, String>,
}

fn variable(name: &str) -> Option<String> {
    #[allow(clippy::disallowed_methods, reason = "a test is told by the environment how long it may take")]
    std::env::var(name).ok()
}

/// Right answers and questions of each attribute. A side is asked for where there is a sun or moon, a number where there
/// are things.
fn score<'a>(answers: &Answers, pairs: impl Iterator<Item = (&'a Seen, &'a Scene)>) -> BTreeMap<String, (usize, usize)> {
    let mut counts: BTreeMap<String, (usize, usize)> = BTreeMap::new();
    let mut ask = |name: &str, right: bool| {
        for name in [name, "all"] {
            let count = counts.entry(name.into()).or_default();
            *count = (count.0 + usize::from(right), count.1 + 1);
        }
    };
    for (seen, scene) in pairs {
        for ((name, _), value) in answers.choices.iter().zip(&seen.choices) {
            ask(name, scene.choices[name] == *value);
        }
        ask("body", seen.body == scene.body);
        ask("thing", seen.thing == scene.thing);
        if scene.body != "none" {
            ask("side", seen.side == scene.side);
        }
        if scene.thing != "none" {
            ask("number", seen.thing == scene.thing && seen.number == scene.number.min(3));
        }
    }
    counts
}

fn percent(counts: &BTreeMap<String, (usize, usize)>, name: &str) -> f64 {
    let (right, asked) = counts[name];
    100.0 * right as f64 / asked as f64
}

/// The pictures of the first `count` prompts, each with the seed of its place, as the studio makes them when an artist
/// changes nothing.
fn paint(prompts: &[Scene]) -> Vec<(Recipe, Picture)> {
    let library = Library::scan(Path::new("no such folder"));
    let entry = library.get(embedded::ID).expect("this build carries the model");
    let threads = thread::available_parallelism().map_or(1, usize::from);
    let mut model = (entry.family.load)(&entry.source, &Device::cpu(threads), &mut |_, _| ControlFlow::Continue(())).unwrap();
    let picture = |(seed, scene): (u64, &Scene)| {
        let draft = Draft { prompt: Some(scene.prompt.clone()), seed: Some(seed), ..Draft::default() };
        let recipe = draft.resolve(&entry.info, 0).unwrap();
        let made = model.generate(&recipe, &Inputs::default(), &mut |_| ControlFlow::Continue(())).unwrap();
        (recipe, made.into_iter().next().unwrap())
    };
    (0..).zip(prompts).map(picture).collect()
}

/// Keeps the pictures in a folder, and beside them what was seen, to be looked at.
fn keep(folder: &Path, painted: &[(Recipe, Picture)], seen: &[Seen]) {
    for (i, ((recipe, picture), seen)) in painted.iter().zip(seen).enumerate() {
        let pixels = media::Rgb8::new(picture.width, picture.height, picture.rgb.clone()).unwrap();
        std::fs::write(folder.join(format!("{i:03}.png")), media::encode::file(&pixels, recipe).unwrap()).unwrap();
        let Seen { choices, body, side, thing, number } = seen;
        let line = format!("{} {body} {side} {thing} {number}\n", choices.join(" "));
        std::fs::write(folder.join(format!("{i:03}.txt")), line).unwrap();
    }
}

/// Scores 40 prompts, or all 200 with TESTS_LONG=1; TESTS_PICTURES names a folder that keeps the pictures.
#[test]
fn pictures_show_what_their_prompts_say() {
    let training = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("embedded/training");
    let held_out = std::fs::read_to_string(training.join("held_out.json")).unwrap();
    let HeldOut { answers, mut prompts } = serde_json::from_str(&held_out).unwrap();
    let reader = Reader::open(&training.join("reader.safetensors"));
    let long = variable("TESTS_LONG").is_some_and(|v| v == "1");
    prompts.truncate(if long { prompts.len() } else { SAMPLE });

    let painted = paint(&prompts);
    let seen: Vec<Seen> = painted.iter().map(|(_, picture)| reader.read(picture, &answers)).collect();
    if let Some(folder) = variable("TESTS_PICTURES") {
        keep(Path::new(&folder), &painted, &seen);
    }
    let scores = score(&answers, seen.iter().zip(&prompts));
    let others = score(&answers, seen.iter().zip(prompts.iter().cycle().skip(1)));
    println!("{:<13}{}", format!("{} prompts", prompts.len()), COLUMNS.map(|name| format!("{name:>8}")).concat());
    println!("score        {}", COLUMNS.map(|name| format!("{:8.1}", percent(&scores, name))).concat());
    println!("other prompts{}", COLUMNS.map(|name| format!("{:8.1}", percent(&others, name))).concat());
    for ((name, bar), (_, of_40, of_200)) in BAR.iter().zip(&FLOOR) {
        let (found, floor) = (percent(&scores, name), if long { of_200 } else { of_40 });
        println!("{name}: {found:.1}; floor {floor}; bar {bar}: {}", if found >= *bar { "held" } else { "missed" });
        assert!(found >= *floor, "{name}: {found:.1}, where the committed weights have at least {floor}");
    }
    assert!(percent(&others, "all") <= BY_CHANCE, "other prompts' pictures score {:.1}", percent(&others, "all"));
}
