//! The page of an error outside the API: what happened and where to go. Knows no cause.

use crate::{error::Shown, web::auth::NEEDS_ADMIN_MODE};
use askama::Template;

/// The page.
#[derive(Debug, Template)]
#[template(path = "error.html")]
pub struct ErrorPage<'a> {
    theme: &'static str,
    title: &'a str,
    detail: &'a str,
    id: Option<&'a str>,
    /// Where the one button leads, and its words.
    way: (&'static str, &'static str),
}

impl<'a> ErrorPage<'a> {
    /// The page of an error as it may be shown.
    pub fn new(shown: &'a Shown) -> ErrorPage<'a> {
        let title = match shown.status {
            401 => "Pick your profile first",
            403 => "Not allowed",
            404 => "There is nothing here",
            405 | 421 => "This address does not work",
            503 => "Not possible right now",
            500 => "Something went wrong",
            _ => &shown.title,
        };
        let detail = if shown.status == 404 { "The address is wrong, or what was here is gone." } else { &shown.detail };
        let way = match shown.status {
            401 => ("/", "Pick a profile"),
            403 if shown.detail == NEEDS_ADMIN_MODE => ("/admin", "Turn on admin mode"),
            _ => ("/studio", "To the studio"),
        };
        ErrorPage { theme: "dark", title, detail, id: shown.id.as_deref(), way }
    }
}
