//! Attention and the layout of its keys and values. Knows no other operation.

use super::{Places, args, small};
use crate::cuda::driver::Launch;
use crate::ops::{Attention, PackKv, Shape};

/// Queries of a block, as `attention.cu` has them.
const SPAN: usize = 32;

/// Largest size of a head → the kernel that takes it.
const KERNELS: [(usize, &str); 5] =
    [(32, "attention_32"), (64, "attention_64"), (96, "attention_96"), (160, "attention_160"), (512, "attention_512")];

pub(in super::super) fn packed_kv_len(kv: Shape) -> usize {
    2 * kv.len()
}

pub(in super::super) fn pack_kv(places: &Places<'_>, op: &PackKv) -> Launch {
    let Shape { w: tokens, c, .. } = op.k.shape;
    let args = args::PackKv {
        dst: places.operand(op.dst),
        k: places.operand(op.k),
        v: places.operand(op.v),
        count: op.k.len() as u64,
        tokens: small(tokens),
        heads: small(op.heads),
        size: small(c / op.heads),
        unused: 0,
    };
    places.each("pack_kv", op.k.len(), &args)
}

pub(in super::super) fn attention(places: &Places<'_>, op: &Attention) -> Launch {
    let Shape { n, w: queries, c, .. } = op.q.shape;
    let size = c / op.heads;
    let found = KERNELS.iter().find(|(most, _)| size <= *most);
    let (_, kernel) = found.unwrap_or_else(|| panic!("heads of {size} elements are larger than any kernel takes"));
    let args = args::Attention {
        dst: places.operand(op.dst),
        q: places.operand(op.q),
        kv: places.operand(op.kv),
        values: (n * op.tokens * c) as u64,
        queries: small(queries),
        tokens: small(op.tokens),
        heads: small(op.heads),
        size: small(size),
        scale: 1.0 / (size as f32).sqrt(),
        causal: u32::from(op.causal),
    };
    places.blocks(kernel, (queries.div_ceil(SPAN), n * op.heads), &args)
}
