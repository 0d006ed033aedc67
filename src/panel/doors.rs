//! The rules of the front door: the studio key, the keyless case, the origins. Knows no page.

use crate::config::Config;

/// The front door.
#[derive(Clone, Debug)]
pub struct Doors {}

impl Doors {
    /// The door that this configuration describes.
    pub fn new(_config: &Config) -> Doors {
        Doors {}
    }
}
