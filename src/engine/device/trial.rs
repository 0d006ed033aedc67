//! Whether a device computes what the CPU does: one of each kind of operation that a network consists of, with numbers
//! that are always the same. Knows no model.

use crate::{
    EngineError,
    cpu::CpuBackend,
    nn::layers::{Conv2d, Linear, Norm},
    noise::{Draw, NoiseSource as _, Seeded},
    ops::{Activation, Backend, Dtype, RawWeight, Shape, Weight, WeightKind},
    plan::{Graph, Planner},
    session::{MAX_TERMS, Session},
};
use protocol::NoGpu;
use std::{
    ops::ControlFlow,
    panic::{AssertUnwindSafe, catch_unwind},
};

/// Two results may be so far apart, in shares of the largest number: ten times what half types make of them.
const APART: f32 = 0.02;
/// Pictures of `SIDE` x `SIDE` pixels and `CHANNELS` channels. No multiples of a tile, and one whose last part is one row.
const PICTURES: usize = 2;
const SIDE: usize = 9;
const CHANNELS: usize = 48;
const HEADS: usize = 2;
const GROUPS: usize = 8;

/// Computes on the device and on the CPU.
///
/// # Errors
/// What is wrong with the device.
pub(crate) fn run(device: &mut dyn Backend) -> Result<(), NoGpu> {
    let of_cpu =
        results(&mut CpuBackend::new(1)).map_err(|e| NoGpu::Unusable(format!("The trial does not run on the CPU: {e}")))?;
    // Where the driver fails in the middle, nothing is known of the card, and nothing more is asked of it.
    let found = catch_unwind(AssertUnwindSafe(|| results(device)))
        .map_err(|_| NoGpu::Unusable("The GPU failed in a trial; the log has what the driver said.".to_owned()))?;
    let found = found.map_err(|e| {
        let why = format!("The GPU cannot be used: {e}");
        if matches!(e, EngineError::GpuFull(_)) { NoGpu::Taken(why) } else { NoGpu::Unusable(why) }
    })?;
    compare(&found, &of_cpu).map_err(NoGpu::Unusable)
}

fn compare(found: &[f32], expected: &[f32]) -> Result<(), String> {
    let largest = expected.iter().fold(0f32, |most, x| most.max(x.abs()));
    // A number that is none is further away than any.
    let apart = found.iter().zip(expected).map(|(a, b)| (a - b).abs() / largest);
    let worst = apart.fold(0f32, |most, x| if x.is_nan() { f32::INFINITY } else { most.max(x) });
    if found.len() == expected.len() && worst <= APART {
        return Ok(());
    }
    Err(format!("The GPU computes something else than the CPU: {worst:.1e} apart in a trial, where {APART} is allowed."))
}

/// Layers with weights that are noise.
struct Noise<'a> {
    backend: &'a mut dyn Backend,
    made: u32,
}

impl Noise<'_> {
    fn weight(&mut self, dims: &[usize], kind: WeightKind) -> Result<Weight, EngineError> {
        let mut values = vec![0.0; dims.iter().product()];
        Seeded { seed: 1, batch: 1 }.fill(Draw::Step(self.made), &mut values);
        self.made += 1;
        let inputs: usize = dims[1..].iter().product();
        let scale = 1.0 / (inputs as f32).sqrt();
        let bytes: Vec<u8> = values.iter().flat_map(|x| (x * scale).to_le_bytes()).collect();
        self.backend.weight(RawWeight { name: "trial", dtype: Dtype::F32, dims, bytes: &bytes }, kind)
    }

    fn linear(&mut self, inputs: usize, out: usize) -> Result<Linear, EngineError> {
        let weight = self.weight(&[out, inputs], WeightKind::Matrix)?;
        Ok(Linear { weight, bias: Some(self.weight(&[out], WeightKind::Plain)?), out })
    }

    fn geglu(&mut self, inputs: usize, out: usize) -> Result<Linear, EngineError> {
        let weight = self.weight(&[2 * out, inputs], WeightKind::Geglu)?;
        Ok(Linear { weight, bias: Some(self.weight(&[2 * out], WeightKind::Plain)?), out })
    }

    fn conv2d(&mut self, inputs: usize, out: usize) -> Result<Conv2d, EngineError> {
        let weight = self.weight(&[out, inputs, 3, 3], WeightKind::Matrix)?;
        Ok(Conv2d { weight, bias: Some(self.weight(&[out], WeightKind::Plain)?), kernel: 3, out })
    }

    fn norm(&mut self, groups: usize) -> Result<Norm, EngineError> {
        let weight = self.weight(&[CHANNELS], WeightKind::Plain)?;
        Ok(Norm { weight, bias: self.weight(&[CHANNELS], WeightKind::Plain)?, eps: 1e-5, groups })
    }
}

