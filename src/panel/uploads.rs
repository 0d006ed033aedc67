//! Pictures that artists brought: in pieces that can be gone on with, or whole; named by their hash, owned by
//! one profile, durable before anybody is told. Knows no HTTP.

use crate::{
    beneath::Beneath,
    clock::Clock,
    spool::{BUSY, Held, Spool},
    store::{self, Store, StoreError},
    users::ProfileId,
};
use sha2::{Digest, Sha256};
use std::{
    io,
    path::Path,
    time::{Duration, SystemTime},
};

/// Largest file, in bytes.
pub const MAX_FILE: u64 = 64 << 20;
/// Largest piece, in bytes.
pub const MAX_PIECE: u64 = 8 << 20;
/// All files of one profile together, in bytes.
pub const MAX_PROFILE: u64 = 8 << 30;
/// Unfinished uploads of one profile at a time.
pub const MAX_UNFINISHED: u32 = 32;
/// So long after its last piece an unfinished upload is given up, and a finished one that no recipe needs is forgotten.
const STALE: Duration = Duration::from_secs(24 * 3600);
/// So long a job that is over can be run again with its reference pictures. Those of a picture that is kept stay
/// as long as it does.
const JOBS_NEED: Duration = Duration::from_secs(30 * 24 * 3600);

/// A finished upload.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Upload {
    /// SHA-256 of its bytes, 64 hex digits.
    pub sha256: String,
    /// Size.
    pub bytes: u64,
    /// Pixels.
    pub width: u32,
    /// Pixels.
    pub height: u32,
}

/// An upload that was begun.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Part {
    /// Size of the whole file.
    pub bytes: u64,
    /// What the sender promised; of a finished one, what it is.
    pub sha256: Option<String>,
    /// All came, and the file is kept.
    pub finished: bool,
}

/// Where an upload is after a piece.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Stage {
    /// More is to come from this offset.
    Offset(u64),
    /// All is there.
    Complete(Upload),
}

/// Why an upload is refused.
#[derive(Debug, thiserror::Error)]
pub enum UploadError {
    /// No such upload of this profile.
    #[error("There is no such upload.")]
    Unknown,
    /// Larger than a limit; the words name it.
    #[error("{0}")]
    TooLarge(String),
    /// A piece for another offset than the next.
    #[error("The next byte wanted is {0}.")]
    WrongOffset(u64),
    /// Another piece of it is being written.
    #[error("{BUSY}")]
    Busy,
    /// The bytes are not what was promised.
    #[error("The bytes that came are not those that were promised.")]
    WrongHash,
    /// Not a picture that can be used; says why.
    #[error("{0}")]
    NotAPicture(String),
    /// The store refused.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The disk refused.
    #[error("the disk failed: {0}")]
    Disk(#[from] io::Error),
}

/// The handle.
#[derive(Clone, Debug)]
pub struct Uploads {
    store: Store,
    clock: Clock,
    spool: Beneath,
    /// Those on their way, in the same folder.
    parts: Spool,
}

impl Uploads {
    /// The uploads below `spool`.
    ///
    /// # Errors
    /// When the folder cannot be made or opened.
    pub fn open(spool: &Path, store: Store, clock: Clock) -> io::Result<Uploads> {
        let spool = Beneath::open(spool)?;
        Ok(Uploads { store, clock, parts: Spool::new(spool.clone()), spool })
    }

    /// Takes a whole file. One that is there already takes no further room.
    ///
    /// # Errors
    /// When it is too large, not a picture, or the disk or the store refuses.
    pub async fn whole(&self, profile: &ProfileId, file: Vec<u8>) -> Result<Upload, UploadError> {
        let (file, sha256) = hashed(file).await?;
        if self.get(profile, &sha256).await?.is_none() {
            self.check_room(profile, file.len() as u64).await?;
        }
        self.keep(profile, file, sha256).await
    }

