//! What the heads of videos and sounds say: how large and how long they are, and how ComfyUI made them. Reads a few places of
//! a file, however long it is, and believes no length; decodes nothing.

use crate::{
    Format, Kind,
    comfy::{Comfy, Texts},
    mp4, sound, webm,
};
use std::io::{self, Read, Seek, SeekFrom};

/// Most bytes of a part of a file that is read whole: texts lie there, and a workflow may hold pictures.
pub(crate) const PART_MAX: u64 = 8 << 20;
/// Parts of a file that are looked at.
pub(crate) const PARTS_MAX: usize = 20_000;
/// Most pixels a side of a video.
const SIDE_MAX: u32 = 16_384;
/// Nothing that is longer is believed: a hundred days.
const DURATION_MAX_MS: u64 = 100 * 24 * 3_600_000;

/// A file that is read here and there.
pub trait Source: Read + Seek {}
impl<T: Read + Seek> Source for T {}

/// What is known of a video or a sound.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Played {
    /// Pixels; 0 of a sound.
    pub width: u32,
    /// Pixels; 0 of a sound.
    pub height: u32,
    /// How long it is, where its head says so.
    pub duration_ms: Option<u64>,
    /// What ComfyUI wrote into it.
    pub comfy: Option<Comfy>,
}

/// The same while it is found.
#[derive(Debug, Default)]
pub(crate) struct Found {
    pub(crate) size: Option<(u32, u32)>,
    pub(crate) seconds: Option<f64>,
    pub(crate) texts: Texts,
}

/// Looks at a video or a sound.
///
/// # Errors
/// As the file; [`io::ErrorKind::InvalidData`] and [`io::ErrorKind::UnexpectedEof`] where it is not what it begins as.
pub fn look(mut file: impl Source, format: Format) -> io::Result<Played> {
    let file: &mut dyn Source = &mut file;
    let found = match format.extension {
        "mp4" => mp4::look(file)?,
        "webm" => webm::look(file)?,
        "flac" => sound::flac(file)?,
        "mp3" => sound::mp3(file)?,
        "wav" => sound::wav(file)?,
        "opus" | "ogg" => sound::ogg(file)?,
        _ => return Err(damaged("it is not played")),
    };
    let (width, height) = match (format.kind, found.size) {
        (Kind::Video, Some(size)) => size,
        (Kind::Video, None) => return Err(damaged("it has no picture")),
        _ => (0, 0),
    };
    if format.kind == Kind::Video && !((1..=SIDE_MAX).contains(&width) && (1..=SIDE_MAX).contains(&height)) {
        return Err(damaged("no video is of that size"));
    }
    let milliseconds =
        found.seconds.filter(|seconds| seconds.is_finite() && *seconds > 0.0).map(|seconds| (seconds * 1000.0) as u64);
    let duration_ms = milliseconds.filter(|ms| (1..DURATION_MAX_MS).contains(ms));
    Ok(Played { width, height, duration_ms, comfy: found.texts.read() })
}

/// That a file is not what it begins as.
pub(crate) fn damaged(why: &'static str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, why)
}

/// So many bytes of a file, all of them.
pub(crate) fn bytes(file: &mut dyn Source, at: u64, length: u64) -> io::Result<Vec<u8>> {
    if length > PART_MAX {
        return Err(damaged("a part of it is too long"));
    }
    file.seek(SeekFrom::Start(at))?;
    // Taken as they come: what a file says of its own length costs nothing.
    let mut bytes = Vec::new();
    file.take(length).read_to_end(&mut bytes)?;
    if bytes.len() as u64 == length { Ok(bytes) } else { Err(io::ErrorKind::UnexpectedEof.into()) }
}

/// The first `N` bytes of a slice from `at`.
pub(crate) fn array<const N: usize>(bytes: &[u8], at: usize) -> Option<[u8; N]> {
    bytes.get(at..)?.first_chunk().copied()
}

#[cfg(test)]
#[path = "tests/played.rs"]
mod tests;
