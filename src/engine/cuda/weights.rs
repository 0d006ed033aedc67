//! Weights on the card: each in memory of its own, laid out as the kernels read them. Knows no file and no layer.

use super::element::{Element, of_file};
use crate::ops::{RawWeight, WeightKind};

/// A weight on the card.
#[derive(Clone, Debug)]
pub(super) struct Packed {
    pub(super) address: u64,
    pub(super) bytes: usize,
    pub(super) element: Element,
    pub(super) matrix: bool,
    /// The same in the card's type, for its library.
    pub(super) half: Option<u64>,
}

/// Copies of vectors begin at a multiple of so many bytes.
const ALIGN: usize = 256;

/// A weight on its way to the card.
pub(super) struct Packing<'a> {
    raw: RawWeight<'a>,
    pub(super) element: Element,
    pub(super) matrix: bool,
    /// The type of the copy that follows.
    copy: Option<Element>,
}

impl<'a> Packing<'a> {
    /// Matrices and tables are kept in the card's type; biases and norms, which are small, as f32. A card's `library` adds biases
    /// in the type of what it computes, so vectors are kept in both then.
    pub(super) fn new(raw: RawWeight<'a>, kind: WeightKind, element: Element, library: bool) -> Packing<'a> {
        let matrix = kind != WeightKind::Plain;
        let vector = !matrix && raw.dims.len() < 2;
        let copy = (vector && library && element != Element::F32).then_some(element);
        Packing { raw, element: if vector { Element::F32 } else { element }, matrix, copy }
    }

    fn count(&self) -> usize {
        self.raw.dims.iter().product()
    }

    /// With the copy.
    pub(super) fn bytes(&self) -> usize {
        match (self.copy, self.copy_at()) {
            (Some(element), Some(at)) => at + self.count() * element.size(),
            _ => self.count() * self.element.size(),
        }
    }

    /// Where the copy begins.
    pub(super) fn copy_at(&self) -> Option<usize> {
        self.copy.map(|_| (self.count() * self.element.size()).next_multiple_of(ALIGN))
    }

    /// Hands `send` the bytes as the card keeps them: `[out, taps, in]` for what the file has as `[out, in, taps]`.
    pub(super) fn send<T>(&self, send: impl FnOnce(&[u8]) -> T) -> T {
        let raw = &self.raw;
        let taps = if self.matrix { raw.dims[2..].iter().product() } else { 1 };
        if taps == 1 && self.element.is(raw.dtype) && self.copy.is_none() {
            return send(raw.bytes);
        }
        let count = self.count();
        let depth = if self.matrix { raw.dims[1] } else { count };
        let mut bytes = Vec::with_capacity(self.bytes());
        for row in 0..count / (depth * taps) {
            for tap in 0..taps {
                for k in 0..depth {
                    self.element.push(&mut bytes, of_file(raw.dtype, raw.bytes, (row * depth + k) * taps + tap));
                }
            }
        }
        if let (Some(element), Some(at)) = (self.copy, self.copy_at()) {
            bytes.resize(at, 0);
            (0..count).for_each(|i| element.push(&mut bytes, of_file(raw.dtype, raw.bytes, i)));
        }
        send(&bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ops::Dtype;

    #[test]
    fn taps_come_before_inputs() {
        let values: Vec<f32> = (0..2 * 3 * 9).map(|i| i as f32).collect();
        let raw = RawWeight { name: "w", dtype: Dtype::F32, dims: &[2, 3, 3, 3], bytes: bytemuck::cast_slice(&values) };
        let packing = Packing::new(raw, WeightKind::Matrix, Element::Bf16, true);
        let mut found = vec![0.0; values.len()];
        packing.send(|bytes| Element::Bf16.widen(bytes, &mut found));
        assert_eq!(packing.bytes(), 2 * values.len());
        for (row, tap, k) in (0..54).map(|i| (i / 27, i / 3 % 9, i % 3)) {
            assert_eq!(found[(row * 9 + tap) * 3 + k], values[(row * 3 + k) * 9 + tap]);
        }
    }

    #[test]
    fn what_needs_no_change_is_sent_as_it_lies() {
        let bytes = [0, 60, 1, 60, 2, 60];
        let raw = RawWeight { name: "w", dtype: Dtype::F16, dims: &[3, 1], bytes: &bytes };
        assert!(Packing::new(raw, WeightKind::Matrix, Element::F16, true).send(|sent| std::ptr::eq(sent, &bytes[..])));
    }

    #[test]
    fn vectors_stay_f32_and_tables_do_not() {
        let raw = |dims| RawWeight { name: "w", dtype: Dtype::F32, dims, bytes: &[0; 16] };
        assert_eq!(Packing::new(raw(&[4]), WeightKind::Plain, Element::F16, false).element, Element::F32);
        assert_eq!(Packing::new(raw(&[2, 2]), WeightKind::Plain, Element::F16, false).element, Element::F16);
    }

    #[test]
    fn vectors_have_a_copy_for_a_library() {
        let values = [1.0f32, -2.5, 1.0009];
        let raw = RawWeight { name: "b", dtype: Dtype::F32, dims: &[3], bytes: bytemuck::cast_slice(&values) };
        let packing = Packing::new(raw, WeightKind::Plain, Element::Bf16, true);
        assert_eq!((packing.element, packing.copy_at(), packing.bytes()), (Element::F32, Some(256), 256 + 6));
        let bytes = packing.send(<[u8]>::to_vec);
        let (mut kept, mut copy) = ([0.0; 3], [0.0; 3]);
        Element::F32.widen(&bytes[..12], &mut kept);
        Element::Bf16.widen(&bytes[256..], &mut copy);
        assert_eq!((kept, copy, bytes.len()), (values, [1.0, -2.5, 1.0], packing.bytes()));
        for (element, library) in [(Element::F32, true), (Element::Bf16, false)] {
            let packing = Packing::new(raw, WeightKind::Plain, element, library);
            assert_eq!((packing.copy_at(), packing.bytes()), (None, 12));
        }
    }
}
