//! What ComfyUI made for a profile, on its way into that profile's gallery. Watches the prompts that the gate has let in, and
//! hands each picture over once; knows no gallery and no disk.

use super::Run;
use super::lists;
use super::names::{File, Kind};
use super::upstream::{Failure, Question, Tool};
use crate::gate::link::Home;
use crate::users::ProfileId;
use hyper::StatusCode;
use hyper::body::Bytes;
use std::collections::{HashSet, VecDeque};
use std::fmt::Debug;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

/// The queue is looked at so often for prompts that have left it.
const EVERY: Duration = Duration::from_secs(1);
/// And at least so often while ComfyUI does not answer: a model that loads, or a start. Whoever says that it has ended ends
/// this too.
const SELDOM: Duration = Duration::from_secs(15);
/// A prompt whose pictures cannot be read is asked for so often.
const TRIES: u32 = 5;
/// Pictures of one prompt.
const PICTURES_MAX: usize = 1_000;

/// A picture that a prompt of a profile has made.
#[derive(Clone, Debug)]
pub struct Found {
    /// Whose.
    pub profile: ProfileId,
    /// The prompt that made it: a UUID.
    pub prompt: String,
    /// Which of the prompt's pictures, from 0.
    pub index: u32,
    /// The file as ComfyUI wrote it, with the graph and the workflow in it.
    pub file: Bytes,
}

/// Takes pictures in. What it refuses stays in ComfyUI's own folder.
pub trait Gallery: Debug + Send + Sync {
    /// Takes one; the same one twice changes nothing.
    fn take(&self, found: Found) -> Pin<Box<dyn Future<Output = ()> + Send + '_>>;
}

/// A prompt whose pictures nobody has fetched yet.
#[derive(Clone, Debug)]
pub(super) struct Waiting {
    prompt: String,
    profile: ProfileId,
    tries: u32,
}

/// Prompts whose pictures are waited for, and whether somebody looks after them.
#[derive(Debug, Default)]
pub(super) struct Watched {
    waiting: VecDeque<Waiting>,
    watching: bool,
}

/// Waits for a prompt's pictures as well, from before it is sent: of what is made for whom is taken note even where no gallery
/// takes it.
pub(super) fn watch(run: &Arc<Run>, gallery: Option<&Arc<dyn Gallery>>, profile: &ProfileId, prompt: &str, address: SocketAddr) {
    let mut watched = run.watched();
    watched.waiting.push_back(Waiting { prompt: prompt.to_owned(), profile: profile.clone(), tries: 0 });
    if !std::mem::replace(&mut watched.watching, true) {
        tokio::spawn(look_after(run.clone(), gallery.cloned(), address));
    }
}

/// There is no such prompt.
pub(super) fn unwatch(run: &Run, prompt: &str) {
    run.watched().waiting.retain(|waiting| waiting.prompt != prompt);
}

/// Looks at the prompts that wait until none does.
async fn look_after(run: Arc<Run>, gallery: Option<Arc<dyn Gallery>>, address: SocketAddr) {
    let home = Home::default();
    let tool = Tool { home: &home, address };
    let mut pause = EVERY;
    while !run.over.load(Ordering::Relaxed) {
        tokio::time::sleep(pause).await;
        {
            let mut watched = run.watched();
            watched.watching = !watched.waiting.is_empty();
            if !watched.watching {
                return;
            }
        }
        pause = match look(&run, tool, gallery.as_deref()).await {
            Ok(true) => Duration::ZERO,
            Ok(false) => EVERY,
            Err(_) => (pause * 2).clamp(EVERY, SELDOM),
        };
    }
}

/// Fetches what was made by a prompt of each profile that has left the queue. Whether there may be more.
async fn look(run: &Run, tool: Tool<'_>, gallery: Option<&dyn Gallery>) -> Result<bool, Failure> {
    run.queue(tool).await?;
    let next = {
        let (watched, owners) = (run.watched(), run.owners());
        // One of each, so that nobody waits for all of somebody else's.
        let (mut seen, over) = (HashSet::new(), |waiting: &&Waiting| owners.is_over(&waiting.prompt));
        let over = watched.waiting.iter().filter(over);
        over.filter(|waiting| seen.insert(waiting.profile.clone())).cloned().collect::<Vec<_>>()
    };
    let mut done = false;
    for waiting in next {
        let fetched = fetch(run, tool, gallery, &waiting).await?;
        let mut watched = run.watched();
        watched.waiting.retain(|other| other.prompt != waiting.prompt);
        if fetched || waiting.tries + 1 >= TRIES {
            done = true;
        } else {
            watched.waiting.push_back(Waiting { tries: waiting.tries + 1, ..waiting });
        }
    }
    Ok(done)
}

/// Takes note of what one prompt has made, and hands it over. Whether nothing more will come of it.
async fn fetch(run: &Run, tool: Tool<'_>, gallery: Option<&dyn Gallery>, waiting: &Waiting) -> Result<bool, Failure> {
    let Waiting { prompt, profile, .. } = waiting;
    let told = tool.ask(Question::get(&format!("/history/{prompt}"))).await?.json().await;
    let told = match told {
        Ok(told) => told,
        Err(Failure::Unreadable | Failure::TooLarge) => {
            tracing::warn!("what ComfyUI tells of a prompt cannot be read, so its pictures stay where they are");
            return Ok(true);
        }
        Err(failure) => return Err(failure),
    };
    // It was taken out of the queue, or of the history.
    let Some(entry) = told.get(prompt) else { return Ok(true) };
    let files = lists::outputs(entry);
    run.owners().made(profile, files.iter().cloned());
    match gallery {
        Some(gallery) => Ok(hand_over(tool, gallery, profile, prompt, files).await),
        None => Ok(true),
    }
}

/// Hands over the pictures that were saved; previews are none. False where one could not be read now.
async fn hand_over(tool: Tool<'_>, gallery: &dyn Gallery, profile: &ProfileId, prompt: &str, files: Vec<File>) -> bool {
    let own = format!("@{profile}");
    let mine = |file: &File| file.subfolder.split('/').next() == Some(&own);
    let saved = files.into_iter().filter(|file| file.kind == Kind::Output && mine(file) && is_picture(&file.name));
    let mut whole = true;
    for (index, file) in (0u32..).zip(saved.take(PICTURES_MAX)) {
        let pairs = [("filename", file.name.as_str()), ("subfolder", &file.subfolder), ("type", file.kind.as_str())];
        let query = form_urlencoded::Serializer::new(String::new()).extend_pairs(pairs).finish();
        match tool.ask(Question::get(&format!("/view?{query}"))).await {
            Ok(told) if told.status.is_success() => {
                gallery.take(Found { profile: profile.clone(), prompt: prompt.to_owned(), index, file: told.body }).await;
            }
            // It is gone already.
            Ok(told) if told.status == StatusCode::NOT_FOUND => {}
            Ok(told) => {
                tracing::warn!(status = told.status.as_u16(), "a picture of ComfyUI's cannot be read");
                whole = false;
            }
            Err(e) => {
                tracing::warn!("a picture of ComfyUI's cannot be read: {e:?}");
                whole = false;
            }
        }
    }
    whole
}

fn is_picture(name: &str) -> bool {
    let extension = name.rsplit_once('.').map(|(_, extension)| extension.to_ascii_lowercase());
    matches!(extension.as_deref(), Some("png" | "jpg" | "jpeg" | "webp"))
}

#[cfg(test)]
#[path = "tests/galleries.rs"]
mod tests;
