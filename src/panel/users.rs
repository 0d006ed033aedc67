//! Who there is: profiles, their roles and colours. Knows no login and no HTTP.

use crate::store::Store;
use serde::Serialize;
use std::{fmt, str::FromStr};

/// A profile's name in paths and in the store: `[a-z0-9_-]{1,32}`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
#[serde(transparent)]
pub struct ProfileId(String);

/// A text that is no [`ProfileId`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a profile's id is 1 to 32 of a-z, 0-9, _ and -")]
pub struct BadProfileId;

impl FromStr for ProfileId {
    type Err = BadProfileId;
    fn from_str(s: &str) -> Result<ProfileId, BadProfileId> {
        let good = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_' || b == b'-';
        if (1..=32).contains(&s.len()) && s.bytes().all(good) { Ok(ProfileId(s.into())) } else { Err(BadProfileId) }
    }
}

impl ProfileId {
    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for ProfileId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// What a profile may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// Makes pictures.
    Artist,
    /// May turn admin mode on.
    Admin,
}

/// A profile.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Profile {
    /// Its id.
    pub id: ProfileId,
    /// Its name, any Unicode.
    pub name: String,
    /// Its role.
    pub role: Role,
    /// Hue of its card, in degrees.
    pub colour: u16,
    /// Whether a PIN is asked.
    pub has_pin: bool,
    /// Whether it has a password for admin mode.
    pub has_password: bool,
    /// Kept, but cannot be picked.
    pub disabled: bool,
    /// "light", "dark" or "auto".
    pub theme: String,
}

/// The profiles in the store.
#[derive(Clone, Debug)]
pub struct Users {
    _store: Store,
}

impl Users {
    /// The profiles of this store.
    pub fn new(store: Store) -> Users {
        Users { _store: store }
    }
}
