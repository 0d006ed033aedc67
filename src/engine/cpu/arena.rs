//! The one block of memory in which a plan's buffers lie. Knows no operation.
//!
//! Unsafe only for handing out one writable and several readable parts at once, after checking that they are
//! apart.
#![allow(unsafe_code)]

use crate::ops::Buf;
use crate::plan::Plan;
use bytemuck::{Pod, Zeroable};

/// A cache line, so that the block is aligned to one.
#[derive(Clone, Copy, Zeroable, Pod)]
#[repr(C, align(64))]
struct Line([f32; 16]);

/// Buffers and working memory of a plan.
#[derive(Default)]
pub(super) struct Arena {
    lines: Vec<Line>,
    plan: Option<Plan>,
}

impl Arena {
    /// Memory for `plan`, all zeros.
    pub(super) fn new(plan: &Plan) -> Result<Arena, std::collections::TryReserveError> {
        let count = (plan.len() + plan.scratch()).div_ceil(16);
        let mut lines = Vec::new();
        lines.try_reserve_exact(count)?;
        lines.resize(count, Line([0.0; 16]));
        Ok(Arena { lines, plan: Some(plan.clone()) })
    }

    fn plan(&self) -> &Plan {
        self.plan.as_ref().expect("operations run on a reserved plan")
    }

    fn all(&self) -> &[f32] {
        bytemuck::cast_slice(&self.lines)
    }

    fn all_mut(&mut self) -> &mut [f32] {
        bytemuck::cast_slice_mut(&mut self.lines)
    }

    /// The elements of a buffer.
    pub(super) fn get(&self, buf: Buf) -> &[f32] {
        let start = self.plan().offset(buf);
        &self.all()[start..start + buf.len()]
    }

    /// The elements of a buffer, writable.
    pub(super) fn get_mut(&mut self, buf: Buf) -> &mut [f32] {
        let start = self.plan().offset(buf);
        &mut self.all_mut()[start..start + buf.len()]
    }

    /// `dst` writable, `sources` readable, and the working memory writable.
    ///
    /// # Panics
    /// When `dst` overlaps a source: the plan keeps buffers of one operation apart, so the operation itself is wrong.
    pub(super) fn views<const N: usize>(&mut self, dst: Buf, sources: [Buf; N]) -> (&mut [f32], [&[f32]; N], &mut [f32]) {
        let plan = self.plan();
        let (len, scratch) = (plan.len(), plan.scratch());
        let range = |buf: Buf| {
            let start = plan.offset(buf);
            start..start + buf.len()
        };
        let (to, from) = (range(dst), sources.map(range));
        assert!(to.end <= len, "a buffer lies in the plan");
        for r in &from {
            assert!(r.end <= len, "a buffer lies in the plan");
            assert!(r.end <= to.start || to.end <= r.start || r.is_empty(), "an operation's result overlaps its operand");
        }
        let base = self.all_mut().as_mut_ptr();
        // SAFETY: all ranges lie in the block (checked above; the working memory follows the `len` elements of the
        // buffers). The writable ranges, `to` and the working memory, overlap each other and the readable ones nowhere.
        // All of them borrow `self` mutably for as long as they live.
        unsafe {
            (
                std::slice::from_raw_parts_mut(base.add(to.start), to.len()),
                from.map(|r| std::slice::from_raw_parts(base.add(r.start), r.len())),
                std::slice::from_raw_parts_mut(base.add(len), scratch),
            )
        }
    }
}
