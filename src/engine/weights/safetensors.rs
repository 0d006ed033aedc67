//! The safetensors container. Every length is checked against a limit and against the file before it is believed.
//! Knows no names of tensors.

use super::{Bytes, Tensor, Tensors, bad};
use crate::{EngineError, ops::Dtype};
use memmap2::Mmap;
use serde::Deserialize;
use std::{collections::HashMap, fs::File, path::Path, sync::Arc};

/// Longest header: that of a model of 50,000 tensors is a tenth of it.
const MAX_HEADER: usize = 100 << 20;
/// Most dimensions of a tensor.
const MAX_DIMS: usize = 8;

/// A tensor's line in the header.
#[derive(Deserialize)]
struct Entry {
    dtype: String,
    shape: Vec<u64>,
    data_offsets: (u64, u64),
}

/// A value of the header: tensors, and one map of text for people.
#[derive(Deserialize)]
#[serde(untagged)]
enum Line {
    Tensor(Entry),
    Metadata(serde::de::IgnoredAny),
}

/// Maps a file and reads its header.
pub fn open(path: &Path) -> Result<Tensors, EngineError> {
    let place = path.display().to_string();
    let fail = |why: String| EngineError::BadModel(protocol::Problem::new(why).at(place.clone()));
    let file = File::open(path).map_err(|e| fail(format!("The file cannot be opened: {e}.")))?;
    let map = map(&file).map_err(|e| fail(format!("The file cannot be mapped: {e}.")))?;
    parse(Bytes::Mapped(Arc::new(map))).map_err(|e| match e {
        EngineError::BadModel(p) => EngineError::BadModel(p.at(place)),
        other => other,
    })
}

/// The mapped file.
#[allow(unsafe_code)]
fn map(file: &File) -> std::io::Result<Mmap> {
    // SAFETY: the mapping is read-only and private. Should somebody truncate the file meanwhile, the kernel ends this
    // process, which is why weights are only ever read in the engine's own process, whose death the panel survives.
    unsafe { Mmap::map(file) }
}

/// Reads a header.
pub fn parse(bytes: Bytes) -> Result<Tensors, EngineError> {
    let all = bytes.all();
    let prefix = all.get(..8).ok_or_else(|| not_safetensors(all))?;
    let length = u64::from_le_bytes(prefix.try_into().expect("eight bytes are eight bytes"));
    let length = usize::try_from(length).ok().filter(|&l| l <= MAX_HEADER).ok_or_else(|| not_safetensors(all))?;
    let header = match all.get(8..8 + length) {
        Some(header) if header.first() == Some(&b'{') => header,
        Some(_) => return Err(not_safetensors(all)),
        None => return Err(cut_short(all.len(), 8 + length)),
    };
    let lines: HashMap<String, Line> =
        serde_json::from_slice(header).map_err(|e| bad(format!("The file's header is damaged: {e}.")))?;
    let start = 8 + length;
    let mut tensors = Tensors::default();
    for (name, line) in lines {
        let Line::Tensor(entry) = line else { continue };
        // Index tables of the text encoder and the like, which no network needs, come in whole numbers.
        let Some(dtype) = dtype(&entry.dtype) else { continue };
        let (begin, end) = entry.data_offsets;
        let len = entry.shape.iter().try_fold(dtype.size() as u64, |len, &d| len.checked_mul(d));
        if entry.shape.len() > MAX_DIMS || begin > end || len != Some(end - begin) {
            return Err(bad(format!("The file's header contradicts itself at \"{name}\".")));
        }
        let range = usize::try_from(begin).ok().zip(usize::try_from(end).ok());
        let range = range.and_then(|(b, e)| Some(start.checked_add(b)?..start.checked_add(e)?));
        let range =
            range.filter(|r| r.end <= all.len()).ok_or_else(|| cut_short(all.len(), start.saturating_add(end as usize)))?;
        let dims = entry.shape.iter().map(|&d| d as usize).collect();
        tensors.insert(name, Tensor { bytes: bytes.clone(), range, dtype, dims });
    }
    Ok(tensors)
}

fn dtype(name: &str) -> Option<Dtype> {
    match name {
        "F32" => Some(Dtype::F32),
        "F16" => Some(Dtype::F16),
        "BF16" => Some(Dtype::Bf16),
        _ => None,
    }
}

fn cut_short(has: usize, needs: usize) -> EngineError {
    bad(format!("The file is cut short: it has {has} bytes and needs {needs}."))
}

/// What the first bytes look like, for a person who saved the wrong thing.
fn not_safetensors(bytes: &[u8]) -> EngineError {
    let head = &bytes[..bytes.len().min(256)];
    let text = String::from_utf8_lossy(head).trim_start().to_ascii_lowercase();
    let what = if bytes.is_empty() {
        "The file is empty."
    } else if text.starts_with("<!doctype") || text.starts_with("<html") {
        "The file is a web page, not a model: the download probably needed a login."
    } else if text.starts_with("version https://git-lfs") {
        "The file is a Git LFS pointer, not the model itself."
    } else if head.starts_with(b"PK") || head.starts_with(&[0x80, 0x02]) {
        "The file is a pickle checkpoint, which can run programs and is not read; convert it to safetensors."
    } else {
        "The file is no safetensors file."
    };
    bad(what)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(header: &str, data: usize) -> Bytes {
        let mut bytes = (header.len() as u64).to_le_bytes().to_vec();
        bytes.extend(header.as_bytes());
        bytes.resize(bytes.len() + data, 7);
        Bytes::Static(bytes.leak())
    }

    fn refusal(bytes: Bytes) -> String {
        parse(bytes).unwrap_err().to_string()
    }

    #[test]
    fn reads_a_tensor() {
        let tensors =
            parse(file(r#"{"__metadata__":{"a":"b"},"x":{"dtype":"F16","shape":[2,3],"data_offsets":[4,16]}}"#, 16)).unwrap();
        let x = tensors.get("x").unwrap();
        assert_eq!((x.dims.as_slice(), x.dtype, x.bytes()), ([2usize, 3].as_slice(), Dtype::F16, [7u8; 12].as_slice()));
        assert_eq!(tensors.names().count(), 1);
    }

    #[test]
    fn refuses_what_is_no_model() {
        assert!(refusal(Bytes::Static(b"")).contains("empty"));
        assert!(refusal(Bytes::Static(b"<!DOCTYPE html><html>")).contains("web page"));
        assert!(refusal(Bytes::Static(b"version https://git-lfs.github.com/spec/v1")).contains("LFS"));
        assert!(refusal(Bytes::Static(&[0xff; 64])).contains("no safetensors"));
        assert!(refusal(Bytes::Static(b"PK\x03\x04aaaaaaaaaaa")).contains("pickle"));
    }

    #[test]
    fn refuses_lengths_that_lie() {
        let tensor =
            |shape: &str, offsets: &str| format!(r#"{{"x":{{"dtype":"F32","shape":{shape},"data_offsets":{offsets}}}}}"#);
        assert!(refusal(file(&tensor("[4]", "[0,16]"), 8)).contains("cut short"));
        assert!(refusal(file(&tensor("[4]", "[0,12]"), 16)).contains("contradicts"));
        assert!(refusal(file(&tensor("[4]", "[16,0]"), 16)).contains("contradicts"));
        assert!(refusal(file(&tensor("[4294967296,4294967296,4]", "[0,0]"), 16)).contains("contradicts"));
        assert!(refusal(file(&tensor("[0]", "[18446744073709551615,18446744073709551615]"), 16)).contains("cut short"));
        assert!(refusal(file("{\"x\":", 0)).contains("damaged"));
    }
}
