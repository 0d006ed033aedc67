//! What is asked of the driver, in which order, and what comes back to it.

use super::double::{Call, Double, Kernels};
use crate::{
    EngineError,
    cpu::CpuBackend,
    cuda::{
        CudaBackend,
        driver::{Fault, Matmul, MatmulAt},
        element::Element,
        launches::args,
    },
    nn::layers::{Linear, Norm},
    ops::{Activate, Activation, Backend, Buf, Dtype, Op, RawWeight, Shape, WeightKind},
    plan::{Plan, Planner, Program},
};
use std::ops::ControlFlow;

const INPUTS: usize = 24;
const OUT: usize = 70;

fn go_on() -> ControlFlow<()> {
    ControlFlow::Continue(())
}

fn backend(double: &Double) -> CudaBackend {
    CudaBackend::new(Box::new(double.clone()), Element::Bf16)
}

/// A linear layer after a norm, from a kept buffer to another.
struct Net {
    x: Buf,
    y: Buf,
    program: Program,
    plan: Plan,
}

fn net(backend: &mut CudaBackend) -> Net {
    let numbers = vec![0u8; 4 * OUT * INPUTS];
    let mut weight = |dims: &[usize], kind| {
        let len = 4 * dims.iter().product::<usize>();
        backend.weight(RawWeight { name: "w", dtype: Dtype::F32, dims, bytes: &numbers[..len] }, kind).unwrap()
    };
    let norm =
        Norm { weight: weight(&[INPUTS], WeightKind::Plain), bias: weight(&[INPUTS], WeightKind::Plain), eps: 1e-5, groups: 4 };
    let layer = Linear { weight: weight(&[OUT, INPUTS], WeightKind::Matrix), bias: None, out: OUT };
    let mut planner = Planner::new();
    let shape = Shape::new(2, 5, 9, INPUTS);
    let (x, y) = (planner.keep(shape), planner.keep(shape.channels(OUT)));
    let program = planner.program("net", backend, |g| {
        let h = g.group_norm_silu(x, &norm);
        let h = g.linear(h, &layer, Activation::Gelu);
        g.store(y, h);
    });
    Net { x, y, program, plan: planner.finish() }
}

#[test]
fn a_program_is_captured_once_and_replayed() {
    let double = Double::new(Kernels::Written);
    let mut backend = backend(&double);
    let net = net(&mut backend);
    backend.reserve(&net.plan).unwrap();
    double.state().calls.clear();
    for _ in 0..3 {
        backend.run(&net.program.ops, &mut go_on).unwrap();
    }
    let state = double.state();
    let kernels = ["group_norm_moments", "group_norm_factors", "group_norm", "product_mma_64", "copy"];
    assert_eq!(state.kernels(), kernels);
    let rest: Vec<&Call> = state.calls.iter().filter(|c| !matches!(c, Call::Launch(_))).collect();
    let Call::EndCapture(graph) = *rest[1] else { panic!("{rest:?}") };
    let replay = &Call::Replay(graph);
    assert_eq!(rest, [&Call::BeginCapture, &Call::EndCapture(graph), replay, replay, replay]);
    assert_eq!(state.graph(graph), kernels);
}

#[test]
fn launches_name_their_buffers() {
    let double = Double::new(Kernels::Written);
    let mut backend = backend(&double);
    let net = net(&mut backend);
    backend.reserve(&net.plan).unwrap();
    backend.write(net.x, &vec![1.0; net.x.len()]);
    backend.run(&net.program.ops, &mut go_on).unwrap();
    let state = double.state();
    let launches: Vec<_> = state.calls.iter().filter_map(|c| if let Call::Launch(l) = c { Some(l) } else { None }).collect();
    let norm: &args::GroupNorm = bytemuck::from_bytes(bytemuck::cast_slice(&launches[2].args));
    let product: &args::Product = bytemuck::from_bytes(bytemuck::cast_slice(&launches[3].args));
    let copy: &args::Copy = bytemuck::from_bytes(bytemuck::cast_slice(&launches[4].args));
    let Some(Call::Upload(x, bytes)) = state.calls.iter().rfind(|c| matches!(c, Call::Upload(..))) else { panic!("no upload") };
    assert_eq!((norm.x.at, *bytes), (*x, 4 * net.x.len()));
    assert_eq!((norm.dst.at, product.dst), (product.x.at, copy.x));
    assert_eq!((norm.n, norm.pixels, norm.channels, norm.groups, norm.silu), (2, 45, INPUTS as u32, 4, 1));
    assert_eq!((product.to_w, product.depth, product.cols, product.kernel), (90, INPUTS as u32, OUT as u32, 1));
    assert_eq!((product.bias, product.shift.at, product.residual.at), (0, 0, 0));
    // 90 rows and 70 columns in tiles of 64.
    assert_eq!((launches[3].blocks, launches[3].entry().as_str()), ((2, 2), "product_mma_64_bf16"));
    assert_eq!(launches[1].blocks, (2 * 4, 1));
    assert_eq!(copy.count as usize, net.y.len());
}

