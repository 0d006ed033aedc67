//! Every operation against the same formula in f64, and the same bits whatever the threads and the batch.

use super::{CpuBackend, pack};
use crate::{
    nn::layers::{Conv2d, Linear, Norm},
    ops::{self, Activation, Backend, Buf, Dtype, Op, RawWeight, Shape, Weight, WeightKind},
    plan::{Graph, Planner},
};
use std::ops::ControlFlow;

fn noise(len: usize, seed: u32) -> Vec<f32> {
    let value = |i: u32| (i.wrapping_mul(2_654_435_761) ^ seed.wrapping_mul(0x9E37_79B9)).wrapping_mul(0x85EB_CA6B);
    (0..len as u32).map(|i| (value(i) >> 8) as f32 / 8_388_608.0 - 1.0).collect()
}

/// Appends operations on inputs and weights, and names the result.
type Record<'a> = dyn Fn(&mut Graph<'_>, &[Buf], &[Weight]) -> Buf + 'a;

/// Runs what `record` appends on a CPU of so many threads.
fn run(threads: usize, inputs: &[(Shape, &[f32])], weights: &[(&[usize], WeightKind, &[f32])], record: &Record<'_>) -> Vec<f32> {
    let mut backend = CpuBackend::new(threads);
    let weights: Vec<Weight> = weights
        .iter()
        .map(|(dims, kind, values)| {
            let raw = RawWeight { name: "w", dtype: Dtype::F32, dims, bytes: bytemuck::cast_slice(values) };
            backend.weight(raw, *kind).unwrap()
        })
        .collect();
    let mut planner = Planner::new();
    let bufs: Vec<Buf> = inputs.iter().map(|(shape, _)| planner.keep(*shape)).collect();
    let mut last = None;
    let program = planner.program("test", &backend, |g| {
        let x = record(g, &bufs, &weights);
        last = Some(g.activate(x, Activation::None));
    });
    backend.reserve(&planner.finish()).unwrap();
    for (buf, (_, values)) in bufs.iter().zip(inputs) {
        backend.write(*buf, values);
    }
    backend.run(&program.ops, &mut || ControlFlow::Continue(())).unwrap();
    let mut found = vec![0.0; last.unwrap().len()];
    backend.read(last.unwrap(), &mut found);
    found
}

fn close(found: &[f32], expected: &[f64], tolerance: f64) {
    assert_eq!(found.len(), expected.len());
    let largest = expected.iter().fold(0.0f64, |a, b| a.max(b.abs()));
    for (i, (found, expected)) in found.iter().zip(expected).enumerate() {
        assert!((f64::from(*found) - expected).abs() <= tolerance * largest, "{i}: {found} where {expected} is expected");
    }
}

/// The same bits for any number of threads, and for each picture by itself.
fn same_bits(inputs: &[(Shape, &[f32])], weights: &[(&[usize], WeightKind, &[f32])], record: &Record<'_>) -> Vec<f32> {
    let all = run(1, inputs, weights, record);
    assert!(all == run(2, inputs, weights, record) && all == run(7, inputs, weights, record), "threads change the result");
    let pictures = inputs[0].0.n;
    for n in 0..pictures {
        let one: Vec<(Shape, &[f32])> = inputs
            .iter()
            .map(|(shape, values)| {
                let len = shape.picture();
                (Shape { n: 1, ..*shape }, &values[n * len..(n + 1) * len])
            })
            .collect();
        let len = all.len() / pictures;
        assert!(run(2, &one, weights, record) == all[n * len..(n + 1) * len], "a batch changes picture {n}");
    }
    all
}

fn sigmoid(x: f64) -> f64 {
    1.0 / (1.0 + (-x).exp())
}

fn gelu(x: f64) -> f64 {
    // Beyond 4 the error function is 1, and its series needs more digits than there are.
    let z = (x / 2f64.sqrt()).clamp(-4.0, 4.0);
    let (mut term, mut sum) = (z, z);
    for n in 1..100 {
        term *= -z * z / f64::from(n);
        sum += term / f64::from(2 * n + 1);
    }
    0.5 * x * (1.0 + sum * 2.0 / std::f64::consts::PI.sqrt())
}

