//! What a picture file says about how it was made: Easel's own recipe, A1111's infotext or SwarmUI's JSON. Knows
//! where each hides in each format; decodes no pixel and believes no length.

use crate::{
    DecodeError, decode, exif,
    infotext::{self, Read},
    swarm,
};
use protocol::Draft;
use serde_json::{Map, Value};
use std::io::Cursor;

/// Most memory for a PNG's text chunks, compressed ones included.
const MAX_TEXT: usize = 4 << 20;

/// The program that wrote the settings.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Source {
    /// Easel: nothing is lost.
    Easel,
    /// A1111 or one of the many that write its infotext.
    A1111,
    /// SwarmUI.
    SwarmUi,
}

impl Source {
    /// The name in the API.
    pub fn name(self) -> &'static str {
        match self {
            Source::Easel => "easel",
            Source::A1111 => "a1111",
            Source::SwarmUi => "swarmui",
        }
    }
}

/// What was found in a file.
#[derive(Clone, Debug, PartialEq)]
pub struct Inspected {
    /// Who wrote the settings; `None` where there are none.
    pub source: Option<Source>,
    /// The settings. A model's name is turned into an id, which need not exist here.
    pub draft: Draft,
    /// Sentences on settings that had to be replaced.
    pub notes: Vec<String>,
    /// Pixels.
    pub width: u32,
    /// Pixels.
    pub height: u32,
}

/// The settings in a picture file.
///
/// # Errors
/// A [`DecodeError`] where it is no picture that can be read. Damaged settings are no error: there are none then.
pub fn inspect(bytes: &[u8]) -> Result<Inspected, DecodeError> {
    let probe = decode::probe(bytes)?;
    let texts = if probe.mime == "image/png" { png_texts(bytes) } else { exif_texts(bytes) };
    let (source, read) = match settings(&texts) {
        Some((source, read)) => (Some(source), read),
        None => (None, Read::default()),
    };
    Ok(Inspected { source, draft: read.draft, notes: read.notes, width: probe.width, height: probe.height })
}

/// The best of what the texts hold.
fn settings(texts: &exif::Texts) -> Option<(Source, Read)> {
    if let Some(draft) = texts.json.as_deref().and_then(easel) {
        return Some((Source::Easel, Read { draft, notes: Vec::new() }));
    }
    let text = texts.comment.as_deref()?;
    if let Some(read) = swarm::read(text) {
        return Some((Source::SwarmUi, read));
    }
    Some((Source::A1111, infotext::read(text)?))
}

/// Easel's recipe as a draft. Fields that this version does not know, or knows differently, are left out: a
/// newer Easel's picture still fills most of the form.
fn easel(json: &str) -> Option<Draft> {
    let Value::Object(fields) = serde_json::from_str(json).ok()? else { return None };
    let known = |(key, value): &(String, Value)| {
        let one = Map::from_iter([(key.clone(), value.clone())]);
        serde_json::from_value::<Draft>(Value::Object(one)).is_ok()
    };
    let fields: Map<String, Value> = fields.into_iter().filter(known).collect();
    let draft: Draft = serde_json::from_value(Value::Object(fields)).ok()?;
    draft.prompt.is_some().then_some(draft)
}

/// Text chunks in front of the pixels, where every known program puts them, by their keys.
pub(crate) fn png_text<const N: usize>(bytes: &[u8], keys: [&str; N]) -> [Option<String>; N] {
    let limits = png::Limits { bytes: MAX_TEXT };
    match png::Decoder::new_with_limits(Cursor::new(bytes), limits).read_info() {
        Ok(reader) => keys.map(|key| text(reader.info(), key)),
        Err(_) => keys.map(|_| None),
    }
}

/// The text of a chunk, of whichever of the three kinds.
fn text(info: &png::Info<'_>, key: &str) -> Option<String> {
    let plain = |key: &str| {
        let chunk = info.uncompressed_latin1_text.iter().find(|t| t.keyword == key)?;
        Some(latin_1_or_utf_8(&chunk.text))
    };
    let squeezed = |key: &str| {
        let mut chunk = info.compressed_latin1_text.iter().find(|t| t.keyword == key)?.clone();
        chunk.decompress_text_with_limit(MAX_TEXT).ok()?;
        chunk.get_text().ok()
    };
    let international = |key: &str| {
        let mut chunk = info.utf8_text.iter().find(|t| t.keyword == key)?.clone();
        chunk.decompress_text_with_limit(MAX_TEXT).ok()?;
        chunk.get_text().ok()
    };
    international(key).or_else(|| plain(key)).or_else(|| squeezed(key))
}

/// The settings in a PNG: text chunks, or EXIF where there are none.
fn png_texts(bytes: &[u8]) -> exif::Texts {
    let [comment, json] = png_text(bytes, ["parameters", "easel"]);
    if comment.is_some() || json.is_some() {
        return exif::Texts { comment, json };
    }
    let limits = png::Limits { bytes: MAX_TEXT };
    let reader = png::Decoder::new_with_limits(Cursor::new(bytes), limits).read_info().ok();
    let raw = reader.and_then(|reader| reader.info().exif_metadata.as_ref().map(|raw| raw.to_vec()));
    raw.map(exif::read).unwrap_or_default()
}

/// tEXt is Latin-1 by the standard, but some programs write UTF-8 into it: text that is valid UTF-8 beyond
/// ASCII is taken as such, since no Latin-1 prose looks like that.
fn latin_1_or_utf_8(text: &str) -> String {
    let bytes: Option<Vec<u8>> = text.chars().map(|c| u8::try_from(u32::from(c)).ok()).collect();
    bytes.and_then(|b| String::from_utf8(b).ok()).unwrap_or_else(|| text.to_owned())
}

/// The EXIF of a JPEG or WebP.
fn exif_texts(bytes: &[u8]) -> exif::Texts {
    decode::exif(bytes).map(exif::read).unwrap_or_default()
}

#[cfg(test)]
#[path = "tests/inspect.rs"]
mod tests;
