//! Pictures that artists brought, in pieces or whole. Knows no HTTP.

/// The handle.
#[derive(Clone, Debug)]
pub struct Uploads {}

impl Uploads {
    /// The handle of a new studio.
    pub(crate) fn new() -> Uploads {
        Uploads {}
    }
}
