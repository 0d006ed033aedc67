//! The recordings that are kept in the project, whose weights are not stored but follow from their names: makes an
//! ordinary folder of one, weights and all, as any other recording is. Knows no network.

use super::digest::{deviate, seed};
use crate::{EngineError, json};
use protocol::Problem;
use safetensors::{Dtype, serialize_to_file, tensor::TensorView};
use serde::Deserialize;
use serde_json::Value;
use std::{collections::BTreeMap, fs, io, path::Path};

/// Extents, scale and offset of a tensor.
type Spec = (Vec<usize>, f64, f64);

/// `weights.json`.
#[derive(Deserialize)]
struct Weights {
    /// `config.json` of each network.
    configs: BTreeMap<String, Value>,
    /// `scheduler_config.json`.
    scheduler: Value,
    /// Each tensor of each network.
    tensors: BTreeMap<String, BTreeMap<String, Spec>>,
}

/// Writes the recording in `from` and its model into the empty folder `to`; `text` is the folder of its tokenizer.
pub fn materialise(from: &Path, text: &Path, to: &Path) -> Result<(), EngineError> {
    let fail = |e: &dyn std::fmt::Display| EngineError::BadInput(Problem::new(format!("{e}")).at(from.display().to_string()));
    let weights = fs::read_to_string(from.join("weights.json")).map_err(|e| fail(&e))?;
    let weights: Weights = json::parse(&weights).map_err(|e| fail(&e))?;
    let pipeline = to.join("pipeline");
    copy(from, to, &["reference.json", "reference.safetensors"]).map_err(|e| fail(&e))?;
    copy(text, &pipeline.join("tokenizer"), &["vocab.json", "merges.txt"]).map_err(|e| fail(&e))?;
    write(&pipeline, "model_index.json", "{\"_class_name\": \"StableDiffusionPipeline\"}").map_err(|e| fail(&e))?;
    write(&pipeline.join("scheduler"), "scheduler_config.json", &weights.scheduler.to_string()).map_err(|e| fail(&e))?;
    for (component, tensors) in &weights.tensors {
        let folder = pipeline.join(component);
        let config = weights.configs.get(component).cloned().unwrap_or_default();
        write(&folder, "config.json", &config.to_string()).map_err(|e| fail(&e))?;
        let bytes: BTreeMap<&String, Vec<u8>> =
            tensors.iter().map(|(key, spec)| (key, generated(component, key, spec))).collect();
        let views = tensors.iter().map(|(key, (dims, ..))| Ok((key, TensorView::new(Dtype::F32, dims.clone(), &bytes[key])?)));
        let views = views.collect::<Result<Vec<_>, safetensors::SafeTensorError>>().map_err(|e| fail(&e))?;
        let name = if component == "text_encoder" { "model.safetensors" } else { "diffusion_pytorch_model.safetensors" };
        serialize_to_file(views, None, &folder.join(name)).map_err(|e| fail(&e))?;
    }
    Ok(())
}

/// The elements of a tensor, little-endian f32.
fn generated(component: &str, key: &str, (dims, scale, offset): &Spec) -> Vec<u8> {
    let seed = seed(&format!("{component}/{key}"));
    let n = dims.iter().product::<usize>() as u64;
    (0..n).flat_map(|i| ((deviate(seed, i) * scale + offset) as f32).to_le_bytes()).collect()
}

fn copy(from: &Path, to: &Path, names: &[&str]) -> io::Result<()> {
    fs::create_dir_all(to)?;
    names.iter().try_for_each(|name| fs::copy(from.join(name), to.join(name)).map(drop))
}

fn write(folder: &Path, name: &str, text: &str) -> io::Result<()> {
    fs::create_dir_all(folder)?;
    fs::write(folder.join(name), text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        cpu::CpuBackend,
        device::Device,
        golden::{self, Outcome, Reference, Verdict},
        pipelines::stable_diffusion::{Parts, StableDiffusion},
        text::{self, Chunk},
        weights::folder::Folder,
    };
    use std::{ops::ControlFlow, path::PathBuf};

    fn tests() -> PathBuf {
        PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests")
    }

    fn materialised(family: &str) -> tempfile::TempDir {
        let to = tempfile::tempdir().unwrap();
        materialise(&tests().join("golden").join(family), &tests().join("text"), to.path()).unwrap();
        to
    }

    fn equals_the_reference(family: &str, cases: usize) {
        let folder = materialised(family);
        let found = golden::check(folder.path(), &Device::cpu(2), &mut |_| ()).unwrap();
        for case in &found {
            let worst = case.outcome.worst().map(|s| format!("{} {:.1e}", s.name, s.worst));
            println!("{family} {}: {worst:?}", case.name);
            assert!(case.outcome.holds(), "{family} {}: {:?}", case.name, case.outcome);
        }
        assert_eq!(found.len(), cases);
        assert_eq!(Verdict::of(&found, true), Verdict::Equal);
    }

    #[test]
    fn tiny_stable_diffusion_equals_the_reference() {
        equals_the_reference("sd15", 6);
    }

    #[test]
    fn tiny_inpainting_equals_the_reference() {
        equals_the_reference("sd15-inpaint", 2);
    }

    /// The weights of A1111's prompt language on a real text encoder, against an independent program.
    #[test]
    fn weighted_prompts_equal_the_reference() {
        let folder = materialised("sd15");
        let reference = Reference::read(folder.path()).unwrap();
        let parts = Parts::of_folder(&Folder::Disk(folder.path().join("pipeline"))).unwrap();
        let mut model =
            StableDiffusion::load(parts, Box::new(CpuBackend::new(1)), &mut |_, _| ControlFlow::Continue(())).unwrap();
        let rows = reference.json["weighted"].as_array().unwrap();
        assert_eq!(rows.len(), 2);
        for row in rows {
            let prompt = row["prompt"].as_str().unwrap();
            let chunks = text::chunks(prompt, &model.tokenizer);
            let found = model.encode(&chunks, 0, &mut |_| ControlFlow::Continue(())).unwrap();
            let stage = reference.compare(prompt, &found, &row["out"], 1e-4).unwrap();
            assert!(stage.holds(), "{stage:?}");
            let plain: Vec<Chunk> = chunks.into_iter().map(|c| Chunk { weights: vec![1.0; c.ids.len()], ..c }).collect();
            let plain = model.encode(&plain, 0, &mut |_| ControlFlow::Continue(())).unwrap();
            assert!(!reference.compare(prompt, &plain, &row["out"], 1e-4).unwrap().holds(), "weights must change something");
        }
    }

    #[test]
    fn one_wrong_weight_shows() {
        let folder = materialised("sd15");
        let path = folder.path().join("pipeline/unet/diffusion_pytorch_model.safetensors");
        let mut bytes = fs::read(&path).unwrap();
        let last = bytes.len() - 1;
        bytes[last] ^= 0x80;
        fs::write(&path, bytes).unwrap();
        let found = golden::check(folder.path(), &Device::cpu(2), &mut |_| ()).unwrap();
        assert!(found.iter().any(|case| matches!(&case.outcome, Outcome::Compared(s) if s.iter().any(|s| !s.holds()))));
    }
}
