//! Where the buffers of a plan lie in one piece of the card's memory. Knows no operation and takes no memory itself.
//!
//! Buffers that live through the run come first, as f32: they are what the host writes and reads, what a sampler adds up
//! step by step, and words and timesteps, which half types would round. The programs' own follow, in the card's type, then
//! working memory as f32.

use super::element::Element;
use crate::{ops::Buf, plan::Plan};

/// Bytes of an f32.
const F32: usize = 4;
/// Working memory begins at a multiple of this.
const ALIGN: usize = 256;

/// The plan of a run in bytes.
#[derive(Clone, Debug)]
pub(super) struct Layout {
    plan: Plan,
    element: Element,
}

impl Layout {
    pub(super) fn new(plan: &Plan, element: Element) -> Layout {
        Layout { plan: plan.clone(), element }
    }

    /// First byte of element `offset` of the plan.
    fn byte(&self, offset: usize) -> usize {
        let kept = self.plan.kept();
        if offset < kept { F32 * offset } else { F32 * kept + self.element.size() * (offset - kept) }
    }

    /// First byte of a buffer or a part of one, and how its elements are kept.
    pub(super) fn place(&self, buf: Buf) -> (usize, Element) {
        let offset = self.plan.offset(buf);
        (self.byte(offset), if offset < self.plan.kept() { Element::F32 } else { self.element })
    }

    /// First byte of the working memory.
    pub(super) fn scratch(&self) -> usize {
        self.byte(self.plan.len()).next_multiple_of(ALIGN)
    }

    /// All of it.
    pub(super) fn bytes(&self) -> usize {
        (self.scratch() + F32 * self.plan.scratch()).max(1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        cpu::CpuBackend,
        ops::{Activate, Activation, Op, Shape},
        plan::Planner,
    };

    #[test]
    fn what_is_kept_is_f32_and_nothing_overlaps() {
        let mut planner = Planner::new();
        let kept = [planner.keep(Shape::vector(5)), planner.keep(Shape::new(2, 1, 1, 20))];
        let mut own = Vec::new();
        planner.program("two", &CpuBackend::new(1), |g| {
            own.extend([g.buffer(Shape::vector(33)), g.buffer(Shape::vector(7))]);
            g.push(Op::Activate(Activate { dst: own[0], x: own[1], act: Activation::None }));
        });
        let layout = Layout::new(&planner.finish(), Element::Bf16);
        assert_eq!(kept.map(|b| layout.place(b)), [(0, Element::F32), (64, Element::F32)]);
        assert_eq!(layout.place(kept[1].pictures(1, 1)), (64 + 80, Element::F32));
        // 16 and 48 elements that are kept, then 48 and 16 of a program.
        assert_eq!(layout.place(own[0]), (256, Element::Bf16));
        assert_eq!(layout.place(own[1]), (256 + 96, Element::Bf16));
        assert_eq!((layout.scratch(), layout.bytes()), (512, 512));
    }
}
