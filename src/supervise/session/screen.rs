//! Reads what a terminal shows and hands it on: at once after a rest, in batches in a flood. The kernel gives at most
//! 4 KiB a read, and whoever is told of each of them does nothing but wake up. Knows no viewer and no transcript.

use crate::terminal::Screen;
use std::{
    io::{self, Read},
    time::{Duration, Instant},
};

/// Bytes of a batch, at most.
pub(super) const BATCH: usize = 32 * 1024;
/// The most that the kernel gives at once; a batch with less room than this is full.
const READ: usize = 4 * 1024;
/// Time between two batches, unless one is full before. What comes after a longer rest, as the echo of a key does, is
/// handed on at once.
const REST: Duration = Duration::from_millis(2);

/// Where bytes come from, and whether there are any.
pub(super) trait Source {
    /// Reads some; waits for the first.
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize>;

    /// Waits until there are some or an end, at most so long. False: there are none.
    fn comes_within(&mut self, time: Duration) -> bool;
}

impl Source for Screen {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        Read::read(self, into)
    }

    fn comes_within(&mut self, time: Duration) -> bool {
        Screen::comes_within(self, time)
    }
}

/// Reads to the end, and hands each batch on.
pub(super) fn read_to_end(source: &mut impl Source, mut take: impl FnMut(&[u8])) {
    let mut batch = vec![0; BATCH];
    let mut due = Instant::now();
    loop {
        let (have, ended) = gather(source, &mut batch, due);
        if have > 0 {
            take(&batch[..have]);
        }
        if ended {
            return;
        }
        due = Instant::now() + REST;
    }
}

/// Fills a batch that is not handed on before `due`, unless it is full; its bytes, and whether they are the last.
fn gather(source: &mut impl Source, batch: &mut [u8], due: Instant) -> (usize, bool) {
    let mut have = 0;
    loop {
        match source.read(&mut batch[have..]) {
            Err(e) if e.kind() == io::ErrorKind::Interrupted => continue,
            // A terminal whose last program is gone answers EIO.
            Ok(0) | Err(_) => return (have, true),
            Ok(n) => have += n,
        }
        let rest = due.saturating_duration_since(Instant::now());
        if batch.len() - have < READ || rest.is_zero() || !source.comes_within(rest) {
            return (have, false);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::VecDeque;

    /// Pieces, each after a pause; then the end.
    struct Scripted(VecDeque<(Duration, Vec<u8>)>);

    impl Source for Scripted {
        fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
            let Some((pause, bytes)) = self.0.pop_front() else { return Ok(0) };
            std::thread::sleep(pause);
            into[..bytes.len()].copy_from_slice(&bytes);
            Ok(bytes.len())
        }

        fn comes_within(&mut self, time: Duration) -> bool {
            let pause = self.0.front().map_or(Duration::ZERO, |(pause, _)| *pause);
            std::thread::sleep(pause.min(time));
            if let Some((left, _)) = self.0.front_mut() {
                *left = left.saturating_sub(time);
            }
            pause <= time
        }
    }

    fn batches(pieces: impl IntoIterator<Item = (Duration, Vec<u8>)>) -> Vec<Vec<u8>> {
        let mut batches = Vec::new();
        read_to_end(&mut Scripted(pieces.into_iter().collect()), |batch| batches.push(batch.to_vec()));
        batches
    }

    #[test]
    fn a_flood_comes_in_few_batches_and_whole() {
        let pieces: Vec<_> = (0..200u8).map(|i| (Duration::ZERO, vec![i; 4095])).collect();
        let all: Vec<u8> = pieces.iter().flat_map(|(_, bytes)| bytes.clone()).collect();
        let batches = batches(pieces);
        assert!(batches.concat() == all);
        assert!(batches.iter().all(|b| b.len() <= BATCH));
        assert!(batches.len() <= 100, "{} batches of 200 reads", batches.len());
    }

    #[test]
    fn after_a_rest_nothing_waits() {
        let pieces = (0..5u8).map(|i| (REST * 3, vec![i]));
        assert_eq!(batches(pieces), [[0], [1], [2], [3], [4]]);
    }
}
