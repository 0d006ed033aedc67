//! Writes what a terminal showed, before anybody is told of the bytes, so that what was seen is on the disk, also after the
//! panel was killed. A long transcript is turned over from segment to segment: nothing is copied, and nothing waits for
//! what is removed. Knows no terminal, and no name of a file.

use super::rotation::{Rotation, Sizes};
use std::{
    fmt,
    fs::File,
    io::{self, Write as _},
    sync::Arc,
    thread,
};

/// Where the segments of one transcript lie, each by the number of its first byte.
pub trait Segments: fmt::Debug + Send + Sync + 'static {
    /// Makes one, without a byte in it.
    ///
    /// # Errors
    /// When the disk refuses.
    fn make(&self, start: u64) -> io::Result<File>;

    /// Removes one. May take its time.
    ///
    /// # Errors
    /// When the disk refuses.
    fn remove(&self, start: u64) -> io::Result<()>;
}

/// Writes a transcript.
#[derive(Debug)]
pub struct Recorder {
    segments: Arc<dyn Segments>,
    rotation: Rotation,
    /// The current segment; none: it cannot be written any further.
    file: Option<File>,
}

impl Recorder {
    /// Makes a transcript with its first segment.
    ///
    /// # Errors
    /// When the disk refuses.
    pub fn new(segments: Arc<dyn Segments>, sizes: Sizes) -> io::Result<Recorder> {
        let file = Some(segments.make(0)?);
        Ok(Recorder { segments, rotation: Rotation::new(sizes), file })
    }

    /// Writes further bytes.
    pub fn write(&mut self, bytes: &[u8]) {
        if let Some(file) = self.file.take() {
            match self.write_on(file, bytes) {
                Ok(file) => self.file = Some(file),
                // The live terminal goes on; what was written stays.
                Err(e) => tracing::warn!("a transcript cannot be written any further: {e}"),
            }
        }
    }

    fn write_on(&mut self, mut file: File, bytes: &[u8]) -> io::Result<File> {
        if let Some(turn) = self.rotation.turn() {
            // First the new one, so that no kill in between leaves less than is promised.
            file = self.segments.make(turn.begin)?;
            if let Some(start) = turn.remove {
                remove_aside(self.segments.clone(), start);
            }
        }
        file.write_all(bytes)?;
        self.rotation.wrote(bytes.len());
        Ok(file)
    }
}

/// Removes a segment beside the terminal: file systems take a while for what is large.
fn remove_aside(segments: Arc<dyn Segments>, start: u64) {
    let stays = move |e: io::Error| tracing::warn!("an old segment of a transcript was not removed: {e}");
    let remove = move || segments.remove(start).unwrap_or_else(stays);
    if let Err(e) = thread::Builder::new().name("transcript".into()).spawn(remove) {
        stays(e);
    }
}
