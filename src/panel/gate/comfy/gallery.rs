//! What ComfyUI made for a profile, on its way into that profile's gallery: pictures, videos and sounds. Watches the prompts that
//! the gate has let in, and hands each file over once; knows no gallery, no disk, and not what a file is.

use super::Run;
use super::lists;
use super::names::{File, Kind};
use super::owners::PROMPTS_MAX;
use super::upstream::{Failure, Question, Tool};
use crate::gate::link::Home;
use crate::users::ProfileId;
use futures_util::Stream;
use hyper::StatusCode;
use hyper::body::Bytes;
use std::collections::{HashSet, VecDeque};
use std::fmt::{self, Debug};
use std::io;
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
/// A prompt whose files cannot be read is asked for so often.
const TRIES: u32 = 5;
/// Files of one prompt.
const FILES_MAX: usize = 1_000;

/// A file that a prompt of a profile has made.
#[derive(Debug)]
pub struct Found {
    /// Whose.
    pub profile: ProfileId,
    /// The prompt that made it: a UUID.
    pub prompt: String,
    /// Which of the prompt's files, from 0.
    pub index: u32,
    /// The file as ComfyUI wrote it, with the graph and the workflow in it.
    pub file: Coming,
}

/// A file that comes in pieces. Whoever has seen enough of it drops it.
pub struct Coming {
    /// How long it is, where that is told.
    pub bytes: Option<u64>,
    /// Its bytes; an error where it breaks off.
    pub pieces: Pin<Box<dyn Stream<Item = io::Result<Bytes>> + Send>>,
}

impl fmt::Debug for Coming {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Coming").field("bytes", &self.bytes).finish_non_exhaustive()
    }
}

/// What became of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Taken {
    /// It is there, or refused for good.
    Settled,
    /// There is no room for it now.
    NoRoom,
    /// It broke off on its way.
    Unread,
}

/// Takes files in. What it refuses stays in ComfyUI's own folder.
pub trait Gallery: Debug + Send + Sync {
    /// Takes one; the same one twice changes nothing.
    fn take(&self, found: Found) -> Pin<Box<dyn Future<Output = Taken> + Send + '_>>;
}

/// A prompt whose files nobody has fetched yet.
#[derive(Clone, Debug)]
pub(super) struct Waiting {
    prompt: String,
    profile: ProfileId,
    tries: u32,
    /// So many of its files are settled. They are not handed over again: whoever makes room may have deleted them.
    settled: u32,
}

/// What became of a prompt's files.
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
    /// The gallery has no room, for whosever file.
    NoRoom,
}

/// Prompts whose files are waited for, and whether somebody looks after them.
#[derive(Debug, Default)]
pub(super) struct Watched {
    waiting: VecDeque<Waiting>,
    watching: bool,
}

/// Waits for a prompt's files as well, from before it is sent: of what is made for whom is taken note even where no gallery
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
            tracing::warn!("what ComfyUI tells of a prompt cannot be read, so its files stay where they are");
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

/// Hands over the files that were saved; previews are none.
async fn hand_over(tool: Tool<'_>, gallery: &dyn Gallery, waiting: &mut Waiting, files: Vec<File>) -> Fetched {
    let own = format!("@{}", waiting.profile);
    let mine = |file: &File| file.subfolder.split('/').next() == Some(&own);
    // Several nodes may tell of the same file.
    let mut seen = HashSet::new();
    let saved = files.into_iter().filter(|file| file.kind == Kind::Output && mine(file) && seen.insert(file.clone()));
    let settled = waiting.settled;
    let mut fetched = Fetched::All;
    for (index, file) in (0u32..).zip(saved.take(FILES_MAX)).filter(|(index, _)| *index >= settled) {
        let pairs = [("filename", file.name.as_str()), ("subfolder", &file.subfolder), ("type", file.kind.as_str())];
        let query = form_urlencoded::Serializer::new(String::new()).extend_pairs(pairs).finish();
        match tool.file(Question::get(&format!("/view?{query}"))).await {
            Ok((status, file)) if status.is_success() => {
                let (profile, prompt) = (waiting.profile.clone(), waiting.prompt.clone());
                match gallery.take(Found { profile, prompt, index, file }).await {
                    Taken::Settled => {}
                    Taken::Unread => fetched = Fetched::Unread,
                    Taken::NoRoom => return Fetched::NoRoom,
                }
            }
            // It is gone already.
            Ok((StatusCode::NOT_FOUND, _)) => {}
            Ok((status, _)) => {
                tracing::warn!(status = status.as_u16(), "a file of ComfyUI's cannot be read");
                fetched = Fetched::Unread;
            }
            Err(e) => {
                tracing::warn!("a file of ComfyUI's cannot be read: {e:?}");
                fetched = Fetched::Unread;
            }
        }
        if fetched == Fetched::All {
            waiting.settled = index + 1;
        }
    }
    fetched
}

#[cfg(test)]
#[path = "tests/galleries.rs"]
mod tests;
