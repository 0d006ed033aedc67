//! Every kernel, as the host's compiler and the shim run it, against the CPU's operation of the same name; the same bits
//! whatever the order of threads and the batch.

mod case;

use super::ptx::Traffic;
use crate::{
    nn::layers::{Conv2d, Linear, Norm},
    ops::{self, Activation, Buf, Op, Shape, Weight, WeightKind},
    plan::Graph,
};
use case::{Case, Input, noise, weight};
use std::collections::BTreeMap;

/// Appends an operation on a buffer of this extent.
fn push(g: &mut Graph<'_>, shape: Shape, op: impl FnOnce(Buf) -> Op) -> Buf {
    let dst = g.buffer(shape);
    let op = op(dst);
    g.push(op);
    dst
}

fn layer(w: &[Weight], out: usize) -> Linear {
    Linear { weight: w[0], bias: w.get(1).copied(), out }
}

#[test]
fn linear() {
    let plain = [(2, 37, 45, 70), (1, 1, 17, 130), (3, 65, 20, 64), (1, 130, 3, 1)];
    // Half types on tensor cores: fewer slices than stages, many, part slices and tiles, and whole ones.
    let chunks = [(1, 1, 16, 130), (3, 65, 16, 64), (2, 37, 40, 70), (1, 130, 168, 129), (1, 128, 96, 128), (1, 3, 8, 1)];
    // Deep enough for parts, of which the last is shorter.
    let parts = [(3, 2, 520, 24), (1, 66, 520, 66)];
    // For a card's library.
    let wide = [(2, 21, 40, 72), (3, 16, 24, 8)];
    for (n, rows, inputs, out) in plain.into_iter().chain(chunks).chain(parts).chain(wide) {
        let shape = Shape::sequence(n, rows, inputs);
        let with_bias = [weight(&[out, inputs], WeightKind::Matrix, 2), weight(&[out], WeightKind::Plain, 3)];
        let x = Input::new(shape, 1);
        for act in [Activation::None, Activation::Silu, Activation::Gelu, Activation::QuickGelu] {
            Case::new([x.clone()], &with_bias).check(&|g, x, w| g.linear(x[0], &layer(w, out), act));
        }
        Case::new([x.clone()], &with_bias[..1]).check(&|g, x, w| g.linear(x[0], &layer(w, out), Activation::None));
        let residual = Input::new(shape.channels(out), 4);
        Case::new([x, residual], &with_bias).check(&|g, x, w| g.linear_add(x[0], &layer(w, out), x[1]));
    }
}

/// Sums of a picture are in two parts, although both pictures together have blocks enough for whole ones.
#[test]
fn parts_of_sums_are_those_of_one_picture() {
    let (inputs, out) = (512, 27 * 64 + 1);
    let weights = [weight(&[out, inputs], WeightKind::Matrix, 2)];
    Case::new([Input::new(Shape::sequence(2, 33, inputs), 1)], &weights)
        .check_batch(&|g, x, w| g.linear(x[0], &layer(w, out), Activation::None));
}

#[test]
fn linear_with_gates() {
    for (n, rows, inputs, out) in
        [(2, 37, 45, 35), (1, 70, 20, 64), (1, 3, 17, 65), (2, 37, 24, 35), (2, 37, 24, 72), (1, 130, 168, 65)]
    {
        let weights = [weight(&[2 * out, inputs], WeightKind::Geglu, 2), weight(&[2 * out], WeightKind::Plain, 3)];
        let x = Input::new(Shape::sequence(n, rows, inputs), 1);
        Case::new([x.clone()], &weights).check(&|g, x, w| g.linear(x[0], &layer(w, out), Activation::Geglu));
        let residual = Input::new(Shape::sequence(n, rows, out), 4);
        Case::new([x, residual], &weights[..1]).check(&|g, x, w| {
            let (dst, op) = (x[1].shape, Activation::Geglu);
            push(g, dst, |dst| Op::Linear(ops::Linear { dst, x: x[0], weight: w[0], bias: None, act: op, residual: Some(x[1]) }))
        });
    }
}

#[test]
fn conv2d() {
    conv2d_of(5, 20);
}

#[test]
fn conv2d_in_chunks() {
    conv2d_of(8, 24);
}

/// Several parts, of which some begin in the middle of a tap.
#[test]
fn conv2d_in_parts() {
    conv2d_of(72, 20);
}

