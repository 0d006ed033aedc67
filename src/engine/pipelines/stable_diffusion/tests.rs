//! Whole runs of a tiny model: what holds whatever the numbers are.

use super::{Parts, StableDiffusion, keep_outside, picture};
use crate::{EngineError, Inputs, Picture, Pipeline, Rgb8, Step, golden::committed::materialise, weights::folder::Folder};
use protocol::{Format, Recipe, Sampler, Schedule};
use std::{ops::ControlFlow, path::PathBuf};

fn load(threads: usize) -> StableDiffusion {
    let tests = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests");
    let dir = tempfile::tempdir().unwrap();
    materialise(&tests.join("golden/sd15"), &tests.join("text"), dir.path()).unwrap();
    let parts = Parts::of_folder(&Folder::Disk(dir.path().join("pipeline"))).unwrap();
    StableDiffusion::load(parts, threads, &mut |_, _| ControlFlow::Continue(())).unwrap()
}

fn recipe() -> Recipe {
    Recipe {
        model: "tiny".into(),
        prompt: "a (red:1.3) fox".into(),
        negative_prompt: String::new(),
        width: 40,
        height: 56,
        steps: 3,
        guidance: 4.0,
        sampler: Sampler::EulerA,
        schedule: Schedule::Plain,
        eta: 0.0,
        guidance_rescale: 0.5,
        clip_skip: 2,
        seed: 77,
        batch: 3,
        strength: None,
        image: None,
        mask: None,
        format: Format::Png,
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
