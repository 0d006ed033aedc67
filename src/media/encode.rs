//! Writing finished pictures, each with the recipe that makes it again: as infotext, which other programs
//! read, and as JSON, which loses nothing. Same pixels and recipe, same bytes. Knows no file system.
//!
//! - PNG: text chunk `parameters` (infotext) and `easel` (JSON); Latin-1 text as tEXt, other text as iTXt.
//! - JPEG and WebP: EXIF `UserComment` (infotext) and `MakerNote` (`Easel\0` and JSON). A JPEG holds 64 kB of
//!   EXIF: where both do not fit the infotext is left out, and where the JSON alone does not, that too.

use crate::{Rgb8, exif, infotext};
use img_parts::{Bytes, ImageEXIF};
use protocol::{Format, Recipe};

/// Quality of a finished WebP.
const WEBP_QUALITY: f32 = 90.0;
/// Quality of a finished JPEG.
const JPEG_QUALITY: u8 = 95;
/// Most bytes of EXIF in a JPEG's one segment.
const JPEG_EXIF: usize = 65_527;

/// A picture that an encoder refuses.
#[derive(Debug, thiserror::Error)]
#[error("the picture cannot be written as {format}: {reason}")]
pub struct EncodeError {
    format: &'static str,
    reason: String,
}

impl EncodeError {
    fn new(format: &'static str, reason: impl std::fmt::Display) -> EncodeError {
        EncodeError { format, reason: reason.to_string() }
    }
}

/// How long a WebP encoder may think.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Effort {
    /// libwebp's method 0, for previews.
    Fastest,
    /// Method 2, for thumbnails.
    Fast,
    /// Method 4, libwebp's own default.
    Full,
}

/// The file of one picture in the recipe's format. `recipe` is that of this picture alone: its seed, batch 1
/// (see [`Recipe::of_picture`]).
///
/// # Errors
/// A side over what the format holds (WebP: 16,383).
pub fn file(picture: &Rgb8, recipe: &Recipe) -> Result<Vec<u8>, EncodeError> {
    let text = infotext::write(recipe);
    let json = serde_json::to_string(recipe).expect("a recipe has only strings and numbers");
    match recipe.format {
        Format::Png => png(picture, &[("parameters", &text), ("easel", &json)]),
        Format::Webp => {
            let file = webp(picture, WEBP_QUALITY, Effort::Full)?;
            let mut parts = img_parts::webp::WebP::from_bytes(file.into()).map_err(|e| EncodeError::new("WebP", e))?;
            parts.set_exif(Some(exif::write(Some(&text), &json).into()));
            Ok(parts.encoder().bytes().to_vec())
        }
        Format::Jpeg => {
            let file = jpeg(picture)?;
            let mut parts = img_parts::jpeg::Jpeg::from_bytes(file.into()).map_err(|e| EncodeError::new("JPEG", e))?;
            parts.set_exif(jpeg_exif(&text, &json));
            Ok(parts.encoder().bytes().to_vec())
        }
    }
}

/// As much of the recipe as one segment of a JPEG holds.
fn jpeg_exif(text: &str, json: &str) -> Option<Bytes> {
    [Some(text), None].into_iter().map(|text| exif::write(text, json)).find(|e| e.len() <= JPEG_EXIF).map(Bytes::from)
}

/// A PNG with text chunks.
fn png(picture: &Rgb8, texts: &[(&str, &str)]) -> Result<Vec<u8>, EncodeError> {
    let wrong = |e: png::EncodingError| EncodeError::new("PNG", e);
    let mut file = Vec::with_capacity(picture.data().len() / 2);
    let mut encoder = png::Encoder::new(&mut file, picture.width(), picture.height());
    encoder.set_color(png::ColorType::Rgb);
    encoder.set_depth(png::BitDepth::Eight);
    encoder.set_compression(png::Compression::Balanced);
    for (key, text) in texts {
        let is_latin_1 = text.chars().all(|c| u32::from(c) < 256);
        let added = if is_latin_1 { Encoder::text } else { Encoder::itxt }(&mut encoder, key, text);
        added.map_err(wrong)?;
    }
    let mut writer = encoder.write_header().map_err(wrong)?;
    writer.write_image_data(picture.data()).map_err(wrong)?;
    writer.finish().map_err(wrong)?;
    Ok(file)
}

/// The two kinds of text chunk under names of one shape.
struct Encoder;

impl Encoder {
    fn text(to: &mut png::Encoder<'_, &mut Vec<u8>>, key: &str, text: &str) -> Result<(), png::EncodingError> {
        to.add_text_chunk(key.into(), text.into())
    }

    fn itxt(to: &mut png::Encoder<'_, &mut Vec<u8>>, key: &str, text: &str) -> Result<(), png::EncodingError> {
        to.add_itxt_chunk(key.into(), text.into())
    }
}

/// A JPEG without a recipe.
///
/// # Errors
/// A side over what the format holds (65,535).
pub fn jpeg(picture: &Rgb8) -> Result<Vec<u8>, EncodeError> {
    let mut file = Vec::with_capacity(picture.data().len() / 4);
    image::codecs::jpeg::JpegEncoder::new_with_quality(&mut file, JPEG_QUALITY)
        .encode(picture.data(), picture.width(), picture.height(), image::ExtendedColorType::Rgb8)
        .map_err(|e| EncodeError::new("JPEG", e))?;
    Ok(file)
}

/// A lossy WebP without metadata.
pub(crate) fn webp(picture: &Rgb8, quality: f32, effort: Effort) -> Result<Vec<u8>, EncodeError> {
    const MAX: u32 = 16_383;
    if picture.width() == 0 || picture.height() == 0 || picture.width() > MAX || picture.height() > MAX {
        return Err(EncodeError::new("WebP", format!("{picture:?} is not between 1 and {MAX} a side")));
    }
    let mut config = webp::WebPConfig::new().map_err(|()| EncodeError::new("WebP", "libwebp does not start"))?;
    config.quality = quality;
    config.method = match effort {
        Effort::Fastest => 0,
        Effort::Fast => 2,
        Effort::Full => 4,
    };
    let encoder = webp::Encoder::from_rgb(picture.data(), picture.width(), picture.height());
    let file = encoder.encode_advanced(&config).map_err(|e| EncodeError::new("WebP", format!("{e:?}")))?;
    Ok(file.to_vec())
}

#[cfg(test)]
#[path = "tests/encode.rs"]
mod tests;
