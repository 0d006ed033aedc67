//! Who may pass a gate. Asked again on each request, and a few times a second for connections that last. Knows no
//! HTTP and no ticket.

use crate::logins::Logins;
use crate::secrets::Fingerprint;
use crate::users::{ProfileId, Role, Users};

/// Whom a gate admits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Admits {
    /// Everybody who is logged in.
    Everyone,
    /// One profile.
    Only(ProfileId),
    /// Admins while their login is in admin mode, at an address that nobody between can read.
    Admins,
}

/// A person at a gate: a profile by one of its browsers' logins.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Visitor {
    /// Who.
    pub profile: ProfileId,
    /// The login that the ticket was asked with. With it ends all that came of it.
    pub login: Fingerprint,
}

/// Where it is looked up.
#[derive(Clone, Debug)]
pub(super) struct Book {
    pub(super) users: Users,
    pub(super) logins: Logins,
}

impl Book {
    /// Whether this person may pass now. `private` says that nobody between browser and gate can read along.
    pub(super) fn admits(&self, admits: &Admits, visitor: &Visitor, private: bool) -> bool {
        if !self.logins.is_alive(&visitor.login) {
            return false;
        }
        let Some(profile) = self.users.enabled(&visitor.profile) else { return false };
        match admits {
            Admits::Everyone => true,
            Admits::Only(one) => *one == profile.id,
            Admits::Admins => private && profile.role == Role::Admin && self.logins.is_admin(&visitor.login),
        }
    }
}
