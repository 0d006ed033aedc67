//! The boxes of an MP4 (ISO 14496-12) that say how large and how long it is, and its texts as FFmpeg writes them. Knows no
//! codec.

use crate::comfy::Texts;
use crate::played::{Found, PART_MAX, PARTS_MAX, Source, array, bytes, damaged};
use std::{
    io::{self, SeekFrom},
    ops::Range,
};

/// The key of a comment among iTunes' texts.
const COMMENT: &[u8; 4] = b"\xa9cmt";

/// A box: its kind, and where what is in it lies.
type Part = ([u8; 4], Range<u64>);

/// What an MP4 says.
pub(crate) fn look(file: &mut dyn Source) -> io::Result<Found> {
    let end = file.seek(SeekFrom::End(0))?;
    let movie = find(file, 0..end, b"moov")?.ok_or_else(|| damaged("it has no head"))?;
    let mut found = Found::default();
    for (kind, inner) in parts(file, movie)? {
        match &kind {
            b"mvhd" => found.seconds = seconds(&bytes(file, inner.start, length(&inner))?),
            b"trak" if found.size.is_none() => found.size = size(file, inner)?,
            b"udta" => {
                if let Some(meta) = find(file, inner, b"meta")? {
                    texts(file, meta, &mut found.texts)?;
                }
            }
            b"meta" => texts(file, inner, &mut found.texts)?,
            _ => {}
        }
    }
    Ok(found)
}

fn length(range: &Range<u64>) -> u64 {
    range.end - range.start
}

/// The box at a place of a range; none at its end.
fn next(file: &mut dyn Source, range: &Range<u64>, at: u64) -> io::Result<Option<Part>> {
    if range.end - at < 8 {
        return Ok(None);
    }
    let head = bytes(file, at, 8.min(range.end - at))?;
    let (size, kind) = (array(&head, 0).map(u32::from_be_bytes), array(&head, 4));
    let (Some(size), Some(kind)) = (size, kind) else { return Ok(None) };
    let (begins, size) = match size {
        // It goes to the end.
        0 => (8, range.end - at),
        1 => (16, array(&bytes(file, at + 8, 8)?, 0).map_or(0, u64::from_be_bytes)),
        size => (8, u64::from(size)),
    };
    if size < begins || size > range.end - at {
        return Err(damaged("a box of it is longer than what it is in"));
    }
    Ok(Some((kind, at + begins..at + size)))
}

/// The first box of a kind in a range.
fn find(file: &mut dyn Source, range: Range<u64>, kind: &[u8; 4]) -> io::Result<Option<Range<u64>>> {
    let mut at = range.start;
    for _ in 0..PARTS_MAX {
        let Some((found, inner)) = next(file, &range, at)? else { return Ok(None) };
        at = inner.end;
        if found == *kind {
            return Ok(Some(inner));
        }
    }
    Err(damaged("it has too many boxes"))
}

/// All boxes in a range.
fn parts(file: &mut dyn Source, range: Range<u64>) -> io::Result<Vec<Part>> {
    let (mut parts, mut at) = (Vec::new(), range.start);
    while let Some(part) = next(file, &range, at)? {
        at = part.1.end;
        parts.push(part);
        if parts.len() > PARTS_MAX {
            return Err(damaged("it has too many boxes"));
        }
    }
    Ok(parts)
}

/// How long the movie is, by its head; 0 of one that is in fragments.
fn seconds(head: &[u8]) -> Option<f64> {
    let (scale, units) = match head.first()? {
        0 => (array(head, 12).map(u32::from_be_bytes)?, u64::from(array(head, 16).map(u32::from_be_bytes)?)),
        _ => (array(head, 20).map(u32::from_be_bytes)?, array(head, 24).map(u64::from_be_bytes)?),
    };
    Some(units as f64 / f64::from(scale))
}

/// The size of a track's picture; none of other tracks.
fn size(file: &mut dyn Source, track: Range<u64>) -> io::Result<Option<(u32, u32)>> {
    let Some(media) = find(file, track.clone(), b"mdia")? else { return Ok(None) };
    let Some(handler) = find(file, media, b"hdlr")? else { return Ok(None) };
    let handler = bytes(file, handler.start, length(&handler))?;
    let Some(head) = find(file, track, b"tkhd")? else { return Ok(None) };
    let head = bytes(file, head.start, length(&head))?;
    if array(&handler, 8) != Some(*b"vide") {
        return Ok(None);
    }
    // The last eight bytes, in 16.16.
    let side = |from_end: usize| array(&head, head.len().checked_sub(from_end)?).map(|side| u32::from_be_bytes(side) >> 16);
    Ok(side(8).zip(side(4)))
}

/// Texts under keys of their own (`use_metadata_tags`), or as iTunes has them.
fn texts(file: &mut dyn Source, meta: Range<u64>, texts: &mut Texts) -> io::Result<()> {
    // QuickTime's has no version in front.
    let head = bytes(file, meta.start, 8.min(length(&meta)))?;
    let skipped = if head.get(4..8) == Some(b"hdlr") { 0 } else { 4.min(length(&meta)) };
    let inner = parts(file, meta.start + skipped..meta.end)?;
    let part = |kind: &[u8; 4]| inner.iter().find(|(found, _)| found == kind).map(|(_, range)| range.clone());
    let keys = part(b"keys").filter(|keys| length(keys) <= PART_MAX);
    let keys = keys.map(|keys| bytes(file, keys.start, length(&keys))).transpose()?.map(|keys| names(&keys)).unwrap_or_default();
    let Some(list) = part(b"ilst") else { return Ok(()) };
    for (kind, item) in parts(file, list)? {
        let number = u32::from_be_bytes(kind) as usize;
        let key = match keys.get(number.wrapping_sub(1)) {
            Some(key) => key.as_str(),
            None if kind == *COMMENT => "comment",
            None => continue,
        };
        let Some(data) = find(file, item, b"data")? else { continue };
        // Its type and its language come first. A text that is too long costs only itself.
        if length(&data) <= PART_MAX {
            texts.note(key, bytes(file, data.start, length(&data))?.get(8..).unwrap_or_default());
        }
    }
    Ok(())
}

/// The keys of a list of keys, first to last.
fn names(keys: &[u8]) -> Vec<String> {
    let (mut names, mut rest) = (Vec::new(), keys.get(8..).unwrap_or_default());
    while let Some(size) = array(rest, 0).map(|size| u32::from_be_bytes(size) as usize)
        && let Some(name) = rest.get(8..size)
    {
        names.push(String::from_utf8_lossy(name).into_owned());
        rest = &rest[size..];
    }
    names
}
