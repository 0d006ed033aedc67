//! Whole runs of a tiny model: what holds whatever the numbers are.

use super::{Parts, StableDiffusion, keep_outside, picture};
use crate::{
    EngineError, Gray8, Inputs, Picture, Pipeline, Rgb8, Step,
    cpu::CpuBackend,
    golden::committed::materialise,
    ops::Dtype,
    registry,
    weights::{self, Tensors, folder::Folder, single_file::SingleFile},
};
use protocol::{Recipe, Sampler};
use safetensors::tensor::TensorView;
use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    ops::ControlFlow,
    path::{Path, PathBuf},
};

fn recordings() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/golden")
}

/// A folder with the tiny model of a family in `pipeline/`.
fn materialised(family: &str) -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    materialise(&recordings().join(family), &recordings().join("../text"), dir.path()).unwrap();
    dir
}

fn load(threads: usize) -> StableDiffusion {
    let dir = materialised("sd15");
    loaded(Parts::of_folder(&Folder::Disk(dir.path().join("pipeline"))).unwrap(), threads)
}

fn loaded(parts: Parts, threads: usize) -> StableDiffusion {
    StableDiffusion::load(parts, Box::new(CpuBackend::new(threads)), &mut |_, _| ControlFlow::Continue(())).unwrap()
}

fn recipe() -> Recipe {
    Recipe {
        prompt: "a (red:1.3) fox".into(),
        width: 40,
        height: 56,
        steps: 3,
        guidance: 4.0,
        sampler: Sampler::EulerA,
        guidance_rescale: 0.5,
        clip_skip: 2,
        seed: 77,
        batch: 3,
        ..Recipe::example()
    }
}

#[test]
fn a_picture_of_a_batch_is_the_one_that_its_seed_makes_alone() {
    let mut model = load(2);
    let mut on_step = |_: Step<'_>| ControlFlow::Continue(());
    let together = model.generate(&recipe(), &Inputs::default(), &mut on_step).unwrap();
    assert_eq!(together.len(), 3);
    assert_ne!(together[0], together[1]);
    for (i, picture) in (0..).zip(&together) {
        let alone = model.generate(&recipe().of_picture(i), &Inputs::default(), &mut on_step).unwrap();
        assert!(alone[0] == *picture, "picture {i} depends on its batch");
    }
}

#[test]
fn the_number_of_threads_changes_nothing() {
    let mut on_step = |_: Step<'_>| ControlFlow::Continue(());
    let mut with = |threads| load(threads).generate(&recipe(), &Inputs::default(), &mut on_step).unwrap();
    let one = with(1);
    assert!(one == with(2) && one == with(5));
}

