//! The layout of a diffusers folder: `model_index.json`, and a folder with `config.json` and weights for each
//! network. Knows no network.

use super::{Tensors, bad, safetensors};
use crate::EngineError;
use serde::{Deserialize, de::DeserializeOwned};
use std::{
    collections::{BTreeSet, HashMap},
    fs,
    io::Read,
    path::Path,
};

/// Largest JSON file of a model: a vocabulary is 3 MB.
const MAX_JSON: u64 = 64 << 20;

/// Names that weights go by: in half precision, in full precision.
const NAMES: [&str; 4] = [
    "diffusion_pytorch_model.fp16.safetensors",
    "model.fp16.safetensors",
    "diffusion_pytorch_model.safetensors",
    "model.safetensors",
];

/// A sharded model's table: which file holds which tensor.
#[derive(Deserialize)]
struct Index {
    weight_map: HashMap<String, String>,
}

/// Maps all weights of one network's folder.
pub fn tensors(dir: &Path) -> Result<Tensors, EngineError> {
    let plain = |name: &&&str| dir.join(name).is_file();
    // Full precision first: both may be there, and f32 is what the reference computes with.
    if let Some(name) = NAMES[2..].iter().find(plain) {
        return safetensors::open(&dir.join(name));
    }
    for name in NAMES[2..].iter().chain(&NAMES[..2]) {
        let stem = name.trim_end_matches(".safetensors");
        let (stem, variant) = stem.strip_suffix(".fp16").map_or((stem, ""), |s| (s, ".fp16"));
        let index = dir.join(format!("{stem}.safetensors.index{variant}.json"));
        if index.is_file() {
            return sharded(dir, &json::<Index>(&index)?);
        }
    }
    match NAMES[..2].iter().find(plain) {
        Some(name) => safetensors::open(&dir.join(name)),
        None => Err(bad(format!("There are no safetensors weights in {}.", dir.display()))),
    }
}

fn sharded(dir: &Path, index: &Index) -> Result<Tensors, EngineError> {
    let mut tensors = Tensors::default();
    for file in index.weight_map.values().collect::<BTreeSet<_>>() {
        // The table is a file from outside: it names files of its own folder and nothing else.
        if file.contains(['/', '\\']) || file.starts_with('.') {
            return Err(bad(format!("The index names \"{file}\", which is no file of its folder.")));
        }
        tensors.extend(safetensors::open(&dir.join(file))?);
    }
    Ok(tensors)
}

/// A JSON file as a type, at most [`MAX_JSON`] of it.
pub fn json<T: DeserializeOwned>(path: &Path) -> Result<T, EngineError> {
    serde_json::from_slice(&small_file(path)?).map_err(|e| bad(format!("{} cannot be understood: {e}.", path.display())))
}

/// A file of at most [`MAX_JSON`] bytes.
pub fn small_file(path: &Path) -> Result<Vec<u8>, EngineError> {
    let fail = |e: std::io::Error| bad(format!("{} cannot be read: {e}.", path.display()));
    let mut bytes = Vec::new();
    fs::File::open(path).map_err(fail)?.take(MAX_JSON + 1).read_to_end(&mut bytes).map_err(fail)?;
    if bytes.len() as u64 > MAX_JSON {
        return Err(bad(format!("{} is too large.", path.display())));
    }
    Ok(bytes)
}