#[test]
fn sums_in_parts_have_working_memory_and_are_added_up() {
    let double = Double::new(Kernels::Written);
    let mut backend = backend(&double);
    let (inputs, out) = (520, 9);
    let numbers = vec![0; 4 * out * inputs];
    let raw = RawWeight { name: "w", dtype: Dtype::F32, dims: &[out, inputs], bytes: &numbers };
    let layer = Linear { weight: backend.weight(raw, WeightKind::Matrix).unwrap(), bias: None, out };
    let mut planner = Planner::new();
    let x = planner.keep(Shape::sequence(3, 2, inputs));
    let program = planner.program("deep", &backend, |g| {
        g.linear(x, &layer, Activation::None);
    });
    let plan = planner.finish();
    // 9 slices of operands are two parts, of 6 rows each.
    assert_eq!(plan.scratch(), 2 * 6 * out);
    backend.reserve(&plan).unwrap();
    backend.run(&program.ops, &mut go_on).unwrap();
    let state = double.state();
    assert_eq!(state.kernels(), ["product_mma_64", "product_sum"]);
    let launches: Vec<_> = state.calls.iter().filter_map(|c| if let Call::Launch(l) = c { Some(l) } else { None }).collect();
    let [product, sum] = [0, 1].map(|i| bytemuck::from_bytes::<args::Product>(bytemuck::cast_slice(&launches[i].args)));
    assert_eq!((product, launches[0].blocks, launches[1].blocks), (sum, (1, 2), (1, 1)));
    assert_eq!((product.parts, product.part, product.pictures, product.to_w), (2, 5, 1, 6));
    let end = product.sums + 4 * plan.scratch() as u64;
    assert_eq!(end - product.x.at, state.used() - 2 * (out * inputs) as u64);
}

/// Layers of 24 and 40 channels, with what follows a product in all ways, one after the other, and from and to what is kept.
fn layers(backend: &mut CudaBackend, rows: usize) -> Net {
    let numbers = vec![0u8; 4 * 40 * 40];
    let mut weight = |dims: &[usize], kind| {
        let len = 4 * dims.iter().product::<usize>();
        backend.weight(RawWeight { name: "w", dtype: Dtype::F32, dims, bytes: &numbers[..len] }, kind).unwrap()
    };
    let mut layer = |inputs: usize, out: usize| {
        let bias = weight(&[out], WeightKind::Plain);
        Linear { weight: weight(&[out, inputs], WeightKind::Matrix), bias: Some(bias), out }
    };
    let (first, second, third, odd) = (layer(24, 40), layer(40, 40), layer(40, 40), layer(40, 20));
    let second = Linear { bias: None, ..second };
    let mut planner = Planner::new();
    let x = planner.keep(Shape::sequence(2, rows, 24));
    let y = planner.keep(Shape::sequence(2, rows, 40));
    let program = planner.program("layers", backend, |g| {
        let a = g.linear(x, &first, Activation::None);
        let b = g.linear_add(a, &second, a);
        let c = g.linear(b, &third, Activation::Silu);
        g.linear(c, &odd, Activation::None);
        g.push(Op::Linear(crate::ops::Linear {
            dst: y,
            x: c,
            weight: third.weight,
            bias: third.bias,
            act: Activation::None,
            residual: None,
        }));
    });
    Net { x, y, program, plan: planner.finish() }
}

