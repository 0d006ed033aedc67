//! The JSON API, one file a resource. Knows no pages.

pub mod artifacts;
mod body;
pub mod events;
pub mod health;
pub mod inspect;
pub mod jobs;
pub mod me;
pub mod models;
pub mod openapi;
mod recipes;
pub mod uploads;
pub mod zip;

use crate::{error::AppError, uploads::UploadError};

/// A page's size: what was asked, within 1 and `most`.
fn limit(asked: Option<u32>, absent: u32, most: u32) -> Result<u32, AppError> {
    let limit = asked.unwrap_or(absent);
    if (1..=most).contains(&limit) {
        Ok(limit)
    } else {
        Err(AppError::field("limit", format!("{limit} is not between 1 and {most}.")))
    }
}

/// What a refused upload means for its sender.
fn upload_error(field: &str, e: UploadError) -> AppError {
    match e {
        UploadError::Unknown => AppError::NotFound,
        UploadError::TooLarge(words) => AppError::TooLarge(words),
        UploadError::WrongOffset(_) => AppError::Conflict(e.to_string()),
        UploadError::WrongHash => AppError::field("sha256", e.to_string()),
        UploadError::NotAPicture(words) => AppError::field(field, words),
        UploadError::Store(e) => e.into(),
        UploadError::Disk(e) if matches!(e.kind(), std::io::ErrorKind::StorageFull | std::io::ErrorKind::QuotaExceeded) => {
            AppError::Unavailable("The disk is full. Free some space, then try again.".into())
        }
        UploadError::Disk(e) if e.kind() == std::io::ErrorKind::InvalidFilename => AppError::NotFound,
        UploadError::Disk(e) => AppError::disk(&e),
    }
}