    /// Begins one of `bytes` bytes, perhaps with its promised hash; its id.
    ///
    /// # Errors
    /// When it is too large, or too many are unfinished.
    pub async fn begin(&self, profile: &ProfileId, bytes: u64, sha256: Option<String>) -> Result<String, UploadError> {
        self.check_room(profile, bytes).await?;
        let (id, profile, now) = (ulid::Ulid::generate().to_string(), profile.clone(), self.clock.ms());
        let row = (id.clone(), profile.clone());
        let begun = self.store.run(move |c| {
            let room = store::uploads::parts(c, &row.1)? < MAX_UNFINISHED;
            if room {
                store::uploads::begin(c, &row.1, &row.0, bytes, sha256.as_deref(), now)?;
            }
            Ok(room)
        });
        if begun.await? {
            Ok(id)
        } else {
            Err(UploadError::TooLarge(format!("More than {MAX_UNFINISHED} uploads are unfinished. Finish one first.")))
        }
    }

    /// The offset from which an unfinished upload goes on.
    ///
    /// # Errors
    /// [`UploadError::Unknown`], or when the disk fails.
    pub async fn offset(&self, profile: &ProfileId, id: &str) -> Result<u64, UploadError> {
        let part = self.part(profile, id).await?;
        if part.finished {
            return Ok(part.bytes);
        }
        Ok(self.parts.have(&part_path(profile.as_str(), id)).await?)
    }

    /// Takes the piece at `offset`. With the last one the file is checked and kept; an empty one at the end
    /// gives that answer again.
    ///
    /// # Errors
    /// When the offset is not the next, another piece is being written, or as [`Uploads::whole`].
    pub async fn piece(&self, profile: &ProfileId, id: &str, offset: u64, piece: Vec<u8>) -> Result<Stage, UploadError> {
        // Until the end of this: a sender that repeats the last piece must not find the file while it is being kept.
        let held = self.parts.hold(part_path(profile.as_str(), id)).ok_or(UploadError::Busy)?;
        let Part { bytes, sha256: promised, finished } = self.part(profile, id).await?;
        let have = self.offset(profile, id).await?;
        if offset != have {
            return Err(UploadError::WrongOffset(have));
        }
        let after = have + piece.len() as u64;
        if after > bytes {
            return Err(UploadError::TooLarge(format!("{bytes} bytes were announced, and {after} came.")));
        }
        if finished {
            let kept = self.get(profile, &promised.unwrap_or_default()).await?;
            return kept.map(Stage::Complete).ok_or(UploadError::Unknown);
        }
        held.write(offset, piece).await?;
        if after < bytes {
            return Ok(Stage::Offset(after));
        }
        self.arrived(profile, id, promised, offset, &held).await
    }

    /// All is here. `last` is where the last piece began.
    async fn arrived(
        &self,
        profile: &ProfileId,
        id: &str,
        promised: Option<String>,
        last: u64,
        held: &Held,
    ) -> Result<Stage, UploadError> {
        let (spool, path) = (self.spool.clone(), part_path(profile.as_str(), id));
        let (file, sha256) = hashed(blocking(move || spool.read(&path, MAX_FILE)).await?).await?;
        if promised.is_some_and(|promised| promised != sha256) {
            self.give_up(profile.as_str(), id).await?;
            return Err(UploadError::WrongHash);
        }
        match self.keep(profile, file, sha256).await {
            Ok(upload) => {
                let (part, sha256) = (id.to_owned(), upload.sha256.clone());
                self.store.run(move |c| store::uploads::finish_part(c, &part, &sha256)).await?;
                self.remove_part(profile.as_str(), id).await?;
                Ok(Stage::Complete(upload))
            }
            // Once there is space again, the last piece can be sent again.
            Err(e @ (UploadError::Store(_) | UploadError::Disk(_))) => {
                held.cut(last).await?;
                Err(e)
            }
            Err(e) => {
                self.give_up(profile.as_str(), id).await?;
                Err(e)
            }
        }
    }