fn conv2d_of(depth: usize, out: usize) {
    let s = Shape::new(2, 9, 13, depth);
    let weights = [weight(&[out, s.c, 3, 3], WeightKind::Matrix, 2), weight(&[out], WeightKind::Plain, 3)];
    let conv = |w: &[Weight]| Conv2d { weight: w[0], bias: w.get(1).copied(), kernel: 3, out };
    let x = Input::new(s, 1);
    let [shift, residual] = [Input::new(Shape::new(2, 1, 1, out), 4), Input::new(s.channels(out), 5)];
    Case::new([x.clone(), shift, residual], &weights).check(&|g, x, w| g.conv2d_with(x[0], &conv(w), Some(x[1]), Some(x[2])));
    Case::new([x.clone()], &weights[..1]).check(&|g, x, w| g.conv2d(x[0], &conv(w)));
    for pad in [0, 1] {
        Case::new([x.clone()], &weights).check(&|g, x, w| g.downsample(x[0], &conv(w), pad));
    }
    for (h, wide) in [(18, 26), (17, 25), (19, 40)] {
        Case::new([x.clone()], &weights).check(&|g, x, w| g.upsample(x[0], &conv(w), h, wide));
    }
}

#[test]
fn conv2d_of_many_tiles() {
    let plain = [(Shape::new(3, 5, 7, 20), 33, 1), (Shape::new(1, 12, 11, 37), 66, 3), (Shape::new(1, 1, 1, 4), 3, 3)];
    let chunks = [
        (Shape::new(3, 5, 7, 136), 33, 1),
        (Shape::new(2, 5, 7, 24), 40, 1),
        (Shape::new(1, 12, 11, 72), 130, 3),
        (Shape::new(1, 1, 1, 8), 3, 3),
    ];
    // Many parts, and pictures that share tiles.
    let parts = [(Shape::new(3, 3, 7, 264), 17, 3)];
    for (s, out, kernel) in plain.into_iter().chain(chunks).chain(parts) {
        let weights = [weight(&[out, s.c, kernel, kernel], WeightKind::Matrix, 2), weight(&[out], WeightKind::Plain, 3)];
        Case::new([Input::new(s, 1)], &weights)
            .check(&|g, x, w| g.conv2d(x[0], &Conv2d { weight: w[0], bias: Some(w[1]), kernel, out }));
    }
}

#[test]
fn group_norm() {
    // More parts than one, more than a block takes at a time, and more pixels than the most parts have at least.
    let shapes =
        [(2, 15, 31, 24, 4), (2, 70, 71, 8, 2), (1, 3, 3, 96, 32), (1, 200, 201, 2, 1), (1, 1, 1, 320, 32), (2, 5, 7, 20, 4)];
    for (n, h, w, c, groups) in shapes {
        let mut x = Input::new(Shape::new(n, h, w, c), 1);
        // A mean far from 0 shows a variance that cancels.
        x.values.iter_mut().for_each(|x| *x = *x * 0.5 + 30.0);
        let weights = [weight(&[c], WeightKind::Plain, 2), weight(&[c], WeightKind::Plain, 3)];
        let norm = |w: &[Weight]| Norm { weight: w[0], bias: w[1], eps: 1e-5, groups };
        Case::new([x.clone()], &weights).within(4.0).check(&|g, x, w| g.group_norm(x[0], &norm(w)));
        Case::new([x], &weights).within(4.0).check(&|g, x, w| g.group_norm_silu(x[0], &norm(w)));
    }
}

#[test]
fn layer_norm() {
    for c in [1, 24, 257, 1000] {
        let weights = [weight(&[c], WeightKind::Plain, 2), weight(&[c], WeightKind::Plain, 3)];
        let mut x = Input::new(Shape::sequence(2, 5, c), 1);
        x.values.iter_mut().for_each(|x| *x = *x * 0.5 + 3.0);
        let norm = |w: &[Weight]| Norm { weight: w[0], bias: w[1], eps: 1e-5, groups: 0 };
        Case::new([x], &weights).within(4.0).check(&|g, x, w| g.layer_norm(x[0], &norm(w)));
    }
}

