//! Live terminals: bytes, numbers, keys, size, pace.

use super::{guarded, spawn, until};
use std::{
    collections::BTreeMap,
    fs::File,
    io,
    path::PathBuf,
    sync::Arc,
    time::{Duration, Instant},
};
use supervise::{
    Exit, NotTyped, Session, SessionState, Signal, Size,
    session::{Recorder, Segments, Sizes},
};

async fn session(script: &str) -> Session {
    let size = Size::default();
    Session::begin(spawn(&guarded(script, Some(size))).await, size, None).unwrap().0
}

/// Reads like a viewer who keeps up, from `from` to the end of the program: the bytes, and how many were skipped.
async fn read_all(session: &Session, from: u64) -> (Vec<u8>, u64) {
    let mut all = Vec::new();
    let dropped = read_into(session, from, |bytes| all.extend_from_slice(bytes)).await;
    (all, dropped)
}

async fn read_into(session: &Session, from: u64, mut take: impl FnMut(&[u8])) -> u64 {
    let (mut end, mut state) = (session.end(), session.state());
    let viewer = session.viewer();
    let (mut at, mut dropped) = (from, 0);
    viewer.has_seen(at);
    loop {
        let ended = *state.borrow_and_update() != SessionState::Running;
        end.borrow_and_update();
        loop {
            let piece = session.read(at, 64 * 1024);
            dropped += piece.from - at;
            at = piece.end();
            if piece.bytes.is_empty() {
                break;
            }
            take(&piece.bytes);
            viewer.has_seen(at);
        }
        if ended {
            return dropped;
        }
        tokio::select! {
            _ = end.changed() => {}
            _ = state.changed() => {}
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_byte_value_arrives_as_it_was_written() {
    // Raw, so that the terminal itself changes nothing.
    let script = "stty raw -echo; python3 -c 'import sys; sys.stdout.buffer.write(bytes(range(256)) * 64)'";
    let (bytes, dropped) = read_all(&session(script).await, 0).await;
    assert_eq!(dropped, 0);
    assert!(bytes == (0..=255u8).collect::<Vec<_>>().repeat(64), "{} bytes", bytes.len());
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_reach_the_program_and_its_exit_comes_after_its_last_byte() {
    let session = session("read -p 'Continue? [y/N] ' answer; stty size; echo \"said $answer\"; exit 5").await;
    let asked = || String::from_utf8_lossy(&session.read(0, 4096).bytes).contains("[y/N]");
    until("the question", Duration::from_secs(10), asked).await;
    session.resize(Size { cols: 77, rows: 11 });
    session.type_keys(b"yes\n".to_vec()).unwrap();
    let (bytes, _) = read_all(&session, 0).await;
    let text = String::from_utf8(bytes).unwrap();
    assert!(text.contains("11 77\r\n") && text.ends_with("said yes\r\n"), "{text:?}");
    assert!(matches!(*session.state().borrow(), SessionState::Ended { exit: Exit::Code(5), .. }));
    assert_eq!(session.type_keys(b"more".to_vec()), Err(NotTyped::Ended));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_viewer_who_was_cut_off_goes_on_at_his_byte() {
    let session = session("stty raw -echo; seq 1 60000").await;
    let (whole, dropped) = read_all(&session, 0).await;
    assert_eq!(dropped, 0);
    for cut in (0..whole.len()).step_by(3001) {
        let (rest, dropped) = read_all(&session, cut as u64).await;
        assert_eq!(dropped, 0);
        assert!(rest == whole[cut..], "cut at {cut}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_endless_program_is_paced_by_who_keeps_up_and_ends_at_a_key() {
    let session = session("yes").await;
    let reader = tokio::spawn({
        let session = session.clone();
        async move { read_into(&session, 0, |_| {}).await }
    });
    let begun = Instant::now();
    until("100 MB", Duration::from_secs(120), || *session.end().borrow() > 100_000_000).await;
    let rate = *session.end().borrow() as f64 / 1e6 / begun.elapsed().as_secs_f64();
    // A second viewer who never moves slows nobody down.
    let stalled = session.viewer();
    stalled.has_seen(0);
    tokio::time::sleep(Duration::from_millis(1200)).await;
    let at = *session.end().borrow();
    let since = Instant::now();
    until("50 MB more", Duration::from_secs(120), || *session.end().borrow() > at + 50_000_000).await;
    let with_stalled = 50.0 / since.elapsed().as_secs_f64();
    let told = Instant::now();
    session.type_keys(vec![3]).unwrap();
    let mut state = session.state();
    state.wait_for(|s| *s != SessionState::Running).await.unwrap();
    let took = told.elapsed();
    let dropped = reader.await.unwrap();
    assert!(with_stalled > rate / 2.0, "{rate:.0} MB/s alone, {with_stalled:.0} beside a stalled viewer");
    println!("yes: {rate:.0} MB/s to one viewer, {with_stalled:.0} MB/s beside a stalled one, Ctrl-C after {took:.0?}");
    assert_eq!(dropped, 0, "a viewer who keeps up misses nothing");
    assert!(took < Duration::from_secs(5), "{took:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_has_to_look() {
    let session = session("head -c 30000000 /dev/zero | tr '\\0' x; echo done").await;
    let mut state = session.state();
    state.wait_for(|s| *s != SessionState::Running).await.unwrap();
    let end = *session.end().borrow();
    assert!(end > 30_000_000);
    let late = session.read(20_000_000, usize::MAX);
    assert!(late.bytes.ends_with(b"done\r\n"));
    assert_eq!(late.end(), end);
    assert_eq!(session.read(0, 10).bytes, b"xxxxxxxxxx", "the beginning is kept too");
    session.signal(Signal::Kill);
}

/// Segments in a folder, called by the number of their first byte.
#[derive(Debug)]
struct Folder(PathBuf);

impl Segments for Folder {
    fn make(&self, start: u64) -> io::Result<File> {
        File::create_new(self.0.join(start.to_string()))
    }

    fn remove(&self, start: u64) -> io::Result<()> {
        std::fs::remove_file(self.0.join(start.to_string()))
    }
}

impl Folder {
    /// What lies there, by the number of its first byte.
    fn segments(&self) -> BTreeMap<u64, Vec<u8>> {
        let files = std::fs::read_dir(&self.0).unwrap().flatten();
        let read = |file: std::fs::DirEntry| Some((file.file_name().to_str()?.parse().ok()?, std::fs::read(file.path()).ok()?));
        files.filter_map(read).collect()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_transcript_that_turns_over_has_the_beginning_and_the_end_under_their_numbers() {
    let folder = tempfile::tempdir().unwrap();
    let sizes = Sizes { head: 20_000, segment: 500_000 };
    let recorder = Recorder::new(Arc::new(Folder(folder.path().into())), sizes).unwrap();
    let launch = guarded("stty raw -echo; seq -w 1000000 2999999", Some(Size::default()));
    let session = Session::begin(spawn(&launch).await, Size::default(), Some(recorder)).unwrap().0;
    let mut state = session.state();
    state.wait_for(|s| *s != SessionState::Running).await.unwrap();
    // Lines of eight bytes.
    let whole: Vec<u8> = (1_000_000..3_000_000).flat_map(|n: u32| format!("{n}\n").into_bytes()).collect();
    assert_eq!(*session.end().borrow(), whole.len() as u64);
    let folder = Folder(folder.path().into());
    // What goes is removed beside the terminal.
    until("the old segments to go", Duration::from_secs(10), || folder.segments().len() == 3).await;
    let segments = folder.segments();
    for (start, bytes) in &segments {
        let at = *start as usize;
        assert!(whole[at..at + bytes.len()] == bytes[..], "{start}");
    }
    let ends: Vec<u64> = segments.iter().map(|(start, bytes)| start + bytes.len() as u64).collect();
    let starts: Vec<u64> = segments.keys().copied().collect();
    assert!(starts[0] == 0 && ends[0] >= sizes.head);
    assert!(ends[1] == starts[2] && ends[2] == whole.len() as u64, "{starts:?}, {ends:?}");
    assert!(ends[1] - starts[1] >= sizes.segment);
    let kept: usize = segments.values().map(Vec::len).sum();
    assert!(kept as u64 <= sizes.head + 2 * sizes.segment + 3 * 32 * 1024, "{kept} bytes");
}