    /// A finished upload of a profile.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub async fn get(&self, profile: &ProfileId, sha256: &str) -> Result<Option<Upload>, StoreError> {
        let (profile, sha256) = (profile.clone(), sha256.to_owned());
        self.store.read(move |c| store::uploads::get(c, &profile, &sha256)).await
    }

    /// Its bytes.
    ///
    /// # Errors
    /// When it is gone or unreadable.
    pub async fn bytes(&self, profile: &ProfileId, sha256: &str) -> Result<Vec<u8>, UploadError> {
        let (spool, path) = (self.spool.clone(), format!("{profile}/{sha256}"));
        blocking(move || spool.read(&path, MAX_FILE)).await
    }

    /// Gives up what nobody went on with for a day.
    ///
    /// # Errors
    /// When the store or the disk refuses.
    pub async fn sweep(&self) -> Result<(), UploadError> {
        let before = self.before(STALE);
        for (id, profile) in self.store.read(move |c| store::uploads::stale_parts(c, before)).await? {
            if let Some(_held) = self.parts.hold_if_left(part_path(&profile, &id), STALE).await? {
                self.give_up(&profile, &id).await?;
            }
        }
        Ok(())
    }

    /// Forgets uploads of a day ago that no recipe needs. Looks at every old one.
    ///
    /// # Errors
    /// When the store or the disk refuses; the rest is tried again next time.
    pub async fn forget_unneeded(&self) -> Result<(), UploadError> {
        let (before, over) = (self.before(STALE), self.before(JOBS_NEED));
        loop {
            let spool = self.spool.clone();
            // Row and file go in one turn of the store's thread: no job can be taken, and no file come again,
            // between the two. A crash there leaves a file without a row, which `tidy` finds.
            let forget = move |c: &mut store::Connection| {
                let gone = store::uploads::forget_unneeded(c, before, over)?;
                Ok(gone.iter().map(|(profile, sha256)| spool.remove(&format!("{profile}/{sha256}"))).collect::<Vec<_>>())
            };
            let removed = self.store.run(forget).await?;
            if removed.is_empty() {
                return Ok(());
            }
            removed.into_iter().collect::<io::Result<()>>()?;
        }
    }

    /// Removes what crashes left below `spool`: files without a row, and half-written ones.
    ///
    /// # Errors
    /// When the store or the disk refuses; nothing needs it to be done soon.
    pub async fn tidy(&self, spool: &Path) -> Result<(), UploadError> {
        let (folder, now) = (spool.to_path_buf(), SystemTime::now());
        // Younger ones may be on their way in.
        let old = blocking(move || files_before(&folder, now - STALE)).await?;
        for (profile, name) in old {
            let Ok(id) = profile.parse::<ProfileId>() else { continue };
            let left_over = name.starts_with('.') && name.ends_with(".tmp");
            if left_over || (is_hash(&name) && self.get(&id, &name).await?.is_none()) {
                let (spool, path) = (self.spool.clone(), format!("{profile}/{name}"));
                blocking(move || spool.remove(&path)).await?;
            }
        }
        Ok(())
    }

    fn before(&self, age: Duration) -> i64 {
        self.clock.ms() - age.as_millis() as i64
    }

    async fn part(&self, profile: &ProfileId, id: &str) -> Result<Part, UploadError> {
        let (profile, id) = (profile.clone(), id.to_owned());
        self.store.read(move |c| store::uploads::part(c, &profile, &id)).await?.ok_or(UploadError::Unknown)
    }

    async fn check_room(&self, profile: &ProfileId, bytes: u64) -> Result<(), UploadError> {
        if bytes == 0 {
            return Err(UploadError::NotAPicture("The file is empty.".into()));
        }
        if bytes > MAX_FILE {
            return Err(UploadError::TooLarge(format!("{bytes} bytes are over the limit of {MAX_FILE} for one file.")));
        }
        let profile = profile.clone();
        let used = self.store.read(move |c| store::uploads::bytes(c, &profile)).await?;
        if used + bytes > MAX_PROFILE {
            let words =
                "They make room a day after the last picture that needs them was deleted; for jobs alone they stay 30 days.";
            return Err(UploadError::TooLarge(format!("Your reference pictures fill their {} GiB. {words}", MAX_PROFILE >> 30)));
        }
        Ok(())
    }

