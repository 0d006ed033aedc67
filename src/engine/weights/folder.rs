//! The layout of a diffusers model: `model_index.json`, and a folder with `config.json` and weights for each network.
//! On a disk or inside the program. Knows no network.

use super::{Bytes, Tensors, bad, safetensors};
use crate::{EngineError, json};
use serde::{Deserialize, de::DeserializeOwned};
use std::{
    borrow::Cow,
    collections::{BTreeSet, HashMap},
    fs,
    io::Read,
    path::{Path, PathBuf},
};

/// Largest text file of a model: a vocabulary is 3 MB.
const MAX_TEXT: u64 = 64 << 20;

/// Names that weights go by. Full precision comes first where both are there: that is what the reference computes with.
const NAMES: [&str; 4] = ["diffusion_pytorch_model", "model", "diffusion_pytorch_model.fp16", "model.fp16"];

/// Where the files of a model are.
#[derive(Clone, Debug)]
pub enum Folder {
    /// On a disk.
    Disk(PathBuf),
    /// Inside the program: gives the bytes of a path below the folder.
    Static(fn(&str) -> Option<&'static [u8]>),
}

/// A sharded model's table: which file holds which tensor.
#[derive(Deserialize)]
struct Index {
    weight_map: HashMap<String, String>,
}

impl Folder {
    /// Whether there is such a file.
    pub fn has(&self, path: &str) -> bool {
        match self {
            Folder::Disk(dir) => dir.join(path).is_file(),
            Folder::Static(file) => file(path).is_some(),
        }
    }

    /// A small file's bytes.
    pub fn bytes(&self, path: &str) -> Result<Cow<'static, [u8]>, EngineError> {
        match self {
            Folder::Disk(dir) => small_file(&dir.join(path)).map(Cow::Owned),
            Folder::Static(file) => file(path).map(Cow::Borrowed).ok_or_else(|| lacks(path)),
        }
    }

    /// A small file's text.
    pub fn text(&self, path: &str) -> Result<String, EngineError> {
        String::from_utf8(self.bytes(path)?.into_owned()).map_err(|_| bad(format!("{path} is no text.")))
    }

    /// A JSON file as a type.
    pub fn json<T: DeserializeOwned>(&self, path: &str) -> Result<T, EngineError> {
        json::parse(&self.text(path)?).map_err(|e| bad(format!("{path} cannot be understood: {e}.")))
    }

    /// All weights of one network.
    pub fn tensors(&self, network: &str) -> Result<Tensors, EngineError> {
        for name in NAMES {
            let whole = format!("{network}/{name}.safetensors");
            if self.has(&whole) {
                return self.open(&whole);
            }
            let (stem, variant) = name.strip_suffix(".fp16").map_or((name, ""), |stem| (stem, ".fp16"));
            let index = format!("{network}/{stem}.safetensors.index{variant}.json");
            if self.has(&index) {
                return self.sharded(network, &self.json(&index)?);
            }
        }
        Err(bad(format!("There are no safetensors weights in {network}/.")))
    }

    fn sharded(&self, network: &str, index: &Index) -> Result<Tensors, EngineError> {
        let mut tensors = Tensors::default();
        for file in index.weight_map.values().collect::<BTreeSet<_>>() {
            // The table comes from outside: it may name files of its own folder and nothing else.
            if file.contains(['/', '\\']) || file.starts_with('.') {
                return Err(bad(format!("The index names \"{file}\", which is no file of its folder.")));
            }
            tensors.extend(self.open(&format!("{network}/{file}"))?);
        }
        Ok(tensors)
    }

    fn open(&self, path: &str) -> Result<Tensors, EngineError> {
        match self {
            Folder::Disk(dir) => safetensors::open(&dir.join(path)),
            Folder::Static(file) => safetensors::parse(Bytes::Static(file(path).ok_or_else(|| lacks(path))?)),
        }
    }
}

fn lacks(path: &str) -> EngineError {
    bad(format!("The model lacks {path}."))
}

/// All weights of one network's folder on a disk.
pub fn tensors(dir: &Path) -> Result<Tensors, EngineError> {
    Folder::Disk(dir.to_path_buf()).tensors(".")
}

/// A file of a disk, at most `MAX_TEXT` bytes of it.
pub fn small_file(path: &Path) -> Result<Vec<u8>, EngineError> {
    let fail = |e: std::io::Error| bad(format!("{} cannot be read: {e}.", path.display()));
    let mut bytes = Vec::new();
    fs::File::open(path).map_err(fail)?.take(MAX_TEXT + 1).read_to_end(&mut bytes).map_err(fail)?;
    if bytes.len() as u64 > MAX_TEXT {
        return Err(bad(format!("{} is larger than any such file.", path.display())));
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn weights(value: f32) -> Vec<u8> {
        let header = br#"{"x":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}"#;
        [&(header.len() as u64).to_le_bytes(), header.as_slice(), &value.to_le_bytes()].concat()
    }

    #[test]
    fn finds_weights_by_any_of_their_names() {
        let dir = tempfile::tempdir().unwrap();
        let folder = Folder::Disk(dir.path().into());
        fs::create_dir(dir.path().join("unet")).unwrap();
        let write = |name: &str, bytes: &[u8]| fs::write(dir.path().join("unet").join(name), bytes).unwrap();
        let first = || folder.tensors("unet").unwrap().get("x").unwrap().bytes()[..4].to_vec();
        assert!(folder.tensors("unet").is_err());
        write("model.fp16.safetensors", &weights(1.0));
        assert_eq!(first(), 1f32.to_le_bytes());
        write("part-1.safetensors", &weights(2.0));
        write("model.safetensors.index.json", br#"{"weight_map":{"x":"part-1.safetensors"}}"#);
        assert_eq!(first(), 2f32.to_le_bytes());
        write("diffusion_pytorch_model.safetensors", &weights(3.0));
        assert_eq!(first(), 3f32.to_le_bytes());
    }

    #[test]
    fn an_index_stays_in_its_folder() {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir(dir.path().join("unet")).unwrap();
        fs::write(dir.path().join("unet/model.safetensors.index.json"), r#"{"weight_map":{"x":"../x.safetensors"}}"#).unwrap();
        let refusal = Folder::Disk(dir.path().into()).tensors("unet").unwrap_err().to_string();
        assert!(refusal.contains("no file of its folder"), "{refusal}");
    }

    #[test]
    fn a_program_can_carry_a_folder() {
        let folder = Folder::Static(|path| (path == "a.json").then_some(b"[1, 2]"));
        assert_eq!(folder.json::<Vec<u32>>("a.json").unwrap(), [1, 2]);
        assert!(folder.json::<Vec<u32>>("b.json").is_err());
    }
}