#[test]
fn linear() {
    let (rows, inputs, out) = (37, 45, 70);
    let shape = Shape::sequence(2, rows, inputs);
    let (x, w, b) = (noise(shape.len(), 1), noise(out * inputs, 2), noise(out, 3));
    let residual = noise(2 * rows * out, 4);
    let weights: [(&[usize], WeightKind, &[f32]); 2] =
        [(&[out, inputs], WeightKind::Matrix, &w), (&[out], WeightKind::Plain, &b)];
    let layer = |w: &[Weight]| Linear { weight: w[0], bias: Some(w[1]), out };
    let product = |row: usize, o: usize| -> f64 {
        let sum: f64 = (0..inputs).map(|i| f64::from(x[row * inputs + i]) * f64::from(w[o * inputs + i])).sum();
        sum + f64::from(b[o])
    };
    let each = |f: &dyn Fn(usize, usize) -> f64| (0..2 * rows * out).map(|i| f(i / out, i % out)).collect::<Vec<_>>();
    let found = same_bits(&[(shape, &x)], &weights, &|g, x, w| g.linear(x[0], &layer(w), Activation::Silu));
    close(&found, &each(&|r, o| product(r, o) * sigmoid(product(r, o))), 1e-6);
    let with = [(shape, x.as_slice()), (shape.channels(out), residual.as_slice())];
    let found = same_bits(&with, &weights, &|g, x, w| g.linear_add(x[0], &layer(w), x[1]));
    close(&found, &each(&|r, o| product(r, o) + f64::from(residual[r * out + o])), 1e-6);
    let gated: [(&[usize], WeightKind, &[f32]); 2] = [(&[out, inputs], WeightKind::Geglu, &w), (&[out], WeightKind::Plain, &b)];
    let found =
        same_bits(&[(shape, &x)], &gated, &|g, x, w| g.linear(x[0], &Linear { out: out / 2, ..layer(w) }, Activation::Geglu));
    let half = out / 2;
    let expected: Vec<f64> =
        (0..2 * rows * half).map(|i| product(i / half, i % half) * gelu(product(i / half, i % half + half))).collect();
    close(&found, &expected, 1e-6);
}

/// A convolution by its definition. `from` is how a resized picture's pixel finds its original.
fn plain_conv(
    x: &[f32],
    s: Shape,
    w: &[f32],
    b: &[f32],
    (out, stride, pad): (usize, usize, usize),
    to: Shape,
    size: (usize, usize),
) -> Vec<f64> {
    let mut result = Vec::new();
    for (n, oy, ox, o) in (0..to.len()).map(|i| (i / to.picture(), i / (to.w * out) % to.h, i / out % to.w, i % out)) {
        let mut sum = f64::from(b[o]);
        for (ky, kx) in (0..9).map(|k| (k / 3, k % 3)) {
            let (y, xx) = ((oy * stride + ky) as isize - pad as isize, (ox * stride + kx) as isize - pad as isize);
            if y < 0 || xx < 0 || y >= size.0 as isize || xx >= size.1 as isize {
                continue;
            }
            let (y, xx) = (y as usize * s.h / size.0, xx as usize * s.w / size.1);
            for c in 0..s.c {
                let value = x[((n * s.h + y) * s.w + xx) * s.c + c];
                sum += f64::from(value) * f64::from(w[((o * s.c + c) * 3 + ky) * 3 + kx]);
            }
        }
        result.push(sum);
    }
    result
}

