//! Frames as servers and browsers may send them, byte by byte over real sockets.

use super::*;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

async fn pair() -> (TcpStream, TcpStream) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let (one, two) = tokio::join!(TcpStream::connect(listener.local_addr().unwrap()), listener.accept());
    (one.unwrap(), two.unwrap().0)
}

/// A browser of Zoe's, ComfyUI, and what carries between them. `first` was read of ComfyUI's end already.
async fn carried(first: &[u8], every: Duration) -> (TcpStream, TcpStream, JoinHandle<Result<(), Error>>) {
    let ((browser, outer), (tool, inner)) = (pair().await, pair().await);
    let (run, profile) = (Arc::new(Run::new()), ProfileId::parse("zoe").unwrap());
    let now = std::time::Instant::now();
    run.owners().reserve("hers", &profile, 1, now).unwrap();
    run.owners().reserve("his", &ProfileId::parse("mateo").unwrap(), 1, now).unwrap();
    let owner = Owner::of(&profile);
    let ear = Ear { run, profile, owner, address: "127.0.0.1:9".parse().unwrap() };
    let first = Bytes::copy_from_slice(first);
    let carrying = tokio::spawn(ear.carry((outer, Bytes::new()), (inner, first), every));
    (browser, tool, carrying)
}

const SELDOM: Duration = Duration::from_secs(60);

/// A frame as a server writes it: first byte, payload.
fn frame(first: u8, payload: &[u8]) -> Vec<u8> {
    [&[first, u8::try_from(payload.len()).unwrap()], payload].concat()
}

/// The same as a browser does, masked.
fn masked(first: u8, payload: &[u8]) -> Vec<u8> {
    let mask = [7, 1, 9, 3];
    let length = 0x80 | u8::try_from(payload.len()).unwrap();
    let payload = payload.iter().zip(mask.iter().cycle()).map(|(byte, mask)| byte ^ mask);
    [first, length].into_iter().chain(mask).chain(payload).collect()
}

async fn read(from: &mut TcpStream) -> (u8, Vec<u8>) {
    let mut head = [0; 2];
    timeout(Duration::from_secs(5), from.read_exact(&mut head)).await.expect("a frame").unwrap();
    let mut payload = vec![0; usize::from(head[1])];
    from.read_exact(&mut payload).await.unwrap();
    (head[0], payload)
}

fn starts(prompt: &str) -> String {
    format!(r#"{{"type":"execution_start","data":{{"prompt_id":"{prompt}"}}}}"#)
}

#[tokio::test]
async fn a_message_in_pieces_is_read_whole_before_it_is_told() {
    let (hers, his) = (starts("hers"), starts("his"));
    let (begin, end) = hers.as_bytes().split_at(9);
    // The other's first, in pieces, read with ComfyUI's agreement already; then hers, with a ping in its midst.
    let (first, rest) = his.as_bytes().split_at(20);
    let early = [frame(0x01, first), frame(0x80, rest), frame(0x01, begin)].concat();
    let (mut browser, mut tool, _carrying) = carried(&early, SELDOM).await;
    tool.write_all(&[frame(0x89, b"?"), frame(0x80, end)].concat()).await.unwrap();
    assert_eq!(read(&mut browser).await, (0x81, hers.clone().into_bytes()));
    // Previews follow her prompt's beginning, and no other's.
    let picture = [0, 0, 0, 1, 0, 0, 0, 1, 0xff, 0xd8];
    tool.write_all(&frame(0x82, &picture)).await.unwrap();
    assert_eq!(read(&mut browser).await, (0x82, picture.to_vec()));
    tool.write_all(&[frame(0x81, his.as_bytes()), frame(0x82, &picture), frame(0x81, hers.as_bytes())].concat()).await.unwrap();
    assert_eq!(read(&mut browser).await.1, hers.into_bytes(), "the picture in between was his");
}

#[tokio::test]
async fn a_browser_says_its_features_and_is_pinged_when_nothing_is_told() {
    let (mut browser, mut tool, _carrying) = carried(b"", Duration::from_millis(30)).await;
    assert_eq!(read(&mut browser).await, (0x89, Vec::new()));
    let flags = br#"{"type":"feature_flags","data":{"a":true}}"#;
    let (begin, end) = flags.split_at(7);
    let sent = [masked(0x81, b"{\"type\":\"other\"}"), masked(0x82, b"bytes"), masked(0x01, begin), masked(0x80, end)].concat();
    browser.write_all(&sent).await.unwrap();
    let mut head = [0; 6];
    tool.read_exact(&mut head).await.unwrap();
    assert_eq!((head[0], usize::from(head[1] & 0x7f)), (0x81, flags.len()), "the first thing that ComfyUI hears");
    let mut said = vec![0; flags.len()];
    tool.read_exact(&mut said).await.unwrap();
    said.iter_mut().zip(head[2..].iter().cycle()).for_each(|(byte, mask)| *byte ^= mask);
    assert_eq!(said, flags);
}

#[tokio::test]
async fn what_is_no_websocket_ends_both_sides() {
    // Compressed without an agreement, a kind that does not exist, unmasked from a browser, longer than is read.
    let long = [&[0x82, 0xff][..], &(SAID_MAX as u64 + 1).to_be_bytes(), &[0; 4]].concat();
    for (from_tool, bytes) in [(true, frame(0xc1, b"x")), (true, frame(0x83, b"x")), (false, frame(0x81, b"x")), (false, long)] {
        let (mut browser, mut tool, carrying) = carried(b"", SELDOM).await;
        let speaker = if from_tool { &mut tool } else { &mut browser };
        speaker.write_all(&bytes).await.unwrap();
        let ended = timeout(LAST * 2, carrying).await.expect("it ends").unwrap();
        assert!(ended.is_err(), "{bytes:?}");
    }
}

/// A frame of any length as a server writes it.
fn long(first: u8, payload: &[u8]) -> Vec<u8> {
    [&[first, 127][..], &(payload.len() as u64).to_be_bytes(), payload].concat()
}

#[tokio::test]
async fn a_browser_that_reads_nothing_holds_comfyui_up_for_nobody() {
    let (mut browser, mut tool, carrying) = carried(b"", SELDOM).await;
    tool.write_all(&frame(0x81, starts("hers").as_bytes())).await.unwrap();
    let mut picture = vec![0xff; 1024 * 1024];
    picture[..8].copy_from_slice(&[0, 0, 0, 1, 0, 0, 0, 1]);
    let pictures = long(0x82, &picture).repeat(64);
    timeout(Duration::from_secs(20), tool.write_all(&pictures)).await.expect("it is read").unwrap();
    // Of the pictures the newest is left; the next text comes behind it.
    tool.write_all(&frame(0x81, starts("hers").as_bytes())).await.unwrap();
    assert!(!carrying.is_finished());
    assert_eq!(read(&mut browser).await.0, 0x81, "what came first");

    // What must not be lost has its limit, and then the browser connects anew.
    let text = starts("hers")
        .replace("execution_start", "executed")
        .replace("}}", &format!(r#","output":"{}"}}}}"#, "x".repeat(65_536)));
    let texts = long(0x81, text.as_bytes()).repeat(256);
    let _ = timeout(Duration::from_secs(20), tool.write_all(&texts)).await.expect("it is read, or over");
    timeout(LAST * 3, carrying).await.expect("it ends").unwrap().unwrap();
}
