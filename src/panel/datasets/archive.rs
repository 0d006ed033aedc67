//! A zip archive from a stranger: which of its entries are pictures and captions, and their bytes within limits. Nothing
//! is ever written under a name out of it, so that no name can lead anywhere. Knows no dataset.

use super::limits::{FREE_OF_RATIO, MAX_CAPTION, MAX_ENTRIES, MAX_PROFILE, MAX_RATIO};
use std::{
    collections::HashMap,
    fs::File,
    io::{self, Read, Seek, SeekFrom},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};
use zip::{ZipArchive, result::ZipError};

/// Bytes that may be read of an archive to know what is in it: a directory of [`MAX_ENTRIES`] with long names, and more.
const DIRECTORY: u64 = 16 << 20;
/// The end of an archive, where its directory is told: a record, its longest comment, and the mark of the large form.
const TAIL: u64 = 22 + 65_535 + 20;
/// The mark of the large form, which archives below 4 GiB and 65,535 entries do not need.
const LARGE_FORM: &[u8] = b"PK\x06\x07";
/// Bytes of a caption's file: four for each character, and some blanks.
const CAPTION_BYTES: u64 = 4 * MAX_CAPTION as u64 + 1_024;
/// What pictures' names end in.
const PICTURES: [&str; 4] = ["png", "jpg", "jpeg", "webp"];
/// What captions' names end in; the first wins.
const CAPTIONS: [&str; 2] = ["txt", "caption"];

/// An archive that was opened.
#[derive(Debug)]
pub(super) struct Archive {
    zip: ZipArchive<Bounded>,
    /// Bytes of the archive.
    size: u64,
    /// Bytes that came out of it so far.
    out: u64,
}

/// A picture in an archive.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Entry {
    pub(super) index: usize,
    /// Its whole name, with folders.
    pub(super) name: String,
    /// The entry of its caption.
    pub(super) caption: Option<usize>,
}

/// What is in an archive.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Contents {
    /// In the order of the archive.
    pub(super) pictures: Vec<Entry>,
    /// What is left out: why, and its name.
    pub(super) skipped: Vec<(&'static str, String)>,
}

/// Why there are no bytes.
#[derive(Debug)]
pub(super) enum Trouble {
    /// This entry gives none: why.
    Entry(String),
    /// The whole archive is given up: why.
    Archive(String),
    /// The disk does not give them. That says nothing of the archive.
    Disk(io::Error),
}

/// A file of which no more than so many bytes can be read.
#[derive(Debug)]
struct Bounded {
    file: File,
    left: Arc<AtomicU64>,
}

impl Read for Bounded {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let left = self.left.load(Ordering::Relaxed);
        let want = buffer.len().min(usize::try_from(left).unwrap_or(usize::MAX));
        if want == 0 && !buffer.is_empty() {
            return Err(io::Error::new(io::ErrorKind::FileTooLarge, "its directory is too large"));
        }
        let got = self.file.read(&mut buffer[..want])?;
        self.left.store(left - got as u64, Ordering::Relaxed);
        Ok(got)
    }
}

impl Seek for Bounded {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        self.file.seek(to)
    }
}

impl Archive {
    /// Reads the directory of an archive.
    ///
    /// # Errors
    /// [`Trouble::Archive`] where it cannot be read or is larger than anything that people make, or the disk's.
    pub(super) fn open(mut file: File) -> Result<Archive, Trouble> {
        let size = file.seek(SeekFrom::End(0)).map_err(Trouble::Disk)?;
        let mut tail = Vec::new();
        let from = size.saturating_sub(TAIL);
        let read = file.seek(SeekFrom::Start(from)).and_then(|_| (&mut file).take(TAIL).read_to_end(&mut tail));
        read.map_err(Trouble::Disk)?;
        // The large form may announce any number of entries, and memory would be taken for all of them at once.
        if tail.windows(LARGE_FORM.len()).any(|w| w == LARGE_FORM) {
            let words = format!("It has more entries than {MAX_ENTRIES}, or is in the form for archives above 4 GiB. Split it.");
            return Err(Trouble::Archive(words));
        }
        let left = Arc::new(AtomicU64::new(DIRECTORY));
        let bounded = Bounded { file, left: Arc::clone(&left) };
        let zip = ZipArchive::new(bounded).map_err(|e| match e {
            ZipError::Io(e) if is_of_the_disk(&e) => Trouble::Disk(e),
            e => Trouble::Archive(format!("It cannot be read as a zip archive: {e}.")),
        })?;
        left.store(u64::MAX, Ordering::Relaxed);
        if zip.len() > MAX_ENTRIES {
            return Err(Trouble::Archive(format!("It has {} entries; {MAX_ENTRIES} is the most. Split it.", zip.len())));
        }
        Ok(Archive { zip, size, out: 0 })
    }

