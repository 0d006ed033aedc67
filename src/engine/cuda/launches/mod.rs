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

/// Elements of a half type that are read at a time, 16 bytes, as `platform.cuh` has it.
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

    /// A bias in the type that a card's library adds it in; nothing where there is no copy in it.
    fn vector_of(&self, weight: Weight, element: Element) -> Option<u64> {
        if element == Element::F32 { Some(self.vector(weight)) } else { self.weight(weight).half }
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

    /// A kernel with a thread for each of `count` elements, or chunks of them.
    fn each(&self, kernel: &'static str, count: usize, args: &impl Pod) -> Launch {
        // Kernels number their threads in 32 bits, and those of the last block go beyond the last.
        assert!(count < (u32::MAX - THREADS) as usize, "{kernel}: {count} threads are more than are counted");
        Launch::new(kernel, self.element, (count.div_ceil(THREADS as usize), 1), args)
    }

    /// A kernel of so many blocks.
    fn blocks(&self, kernel: &'static str, blocks: (usize, usize), args: &impl Pod) -> Launch {
        Launch::new(kernel, self.element, blocks, args)
    }
}

/// Elements of a thread: a chunk where all `extents` are whole chunks and all operands begin where one can be read, or one.
fn elements_of_a_thread(extents: &[usize], operands: &[Operand]) -> usize {
    let in_chunks = extents.iter().all(|extent| extent.is_multiple_of(CHUNK)) && operands.iter().all(|x| x.holds_chunks());
    if in_chunks { CHUNK } else { 1 }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_thread_has_a_chunk_where_everything_is_whole_chunks() {
        let at = |address| Operand::new(address, Element::F16);
        assert_eq!(elements_of_a_thread(&[64, 8], &[at(256), at(16)]), CHUNK);
        assert_eq!(elements_of_a_thread(&[64, 12], &[at(256), at(16)]), 1);
        assert_eq!(elements_of_a_thread(&[64, 8], &[at(256), at(24)]), 1);
    }
}
