//! The pages behind the doors: one file each, page struct and handler together. Knows no rule of the doors
//! and no SQL.

pub mod admin;
pub mod assets;
pub mod datasets;
pub mod debug;
pub mod error;
pub mod gallery;
pub mod picture;
pub mod profile;
pub mod shell;
pub mod studio;
pub mod tools;
mod words;

use crate::error::AppError;
use actix_web::{HttpResponse, http::StatusCode, http::header};
use askama::Template;
use serde::Serialize;

/// A page as an answer. Never kept by a browser: it shows one profile's own things.
pub fn html(page: &impl Template) -> Result<HttpResponse, AppError> {
    html_with(StatusCode::OK, page)
}

/// The same, with a status.
pub fn html_with(status: StatusCode, page: &impl Template) -> Result<HttpResponse, AppError> {
    let text = page.render().map_err(|e| AppError::Internal(e.into()))?;
    Ok(HttpResponse::build(status)
        .insert_header((header::CONTENT_TYPE, "text/html; charset=utf-8"))
        .insert_header((header::CACHE_CONTROL, "no-store"))
        .body(text))
}

/// JSON for a `<script type="application/json">`: no byte of it can end the element.
fn embedded(value: &impl Serialize) -> String {
    let json = serde_json::to_string(value).expect("strings and numbers are JSON");
    json.replace('<', "\\u003c").replace('\u{2028}', "\\u2028").replace('\u{2029}', "\\u2029")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_prompt_cannot_end_its_script_element() {
        let text = embedded(&["</script><script>alert(1)</script>", "<!--"]);
        assert!(!text.contains('<'), "{text}");
        let back: Vec<String> = serde_json::from_str(&text).unwrap();
        assert_eq!(back[0], "</script><script>alert(1)</script>");
    }
}
