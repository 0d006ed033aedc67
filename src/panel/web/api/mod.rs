//! The JSON API, one file a resource. Knows no pages.

pub mod health;
