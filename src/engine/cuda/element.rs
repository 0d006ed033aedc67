//! How elements are kept on the card, and their way there and back. Knows no operation.

use crate::ops::Dtype;
use half::{bf16, f16};
use std::str::FromStr;

/// The type of a program's own buffers and of matrices. What the host writes and reads is kept as f32 beside them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Element {
    /// IEEE single.
    F32,
    /// IEEE half.
    F16,
    /// The upper half of an IEEE single.
    Bf16,
}

impl FromStr for Element {
    type Err = String;

    fn from_str(text: &str) -> Result<Element, String> {
        let all = [Element::F32, Element::F16, Element::Bf16];
        all.into_iter().find(|e| e.suffix() == text).ok_or_else(|| format!("\"{text}\" is not f32, f16 or bf16"))
    }
}

impl Element {
    /// Bytes of an element.
    pub const fn size(self) -> usize {
        match self {
            Element::F32 => 4,
            Element::F16 | Element::Bf16 => 2,
        }
    }

    /// End of the names of the kernels that are compiled for it.
    pub const fn suffix(self) -> &'static str {
        match self {
            Element::F32 => "f32",
            Element::F16 => "f16",
            Element::Bf16 => "bf16",
        }
    }

    /// Whether a file keeps its elements so.
    pub(super) fn is(self, dtype: Dtype) -> bool {
        matches!((self, dtype), (Element::F32, Dtype::F32) | (Element::F16, Dtype::F16) | (Element::Bf16, Dtype::Bf16))
    }

    /// Appends `x`, rounded to the nearest.
    pub(super) fn push(self, to: &mut Vec<u8>, x: f32) {
        match self {
            Element::F32 => to.extend_from_slice(&x.to_le_bytes()),
            Element::F16 => to.extend_from_slice(&f16::from_f32(x).to_le_bytes()),
            Element::Bf16 => to.extend_from_slice(&bf16::from_f32(x).to_le_bytes()),
        }
    }

    /// `values` as the card keeps them.
    pub(super) fn narrowed(self, values: &[f32]) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(values.len() * self.size());
        values.iter().for_each(|x| self.push(&mut bytes, *x));
        bytes
    }

    /// `bytes` of the card as f32.
    pub(super) fn widen(self, bytes: &[u8], values: &mut [f32]) {
        let pairs = || bytes.as_chunks::<2>().0;
        match self {
            Element::F32 => values.iter_mut().zip(bytes.as_chunks::<4>().0).for_each(|(to, b)| *to = f32::from_le_bytes(*b)),
            Element::F16 => values.iter_mut().zip(pairs()).for_each(|(to, b)| *to = f16::from_le_bytes(*b).to_f32()),
            Element::Bf16 => values.iter_mut().zip(pairs()).for_each(|(to, b)| *to = bf16::from_le_bytes(*b).to_f32()),
        }
    }
}

/// Element `i` of a weight as its file has it.
pub(super) fn of_file(dtype: Dtype, bytes: &[u8], i: usize) -> f32 {
    let b = &bytes[i * dtype.size()..][..dtype.size()];
    match dtype {
        Dtype::F32 => f32::from_le_bytes([b[0], b[1], b[2], b[3]]),
        Dtype::F16 => f16::from_le_bytes([b[0], b[1]]).to_f32(),
        Dtype::Bf16 => bf16::from_le_bytes([b[0], b[1]]).to_f32(),
    }
}
