//! Finished pictures on disk and in the store. Knows no HTTP.

/// The handle.
#[derive(Clone, Debug)]
pub struct Artifacts {}

impl Artifacts {
    /// The handle of a new studio.
    pub(crate) fn new() -> Artifacts {
        Artifacts {}
    }
}
