//! One operation on one set of operands: what the CPU makes of it, and what the kernels make of it in each type, order, batch
//! and size of a product's tiles. Knows no operation.

use super::super::{
    card,
    double::{Double, Kernels},
    ptx::{Target, Traffic},
};
use crate::{
    cpu::CpuBackend,
    cuda::{CudaBackend, driver::Driver, element::Element},
    ops::{Activation, Backend, Buf, Dtype, RawWeight, Shape, Weight, WeightKind},
    plan::{Graph, Planner},
};
use std::{collections::BTreeMap, ops::ControlFlow};

pub(super) fn noise(len: usize, seed: u32) -> Vec<f32> {
    let value = |i: u32| (i.wrapping_mul(2_654_435_761) ^ seed.wrapping_mul(0x9E37_79B9)).wrapping_mul(0x85EB_CA6B);
    (0..len as u32).map(|i| (value(i) >> 8) as f32 / 8_388_608.0 - 1.0).collect()
}

/// What an operation reads.
#[derive(Clone, Debug)]
pub(super) struct Input {
    shape: Shape,
    pub(super) values: Vec<f32>,
    /// Words, timesteps, coefficients: written by the host and read as they are.
    exact: bool,
}

impl Input {
    pub(super) fn new(shape: Shape, seed: u32) -> Input {
        Input { shape, values: noise(shape.len(), seed), exact: false }
    }

    pub(super) fn exact(shape: Shape, values: Vec<f32>) -> Input {
        Input { shape, values, exact: true }
    }
}

/// A weight of a file.
#[derive(Clone, Debug)]
pub(super) struct Numbers {
    dims: Vec<usize>,
    kind: WeightKind,
    values: Vec<f32>,
}

pub(super) fn weight(dims: &[usize], kind: WeightKind, seed: u32) -> Numbers {
    Numbers { dims: dims.to_vec(), kind, values: noise(dims.iter().product(), seed) }
}

/// Appends operations on inputs and weights, and names the result.
type Record<'a> = dyn Fn(&mut Graph<'_>, &[Buf], &[Weight]) -> Buf + 'a;

pub(super) struct Case {
    inputs: Vec<Input>,
    weights: Vec<Numbers>,
    tolerance: f64,
}

/// How a card runs a case.
#[derive(Clone, Copy, Debug)]
struct Way {
    /// The inputs are copied to the program's own buffers first, which have the card's type.
    own: bool,
    /// Products have tiles of the size that was not chosen.
    other_tiles: bool,
}

/// The values as a card keeps them.
fn rounded(values: &[f32], element: Element) -> Vec<f32> {
    let mut to = vec![0.0; values.len()];
    element.widen(&element.narrowed(values), &mut to);
    to
}

impl Case {
    pub(super) fn new(inputs: impl IntoIterator<Item = Input>, weights: &[Numbers]) -> Case {
        Case { inputs: inputs.into_iter().collect(), weights: weights.to_vec(), tolerance: 1.0 }
    }

    /// So many times as far from the CPU as usual.
    pub(super) fn within(self, tolerance: f64) -> Case {
        Case { tolerance, ..self }
    }

    /// The same, rounded to what a card of this type keeps.
    fn of(&self, element: Element) -> Case {
        let mut case = Case { inputs: self.inputs.clone(), weights: self.weights.clone(), tolerance: self.tolerance };
        for input in case.inputs.iter_mut().filter(|input| !input.exact) {
            input.values = rounded(&input.values, element);
        }
        for weight in case.weights.iter_mut().filter(|w| w.dims.len() > 1) {
            weight.values = rounded(&weight.values, element);
        }
        case
    }

    /// One picture of a batch. What is not of a batch stays.
    fn picture(&self, n: usize, pictures: usize) -> Case {
        let mut case = Case { inputs: self.inputs.clone(), weights: self.weights.clone(), tolerance: self.tolerance };
        for input in case.inputs.iter_mut().filter(|input| input.shape.n == pictures) {
            let len = input.shape.picture();
            input.values = input.values[n * len..(n + 1) * len].to_vec();
            input.shape.n = 1;
        }
        case
    }

    /// The result on a device. `own` copies the inputs to the program's own buffers first, which have the card's type.
    fn run(&self, backend: &mut dyn Backend, own: bool, record: &Record<'_>) -> Vec<f32> {
        let mut weights = Vec::new();
        for Numbers { dims, kind, values } in &self.weights {
            let raw = RawWeight { name: "w", dtype: Dtype::F32, dims, bytes: bytemuck::cast_slice(values) };
            weights.push(backend.weight(raw, *kind).unwrap());
        }
        let mut planner = Planner::new();
        let kept: Vec<Buf> = self.inputs.iter().map(|input| planner.keep(input.shape)).collect();
        let mut last = None;
        let program = planner.program("test", backend, |g| {
            let mut bufs = Vec::new();
            for (buf, input) in kept.iter().zip(&self.inputs) {
                bufs.push(if own && !input.exact { g.activate(*buf, Activation::None) } else { *buf });
            }
            let x = record(g, &bufs, &weights);
            last = Some(g.activate(x, Activation::None));
        });
        backend.reserve(&planner.finish()).unwrap();
        for (buf, input) in kept.iter().zip(&self.inputs) {
            backend.write(*buf, &input.values);
        }
        backend.run(&program.ops, &mut || ControlFlow::Continue(())).unwrap();
        for (buf, input) in kept.iter().zip(&self.inputs) {
            let written = program.ops.iter().any(|op| op.dst() == *buf);
            assert!(written || crate::session::read(backend, *buf) == input.values, "a kernel writes over what it reads");
        }
        crate::session::read(backend, last.unwrap())
    }

