//! Kernels as they are run: what `text.rs` makes of PTX. Knows neither text nor how it is run.

use super::arithmetic::Arithmetic;
use std::collections::HashMap;

/// A register, by its number in the kernel.
pub(super) type Register = usize;

/// What a module is made of.
#[derive(Debug, Default)]
pub(super) struct Module {
    pub(super) kernels: HashMap<String, Kernel>,
    /// The bytes of its constants.
    pub(super) constants: Vec<u8>,
}

#[derive(Debug, Default)]
pub(super) struct Kernel {
    /// Bytes of its argument.
    pub(super) args: usize,
    /// Bytes of a block's shared memory.
    pub(super) shared: usize,
    /// Bytes of a thread's own memory.
    pub(super) local: usize,
    pub(super) registers: usize,
    /// Registers that hold a number from the beginning.
    pub(super) numbers: Vec<(Register, u64)>,
    /// Registers that hold where a thread is.
    pub(super) places: Vec<(Register, Place)>,
    pub(super) steps: Vec<Guarded>,
}

/// Where a thread is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Place {
    Thread,
    BlockAcross,
    BlockDown,
}

/// A step that only threads take whose register says so, or not so where it is `negated`.
#[derive(Debug)]
pub(super) struct Guarded {
    pub(super) guard: Option<Guard>,
    pub(super) step: Step,
    /// Where it stands in the text.
    pub(super) line: usize,
}

#[derive(Clone, Copy, Debug)]
pub(super) struct Guard {
    pub(super) register: Register,
    pub(super) negated: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Space {
    Global,
    Shared,
    Local,
    Param,
}

/// A register's number and what is added to it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Address {
    pub(super) register: Register,
    pub(super) offset: i64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Half {
    F16,
    Bf16,
}

#[derive(Clone, Debug)]
pub(super) enum Step {
    Compute {
        run: Arithmetic,
        to: Register,
        from: [Register; 3],
    },
    /// The halves of a register, the lower one first, of so many bits each.
    Split {
        to: [Register; 2],
        from: Register,
        bits: u32,
    },
    /// So many bits of the first, put into the second from bit `at` on.
    Insert {
        to: Register,
        from: [Register; 2],
        at: u32,
        bits: u32,
    },
    Join {
        to: Register,
        from: [Register; 2],
        bits: u32,
    },
    /// Neighbours of so many bytes.
    Load {
        space: Space,
        bytes: usize,
        to: Vec<Register>,
        at: Address,
    },
    Store {
        space: Space,
        bytes: usize,
        from: Vec<Register>,
        at: Address,
    },
    /// To a number of shared memory, by an atomic operation.
    Add {
        to: Register,
        at: Address,
        value: Register,
    },
    Branch(usize),
    Return,
    Barrier,
    /// A warp's barrier.
    Gather,
    /// The other lane's number: whose own differs in these bits.
    ShuffleXor {
        to: Register,
        from: Register,
        bits: Register,
        /// Registers with the last lane and with those that take part.
        among: [Register; 2],
    },
    /// `mma.m16n8k16`, sums in f32.
    Multiply {
        half: Half,
        to: [Register; 4],
        a: [Register; 4],
        b: [Register; 2],
        sums: [Register; 4],
    },
    LoadMatrices {
        to: [Register; 4],
        at: Address,
        turned: bool,
    },
    /// A copy of 16 bytes to shared memory, of which so many come and the others are 0.
    Copy {
        to: Address,
        from: Address,
        bytes: Register,
    },
    EndCopies,
    WaitForCopies {
        left: u64,
    },
}
