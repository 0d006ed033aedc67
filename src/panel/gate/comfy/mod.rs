//! ComfyUI for many: it knows no profiles, so the gate shows each its own queue, history, pictures, uploads and settings and
//! nothing of the others'. What is decided is pure and lies in the files beside; here is what lasts as long as one ComfyUI
//! runs, and where a request enters. What cannot be read is refused, never passed on.
//!
//! Of all this nothing is stored: queue, history and temp folder end with ComfyUI's process, and the panel takes that along
//! when it ends. What outlives both is told by folders (`@<profile>`) and by ComfyUI's own users.

mod address;
mod answers;
mod bodies;
mod changes;
mod events;
mod form;
mod gallery;
mod graph;
mod lists;
mod names;
mod owners;
mod prompt;
mod routes;
mod socket;
mod upstream;

pub(super) use answers::Asking;
use gallery::Watched;
pub use gallery::{Found, Gallery};
pub(super) use socket::Ear;
pub(super) use upstream::{Failure, Tool};

use super::link::Upload;
use super::pages::{Body, Notice};
use crate::users::ProfileId;
use hyper::Response;
use hyper::http::request::Parts;
use names::File;
use owners::Owners;
use serde_json::Value;
use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use tokio::sync::{Semaphore, SemaphorePermit};
use tokio::time::timeout;
use upstream::Question;

/// Uploads of one profile that are held in memory at once: each is read whole before it is written anew.
const UPLOADS_AT_ONCE: usize = 3;
/// Other bodies and answers of one profile that are read whole at once; the nodes of many packs are some MB.
const READS_AT_ONCE: usize = 8;
/// So long a request waits for its turn.
const TURN_TIME: Duration = Duration::from_secs(15);

/// Why a request is not carried: a sentence for whoever sent it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Refusal {
    pub(super) why: String,
}

impl Refusal {
    fn new(why: String) -> Refusal {
        Refusal { why }
    }
}

/// What becomes of a request.
pub(super) enum Outcome {
    /// The gate's own answer, or ComfyUI's with things taken out.
    Answer(Box<Response<Body>>),
    /// It goes to ComfyUI.
    Forward(Box<Passage>),
    /// Something is said in its place.
    Say(Notice),
}

impl Outcome {
    fn answer(answer: Response<Body>) -> Outcome {
        Outcome::Answer(Box::new(answer))
    }
}

/// A request on its way to the tool.
pub(super) struct Passage {
    pub(super) parts: Parts,
    pub(super) upload: Upload,
    /// Who listens in, where it becomes a WebSocket.
    pub(super) ear: Option<Ear>,
    /// It is an admin's alone.
    pub(super) reserved: bool,
}

/// Where ComfyUI's `input` and `output` lie.
#[derive(Clone, Debug)]
pub struct Folders {
    /// The folder in which tools are installed.
    pub workspace: PathBuf,
    /// ComfyUI's own folder below it.
    pub program: String,
}

/// Stands in front of ComfyUI.
#[derive(Debug)]
pub(super) struct Guard {
    folders: Folders,
    run: Mutex<Arc<Run>>,
    gallery: Option<Arc<dyn Gallery>>,
}

impl Guard {
    pub(super) fn new(folders: Folders, gallery: Option<Arc<dyn Gallery>>) -> Guard {
        Guard { folders, run: Mutex::new(Arc::new(Run::new())), gallery }
    }

    /// A ComfyUI has come up: what was known of the one before counts no more.
    pub(super) fn begin(&self) {
        let mut run = self.run.lock().unwrap_or_else(PoisonError::into_inner);
        run.over.store(true, Ordering::Relaxed);
        *run = Arc::new(Run::new());
    }

