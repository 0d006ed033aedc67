//! The engine as a process: answers the panel over one stream, one job at a time. Knows the protocol and when
//! to load and to forget models; knows no network, no sampler and nothing of how it was started.
//!
//! Four threads, so that nothing waits for anything slower than itself:
//!
//! ```text
//!             panel ── stream ──▶ reader ──▶ worker   loads, generates, forgets after idle time
//!                                   │  └────▶ clerk    scans folders, counts tokens
//!                                   └─ cancels at once, by a flag that the worker's callback looks at
//!             panel ◀─ stream ── writer ◀── all of them; encodes previews
//! ```
//!
//! The end of the stream ends the process at once, whatever runs: nothing of a job outlives the panel.

mod clerk;
mod estimate;
mod jobs;
mod outbox;
mod worker;

use crate::{
    EngineError, Pipeline,
    device::Device,
    library::{Entry, Library},
    registry::OnLoad,
};
use jobs::Jobs;
use outbox::Outbox;
use protocol::{BUILD_ID, FromEngine, NoGpu, ToEngine, frame};
use std::{
    io::{self, Read},
    os::unix::net::UnixStream,
    path::PathBuf,
    sync::{
        Arc, Mutex,
        mpsc::{Receiver, Sender, channel},
    },
    time::Duration,
};

/// How the engine is to behave.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The folder of models.
    pub models: PathBuf,
    /// Loaded models are forgotten after so long without a job.
    pub idle: Duration,
    /// Where they run.
    pub device: Device,
    /// Why that is no GPU although one would have been taken.
    pub no_gpu: Option<NoGpu>,
}

