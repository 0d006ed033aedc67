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
}

/// A weight on its way to the card.
pub(super) struct Packing<'a> {
    raw: RawWeight<'a>,
    pub(super) element: Element,
    pub(super) matrix: bool,
}

impl<'a> Packing<'a> {
    /// Matrices and tables are kept in the card's type; biases and norms, which are small, as f32.
    pub(super) fn new(raw: RawWeight<'a>, kind: WeightKind, element: Element) -> Packing<'a> {
        let matrix = kind != WeightKind::Plain;
        let vector = !matrix && raw.dims.len() < 2;
        Packing { raw, element: if vector { Element::F32 } else { element }, matrix }
    }

    pub(super) fn bytes(&self) -> usize {
        self.raw.dims.iter().product::<usize>() * self.element.size()
    }

    /// Hands `send` the bytes as the card keeps them: `[out, taps, in]` for what the file has as `[out, in, taps]`.
    pub(super) fn send<T>(&self, send: impl FnOnce(&[u8]) -> T) -> T {
        let raw = &self.raw;
        let taps = if self.matrix { raw.dims[2..].iter().product() } else { 1 };
        if taps == 1 && self.element.is(raw.dtype) {
            return send(raw.bytes);
        }
        let count = raw.dims.iter().product::<usize>();
        let depth = if self.matrix { raw.dims[1] } else { count };
        let mut bytes = Vec::with_capacity(count * self.element.size());
        for row in 0..count / (depth * taps) {
            for tap in 0..taps {
                for k in 0..depth {
                    self.element.push(&mut bytes, of_file(raw.dtype, raw.bytes, (row * depth + k) * taps + tap));
                }
            }
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
        let packing = Packing::new(raw, WeightKind::Matrix, Element::Bf16);
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
        assert!(Packing::new(raw, WeightKind::Matrix, Element::F16).send(|sent| std::ptr::eq(sent, &bytes[..])));
    }

    #[test]
    fn vectors_stay_f32_and_tables_do_not() {
        let raw = |dims| RawWeight { name: "w", dtype: Dtype::F32, dims, bytes: &[0; 16] };
        assert_eq!(Packing::new(raw(&[4]), WeightKind::Plain, Element::F16).element, Element::F32);
        assert_eq!(Packing::new(raw(&[2, 2]), WeightKind::Plain, Element::F16).element, Element::F16);
    }
}
