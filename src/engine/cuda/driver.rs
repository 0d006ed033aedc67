//! The few calls of a GPU's driver that the backend makes, behind a trait, so that everything above it is tested without
//! a GPU. Knows no operation and no buffer.
//!
//! Whatever is sent is done in the order in which it was sent.

use super::element::Element;
use bytemuck::Pod;

/// Threads of every block, as the kernels are written.
pub const THREADS: u32 = 256;
/// Threads of a warp.
pub const LANES: u32 = 32;
/// Blocks that a card takes in the second direction.
const MOST_DOWN: usize = 65_535;

/// Why a call failed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    /// The card has no room. What was there before still is.
    #[error("the GPU's memory is full")]
    Full,
    /// The card takes one program at a time, and another one has it.
    #[error("another program has the GPU for itself")]
    InUse,
    /// Anything else; nothing is known of the card's memory after it.
    #[error("{0}")]
    Other(String),
}

/// Memory of a card.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Memory {
    /// Bytes that nobody holds.
    pub free: u64,
    /// Bytes in all.
    pub total: u64,
}

/// A kernel to be run, with all that it is told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Launch {
    /// Its name in the sources.
    pub kernel: &'static str,
    /// The elements that it is for.
    pub element: Element,
    /// Blocks across and down, of [`THREADS`] each.
    pub blocks: (u32, u32),
    /// Its one argument, a structure of the sources.
    pub args: Vec<u64>,
}

impl Launch {
    /// `blocks` are those across and down; a kernel for nothing has none, and is not run.
    pub(super) fn new(kernel: &'static str, element: Element, blocks: (usize, usize), args: &impl Pod) -> Launch {
        assert!(blocks.1 <= MOST_DOWN, "{kernel}: {} blocks down are more than a card takes", blocks.1);
        let across = u32::try_from(blocks.0).expect("2^32 blocks are 2^40 elements");
        let args = bytemuck::cast_slice(bytemuck::bytes_of(args)).to_vec();
        Launch { kernel, element, blocks: (across, blocks.1 as u32), args }
    }

    /// The name under which the compiled kernel is found.
    pub fn entry(&self) -> String {
        format!("{}_{}", self.kernel, self.element.suffix())
    }
}

/// Products of matrices that a card's own library may do, for each picture one: `dst = x weightᵀ + bias + residual`, added up in f32.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Matmul {
    /// Of `x` and of the weight; a half type.
    pub element: Element,
    /// Of `dst`, bias and residual.
    pub dst: Element,
    /// Products, one picture's after the other's. All have the same weight and bias.
    pub pictures: usize,
    /// Rows of a picture in `x` and `dst`.
    pub rows: usize,
    /// Columns of `dst`, which are rows of the weight.
    pub cols: usize,
    /// Columns of `x` and of the weight.
    pub depth: usize,
    /// Whether there is a bias.
    pub bias: bool,
    /// Whether there is a residual.
    pub residual: bool,
}

/// Where a product's matrices lie, row by row and without gaps; 0 where there is none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MatmulAt {
    /// `[pictures, rows, cols]`
    pub dst: u64,
    /// `[pictures, rows, depth]`
    pub x: u64,
    /// `[cols, depth]`
    pub weight: u64,
    /// `[cols]`
    pub bias: u64,
    /// As `dst`.
    pub residual: u64,
    /// Working memory, as much as [`Driver::matmul_scratch`] says.
    pub scratch: u64,
}

impl MatmulAt {
    /// Where one picture's matrices lie.
    pub(super) fn picture(&self, of: &Matmul, n: usize) -> MatmulAt {
        let moved = |at: u64, cols: usize, element: Element| {
            if at == 0 { 0 } else { at + (n * of.rows * cols * element.size()) as u64 }
        };
        let (dst, residual) = (moved(self.dst, of.cols, of.dst), moved(self.residual, of.cols, of.dst));
        MatmulAt { dst, residual, x: moved(self.x, of.depth, of.element), ..*self }
    }
}

/// A list of launches that the driver keeps, to be sent again by one call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Graph(pub u32);

/// A place in the order of what was sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mark(pub u32);

/// A GPU with one stream of work. Addresses are the card's.
pub trait Driver: Send {
    /// The card in words: "NVIDIA H200".
    fn name(&self) -> String;

    /// What the card has at this moment, whoever holds the rest.
    fn memory(&self) -> Result<Memory, Fault>;

    /// Takes memory, whose content is anything, at a multiple of 256 bytes.
    fn allocate(&mut self, bytes: u64) -> Result<u64, Fault>;

    /// Gives memory back that [`Driver::allocate`] took, once nothing that was sent uses it.
    fn free(&mut self, address: u64);

    /// Makes bytes zero.
    fn clear(&mut self, address: u64, bytes: u64) -> Result<(), Fault>;

    /// Copies to the card. `bytes` are the caller's again when this returns.
    fn upload(&mut self, to: u64, bytes: &[u8]) -> Result<(), Fault>;

    /// Copies to the host, after all that was sent: the only call that waits.
    fn download(&self, from: u64, bytes: &mut [u8]) -> Result<(), Fault>;

    /// Sends a kernel; or, while capturing, notes it.
    fn launch(&mut self, launch: &Launch) -> Result<(), Fault>;

    /// The card's library for products of matrices in words, "cuBLASLt 13.1"; or why there is none and what to do.
    fn library(&self) -> Result<String, String>;

    /// Bytes of working memory of such products; nothing where the library cannot do them, or there is none.
    fn matmul_scratch(&self, of: &Matmul) -> Option<u64>;

    /// Sends products that [`Driver::matmul_scratch`] has an answer for; or, while capturing, notes them.
    fn matmul(&mut self, of: &Matmul, at: &MatmulAt) -> Result<(), Fault>;

    /// From here to [`Driver::end_capture`], launches are noted instead of sent.
    fn begin_capture(&mut self) -> Result<(), Fault>;

    /// Keeps what was noted.
    fn end_capture(&mut self) -> Result<Graph, Fault>;

    /// Sends all launches of a graph.
    fn replay(&mut self, graph: Graph) -> Result<(), Fault>;

    /// Lets a graph go, once nothing that was sent is of it.
    fn forget(&mut self, graph: Graph);

    /// Marks this place in the order.
    fn mark(&mut self) -> Result<Mark, Fault>;

    /// Whether all that was sent before the mark is done. A mark that was passed is gone.
    fn passed(&mut self, mark: Mark) -> Result<bool, Fault>;

    /// Waits until all that was sent is done, whether well or not: before memory and graphs are let go.
    fn settle(&mut self);
}
