//! The measurer: reads a picture's attributes from its pixels. It is `Reader` and `read` of `training/measure.py`, with
//! the same weights, in loops of its own: what is scored must not do the scoring. Knows no model.

use crate::{Picture, weights};
use half::f16;
use serde::Deserialize;
use std::path::Path;

/// Pixels of a picture's side.
const SIDE: usize = 256;
/// A map's value above which something is seen.
const PEAK: f32 = 0.5;
/// How far around a peak nothing may be higher, in cells.
const AROUND: usize = 2;
/// The first `SOLID` maps are of things, the others of what stands in the sky.
const SOLID: usize = 3;

/// What the measurer can answer, in the order of its outputs.
#[derive(Deserialize)]
pub(super) struct Answers {
    /// Attributes of which each picture has one value, and the values.
    pub(super) choices: Vec<(String, Vec<String>)>,
    found: Vec<String>,
    sides: Vec<String>,
}

/// What is seen in one picture.
#[derive(Debug)]
pub(super) struct Seen {
    /// A value of each of the choices.
    pub(super) choices: Vec<String>,
    /// What stands in the sky, and where.
    pub(super) body: String,
    pub(super) side: String,
    /// What stands on the ground, and how many; 3 is three or more.
    pub(super) thing: String,
    pub(super) number: usize,
}

/// Values of channels on a square: `[channel][row][column]`.
struct Maps {
    side: usize,
    values: Vec<f32>,
}

impl Maps {
    fn channel(&self, c: usize) -> &[f32] {
        &self.values[c * self.side * self.side..][..self.side * self.side]
    }

    fn map(mut self, f: impl Fn(f32) -> f32) -> Maps {
        self.values.iter_mut().for_each(|v| *v = f(*v));
        self
    }
}

/// A convolution, or with a side of 1 a linear layer.
struct Layer {
    weight: Vec<f32>,
    bias: Vec<f32>,
    inputs: usize,
    kernel: usize,
}

impl Layer {
    fn load(tensors: &weights::Tensors, name: &str) -> Layer {
        let numbers = |name: String| -> (Vec<usize>, Vec<f32>) {
            let tensor = tensors.get(&name).expect("the measurer has this layer");
            let halves = tensor.bytes().as_chunks::<2>().0.iter();
            (tensor.dims.clone(), halves.map(|b| f16::from_le_bytes(*b).to_f32()).collect())
        };
        let (dims, weight) = numbers(format!("{name}.weight"));
        let (_, bias) = numbers(format!("{name}.bias"));
        Layer { weight, bias, inputs: dims[1], kernel: dims.get(2).copied().unwrap_or(1) }
    }

    /// Slides over `x`, with zeros around it as PyTorch's `padding`.
    fn apply(&self, x: &Maps, stride: usize, dilation: usize) -> Maps {
        let (kernel, from) = (self.kernel, x.side);
        let pad = kernel / 2 * dilation;
        let side = (from + 2 * pad - dilation * (kernel - 1) - 1) / stride + 1;
        let mut values = Vec::with_capacity(self.bias.len() * side * side);
        for (out, bias) in self.bias.iter().enumerate() {
            let mut sums = vec![*bias; side * side];
            for (input, tap) in (0..self.inputs).flat_map(|i| (0..kernel * kernel).map(move |tap| (i, tap))) {
                let weight = self.weight[(out * self.inputs + input) * kernel * kernel + tap];
                let (channel, down, across) = (x.channel(input), tap / kernel * dilation, tap % kernel * dilation);
                for (row, sums) in sums.chunks_exact_mut(side).enumerate() {
                    let Some(y) = (row * stride + down).checked_sub(pad).filter(|y| *y < from) else { continue };
                    for (column, sum) in sums.iter_mut().enumerate() {
                        let at = (column * stride + across).checked_sub(pad).filter(|x| *x < from);
                        *sum += at.map_or(0.0, |x| weight * channel[y * from + x]);
                    }
                }
            }
            values.extend(sums);
        }
        Maps { side, values }
    }

    fn linear(&self, x: Vec<f32>) -> Vec<f32> {
        self.apply(&Maps { side: 1, values: x }, 1, 1).values
    }
}

/// The measurer with its weights.
pub(super) struct Reader {
    convolutions: [Layer; 6],
    map: Layer,
    hidden: Layer,
    choice: Layer,
}

fn relu(x: f32) -> f32 {
    x.max(0.0)
}

impl Reader {
    pub(super) fn open(path: &Path) -> Reader {
        let tensors = weights::safetensors::open(path).unwrap();
        let layer = |name: &str| Layer::load(&tensors, name);
        Reader {
            convolutions: ["c1", "c2", "c3", "c4", "c5", "c6"].map(layer),
            map: layer("map"),
            hidden: layer("hidden"),
            choice: layer("choice"),
        }
    }

