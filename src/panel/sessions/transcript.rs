//! The files of transcripts: what they are called, and reading across them. One is `ID.log` and, beyond its first MiB,
//! `ID.NUMBER.log` for each segment, by the number of its first byte. Those of earlier versions are the first file alone.
//! Knows no terminal and no store.

use super::{SessionId, kept::Kept};
use crate::beneath::Beneath;
use std::{
    collections::{BTreeMap, HashSet},
    fs::File,
    io,
    os::unix::fs::FileExt as _,
    time::SystemTime,
};
use supervise::{Piece, session::Segments};

/// Looks at what there is before giving up: each but the last saw a segment that went meanwhile.
const LOOKS: usize = 3;

/// Where the segments of one session's transcript lie.
#[derive(Debug)]
pub(super) struct Place {
    folder: Beneath,
    id: SessionId,
}

impl Place {
    pub(super) fn new(folder: Beneath, id: SessionId) -> Place {
        Place { folder, id }
    }
}

impl Segments for Place {
    fn make(&self, start: u64) -> io::Result<File> {
        self.folder.writable(&name(self.id.as_str(), start))
    }

    fn remove(&self, start: u64) -> io::Result<()> {
        self.folder.remove(&name(self.id.as_str(), start))
    }
}

/// What a segment is called.
fn name(id: &str, start: u64) -> String {
    if start == 0 { format!("{id}.log") } else { format!("{id}.{start}.log") }
}

/// The session and the first byte of a segment of this name.
fn parse(file: &str) -> Option<(&str, u64)> {
    let stem = file.strip_suffix(".log")?;
    let (id, start) = stem.split_once('.').map_or(Some((stem, 0)), |(id, start)| Some((id, start.parse().ok()?)))?;
    (name(id, start) == file).then_some((id, start))
}

/// A transcript, as it was when it was opened. What is removed meanwhile is read to its end.
#[derive(Debug)]
pub struct Transcript {
    files: Vec<File>,
    kept: Kept,
}

impl Transcript {
    /// Opens what there is of a session's in its folder. Blocks for as long as the disk does.
    pub(super) fn open(folder: &Beneath, id: &SessionId) -> io::Result<Transcript> {
        let mut looks = 1;
        loop {
            match Transcript::look(folder, id) {
                Err(e) if e.kind() == io::ErrorKind::NotFound && looks < LOOKS => looks += 1,
                looked => return looked,
            }
        }
    }

    fn look(folder: &Beneath, id: &SessionId) -> io::Result<Transcript> {
        let names = folder.names()?;
        let mut starts: Vec<u64> =
            names.iter().filter_map(|n| parse(n)).filter(|(of, _)| *of == id.as_str()).map(|of| of.1).collect();
        if starts.is_empty() {
            return Err(io::ErrorKind::NotFound.into());
        }
        starts.sort_unstable();
        let files = starts.iter().map(|start| folder.file(&name(id.as_str(), *start))).collect::<io::Result<Vec<File>>>()?;
        let lengths = files.iter().map(|file| Ok(file.metadata()?.len())).collect::<io::Result<Vec<u64>>>()?;
        let segments: Vec<(u64, u64)> = starts.into_iter().zip(lengths).collect();
        Ok(Transcript { files, kept: Kept::of(&segments) })
    }

    /// Number of the byte after its last.
    pub fn end(&self) -> u64 {
        self.kept.end()
    }

    /// How many bytes from number `from` on are not kept.
    pub fn dropped(&self, from: u64) -> u64 {
        self.kept.dropped(from)
    }

    /// Up to `most` bytes from number `from`, or from the first after it that is kept. A piece ends where a gap begins; at
    /// the end it is empty. Blocks for as long as the disk does.
    ///
    /// # Errors
    /// When the disk refuses.
    pub fn read(&self, from: u64, most: usize) -> io::Result<Piece> {
        let next = self.kept.next(from, most as u64);
        let mut bytes = vec![0; (next.bytes.end - next.bytes.start) as usize];
        if let Some(file) = self.files.get(next.segment).filter(|_| !bytes.is_empty()) {
            let read = file.read_at(&mut bytes, next.bytes.start - next.start)?;
            // None where it got shorter under our hands: then it ends here.
            bytes.truncate(read);
        }
        Ok(Piece { from: next.bytes.start, bytes })
    }

    /// When it was last written to. Blocks for as long as the disk does.
    ///
    /// # Errors
    /// When the disk does not say.
    pub fn written(&self) -> io::Result<SystemTime> {
        self.files.last().ok_or(io::ErrorKind::NotFound)?.metadata()?.modified()
    }
}

/// Removes all segments of these sessions, given with their folders. Blocks for as long as the disk does.
pub(super) fn remove(transcripts: &Beneath, old: Vec<(String, String)>) {
    let mut folders: BTreeMap<String, HashSet<String>> = BTreeMap::new();
    for (id, folder) in old {
        folders.entry(folder).or_default().insert(id);
    }
    for (folder, ids) in folders {
        if let Err(e) = remove_in(transcripts, &folder, &ids) {
            tracing::warn!("the old transcripts in {folder} were not all removed: {e}");
        }
    }
}

fn remove_in(transcripts: &Beneath, folder: &str, ids: &HashSet<String>) -> io::Result<()> {
    let folder = match transcripts.existing(folder) {
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(()),
        found => found?,
    };
    let is_old = |file: &String| parse(file).is_some_and(|(id, _)| ids.contains(id));
    let mut removed = Ok(());
    for file in folder.names()?.into_iter().filter(is_old) {
        // One that cannot be removed keeps none of the others.
        removed = removed.and(folder.remove(&file));
    }
    removed
}

#[cfg(test)]
mod tests;
