//! Weights as files have them: names, extents and mapped bytes. Knows containers and names; knows no network
//! and no device.

pub mod folder;
pub mod safetensors;
pub mod single_file;

use crate::{
    EngineError,
    ops::{Backend, Dtype, RawWeight, Weight, WeightKind},
};
use memmap2::Mmap;
use protocol::Problem;
use std::{collections::HashMap, ops::ControlFlow, ops::Range, sync::Arc};

/// The bytes of a weight file.
#[derive(Clone, Debug)]
pub enum Bytes {
    /// A mapped file: read from the disk as it is looked at, and never a copy in memory.
    Mapped(Arc<Mmap>),
    /// Part of the program itself.
    Static(&'static [u8]),
}

impl Bytes {
    /// All of them.
    pub fn all(&self) -> &[u8] {
        match self {
            Bytes::Mapped(map) => map,
            Bytes::Static(bytes) => bytes,
        }
    }
}

/// One tensor of a file.
#[derive(Clone, Debug)]
pub struct Tensor {
    bytes: Bytes,
    range: Range<usize>,
    /// How elements are kept.
    pub dtype: Dtype,
    /// Extent, outermost first.
    pub dims: Vec<usize>,
}

impl Tensor {
    /// The elements as the file has them, little-endian.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes.all()[self.range.clone()]
    }
}

/// The tensors of one network by checkpoint key.
#[derive(Clone, Debug, Default)]
pub struct Tensors {
    by_name: HashMap<String, Tensor>,
}

impl Tensors {
    /// Whether there is such a tensor.
    pub fn contains(&self, name: &str) -> bool {
        self.by_name.contains_key(name)
    }

    /// One tensor.
    pub fn get(&self, name: &str) -> Option<&Tensor> {
        self.by_name.get(name)
    }

    /// All names, in no order.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.by_name.keys().map(String::as_str)
    }

    /// Adds a tensor.
    pub fn insert(&mut self, name: String, tensor: Tensor) {
        self.by_name.insert(name, tensor);
    }

    /// Adds all of `other`.
    pub fn extend(&mut self, other: Tensors) {
        self.by_name.extend(other.by_name);
    }

    /// The tensors that `rename` gives a name, under that name.
    pub fn renamed(&self, rename: impl Fn(&str) -> Option<String>) -> Tensors {
        let by_name = self.by_name.iter().filter_map(|(name, tensor)| Some((rename(name)?, tensor.clone()))).collect();
        Tensors { by_name }
    }

    /// Bytes of all tensors.
    pub fn bytes(&self) -> u64 {
        self.by_name.values().map(|t| t.range.len() as u64).sum()
    }
}

/// Told after each weight how many more bytes were read; breaks the loading off.
pub type OnBytes<'a> = dyn FnMut(u64) -> ControlFlow<()> + 'a;

/// Hands the weights of one network to a device, by name and expected extent.
#[allow(missing_debug_implementations, reason = "holds a device and a closure")]
pub struct Loader<'a> {
    tensors: &'a Tensors,
    backend: &'a mut dyn Backend,
    on_bytes: &'a mut OnBytes<'a>,
}

impl<'a> Loader<'a> {
    /// Loads from `tensors` to `backend`.
    pub fn new(tensors: &'a Tensors, backend: &'a mut dyn Backend, on_bytes: &'a mut OnBytes<'a>) -> Loader<'a> {
        Loader { tensors, backend, on_bytes }
    }

    /// Whether the checkpoint has such a key.
    pub fn has(&self, name: &str) -> bool {
        self.tensors.contains(name)
    }

    /// A weight of exactly that extent. Trailing ones do not count: a linear layer may be kept as a 1 x 1 convolution.
    pub fn weight(&mut self, name: &str, dims: &[usize], kind: WeightKind) -> Result<Weight, EngineError> {
        let tensor = self.tensors.get(name).ok_or_else(|| bad(format!("The model lacks \"{name}\".")))?;
        if trimmed(&tensor.dims) != trimmed(dims) {
            return Err(bad(format!("\"{name}\" is {:?}, and its configuration says {dims:?}.", tensor.dims)));
        }
        let raw = RawWeight { name, dtype: tensor.dtype, dims, bytes: tensor.bytes() };
        let weight = self.backend.weight(raw, kind)?;
        match (self.on_bytes)(tensor.range.len() as u64) {
            ControlFlow::Continue(()) => Ok(weight),
            ControlFlow::Break(()) => Err(EngineError::Cancelled),
        }
    }

    /// The same, or nothing where the checkpoint has no such key.
    pub fn optional(&mut self, name: &str, dims: &[usize], kind: WeightKind) -> Result<Option<Weight>, EngineError> {
        if self.has(name) { self.weight(name, dims, kind).map(Some) } else { Ok(None) }
    }
}

/// Extent without trailing ones.
fn trimmed(dims: &[usize]) -> &[usize] {
    let end = dims.iter().rposition(|&d| d != 1).map_or(1, |i| i + 1);
    &dims[..end.min(dims.len())]
}

/// A model that cannot be loaded.
pub(crate) fn bad(what: impl Into<String>) -> EngineError {
    EngineError::BadModel(Problem::new(what).remedy("Choose another model, or fetch this one again."))
}
