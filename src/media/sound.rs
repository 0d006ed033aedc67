//! What FLAC, MP3, Ogg and WAV say of themselves: how long they are, and their texts. Knows no codec.

use crate::comfy::Texts;
use crate::kind::is_mp3_frame;
use crate::played::{Found, PART_MAX, PARTS_MAX, Source, array, bytes, damaged};
use std::io::{self, SeekFrom};

/// Bytes of a file's end in which the last page of an Ogg begins: none is longer.
const PAGE_MAX: u64 = 65_307;

fn little(bytes: &[u8], at: usize) -> Option<u32> {
    array(bytes, at).map(u32::from_le_bytes)
}

/// A FLAC: its blocks in front of the sound.
pub(crate) fn flac(file: &mut dyn Source) -> io::Result<Found> {
    let (mut found, mut at) = (Found::default(), 4);
    for _ in 0..PARTS_MAX {
        let head = bytes(file, at, 4)?;
        let [kind, high, middle, low] = array(&head, 0).unwrap_or_default();
        let length = u64::from(u32::from_be_bytes([0, high, middle, low]));
        match kind & 0x7f {
            0 => {
                // 20 bits of the rate, 8 of channels and width, 36 of the length.
                let numbers = array(&bytes(file, at + 4, length)?, 10).map(u64::from_be_bytes).unwrap_or_default();
                found.seconds = Some((numbers & 0xf_ffff_ffff) as f64 / (numbers >> 44) as f64);
            }
            4 if length <= PART_MAX => comments(&bytes(file, at + 4, length)?, &mut found.texts),
            _ => {}
        }
        at += 4 + length;
        if kind & 0x80 != 0 {
            break;
        }
    }
    if found.seconds.is_none() { Err(damaged("it has no head")) } else { Ok(found) }
}

/// Vorbis comments: `KEY=text`, of which each says its length in front.
fn comments(bytes: &[u8], texts: &mut Texts) {
    let take = |bytes: &[u8]| little(bytes, 0).and_then(|length| usize::try_from(length).ok());
    let Some(mut rest) = take(bytes).and_then(|vendor| bytes.get(4 + 4..)?.get(vendor..)) else { return };
    while let Some(text) = take(rest).and_then(|length| rest.get(4..)?.get(..length)) {
        if let Some(equals) = text.iter().position(|byte| *byte == b'=') {
            texts.note(&String::from_utf8_lossy(&text[..equals]), &text[equals + 1..]);
        }
        rest = &rest[4 + text.len()..];
    }
}

/// An Ogg: its second packet holds the comments, its last page says how long it is.
pub(crate) fn ogg(file: &mut dyn Source) -> io::Result<Found> {
    let mut found = Found::default();
    let first = bytes(file, 28, 19)?;
    // Opus counts in 48 kHz whatever it was made of, and skips the beginning.
    let (rate, skipped, mark) = match first.strip_prefix(b"OpusHead") {
        Some(_) => (48_000, u64::from(array(&first, 10).map_or(0, u16::from_le_bytes)), b"OpusTags".as_slice()),
        None => (little(&first, 12).unwrap_or_default(), 0, b"\x03vorbis".as_slice()),
    };
    if let Some(packet) = second_packet(file)?.strip_prefix(mark) {
        comments(packet, &mut found.texts);
    }
    let end = file.seek(SeekFrom::End(0))?;
    let last = end.min(PAGE_MAX);
    let last = bytes(file, end - last, last)?;
    let page = last.windows(4).rposition(|window| window == b"OggS");
    let units = page.and_then(|page| array(&last, page + 6)).map(u64::from_le_bytes);
    found.seconds = units.map(|units| units.saturating_sub(skipped) as f64 / f64::from(rate));
    Ok(found)
}

/// The second packet, which may lie on many pages; as much of it as is read at most.
fn second_packet(file: &mut dyn Source) -> io::Result<Vec<u8>> {
    let (mut packet, mut packets, mut at) = (Vec::new(), 0, 0);
    for _ in 0..PARTS_MAX {
        let head = bytes(file, at, 27)?;
        if !head.starts_with(b"OggS") {
            return Err(damaged("a page of it is none"));
        }
        let lengths = bytes(file, at + 27, u64::from(head[26]))?;
        let length = lengths.iter().map(|length| u64::from(*length)).sum();
        let page = bytes(file, at + 27 + lengths.len() as u64, length)?;
        let mut rest = page.as_slice();
        for length in lengths {
            let (segment, after) = rest.split_at(usize::from(length).min(rest.len()));
            rest = after;
            if packets == 1 {
                packet.extend_from_slice(segment);
            }
            // A shorter segment ends its packet.
            packets += usize::from(length < 255);
            if packets > 1 || packet.len() as u64 > PART_MAX {
                return Ok(packet);
            }
        }
        at += 27 + head[26] as u64 + page.len() as u64;
    }
    Err(damaged("it has too many pages"))
}

/// An MP3, with an ID3 tag in front or without.
pub(crate) fn mp3(file: &mut dyn Source) -> io::Result<Found> {
    let mut found = Found::default();
    let head = bytes(file, 0, 10)?;
    let mut sound = 0;
    if head.starts_with(b"ID3") {
        // Seven bits of each byte.
        let length = head[6..].iter().fold(0, |length, byte| length << 7 | u64::from(byte & 0x7f));
        sound = 10 + length;
        // Of a flag's wish nothing is done but to leave the texts alone.
        if length <= PART_MAX && matches!(head[3], 3 | 4) && head[5] == 0 {
            id3(&bytes(file, 10, length)?, head[3], &mut found.texts);
        }
    }
    if is_mp3_frame(&bytes(file, sound, 4)?) { Ok(found) } else { Err(damaged("no sound comes after its head")) }
}

/// The texts that have keys of their own (`TXXX`).
fn id3(mut tag: &[u8], version: u8, texts: &mut Texts) {
    while let Some(length) = array::<4>(tag, 4) {
        let length = match version {
            3 => u32::from_be_bytes(length),
            _ => length.iter().fold(0, |length, byte| length << 7 | u32::from(byte & 0x7f)),
        };
        let Some(frame) = tag.get(10..).and_then(|rest| rest.get(..length as usize)) else { return };
        // Latin-1 that is ASCII, or UTF-8; the others are not what writes these texts.
        if tag.starts_with(b"TXXX")
            && let [0 | 3, text @ ..] = frame
            && let Some(end) = text.iter().position(|byte| *byte == 0)
        {
            texts.note(&String::from_utf8_lossy(&text[..end]), &text[end + 1..]);
        }
        tag = &tag[10 + frame.len()..];
    }
}

/// A WAV: bytes of sound, and how many of them there are in a second.
pub(crate) fn wav(file: &mut dyn Source) -> io::Result<Found> {
    let end = file.seek(SeekFrom::End(0))?;
    let (mut at, mut rate) = (12, None);
    for _ in 0..PARTS_MAX {
        let head = bytes(file, at, 8)?;
        let length = u64::from(little(&head, 4).unwrap_or_default());
        match &head[..4] {
            b"fmt " => rate = little(&bytes(file, at + 8, length.min(16))?, 8),
            b"data" => {
                let rate = rate.ok_or_else(|| damaged("it does not say what its sound is"))?;
                // Who writes it as it comes cannot say how much that will be.
                let length = length.min(end - at - 8);
                return Ok(Found { seconds: Some(length as f64 / f64::from(rate)), ..Found::default() });
            }
            _ => {}
        }
        at += 8 + length.next_multiple_of(2);
    }
    Err(damaged("it has too many parts"))
}
