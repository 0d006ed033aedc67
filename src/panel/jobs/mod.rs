//! The queue and its jobs. Knows no HTTP.

/// The handle.
#[derive(Clone, Debug)]
pub struct Jobs {}

impl Jobs {
    /// The jobs of a new studio.
    pub(crate) fn new() -> Jobs {
        Jobs {}
    }
}
