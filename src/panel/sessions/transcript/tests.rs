//! Transcripts on a disk: written in small segments, read across them, and what kills and power cuts leave of them.

use super::*;
use proptest::prelude::*;
use std::{
    fs,
    path::Path,
    sync::Arc,
    time::{Duration, Instant},
};
use supervise::session::{Recorder, Sizes};

const SMALL: Sizes = Sizes { head: 1_000, segment: 32_000 };
/// Bytes of one write.
const BATCH: usize = 700;

/// The byte of a number: neighbours and segments differ.
fn byte(number: u64) -> u8 {
    (number.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 56) as u8
}

fn bytes(from: u64, to: u64) -> Vec<u8> {
    (from..to).map(byte).collect()
}

fn scene() -> (tempfile::TempDir, Beneath, SessionId) {
    let folder = tempfile::tempdir().unwrap();
    let beneath = Beneath::open(folder.path()).unwrap();
    (folder, beneath, SessionId::generate())
}

/// Writes so many bytes in batches.
fn write(folder: &Beneath, id: &SessionId, sizes: Sizes, end: u64) {
    let mut recorder = Recorder::new(Arc::new(Place::new(folder.clone(), id.clone())), sizes).unwrap();
    for from in (0..end).step_by(BATCH) {
        recorder.write(&bytes(from, end.min(from + BATCH as u64)));
    }
}

/// Everything from a number on: how much is dropped, and what comes, each byte looked at by its number.
fn read_on(transcript: &Transcript, from: u64) -> (u64, u64) {
    let (mut at, mut dropped, mut read) = (from, 0, 0);
    loop {
        let piece = transcript.read(at, 999).unwrap();
        dropped += piece.from - at.min(piece.from);
        assert!(piece.bytes == bytes(piece.from, piece.end()), "from {}", piece.from);
        if piece.bytes.is_empty() {
            return (dropped, read);
        }
        read += piece.bytes.len() as u64;
        at = piece.end();
    }
}

