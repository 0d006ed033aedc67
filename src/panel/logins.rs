//! Who is logged in, kept in the store. Knows no cookie.

use crate::store::Store;

/// The logins in the store.
#[derive(Clone, Debug)]
pub struct Logins {
    _store: Store,
}

impl Logins {
    /// The logins of this store.
    pub fn new(store: Store) -> Logins {
        Logins { _store: store }
    }
}
