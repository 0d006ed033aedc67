//! Files on their way into a dataset, in pieces that can be gone on with: a picture, or an archive of pictures. Knows no
//! HTTP and nothing of what is in them.

use super::{
    Added, DatasetError, Datasets,
    bring::{New, check_room, clean_caption, is_ours},
    files,
    layout::stem_of,
    limits::{MAX_PICTURE, MAX_UNFINISHED, MAX_ZIP},
};
use crate::{
    spool::{BUSY, Held},
    store::{Connection, dataset_uploads, datasets as rows},
    users::ProfileId,
};
use std::io::Read as _;

/// Characters of a file's name that are kept.
const MOST_NAME: usize = 200;

/// A file that is on its way.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Arrival {
    /// Its id.
    pub id: String,
    /// Whose it is.
    pub profile: ProfileId,
    /// Where it goes.
    pub dataset: String,
    /// What it is called.
    pub name: String,
    /// The caption of a picture.
    pub caption: String,
    /// Size of the whole file.
    pub bytes: u64,
    /// The picture that it became.
    pub picture: Option<String>,
    /// It is an archive that is here, and waits to be unpacked.
    pub whole: bool,
    /// When it was begun, ms since 1970.
    pub created: i64,
}

/// What is going to be sent.
#[derive(Clone, Debug)]
pub struct Begin {
    /// The file's name.
    pub name: String,
    /// Its size in bytes.
    pub bytes: u64,
    /// The caption of a picture; may be empty.
    pub caption: String,
}

/// Where an upload is after a piece.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Stage {
    /// More is to come from this offset.
    Offset(u64),
    /// All is there: a picture.
    Picture(Box<Added>),
    /// All is there: an archive, which is being unpacked or waits for its turn.
    Archive,
}

impl Datasets {
    /// Begins an upload; its id.
    ///
    /// # Errors
    /// [`DatasetError::TooLarge`] over a limit, [`DatasetError::Field`], [`DatasetError::Unknown`], or when the store refuses.
    pub async fn begin(&self, profile: &ProfileId, dataset: &str, file: Begin) -> Result<String, DatasetError> {
        let archive = file.name.to_ascii_lowercase().ends_with(".zip");
        let most = if archive { MAX_ZIP } else { MAX_PICTURE };
        if file.bytes == 0 {
            return Err(DatasetError::Field("bytes", "The file is empty.".into()));
        }
        if file.bytes > most {
            let what = if archive { "An archive" } else { "A picture" };
            return Err(DatasetError::TooLarge(format!("{what} can have at most {} MB.", most / 1_000_000)));
        }
        let arrival = Arrival {
            id: ulid::Ulid::generate().to_string(),
            profile: profile.clone(),
            dataset: dataset.to_owned(),
            name: file.name.chars().filter(|c| !c.is_control()).take(MOST_NAME).collect(),
            caption: clean_caption(&file.caption)?,
            bytes: file.bytes,
            picture: None,
            whole: false,
            created: self.0.clock.ms(),
        };
        let id = arrival.id.clone();
        let begin = move |c: &mut Connection| {
            if rows::get(c, &arrival.profile, &arrival.dataset)?.is_none() {
                return Ok(Err(DatasetError::Unknown));
            }
            if dataset_uploads::count(c, &arrival.profile)? >= MAX_UNFINISHED {
                let words = format!("{MAX_UNFINISHED} uploads are under way. Wait until one is here.");
                return Ok(Err(DatasetError::TooLarge(words)));
            }
            if let Err(e) = check_room(c, &arrival.profile, arrival.bytes) {
                return Ok(Err(e));
            }
            dataset_uploads::insert(c, &arrival)?;
            Ok(Ok(()))
        };
        self.0.store.run(begin).await??;
        Ok(id)
    }

    /// The offset from which an upload goes on.
    ///
    /// # Errors
    /// [`DatasetError::Unknown`], or when the disk fails.
    pub async fn offset(&self, profile: &ProfileId, id: &str) -> Result<u64, DatasetError> {
        let arrival = self.arrival(profile, id).await?;
        self.have(&arrival).await
    }

