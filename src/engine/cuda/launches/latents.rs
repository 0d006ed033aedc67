//! Operations with a block for each picture. Knows no other operation.

use super::{Places, args};
use crate::cuda::driver::Launch;
use crate::ops::{Guide, Threshold};

pub(in super::super) fn guide(places: &Places<'_>, op: &Guide) -> Launch {
    let [dst, without, with, params] = [op.dst, op.without, op.with, op.params].map(|b| places.operand(b));
    let picture = op.dst.shape.picture() as u64;
    places.blocks("guide", (op.dst.shape.n, 1), &args::Guide { dst, without, with, params, picture })
}

pub(in super::super) fn threshold(places: &Places<'_>, op: &Threshold) -> Launch {
    let [dst, x, params] = [op.dst, op.x, op.params].map(|b| places.operand(b));
    let picture = op.dst.shape.picture() as u64;
    places.blocks("threshold", (op.dst.shape.n, 1), &args::Threshold { dst, x, params, picture })
}