fn names(folder: &Path) -> Vec<String> {
    let mut names: Vec<String> = fs::read_dir(folder).unwrap().map(|e| e.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

#[test]
fn names_are_read_as_they_are_made_and_no_others() {
    for start in [0, 1, 1 << 20, u64::MAX] {
        assert_eq!(parse(&name("01ARZ3NDEKTSV4RRFFQ69G5FAV", start)), Some(("01ARZ3NDEKTSV4RRFFQ69G5FAV", start)));
    }
    assert_eq!(name("A", 0), "A.log");
    for odd in ["A", "A.log.1", "A.0.log", "A.01.log", "A.+1.log", "A.-1.log", "A.x.log", "A.1.2.log", "A..log", "A.1.txt"] {
        assert_eq!(parse(odd), None, "{odd}");
    }
}

#[test]
fn a_long_one_keeps_its_beginning_and_its_newest_bytes() {
    let (folder, beneath, id) = scene();
    let end = 1_000_001;
    write(&beneath, &id, SMALL, end);
    let begun = Instant::now();
    let size = || names(folder.path()).iter().map(|n| fs::metadata(folder.path().join(n)).unwrap().len()).sum::<u64>();
    // What goes is removed beside the terminal.
    while names(folder.path()).len() > 3 {
        assert!(begun.elapsed() < Duration::from_secs(10), "{:?} stay", names(folder.path()));
        std::thread::sleep(Duration::from_millis(5));
    }
    assert!(size() <= SMALL.head + 2 * SMALL.segment + 3 * BATCH as u64, "{} bytes stay", size());
    let transcript = Transcript::open(&beneath, &id).unwrap();
    assert_eq!(transcript.end(), end);
    let (dropped, read) = read_on(&transcript, 0);
    assert_eq!(dropped + read, end);
    assert_eq!(dropped, transcript.dropped(0));
    assert_eq!(read, size());
    assert!(dropped > 900_000);
    assert_eq!(transcript.read(0, 1_000).unwrap().bytes.len(), 1_000, "the beginning stays");
    assert_eq!(read_on(&transcript, end - SMALL.segment), (0, SMALL.segment), "the newest are whole");
    assert_eq!(read_on(&transcript, 500_000).0, transcript.dropped(500_000));
    assert_eq!(transcript.read(end + 9, 5).unwrap(), Piece { from: end, bytes: Vec::new() });
}

#[test]
fn who_reads_when_a_segment_goes_reads_on() {
    let (folder, beneath, id) = scene();
    write(&beneath, &id, SMALL, 60_000);
    let transcript = Transcript::open(&beneath, &id).unwrap();
    names(folder.path()).iter().for_each(|name| fs::remove_file(folder.path().join(name)).unwrap());
    assert_eq!(read_on(&transcript, 0), (0, 60_000));
    assert_eq!(Transcript::open(&beneath, &id).unwrap_err().kind(), io::ErrorKind::NotFound);
}

#[test]
fn one_of_an_earlier_version_is_one_file() {
    let (folder, beneath, id) = scene();
    fs::write(folder.path().join(format!("{}.log", id.as_str())), bytes(0, 5_000_000)).unwrap();
    let transcript = Transcript::open(&beneath, &id).unwrap();
    assert_eq!(read_on(&transcript, 0), (0, 5_000_000));
    assert_eq!(read_on(&transcript, 4_999_999), (0, 1));
}

#[test]
fn what_is_old_goes_with_all_its_segments_and_nothing_else_does() {
    let (folder, beneath, old) = scene();
    let (kept, tool) = (SessionId::generate(), beneath.folder("sketch").unwrap());
    write(&tool, &old, SMALL, 60_000);
    write(&tool, &kept, SMALL, 60_000);
    let stays = ["comfy.log".to_owned(), format!("{}.log.bak", old.as_str())];
    stays.iter().for_each(|name| fs::write(folder.path().join("sketch").join(name), "").unwrap());
    let listed = |name: &str| (old.as_str().to_owned(), name.to_owned());
    remove(&beneath, vec![listed("sketch"), listed("shell")]);
    let mut left = names(&folder.path().join("sketch"));
    left.retain(|name| !stays.contains(name));
    assert!(left.len() == 3 && left.iter().all(|name| name.starts_with(kept.as_str())), "{left:?}");
    assert_eq!(read_on(&Transcript::open(&tool, &kept).unwrap(), 0), (0, 60_000));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn whatever_a_kill_or_a_power_cut_leaves_a_byte_keeps_its_number(
        end in 0u64..9_000, segment in 500u64..3_000, ghost in any::<bool>(),
        // What is lost of the ends of files, as a power cut does; and whole files.
        cuts in prop::collection::vec(prop_oneof![Just(0u64), 0u64..4_000], 20), gone in prop::collection::vec(0u8..8, 20),
    ) {
        let (folder, beneath, id) = scene();
        let starts = std::iter::once(0).chain((100..end).step_by(segment as usize));
        for ((start, cut), gone) in starts.zip(cuts).zip(gone) {
            let stop = end.min(if start == 0 { 100 } else { start + segment });
            if start == 0 || gone > 0 {
                fs::write(folder.path().join(name(id.as_str(), start)), bytes(start, start.max(stop.saturating_sub(cut)))).unwrap();
            }
        }
        if ghost {
            // It was made, and nothing came into it.
            fs::write(folder.path().join(name(id.as_str(), end)), "").unwrap();
        }
        let transcript = Transcript::open(&beneath, &id).unwrap();
        prop_assert!(transcript.end() <= end);
        for from in [0, 1, 99, 100, end / 3, end / 2, end] {
            let (dropped, read) = read_on(&transcript, from);
            prop_assert_eq!(dropped, transcript.dropped(from));
            prop_assert_eq!(dropped + read, transcript.end().saturating_sub(from));
        }
    }
}