#[test]
fn a_library_gets_the_layers_that_it_can_do_and_kernels_the_others() {
    let double = Double::with_library(Kernels::Written);
    let mut backend = backend(&double);
    assert!(backend.device().contains("bf16, Double's library"), "{}", backend.device());
    let net = layers(&mut backend, 16);
    // 640 bytes.
    assert_eq!(net.plan.scratch(), 160);
    backend.reserve(&net.plan).unwrap();
    backend.run(&net.program.ops, &mut go_on).unwrap();
    let state = double.state();
    // What is read is kept as f32, what follows is an activation, and the last has rows that are no whole chunks.
    assert_eq!(state.kernels(), ["product_mma_64", "product_mma_64", "product_mma_64"]);
    let of: Vec<(Matmul, MatmulAt)> =
        state.calls.iter().filter_map(|c| if let Call::Matmul(of, at) = c { Some((*of, *at)) } else { None }).collect();
    let like = |dst, bias, residual| {
        let element = Element::Bf16;
        Matmul { element, dst, pictures: 2, rows: 16, cols: 40, depth: 40, bias, residual }
    };
    assert_eq!(
        of.iter().map(|(of, _)| *of).collect::<Vec<_>>(),
        [like(Element::Bf16, false, true), like(Element::F32, true, false)]
    );
    let [(_, second), (_, last)] = of[..] else { panic!("{of:?}") };
    assert_eq!((second.residual, second.bias, last.residual), (second.x, 0, 0));
    assert!(second.dst != second.x && last.bias != 0);
    let Some(Call::Upload(..)) = state.calls.iter().rfind(|c| matches!(c, Call::Upload(..))) else { panic!("no upload") };
}

#[test]
fn few_rows_other_types_and_cards_without_a_library_are_for_kernels() {
    let library = |state: &super::double::State| state.calls.iter().any(|c| matches!(c, Call::Matmul(..)));
    for (rows, element, has) in [(15, Element::Bf16, true), (16, Element::F32, true), (16, Element::F16, false)] {
        let double = if has { Double::with_library(Kernels::Written) } else { Double::new(Kernels::Written) };
        let mut backend = CudaBackend::new(Box::new(double.clone()), element);
        assert_eq!(backend.library().is_some_and(|library| library.is_ok()), has && element != Element::F32);
        let net = layers(&mut backend, rows);
        backend.reserve(&net.plan).unwrap();
        backend.run(&net.program.ops, &mut go_on).unwrap();
        assert!(!library(&double.state()) && double.state().kernels().len() >= 5, "{rows} {element:?} {has}");
    }
}

#[test]
fn a_run_takes_no_memory_and_waits_only_where_it_reads() {
    let double = Double::new(Kernels::Written);
    let mut backend = backend(&double);
    let net = net(&mut backend);
    backend.reserve(&net.plan).unwrap();
    double.state().calls.clear();
    for _ in 0..5 {
        backend.write(net.x, &vec![1.0; net.x.len()]);
        backend.run(&net.program.ops, &mut go_on).unwrap();
        let single = Op::Activate(Activate { dst: net.y, x: net.y, act: Activation::None });
        backend.run(&[single], &mut go_on).unwrap();
    }
    let waits = |c: &Call| matches!(c, Call::Download(..) | Call::Settle);
    assert!(!double.state().calls.iter().any(|c| waits(c) || matches!(c, Call::Allocate(_) | Call::Free(_) | Call::Refused(_))));
    crate::session::read(&backend, net.y);
    assert_eq!(double.state().calls.iter().filter(|c| waits(c)).count(), 1);
}

#[test]
fn another_plan_has_other_graphs() {
    let double = Double::new(Kernels::Written);
    let mut backend = backend(&double);
    let net = net(&mut backend);
    for _ in 0..2 {
        backend.reserve(&net.plan).unwrap();
        backend.run(&net.program.ops, &mut go_on).unwrap();
        assert_eq!(double.state().graphs(), 1);
    }
    assert_eq!(double.state().calls.iter().filter(|c| **c == Call::BeginCapture).count(), 2);
}

#[test]
fn everything_is_given_back() {
    let double = Double::new(Kernels::Written);
    let mut backend = backend(&double);
    let net = net(&mut backend);
    let weights = double.state().used();
    assert_eq!(weights as usize, backend.weight_bytes());
    backend.reserve(&net.plan).unwrap();
    backend.run(&net.program.ops, &mut go_on).unwrap();
    assert!(double.state().used() > weights);
    backend.release();
    let holds = |state: &super::double::State| (state.used(), state.graphs(), state.marks.len());
    assert_eq!(holds(&double.state()), (weights, 0, 0));
    backend.reserve(&net.plan).unwrap();
    drop(backend);
    assert_eq!(double.state().used(), 0);
    // What is sent is done before its memory and its graph go.
    let state = double.state();
    let at = |wanted: &dyn Fn(&Call) -> bool| state.calls.iter().position(wanted).unwrap();
    assert!(at(&|c| *c == Call::Settle) < at(&|c| matches!(c, Call::Forget(_))));
    assert!(at(&|c| *c == Call::Settle) < at(&|c| matches!(c, Call::Free(_))));
}

