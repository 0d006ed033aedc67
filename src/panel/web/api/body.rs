//! Bodies of requests, read to a limit and parsed with words for a person. Knows no resource.

use crate::error::AppError;
use actix_multipart::Multipart;
use actix_web::{HttpRequest, http::header, web::Payload};
use futures_util::StreamExt;
use protocol::{Draft, FieldProblem};
use serde::de::DeserializeOwned;

/// Largest JSON body, in bytes.
pub(super) const MAX_JSON: usize = 512 << 10;

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

/// The fields of a form by name. Each may come once, and is at most as long as `allowed` says: a form is held in memory.
pub(super) async fn form(
    request: &HttpRequest,
    payload: Payload,
    allowed: &[(&str, usize)],
) -> Result<Vec<(String, Vec<u8>)>, AppError> {
    let mut form = Multipart::new(request.headers(), payload);
    let mut fields: Vec<(String, Vec<u8>)> = Vec::new();
    while let Some(field) = form.next().await {
        let mut field = field.map_err(|e| broken(&e))?;
        let name = field.name().unwrap_or_default().to_owned();
        let Some((_, limit)) = allowed.iter().find(|(known, _)| *known == name) else {
            let names: Vec<_> = allowed.iter().map(|(known, _)| *known).collect();
            return Err(AppError::field(&name, format!("The form's fields are {}.", names.join(", "))));
        };
        if fields.iter().any(|(known, _)| *known == name) {
            return Err(AppError::field(&name, "It came twice. Send it once."));
        }
        let mut value = Vec::new();
        while let Some(chunk) = field.next().await {
            let chunk = chunk.map_err(|e| broken(&e))?;
            if value.len() + chunk.len() > *limit {
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
    use actix_web::{FromRequest as _, test::TestRequest};

    /// What is made of a form with these fields, of which `recipe` may have 10 bytes and `image` 1,000.
    async fn sent(fields: &[(&str, usize)]) -> Result<Vec<(String, Vec<u8>)>, AppError> {
        let part = |(name, length): &(&str, usize)| {
            format!("--x\r\nContent-Disposition: form-data; name=\"{name}\"\r\n\r\n{}\r\n", "a".repeat(*length))
        };
        let body = fields.iter().map(part).collect::<String>() + "--x--\r\n";
        let request = TestRequest::post().insert_header((header::CONTENT_TYPE, "multipart/form-data; boundary=x"));
        let (request, mut payload) = request.set_payload(body).to_http_parts();
        let payload = Payload::from_request(&request, &mut payload).await.unwrap();
        form(&request, payload, &[("recipe", 10), ("image", 1_000)]).await
    }

    #[actix_web::test]
    async fn a_form_takes_each_field_once_and_to_its_own_limit() {
        let names =
            |fields: Vec<(String, Vec<u8>)>| fields.into_iter().map(|(name, value)| (name, value.len())).collect::<Vec<_>>();
        let good = sent(&[("image", 1_000), ("recipe", 10)]).await.unwrap();
        assert_eq!(names(good), [("image".to_owned(), 1_000), ("recipe".to_owned(), 10)]);
        for (fields, field) in [(&[("image", 1), ("image", 1)][..], "image"), (&[("mask", 1)][..], "mask")] {
            let Err(AppError::Invalid(problems)) = sent(fields).await else { panic!("{field} was taken") };
            assert_eq!(problems[0].field, field);
        }
        for over in [("recipe", 11), ("image", 1_001)] {
            assert!(matches!(sent(&[over]).await, Err(AppError::TooLarge(_))), "{over:?}");
        }
    }

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
