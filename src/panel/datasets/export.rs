//! A dataset for a trainer: as an archive that is written while it is sent, or as a folder in the workspace that appears
//! whole. Pictures go out as they came in. Knows no HTTP.

use super::{
    Dataset, DatasetError, Datasets, Layout, Picture,
    bring::in_words,
    files,
    layout::{extension, safe, stems, with_trigger},
    tasks::{Kind, Running},
};
use crate::{beneath::Beneath, users::ProfileId};
use std::io::{self, Write};
use zip::{CompressionMethod, ZipWriter, write::SimpleFileOptions};

/// Folder of exports in the workspace.
const EXPORTS: &str = "datasets";

/// A picture and its caption on their way out.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Item {
    /// Its file below `datasets/` of the data folder.
    from: String,
    /// Its name there, with the extension.
    picture: String,
    /// The name of its caption there.
    caption: String,
    /// What stands in it.
    text: String,
}

/// All that goes out.
#[derive(Clone, Debug)]
pub struct Outgoing {
    files: Beneath,
    /// The dataset's folder.
    folder: String,
    /// A folder in it, where the layout has one.
    inner: Option<String>,
    items: Vec<Item>,
}

impl Outgoing {
    /// The name of an archive of it.
    pub fn file_name(&self) -> String {
        format!("{}.zip", self.folder)
    }

    /// Writes it as an archive. Blocks as long as the disk and the reader do.
    ///
    /// # Errors
    /// When a picture cannot be read, or nobody takes what is written.
    pub fn write(&self, out: impl Write) -> anyhow::Result<()> {
        let mut archive = ZipWriter::new_stream(out);
        // Pictures are compressed already, and captions are short.
        let options = SimpleFileOptions::default().compression_method(CompressionMethod::Stored);
        let prefix = match &self.inner {
            Some(inner) => format!("{}/{inner}", self.folder),
            None => self.folder.clone(),
        };
        for item in &self.items {
            archive.start_file(format!("{prefix}/{}", item.picture), options)?;
            io::copy(&mut self.files.file(&item.from)?, &mut archive)?;
            archive.start_file(format!("{prefix}/{}", item.caption), options)?;
            archive.write_all(item.text.as_bytes())?;
        }
        archive.finish()?.into_inner().flush()?;
        Ok(())
    }
}

/// What goes out of a dataset, and under which names.
fn plan(dataset: &Dataset, pictures: &[Picture]) -> Vec<Item> {
    let names = stems(pictures.iter().map(|p| p.name.as_str()));
    let item = |(picture, stem): (&Picture, String)| Item {
        from: files::picture(&picture.profile, &picture.id, &picture.mime),
        picture: format!("{stem}.{}", extension(&picture.mime)),
        caption: format!("{stem}.txt"),
        text: with_trigger(&picture.caption, &dataset.trigger),
    };
    pictures.iter().zip(names).map(item).collect()
}

impl Datasets {
    /// What goes out of a dataset in this layout, as it is now.
    ///
    /// # Errors
    /// [`DatasetError::Unknown`], or when the store cannot be read.
    pub async fn outgoing(&self, profile: &ProfileId, id: &str, layout: &Layout) -> Result<Outgoing, DatasetError> {
        let (dataset, pictures) = self.look(profile, id, 0).await?;
        let items = plan(&dataset, &pictures);
        let inner = layout.folder(&dataset.trigger);
        Ok(Outgoing { files: self.0.files.clone(), folder: safe(&dataset.name, "dataset"), inner, items })
    }

    /// Starts to write a dataset to `datasets/<profile>/<dataset>` in the workspace; the folder's path there. An earlier
    /// export of it is replaced once the new one is whole.
    ///
    /// # Errors
    /// [`DatasetError::Clash`] where it is empty or something runs, [`DatasetError::Unknown`], or when the store cannot be read.
    pub async fn export(&self, profile: &ProfileId, id: &str, layout: &Layout) -> Result<String, DatasetError> {
        let outgoing = self.outgoing(profile, id, layout).await?;
        if outgoing.items.is_empty() {
            return Err(DatasetError::Clash("There are no pictures in it yet.".into()));
        }
        let place = format!("{EXPORTS}/{profile}/{}", outgoing.folder);
        let running = self.0.tasks.begin(profile, id, Kind::Export, &place)?;
        running.update(|task| task.total = outgoing.items.len() as u32);
        let (this, profile, id) = (self.clone(), profile.clone(), id.to_owned());
        tokio::spawn(async move {
            let result = this.write_folder(&profile, &id, outgoing, &running).await;
            this.end(running, &profile, &id, result).await;
        });
        Ok(place)
    }

    async fn write_folder(&self, profile: &ProfileId, id: &str, outgoing: Outgoing, running: &Running) -> Result<(), String> {
        let (workspace, parent) = (self.0.workspace.clone(), format!("{EXPORTS}/{profile}"));
        // One export of a dataset at a time: what lies under this name is left from a crash.
        let temporary = format!(".{}.tmp", id.to_ascii_lowercase());
        let (name, inner) = (temporary.clone(), outgoing.inner.clone());
        let begin = move || {
            let parent = Beneath::open(&workspace)?.shared().folder(&parent)?;
            parent.remove_tree(&name)?;
            let top = parent.folder(&name)?;
            let folder = inner.map_or(Ok(top.clone()), |inner| top.folder(&inner))?;
            Ok((parent, folder))
        };
        let (parent, folder) = files::blocking(begin).await.map_err(|e| in_words(&e))?;
        let mut result = Ok(());
        for item in outgoing.items {
            if running.is_cancelled() {
                break;
            }
            let (from, to) = (outgoing.files.clone(), folder.clone());
            let copy = move || {
                to.copy(from.file(&item.from)?, &item.picture)?;
                to.copy(io::Cursor::new(item.text), &item.caption)
            };
            result = files::blocking(copy).await.map_err(|e| in_words(&e));
            if result.is_err() {
                break;
            }
            running.update(|task| {
                task.done += 1;
                task.good += 1;
            });
        }
        let (whole, name) = (result.is_ok() && !running.is_cancelled(), outgoing.folder);
        let finish = move || {
            if whole {
                folder.sync()?;
                parent.replace(&temporary, &name)?;
            }
            // What was there before, or what is not whole.
            parent.remove_tree(&temporary)
        };
        let finished = files::blocking(finish).await.map_err(|e| in_words(&e));
        result.and(finished)
    }
}
