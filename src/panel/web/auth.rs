//! Permission as a type in a handler's signature. Knows no page.

use crate::{error::AppError, users::Profile};
use actix_web::{FromRequest, HttpRequest, dev::Payload};
use std::future::{Ready, ready};

/// A logged-in profile.
#[derive(Clone, Debug)]
pub struct Artist {
    /// Who.
    pub profile: Profile,
}

/// An [`Artist`] in admin mode.
#[derive(Clone, Debug)]
pub struct Admin {
    /// Who.
    pub artist: Artist,
}

/// Past the studio key, perhaps without a profile yet.
#[derive(Clone, Debug)]
pub struct Studio {}

macro_rules! refuse {
    ($($t:ty),*) => {$(
        impl FromRequest for $t {
            type Error = AppError;
            type Future = Ready<Result<Self, AppError>>;
            fn from_request(_: &HttpRequest, _: &mut Payload) -> Self::Future {
                ready(Err(AppError::Unauthorized))
            }
        }
    )*};
}
refuse!(Artist, Admin, Studio);