#[test]
fn conv2d() {
    let (s, out) = (Shape::new(2, 9, 13, 5), 20);
    let (x, w, b) = (noise(s.len(), 1), noise(out * s.c * 9, 2), noise(out, 3));
    let weights: [(&[usize], WeightKind, &[f32]); 2] =
        [(&[out, s.c, 3, 3], WeightKind::Matrix, &w), (&[out], WeightKind::Plain, &b)];
    let layer = |w: &[Weight]| Conv2d { weight: w[0], bias: Some(w[1]), kernel: 3, out };
    let plain = |stride, pad, to, size| plain_conv(&x, s, &w, &b, (out, stride, pad), to, size);

    let (shift, residual) = (noise(2 * out, 4), noise(s.channels(out).len(), 5));
    let with = [(s, x.as_slice()), (Shape::new(2, 1, 1, out), &shift), (s.channels(out), &residual)];
    let found = same_bits(&with, &weights, &|g, x, w| g.conv2d_with(x[0], &layer(w), Some(x[1]), Some(x[2])));
    let mut expected = plain(1, 1, s.channels(out), (9, 13));
    for (i, e) in expected.iter_mut().enumerate() {
        *e += f64::from(shift[i / (s.h * s.w * out) * out + i % out]) + f64::from(residual[i]);
    }
    close(&found, &expected, 1e-6);

    let found = same_bits(&[(s, &x)], &weights, &|g, x, w| g.downsample(x[0], &layer(w), 1));
    close(&found, &plain(2, 1, Shape::new(2, 5, 7, out), (9, 13)), 1e-6);
    let found = same_bits(&[(s, &x)], &weights, &|g, x, w| g.downsample(x[0], &layer(w), 0));
    close(&found, &plain(2, 0, Shape::new(2, 4, 6, out), (9, 13)), 1e-6);
    let found = same_bits(&[(s, &x)], &weights, &|g, x, w| g.upsample(x[0], &layer(w), 17, 25));
    close(&found, &plain(1, 1, Shape::new(2, 17, 25, out), (17, 25)), 1e-6);
}

#[test]
fn norms() {
    let s = Shape::new(2, 150, 31, 24);
    // A mean far from 0 shows a variance that cancels.
    let x: Vec<f32> = noise(s.len(), 1).iter().map(|x| x * 0.5 + 30.0).collect();
    let (w, b) = (noise(s.c, 2), noise(s.c, 3));
    let weights: [(&[usize], WeightKind, &[f32]); 2] = [(&[s.c], WeightKind::Plain, &w), (&[s.c], WeightKind::Plain, &b)];
    let eps = 1e-5;
    let normalized = |same: &dyn Fn(usize, usize) -> bool, from: std::ops::Range<usize>, i: usize| -> f64 {
        let values: Vec<f64> = from.filter(|&j| same(i, j)).map(|j| f64::from(x[j])).collect();
        let mean = values.iter().sum::<f64>() / values.len() as f64;
        let variance = values.iter().map(|v| (v - mean).powi(2)).sum::<f64>() / values.len() as f64;
        let y = (f64::from(x[i]) - mean) / (variance + f64::from(eps)).sqrt();
        y * f64::from(w[i % s.c]) + f64::from(b[i % s.c])
    };
    let group = |i: usize, j: usize| i % s.c / 6 == j % s.c / 6;
    let norm = |w: &[Weight], groups| Norm { weight: w[0], bias: w[1], eps, groups };
    let found = same_bits(&[(s, &x)], &weights, &|g, x, w| g.group_norm_silu(x[0], &norm(w, 4)));
    for i in (0..s.len()).step_by(1013) {
        let picture = i / s.picture() * s.picture();
        let y = normalized(&group, picture..picture + s.picture(), i);
        assert!((f64::from(found[i]) - y * sigmoid(y)).abs() < 3e-5, "{i}");
    }
    let found = same_bits(&[(s, &x)], &weights, &|g, x, w| g.layer_norm(x[0], &norm(w, 0)));
    for i in (0..s.len()).step_by(101) {
        let y = normalized(&|_, _| true, i / s.c * s.c..(i / s.c + 1) * s.c, i);
        assert!((f64::from(found[i]) - y).abs() < 3e-5, "{i}");
    }
}