/// Why the conversation ended other than by the panel's hanging up.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// The stream broke.
    #[error("the panel's stream broke: {0}")]
    Stream(#[from] io::Error),
    /// The panel said something that this build does not understand.
    #[error("the panel is not understood: {0}")]
    Frame(#[from] frame::FrameError),
    /// Panel and engine are not of one build.
    #[error("the panel is of build {panel}, this engine of {BUILD_ID}: start Easel again")]
    Build {
        /// The panel's.
        panel: String,
    },
}

/// How models get into memory: by the registry, or by something painted in a test.
pub(crate) trait Loads: Send + 'static {
    /// Loads a model.
    fn load(&self, entry: &Entry, on_load: &mut OnLoad<'_>) -> Result<Box<dyn Pipeline>, EngineError>;
}

/// By the registry, onto a device.
struct ByRegistry(Device);

impl Loads for ByRegistry {
    fn load(&self, entry: &Entry, on_load: &mut OnLoad<'_>) -> Result<Box<dyn Pipeline>, EngineError> {
        (entry.family.load)(&entry.source, &self.0, on_load)
    }
}

/// Answers the panel until it hangs up.
///
/// # Errors
/// Whatever ends the conversation from this side; a hang-up is no error.
pub fn serve(stream: UnixStream, settings: Settings) -> Result<(), ServeError> {
    let loads = ByRegistry(settings.device.clone());
    serve_with(stream, settings, loads)
}

/// What the threads share.
struct Shared {
    outbox: Outbox,
    jobs: Jobs,
    library: Mutex<Arc<Library>>,
    settings: Settings,
}

impl Shared {
    fn library(&self) -> Arc<Library> {
        Arc::clone(&self.library.lock().expect("nobody panics while holding the library"))
    }

    /// The same; looked at anew where it lacks this model, which another engine of the same folder may have told of already.
    fn library_with(&self, model: &str) -> Arc<Library> {
        let library = self.library();
        if library.get(model).is_some() {
            return library;
        }
        let library = Arc::new(Library::scan(&self.settings.models));
        *self.library.lock().expect("nobody panics while holding the library") = Arc::clone(&library);
        library
    }
}

fn serve_with(stream: UnixStream, settings: Settings, loads: impl Loads) -> Result<(), ServeError> {
    let mut reading = stream.try_clone()?;
    let (outbox, sending) = Outbox::new();
    spawn("writer", move || outbox::write(stream, &sending))?;
    let shared = Arc::new(Shared { outbox, jobs: Jobs::default(), library: Mutex::default(), settings });
    let (to_worker, orders) = channel();
    let (to_clerk, questions) = channel();
    let (for_worker, for_clerk) = (Arc::clone(&shared), Arc::clone(&shared));
    spawn("worker", move || worker::run(&for_worker, &loads, &orders))?;
    spawn("clerk", move || clerk::run(&for_clerk, &questions))?;
    let said_hello = greet(&mut reading, &shared)?;
    if !said_hello {
        return Ok(());
    }
    while let Some(message) = next(&mut reading)? {
        dispatch(message, &shared, &to_worker, &to_clerk);
    }
    shared.jobs.cancel_all();
    Ok(())
}

fn spawn(name: &str, run: impl FnOnce() + Send + 'static) -> io::Result<()> {
    std::thread::Builder::new().name(name.into()).spawn(run).map(drop)
}

/// The first message and its answer; false where the panel hung up without a word.
fn greet(stream: &mut UnixStream, shared: &Shared) -> Result<bool, ServeError> {
    let Some(first) = next(stream)? else { return Ok(false) };
    let Settings { device, no_gpu, .. } = &shared.settings;
    shared.outbox.send(FromEngine::Hello { build: BUILD_ID.into(), device: device.to_string(), no_gpu: no_gpu.clone() });
    match first {
        ToEngine::Hello { build } if build == BUILD_ID => Ok(true),
        other => {
            shared.outbox.flush();
            let panel = if let ToEngine::Hello { build } = other { build } else { "that says no hello".into() };
            Err(ServeError::Build { panel })
        }
    }
}

/// Hands a message to the thread that answers it. Nothing here takes time.
fn dispatch(message: ToEngine, shared: &Shared, worker: &Sender<worker::Order>, clerk: &Sender<clerk::Question>) {
    let sent = match message {
        ToEngine::Hello { .. } => Ok(()),
        ToEngine::Cancel { job } => {
            shared.jobs.cancel(&job);
            Ok(())
        }
        ToEngine::Scan => clerk.send(clerk::Question::Scan).map_err(drop),
        ToEngine::CountTokens { ask, model, prompt } => {
            clerk.send(clerk::Question::CountTokens { ask, model, prompt }).map_err(drop)
        }
        ToEngine::Unload => {
            let told = clerk.send(clerk::Question::Forget).map_err(drop);
            told.and(worker.send(worker::Order::Unload).map_err(drop))
        }
        ToEngine::Generate { job, recipe, image, mask } => {
            // Known before the worker sees it, so that a cancel right behind it is not lost.
            let cancel = shared.jobs.begin(&job);
            let order = worker::Generate { job, recipe: *recipe, image, mask, cancel };
            worker.send(worker::Order::Generate(Box::new(order))).map_err(drop)
        }
    };
    if sent.is_err() {
        // Both threads catch their panics; should one be gone all the same, a new process is the cure.
        tracing::error!("a thread of the engine is gone");
        std::process::abort();
    }
}

/// The next message; `None` at the end of the stream.
fn next(stream: &mut impl Read) -> Result<Option<ToEngine>, ServeError> {
    let mut prefix = [0; 4];
    match stream.read_exact(&mut prefix) {
        Ok(()) => {}
        Err(e) if matches!(e.kind(), io::ErrorKind::UnexpectedEof | io::ErrorKind::ConnectionReset) => return Ok(None),
        Err(e) => return Err(e.into()),
    }
    let length = frame::body_length(prefix)?;
    // Grows as bytes arrive: a length alone takes no memory.
    let mut body = Vec::new();
    let read = stream.take(length as u64).read_to_end(&mut body)?;
    if read < length {
        return Ok(None);
    }
    Ok(Some(frame::decode(&body)?))
}

/// Every message that is there, in order, without waiting.
fn drain<T>(receiver: &Receiver<T>) -> Vec<T> {
    receiver.try_iter().collect()
}

#[cfg(test)]
#[path = "serve/tests.rs"]
mod tests;