    /// Takes the piece at `offset`. With the last one a picture is checked and added; an archive is unpacked by a task. An
    /// empty piece at the end gives that answer again.
    ///
    /// # Errors
    /// [`DatasetError::WrongOffset`]; [`DatasetError::Field`] where it is no picture; or as the disk and the store refuse.
    pub async fn piece(&self, profile: &ProfileId, id: &str, offset: u64, piece: Vec<u8>) -> Result<Stage, DatasetError> {
        let Some(held) = self.0.parts.hold(files::part(profile, id)) else { return Err(DatasetError::Clash(BUSY.into())) };
        let arrival = self.arrival(profile, id).await?;
        let have = self.have(&arrival).await?;
        if offset != have {
            return Err(DatasetError::WrongOffset(have));
        }
        let after = have + piece.len() as u64;
        if after > arrival.bytes {
            return Err(DatasetError::TooLarge(format!("{} bytes were announced, and {after} came.", arrival.bytes)));
        }
        if let Some(picture) = &arrival.picture {
            let there = Added::New(self.picture(profile, picture).await?);
            return Ok(Stage::Picture(Box::new(there)));
        }
        if arrival.whole {
            return Ok(Stage::Archive);
        }
        held.write(offset, piece).await?;
        if after < arrival.bytes { Ok(Stage::Offset(after)) } else { self.arrived(arrival, offset, &held).await }
    }

    /// All is here. `last` is where the last piece began.
    async fn arrived(&self, arrival: Arrival, last: u64, held: &Held) -> Result<Stage, DatasetError> {
        let (folder, path) = (self.0.files.clone(), files::part(&arrival.profile, &arrival.id));
        // By what is in it, not by its name.
        let is_archive = move || {
            let mut begin = [0; 4];
            let got = folder.file(&path)?.read(&mut begin)?;
            Ok(got == 4 && begin[..2] == *b"PK")
        };
        if files::blocking(is_archive).await? {
            let id = arrival.id.clone();
            self.0.store.run(move |c| dataset_uploads::whole(c, &id)).await?;
            self.unpack_next(&arrival.profile, &arrival.dataset).await?;
            return Ok(Stage::Archive);
        }
        match self.take_picture(&arrival).await {
            Ok(added) => {
                let (Added::New(picture) | Added::Already(picture)) = &added;
                let (id, picture) = (arrival.id.clone(), picture.id.clone());
                self.0.store.run(move |c| dataset_uploads::taken(c, &id, &picture)).await?;
                let (folder, path) = (self.0.files.clone(), files::part(&arrival.profile, &arrival.id));
                files::blocking(move || folder.remove(&path)).await?;
                Ok(Stage::Picture(Box::new(added)))
            }
            // Once there is space again, the last piece can be sent again.
            Err(e) if is_ours(&e) => {
                held.cut(last).await?;
                Err(e)
            }
            Err(e) => {
                self.give_up(&arrival).await?;
                Err(e)
            }
        }
    }

    async fn take_picture(&self, arrival: &Arrival) -> Result<Added, DatasetError> {
        let (folder, path) = (self.0.files.clone(), files::part(&arrival.profile, &arrival.id));
        if arrival.bytes > MAX_PICTURE {
            return Err(DatasetError::Field("file", "This is no archive that can be read.".into()));
        }
        let file = files::blocking(move || folder.read(&path, MAX_PICTURE)).await?;
        let new = New { name: stem_of(&arrival.name).to_owned(), caption: arrival.caption.clone(), file };
        self.add(&arrival.profile, &arrival.dataset, new).await
    }

    async fn arrival(&self, profile: &ProfileId, id: &str) -> Result<Arrival, DatasetError> {
        let (profile, id) = (profile.clone(), id.to_owned());
        self.0.store.read(move |c| dataset_uploads::get(c, &profile, &id)).await?.ok_or(DatasetError::Unknown)
    }

    /// Bytes that are on the disk; of one that is done, all.
    async fn have(&self, arrival: &Arrival) -> Result<u64, DatasetError> {
        if arrival.picture.is_some() || arrival.whole {
            return Ok(arrival.bytes);
        }
        Ok(self.0.parts.have(&files::part(&arrival.profile, &arrival.id)).await?)
    }
}
