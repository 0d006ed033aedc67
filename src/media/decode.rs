//! Reading pictures that people upload: PNG, JPEG, WebP, BMP and the first frame of a GIF. Nothing in such a
//! file is believed: its size is read and judged before any pixel is, and memory is bounded. Colour
//! profiles are not applied. Knows no file system.

use crate::{Gray8, Rgb8};
use image::{DynamicImage, ImageDecoder, ImageFormat, ImageReader, Limits, metadata::Orientation};
use std::io::Cursor;

/// Most bytes of a file.
pub const MAX_BYTES: usize = 100_000_000;
/// Most pixels a side.
pub const MAX_SIDE: u32 = 8192;
/// Most pixels in all.
pub const MAX_PIXELS: u64 = 64 << 20;
/// Memory that a decoder may take: [`MAX_PIXELS`] of 16-bit RGBA and some working space.
const MAX_ALLOC: u64 = MAX_PIXELS * 8 + (64 << 20);

/// Why a file cannot be taken as a picture.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DecodeError {
    /// Nothing in it.
    #[error("the file is empty")]
    Empty,
    /// Neither a picture nor anything known.
    #[error("this is not a picture (PNG, JPEG, WebP, BMP and GIF can be read)")]
    NotAPicture,
    /// A known format that is not read.
    #[error("{0} files cannot be read; save it as PNG, JPEG or WebP")]
    Unsupported(&'static str),
    /// Too many bytes.
    #[error("{0} bytes are over the limit of {MAX_BYTES}")]
    TooManyBytes(usize),
    /// Too many pixels.
    #[error("{width} × {height} pixels are over the limit of {MAX_SIDE} a side")]
    TooLarge {
        /// Pixels, as the header says.
        width: u32,
        /// Pixels, as the header says.
        height: u32,
    },
    /// A picture that ends early or contradicts itself.
    #[error("the picture is damaged: {0}")]
    Broken(String),
}

/// What the header of a picture says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Probe {
    /// Pixels, after the orientation was applied.
    pub width: u32,
    /// Pixels, after the orientation was applied.
    pub height: u32,
    /// Media type.
    pub mime: &'static str,
}

/// What the header says, without decoding a pixel.
///
/// # Errors
/// Every [`DecodeError`]; what passes here can still be broken further in.
pub fn probe(bytes: &[u8]) -> Result<Probe, DecodeError> {
    let (mut decoder, format) = open(bytes)?;
    let (width, height) = decoder.dimensions();
    let (width, height) = if is_turned(orientation(&mut decoder)) { (height, width) } else { (width, height) };
    Ok(Probe { width, height, mime: format.to_mime_type() })
}

/// The picture in a file: oriented as its EXIF says, transparent parts on white.
pub fn rgb(bytes: &[u8]) -> Result<Rgb8, DecodeError> {
    let picture = pixels(bytes)?;
    let (width, height) = (picture.width(), picture.height());
    let data = if picture.color().has_alpha() {
        let over_white = |[r, g, b, a]: [u8; 4]| [over(r, 255, a), over(g, 255, a), over(b, 255, a)];
        picture.into_rgba8().pixels().flat_map(|p| over_white(p.0)).collect()
    } else {
        picture.into_rgb8().into_raw()
    };
    Ok(Rgb8::new(width, height, data).expect("the decoder filled every pixel"))
}

/// The mask in a file: its luma (BT.709). Transparent parts count as black, which is "keep": a painted
/// stroke on a clear layer is a mask too.
pub fn mask(bytes: &[u8]) -> Result<Gray8, DecodeError> {
    let picture = pixels(bytes)?;
    let (width, height) = (picture.width(), picture.height());
    let data = if picture.color().has_alpha() {
        picture.into_luma_alpha8().pixels().map(|p| over(p.0[0], 0, p.0[1])).collect()
    } else {
        picture.into_luma8().into_raw()
    };
    Ok(Gray8::new(width, height, data).expect("the decoder filled every pixel"))
}

/// The raw EXIF block of a picture, a TIFF structure; `None` where there is none or it cannot be reached.
pub(crate) fn exif(bytes: &[u8]) -> Option<Vec<u8>> {
    let raw = open(bytes).ok()?.0.exif_metadata().ok()??;
    // Pillow puts a JPEG's mark in front of it in WebPs too.
    Some(raw.strip_prefix(b"Exif\0\0").map(<[u8]>::to_vec).unwrap_or(raw))
}

/// `value` at opacity `alpha` over `ground`, rounded.
fn over(value: u8, ground: u8, alpha: u8) -> u8 {
    let sum = u32::from(value) * u32::from(alpha) + u32::from(ground) * (255 - u32::from(alpha));
    ((sum + 127) / 255) as u8
}

