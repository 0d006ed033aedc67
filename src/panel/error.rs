//! What a request can end with instead of its answer: one enum, one JSON problem shape (RFC 9457) and one
//! page. Knows no handler.

use crate::store::StoreError;
use actix_web::{HttpResponse, ResponseError, http::StatusCode, http::header};
use protocol::FieldProblem;
use serde::Serialize;
use std::io;

/// Why a request is not answered as asked.
#[derive(Debug, thiserror::Error)]
pub enum AppError {
    /// It does not exist, or is somebody else's, which looks the same.
    #[error("There is nothing here.")]
    NotFound,
    /// Known, but not allowed; says why.
    #[error("{0}")]
    Forbidden(String),
    /// Nobody is logged in.
    #[error("Pick your profile first.")]
    Unauthorized,
    /// Fields that cannot be taken, each with what can.
    #[error("Some fields cannot be taken.")]
    Invalid(Vec<FieldProblem>),
    /// It clashes with what is there; says how.
    #[error("{0}")]
    Conflict(String),
    /// Over a limit; names it.
    #[error("{0}")]
    TooLarge(String),
    /// Asked too often; says so, and how many seconds to wait.
    #[error("{0}")]
    TooMany(String, u64),
    /// Cannot be done now; says when or what helps.
    #[error("{0}")]
    Unavailable(String),
    /// A mistake of ours. Only its id is shown; the chain goes to the log.
    #[error("Something went wrong.")]
    Internal(anyhow::Error),
}

impl AppError {
    /// One field that cannot be taken.
    pub fn field(field: &str, message: impl Into<String>) -> AppError {
        AppError::Invalid(vec![FieldProblem { field: field.into(), message: message.into() }])
    }

    /// What the system says of a file: a full disk is told as one.
    pub fn io(e: &io::Error) -> AppError {
        let is_full = matches!(e.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded);
        if is_full { StoreError::Full.into() } else { AppError::disk(e) }
    }

    /// A disk that does not take changes, for another reason than being full. The reason goes to the log.
    pub fn disk(why: &dyn std::fmt::Display) -> AppError {
        tracing::error!("the disk failed: {why}");
        AppError::Unavailable("The disk does not take changes. An admin finds the reason in Easel's log; then try again.".into())
    }
}

impl From<anyhow::Error> for AppError {
    fn from(e: anyhow::Error) -> AppError {
        AppError::Internal(e)
    }
}

impl From<StoreError> for AppError {
    fn from(e: StoreError) -> AppError {
        match e {
            StoreError::Full => AppError::Unavailable("The disk is full. Free some space, then try again.".into()),
            StoreError::Disk(why) => AppError::disk(&why),
            StoreError::Unheld => AppError::disk(&e),
            e => AppError::Internal(e.into()),
        }
    }
}

/// An error as it is shown: `application/problem+json` for the API, the same fields on the error page.
#[derive(Clone, Debug, Serialize, utoipa::ToSchema)]
pub struct Shown {
    /// The HTTP status.
    pub status: u16,
    /// The kind of error, the same for every instance.
    pub title: String,
    /// What happened here, for a person.
    pub detail: String,
    /// Fields that cannot be taken.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schema(value_type = Vec<Object>)]
    pub errors: Vec<FieldProblem>,
    /// Finds the entry in the log.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
}

impl AppError {
    /// What the caller may see. An internal error is written to the log here, once.
    pub fn shown(&self) -> Shown {
        let status = self.status_code();
        let id = if let AppError::Internal(e) = self {
            let id = ulid::Ulid::generate().to_string();
            tracing::error!(id, "{e:#}");
            Some(id)
        } else {
            None
        };
        let title = status.canonical_reason().unwrap_or("Error").to_owned();
        let errors = if let AppError::Invalid(fields) = self { fields.clone() } else { Vec::new() };
        Shown { status: status.as_u16(), title, detail: self.to_string(), errors, id }
    }
}

impl ResponseError for AppError {
    fn status_code(&self) -> StatusCode {
        match self {
            AppError::NotFound => StatusCode::NOT_FOUND,
            AppError::Forbidden(_) => StatusCode::FORBIDDEN,
            AppError::Unauthorized => StatusCode::UNAUTHORIZED,
            AppError::Invalid(_) => StatusCode::UNPROCESSABLE_ENTITY,
            AppError::Conflict(_) => StatusCode::CONFLICT,
            AppError::TooMany(..) => StatusCode::TOO_MANY_REQUESTS,
            AppError::TooLarge(_) => StatusCode::PAYLOAD_TOO_LARGE,
            AppError::Unavailable(_) => StatusCode::SERVICE_UNAVAILABLE,
            AppError::Internal(_) => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }

    /// The JSON shape. `web::errors` turns it into a page for everything outside `/api`.
    fn error_response(&self) -> HttpResponse {
        let mut answer = problem(self.shown());
        if let AppError::TooMany(_, seconds) = self {
            answer.headers_mut().insert(header::RETRY_AFTER, header::HeaderValue::from(*seconds));
        }
        answer
    }
}

/// The JSON answer of an error, with the parts kept beside it for the page.
pub fn problem(shown: Shown) -> HttpResponse {
    let status = StatusCode::from_u16(shown.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let mut answer = HttpResponse::build(status)
        .insert_header((header::CONTENT_TYPE, "application/problem+json"))
        .insert_header((header::CACHE_CONTROL, "no-store"))
        .body(serde_json::to_vec(&shown).expect("strings and numbers are JSON"));
    answer.extensions_mut().insert(shown);
    answer
}
