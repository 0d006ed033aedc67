//! The file of what a terminal showed. Written before anybody is told of the bytes, so that what was seen is in it, also
//! after the panel was killed. Knows no terminal.

use std::{fs::File, io::Write as _};

/// A transcript is cut here: what a program that never ends writes must not fill the disk.
pub const TRANSCRIPT_BYTES: u64 = 64 << 20;
const TRANSCRIPT_FULL: &[u8] = b"\r\n[The transcript ends here: it has reached its limit of 64 MiB.]\r\n";

pub(super) struct Transcript {
    file: File,
    written: u64,
}

impl Transcript {
    pub(super) fn new(file: File) -> Transcript {
        Transcript { file, written: 0 }
    }

    pub(super) fn write(&mut self, bytes: &[u8]) {
        let left = (TRANSCRIPT_BYTES.saturating_sub(self.written)).min(bytes.len() as u64) as usize;
        if left == 0 {
            return;
        }
        self.written += left as u64;
        let mut wrote = self.file.write_all(&bytes[..left]);
        if self.written == TRANSCRIPT_BYTES {
            wrote = wrote.and_then(|()| self.file.write_all(TRANSCRIPT_FULL));
        }
        if let Err(e) = wrote {
            // The live terminal goes on; what was written stays.
            tracing::warn!("a transcript cannot be written any further: {e}");
            self.written = u64::MAX;
        }
    }
}