/// What a block of a U-Net makes of noise, twice: the second time what was captured the first time is sent again.
fn results(backend: &mut dyn Backend) -> Result<Vec<f32>, EngineError> {
    let mut noise = Noise { backend, made: 0 };
    let (first, norm, down) = (noise.conv2d(CHANNELS, CHANNELS)?, noise.norm(GROUPS)?, noise.conv2d(CHANNELS, CHANNELS)?);
    let (layer, up) = (noise.norm(0)?, noise.conv2d(2 * CHANNELS, CHANNELS)?);
    let [q, k, v, out] = [0; 4].map(|_| noise.linear(CHANNELS, CHANNELS));
    let (q, k, v, out) = (q?, k?, v?, out?);
    let (wide, narrow) = (noise.geglu(CHANNELS, 3 * CHANNELS)?, noise.linear(3 * CHANNELS, CHANNELS)?);

    let mut planner = Planner::new();
    let coefficients = Session::coefficients(&mut planner);
    let shape = Shape::new(PICTURES, SIDE, SIDE, CHANNELS);
    let (from, to) = (planner.keep(shape), planner.keep(shape));
    let forward = |g: &mut Graph<'_>| {
        let x = g.conv2d(from, &first);
        let x = g.group_norm_silu(x, &norm);
        let half = g.downsample(x, &down, 1);
        let tokens = half.reshaped(Shape::sequence(PICTURES, half.shape.h * half.shape.w, CHANNELS));
        let normed = g.layer_norm(tokens, &layer);
        let [q, k, v] = [&q, &k, &v].map(|l| g.linear(normed, l, Activation::None));
        let kv = g.pack_kv(k, v, HEADS);
        let seen = g.attention(q, kv, tokens.shape.w, HEADS, false);
        let tokens = g.linear_add(seen, &out, tokens);
        let wide = g.linear(tokens, &wide, Activation::Geglu);
        let tokens = g.linear_add(wide, &narrow, tokens);
        let joined = g.concat(tokens.reshaped(half.shape), half);
        let x = g.upsample(joined, &up, SIDE, SIDE);
        g.store(to, x);
    };
    let program = planner.program("trial", noise.backend, forward);
    let plan = planner.finish();
    let on_step = &mut |_: crate::Step<'_>| ControlFlow::Continue(());
    let mut session = Session::new(noise.backend, &plan, coefficients, on_step)?;
    let mut values = vec![0.0; from.len()];
    Seeded { seed: 2, batch: PICTURES }.fill(Draw::Latents, &mut values);
    session.write(from, &values);
    session.run(&program)?;
    // As a sampler goes on: from what was found, half and half.
    const { assert!(MAX_TERMS >= 2) };
    session.combine(from, &[(0.5, from), (0.5, to)])?;
    session.run(&program)?;
    let found = session.read(to);
    noise.backend.release();
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_device_that_computes_right_passes() {
        run(&mut CpuBackend::new(2)).unwrap();
        let of_cpu = results(&mut CpuBackend::new(1)).unwrap();
        assert!(of_cpu.iter().all(|x| x.is_finite()) && of_cpu.iter().any(|x| x.abs() > 0.1));
    }

    #[test]
    fn one_number_that_is_wrong_is_enough() {
        let right = results(&mut CpuBackend::new(1)).unwrap();
        for wrong in [f32::NAN, f32::INFINITY, 1e3, 0.0] {
            let mut found = right.clone();
            let largest = (0..found.len()).max_by(|a, b| right[*a].abs().total_cmp(&right[*b].abs())).unwrap();
            found[largest] = wrong;
            assert!(compare(&found, &right).is_err_and(|why| why.contains("computes something else")), "{wrong}");
        }
        assert!(compare(&right[1..], &right).is_err());
        compare(&right, &right).unwrap();
    }
}
