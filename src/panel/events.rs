//! The stream of what happens, fanned out to each profile. Knows no HTTP.

/// The handle.
#[derive(Clone, Debug)]
pub struct Events {}

impl Events {
    /// The handle of a new studio.
    pub(crate) fn new() -> Events {
        Events {}
    }
}