#[test]
fn attention() {
    for (queries, tokens, heads, size, causal) in [(50, 50, 2, 20, true), (61, 77, 3, 8, false), (30, 130, 1, 40, false)] {
        let c = heads * size;
        let (sq, skv) = (Shape::sequence(2, queries, c), Shape::sequence(2, tokens, c));
        let scaled = |len, seed| noise(len, seed).iter().map(|x| x * 3.0).collect::<Vec<f32>>();
        let (q, k, v) = (scaled(sq.len(), 1), scaled(skv.len(), 2), scaled(skv.len(), 3));
        let found = same_bits(&[(sq, &q), (skv, &k), (skv, &v)], &[], &|g, x, _| {
            let kv = g.pack_kv(x[1], x[2], heads);
            g.attention(x[0], kv, tokens, heads, causal)
        });
        let expected: Vec<f64> = (0..sq.len())
            .map(|i| {
                let (n, query, head) = (i / (queries * c), i / c % queries, i % c / size);
                let seen = if causal { query + 1 } else { tokens };
                let at = |token: usize, j: usize| (n * tokens + token) * c + head * size + j;
                let score = |token: usize| -> f64 {
                    let q = &q[(n * queries + query) * c + head * size..][..size];
                    let dot: f64 = (0..size).map(|j| f64::from(q[j]) * f64::from(k[at(token, j)])).sum();
                    (dot / (size as f64).sqrt()).exp()
                };
                let total: f64 = (0..seen).map(score).sum();
                (0..seen).map(|t| score(t) * f64::from(v[at(t, i % size)])).sum::<f64>() / total
            })
            .collect();
        close(&found, &expected, 3e-6);
    }
}

/// Appends an operation on a buffer of this extent.
fn push(g: &mut Graph<'_>, shape: Shape, op: impl FnOnce(Buf) -> Op) -> Buf {
    let dst = g.buffer(shape);
    let op = op(dst);
    g.push(op);
    dst
}

#[test]
fn channels_are_put_together_and_taken_apart() {
    let s = Shape::new(2, 3, 2, 4);
    let (a, b) = (noise(s.len(), 1), noise(s.channels(3).len(), 2));
    let found = run(2, &[(s, &a), (s.channels(3), &b)], &[], &|g, x, _| {
        let both = g.concat(x[0], x[1]);
        push(g, s.channels(2), |dst| Op::Slice(ops::Slice { dst, x: both, first: 3 }))
    });
    let expected: Vec<f32> = (0..12).flat_map(|row| [a[4 * row + 3], b[3 * row]]).collect();
    assert_eq!(found, expected);
}

#[test]
fn words_get_their_places() {
    let table = noise(5 * 2, 1);
    let positions = noise(3 * 2, 2);
    let weights: [(&[usize], WeightKind, &[f32]); 2] =
        [(&[5, 2], WeightKind::Plain, &table), (&[3, 2], WeightKind::Plain, &positions)];
    let found = run(1, &[(Shape::sequence(2, 2, 1), &[4.0, 0.0, 1.0, 1.0])], &weights, &|g, x, w| {
        push(g, Shape::sequence(2, 2, 2), |dst| Op::Embed(ops::Embed { dst, ids: x[0], table: w[0], positions: w[1] }))
    });
    let expected: Vec<f32> = [(4, 0), (0, 1), (1, 0), (1, 1)]
        .iter()
        .flat_map(|(id, at)| [0, 1].map(|c| table[2 * id + c] + positions[2 * at + c]))
        .collect();
    assert_eq!(found, expected);
}

#[test]
fn a_timestep_becomes_waves() {
    let found = run(1, &[(Shape::vector(2), &[0.0, 481.0])], &[], &|g, x, _| {
        let op =
            |dst| Op::TimestepEmbedding(ops::TimestepEmbedding { dst, timesteps: x[0], flip_sin_to_cos: true, freq_shift: 0.0 });
        push(g, Shape::new(2, 1, 1, 8), op)
    });
    assert_eq!(found[..8], [1.0, 1.0, 1.0, 1.0, 0.0, 0.0, 0.0, 0.0]);
    let expected: Vec<f64> = (0..8)
        .map(|i| {
            let angle = 481.0 * 10000f64.powf(-f64::from(i % 4) / 4.0);
            if i < 4 { angle.cos() } else { angle.sin() }
        })
        .collect();
    close(&found[8..], &expected, 2e-5);
}

