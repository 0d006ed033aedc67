//! What ComfyUI made for a profile, on its way into that profile's gallery. Watches the prompts that the gate has let in, and
//! hands each picture over once; knows no gallery and no disk.

use super::Run;
use super::lists;
use super::names::{File, Kind};
use super::owners::PROMPTS_MAX;
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
/// And at least so often while ComfyUI does not answer, as when a model loads, or while the gallery has no room. Whoever says
/// that it has ended ends this too.
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

/// What became of a picture.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Taken {
    /// It is there, or refused for good.
    Settled,
    /// There is no room for it now.
    NoRoom,
}

/// Takes pictures in. What it refuses stays in ComfyUI's own folder.
pub trait Gallery: Debug + Send + Sync {
    /// Takes one; the same one twice changes nothing.
    fn take(&self, found: Found) -> Pin<Box<dyn Future<Output = Taken> + Send + '_>>;
}

/// A prompt whose pictures nobody has fetched yet.
#[derive(Clone, Debug)]
pub(super) struct Waiting {
    prompt: String,
    profile: ProfileId,
    tries: u32,
    /// So many of its pictures are settled. They are not handed over again: whoever makes room may have deleted them.
    settled: u32,
}

/// What became of a prompt's pictures.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fetched {
    /// Nothing more will come of it.
    All,
    /// Something of it could not be read now.
    Unread,
    /// The gallery has no room.
    NoRoom,
}

/// What comes after a look at the prompts that wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Next {
    /// There may be more.
    More,
    /// Nothing has left the queue, or could be read.
    Nothing,
    /// The gallery has no room, for whosever picture.
    NoRoom,
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
    // They pile up while the gallery has no room; of the oldest nobody knows then whose they are.
    let own = |waiting: &Waiting| waiting.profile == *profile;
    if watched.waiting.iter().filter(|waiting| own(waiting)).count() >= PROMPTS_MAX
        && let Some(oldest) = watched.waiting.iter().position(own)
    {
        watched.waiting.remove(oldest);
    }
    watched.waiting.push_back(Waiting { prompt: prompt.to_owned(), profile: profile.clone(), tries: 0, settled: 0 });
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
            Ok(Next::More) => Duration::ZERO,
            Ok(Next::Nothing) => EVERY,
            Ok(Next::NoRoom) | Err(_) => (pause * 2).clamp(EVERY, SELDOM),
        };
    }
}

/// Fetches what was made by a prompt of each profile that has left the queue.
async fn look(run: &Run, tool: Tool<'_>, gallery: Option<&dyn Gallery>) -> Result<Next, Failure> {
    run.queue(tool).await?;
    let next = {
        let (watched, owners) = (run.watched(), run.owners());
        // One of each, so that nobody waits for all of somebody else's.
        let (mut seen, over) = (HashSet::new(), |waiting: &&Waiting| owners.is_over(&waiting.prompt));
        let over = watched.waiting.iter().filter(over);
        over.filter(|waiting| seen.insert(waiting.profile.clone())).cloned().collect::<Vec<_>>()
    };
    let mut then = Next::Nothing;
    for mut waiting in next {
        let fetched = fetch(run, tool, gallery, &mut waiting).await?;
        let mut watched = run.watched();
        watched.waiting.retain(|other| other.prompt != waiting.prompt);
        match fetched {
            Fetched::All => then = Next::More,
            Fetched::Unread if waiting.tries + 1 >= TRIES => then = Next::More,
            Fetched::Unread => watched.waiting.push_back(Waiting { tries: waiting.tries + 1, ..waiting }),
            Fetched::NoRoom => {
                watched.waiting.push_back(waiting);
                return Ok(Next::NoRoom);
            }
        }
    }
    Ok(then)
}

/// Takes note of what one prompt has made, and hands it over.
async fn fetch(run: &Run, tool: Tool<'_>, gallery: Option<&dyn Gallery>, waiting: &mut Waiting) -> Result<Fetched, Failure> {
    let told = tool.ask(Question::get(&format!("/history/{}", waiting.prompt))).await?.json().await;
    let told = match told {
        Ok(told) => told,
        Err(Failure::Unreadable | Failure::TooLarge) => {
            tracing::warn!("what ComfyUI tells of a prompt cannot be read, so its pictures stay where they are");
            return Ok(Fetched::All);
        }
        // It cannot tell of this one, and the others must not wait for that.
        Err(Failure::Status(status)) => {
            tracing::warn!(status = status.as_u16(), "ComfyUI does not tell of a prompt");
            return Ok(Fetched::Unread);
        }
        Err(failure) => return Err(failure),
    };
    // It was taken out of the queue, or of the history.
    let Some(entry) = told.get(&waiting.prompt) else { return Ok(Fetched::All) };
    let files = lists::outputs(entry);
    run.owners().made(&waiting.profile, files.iter().cloned());
    match gallery {
        Some(gallery) => Ok(hand_over(tool, gallery, waiting, files).await),
        None => Ok(Fetched::All),
    }
}

/// Hands over the pictures that were saved; previews are none.
async fn hand_over(tool: Tool<'_>, gallery: &dyn Gallery, waiting: &mut Waiting, files: Vec<File>) -> Fetched {
    let own = format!("@{}", waiting.profile);
    let mine = |file: &File| file.subfolder.split('/').next() == Some(&own);
    let saved = files.into_iter().filter(|file| file.kind == Kind::Output && mine(file) && is_picture(&file.name));
    let settled = waiting.settled;
    let mut fetched = Fetched::All;
    for (index, file) in (0u32..).zip(saved.take(PICTURES_MAX)).filter(|(index, _)| *index >= settled) {
        let pairs = [("filename", file.name.as_str()), ("subfolder", &file.subfolder), ("type", file.kind.as_str())];
        let query = form_urlencoded::Serializer::new(String::new()).extend_pairs(pairs).finish();
        match tool.ask(Question::get(&format!("/view?{query}"))).await {
            Ok(told) if told.status.is_success() => {
                let (profile, prompt) = (waiting.profile.clone(), waiting.prompt.clone());
                if gallery.take(Found { profile, prompt, index, file: told.body }).await == Taken::NoRoom {
                    return Fetched::NoRoom;
                }
            }
            // It is gone already.
            Ok(told) if told.status == StatusCode::NOT_FOUND => {}
            Ok(told) => {
                tracing::warn!(status = told.status.as_u16(), "a picture of ComfyUI's cannot be read");
                fetched = Fetched::Unread;
            }
            Err(e) => {
                tracing::warn!("a picture of ComfyUI's cannot be read: {e:?}");
                fetched = Fetched::Unread;
            }
        }
        if fetched == Fetched::All {
            waiting.settled = index + 1;
        }
    }
    fetched
}

fn is_picture(name: &str) -> bool {
    let extension = name.rsplit_once('.').map(|(_, extension)| extension.to_ascii_lowercase());
    matches!(extension.as_deref(), Some("png" | "jpg" | "jpeg" | "webp"))
}

#[cfg(test)]
#[path = "tests/galleries.rs"]
mod tests;