#[test]
fn attention() {
    let cases = [
        (50, 50, 2, 20, true),
        (61, 77, 3, 8, false),
        (30, 130, 1, 40, false),
        (70, 33, 2, 40, true),
        (33, 97, 2, 80, false),
        (40, 40, 1, 160, true),
        (1, 1, 1, 32, true),
        (20, 35, 1, 512, false),
        // Half types without tensor cores.
        (30, 130, 1, 36, false),
        (70, 33, 2, 68, true),
        (40, 40, 1, 132, true),
        // With them: more queries than a block has, more keys than a tile, each kernel once at least.
        (200, 200, 1, 40, true),
        (140, 70, 1, 64, true),
        (17, 135, 2, 72, false),
        (129, 65, 1, 96, false),
        (70, 150, 1, 104, true),
        (20, 64, 1, 128, false),
        (128, 128, 1, 160, false),
        // Several blocks for a head, of which the last has a part only.
        (130, 40, 1, 168, false),
    ];
    for (queries, tokens, heads, size, causal) in cases {
        let [q, k, v] = [(queries, 1), (tokens, 2), (tokens, 3)].map(|(len, seed)| {
            let mut input = Input::new(Shape::sequence(2, len, heads * size), seed);
            input.values.iter_mut().for_each(|x| *x *= 3.0);
            input
        });
        Case::new([q, k, v], &[]).check(&|g, x, _| {
            let kv = g.pack_kv(x[1], x[2], heads);
            g.attention(x[0], kv, tokens, heads, causal)
        });
    }
}

#[test]
fn activations() {
    // Elements one by one, in chunks, and in chunks where both pictures are there only.
    for w in [17, 8, 4] {
        let mut x = Input::new(Shape::new(2, 3, 11, w), 1);
        x.values.iter_mut().for_each(|x| *x *= 8.0);
        for act in [Activation::None, Activation::Silu, Activation::Gelu, Activation::QuickGelu] {
            Case::new([x.clone()], &[]).check(&|g, x, _| g.activate(x[0], act));
            Case::new([x.clone()], &[]).check(&|g, x, _| {
                g.push(Op::Activate(ops::Activate { dst: x[0], x: x[0], act }));
                x[0]
            });
        }
    }
}

#[test]
fn channels_are_put_together_and_taken_apart() {
    let s = Shape::new(2, 3, 5, 4);
    // One by one; in chunks; and in chunks but for what begins or ends between two.
    for (parts, first, count) in [([4, 3, 70], 2, 20), ([24, 8, 304], 16, 128), ([16, 4, 36], 16, 24), ([8, 16, 8], 4, 24)] {
        let inputs = [0, 1, 2].map(|i| Input::new(s.channels(parts[i]), i as u32 + 1));
        Case::new(inputs, &[]).check(&|g, x, _| {
            let s = x[0].shape;
            let all = push(g, s.channels(parts.iter().sum()), |dst| Op::Concat(ops::Concat { dst, parts: x.to_vec() }));
            push(g, s.channels(count), |dst| Op::Slice(ops::Slice { dst, x: all, first }))
        });
    }
}

#[test]
fn copies_repeat_until_full() {
    for c in [7, 8, 24] {
        let s = Shape::new(1, 3, 5, c);
        Case::new([Input::new(s, 1)], &[])
            .check(&|g, x, _| push(g, Shape { n: 3, ..s }, |dst| Op::Copy(ops::Copy { dst, x: x[0] })));
    }
}

#[test]
fn words_get_their_places() {
    let (words, tokens, c) = (3000, 7, 50);
    let weights = [weight(&[words, c], WeightKind::Plain, 1), weight(&[9, c], WeightKind::Plain, 2)];
    // Words that neither half type can count to.
    let ids = (0..2 * tokens).map(|i| (i * 2053 % words) as f32).collect();
    Case::new([Input::exact(Shape::sequence(2, tokens, 1), ids)], &weights).check(&|g, x, w| {
        let op = |dst| Op::Embed(ops::Embed { dst, ids: x[0], table: w[0], positions: w[1] });
        push(g, Shape::sequence(x[0].shape.n, tokens, c), op)
    });
}

#[test]
fn a_timestep_becomes_waves() {
    for (flip_sin_to_cos, freq_shift, c) in [(true, 0.0, 320), (false, 1.0, 20)] {
        let timesteps = Input::exact(Shape::new(3, 1, 1, 1), vec![0.0, 481.0, 999.0]);
        Case::new([timesteps], &[]).within(5.0).check(&|g, x, _| {
            push(g, Shape::new(x[0].shape.n, 1, 1, c), |dst| {
                Op::TimestepEmbedding(ops::TimestepEmbedding { dst, timesteps: x[0], flip_sin_to_cos, freq_shift })
            })
        });
    }
}

