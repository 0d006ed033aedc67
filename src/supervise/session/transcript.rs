//! The file of what a terminal showed. Written before anybody is told of the bytes, so that what was seen is in it, also
//! after the panel was killed. Knows no terminal.
//!
//! What a program that never ends writes must not fill the disk, and what is looked for is how it began and what came before its
//! end. So the beginning is kept, and of the rest the last part: when a file is full, the second half of its rest takes the place
//! of the first.

use std::{fs::File, io, os::unix::fs::FileExt as _};

/// Bytes of a transcript, at most.
pub const TRANSCRIPT_BYTES: u64 = 64 << 20;
/// Of them, the beginning that stays.
const HEAD: u64 = 16 << 20;
/// Where bytes were left out.
const GAP: &[u8] = b"\r\n[Here the transcript leaves out what was neither at its beginning nor among its last.]\r\n";
/// Bytes moved at once.
const PIECE: usize = 1 << 20;

pub(super) struct Transcript {
    file: File,
    /// Bytes in the file.
    length: u64,
    head: u64,
    most: u64,
    /// The disk has refused; what was written stays.
    failed: bool,
}

impl Transcript {
    pub(super) fn new(file: File) -> Transcript {
        Transcript::with_limits(file, HEAD, TRANSCRIPT_BYTES)
    }

    fn with_limits(file: File, head: u64, most: u64) -> Transcript {
        Transcript { file, length: 0, head, most, failed: false }
    }

    pub(super) fn write(&mut self, bytes: &[u8]) {
        if self.failed {
            return;
        }
        if let Err(e) = self.append(bytes) {
            // The live terminal goes on.
            tracing::warn!("a transcript cannot be written any further: {e}");
            self.failed = true;
        }
    }

    fn append(&mut self, mut bytes: &[u8]) -> io::Result<()> {
        while !bytes.is_empty() {
            if self.length >= self.most {
                self.make_room()?;
            }
            let (now, rest) = bytes.split_at(bytes.len().min(usize::try_from(self.most - self.length).unwrap_or(usize::MAX)));
            self.file.write_all_at(now, self.length)?;
            self.length += now.len() as u64;
            bytes = rest;
        }
        Ok(())
    }

    /// Leaves out the first half of what is not the beginning.
    fn make_room(&mut self) -> io::Result<()> {
        let mut from = self.head + (self.most - self.head) / 2;
        self.file.write_all_at(GAP, self.head)?;
        let mut to = self.head + GAP.len() as u64;
        let mut piece = vec![0; PIECE];
        while from < self.length {
            let n = piece.len().min(usize::try_from(self.length - from).unwrap_or(PIECE));
            self.file.read_exact_at(&mut piece[..n], from)?;
            self.file.write_all_at(&piece[..n], to)?;
            (from, to) = (from + n as u64, to + n as u64);
        }
        self.file.set_len(to)?;
        self.length = to;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_beginning_and_the_last_are_kept() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.log");
        let file = File::options().read(true).write(true).create_new(true).open(&path).unwrap();
        let mut transcript = Transcript::with_limits(file, 1_000, 4_000);
        let mut all = Vec::new();
        for i in 0..2_000 {
            let line = format!("line {i}\r\n");
            transcript.write(line.as_bytes());
            all.extend(line.into_bytes());
            let written = std::fs::read(&path).unwrap();
            assert!(written.len() <= 4_000 && written[..all.len().min(1_000)] == all[..all.len().min(1_000)], "{i}");
            let last = written.len().min(1_400);
            assert!(written.ends_with(&all[all.len() - last..]) || all.len() < 4_000, "{i}: the last {last} bytes");
        }
        let text = String::from_utf8(std::fs::read(&path).unwrap()).unwrap();
        assert_eq!(text.matches("leaves out").count(), 1);
    }

    #[test]
    fn one_piece_that_is_larger_than_the_file_is_cut_too() {
        let file = tempfile::tempfile().unwrap();
        let mut transcript = Transcript::with_limits(file.try_clone().unwrap(), 100, 1_000);
        let all: Vec<u8> = (0..10_000u32).map(|i| i as u8).collect();
        transcript.write(&all);
        let length = file.metadata().unwrap().len();
        assert!(length <= 1_000, "{length}");
        let mut last = vec![0; 300];
        file.read_exact_at(&mut last, length - 300).unwrap();
        assert!(last == all[all.len() - 300..]);
    }
}