    fn run(&self) -> Arc<Run> {
        self.run.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// What is known as long as one ComfyUI runs.
#[derive(Debug)]
struct Run {
    began: Instant,
    owners: Mutex<Owners>,
    /// What ComfyUI calls each profile.
    users: Mutex<HashMap<ProfileId, String>>,
    turns: Mutex<HashMap<ProfileId, Arc<Turns>>>,
    /// The queue as it was last told, and when that was asked; one asks at a time.
    queue: Mutex<Option<(Instant, Arc<Value>)>>,
    asking: Semaphore,
    watched: Mutex<Watched>,
    over: AtomicBool,
}

/// A profile's turns at what takes memory; those of others wait for none of them.
#[derive(Debug)]
struct Turns {
    uploads: Semaphore,
    reads: Semaphore,
}

impl Run {
    fn new() -> Run {
        Run {
            began: Instant::now(),
            owners: Mutex::default(),
            users: Mutex::default(),
            turns: Mutex::default(),
            queue: Mutex::default(),
            asking: Semaphore::new(1),
            watched: Mutex::default(),
            over: AtomicBool::new(false),
        }
    }

    fn turns(&self, profile: &ProfileId) -> Arc<Turns> {
        let mut turns = self.turns.lock().unwrap_or_else(PoisonError::into_inner);
        let new = || Arc::new(Turns { uploads: Semaphore::new(UPLOADS_AT_ONCE), reads: Semaphore::new(READS_AT_ONCE) });
        turns.entry(profile.clone()).or_insert_with(new).clone()
    }

    fn watched(&self) -> MutexGuard<'_, Watched> {
        self.watched.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn owners(&self) -> MutexGuard<'_, Owners> {
        // Every change of them is whole before anything can panic.
        self.owners.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn owns(&self, profile: &ProfileId, prompt: &str) -> bool {
        self.owners().owns(profile, prompt)
    }

    fn has(&self, profile: &ProfileId, file: &File) -> bool {
        self.owners().has(profile, file)
    }

    /// A prompt's place in the queue: the time, so that nobody comes before who was there first, and nobody reads off it how
    /// many others there were.
    fn number(&self) -> u64 {
        u64::try_from(self.began.elapsed().as_micros()).unwrap_or(u64::MAX)
    }

    /// The queue, as it is now or a little later. ComfyUI tells every browser of every change, and each wants its own count
    /// then: they share one answer, if it was asked for after the change.
    async fn queue(&self, tool: Tool<'_>) -> Result<Arc<Value>, Failure> {
        let wanted = Instant::now();
        let _turn = self.asking.acquire().await.map_err(|_| Failure::Slow)?;
        let told = self.queue.lock().unwrap_or_else(PoisonError::into_inner).clone();
        if let Some((_, queue)) = told.filter(|(asked, _)| *asked >= wanted) {
            return Ok(queue);
        }
        let asked = Instant::now();
        let queue = Arc::new(tool.ask(Question::get("/queue")).await?.json()?);
        *self.queue.lock().unwrap_or_else(PoisonError::into_inner) = Some((asked, queue.clone()));
        Ok(queue)
    }

    /// What ComfyUI calls a profile; made a user of it where it is none. Its users outlive it, in its user folder.
    async fn user_of(&self, profile: &ProfileId, tool: Tool<'_>) -> Result<String, Failure> {
        let known = self.users.lock().unwrap_or_else(PoisonError::into_inner).get(profile).cloned();
        if let Some(user) = known {
            return Ok(user);
        }
        let user = match find(profile, tool).await? {
            Some(user) => user,
            None => {
                let new = serde_json::json!({ "username": profile.as_str() });
                // Another request of the profile may have made it since; both find the same one then.
                tool.ask(Question::post("/users", &new)).await?;
                find(profile, tool).await?.ok_or(Failure::Unreadable)?
            }
        };
        self.users.lock().unwrap_or_else(PoisonError::into_inner).insert(profile.clone(), user.clone());
        Ok(user)
    }
}

/// A turn at something that takes memory.
async fn turn(turns: &Semaphore) -> Result<SemaphorePermit<'_>, Refusal> {
    let turn = timeout(TURN_TIME, turns.acquire()).await.ok().and_then(Result::ok);
    turn.ok_or_else(|| Refusal::new("Too much at once; try it again in a moment.".into()))
}

/// The user of this name, of a ComfyUI that keeps its users apart.
async fn find(profile: &ProfileId, tool: Tool<'_>) -> Result<Option<String>, Failure> {
    let told = tool.ask(Question::get("/users")).await?.json()?;
    let users = told["users"].as_object().ok_or(Failure::Unreadable)?;
    let named = users.iter().find(|(_, name)| name.as_str() == Some(profile.as_str()));
    Ok(named.map(|(user, _)| user.clone()))
}