#[test]
fn a_posterior_is_mean_and_deviation() {
    let s = Shape::new(2, 3, 5, 4);
    let mut moments = Input::new(s.channels(8), 1);
    moments.values.iter_mut().step_by(13).for_each(|x| *x *= 100.0);
    Case::new([moments, Input::new(s, 2)], &[])
        .check(&|g, x, _| push(g, x[1].shape, |dst| Op::Posterior(ops::Posterior { dst, moments: x[0], noise: x[1] })));
}

#[test]
fn guidance_and_its_rescale() {
    for (s, rescale) in [(Shape::new(2, 9, 8, 4), 0.7), (Shape::new(2, 9, 8, 4), 0.0), (Shape::new(1, 1, 3, 4), 1.0)] {
        let params = Input::exact(Shape::vector(2), vec![7.5, rescale]);
        let inputs = [Input::new(s, 1), Input::new(s, 2), params];
        let guide = |dst, x: &[Buf]| Op::Guide(ops::Guide { dst, without: x[0], with: x[1], params: x[2] });
        Case::new(inputs.clone(), &[]).check(&|g, x, _| push(g, x[0].shape, |dst| guide(dst, x)));
        for over in [0, 1] {
            Case::new(inputs.clone(), &[]).check(&|g, x, _| {
                g.push(guide(x[over], x));
                x[over]
            });
        }
    }
}

#[test]
fn sums_and_limits() {
    let s = Shape::new(2, 5, 9, 4);
    for terms in [1, 3, 16] {
        let coefficients = Input::exact(Shape::vector(16), noise(16, 9));
        let inputs: Vec<Input> = (0..terms).map(|i| Input::new(s, i)).chain([coefficients]).collect();
        let sum = |dst, x: &[Buf]| {
            let (terms, coefficients) = (x[..x.len() - 1].to_vec(), x[x.len() - 1]);
            Op::LinearCombination(ops::LinearCombination { dst, coefficients, terms })
        };
        Case::new(inputs.clone(), &[]).check(&|g, x, _| push(g, x[0].shape, |dst| sum(dst, x)));
        Case::new(inputs, &[]).check(&|g, x, _| {
            g.push(sum(x[0], x));
            x[0]
        });
    }
    let limits = Input::exact(Shape::vector(2), vec![-0.25, 0.5]);
    Case::new([Input::new(s, 1), limits], &[])
        .check(&|g, x, _| push(g, x[0].shape, |dst| Op::Clamp(ops::Clamp { dst, x: x[0], limits: x[1] })));
}

#[test]
fn dynamic_thresholds() {
    for (s, ratio, most) in
        [(Shape::new(2, 1, 1, 5), 0.5, 100.0), (Shape::new(2, 13, 17, 4), 0.995, 100.0), (Shape::new(1, 7, 7, 4), 1.0, 1.5)]
    {
        let mut x = Input::new(s, 1);
        x.values.iter_mut().for_each(|x| *x *= 4.0);
        let params = Input::exact(Shape::vector(2), vec![ratio, most]);
        Case::new([x.clone(), params], &[])
            .check(&|g, x, _| push(g, x[0].shape, |dst| Op::Threshold(ops::Threshold { dst, x: x[0], params: x[1] })));
    }
}

#[test]
fn masks() {
    let s = Shape::new(2, 5, 9, 4);
    for n in [1, 2] {
        let mask = Input::new(Shape::new(n, 5, 9, 1), 3);
        Case::new([Input::new(s, 1), Input::new(s, 2), mask], &[])
            .check(&|g, x, _| push(g, x[0].shape, |dst| Op::Blend(ops::Blend { dst, mask: x[2], a: x[0], b: x[1] })));
    }
}

