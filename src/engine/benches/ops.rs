//! Times of single operations at the sizes of Stable Diffusion 1.5 and of a small model, in processor seconds, so that
//! a busy machine does not change them much. `cargo bench -p engine --bench ops`.
#![allow(clippy::print_stdout, reason = "a benchmark prints")]

use engine::{
    cpu::CpuBackend,
    nn::layers::{Conv2d, Linear, Norm},
    ops::{Activation, Backend, Buf, Dtype, RawWeight, Shape, Weight, WeightKind},
    plan::{Graph, Planner},
};
use std::{fs, ops::ControlFlow, time::Instant};

/// Processor seconds of this process, all threads together.
fn processor_seconds() -> f64 {
    let stat = fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let fields: Vec<&str> = stat.rsplit(')').next().unwrap_or_default().split_whitespace().collect();
    let ticks = |i: usize| fields.get(i).and_then(|f| f.parse::<f64>().ok()).unwrap_or(0.0);
    (ticks(11) + ticks(12)) / 100.0
}

fn noise(len: usize) -> Vec<f32> {
    (0..len as u32).map(|i| (i.wrapping_mul(2_654_435_761) >> 8) as f32 / 8e6 - 1.0).collect()
}

fn weight(backend: &mut CpuBackend, dtype: Dtype, dims: &[usize], kind: WeightKind) -> Weight {
    let values = noise(dims.iter().product());
    let bytes: Vec<u8> = match dtype {
        Dtype::F32 => values.iter().flat_map(|x| x.to_le_bytes()).collect(),
        Dtype::F16 => values.iter().flat_map(|x| half::f16::from_f32(*x).to_le_bytes()).collect(),
        Dtype::Bf16 => values.iter().flat_map(|x| half::bf16::from_f32(*x).to_le_bytes()).collect(),
    };
    backend.weight(RawWeight { name: "w", dtype, dims, bytes: &bytes }, kind).expect("a CPU has room for a layer")
}

/// The kinds of weights that are compared.
const DTYPES: [Dtype; 2] = [Dtype::F32, Dtype::F16];

/// Runs a program until two processor seconds are spent.
fn time(backend: &mut CpuBackend, name: &str, gflop: f64, x: Shape, record: impl FnOnce(&mut Graph<'_>, Buf)) {
    let mut planner = Planner::new();
    let input = planner.keep(x);
    let program = planner.program("bench", backend, |g| record(g, input));
    let plan = planner.finish();
    backend.reserve(&plan).expect("a benchmark fits into memory");
    backend.write(input, &noise(x.len()));
    let poll = &mut || ControlFlow::Continue(());
    backend.run(&program.ops, poll).expect("nobody stops it");
    let (wall, start) = (Instant::now(), processor_seconds());
    let mut rounds = 0.0;
    while processor_seconds() - start < 1.0 {
        backend.run(&program.ops, poll).expect("nobody stops it");
        rounds += 1.0;
    }
    let spent = (processor_seconds() - start) / rounds;
    let wall = wall.elapsed().as_secs_f64() / rounds;
    println!("{name:44} {:9.3} ms of a core {:9.3} ms passed {:7.1} GFLOP/s a core", spent * 1e3, wall * 1e3, gflop / spent);
}

fn main() {
    let mut backend = CpuBackend::new(2);
    let b = &mut backend;
    for (rows, inputs, out) in [
        (1024, 1024, 1024),
        (4096, 320, 320),
        (1024, 640, 640),
        (256, 1280, 1280),
        (256, 5120, 1280),
        (2, 1280, 1280),
        (512, 128, 128),
    ] {
        let gflop = 2e-9 * (rows * inputs * out) as f64;
        for dtype in DTYPES {
            let layer = Linear { weight: weight(b, dtype, &[out, inputs], WeightKind::Matrix), bias: None, out };
            let name = format!("linear {rows} x {inputs} x {out}, {dtype:?}");
            time(b, &name, gflop, Shape::sequence(1, rows, inputs), |g, x| {
                g.linear(x, &layer, Activation::None);
            });
        }
    }
    let layer = Linear { weight: weight(b, Dtype::F32, &[2560, 320], WeightKind::Geglu), bias: None, out: 1280 };
    time(b, "linear 4096 x 320 x 2560, gated", 2e-9 * (4096 * 320 * 2560u64) as f64, Shape::sequence(1, 4096, 320), |g, x| {
        g.linear(x, &layer, Activation::Geglu);
    });
    for (n, side, inputs, out) in [
        (2, 64, 320, 320),
        (2, 32, 640, 640),
        (2, 16, 1280, 1280),
        (2, 8, 1280, 1280),
        (1, 256, 128, 128),
        (1, 256, 128, 3),
        (2, 32, 64, 64),
        (2, 16, 128, 128),
        (2, 32, 4, 64),
    ] {
        let gflop = 2e-9 * (n * side * side * 9 * inputs * out) as f64;
        for dtype in DTYPES {
            let layer = Conv2d { weight: weight(b, dtype, &[out, inputs, 3, 3], WeightKind::Matrix), bias: None, kernel: 3, out };
            let name = format!("conv {n} x {side} x {side}, {inputs} to {out}, {dtype:?}");
            time(b, &name, gflop, Shape::new(n, side, side, inputs), |g, x| {
                g.conv2d(x, &layer);
            });
        }
    }
    for (n, queries, heads, size) in [(2, 4096, 8, 40), (2, 1024, 8, 80), (2, 256, 8, 160), (1, 4096, 1, 512), (2, 1024, 4, 16)] {
        let gflop = 4e-9 * (n * queries * queries * heads * size) as f64;
        let x = Shape::sequence(n, queries, heads * size);
        time(b, &format!("attention {n} x {queries}, {heads} x {size}"), gflop, x, |g, x| {
            let kv = g.pack_kv(x, x, heads);
            g.attention(x, kv, queries, heads, false);
        });
    }
    for (n, side, c) in [(2, 64, 320), (2, 16, 1280), (2, 32, 64)] {
        let norm = Norm {
            weight: weight(b, Dtype::F32, &[c], WeightKind::Plain),
            bias: weight(b, Dtype::F32, &[c], WeightKind::Plain),
            eps: 1e-5,
            groups: 32,
        };
        time(b, &format!("group norm, SiLU {n} x {side} x {side} x {c}"), 0.0, Shape::new(n, side, side, c), |g, x| {
            g.group_norm_silu(x, &norm);
        });
        time(b, &format!("layer norm {n} x {side} x {side} x {c}"), 0.0, Shape::new(n, side, side, c), |g, x| {
            g.layer_norm(x, &norm);
        });
    }
}
