//! Errors on their way out: JSON under `/api`, a page elsewhere. Knows no handler.

use super::pages::error::ErrorPage;
use crate::error::{AppError, Shown, problem};
use actix_web::{
    Error, HttpResponse,
    body::{BoxBody, MessageBody},
    dev::{ServiceRequest, ServiceResponse},
    http::header,
    middleware::Next,
};
use askama::Template as _;

/// Middleware: turns the problem of a request outside `/api` into a page.
pub async fn pages_of_errors(
    request: ServiceRequest,
    next: Next<impl MessageBody + 'static>,
) -> Result<ServiceResponse<BoxBody>, Error> {
    let api = request.path().starts_with("/api/") || wants_json(request.headers());
    let response = next.call(request).await?.map_into_boxed_body();
    let shown = response.response().extensions().get::<Shown>().cloned();
    Ok(match shown {
        // Nobody is logged in: the door knows whether the key or a profile comes first.
        Some(shown) if !api && shown.status == 401 => {
            let door = HttpResponse::SeeOther().insert_header((header::LOCATION, "/")).finish();
            response.into_response(door)
        }
        Some(shown) if !api => {
            let status = response.status();
            let page = HttpResponse::build(status)
                .insert_header((header::CONTENT_TYPE, "text/html; charset=utf-8"))
                .insert_header((header::CACHE_CONTROL, "no-store"))
                .body(page(&shown));
            response.into_response(page)
        }
        _ => response,
    })
}

/// Whether the caller is a script that reads JSON.
pub(super) fn wants_json(headers: &header::HeaderMap) -> bool {
    let accepts = |value: &header::HeaderValue| value.to_str().is_ok_and(|text| text.contains("application/json"));
    headers.get(header::ACCEPT).is_some_and(accepts)
}

/// The error page; plain words where even that cannot be made.
fn page(shown: &Shown) -> String {
    ErrorPage::new(shown).render().unwrap_or_else(|_| shown.status.to_string())
}

/// A query that cannot be read.
pub(super) fn bad_query(e: &actix_web::error::QueryPayloadError) -> AppError {
    AppError::field("query", format!("{e}."))
}

/// A path that nothing is at.
pub(super) async fn nothing_here() -> Result<HttpResponse, AppError> {
    Err(AppError::NotFound)
}

/// A path that has other methods.
pub(super) async fn wrong_method() -> HttpResponse {
    problem(Shown {
        status: 405,
        title: "Method Not Allowed".into(),
        detail: "This address does not take that method.".into(),
        errors: Vec::new(),
        id: None,
    })
}
