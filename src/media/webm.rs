//! The elements of a WebM (EBML, RFC 8794) that say how large and how long it is, and its tags. Knows no codec.

use crate::comfy::Texts;
use crate::played::{Found, PART_MAX, PARTS_MAX, Source, array, bytes, damaged};
use std::io::{self, SeekFrom};

const HEAD: u32 = 0x1a45_dfa3;
const SEGMENT: u32 = 0x1853_8067;
const INFO: u32 = 0x1549_a966;
const SCALE: u32 = 0x2a_d7b1;
const DURATION: u32 = 0x4489;
const TRACKS: u32 = 0x1654_ae6b;
const TRACK: u32 = 0xae;
const VIDEO: u32 = 0xe0;
const WIDTH: u32 = 0xb0;
const HEIGHT: u32 = 0xba;
const TAGS: u32 = 0x1254_c367;
const TAG: u32 = 0x7373;
const SIMPLE_TAG: u32 = 0x67c8;
const TAG_NAME: u32 = 0x45a3;
const TAG_STRING: u32 = 0x4487;

/// An element's id, how long its own head is and what is in it; of a length that is not known none.
#[derive(Clone, Copy, Debug)]
struct Element {
    id: u32,
    begins: u64,
    length: Option<u64>,
}

/// What a WebM says.
pub(crate) fn look(file: &mut dyn Source) -> io::Result<Found> {
    let end = file.seek(SeekFrom::End(0))?;
    let head = element_at(file, 0, end)?.filter(|head| head.id == HEAD);
    let head = head.and_then(|head| Some(head.begins + head.length?)).ok_or_else(|| damaged("it has no head"))?;
    let segment = element_at(file, head, end)?.filter(|segment| segment.id == SEGMENT);
    let segment = segment.ok_or_else(|| damaged("it has no segment"))?;
    let mut found = Found::default();
    let mut at = head + segment.begins;
    for _ in 0..PARTS_MAX {
        let Some(element) = element_at(file, at, end)? else { break };
        // One that is still being recorded, which ends where the file does.
        let Some(length) = element.length else { break };
        let inner = at + element.begins;
        if length > end - inner {
            break;
        }
        match element.id {
            INFO => found.seconds = seconds(&bytes(file, inner, length)?),
            TRACKS => found.size = size(&bytes(file, inner, length)?),
            TAGS if length <= PART_MAX => tags(&bytes(file, inner, length)?, &mut found.texts),
            _ => {}
        }
        at = inner + length;
    }
    Ok(found)
}

/// The element at a place of a file; none at its end.
fn element_at(file: &mut dyn Source, at: u64, end: u64) -> io::Result<Option<Element>> {
    // An id of four bytes and a length of eight at most.
    Ok(element(&bytes(file, at, end.saturating_sub(at).min(12))?))
}

/// The head of the element that these bytes begin with.
fn element(bytes: &[u8]) -> Option<Element> {
    let id_length = bytes.first()?.leading_zeros() as usize + 1;
    let id = bytes.get(..id_length).filter(|id| id.len() <= 4)?;
    let id = id.iter().fold(0, |id, byte| id << 8 | u32::from(*byte));
    let rest = &bytes[id_length..];
    let length_length = rest.first()?.leading_zeros() as usize + 1;
    let length = rest.get(..length_length).filter(|length| length.len() <= 8)?;
    let value = length.iter().fold(0, |value, byte| value << 8 | u64::from(*byte));
    // The leading one says how long the number is; all ones say that nobody knows.
    let unknown = (1 << (7 * length_length)) - 1;
    let value = value & unknown;
    Some(Element { id, begins: (id_length + length_length) as u64, length: (value != unknown).then_some(value) })
}

/// The elements in these bytes, as far as they are whole.
fn elements(mut bytes: &[u8]) -> impl Iterator<Item = (u32, &[u8])> {
    std::iter::from_fn(move || {
        let Element { id, begins, length } = element(bytes)?;
        let (begins, length) = (usize::try_from(begins).ok()?, usize::try_from(length?).ok()?);
        let inner = bytes.get(begins..)?.get(..length)?;
        bytes = &bytes[begins + length..];
        Some((id, inner))
    })
}

fn number(bytes: &[u8]) -> u64 {
    bytes.iter().take(8).fold(0, |number, byte| number << 8 | u64::from(*byte))
}

/// How long it is, in the file's own unit.
fn seconds(info: &[u8]) -> Option<f64> {
    let part = |wanted: u32| elements(info).find(|(id, _)| *id == wanted).map(|(_, inner)| inner);
    let duration = part(DURATION)?;
    let duration = match duration.len() {
        4 => f64::from(array(duration, 0).map(f32::from_be_bytes)?),
        _ => array(duration, 0).map(f64::from_be_bytes)?,
    };
    Some(duration * part(SCALE).map_or(1_000_000.0, |scale| number(scale) as f64) / 1e9)
}

/// The size of the first track that has a picture.
fn size(tracks: &[u8]) -> Option<(u32, u32)> {
    let video =
        elements(tracks).filter(|(id, _)| *id == TRACK).find_map(|(_, track)| elements(track).find(|(id, _)| *id == VIDEO));
    let (_, video) = video?;
    let side = |wanted: u32| elements(video).find(|(id, _)| *id == wanted).and_then(|(_, side)| u32::try_from(number(side)).ok());
    side(WIDTH).zip(side(HEIGHT))
}

fn tags(tags: &[u8], texts: &mut Texts) {
    let all = elements(tags).filter(|(id, _)| *id == TAG).flat_map(|(_, tag)| elements(tag)).filter(|(id, _)| *id == SIMPLE_TAG);
    for (_, tag) in all {
        let part = |wanted: u32| elements(tag).find(|(id, _)| *id == wanted).map(|(_, inner)| inner);
        if let (Some(name), Some(text)) = (part(TAG_NAME), part(TAG_STRING)) {
            texts.note(&String::from_utf8_lossy(name), text);
        }
    }
}