#[test]
fn a_full_card_is_told_of_with_numbers() {
    let double = Double::new(Kernels::Written);
    let mut backend = backend(&double);
    let mut planner = Planner::new();
    planner.keep(Shape::vector(1 << 29));
    let plan = planner.finish();
    let Err(EngineError::GpuFull(problem)) = backend.reserve(&plan) else { panic!("it fits") };
    let words = problem.to_string();
    assert!(words.contains("2.1 GB") && words.contains("1.1 GB of its 1.1 GB"), "{words}");
    // The same where there is room by the numbers, and the card refuses all the same.
    let net = net(&mut backend);
    double.state().refusals = 1;
    assert!(matches!(backend.reserve(&net.plan), Err(EngineError::GpuFull(_))));
    assert_eq!(double.state().calls.iter().filter(|c| matches!(c, Call::Refused(_))).count(), 1);
    // And once there is room, it goes on with what it has.
    backend.reserve(&net.plan).unwrap();
    backend.run(&net.program.ops, &mut go_on).unwrap();
}

#[test]
fn a_model_that_does_not_fit_is_refused() {
    let double = Double::new(Kernels::Written);
    double.state().total = 1000;
    let mut backend = backend(&double);
    let mut weight = |len: usize| {
        let bytes = vec![0; 4 * len];
        backend.weight(RawWeight { name: "w", dtype: Dtype::F32, dims: &[len, 1], bytes: &bytes }, WeightKind::Matrix)
    };
    assert!(weight(400).is_ok());
    assert!(matches!(weight(400), Err(EngineError::GpuFull(_))));
    drop(backend);
    assert_eq!(double.state().used(), 0);
}

#[test]
fn the_host_is_two_programs_ahead_and_stops_when_asked() {
    let double = Double::new(Kernels::Written);
    let mut backend = backend(&double);
    let net = net(&mut backend);
    backend.reserve(&net.plan).unwrap();
    double.state().slow = 5;
    let mut asked = 0;
    for _ in 0..3 {
        let mut count = || {
            asked += 1;
            go_on()
        };
        backend.run(&net.program.ops, &mut count).unwrap();
    }
    // Once for each program, and five times while the third waited for the first.
    assert_eq!((asked, double.state().marks.len()), (8, 2));
    double.state().slow = usize::MAX;
    asked = 0;
    let stopped = backend.run(&net.program.ops, &mut || {
        asked += 1;
        if asked > 3 { ControlFlow::Break(()) } else { go_on() }
    });
    assert!(stopped.is_err() && asked == 4);
    let replays = |state: &super::double::State| state.calls.iter().filter(|c| matches!(c, Call::Replay(_))).count();
    assert_eq!(replays(&double.state()), 3);
    backend.release();
    assert!(double.state().marks.is_empty());
}

#[test]
fn a_replayed_program_sees_what_was_written_since() {
    let double = Double::new(Kernels::Forwards);
    let mut backend = CudaBackend::new(Box::new(double), Element::F32);
    let mut planner = Planner::new();
    let (x, y) = (planner.keep(Shape::vector(300)), planner.keep(Shape::vector(300)));
    let program = planner.program("twice", &CpuBackend::new(1), |g| {
        let h = g.activate(x, Activation::None);
        g.store(y, h);
    });
    backend.reserve(&planner.finish()).unwrap();
    for value in [1.0, -2.0] {
        backend.write(x, &vec![value; 300]);
        backend.run(&program.ops, &mut go_on).unwrap();
        assert_eq!(crate::session::read(&backend, y), vec![value; 300]);
    }
}

#[test]
fn a_card_that_fails_in_a_run_is_lost_and_says_why() {
    fn lost(why: &str) -> ! {
        panic!("lost because {why}")
    }
    let double = Double::new(Kernels::Written);
    let mut backend = backend(&double).when_lost(lost);
    let Net { plan, program, .. } = net(&mut backend);
    backend.reserve(&plan).unwrap();
    double.state().broken = true;
    let run = std::panic::AssertUnwindSafe(|| backend.run(&program.ops, &mut go_on));
    let told = std::panic::catch_unwind(run).unwrap_err();
    assert_eq!(told.downcast_ref::<String>().unwrap(), "lost because the GPU failed: an illegal address was met");
}

#[test]
fn a_fault_names_itself() {
    assert_eq!(Fault::Full.to_string(), "the GPU's memory is full");
    let failed = super::super::failed(Fault::Other("illegal address".to_owned())).to_string();
    assert!(failed.contains("illegal address"), "{failed}");
}
