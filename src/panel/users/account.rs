//! What is known of one profile: as the rest of Easel sees it, and as a row of the store with its hashes.
//! Knows no other profile and no store.

use super::{Name, ProfileId, sync};
use crate::secrets::Phc;
use serde::{Deserialize, Serialize};

/// Number of colours that avatars come in.
pub const COLOURS: u8 = 8;

/// What a profile may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// Makes pictures.
    Artist,
    /// May turn admin mode on.
    Admin,
}

impl Role {
    /// As it is written in files and in the store.
    pub fn as_str(self) -> &'static str {
        match self {
            Role::Artist => "artist",
            Role::Admin => "admin",
        }
    }

    /// What is stored. Anything unknown is an artist: it may do least.
    pub fn parse(text: &str) -> Role {
        if text == "admin" { Role::Admin } else { Role::Artist }
    }
}

/// Light or dark.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Theme {
    /// Light on dark.
    #[default]
    Dark,
    /// Dark on light.
    Light,
    /// As the browser's system.
    System,
}

impl Theme {
    /// As pages and the store write it.
    pub fn as_str(self) -> &'static str {
        match self {
            Theme::Dark => "dark",
            Theme::Light => "light",
            Theme::System => "system",
        }
    }

    /// Reads one.
    pub fn parse(text: &str) -> Option<Theme> {
        [Theme::Dark, Theme::Light, Theme::System].into_iter().find(|theme| theme.as_str() == text)
    }
}

/// A profile as the rest of Easel sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Profile {
    /// Its id.
    pub id: ProfileId,
    /// Its name, any Unicode.
    pub name: String,
    /// Its role.
    pub role: Role,
    /// A higher role that waits for an admin's confirmation.
    pub pending: Option<Role>,
    /// Number of its avatar's colour, below [`COLOURS`].
    pub colour: u8,
    /// Whether a PIN is asked.
    pub has_pin: bool,
    /// Whether it has a password for admin mode.
    pub has_password: bool,
    /// Kept, but cannot be picked.
    pub disabled: bool,
    /// Light, dark or as the system.
    pub theme: Theme,
    /// Whether single-letter keys work.
    pub shortcuts: bool,
    /// users.toml named it, now or once.
    pub from_file: bool,
}

/// A profile with its secrets' hashes: a row of the store.
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "the columns are explained in schema.sql")]
pub struct Account {
    pub id: ProfileId,
    pub name: Name,
    pub role: Role,
    pub pending: Option<Role>,
    pub colour: u8,
    pub pin: Option<Phc>,
    pub pin_known: bool,
    pub password: Option<Phc>,
    pub password_known: bool,
    pub from_file: bool,
    pub disabled_by_file: bool,
    pub disabled_by_admin: bool,
    pub theme: Theme,
    pub shortcuts: bool,
    pub created: i64,
}

impl Account {
    pub(super) fn new(id: ProfileId, name: Name, role: Role, colour: u8, created: i64) -> Account {
        Account {
            id,
            name,
            role,
            pending: None,
            colour,
            pin: None,
            pin_known: false,
            password: None,
            password_known: false,
            from_file: false,
            disabled_by_file: false,
            disabled_by_admin: false,
            theme: Theme::default(),
            shortcuts: true,
            created,
        }
    }

    pub(super) fn disabled(&self) -> bool {
        self.disabled_by_admin || self.disabled_by_file
    }

    pub(super) fn profile(&self) -> Profile {
        Profile {
            id: self.id.clone(),
            name: self.name.to_string(),
            role: self.role,
            pending: self.pending,
            colour: self.colour,
            has_pin: self.pin.is_some(),
            has_password: self.password.is_some(),
            disabled: self.disabled(),
            theme: self.theme,
            shortcuts: self.shortcuts,
            from_file: self.from_file,
        }
    }

    pub(super) fn stored(&self) -> sync::Stored {
        sync::Stored {
            id: self.id.clone(),
            name: self.name.clone(),
            role: self.role,
            pending: self.pending,
            from_file: self.from_file,
            disabled_by_file: self.disabled_by_file,
            pin_known: self.pin_known,
            password_known: self.password_known,
        }
    }
}
