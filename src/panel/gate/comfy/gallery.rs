//! What ComfyUI made for a profile, on its way into that profile's gallery. Watches the prompts that the gate has let in, and
//! hands each picture over once; knows no gallery and no disk.

use super::Run;
use super::lists;
use super::names::{File, Kind};
use super::upstream::{Failure, Question, Tool};
use crate::gate::link::Home;
use crate::users::ProfileId;
use hyper::body::Bytes;
use std::collections::VecDeque;
use std::fmt::Debug;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

/// The prompts that come next are looked at so often.
const EVERY: Duration = Duration::from_secs(1);
/// So many of them: ComfyUI runs one after the other, in the order in which they came.
const AT_ONCE: usize = 4;
/// Every so many looks the queue is read as well, which may be large: what is in neither was taken out.
const QUEUE_EVERY: u32 = 10;
/// Looks in a row without an answer, and nobody is asked any more: ComfyUI has ended.
const SILENT: u32 = 20;
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

/// A prompt that has not run yet, as far as is known.
#[derive(Clone, Debug)]
pub(super) struct Waiting {
    prompt: String,
    profile: ProfileId,
}

/// Prompts whose pictures are waited for, and whether somebody looks after them.
#[derive(Debug, Default)]
pub(super) struct Watched {
    waiting: VecDeque<Waiting>,
    watching: bool,
}

/// Waits for a prompt's pictures as well.
pub(super) fn watch(run: &Arc<Run>, gallery: &Arc<dyn Gallery>, profile: &ProfileId, prompt: &str, address: SocketAddr) {
    let mut watched = run.watched();
    watched.waiting.push_back(Waiting { prompt: prompt.to_owned(), profile: profile.clone() });
    if !std::mem::replace(&mut watched.watching, true) {
        tokio::spawn(look_after(run.clone(), gallery.clone(), address));
    }
}

/// Looks at the prompts that wait until none does.
async fn look_after(run: Arc<Run>, gallery: Arc<dyn Gallery>, address: SocketAddr) {
    let home = Home::default();
    let tool = Tool { home: &home, address };
    let (mut round, mut silent) = (0u32, 0);
    while !run.over.load(Ordering::Relaxed) && silent < SILENT {
        tokio::time::sleep(EVERY).await;
        round = round.wrapping_add(1);
        let next: Vec<Waiting> = {
            let mut watched = run.watched();
            watched.watching = !watched.waiting.is_empty();
            if !watched.watching {
                return;
            }
            watched.waiting.iter().take(AT_ONCE).cloned().collect()
        };
        silent = match look(&run, tool, gallery.as_ref(), &next, round % QUEUE_EVERY == 0).await {
            Ok(done) => {
                run.watched().waiting.retain(|waiting| !done.contains(&waiting.prompt));
                0
            }
            Err(_) => silent + 1,
        };
    }
    *run.watched() = Watched::default();
}

/// Hands over what has been made; the prompts of which nothing more will come.
async fn look(
    run: &Run,
    tool: Tool<'_>,
    gallery: &dyn Gallery,
    next: &[Waiting],
    in_queue: bool,
) -> Result<Vec<String>, Failure> {
    // The queue first: what is moved from it into the history meanwhile is found there.
    let queue = if in_queue { Some(run.queue(tool).await?) } else { None };
    let mut done = Vec::new();
    for Waiting { prompt, profile } in next {
        let told = tool.ask(Question::get(&format!("/history/{prompt}"))).await?.json()?;
        if let Some(entry) = told.get(prompt) {
            let files = lists::outputs(entry);
            run.owners().made(profile, files.iter().cloned());
            hand_over(tool, gallery, profile, prompt, files).await;
            done.push(prompt.clone());
        } else if queue.as_ref().is_some_and(|queue| lists::count(queue, |id| id == prompt) == 0) {
            done.push(prompt.clone());
        }
    }
    Ok(done)
}

/// Hands over the pictures that were saved; previews are none.
async fn hand_over(tool: Tool<'_>, gallery: &dyn Gallery, profile: &ProfileId, prompt: &str, files: Vec<File>) {
    let own = format!("@{profile}");
    let mine = |file: &File| file.subfolder.split('/').next() == Some(&own);
    let saved = files.into_iter().filter(|file| file.kind == Kind::Output && mine(file) && is_picture(&file.name));
    for (index, file) in (0u32..).zip(saved.take(PICTURES_MAX)) {
        let pairs = [("filename", file.name.as_str()), ("subfolder", &file.subfolder), ("type", file.kind.as_str())];
        let query = form_urlencoded::Serializer::new(String::new()).extend_pairs(pairs).finish();
        match tool.ask(Question::get(&format!("/view?{query}"))).await {
            Ok(told) if told.status.is_success() => {
                gallery.take(Found { profile: profile.clone(), prompt: prompt.to_owned(), index, file: told.body }).await;
            }
            Ok(told) => tracing::warn!(status = told.status.as_u16(), "a picture of ComfyUI's cannot be read"),
            Err(e) => tracing::warn!("a picture of ComfyUI's cannot be read: {e:?}"),
        }
    }
}

fn is_picture(name: &str) -> bool {
    let extension = name.rsplit_once('.').map(|(_, extension)| extension.to_ascii_lowercase());
    matches!(extension.as_deref(), Some("png" | "jpg" | "jpeg" | "webp"))
}
