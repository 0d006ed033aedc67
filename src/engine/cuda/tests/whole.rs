//! Whole recordings of the reference, through the backend and its kernels as the host runs them: text, networks, every
//! sampler and the pictures.

use super::{
    card,
    double::{Double, Kernels},
};
use crate::{
    cuda::{CudaBackend, driver::Driver, element::Element},
    device::trial,
    golden::{Case, Reference, committed, stable_diffusion},
};
use std::path::Path;

fn recorded(family: &str, driver: Box<dyn Driver>, element: Element) -> Vec<Case> {
    let tests = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests");
    let to = tempfile::tempdir().unwrap();
    committed::materialise(&tests.join("golden").join(family), &tests.join("text"), to.path()).unwrap();
    let backend = CudaBackend::new(driver, element);
    let found = stable_diffusion::check(to.path(), &Reference::read(to.path()).unwrap(), Box::new(backend), element).unwrap();
    for case in &found {
        let worst = case.outcome.worst().map(|s| format!("{} {:.1e} of {:.1e}", s.name, s.worst, s.tolerance));
        println!("{family} {} in {}: {worst:?}", case.name, element.suffix());
    }
    found
}

fn equals_the_reference(family: &str, cases: usize) {
    for driver in [Some(Box::new(Double::new(Kernels::Forwards)) as Box<dyn Driver>), card()].into_iter().flatten() {
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
    assert!(why.contains("something else than the CPU"), "{why}");
    let broken = Double::new(Kernels::Forwards);
    broken.state().broken = true;
    let why = trial::run(&mut device(broken, Element::F16)).unwrap_err();
    assert!(why.contains("failed in a trial"), "{why}");
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
#[allow(clippy::disallowed_methods, reason = "a test that may take long")]
fn half_types_are_as_near_as_the_references_own() {
    let long = std::env::var_os("TESTS_LONG").is_some_and(|v| v == "1");
    let families: &[(&str, usize)] = if long { &[("sd15-inpaint", 2), ("sd15", 6)] } else { &[("sd15-inpaint", 2)] };
    for ((family, cases), element) in families.iter().flat_map(|f| [(f, Element::F16), (f, Element::Bf16)]) {
        for driver in [Some(Box::new(Double::new(Kernels::Forwards)) as Box<dyn Driver>), card()].into_iter().flatten() {
            let found = recorded(family, driver, element);
            for case in &found {
                assert!(case.outcome.holds(), "{element:?} {family} {}: {:?}", case.name, case.outcome);
            }
            assert_eq!(found.len(), *cases);
        }
    }
}