#[test]
fn a_posterior_is_mean_and_deviation() {
    let moments = [1.0, -2.0, 0.0, 100.0, 0.5, 0.25, -100.0, 2.0];
    let noise = [0.5, 1e-5, 3.0, -1.0];
    let found = run(1, &[(Shape::new(1, 1, 2, 4), &moments), (Shape::new(1, 1, 2, 2), &noise)], &[], &|g, x, _| {
        push(g, Shape::new(1, 1, 2, 2), |dst| Op::Posterior(ops::Posterior { dst, moments: x[0], noise: x[1] }))
    });
    close(&found, &[1.5, -2.0 + 10f64.exp() * 1e-5, 0.5 + 3.0 * (-15f64).exp(), 0.25 - 1f64.exp()], 1e-6);
}

#[test]
fn guidance_and_its_rescale() {
    let s = Shape::new(2, 2, 3, 4);
    let (a, b) = (noise(s.len(), 1), noise(s.len(), 2));
    let params = [7.5, 0.7];
    let found = run(1, &[(s, &a), (s, &b), (Shape::vector(2), &params)], &[], &|g, x, _| {
        push(g, s, |dst| Op::Guide(ops::Guide { dst, without: x[0], with: x[1], params: x[2] }))
    });
    let guided: Vec<f64> = a.iter().zip(&b).map(|(a, b)| f64::from(*a) + 7.5 * (f64::from(*b) - f64::from(*a))).collect();
    let deviation = |v: &[f64]| {
        let mean = v.iter().sum::<f64>() / v.len() as f64;
        (v.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / (v.len() - 1) as f64).sqrt()
    };
    let with: Vec<f64> = b.iter().map(|x| f64::from(*x)).collect();
    let expected: Vec<f64> = guided
        .chunks(s.picture())
        .zip(with.chunks(s.picture()))
        .flat_map(|(g, w)| {
            let factor = 0.7 * deviation(w) / deviation(g) + 0.3;
            g.iter().map(move |x| x * factor).collect::<Vec<_>>()
        })
        .collect();
    close(&found, &expected, 1e-5);
}

#[test]
fn sums_limits_and_masks() {
    let s = Shape::new(1, 2, 2, 2);
    let (a, b) = ([1.0, -2.0, 3.0, -4.0, 5.0, -6.0, 7.0, -8.0], [0.5; 8]);
    let with = |op: &dyn Fn(Buf, &[Buf]) -> Op, third: &[f32], shape: Shape| {
        run(1, &[(s, &a), (s, &b), (shape, third)], &[], &|g, x, _| push(g, s, |dst| op(dst, x)))
    };
    let sum = |dst, x: &[Buf]| Op::LinearCombination(ops::LinearCombination { dst, coefficients: x[2], terms: vec![x[0], x[1]] });
    assert_eq!(with(&sum, &[2.0, 10.0], Shape::vector(2)), [7.0, 1.0, 11.0, -3.0, 15.0, -7.0, 19.0, -11.0]);
    let clamp = |dst, x: &[Buf]| Op::Clamp(ops::Clamp { dst, x: x[0], limits: x[2] });
    assert_eq!(with(&clamp, &[-3.0, 4.0], Shape::vector(2)), [1.0, -2.0, 3.0, -3.0, 4.0, -3.0, 4.0, -3.0]);
    let blend = |dst, x: &[Buf]| Op::Blend(ops::Blend { dst, mask: x[2], a: x[0], b: x[1] });
    assert_eq!(with(&blend, &[1.0, 0.0, 0.5, 0.0], Shape::new(1, 2, 2, 1)), [1.0, -2.0, 0.5, 0.5, 2.75, -2.75, 0.5, 0.5]);
    // Half of the magnitudes lie below 4.5; the quantile 0.5 is between 4 and 5.
    let threshold = |dst, x: &[Buf]| Op::Threshold(ops::Threshold { dst, x: x[0], params: x[2] });
    let expected: Vec<f64> = a.iter().map(|x| f64::from(*x).clamp(-4.5, 4.5) / 4.5).collect();
    close(&with(&threshold, &[0.5, 100.0], Shape::vector(2)), &expected, 1e-6);
    let expected: Vec<f64> = a.iter().map(|x| f64::from(*x).clamp(-2.0, 2.0) / 2.0).collect();
    close(&with(&threshold, &[0.5, 2.0], Shape::vector(2)), &expected, 1e-6);
}

