//! A program that writes for ever: what it costs, who is slowed down, and that keys get through.

use crate::program::is_long;
use crate::terminal::client::{AtShell, Came, Viewer};
use std::time::{Duration, Instant};

/// Resident memory of a process, in bytes.
fn resident(pid: u32) -> u64 {
    let pages = std::fs::read_to_string(format!("/proc/{pid}/statm")).unwrap();
    pages.split(' ').nth(1).unwrap().parse::<u64>().unwrap() * 4096
}

#[tokio::test(flavor = "multi_thread")]
async fn a_flood_is_bounded_and_stalled_viewers_cost_the_others_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let AtShell { program, admin, session, mut typist } = AtShell::of_a_studio(folder.path()).await;
    typist.type_keys("yes 0123456789012345678901234567890123456789012345678901234567890123\n");
    let before = resident(program.pid());
    let (rounds, bytes) = if is_long() { (9, 100_000_000) } else { (9, 30_000_000) };
    let (mut alone, mut beside, mut kept, mut stalled) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    // In turn, and each compared with the one before: other work on the machine must not speak for the terminal.
    for _ in 0..rounds {
        drop(stalled);
        alone.push(tokio::task::block_in_place(|| rate(&mut typist, bytes)));
        // Ten who never acknowledge anything.
        stalled = (0..10).map(|_| admin.attach(&session, 0)).collect();
        beside.push(tokio::task::block_in_place(|| rate(&mut typist, bytes)));
        kept.push(beside[beside.len() - 1] / alone[alone.len() - 1]);
    }
    let grown = resident(program.pid()).saturating_sub(before);
    let (alone, beside, kept) = (median(&mut alone), median(&mut beside), median(&mut kept));
    println!("terminal to client {alone:.0} MB/s, {beside:.0} MB/s beside ten stalled viewers: {:.0} % kept", 100.0 * kept);
    println!("{} KiB more memory", grown >> 10);
    assert_eq!(typist.dropped, 0, "who keeps up misses nothing");
    assert!(grown < 16 << 20, "{grown} bytes more");
    assert!(kept > 0.9, "{alone:.0} MB/s alone, {beside:.0} beside stalled viewers");
    for viewer in &mut stalled {
        // They were sent what may be unacknowledged, and no more.
        viewer.socket.be_patient_for(Duration::from_millis(100));
        let mut got = 0;
        while let Ok(came) = viewer.next() {
            got += if let Came::Bytes(bytes) = came { bytes.len() } else { 0 };
        }
        assert!(got <= 100_000 + 32 * 1024, "{got} unacknowledged bytes");
    }
    let told = Instant::now();
    typist.type_keys("\u{3}echo $((1+1)) done\n");
    tokio::task::block_in_place(|| typist.until("2 done"));
    println!("Ctrl-C after {:.0?}", told.elapsed());
}

/// Reads so many bytes; MB/s.
fn rate(viewer: &mut Viewer, bytes: u64) -> f64 {
    let (begun, end) = (Instant::now(), viewer.at + bytes);
    while viewer.at < end {
        if let Came::Bytes(_) = viewer.next().unwrap() {
            viewer.acknowledge();
        }
    }
    bytes as f64 / 1e6 / begun.elapsed().as_secs_f64()
}

pub(super) fn median(values: &mut [f64]) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}
