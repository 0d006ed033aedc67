//! Operations as launches of kernels: which, how many blocks, and what they are told. Pure; sends nothing.

pub(super) mod args;
pub(super) mod attention;
pub(super) mod elementwise;
pub(super) mod latents;
pub(super) mod norm;
pub(super) mod product;

use super::{
    driver::{Launch, THREADS},
    element::Element,
    pool::Layout,
    weights::Packed,
};
use crate::ops::{Activation, Buf, Weight};
use args::Operand;
use bytemuck::Pod;

/// Elements of a half type that are read at a time on the way to tensor cores, as `platform.cuh` has it.
const CHUNK: usize = 8;

/// Where everything lies that an operation names.
pub(super) struct Places<'a> {
    pub(super) element: Element,
    pub(super) layout: &'a Layout,
    /// Address of the plan's memory.
    pub(super) base: u64,
    pub(super) weights: &'a [Packed],
}

impl Places<'_> {
    fn operand(&self, buf: Buf) -> Operand {
        let (byte, element) = self.layout.place(buf);
        Operand::new(self.base + byte as u64, element)
    }

    /// The operand, or none.
    fn maybe(&self, buf: Option<Buf>) -> Operand {
        buf.map_or(Operand::default(), |buf| self.operand(buf))
    }

    fn scratch(&self) -> u64 {
        self.base + self.layout.scratch() as u64
    }

    fn weight(&self, weight: Weight) -> &Packed {
        &self.weights[weight.0 as usize]
    }

    fn matrix(&self, weight: Weight) -> u64 {
        let packed = self.weight(weight);
        assert!(packed.matrix, "a plain weight where a matrix belongs");
        packed.address
    }

    /// A bias, or a norm's scale.
    fn vector(&self, weight: Weight) -> u64 {
        let packed = self.weight(weight);
        assert!(!packed.matrix && packed.element == Element::F32, "a matrix where a vector belongs");
        packed.address
    }

    fn maybe_vector(&self, weight: Option<Weight>) -> u64 {
        weight.map_or(0, |weight| self.vector(weight))
    }

    /// What is looked up row by row.
    fn table(&self, weight: Weight) -> Operand {
        let packed = self.weight(weight);
        assert!(!packed.matrix, "a matrix where a table belongs");
        Operand::new(packed.address, packed.element)
    }

    /// A kernel with a thread for each of `count` elements.
    fn each(&self, kernel: &'static str, count: usize, args: &impl Pod) -> Launch {
        Launch::new(kernel, self.element, (count.div_ceil(THREADS as usize), 1), args)
    }

    /// A kernel of so many blocks.
    fn blocks(&self, kernel: &'static str, blocks: (usize, usize), args: &impl Pod) -> Launch {
        Launch::new(kernel, self.element, blocks, args)
    }
}

/// A whole number as kernels get it.
fn small(value: usize) -> u32 {
    u32::try_from(value).expect("an extent is far below 2^32")
}

/// An activation as `element.cuh` numbers it.
fn activation(act: Activation) -> u32 {
    match act {
        Activation::None => 0,
        Activation::Silu => 1,
        Activation::Gelu => 2,
        Activation::QuickGelu => 3,
        Activation::Geglu => 4,
    }
}