/// Weights of half types give the bits that the same numbers give as f32, in half the memory.
#[test]
fn half_weights_change_no_bit() {
    let shape = Shape::new(1, 20, 23, 300);
    let x = noise(shape.len(), 1);
    let numbers = noise(70 * 300 * 9, 2);
    for (dtype, size) in [(Dtype::F16, 2), (Dtype::Bf16, 2)] {
        let half: Vec<u8> = match dtype {
            Dtype::F16 => numbers.iter().flat_map(|v| half::f16::from_f32(*v).to_le_bytes()).collect(),
            _ => numbers.iter().flat_map(|v| half::bf16::from_f32(*v).to_le_bytes()).collect(),
        };
        let wide: Vec<u8> = pack::floats(dtype, &half).iter().flat_map(|v| v.to_le_bytes()).collect();
        let with = |dtype: Dtype, bytes: &[u8]| {
            let mut backend = CpuBackend::new(3);
            let mut weight = |dims: &[usize], kind| {
                let len = dims.iter().product::<usize>() * dtype.size();
                backend.weight(RawWeight { name: "w", dtype, dims, bytes: &bytes[..len] }, kind).unwrap()
            };
            let conv = Conv2d { weight: weight(&[70, 300, 3, 3], WeightKind::Matrix), bias: None, kernel: 3, out: 70 };
            let linear = Linear { weight: weight(&[70, 300], WeightKind::Matrix), bias: None, out: 70 };
            let gated = Linear { weight: weight(&[70, 300], WeightKind::Geglu), bias: None, out: 35 };
            let mut planner = Planner::new();
            let input = planner.keep(shape);
            let results = [70, 70, 35].map(|c| planner.keep(shape.channels(c)));
            let program = planner.program("all", &backend, |g| {
                let found = [
                    g.conv2d(input, &conv),
                    g.linear(input, &linear, Activation::Gelu),
                    g.linear(input, &gated, Activation::Geglu),
                ];
                results.iter().zip(found).for_each(|(to, from)| g.store(*to, from));
            });
            backend.reserve(&planner.finish()).unwrap();
            backend.write(input, &x);
            backend.run(&program.ops, &mut || ControlFlow::Continue(())).unwrap();
            (results.map(|buf| crate::session::read(&backend, buf)), backend.weight_bytes())
        };
        let (narrow, wide) = (with(dtype, &half), with(Dtype::F32, &wide));
        assert!(narrow.0 == wide.0, "{dtype:?} changes a result");
        assert_eq!(narrow.1 * 4, wide.1 * size);
    }
}

#[test]
fn a_program_stops_when_asked() {
    let mut backend = CpuBackend::new(2);
    let mut planner = Planner::new();
    let x = planner.keep(Shape::sequence(1, 2048, 512));
    let values = noise(512 * 512, 1);
    let raw = RawWeight { name: "w", dtype: Dtype::F32, dims: &[512, 512], bytes: bytemuck::cast_slice(&values) };
    let layer = Linear { weight: backend.weight(raw, WeightKind::Matrix).unwrap(), bias: None, out: 512 };
    let program = planner.program("long", &backend, |g| {
        let mut y = x;
        for _ in 0..2000 {
            y = g.linear(y, &layer, Activation::Silu);
        }
    });
    backend.reserve(&planner.finish()).unwrap();
    let start = std::time::Instant::now();
    let mut asked = 0;
    let stopped = backend.run(&program.ops, &mut || {
        asked += 1;
        if asked > 3 { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    });
    assert!(stopped.is_err() && asked > 3);
    assert!(start.elapsed().as_secs_f64() < 5.0, "2000 layers take longer than being stopped at the start");
}

#[test]
fn a_plan_that_does_not_fit_is_refused_with_numbers() {
    let mut backend = CpuBackend::new(1);
    let mut planner = Planner::new();
    planner.keep(Shape::vector(1 << 44));
    let refused = backend.reserve(&planner.finish()).unwrap_err().to_string();
    assert!(refused.contains("70368.7 GB"), "{refused}");
}
