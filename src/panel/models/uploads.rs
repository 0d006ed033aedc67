//! A model from a browser, in pieces that can be gone on with: it lies hidden in the models folder until a worker has
//! looked at its header. Knows no HTTP.

use super::{Arrival, ArrivalView, MAX_BYTES, ModelError, Models, Stage, worker};
use crate::{
    audit::{Deed, Kind},
    spool::BUSY,
    store::arrivals,
    uploads::is_hash,
};
use std::io;

/// Largest piece, in bytes.
pub const MAX_PIECE: u64 = 8 << 20;

/// Where an upload lies until it is whole: hidden, so that no scan takes it for a model.
pub(super) fn part_of(id: &str) -> String {
    format!(".upload-{}.part", id.to_ascii_lowercase())
}

impl Models {
    /// Begins an upload, or goes on with that of the same file; its id, and the offset from which it goes on. Which file it
    /// is tells `mark`: files of one architecture share size and often name, and half of one before half of another would
    /// be taken for a model.
    ///
    /// # Errors
    /// [`ModelError::Field`] or [`ModelError::Clash`] for a name that cannot be taken; [`ModelError::TooLarge`].
    pub async fn begin_upload(
        &self,
        by: &str,
        name: String,
        bytes: u64,
        mark: Option<String>,
    ) -> Result<(String, u64), ModelError> {
        self.check_name(&name)?;
        if mark.as_ref().is_some_and(|mark| !is_hash(mark)) {
            return Err(ModelError::Field("mark", "It is 64 lower-case hex digits.".into()));
        }
        if let Some(id) = self.unfinished(&name, bytes, mark.as_deref()) {
            let offset = self.upload_offset(&id).await?;
            return Ok((id, offset));
        }
        if bytes == 0 {
            return Err(ModelError::Field("bytes", "The file is empty.".into()));
        }
        if bytes > MAX_BYTES {
            return Err(ModelError::TooLarge(format!("{bytes} bytes are over the limit of {MAX_BYTES} for one model.")));
        }
        let row = arrivals::Arrival {
            id: ulid::Ulid::generate().to_string(),
            profile: by.into(),
            name: Some(name.clone()),
            host: String::new(),
            url: None,
            bytes: Some(bytes),
            sha256: None,
            mark,
            created: self.0.clock.ms(),
        };
        let id = row.id.clone();
        self.add(row, None).await?;
        self.write(Deed::done(by, Kind::Model, format!("began to upload: {name}"))).await;
        Ok((id, 0))
    }

    /// The upload of that very file that was begun and is not over.
    fn unfinished(&self, name: &str, bytes: u64, mark: Option<&str>) -> Option<String> {
        let is_same = |a: &&Arrival| {
            let view = &a.view;
            view.from.is_empty() && view.state != "done" && view.name.as_deref() == Some(name) && view.total == Some(bytes)
        };
        let arrivals = self.arrivals();
        arrivals.values().filter(is_same).find(|a| mark.is_some() && a.mark.as_deref() == mark).map(|a| a.view.id.clone())
    }

    /// The offset from which an upload goes on.
    ///
    /// # Errors
    /// [`ModelError::Unknown`], or when the disk fails.
    pub async fn upload_offset(&self, id: &str) -> Result<u64, ModelError> {
        let view = self.upload(id)?;
        if view.model.is_some() { Ok(view.total.unwrap_or(0)) } else { Ok(self.0.parts.have(&part_of(id)).await?) }
    }

    /// Takes the piece at `offset`. With the last one the file is checked and gets its name; what is no model is not kept. An
    /// empty piece at the end gives that answer again.
    ///
    /// # Errors
    /// When the offset is not the next, another piece is being written, the file is no model, or the disk refuses.
    pub async fn piece(&self, by: &str, id: &str, offset: u64, piece: Vec<u8>) -> Result<Stage, ModelError> {
        let Some(held) = self.0.parts.hold(part_of(id)) else { return Err(ModelError::Clash(BUSY.into())) };
        let view = self.upload(id)?;
        let bytes = view.total.unwrap_or(0);
        let have = self.upload_offset(id).await?;
        if offset != have {
            return Err(ModelError::WrongOffset(have));
        }
        let after = have + piece.len() as u64;
        if after > bytes {
            return Err(ModelError::TooLarge(format!("{bytes} bytes were announced, and {after} came.")));
        }
        if let Some(model) = view.model {
            return Ok(Stage::Complete(model));
        }
        held.write(offset, piece).await?;
        self.change(id, |a| a.progress(after, Some(bytes)));
        if after < bytes {
            return Ok(Stage::Offset(after));
        }
        let (this, id, by) = (self.clone(), id.to_owned(), by.to_owned());
        let name = view.name.unwrap_or_default();
        // A task of its own: it goes on to its end when its sender's connection is lost, and is asked for again.
        let taken = self.0.runtime.spawn(async move {
            let _held = held;
            this.take(&id, &name, &by).await
        });
        taken.await.map_err(io::Error::other)?
    }

    /// All is there: it is checked, and becomes a model or is not kept.
    async fn take(&self, id: &str, name: &str, by: &str) -> Result<Stage, ModelError> {
        match worker::take(self, &part_of(id), name).await {
            Ok(model) => {
                self.arrived(id, &model, by).await;
                Ok(Stage::Complete(model))
            }
            Err(ModelError::Refused(why)) => {
                // The worker has thrown it away.
                self.arrivals().remove(id);
                let row = id.to_owned();
                self.0.store.run(move |c| arrivals::end(c, &row)).await?;
                self.write(Deed::refused(by, Kind::Model, format!("uploaded no model: {name}"))).await;
                Err(ModelError::Field("file", why))
            }
            Err(e) => Err(e),
        }
    }

    fn upload(&self, id: &str) -> Result<ArrivalView, ModelError> {
        let found = self.arrivals().get(id).map(|a| a.view.clone());
        found.filter(|view| view.from.is_empty()).ok_or(ModelError::Unknown)
    }

    /// Whether a download that is listed has this name, and with it these files: the same address was asked for twice.
    fn is_downloaded_as(&self, name: &str) -> bool {
        let is_it = |a: &Arrival| !a.view.from.is_empty() && a.view.state != "done" && a.view.name.as_deref() == Some(name);
        self.arrivals().values().any(is_it)
    }

    /// Removes what came of an upload that was given up, and of a download that no worker is left to throw away. It is not
    /// listed any more.
    pub(super) async fn discard(&self, view: &ArrivalView) -> Result<(), ModelError> {
        let is_upload = view.from.is_empty();
        let parts = match &view.name {
            _ if is_upload => vec![part_of(&view.id)],
            Some(name) if view.state != "running" && !self.is_downloaded_as(name) => {
                vec![format!(".{name}.part"), format!(".{name}.etag")]
            }
            _ => Vec::new(),
        };
        let folder = self.0.folder.clone();
        let remove = move || parts.iter().try_for_each(|part| folder.remove(part));
        Ok(tokio::task::spawn_blocking(remove).await.map_err(io::Error::other)??)
    }
}