fn pixels(bytes: &[u8]) -> Result<DynamicImage, DecodeError> {
    let (mut decoder, _) = open(bytes)?;
    let orientation = orientation(&mut decoder);
    let mut picture = DynamicImage::from_decoder(decoder).map_err(broken)?;
    picture.apply_orientation(orientation);
    Ok(picture)
}

/// A decoder that has read the header, and only for a picture of permitted size.
fn open(bytes: &[u8]) -> Result<(impl ImageDecoder + '_, ImageFormat), DecodeError> {
    if bytes.is_empty() {
        return Err(DecodeError::Empty);
    }
    if bytes.len() > MAX_BYTES {
        return Err(DecodeError::TooManyBytes(bytes.len()));
    }
    let format = format(bytes)?;
    if format == ImageFormat::WebP && !chunks_fit(bytes) {
        return Err(DecodeError::Broken("a part of it is longer than the file".into()));
    }
    let mut reader = ImageReader::with_format(Cursor::new(bytes), format);
    let mut limits = Limits::default();
    limits.max_alloc = Some(MAX_ALLOC);
    reader.limits(limits);
    let decoder = reader.into_decoder().map_err(broken)?;
    let (width, height) = decoder.dimensions();
    if width == 0 || height == 0 {
        return Err(DecodeError::Broken("it has no pixels".into()));
    }
    if width > MAX_SIDE || height > MAX_SIDE || u64::from(width) * u64::from(height) > MAX_PIXELS {
        return Err(DecodeError::TooLarge { width, height });
    }
    Ok((decoder, format))
}

/// Whether no chunk of a WebP says that it is longer than the file. The decoder takes as much memory as a chunk says, up
/// to 4 GB, before it reads it.
fn chunks_fit(bytes: &[u8]) -> bool {
    let length = |at: usize| Some(u32::from_le_bytes(*bytes.get(at..)?.first_chunk()?) as usize);
    let end = length(4).unwrap_or(0).saturating_add(8);
    let mut at = 12;
    while at < end {
        let Some(size) = length(at + 4) else { break };
        if size > bytes.len() - at - 8 {
            return false;
        }
        at += 8 + size.next_multiple_of(2);
    }
    true
}

/// The format by its first bytes, whatever the file was called.
fn format(bytes: &[u8]) -> Result<ImageFormat, DecodeError> {
    use ImageFormat::*;
    match image::guess_format(bytes) {
        Ok(format @ (Png | Jpeg | WebP | Gif | Bmp)) => Ok(format),
        Ok(Tiff) => Err(DecodeError::Unsupported("TIFF")),
        Ok(Avif) => Err(DecodeError::Unsupported("AVIF")),
        Ok(Ico) => Err(DecodeError::Unsupported("icon")),
        Ok(OpenExr | Hdr) => Err(DecodeError::Unsupported("HDR")),
        _ => Err(foreign(bytes)),
    }
}

/// What a file without a picture's signature is, where it can be told.
fn foreign(bytes: &[u8]) -> DecodeError {
    let known: [(usize, &[u8], &str); 6] = [
        (4, b"ftypheic", "HEIC"),
        (4, b"ftypmif1", "HEIC"),
        (4, b"ftyp", "video"),
        (0, b"\x1a\x45\xdf\xa3", "video"),
        (0, b"8BPS", "Photoshop"),
        (0, b"%PDF", "PDF"),
    ];
    if let Some((_, _, name)) = known.iter().find(|(at, magic, _)| bytes.get(*at..).is_some_and(|b| b.starts_with(magic))) {
        return DecodeError::Unsupported(name);
    }
    let start = String::from_utf8_lossy(&bytes[..bytes.len().min(1024)]).to_ascii_lowercase();
    let start = start.trim_start_matches(['\u{feff}', ' ', '\t', '\r', '\n']);
    if !start.starts_with('<') {
        DecodeError::NotAPicture
    } else if start.contains("<svg") {
        DecodeError::Unsupported("SVG")
    } else if start.contains("html") {
        DecodeError::Unsupported("HTML")
    } else {
        DecodeError::Unsupported("XML")
    }
}

/// Which way up; a damaged EXIF counts as upright.
fn orientation(decoder: &mut impl ImageDecoder) -> Orientation {
    decoder.orientation().unwrap_or(Orientation::NoTransforms)
}

fn is_turned(orientation: Orientation) -> bool {
    use Orientation::*;
    matches!(orientation, Rotate90 | Rotate270 | Rotate90FlipH | Rotate270FlipH)
}

fn broken(error: image::ImageError) -> DecodeError {
    let mut text = error.to_string();
    if let Some((at, _)) = text.char_indices().nth(200) {
        text.truncate(at);
    }
    DecodeError::Broken(text)
}

#[cfg(test)]
#[path = "tests/decode.rs"]
mod tests;