    /// Scores of the choices, and how sure it is of each thing in each cell.
    fn forward(&self, picture: &Picture) -> (Vec<f32>, Maps) {
        let [c1, c2, c3, c4, c5, c6] = &self.convolutions;
        let x = c2.apply(&c1.apply(&halved(picture), 2, 1).map(relu), 2, 1).map(relu);
        let mut x = c3.apply(&x, 1, 1).map(relu);
        let more = c5.apply(&c4.apply(&x, 1, 1).map(relu), 1, 2).map(relu);
        x.values.iter_mut().zip(&more.values).for_each(|(x, more)| *x += more);
        let wide = c6.apply(&x, 2, 1).map(relu);
        // Of every two rows: the mean of the left half, that of the right half, the largest.
        let mut rows = Vec::new();
        for two in wide.values.chunks_exact(2 * wide.side) {
            let (above, below) = two.split_at(wide.side);
            let half = wide.side / 2;
            for columns in [0..half, half..wide.side] {
                let sum: f32 = above[columns.clone()].iter().chain(&below[columns]).sum();
                rows.push(sum / wide.side as f32);
            }
            rows.push(two.iter().copied().fold(0.0, f32::max));
        }
        let hidden = self.hidden.linear(rows).into_iter().map(relu).collect();
        (self.choice.linear(hidden), self.map.apply(&x, 1, 1).map(|v| 1.0 / (1.0 + (-v).exp())))
    }

    /// The attributes of a picture of 256 x 256.
    pub(super) fn read(&self, picture: &Picture, answers: &Answers) -> Seen {
        let (scores, maps) = self.forward(picture);
        let mut scores = scores.as_slice();
        let mut choices = Vec::new();
        for (_, values) in &answers.choices {
            let (of_this, rest) = scores.split_at(values.len());
            choices.push(values[largest(of_this).0].clone());
            scores = rest;
        }
        let highest = |map: usize| largest(maps.channel(map));
        let mut seen = Seen { choices, body: "none".into(), side: "none".into(), thing: "none".into(), number: 0 };
        let (sky, at) = (SOLID..answers.found.len()).map(|map| (map, highest(map))).reduce(higher).unwrap();
        if at.1 > PEAK {
            let column = (at.0 % maps.side) as f32 + 0.5;
            seen.body = answers.found[sky].clone();
            seen.side = answers.sides[((3.0 * column / maps.side as f32) as usize).min(2)].clone();
        }
        let counted = |map: usize| (map, (peaks(&maps, map), highest(map).1));
        let (thing, (number, _)) = (0..SOLID).map(counted).reduce(stronger).unwrap();
        if number > 0 {
            seen.thing = answers.found[thing].clone();
            seen.number = number.min(3);
        }
        seen
    }
}

fn higher(a: (usize, (usize, f32)), b: (usize, (usize, f32))) -> (usize, (usize, f32)) {
    if b.1.1 > a.1.1 { b } else { a }
}

/// Something seen beats nothing seen; of two that are seen the surer one counts.
fn stronger(a: (usize, (usize, f32)), b: (usize, (usize, f32))) -> (usize, (usize, f32)) {
    let rank = |x: &(usize, (usize, f32))| (x.1.0 > 0, x.1.1);
    if rank(&b) > rank(&a) { b } else { a }
}

/// Half the size, from -1 to 1.
fn halved(picture: &Picture) -> Maps {
    assert_eq!((picture.width as usize, picture.height as usize), (SIDE, SIDE), "the measurer reads one size");
    let side = SIDE / 2;
    let pixel = |x: usize, y: usize, c: usize| f32::from(picture.rgb[3 * (y * SIDE + x) + c]) / 127.5 - 1.0;
    let mean = |x: usize, y: usize, c: usize| {
        (pixel(2 * x, 2 * y, c) + pixel(2 * x + 1, 2 * y, c) + pixel(2 * x, 2 * y + 1, c) + pixel(2 * x + 1, 2 * y + 1, c)) / 4.0
    };
    let places = (0..3 * side * side).map(|i| mean(i % side, i / side % side, i / (side * side)));
    Maps { side, values: places.collect() }
}

/// Place and value of the largest; the first of several.
fn largest(values: &[f32]) -> (usize, f32) {
    values.iter().copied().enumerate().reduce(|a, b| if b.1 > a.1 { b } else { a }).unwrap()
}

/// Cells of a map that are sure, with none higher around them.
fn peaks(maps: &Maps, map: usize) -> usize {
    let (side, values) = (maps.side, maps.channel(map));
    let near = |i: usize| i.saturating_sub(AROUND)..(i + AROUND + 1).min(side);
    let is_peak = |at: usize| {
        let value = values[at];
        value > PEAK && near(at / side).all(|y| near(at % side).all(|x| values[y * side + x] <= value))
    };
    (0..side * side).filter(|at| is_peak(*at)).count()
}
