//! The two EXIF fields that carry a recipe: `UserComment` with infotext, as A1111 writes it, and `MakerNote`
//! with Easel's JSON behind `Easel\0`; and all texts, among which others hide theirs. Knows TIFF structure only through the exif crate.

use exif::{Field, In, Reader, Tag, Value, experimental::Writer};

/// Marks a `MakerNote` as Easel's.
const MAKER: &[u8] = b"Easel\0";
/// Character codes of `UserComment` (EXIF 2.32, table 9).
const UNICODE: &[u8] = b"UNICODE\0";
const ASCII: &[u8] = b"ASCII\0\0\0";
const UNDEFINED: &[u8] = &[0; 8];

/// Texts found in EXIF.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Texts {
    /// `UserComment`, decoded.
    pub(crate) comment: Option<String>,
    /// Easel's own `MakerNote`.
    pub(crate) json: Option<String>,
}

/// EXIF (a TIFF structure, big-endian) with these texts.
pub(crate) fn write(comment: Option<&str>, json: &str) -> Vec<u8> {
    let field = |tag, bytes| Field { tag, ifd_num: In::PRIMARY, value: Value::Undefined(bytes, 0) };
    let mut fields = vec![field(Tag::MakerNote, [MAKER, json.as_bytes()].concat())];
    if let Some(comment) = comment {
        fields.push(field(Tag::UserComment, user_comment(comment)));
    }
    let mut writer = Writer::new();
    fields.iter().for_each(|f| writer.push_field(f));
    let mut out = std::io::Cursor::new(Vec::new());
    writer.write(&mut out, false).expect("two small fields fit a TIFF structure in memory");
    out.into_inner()
}

/// ASCII where that is enough, otherwise UTF-16 big-endian as A1111 writes it.
fn user_comment(text: &str) -> Vec<u8> {
    if text.is_ascii() {
        [ASCII, text.as_bytes()].concat()
    } else {
        UNICODE.iter().copied().chain(text.encode_utf16().flat_map(u16::to_be_bytes)).collect()
    }
}

/// The texts in a raw EXIF block; damaged EXIF holds none.
pub(crate) fn read(raw: Vec<u8>) -> Texts {
    let Ok(exif) = Reader::new().read_raw(raw) else { return Texts::default() };
    let bytes = |tag| match exif.get_field(tag, In::PRIMARY).map(|f| &f.value) {
        Some(Value::Undefined(bytes, _)) => Some(bytes.as_slice()),
        _ => None,
    };
    Texts {
        comment: bytes(Tag::UserComment).and_then(decode_comment),
        json: bytes(Tag::MakerNote).and_then(|b| b.strip_prefix(MAKER)).and_then(|b| String::from_utf8(b.to_vec()).ok()),
    }
}

/// All plain texts in a raw EXIF block.
pub(crate) fn plain(raw: Vec<u8>) -> Vec<String> {
    let Ok(exif) = Reader::new().read_raw(raw) else { return Vec::new() };
    let texts = exif.fields().filter_map(|field| match &field.value {
        Value::Ascii(texts) => Some(texts),
        _ => None,
    });
    texts.flatten().filter_map(|text| String::from_utf8(text.clone()).ok()).collect()
}

fn decode_comment(bytes: &[u8]) -> Option<String> {
    let (code, text) = bytes.split_at_checked(8)?;
    let text = match code {
        UNICODE => utf16(text),
        ASCII | UNDEFINED => String::from_utf8_lossy(text).into_owned(),
        _ => return None,
    };
    Some(text.trim_end_matches('\0').to_owned())
}

/// UTF-16 of either byte order: programs disagree on whether the order is the TIFF header's, so the one that
/// puts more zero bytes where ASCII has them is taken. A byte order mark decides at once.
fn utf16(bytes: &[u8]) -> String {
    let zeros = |offset: usize| bytes.iter().skip(offset).step_by(2).filter(|b| **b == 0).count();
    let (bytes, little) = match bytes {
        [0xff, 0xfe, rest @ ..] => (rest, true),
        [0xfe, 0xff, rest @ ..] => (rest, false),
        _ => (bytes, zeros(1) > zeros(0)),
    };
    let units = bytes.as_chunks::<2>().0.iter().map(|b| if little { u16::from_le_bytes(*b) } else { u16::from_be_bytes(*b) });
    char::decode_utf16(units).map(|c| c.unwrap_or(char::REPLACEMENT_CHARACTER)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_come_back() {
        for text in ["plain", "über 山水 🜁", ""] {
            let found = read(write(Some(text), "{\"a\":1}"));
            assert_eq!(found, Texts { comment: Some(text.into()), json: Some("{\"a\":1}".into()) });
        }
    }

    #[test]
    fn comments_of_other_programs_are_read() {
        let little: Vec<u8> = UNICODE.iter().copied().chain("a cat, 猫".encode_utf16().flat_map(u16::to_le_bytes)).collect();
        assert_eq!(decode_comment(&little).as_deref(), Some("a cat, 猫"));
        assert_eq!(decode_comment(b"\0\0\0\0\0\0\0\0hello\0\0").as_deref(), Some("hello"));
        assert_eq!(decode_comment(b"JIS\0\0\0\0\0xx"), None);
        assert_eq!(decode_comment(b"short"), None);
    }
}
