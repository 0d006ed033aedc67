//! Whole recordings of the reference, through the backend and its kernels as the host runs them: text, networks, every
//! sampler and the pictures.

use super::{
    card,
    double::{Double, Kernels},
    ptx::Target,
};
use crate::{
    EngineError, Gray8, Inputs, Picture, Pipeline as _, Rgb8,
    cuda::{CudaBackend, driver::Driver, element::Element},
    device::trial,
    golden::{Case, Reference, committed, stable_diffusion},
    ops::Backend,
    pipelines::stable_diffusion::{Parts, StableDiffusion},
    weights::folder::Folder,
};
use protocol::{NoGpu, Recipe};
use std::{ops::ControlFlow, path::Path};

/// A folder with the recording of a family, and its model in `pipeline/`.
pub(super) fn materialised(family: &str) -> tempfile::TempDir {
    let tests = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests");
    let to = tempfile::tempdir().unwrap();
    committed::materialise(&tests.join("golden").join(family), &tests.join("text"), to.path()).unwrap();
    to
}

pub(super) fn recorded(family: &str, driver: Box<dyn Driver>, element: Element) -> Vec<Case> {
    let to = materialised(family);
    let backend = CudaBackend::new(driver, element);
    let found = stable_diffusion::check(to.path(), &Reference::read(to.path()).unwrap(), Box::new(backend), element).unwrap();
    for case in &found {
        let worst = case.outcome.worst().map(|s| format!("{} {:.1e} of {:.1e}", s.name, s.worst, s.tolerance));
        println!("{family} {} in {}: {worst:?}", case.name, element.suffix());
    }
    found
}

/// What kernels run on: the shim, in tests that may take long NVIDIA's compiler's, and the machine's card.
fn drivers() -> impl Iterator<Item = Box<dyn Driver>> {
    let compiled = may_take_long().then_some(Kernels::Compiled(Target::Ampere));
    let doubles = [Some(Kernels::Forwards), compiled].into_iter().flatten();
    doubles.map(|kernels| Box::new(Double::new(kernels)) as Box<dyn Driver>).chain(card())
}

#[allow(clippy::disallowed_methods, reason = "a test that may take long")]
fn may_take_long() -> bool {
    std::env::var_os("TESTS_LONG").is_some_and(|v| v == "1")
}

fn equals_the_reference(family: &str, cases: usize) {
    for driver in drivers() {
        let found = recorded(family, driver, Element::F32);
        for case in &found {
            assert!(case.outcome.holds(), "{family} {}: {:?}", case.name, case.outcome);
        }
        assert_eq!(found.len(), cases);
    }
}

/// What decides whether a card is used passes where the kernels are right, in every type, and tells of a card that fails.
#[test]
fn the_trial_passes_with_these_kernels_and_fails_with_a_broken_card() {
    let device = |double: Double, element| CudaBackend::new(Box::new(double), element);
    for element in [Element::F32, Element::F16, Element::Bf16] {
        trial::run(&mut device(Double::new(Kernels::Forwards), element)).unwrap();
    }
    let why = trial::run(&mut device(Double::new(Kernels::Written), Element::F16)).unwrap_err();
    assert!(matches!(&why, NoGpu::Unusable(why) if why.contains("something else than the CPU")), "{why}");
    let broken = Double::new(Kernels::Forwards);
    broken.state().broken = true;
    let why = trial::run(&mut device(broken, Element::F16)).unwrap_err();
    assert!(matches!(&why, NoGpu::Unusable(why) if why.contains("failed in a trial")), "{why}");
    let full = Double::new(Kernels::Forwards);
    full.state().total = 4_000;
    let why = trial::run(&mut device(full, Element::F16)).unwrap_err();
    assert!(matches!(&why, NoGpu::Taken(why) if why.contains("are free")), "others may give some back: {why}");
}

#[test]
fn tiny_stable_diffusion_equals_the_reference() {
    equals_the_reference("sd15", 6);
}

#[test]
fn tiny_inpainting_equals_the_reference() {
    equals_the_reference("sd15-inpaint", 2);
}

/// A half type is no further from f32 than half as much again as the reference's own: each network, each step, each picture.
/// With TESTS_LONG=1 those of `sd15` too.
#[test]
fn half_types_are_as_near_as_the_references_own() {
    let families: &[(&str, usize)] = if may_take_long() { &[("sd15-inpaint", 2), ("sd15", 6)] } else { &[("sd15-inpaint", 2)] };
    for ((family, cases), element) in families.iter().flat_map(|f| [(f, Element::F16), (f, Element::Bf16)]) {
        for driver in drivers() {
            let found = recorded(family, driver, element);
            for case in &found {
                assert!(case.outcome.holds(), "{element:?} {family} {}: {:?}", case.name, case.outcome);
            }
            assert_eq!(found.len(), *cases);
        }
    }
}

/// A picture by the model of a folder, which is loaded for it and forgotten after it, as jobs that alternate between models have it.
pub(super) fn try_picture_of(folder: &Path, backend: Box<dyn Backend>) -> Result<Vec<Picture>, EngineError> {
    let parts = Parts::of_folder(&Folder::Disk(folder.join("pipeline")))?;
    let mut model = StableDiffusion::load(parts, backend, &mut |_, _| ControlFlow::Continue(()))?;
    let recipe = Recipe { width: 40, height: 56, steps: 2, strength: Some(1.0), ..Recipe::example() };
    let image = Rgb8 { width: 40, height: 56, data: vec![99; 3 * 40 * 56] };
    let mask = Gray8 { width: 40, height: 56, data: vec![255; 40 * 56] };
    let inputs = Inputs { image: Some(image), mask: Some(mask) };
    model.generate(&recipe, &inputs, &mut |_| ControlFlow::Continue(()))
}

fn picture_of(folder: &Path, driver: Box<dyn Driver>) {
    let backend = Box::new(CudaBackend::new(driver, Element::F16));
    assert_eq!(try_picture_of(folder, backend).unwrap().len(), 1);
}

/// A hundred of them leave the card as it was.
#[test]
fn models_that_take_turns_leave_no_memory_behind() {
    let folders = ["sd15", "sd15-inpaint"].map(materialised);
    let folder = |turn: usize| folders[turn % 2].path();
    let double = Double::new(Kernels::Written);
    for turn in 0..100 {
        picture_of(folder(turn), Box::new(double.clone()));
        let state = double.state();
        assert_eq!((state.used(), state.graphs(), state.marks.len()), (0, 0, 0), "turn {turn}");
    }
    // A card is shared: what the driver keeps for this process comes with the first pictures.
    let Some(meter) = card() else { return };
    let free = || meter.memory().unwrap().free;
    (0..4).for_each(|turn| picture_of(folder(turn), card().unwrap()));
    let before = free();
    (0..100).for_each(|turn| picture_of(folder(turn), card().unwrap()));
    println!("{} bytes were free, {} are", before, free());
    assert!(free() + (32 << 20) > before, "{before} bytes were free, {} are", free());
}
