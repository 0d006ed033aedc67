//! Errors on their way out: JSON under `/api`, a page elsewhere. Knows no handler.

use super::pages::error::ErrorPage;
use crate::error::{AppError, Shown, problem};
use actix_web::{
    HttpResponse,
    body::BoxBody,
    dev::{ServiceRequest, ServiceResponse},
    http::header,
};
use askama::Template as _;

/// Whether a request's problem is answered as JSON.
pub(super) fn is_for_a_script(request: &ServiceRequest) -> bool {
    request.path().starts_with("/api/") || wants_json(request.headers())
}

/// Turns a problem into a page for people; a script keeps its JSON.
pub(super) fn page_of_error(response: ServiceResponse<BoxBody>, script: bool) -> ServiceResponse<BoxBody> {
    if script {
        return response;
    }
    let Some(shown) = response.response().extensions().get::<Shown>().cloned() else { return response };
    // Nobody is logged in: the door knows whether the key or a profile comes first.
    if shown.status == 401 {
        let door = HttpResponse::SeeOther().insert_header((header::LOCATION, "/")).finish();
        return response.into_response(door);
    }
    let status = response.status();
    let page = HttpResponse::build(status)
        .insert_header((header::CONTENT_TYPE, "text/html; charset=utf-8"))
        .insert_header((header::CACHE_CONTROL, "no-store"))
        .body(page(&shown));
    response.into_response(page)
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
