//! Bodies of requests, read to a limit and parsed with words for a person. Knows no resource.

use crate::error::AppError;
use actix_multipart::Multipart;
use actix_web::{HttpRequest, http::header, web::Payload};
use futures_util::StreamExt;
use protocol::{Draft, FieldProblem};
use serde::de::DeserializeOwned;

/// Largest JSON body, in bytes.
pub(super) const MAX_JSON: usize = 512 << 10;
/// Most fields of a form.
const MAX_FIELDS: usize = 16;

/// The whole body, of at most `limit` bytes.
pub(super) async fn bytes(mut payload: Payload, limit: usize) -> Result<Vec<u8>, AppError> {
    let mut body = Vec::new();
    while let Some(chunk) = payload.next().await {
        let chunk = chunk.map_err(|e| broken(&e))?;
        if body.len() + chunk.len() > limit {
            return Err(AppError::TooLarge(format!("The request is over the limit of {limit} bytes.")));
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body)
}

/// A request that ended early or is not what its headers say.
fn broken(e: &dyn std::fmt::Display) -> AppError {
    AppError::field("body", format!("The request cannot be read: {e}."))
}

/// JSON of a type, or what is wrong with it.
pub(super) fn parse<T: DeserializeOwned>(body: &[u8]) -> Result<T, AppError> {
    serde_json::from_slice(body).map_err(|e| in_words(&e))
}

fn in_words(e: &serde_json::Error) -> AppError {
    let words = e.to_string();
    let named = words.split('`').nth(1).filter(|_| words.starts_with("unknown field") || words.starts_with("missing field"));
    AppError::field(named.unwrap_or("body"), format!("{words}."))
}

/// A draft, with every field that cannot be read named.
pub(super) fn draft(body: &[u8]) -> Result<Draft, AppError> {
    let fields: serde_json::Map<String, serde_json::Value> = parse(body)?;
    let problem = |(name, value): (&String, &serde_json::Value)| {
        let alone = serde_json::Map::from_iter([(name.clone(), value.clone())]);
        let e = serde_json::from_value::<Draft>(alone.into()).err()?;
        Some(FieldProblem { field: name.clone(), message: format!("{e}.") })
    };
    let mut problems: Vec<FieldProblem> = fields.iter().filter_map(problem).collect();
    problems.sort_by(|a, b| a.field.cmp(&b.field));
    if problems.is_empty() { parse(body) } else { Err(AppError::Invalid(problems)) }
}

/// Where a piece of an upload begins.
pub(super) fn upload_offset(request: &HttpRequest) -> Result<u64, AppError> {
    let offset = request.headers().get("upload-offset").and_then(|v| v.to_str().ok()).and_then(|v| v.parse().ok());
    offset.ok_or_else(|| AppError::field("Upload-Offset", "It is the offset of the piece's first byte."))
}

/// Whether the body is a form with files.
pub(super) fn is_form(request: &HttpRequest) -> bool {
    let kind = request.headers().get(header::CONTENT_TYPE).and_then(|v| v.to_str().ok()).unwrap_or_default();
    kind.trim_start().to_ascii_lowercase().starts_with("multipart/form-data")
}

/// The fields of a form by name. Each is at most `limit` bytes; only `allowed` names may come.
pub(super) async fn form(
    request: &HttpRequest,
    payload: Payload,
    allowed: &[&str],
    limit: usize,
) -> Result<Vec<(String, Vec<u8>)>, AppError> {
    let mut form = Multipart::new(request.headers(), payload);
    let mut fields = Vec::new();
    while let Some(field) = form.next().await {
        let mut field = field.map_err(|e| broken(&e))?;
        let name = field.name().unwrap_or_default().to_owned();
        if !allowed.contains(&name.as_str()) || fields.len() == MAX_FIELDS {
            return Err(AppError::field(&name, format!("The form's fields are {}.", allowed.join(", "))));
        }
        let mut value = Vec::new();
        while let Some(chunk) = field.next().await {
            let chunk = chunk.map_err(|e| broken(&e))?;
            if value.len() + chunk.len() > limit {
                return Err(AppError::TooLarge(format!("\"{name}\" is over the limit of {limit} bytes.")));
            }
            value.extend_from_slice(&chunk);
        }
        fields.push((name, value));
    }
    Ok(fields)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_field_that_cannot_be_read_is_named() {
        let Err(AppError::Invalid(problems)) = draft(br#"{"steps": "many", "colour": 1, "prompt": "x"}"#) else {
            panic!("taken")
        };
        let names: Vec<_> = problems.iter().map(|p| p.field.as_str()).collect();
        assert_eq!(names, ["colour", "steps"]);
        assert!(problems[0].message.contains("expected one of"), "{}", problems[0].message);
    }

    #[test]
    fn a_draft_that_is_no_object_is_refused() {
        for body in ["", "[]", "null", "{\"a\":", "\u{0}"] {
            assert!(matches!(draft(body.as_bytes()), Err(AppError::Invalid(_))), "{body:?}");
        }
    }
}
