//! A recording on disk: what was called with what, and the tensors. Knows no family.

use super::{Stage, digest::Digest};
use crate::{EngineError, json};
use protocol::Problem;
use safetensors::{Dtype, SafeTensors, tensor::TensorView};
use serde_json::Value;
use std::{collections::BTreeMap, fs, path::Path};

/// A recorded tensor, in the order in which the reference has it (pictures as n, c, h, w).
#[derive(Clone, Debug, PartialEq)]
pub struct Tensor {
    /// Extents.
    pub dims: Vec<usize>,
    /// Elements; whole numbers and f64 are rounded to f32.
    pub values: Vec<f32>,
}

impl Tensor {
    /// The elements of `[n, c, h, w]` in the engine's order n, h, w, c; other extents as they are.
    pub fn channels_last(&self) -> Vec<f32> {
        let [n, c, h, w] = self.dims[..] else { return self.values.clone() };
        let place = h * w;
        let index = |i: usize| {
            let (picture, rest) = (i / (c * place), i % (c * place));
            (picture * c + rest % c) * place + rest / c
        };
        (0..n * c * place).map(|i| self.values[index(i)]).collect()
    }
}

/// A folder of `reference.json` and `reference.safetensors`.
#[derive(Clone, Debug)]
pub struct Reference {
    /// The whole of `reference.json`; infinities are null.
    pub json: Value,
    tensors: BTreeMap<String, Tensor>,
    digests: BTreeMap<String, Digest>,
}

impl Reference {
    /// Reads the folder.
    pub fn read(dir: &Path) -> Result<Reference, EngineError> {
        let json = Reference::read_json(dir)?;
        let digests = json.get("digests").cloned().map_or(Ok(BTreeMap::new()), serde_json::from_value);
        let digests = digests.map_err(|e| problem(dir, "reference.json", &format!("digests: {e}")))?;
        let bytes = read_file(dir, "reference.safetensors")?;
        let held = SafeTensors::deserialize(&bytes).map_err(|e| problem(dir, "reference.safetensors", &e.to_string()))?;
        let mut tensors = BTreeMap::new();
        for (name, view) in held.tensors() {
            let values = numbers(&view).ok_or_else(|| problem(dir, &name, &format!("{:?} elements", view.dtype())))?;
            tensors.insert(name, Tensor { dims: view.shape().to_vec(), values });
        }
        Ok(Reference { json, tensors, digests })
    }

    /// Reads the folder's `reference.json` alone: what was recorded, without the numbers.
    pub fn read_json(dir: &Path) -> Result<Value, EngineError> {
        let text = String::from_utf8_lossy(&read_file(dir, "reference.json")?).into_owned();
        json::parse(&text).map_err(|e| problem(dir, "reference.json", &e.to_string()))
    }

    /// The family that was recorded.
    pub fn family(&self) -> &str {
        self.json["family"].as_str().unwrap_or_default()
    }

    /// The cases by name, in the order of the file's keys.
    pub fn cases(&self) -> impl Iterator<Item = (&String, &Value)> {
        self.json["cases"].as_object().into_iter().flatten()
    }

    /// The tensor that a value of the recording names.
    pub fn tensor(&self, key: &Value) -> Result<&Tensor, EngineError> {
        let found = key.as_str().and_then(|key| self.tensors.get(key));
        found.ok_or_else(|| EngineError::BadInput(Problem::new(format!("the recording names no tensor at {key}"))))
    }

    /// Compares a result, channels last, with the recorded one that a value of the recording names, be it kept whole or
    /// as a digest.
    pub fn compare(&self, name: impl Into<String>, found: &[f32], key: &Value, tolerance: f64) -> Result<Stage, EngineError> {
        match key.as_str().and_then(|key| Some((key, self.digests.get(key)?))) {
            Some((key, digest)) => Ok(Stage { name: name.into(), worst: digest.distance(key, found), tolerance }),
            None => Ok(Stage::compare(name, found, &self.tensor(key)?.channels_last(), tolerance)),
        }
    }
}

fn read_file(dir: &Path, name: &str) -> Result<Vec<u8>, EngineError> {
    fs::read(dir.join(name)).map_err(|e| problem(dir, name, &e.to_string()))
}

fn problem(dir: &Path, place: &str, what: &str) -> EngineError {
    EngineError::BadInput(Problem::new(format!("{place}: {what}")).at(dir.display().to_string()))
}

/// Elements as f32; `None` for a kind that no recording has.
fn numbers(view: &TensorView<'_>) -> Option<Vec<f32>> {
    fn all<const N: usize>(bytes: &[u8], number: impl Fn([u8; N]) -> f32) -> Vec<f32> {
        bytes.as_chunks::<N>().0.iter().map(|chunk| number(*chunk)).collect()
    }
    let bytes = view.data();
    Some(match view.dtype() {
        Dtype::F32 => all(bytes, f32::from_le_bytes),
        Dtype::F64 => all(bytes, |b| f64::from_le_bytes(b) as f32),
        Dtype::I64 => all(bytes, |b| i64::from_le_bytes(b) as f32),
        Dtype::I32 => all(bytes, |b| i32::from_le_bytes(b) as f32),
        Dtype::F16 => all(bytes, |b| half::f16::from_le_bytes(b).to_f32()),
        Dtype::BF16 => all(bytes, |b| half::bf16::from_le_bytes(b).to_f32()),
        Dtype::U8 | Dtype::BOOL => bytes.iter().map(|b| f32::from(*b)).collect(),
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn channels_come_last() {
        let values = (0..2 * 3 * 2 * 2).map(|i| i as f32).collect();
        let last = Tensor { dims: vec![2, 3, 2, 2], values }.channels_last();
        assert_eq!(last[..6], [0.0, 4.0, 8.0, 1.0, 5.0, 9.0]);
        assert_eq!(last[12..15], [12.0, 16.0, 20.0]);
    }
}
