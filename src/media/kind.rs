//! What a file is by its first bytes, of all that a gallery shows: pictures, videos and sounds. What a file is called is never
//! looked at. Knows no pixel and no length.

use image::ImageFormat;

/// So many first bytes of a file are enough.
pub const HEAD: usize = 64;

/// How a file is looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// As pixels; it may move.
    Picture,
    /// It is played, and has pixels.
    Video,
    /// It is played, and has none.
    Sound,
}

impl Kind {
    /// Its name in the API.
    pub fn name(self) -> &'static str {
        match self {
            Kind::Picture => "picture",
            Kind::Video => "video",
            Kind::Sound => "sound",
        }
    }
}

/// What a gallery shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Format {
    /// How it is looked at.
    pub kind: Kind,
    /// Media type.
    pub mime: &'static str,
    /// What its name ends in.
    pub extension: &'static str,
    /// As people call it.
    pub name: &'static str,
}

const fn format(kind: Kind, mime: &'static str, extension: &'static str, name: &'static str) -> Format {
    Format { kind, mime, extension, name }
}

const PNG: Format = format(Kind::Picture, "image/png", "png", "PNG");
const JPEG: Format = format(Kind::Picture, "image/jpeg", "jpg", "JPEG");
const WEBP: Format = format(Kind::Picture, "image/webp", "webp", "WebP");
const GIF: Format = format(Kind::Picture, "image/gif", "gif", "GIF");
const MP4: Format = format(Kind::Video, "video/mp4", "mp4", "MP4");
const WEBM: Format = format(Kind::Video, "video/webm", "webm", "WebM");
const FLAC: Format = format(Kind::Sound, "audio/flac", "flac", "FLAC");
const MP3: Format = format(Kind::Sound, "audio/mpeg", "mp3", "MP3");
const OPUS: Format = format(Kind::Sound, "audio/ogg; codecs=opus", "opus", "Opus");
const VORBIS: Format = format(Kind::Sound, "audio/ogg", "ogg", "Ogg");
const WAV: Format = format(Kind::Sound, "audio/wav", "wav", "WAV");
const ALL: [Format; 11] = [PNG, JPEG, WEBP, GIF, MP4, WEBM, FLAC, MP3, OPUS, VORBIS, WAV];

/// What MP4s call themselves that browsers play. HEIC and AVIF are files of the same build, and QuickTime's are played by few.
const BRANDS: [&[u8; 4]; 14] = [
    b"isom", b"iso2", b"iso3", b"iso4", b"iso5", b"iso6", b"iso7", b"iso8", b"iso9", b"mp41", b"mp42", b"avc1", b"dash", b"M4V ",
];

impl Format {
    /// By a file's first bytes; none of what a gallery does not show.
    pub fn of(head: &[u8]) -> Option<Format> {
        let at = |at: usize, bytes: &[u8]| head.get(at..).is_some_and(|rest| rest.starts_with(bytes));
        match image::guess_format(head) {
            Ok(ImageFormat::Png) => return Some(PNG),
            Ok(ImageFormat::Jpeg) => return Some(JPEG),
            Ok(ImageFormat::WebP) => return Some(WEBP),
            Ok(ImageFormat::Gif) => return Some(GIF),
            _ => {}
        }
        // The kind of document stands among the first entries of the head.
        let is_webm = || head.windows(7).any(|entry| entry == b"\x42\x82\x84webm");
        match () {
            () if at(4, b"ftyp") && BRANDS.iter().any(|brand| at(8, *brand)) => Some(MP4),
            () if at(0, b"\x1a\x45\xdf\xa3") && is_webm() => Some(WEBM),
            () if at(0, b"fLaC") => Some(FLAC),
            () if at(0, b"OggS") && at(28, b"OpusHead") => Some(OPUS),
            () if at(0, b"OggS") && at(28, b"\x01vorbis") => Some(VORBIS),
            () if at(0, b"RIFF") && at(8, b"WAVE") => Some(WAV),
            () if at(0, b"ID3") || is_mp3_frame(head) => Some(MP3),
            () => None,
        }
    }

    /// By the media type that a row or an answer has.
    pub fn of_mime(mime: &str) -> Option<Format> {
        ALL.into_iter().find(|format| format.mime == mime)
    }
}

/// Whether these bytes begin a frame of MPEG audio, layer III.
pub(crate) fn is_mp3_frame(bytes: &[u8]) -> bool {
    matches!(bytes, [0xff, second, third, ..] if second & 0xe6 == 0xe2 && second & 0x18 != 0x08 && third & 0xf0 != 0xf0)
}

/// Whether a picture moves.
pub fn moves(file: &[u8]) -> bool {
    match Format::of(file) {
        Some(GIF) => true,
        // The flag of the extended header.
        Some(WEBP) => file.get(12..16) == Some(b"VP8X") && file.get(20).is_some_and(|flags| flags & 2 != 0),
        Some(PNG) => {
            let read = png::Decoder::new(std::io::Cursor::new(file)).read_info();
            read.is_ok_and(|reader| reader.info().animation_control().is_some())
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_what_its_first_bytes_say() {
        let of = |bytes: &[u8]| Format::of(bytes).map(|format| (format.extension, format.kind));
        let files: [(&[u8], _); 10] = [
            (include_bytes!("tests/played/saved.mp4"), ("mp4", Kind::Video)),
            (include_bytes!("tests/played/commented.mp4"), ("mp4", Kind::Video)),
            (include_bytes!("tests/played/saved.webm"), ("webm", Kind::Video)),
            (include_bytes!("tests/played/moving.webp"), ("webp", Kind::Picture)),
            (include_bytes!("tests/played/moving.gif"), ("gif", Kind::Picture)),
            (include_bytes!("tests/played/moving.png"), ("png", Kind::Picture)),
            (include_bytes!("tests/played/saved.flac"), ("flac", Kind::Sound)),
            (include_bytes!("tests/played/saved.mp3"), ("mp3", Kind::Sound)),
            (include_bytes!("tests/played/saved.opus"), ("opus", Kind::Sound)),
            (include_bytes!("tests/played/bare.wav"), ("wav", Kind::Sound)),
        ];
        for (file, expected) in files {
            assert_eq!(of(&file[..HEAD]), Some(expected));
            assert_eq!(moves(file), expected.1 == Kind::Picture, "{}", expected.0);
            let format = Format::of(file).unwrap();
            assert_eq!(Format::of_mime(format.mime), Some(format));
        }
        let others: [&[u8]; 11] = [
            b"",
            b"<svg xmlns='http://www.w3.org/2000/svg'>",
            b"<!doctype html><script>",
            b"\0\0\0\x18ftypheic\0\0\0\0mif1",
            b"\0\0\0\x18ftypavif\0\0\0\0iso8",
            b"\0\0\0\x14ftypqt  ",
            b"\x1a\x45\xdf\xa3\x8b\x42\x82\x88matroska",
            b"OggS\0\x02\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\x01\x2a\x80theora",
            b"RIFF\0\0\0\0AVI LIST",
            b"#EXTM3U\nfile:///etc/passwd",
            b"PK\x03\x04",
        ];
        for other in others {
            assert_eq!(of(other), None, "{}", other.escape_ascii());
        }
    }

    #[test]
    fn what_stands_still_does_not_move() {
        for format in [ImageFormat::Png, ImageFormat::WebP, ImageFormat::Jpeg] {
            let mut file = std::io::Cursor::new(Vec::new());
            image::DynamicImage::new_rgb8(2, 2).write_to(&mut file, format).unwrap();
            assert!(!moves(&file.into_inner()), "{format:?}");
        }
    }
}
