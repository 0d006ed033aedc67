//! Pictures for a dataset that are here already: out of the artist's own gallery, and for admins out of a folder of the
//! workspace. Knows no upload.

use super::{
    Added, DatasetError, Datasets,
    bring::{New, in_words, is_ours},
    layout::stem_of,
    limits::{MAX_CAPTION, MAX_PICTURE},
    tasks::{Kind, Running},
    unpack::ALREADY,
};
use crate::{artifacts::download_name, beneath::Beneath, users::ProfileId};
use std::io;

/// Pictures of one request: each is decoded once, and the answer comes within seconds.
const MAX_PICKS: usize = 50;
/// What names in a folder of pictures end in.
const PICTURES: [&str; 4] = ["png", "jpg", "jpeg", "webp"];

impl Datasets {
    /// Adds pictures of the profile's gallery, with their prompts as captions where wanted.
    ///
    /// # Errors
    /// [`DatasetError::Field`] for too many or none, [`DatasetError::Unknown`] for a picture that is not the profile's; or as
    /// the disk and the store refuse. What was added by then stays.
    pub async fn pick(
        &self,
        profile: &ProfileId,
        dataset: &str,
        ids: &[String],
        prompts: bool,
    ) -> Result<Vec<Added>, DatasetError> {
        if ids.is_empty() || ids.len() > MAX_PICKS {
            return Err(DatasetError::Field("ids", format!("They are 1 to {MAX_PICKS} pictures.")));
        }
        let mut added = Vec::with_capacity(ids.len());
        for id in ids {
            let artifact = self.0.artifacts.get(profile, id).await?.ok_or(DatasetError::Unknown)?;
            if artifact.kind() != media::Kind::Picture {
                let words = format!("A {} cannot be in a dataset. Choose pictures.", artifact.kind().name());
                return Err(DatasetError::Field("ids", words));
            }
            // A file that its owner removed from the disk is gone.
            let file = self.0.artifacts.bytes(&artifact).await.map_err(|_| DatasetError::Unknown)?;
            let caption = if prompts { artifact.made.prompt().chars().take(MAX_CAPTION).collect() } else { String::new() };
            let new = New { name: stem_of(&download_name(&artifact)).to_owned(), caption, file };
            added.push(self.add(profile, dataset, new).await?);
        }
        Ok(added)
    }

    /// Starts to add the pictures of a folder, a path below the workspace, with the captions beside them.
    ///
    /// # Errors
    /// [`DatasetError::Field`] where there is no such folder in the workspace, [`DatasetError::Clash`] where something runs.
    pub async fn folder(&self, profile: &ProfileId, dataset: &str, path: &str) -> Result<(), DatasetError> {
        self.get(profile, dataset).await?;
        let (workspace, relative) = (self.0.workspace.clone(), path.trim_matches('/').to_owned());
        let open = move || Beneath::open(&workspace)?.existing(&relative);
        let no_folder =
            |_| DatasetError::Field("path", "There is no such folder in the workspace; links are not followed.".into());
        let folder = tokio::task::spawn_blocking(open).await.map_err(io::Error::other)?.map_err(no_folder)?;
        let running = self.0.tasks.begin(profile, dataset, Kind::Folder, path)?;
        let (this, profile, dataset) = (self.clone(), profile.clone(), dataset.to_owned());
        tokio::spawn(async move {
            let result = this.take_folder(&profile, &dataset, folder, &running).await;
            this.end(running, &profile, &dataset, result).await;
        });
        Ok(())
    }

    async fn take_folder(&self, profile: &ProfileId, dataset: &str, folder: Beneath, running: &Running) -> Result<(), String> {
        let listing = folder.clone();
        let names = tokio::task::spawn_blocking(move || listing.names()).await.map_err(|e| e.to_string())?;
        let mut names = names.map_err(|e| in_words(&e.into()))?;
        names.sort();
        let is_picture =
            |name: &String| name.rsplit_once('.').is_some_and(|(_, e)| PICTURES.contains(&e.to_ascii_lowercase().as_str()));
        let pictures: Vec<String> = names.into_iter().filter(is_picture).collect();
        running.update(|task| task.total = pictures.len() as u32);
        if pictures.is_empty() {
            return Err("There is no PNG, JPEG or WebP in that folder.".into());
        }
        for name in pictures {
            if running.is_cancelled() {
                return Ok(());
            }
            let (from, file) = (folder.clone(), name.clone());
            let read = move || Ok::<_, io::Error>((from.read(&file, MAX_PICTURE)?, caption_beside(&from, &file)));
            let read = tokio::task::spawn_blocking(read).await.map_err(|e| e.to_string())?;
            let added = match read {
                Err(e) => Err(DatasetError::Field("path", format!("It cannot be read: {e}"))),
                Ok((file, caption)) => self.add(profile, dataset, New { name: stem_of(&name).to_owned(), caption, file }).await,
            };
            running.update(|task| {
                task.done += 1;
                match &added {
                    Ok(Added::New(_)) => task.good += 1,
                    Ok(Added::Already(_)) => task.skip(ALREADY, &name),
                    Err(e) => task.skip(e.to_string().trim_end_matches('.'), &name),
                }
            });
            match added {
                Err(e @ DatasetError::TooLarge(_)) => return Err(e.to_string()),
                Err(e) if is_ours(&e) => return Err(in_words(&e)),
                _ => {}
            }
        }
        Ok(())
    }
}

/// The caption in the text file of the same name; none where there is none that fits.
fn caption_beside(folder: &Beneath, picture: &str) -> String {
    let bytes = folder.read(&format!("{}.txt", stem_of(picture)), 4 * MAX_CAPTION as u64).unwrap_or_default();
    String::from_utf8_lossy(&bytes).chars().take(MAX_CAPTION).collect()
}
