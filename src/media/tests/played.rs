//! Tests of `played`: real files as FFmpeg wrote them for ComfyUI, and what is left of them after damage.

use super::*;
use crate::tests::random::Random;
use std::io::Cursor;

const SAVED: [&[u8]; 5] = [
    include_bytes!("played/saved.mp4"),
    include_bytes!("played/saved.webm"),
    include_bytes!("played/saved.flac"),
    include_bytes!("played/saved.mp3"),
    include_bytes!("played/saved.opus"),
];
const COMMENTED: &[u8] = include_bytes!("played/commented.mp4");
const WAV: &[u8] = include_bytes!("played/bare.wav");

fn seen(file: &[u8]) -> io::Result<Played> {
    look(Cursor::new(file), Format::of(file).unwrap())
}

#[test]
fn a_file_says_how_large_and_long_it_is_and_how_it_was_made() {
    let expected = [((64, 48), Some(1000)), ((64, 48), Some(1000)), ((0, 0), Some(100)), ((0, 0), None), ((0, 0), Some(100))];
    for (file, (size, duration)) in SAVED.iter().zip(expected) {
        let found = seen(file).unwrap();
        let name = Format::of(file).unwrap().name;
        assert_eq!(((found.width, found.height), found.duration_ms), (size, duration), "{name}");
        let comfy = found.comfy.unwrap();
        assert_eq!((comfy.prompt.as_str(), comfy.workflow.as_deref()), ("waves at dusk", Some("{\"nodes\": []}")), "{name}");
    }
    let comfy = seen(COMMENTED).unwrap().comfy.unwrap();
    assert_eq!((comfy.prompt.as_str(), comfy.workflow.as_deref()), ("waves at dusk", Some("{\"nodes\":[]}")));
    let wav = seen(WAV).unwrap();
    assert_eq!((wav.duration_ms, wav.comfy), (Some(100), None));
}

#[test]
fn a_webp_that_moves_holds_its_workflow() {
    let comfy = crate::comfy::read(include_bytes!("played/moving.webp")).unwrap();
    assert_eq!((comfy.prompt.as_str(), comfy.workflow.as_deref()), ("waves at dusk", Some("{\"nodes\": []}")));
}

#[test]
fn a_video_without_a_picture_is_none() {
    let mut deaf = SAVED[0].to_vec();
    let at = deaf.windows(4).rposition(|w| w == b"vide").unwrap();
    deaf[at..at + 4].copy_from_slice(b"soun");
    assert_eq!(seen(&deaf).unwrap_err().kind(), io::ErrorKind::InvalidData);
    let mut cut = SAVED[0].to_vec();
    cut.truncate(600);
    assert!(seen(&cut).is_err(), "its head is at its end");
}

/// What a file says of its own lengths is neither believed nor taken as memory.
#[test]
fn damaged_files_are_read_or_refused() {
    let mut random = Random(7);
    for file in SAVED.iter().copied().chain([COMMENTED, WAV]) {
        let format = Format::of(file).unwrap();
        for length in 0..file.len() {
            let _ = look(Cursor::new(&file[..length]), format);
        }
        for _ in 0..2000 {
            let _ = look(Cursor::new(&random.damaged(file)), format);
        }
    }
}