    /// What is in it, by names and flags alone.
    pub(super) fn contents(&self) -> Contents {
        let mut contents = Contents::default();
        let mut captions: HashMap<(String, usize), (usize, String)> = HashMap::new();
        for index in 0..self.zip.len() {
            let Ok(entry) = self.zip.by_index_data(index) else { continue };
            let name = entry.name().map_or_else(|_| String::from_utf8_lossy(entry.name_raw()).into_owned(), Into::into);
            if entry.is_dir() || is_litter(&name) {
                continue;
            }
            let unsafe_name = entry.enclosed_name().is_none() || is_absolute(&name);
            let reason = if unsafe_name {
                Some("Its name leads out of the archive")
            } else if entry.is_symlink() {
                Some("It is a link, not a file")
            } else if entry.encrypted() {
                Some("It needs a password")
            } else {
                None
            };
            if let Some(reason) = reason {
                contents.skipped.push((reason, name));
                continue;
            }
            let (stem, extension) = name.rsplit_once('.').unwrap_or((&name, ""));
            let extension = extension.to_ascii_lowercase();
            if let Some(rank) = CAPTIONS.iter().position(|c| *c == extension) {
                captions.insert((stem.to_owned(), rank), (index, name));
            } else if PICTURES.contains(&extension.as_str()) {
                contents.pictures.push(Entry { index, name, caption: None });
            } else {
                contents.skipped.push(("Its name is not that of a PNG, JPEG or WebP", name));
            }
        }
        for picture in &mut contents.pictures {
            let stem = picture.name.rsplit_once('.').map_or("", |(stem, _)| stem);
            let known = (0..CAPTIONS.len()).find_map(|rank| captions.get(&(stem.to_owned(), rank)));
            picture.caption = known.map(|(index, _)| *index);
        }
        let used: Vec<usize> = contents.pictures.iter().filter_map(|p| p.caption).collect();
        let unused = captions.into_values().filter(|(index, _)| !used.contains(index));
        contents.skipped.extend(unused.map(|(_, name)| ("A caption without its picture", name)));
        contents
    }

    /// The bytes of an entry, of at most `limit`.
    ///
    /// # Errors
    /// [`Trouble`], of this entry, of the whole archive or of the disk.
    pub(super) fn read(&mut self, index: usize, limit: u64) -> Result<Vec<u8>, Trouble> {
        let Archive { zip, size, out } = self;
        let mut entry = zip.by_index(index).map_err(|e| match e {
            ZipError::Io(e) if is_of_the_disk(&e) => Trouble::Disk(e),
            e => Trouble::Entry(words_of(&e)),
        })?;
        if entry.size() > limit {
            return Err(Trouble::Entry(format!("It is over {} MB", limit.div_ceil(1_000_000))));
        }
        let most_of_entry = (entry.compressed_size() * MAX_RATIO).max(FREE_OF_RATIO);
        let most_in_all = (*size * MAX_RATIO).clamp(FREE_OF_RATIO, MAX_PROFILE);
        let (mut bytes, mut chunk) = (Vec::new(), vec![0; 64 << 10]);
        loop {
            let got = entry.read(&mut chunk).map_err(|e| match e {
                e if is_of_the_disk(&e) => Trouble::Disk(e),
                e => Trouble::Entry(format!("It is damaged: {e}")),
            })?;
            if got == 0 {
                return Ok(bytes);
            }
            *out += got as u64;
            let so_far = (bytes.len() + got) as u64;
            if so_far > most_of_entry || *out > most_in_all {
                let words = format!("It unpacks to more than {MAX_RATIO} times its size, as no archive of pictures does.");
                return Err(Trouble::Archive(words));
            }
            // What the directory says of a size is not believed.
            if so_far > limit {
                return Err(Trouble::Entry(format!("It is over {} MB", limit.div_ceil(1_000_000))));
            }
            bytes.extend_from_slice(&chunk[..got]);
        }
    }

    /// The text of a caption's entry; what is no UTF-8 is read as far as it can be.
    ///
    /// # Errors
    /// As [`Archive::read`].
    pub(super) fn caption(&mut self, index: usize) -> Result<String, Trouble> {
        Ok(String::from_utf8_lossy(&self.read(index, CAPTION_BYTES)?).into_owned())
    }
}

/// A name that begins at the top of a disk, by the rules of any system. Only flattened names are ever used; but whoever
/// writes such ones is not read.
fn is_absolute(name: &str) -> bool {
    name.starts_with(['/', '\\']) || name.as_bytes().get(1) == Some(&b':')
}

/// Whether the system said so; what is wrong with an archive is said by its reader. A place that no file can have is the
/// archive's wish.
fn is_of_the_disk(e: &io::Error) -> bool {
    e.raw_os_error().is_some() && e.kind() != io::ErrorKind::InvalidInput
}

/// What systems put beside people's files.
fn is_litter(name: &str) -> bool {
    let last = name.rsplit('/').next().unwrap_or(name);
    name.starts_with("__MACOSX/") || last.starts_with("._") || matches!(last, ".DS_Store" | "Thumbs.db" | "desktop.ini")
}

fn words_of(e: &ZipError) -> String {
    match e {
        ZipError::CompressionMethodNotSupported(_) => "It is compressed in a way that is not read; use plain zip".into(),
        e => format!("It is damaged: {e}"),
    }
}
