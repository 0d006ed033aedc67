//! A program that writes more than is kept: the panel is killed while it does, and the next one still has the beginning and
//! the newest bytes, each under its number, and says what is missing. Knows what is promised of sizes.

use super::client::{Admin, AtShell, Came, restarted};
use reqwest::Method;
use std::{
    fs,
    path::Path,
    time::{Duration, Instant},
};

const MIB: u64 = 1 << 20;
/// Beginning and newest bytes that are kept at least.
const KEPT: (u64, u64) = (MIB, 32 * MIB);
/// And at most, but for a batch or so of each of three files.
const MOST: u64 = KEPT.0 + 2 * KEPT.1 + 3 * 32 * 1024;
/// Bytes of a line: eight digits and what a terminal makes of a line's end.
const LINE: u64 = 10;

/// The bytes from one number on of a flood whose first line begins at `base`.
fn flood(base: u64, from: u64, length: usize) -> Vec<u8> {
    let first = (from - base) / LINE;
    let lines = length as u64 / LINE + 2;
    let text: Vec<u8> = (first..first + lines).flat_map(|n| format!("{:08}\r\n", n + 1).into_bytes()).collect();
    let skip = ((from - base) % LINE) as usize;
    text[skip..skip + length].to_vec()
}

/// A session that writes without an end, killed with its panel; and how many bytes of it were told of.
async fn killed_in_a_flood(folder: &Path) -> (String, u64) {
    let AtShell { mut program, admin, session, mut typist } = AtShell::of_a_studio(folder).await;
    typist.type_keys("stty -echo; PS1=; seq -w 1 99999999\n");
    typist.until("00000001\r\n");
    // Nobody looks, so that nobody is waited for.
    drop(typist);
    let begun = Instant::now();
    // More than two segments can hold, so that the first of them is gone.
    let told = loop {
        let told = admin.get(&format!("/sessions/{session}")).await["bytes"].as_u64().unwrap();
        if told > 70 * MIB {
            break told;
        }
        assert!(begun.elapsed() < Duration::from_secs(120), "{told} bytes only");
        tokio::time::sleep(Duration::from_millis(10)).await;
    };
    program.kill();
    (session, told)
}

/// What a new viewer gets to its end: pieces by the number of their first byte, the end, and how much he is told is missing.
fn watched(admin: &Admin, session: &str) -> (Vec<(u64, Vec<u8>)>, u64, u64) {
    let (mut viewer, mut pieces) = (admin.attach(session, 0), Vec::new());
    loop {
        let at = viewer.at;
        match viewer.next().unwrap() {
            Came::Bytes(bytes) => {
                pieces.push((at, bytes));
                viewer.acknowledge();
            }
            Came::Word(word) if word["kind"] == "ended" => return (pieces, viewer.at, viewer.dropped),
            Came::Word(_) => {}
            Came::Closed => panic!("closed before the end"),
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_flood_that_was_killed_keeps_its_beginning_and_its_newest_bytes() {
    let folder = tempfile::tempdir().unwrap();
    let (session, told) = killed_in_a_flood(folder.path()).await;
    let program = restarted(folder.path());
    let admin = Admin::log_in(&program).await;

    // A viewer gets the beginning, is told of the gap, and gets the rest.
    let (pieces, end, dropped) = tokio::task::block_in_place(|| watched(&admin, &session));
    let kept: u64 = pieces.iter().map(|(_, bytes)| bytes.len() as u64).sum();
    println!("{end} bytes, {told} of them told of before the kill; {dropped} dropped");
    assert!(end >= told, "{told} bytes were told of, {end} are there");
    assert_eq!(dropped + kept, end);
    assert!(dropped > 0 && kept <= MOST && kept >= KEPT.0 + KEPT.1, "{kept} bytes kept");
    let first = pieces[0].1.windows(LINE as usize).position(|line| line == b"00000001\r\n");
    let base = first.expect("the flood begins in the first piece") as u64;
    for (from, bytes) in &pieces[1..] {
        assert!(flood(base, *from, bytes.len()) == *bytes, "from {from}");
    }
    let files = fs::read_dir(program.data().join("logs/shell")).unwrap();
    assert_eq!(files.map(|file| file.unwrap().metadata().unwrap().len()).sum::<u64>(), kept);

    // Who had seen what is gone now is told how much he missed.
    let mut late = admin.attach(&session, 2 * MIB);
    while late.dropped == 0 {
        late.next().unwrap();
    }
    assert!(late.dropped < dropped && late.at - late.dropped == 2 * MIB, "{} at {}", late.dropped, late.at);

    // The file says at once that something is missing, and where.
    let file = async |from: u64| {
        let answer = admin.ask(Method::GET, &format!("/sessions/{session}/transcript?from={from}")).await;
        answer.bytes().await.unwrap()
    };
    let first = format!("[{dropped} bytes of this transcript are not kept; a line like this is in their place.]\r\n");
    let whole = file(0).await;
    let start = late.at;
    let place = format!("\r\n[{dropped} bytes are not kept here; what follows begins at byte {start}.]\r\n");
    let head = (start - dropped) as usize;
    assert!(whole.starts_with(first.as_bytes()));
    assert!(whole[first.len() + head..].starts_with(place.as_bytes()));
    assert_eq!(whole.len() as u64, kept + (first.len() + place.len()) as u64);
    assert!(whole.ends_with(&flood(base, start, (end - start) as usize)));
    // The newest bytes are byte for byte.
    assert!(file(end - KEPT.1).await[..] == flood(base, end - KEPT.1, KEPT.1 as usize));
    assert!(file(end).await.is_empty());
}