    /// Checks a file and keeps it: file first, then row.
    async fn keep(&self, profile: &ProfileId, file: Vec<u8>, sha256: String) -> Result<Upload, UploadError> {
        let (row, of, now) = (sha256.clone(), profile.clone(), self.clock.ms());
        // Where it is there already, its row is young before its file is written again: nothing forgets it between.
        let known = self.store.run(move |c| store::uploads::touch(c, &of, &row, now)).await?;
        let (spool, folder) = (self.spool.clone(), profile.to_string());
        let check_and_write = move || -> Result<Upload, UploadError> {
            let picture = media::decode::probe(&file).map_err(|e| UploadError::NotAPicture(sentence(&e.to_string())))?;
            let upload = Upload { bytes: file.len() as u64, width: picture.width, height: picture.height, sha256 };
            if !known || spool.file(&format!("{folder}/{}", upload.sha256)).is_err() {
                spool.write(&folder, &upload.sha256, &file)?;
            }
            Ok(upload)
        };
        let upload = tokio::task::spawn_blocking(check_and_write).await.map_err(io::Error::other)??;
        let (row, profile) = (upload.clone(), profile.clone());
        self.store.run(move |c| store::uploads::insert(c, &profile, &row, now)).await?;
        Ok(upload)
    }

    async fn remove_part(&self, profile: &str, id: &str) -> Result<(), UploadError> {
        let (spool, path) = (self.spool.clone(), part_path(profile, id));
        blocking(move || spool.remove(&path)).await
    }

    async fn give_up(&self, profile: &str, id: &str) -> Result<(), UploadError> {
        self.remove_part(profile, id).await?;
        let id = id.to_owned();
        Ok(self.store.run(move |c| store::uploads::end_part(c, &id)).await?)
    }
}

async fn blocking<T: Send + 'static>(work: impl FnOnce() -> io::Result<T> + Send + 'static) -> Result<T, UploadError> {
    Ok(tokio::task::spawn_blocking(work).await.map_err(io::Error::other)??)
}

/// A file and the SHA-256 of its bytes.
async fn hashed(file: Vec<u8>) -> Result<(Vec<u8>, String), UploadError> {
    blocking(move || {
        let sha256 = hex(&Sha256::digest(&file));
        Ok((file, sha256))
    })
    .await
}

/// Folder and name of each file in the folders of `spool` that was last written before a time.
pub(crate) fn files_before(spool: &Path, time: SystemTime) -> io::Result<Vec<(String, String)>> {
    let mut found = Vec::new();
    for folder in std::fs::read_dir(spool)?.flatten().filter(|f| f.file_type().is_ok_and(|t| t.is_dir())) {
        for file in std::fs::read_dir(folder.path())?.flatten() {
            let old = file.metadata().and_then(|m| m.modified()).is_ok_and(|written| written < time);
            if let (true, Ok(folder), Ok(name)) = (old, folder.file_name().into_string(), file.file_name().into_string()) {
                found.push((folder, name));
            }
        }
    }
    Ok(found)
}

/// Whether a text is a SHA-256 in lower-case hex digits.
pub(crate) fn is_hash(text: &str) -> bool {
    text.len() == 64 && text.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b))
}

fn part_path(profile: &str, id: &str) -> String {
    format!("{profile}/{id}.part")
}

/// Lower-case hex digits.
pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|b| format!("{b:02x}")).collect()
}

/// An error's words as a sentence.
pub(crate) fn sentence(words: &str) -> String {
    let mut chars = words.chars();
    let first = chars.next().map(|c| c.to_uppercase().collect::<String>()).unwrap_or_default();
    format!("{first}{}.", chars.as_str().trim_end_matches('.'))
}

#[cfg(test)]
mod tests;
