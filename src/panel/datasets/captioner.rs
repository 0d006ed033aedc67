//! Captions by a vision model, as a task: one picture after the other, each caption kept as it comes, none written over
//! one that somebody edited meanwhile. Knows no protocol; those stand in `protocol.rs`.

mod ask;
mod policy;
mod protocol;
mod settings;

pub use protocol::Protocol;
pub use settings::{Vision, VisionView};

use super::{
    Dataset, DatasetError, Datasets, Picture,
    bring::{clean_caption, in_words, is_ours},
    captions::write_over,
    limits::{MAX_CAPTION, MAX_INSTRUCTION},
    tasks::{Kind, Running},
};
use crate::{
    store::{Connection, datasets as rows},
    users::ProfileId,
};
use ask::Asker;
use policy::{Next, Tries, Trouble};

/// What a model is asked where the artist says nothing else.
pub const INSTRUCTION: &str = "Describe this picture as a caption for training an image model: the subject and what it does, \
     clothes, setting, light, medium and style, the camera's view. One paragraph of plain phrases, at most 60 words. Answer \
     with the caption alone.";

/// What is asked of the model.
#[derive(Clone, Debug)]
pub struct Instructed {
    /// The words that go with each picture; the standing ones where empty.
    pub instruction: String,
    /// Also pictures that have a caption.
    pub all: bool,
}

impl Datasets {
    /// Starts to caption a dataset's pictures: those without a caption, or all.
    ///
    /// # Errors
    /// [`DatasetError::Clash`] where no model is set up, there is nothing to caption, or something runs;
    /// [`DatasetError::Field`]; [`DatasetError::Unknown`]; or when the store cannot be read.
    pub async fn caption_all(&self, profile: &ProfileId, id: &str, wish: Instructed) -> Result<(), DatasetError> {
        let (_, pictures) = self.look(profile, id, 0).await?;
        let instruction = wish.instruction.trim();
        if instruction.chars().count() > MAX_INSTRUCTION {
            let words = format!("It can have at most {MAX_INSTRUCTION} characters.");
            return Err(DatasetError::Field("instruction", words));
        }
        let instruction = if instruction.is_empty() { INSTRUCTION } else { instruction }.to_owned();
        let Some(vision) = self.vision().await? else {
            let words = "No vision model is set up. An admin does that on the Datasets page, in admin mode.";
            return Err(DatasetError::Clash(words.into()));
        };
        let wanted: Vec<Picture> = pictures.into_iter().filter(|p| wish.all || p.caption.is_empty()).collect();
        if wanted.is_empty() {
            return Err(DatasetError::Clash("Every picture has a caption already.".into()));
        }
        let asker = Asker::new(vision, instruction, self.0.private).map_err(DatasetError::Clash)?;
        let running = self.0.tasks.begin(profile, id, Kind::Caption, asker.model())?;
        running.update(|task| task.total = wanted.len() as u32);
        let (this, profile, id) = (self.clone(), profile.clone(), id.to_owned());
        tokio::spawn(async move {
            let result = this.caption_each(&asker, wanted, &running).await;
            this.end(running, &profile, &id, result).await;
        });
        Ok(())
    }

    async fn caption_each(&self, asker: &Asker, pictures: Vec<Picture>, running: &Running) -> Result<(), String> {
        let mut first = true;
        for picture in pictures {
            let caption = tokio::select! {
                // The question is dropped, and with it its connection.
                () = running.cancelled() => return Ok(()),
                caption = self.ask(asker, &picture, running) => caption,
            };
            match caption {
                Ok(caption) => self.keep_caption(picture, caption, &mut first, running).await?,
                Err(Trouble::Picture(why)) => running.update(|task| task.skip(why, &picture.name)),
                Err(trouble) => return Err(trouble.in_words()),
            }
            running.update(|task| {
                task.done += 1;
                task.words.clear();
            });
        }
        Ok(())
    }

    /// Asks for one picture, as often as it takes.
    async fn ask(&self, asker: &Asker, picture: &Picture, running: &Running) -> Result<String, Trouble> {
        let file = self.file(picture).await.map_err(|e| Trouble::Picture(in_words(&e)))?;
        let shown = {
            let _turn = self.0.checking.acquire().await.expect("the semaphore is never closed");
            let scale = move || ask::to_show(&file);
            tokio::task::spawn_blocking(scale).await.map_err(|e| Trouble::Picture(e.to_string()))?.map_err(Trouble::Picture)?
        };
        let mut tries = Tries::default();
        loop {
            let trouble = match asker.ask(&shown).await {
                Ok(text) => return Ok(text),
                Err(trouble) => trouble,
            };
            match tries.next(trouble) {
                Next::GiveUp(trouble) => return Err(trouble),
                Next::Wait(time, words) => {
                    running.update(|task| task.words = words);
                    self.0.clock.sleep(time).await;
                    running.update(|task| task.words.clear());
                }
            }
        }
    }

    /// Writes what came, unless the caption was edited while the model thought.
    async fn keep_caption(&self, picture: Picture, text: String, first: &mut bool, running: &Running) -> Result<(), String> {
        let text: String = text.split_whitespace().collect::<Vec<_>>().join(" ");
        let text = text.trim_matches('"').chars().take(MAX_CAPTION).collect::<String>();
        let caption = clean_caption(&text).map_err(|e| in_words(&e))?;
        let (before, begins) = (picture.clone(), *first);
        let write = move |c: &Connection, dataset: &Dataset, version| {
            let written = write_over(c, &before.profile, &before.id, caption, before.version, version)?;
            // All of one task are one change of many, so that it can be taken back.
            if begins {
                rows::end_undo(c, &dataset.id)?;
            }
            if written.version == version {
                rows::put_undo(c, &before, version)?;
            }
            Ok(())
        };
        match self.change(&picture.profile, &picture.dataset, write).await {
            Ok(()) => {
                // What was refused went back, and with it the end of what could be taken back before.
                *first = false;
                running.update(|task| task.good += 1);
            }
            Err(DatasetError::Stale(_)) => running.update(|task| task.skip("It was edited meanwhile", &picture.name)),
            Err(DatasetError::Unknown) => running.update(|task| task.skip("It was removed meanwhile", &picture.name)),
            Err(e) if is_ours(&e) => return Err(in_words(&e)),
            Err(e) => running.update(|task| task.skip(e.to_string(), &picture.name)),
        }
        Ok(())
    }
}