#[test]
fn a_reference_picture_is_changed_as_far_as_its_strength_says() {
    let mut model = load(2);
    let data: Vec<u8> = (0..40 * 56 * 3u32).map(|i| (i.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
    let inputs = Inputs { image: Some(Rgb8 { width: 40, height: 56, data }), mask: None };
    let steps = |recipe: Recipe, model: &mut StableDiffusion| {
        let mut told = Vec::new();
        let mut on_step = |step: Step<'_>| {
            if let Step::Denoise { step, steps, preview } = step {
                assert_eq!((preview().width, preview().height), (5, 7));
                told.push((step, steps));
            }
            ControlFlow::Continue(())
        };
        model.generate(&recipe, &inputs, &mut on_step).unwrap();
        told
    };
    let of = |strength| Recipe { batch: 1, steps: 10, strength: Some(strength), ..recipe() };
    assert_eq!(steps(of(0.01), &mut model), [(1, 1)]);
    assert_eq!(steps(of(0.3), &mut model), [(1, 3), (2, 3), (3, 3)]);
    assert_eq!(steps(of(1.0), &mut model).len(), 10);
}

#[test]
fn a_run_stops_where_it_is_told() {
    let mut model = load(2);
    let mut calls = 0;
    let mut on_step = |step: Step<'_>| {
        calls += 1;
        if matches!(step, Step::Denoise { step: 2, .. }) { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    };
    let stopped = model.generate(&recipe(), &Inputs::default(), &mut on_step);
    assert!(matches!(stopped, Err(EngineError::Cancelled)));
    assert!(calls > 2);
}

#[test]
fn pictures_of_another_size_are_refused() {
    let mut model = load(1);
    let inputs = Inputs { image: Some(Rgb8 { width: 8, height: 8, data: vec![0; 192] }), mask: None };
    let refused = model.generate(&recipe(), &inputs, &mut |_| ControlFlow::Continue(()));
    assert!(matches!(refused, Err(EngineError::BadInput(_))));
}

#[test]
fn pixels_are_rounded_and_kept_in_range() {
    assert_eq!(picture(&[-1.0, 0.0, 1.0, -3.0, 2.0, 0.5], 2, 1).rgb, [0, 128, 255, 0, 255, 191]);
}

#[test]
fn what_the_mask_keeps_stays() {
    let mut made = Picture { width: 2, height: 1, rgb: vec![1; 6] };
    keep_outside(&mut made, &[9; 6], &[255, 127]);
    assert_eq!(made.rgb, [1, 1, 1, 9, 9, 9]);
}

/// Writes a folder's weights as one file in the original layout, with the names of `tests/golden/single_file.json`, and some
/// tensors that such files have and no network needs.
fn write_single_file(folder: &Folder, to: &Path) {
    let names = fs::read_to_string(recordings().join("single_file.json")).unwrap();
    let names: BTreeMap<String, BTreeMap<String, String>> = serde_json::from_str(&names).unwrap();
    let mut all: Vec<(String, Vec<usize>, Vec<u8>)> = Vec::new();
    for (network, names) in &names {
        let tensors = folder.tensors(network).unwrap();
        assert!(tensors.names().all(|key| names.contains_key(key)), "{network} has a weight without a name");
        for (key, name) in names {
            let tensor = tensors.get(key).unwrap();
            assert_eq!(tensor.dtype, Dtype::F32);
            let mut dims = tensor.dims.clone();
            // The original keeps the autoencoder's attention as convolutions of 1 x 1.
            if name.contains(".attn_1.") && dims.len() == 2 {
                dims.extend([1, 1]);
            }
            all.push((name.clone(), dims, tensor.bytes().to_vec()));
        }
    }
    for stranger in ["model_ema.decay", "alphas_cumprod", "model_ema.diffusion_modelinput_blocks00weight"] {
        all.push((stranger.into(), vec![2], vec![7; 8]));
    }
    let views =
        all.iter().map(|(name, dims, bytes)| (name, TensorView::new(safetensors::Dtype::F32, dims.clone(), bytes).unwrap()));
    safetensors::serialize_to_file(views, None, to).unwrap();
}

/// The same weights under the same names, but for the trailing ones of their extents and `text_model.`.
fn assert_same_weights(network: &str, a: &Tensors, b: &Tensors) {
    let bare = |tensors: &Tensors| -> BTreeMap<String, (Vec<usize>, Vec<u8>)> {
        let entry = |name: &str| {
            let tensor = tensors.get(name).unwrap();
            let dims = tensor.dims.iter().copied().filter(|d| *d != 1).collect();
            (name.trim_start_matches("text_model.").to_owned(), (dims, tensor.bytes().to_vec()))
        };
        tensors.names().map(entry).collect()
    };
    let (a, b) = (bare(a), bare(b));
    let names = |x: &BTreeMap<String, _>| x.keys().cloned().collect::<BTreeSet<String>>();
    assert_eq!(names(&a), names(&b), "{network}");
    assert!(a == b, "{network}: weights got lost on the way");
}

#[test]
fn a_single_file_is_its_folder() {
    for family in ["sd15", "sd15-inpaint"] {
        let dir = materialised(family);
        let folder = Folder::Disk(dir.path().join("pipeline"));
        let path = dir.path().join("single.safetensors");
        write_single_file(&folder, &path);
        let all = weights::safetensors::open(&path).unwrap();
        assert_eq!(registry::identify(&all).unwrap().name, family);
        let SingleFile { text_encoder, unet, vae } = SingleFile::split(&all).unwrap();
        let of_folder = Parts::of_folder(&folder).unwrap();
        for (network, a, b) in [
            ("text encoder", &text_encoder, &of_folder.text_encoder),
            ("unet", &unet, &of_folder.unet),
            ("vae", &vae, &of_folder.vae),
        ] {
            assert_same_weights(network, a, b);
        }
        // A single file brings no configuration: that of the family is for real sizes, so this one takes the folder's.
        let of_file = Parts { text_encoder, unet, vae, ..Parts::of_folder(&folder).unwrap() };
        let mut on_step = |_: Step<'_>| ControlFlow::Continue(());
        let inputs = Inputs {
            image: Some(Rgb8 { width: 40, height: 56, data: (0..40 * 56 * 3u32).map(|i| (i * 7 % 251) as u8).collect() }),
            mask: Some(Gray8 {
                width: 40,
                height: 56,
                data: (0..40 * 56u32).map(|i| if i % 40 < 20 { 255 } else { 0 }).collect(),
            }),
        };
        let recipe = Recipe { batch: 1, strength: Some(0.8), ..recipe() };
        let [a, b] = [of_folder, of_file].map(|parts| loaded(parts, 2).generate(&recipe, &inputs, &mut on_step).unwrap());
        assert!(a == b, "{family}: the single file paints another picture");
    }
}