/// Layers of Stable Diffusion 1.5 with all their channels, and fewer pixels.
#[test]
fn memory_is_asked_in_few_turns() {
    let (c, heads, text) = (320, 8, 77);
    let pixels = Shape::new(1, 8, 8, c);
    let rows = Shape::sequence(1, 64, c);
    let plain = |len| weight(&[len], WeightKind::Plain, 2);
    let matrix = |dims: &[usize]| weight(dims, WeightKind::Matrix, 3);
    let norm = |w: &[Weight], groups| Norm { weight: w[0], bias: w[1], eps: 1e-5, groups };
    let conv = |w: &[Weight]| Conv2d { weight: w[0], bias: Some(w[1]), kernel: 3, out: c };
    let (on_pixels, on_rows) = ([Input::new(pixels, 1)], [Input::new(rows, 1)]);
    let convolved = [matrix(&[c, c, 3, 3]), plain(c)];
    let gates = [weight(&[8 * c, c], WeightKind::Geglu, 4), plain(8 * c)];
    let attended = [Input::new(rows, 1), Input::new(Shape::sequence(1, text, c), 5), Input::new(Shape::sequence(1, text, c), 6)];
    let mut found: BTreeMap<&str, Traffic> = BTreeMap::new();
    for traffic in [
        Case::new(on_pixels.clone(), &[plain(c), plain(c)]).traffic(&|g, x, w| g.group_norm_silu(x[0], &norm(w, 32))),
        Case::new(on_pixels.clone(), &convolved).traffic(&|g, x, w| g.conv2d(x[0], &conv(w))),
        Case::new(on_pixels.clone(), &convolved).traffic(&|g, x, w| g.downsample(x[0], &conv(w), 1)),
        Case::new([Input::new(Shape { h: 4, w: 4, ..pixels }, 1)], &convolved)
            .traffic(&|g, x, w| g.upsample(x[0], &conv(w), 8, 8)),
        Case::new(on_rows.clone(), &[plain(c), plain(c)]).traffic(&|g, x, w| g.layer_norm(x[0], &norm(w, 0))),
        Case::new(on_rows.clone(), &[matrix(&[c, c]), plain(c)])
            .traffic(&|g, x, w| g.linear(x[0], &layer(w, c), Activation::Silu)),
        Case::new(on_rows, &gates).traffic(&|g, x, w| g.linear(x[0], &layer(w, 4 * c), Activation::Geglu)),
        Case::new(attended, &[]).traffic(&|g, x, _| {
            let kv = g.pack_kv(x[1], x[2], heads);
            g.attention(x[0], kv, text, heads, false)
        }),
        Case::new([Input::new(pixels, 1), Input::new(pixels, 2)], &[])
            .traffic(&|g, x, _| push(g, pixels.channels(2 * c), |dst| Op::Concat(ops::Concat { dst, parts: x.to_vec() }))),
    ] {
        traffic.into_iter().for_each(|(kernel, traffic)| found.entry(kernel).or_default().add(traffic));
    }
    for (kernel, Traffic { sectors, words, .. }) in &found {
        let ratios = [sectors.ratio(), words.ratio()];
        println!(
            "{kernel}: {} sectors, {:.2} times as many as needed; {} turns of shared memory, {:.2} times",
            sectors.taken, ratios[0], words.taken, ratios[1]
        );
        // A thread's chunk of f32 is read by two requests for half a sector of each neighbour.
        let most = if *kernel == "group_norm_factors" { 4.0 } else { 2.0 };
        assert!(ratios[0] <= most && ratios[1] <= 1.2, "{kernel} goes to memory too often");
    }
}

/// Between products of tensor cores, warps have other instructions to send, which have to be few: a card sends one at a time, and
/// an H100's tensor cores are through after five or six.
#[test]
fn products_come_close_upon_each_other() {
    let close = |traffic: BTreeMap<&str, Traffic>, most: f64| {
        let (kernel, found) = traffic.iter().find(|(_, traffic)| traffic.products > 0).unwrap();
        let each = found.steps as f64 / found.products as f64;
        println!("{kernel}: {each:.2} instructions of PTX a product");
        assert!(each <= most, "{kernel} has too much to do beside its products");
    };
    // So many rows and columns that no sum is in parts.
    let (rows, inputs, out) = (640, 1280, 704);
    let weights = [weight(&[out, inputs], WeightKind::Matrix, 2)];
    let linear = Case::new([Input::new(Shape::sequence(1, rows, inputs), 1)], &weights);
    for (other_tiles, most) in [(false, 10.0), (true, 5.6)] {
        close(linear.traffic_of(other_tiles, &|g, x, w| g.linear(x[0], &layer(w, out), Activation::None)), most);
    }
    for (size, most) in [(40, 11.5), (80, 9.4), (160, 7.4), (512, 6.5)] {
        let inputs = [1, 2, 3].map(|seed| Input::new(Shape::sequence(1, 512, size), seed));
        let attended = Case::new(inputs, &[]).traffic(&|g, x, _| {
            let kv = g.pack_kv(x[1], x[2], 1);
            g.attention(x[0], kv, 512, 1, false)
        });
        close(attended, most);
    }
}
