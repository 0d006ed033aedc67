//! The JSON API, one file a resource. Knows no pages.

pub mod admin_jobs;
pub mod admin_mode;
pub mod admin_models;
pub mod artifacts;
pub mod audit;
mod body;
pub mod boot;
pub mod containers;
pub mod dataset_captions;
pub mod dataset_exports;
pub mod dataset_pictures;
pub mod dataset_uploads;
pub mod datasets;
pub mod events;
pub mod health;
pub mod inspect;
pub mod jobs;
pub mod logs;
pub mod me;
pub mod models;
pub mod notices;
pub mod openapi;
mod ranges;
mod recipes;
pub mod sessions;
mod streamed;
pub mod system;
pub mod tool_scripts;
pub mod tools;
pub mod transcripts;
pub mod uploads;
pub mod users;
pub mod vision;
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

/// A word of a query that is one of several; nothing where it is absent or empty.
fn one_of<T>(
    field: &str,
    asked: Option<&str>,
    parse: impl FnOnce(&str) -> Option<T>,
    names: &[&str],
) -> Result<Option<T>, AppError> {
    match asked.filter(|text| !text.is_empty()) {
        None => Ok(None),
        Some(text) => {
            let wrong = || AppError::field(field, format!("\"{text}\" is not one of {}.", names.join(", ")));
            Ok(Some(parse(text).ok_or_else(wrong)?))
        }
    }
}

/// What a refused upload means for its sender.
fn upload_error(field: &str, e: UploadError) -> AppError {
    match e {
        UploadError::Unknown => AppError::NotFound,
        UploadError::TooLarge(words) => AppError::TooLarge(words),
        UploadError::WrongOffset(_) | UploadError::Busy => AppError::Conflict(e.to_string()),
        UploadError::WrongHash => AppError::field("sha256", e.to_string()),
        UploadError::NotAPicture(words) => AppError::field(field, words),
        UploadError::Store(e) => e.into(),
        UploadError::Disk(e) if e.kind() == std::io::ErrorKind::InvalidFilename => AppError::NotFound,
        UploadError::Disk(e) => AppError::io(&e),
    }
}
