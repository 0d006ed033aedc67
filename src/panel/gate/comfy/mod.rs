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
mod outbox;
mod owners;
mod prompt;
mod pyjson;
mod queue;
mod routes;
mod rules;
mod socket;
mod texts;
mod types;
mod upstream;

pub(super) use answers::Asking;
use gallery::Watched;
pub use gallery::{Coming, Found, Gallery, Taken};
pub(super) use socket::Ear;
pub(super) use upstream::{Failure, Tool};

use super::link::Upload;
use super::pages::{Body, Notice};
use crate::users::ProfileId;
use hyper::Response;
use hyper::http::request::Parts;
use names::File;
use owners::Owners;
use queue::Queue;
use rules::{Rules, Table};
use std::collections::HashMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use tokio::sync::{Semaphore, SemaphorePermit};
use tokio::time::timeout;
use types::Known;
use upstream::{ANSWER_TIME, Question};

/// Uploads of one profile that are held in memory at once: each is read whole before it is written anew.
const UPLOADS_AT_ONCE: usize = 3;
/// Other bodies and answers of one profile that are read whole at once; the nodes of many packs are some MB.
const READS_AT_ONCE: usize = 8;
/// So long a request waits for its turn.
const TURN_TIME: Duration = Duration::from_secs(15);
/// What is longer is read and written beside the panel's own threads.
const SMALL: usize = 256 * 1024;
/// The studio's own rows of the table of nodes, in Easel's data folder, and how people are told of it.
const RULES: &str = "comfyui-nodes.txt";
const OWN_RULES: &str = "the file comfyui-nodes.txt of Easel's data folder";
/// Bytes of it.
const RULES_MAX: u64 = 1024 * 1024;

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
    rules: PathBuf,
    run: Mutex<Arc<Run>>,
    gallery: Option<Arc<dyn Gallery>>,
}

impl Guard {
    /// `data` is Easel's own folder.
    pub(super) fn new(folders: Folders, data: &Path, gallery: Option<Arc<dyn Gallery>>) -> Guard {
        Guard { folders, rules: data.join(RULES), run: Mutex::new(Arc::new(Run::new())), gallery }
    }

    /// A ComfyUI has come up, or ended: what was known of the one before counts no more.
    pub(super) fn begin(&self) {
        let mut run = self.run.lock().unwrap_or_else(PoisonError::into_inner);
        run.over.store(true, Ordering::Relaxed);
        *run = Arc::new(Run::new());
    }

    /// The table of nodes as it is now. A line that cannot be read might take something from everybody, so nothing runs
    /// until it is mended.
    async fn rules(&self) -> Result<Rules, Refusal> {
        let path = self.rules.clone();
        let read = tokio::task::spawn_blocking(move || -> io::Result<String> {
            if std::fs::metadata(&path)?.len() > RULES_MAX {
                return Err(io::Error::other("it is too long"));
            }
            std::fs::read_to_string(&path)
        });
        match read.await.map_err(io::Error::other).flatten() {
            Ok(text) => Table::parse(&text).map(Rules::with).map_err(|line| {
                Refusal::new(format!(
                    "Line {line} of {OWN_RULES} says nothing that is known; an admin mends it: class, input, and one of prefix, \
                     name, folder, file, text, extension, key, store, number, word, pass and never."
                ))
            }),
            Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(Rules::default()),
            Err(e) => Err(Refusal::new(format!("{OWN_RULES} cannot be read ({e}); an admin mends it."))),
        }
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
    /// The queue as it was last told, or that it was not, and when that was asked; one asks at a time.
    queue: Mutex<Option<(Instant, Option<Arc<Queue>>)>>,
    asking: Semaphore,
    /// The nodes that this ComfyUI has, as far as somebody asked.
    known: Mutex<Known>,
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
            known: Mutex::default(),
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

    fn known(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
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

    /// The ids in the queue, as it is now or a little later. ComfyUI tells every browser of every change, and each wants its
    /// own count then: they share one answer, if it was asked for after the change. What is no answer is shared too, so that
    /// nobody waits for one question after the other.
    async fn queue(&self, tool: Tool<'_>) -> Result<Arc<Queue>, Failure> {
        timeout(ANSWER_TIME, self.ask_queue(tool)).await.unwrap_or(Err(Failure::Slow))
    }

    async fn ask_queue(&self, tool: Tool<'_>) -> Result<Arc<Queue>, Failure> {
        let wanted = Instant::now();
        let _turn = self.asking.acquire().await.map_err(|_| Failure::Slow)?;
        let told = self.queue.lock().unwrap_or_else(PoisonError::into_inner).clone();
        if let Some((_, queue)) = told.filter(|(asked, _)| *asked >= wanted) {
            return queue.ok_or(Failure::Slow);
        }
        let asked = Instant::now();
        let queue = tool.queue(|_| false).await.and_then(|queue| Ok(Arc::new(queue.ids()?)));
        if let Ok(queue) = &queue {
            self.owners().settle(queue, asked);
        }
        *self.queue.lock().unwrap_or_else(PoisonError::into_inner) = Some((asked, queue.as_ref().ok().cloned()));
        queue
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

/// Does what takes long with so many bytes beside the panel's own threads. None where it broke off.
async fn aside<T: Send + 'static>(bytes: usize, work: impl FnOnce() -> T + Send + 'static) -> Option<T> {
    if bytes <= SMALL { Some(work()) } else { tokio::task::spawn_blocking(work).await.ok() }
}

/// A turn at something that takes memory.
async fn turn(turns: &Semaphore) -> Result<SemaphorePermit<'_>, Refusal> {
    let turn = timeout(TURN_TIME, turns.acquire()).await.ok().and_then(Result::ok);
    turn.ok_or_else(|| Refusal::new("Too much at once; try it again in a moment.".into()))
}

/// The user of this name, of a ComfyUI that keeps its users apart.
async fn find(profile: &ProfileId, tool: Tool<'_>) -> Result<Option<String>, Failure> {
    let told = tool.ask(Question::get("/users")).await?.json().await?;
    let users = told["users"].as_object().ok_or(Failure::Unreadable)?;
    let named = users.iter().find(|(_, name)| name.as_str() == Some(profile.as_str()));
    Ok(named.map(|(user, _)| user.clone()))
}
