//! The engine child as the panel sees it: one task that starts it, talks to it and starts it again. Knows no jobs.

/// The handle.
#[derive(Clone, Debug)]
pub struct EngineClient {}

impl EngineClient {
    /// The handle of a new studio.
    pub(crate) fn new() -> EngineClient {
        EngineClient {}
    }
}
