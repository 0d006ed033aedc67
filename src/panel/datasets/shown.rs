//! Datasets and their pictures as the API and the pages show them. Knows no disk.

use super::{Dataset, Picture};
use crate::clock::rfc3339;
use serde::Serialize;

/// A dataset as the API shows it.
#[derive(Clone, Debug, Serialize, utoipa::ToSchema)]
#[schema(as = Dataset)]
pub struct DatasetView {
    /// Its id.
    pub id: String,
    /// What it is called.
    pub name: String,
    /// The word that the LoRA is called by in prompts; may be empty.
    pub trigger: String,
    /// Grows with every change.
    pub version: i64,
    /// How many pictures it has.
    pub pictures: u32,
    /// How many of them have a caption.
    pub captioned: u32,
    /// Bytes of its pictures.
    pub bytes: u64,
    /// How many captions the last change of many changed, where it can be taken back; else 0.
    pub undo: u32,
    /// When it last changed, RFC 3339.
    pub changed: String,
}

impl From<Dataset> for DatasetView {
    fn from(d: Dataset) -> DatasetView {
        DatasetView {
            id: d.id,
            name: d.name,
            trigger: d.trigger,
            version: d.version,
            pictures: d.pictures,
            captioned: d.captioned,
            bytes: d.bytes,
            undo: d.undo,
            changed: rfc3339(d.changed),
        }
    }
}

/// A picture as the API shows it.
#[derive(Clone, Debug, Serialize, utoipa::ToSchema)]
#[schema(as = DatasetPicture)]
pub struct PictureView {
    /// Its id.
    pub id: String,
    /// What its file was called, without the extension.
    pub name: String,
    /// The file.
    pub url: String,
    /// A WebP of at most 512 pixels a side.
    pub thumb: String,
    /// Pixels.
    pub width: u32,
    /// Pixels.
    pub height: u32,
    /// Media type.
    pub mime: String,
    /// Size of the file.
    pub bytes: u64,
    /// What stands beside it; may be empty.
    pub caption: String,
    /// To be sent with the next caption: grows with every change of this picture.
    pub version: i64,
}

impl From<Picture> for PictureView {
    fn from(p: Picture) -> PictureView {
        PictureView {
            url: format!("/api/v1/dataset-pictures/{}/file", p.id),
            thumb: format!("/api/v1/dataset-pictures/{}/thumb", p.id),
            id: p.id,
            name: p.name,
            width: p.width,
            height: p.height,
            mime: p.mime,
            bytes: p.bytes,
            caption: p.caption,
            version: p.version,
        }
    }
}