    fn on(&self, driver: Box<dyn Driver>, element: Element, way: Way, record: &Record<'_>) -> Vec<f32> {
        let mut backend = CudaBackend::new(driver, element);
        backend.other_tiles = way.other_tiles;
        self.run(&mut backend, way.own, record)
    }

    /// The kernels against the CPU.
    pub(super) fn check(&self, record: &Record<'_>) {
        for (element, tolerance) in [(Element::F32, 2e-5), (Element::F16, 2e-3), (Element::Bf16, 1.6e-2)] {
            let case = self.of(element);
            let expected = case.run(&mut CpuBackend::new(1), false, record);
            for own in [false, true] {
                // Either tile in either order.
                let [way, other_way] = [own, !own].map(|other_tiles| Way { own, other_tiles });
                let found = case.each_picture(&|| double(Kernels::Forwards), element, way, record);
                close(element, &found, &expected, tolerance * self.tolerance);
                let turned = case.on(double(Kernels::Backwards), element, other_way, record);
                assert!(same(&found, &turned), "{element:?}: the order of threads or the size of tiles changes the result");
                for target in Target::tested() {
                    let compiled = case.on(double(Kernels::Compiled(*target)), element, way, record);
                    close(element, &compiled, &expected, tolerance * self.tolerance);
                }
                if element != Element::F32 {
                    let found = case.each_picture(&|| Box::new(Double::with_library(Kernels::Forwards)), element, way, record);
                    close(element, &found, &expected, tolerance * self.tolerance);
                }
                if card().is_some() {
                    let found = case.each_picture(&|| card().unwrap(), element, way, record);
                    close(element, &found, &expected, tolerance * self.tolerance);
                    let other = case.on(card().unwrap(), element, other_way, record);
                    assert!(same(&found, &other), "{element:?}: the size of tiles changes the result on the card");
                }
            }
        }
    }

    /// Half types give each picture what it gets by itself. For cases that are too large for all ways of [`Case::check`].
    pub(super) fn check_batch(&self, record: &Record<'_>) {
        let way = Way { own: true, other_tiles: false };
        self.of(Element::F16).each_picture(&|| double(Kernels::Forwards), Element::F16, way, record);
    }

    /// How often each kernel goes to memory in a half type, on a card with few other things to do.
    pub(super) fn traffic(&self, record: &Record<'_>) -> BTreeMap<&'static str, Traffic> {
        self.traffic_of(false, record)
    }

    /// The same with products of the other tile.
    pub(super) fn traffic_of(&self, other_tiles: bool, record: &Record<'_>) -> BTreeMap<&'static str, Traffic> {
        let double = Double::new(Kernels::Compiled(Target::Ampere));
        let way = Way { own: true, other_tiles };
        self.of(Element::F16).on(Box::new(double.clone()), Element::F16, way, record);
        let state = double.state();
        state.traffic.clone()
    }

    /// The result on a card, which each picture has by itself too.
    fn each_picture(&self, card: &dyn Fn() -> Box<dyn Driver>, element: Element, way: Way, record: &Record<'_>) -> Vec<f32> {
        let found = self.on(card(), element, way, record);
        let pictures = self.inputs[0].shape.n;
        let len = found.len() / pictures;
        for n in 0..if pictures > 1 { pictures } else { 0 } {
            let one = self.picture(n, pictures).on(card(), element, way, record);
            assert!(same(&one, &found[n * len..(n + 1) * len]), "{element:?}: the batch changes picture {n}");
        }
        found
    }
}

fn double(kernels: Kernels) -> Box<dyn Driver> {
    Box::new(Double::new(kernels))
}

fn same(a: &[f32], b: &[f32]) -> bool {
    a.len() == b.len() && a.iter().zip(b).all(|(a, b)| a.to_bits() == b.to_bits())
}

fn close(element: Element, found: &[f32], expected: &[f32], tolerance: f64) {
    assert_eq!(found.len(), expected.len());
    let largest = expected.iter().fold(0.0f64, |a, b| a.max(f64::from(b.abs())));
    for (i, (found, expected)) in found.iter().zip(expected).enumerate() {
        let apart = (f64::from(*found) - f64::from(*expected)).abs();
        assert!(apart <= tolerance * largest, "{element:?}, element {i}: {found} where {expected} is expected");
    }
}
