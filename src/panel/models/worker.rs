//! The child that does the work: `easel models work`, one process a task, over descriptor 3. Knows the conversation and
//! nothing of files.

use super::{ModelError, Models, arrival::Wish};
use crate::{store::arrivals, uploads::sentence};
use protocol::{FromModelWorker, ToModelWorker};
use supervise::{Exit, Launch, Spawned};
use tokio::{
    io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader, Lines},
    net::unix::{OwnedReadHalf, OwnedWriteHalf},
    sync::mpsc,
};

/// Niceness of a worker: pages and the engine come first.
const NICE: u8 = 10;
/// Bytes of a worker's last words that are kept.
const LAST_WORDS: u64 = 4_096;

/// A worker that has its task.
struct Worker {
    lines: Lines<BufReader<OwnedReadHalf>>,
    write: OwnedWriteHalf,
    /// Kept until it has ended: dropped, it kills the process.
    process: Spawned,
}

impl Worker {
    async fn start(models: &Models, task: &ToModelWorker) -> Result<Worker, ModelError> {
        let inner = &models.0;
        // Not on the command line, which everybody on this machine can read.
        let launch =
            Launch::new(&inner.program).arg("models").arg("--data").arg(&inner.data).arg("work").nice(NICE).with_stream();
        let mut process = inner.spawner.spawn(&launch).await.map_err(|e| ModelError::Broken(e.to_string()))?;
        let stream = process.stream.take().ok_or_else(|| ModelError::Broken("The worker has no stream.".into()))?;
        let (read, write) = stream.into_split();
        let mut worker = Worker { lines: BufReader::new(read).lines(), write, process };
        // One that has ended already tells so in its own way.
        let _ = worker.tell(task).await;
        Ok(worker)
    }

    async fn tell(&mut self, message: &ToModelWorker) -> Result<(), ModelError> {
        let mut line = serde_json::to_vec(message).expect("strings and numbers are JSON");
        line.push(b'\n');
        Ok(self.write.write_all(&line).await?)
    }

    /// What it tells next. None once it has ended.
    async fn hear(&mut self) -> Option<FromModelWorker> {
        let line = self.lines.next_line().await.ok().flatten()?;
        serde_json::from_str(&line).inspect_err(|e| tracing::error!("a worker on models: {e}")).ok()
    }

    /// Why it ended without a last word.
    async fn death(self) -> String {
        let Spawned { exit, output, .. } = self.process;
        let exit = exit.await.unwrap_or(Exit::Unknown);
        let mut words = String::new();
        for stream in output {
            let mut bytes = Vec::new();
            // What it wrote by its end is in the pipe already.
            let _ = stream.take(LAST_WORDS).read_to_end(&mut bytes).await;
            words.push_str(String::from_utf8_lossy(&bytes).trim());
        }
        if words.is_empty() { format!("The worker {exit}.") } else { format!("The worker {exit}: {words}") }
    }
}

/// One task to its end; the last word. `hear` gets what comes before it.
async fn run(
    models: &Models,
    task: &ToModelWorker,
    cancel: &mut mpsc::UnboundedReceiver<ToModelWorker>,
    mut hear: impl FnMut(FromModelWorker),
) -> Result<Option<FromModelWorker>, ModelError> {
    let mut worker = Worker::start(models, task).await?;
    let mut cancelled = false;
    loop {
        let told = tokio::select! {
            told = worker.hear() => told,
            Some(message) = cancel.recv(), if !cancelled => {
                cancelled = true;
                // Where it cannot be told it has ended, which the next line tells.
                let _ = worker.tell(&message).await;
                continue;
            }
        };
        match told {
            None if cancelled => return Ok(None),
            None => return Err(ModelError::Broken(worker.death().await)),
            Some(FromModelWorker::Failed { why }) => return Err(ModelError::Refused(sentence(&why))),
            Some(last @ (FromModelWorker::Added { .. } | FromModelWorker::Removed { .. })) => return Ok(Some(last)),
            Some(told) => hear(told),
        }
    }
}

/// Downloads what was wished, and writes down how it goes.
pub(super) async fn download(models: Models, id: String, mut cancel: mpsc::UnboundedReceiver<ToModelWorker>) {
    let Ok(_turn) = models.0.running.acquire().await else { return };
    let Some((wish, by)) = models.arrivals().get_mut(&id).and_then(|a| {
        a.set("running");
        Some((a.wish.clone()?, a.view.by.clone()))
    }) else {
        // It was given up while it waited.
        return;
    };
    let task = task(wish, models.0.private);
    let ended = run(&models, &task, &mut cancel, |told| match told {
        FromModelWorker::Named { name } => named(&models, &id, name),
        FromModelWorker::Progress { done, total } => models.change(&id, |a| a.progress(done, total)),
        _ => {}
    });
    match ended.await {
        Ok(Some(FromModelWorker::Added { id: model, .. })) => models.arrived(&id, &model, &by).await,
        Ok(_) => {}
        Err(e) => {
            tracing::warn!("a download of a model failed: {e}");
            models.change(&id, |a| a.fail(e.to_string()));
        }
    }
}

fn task(wish: Wish, private: bool) -> ToModelWorker {
    ToModelWorker::Download {
        url: wish.url.expose().to_owned(),
        name: wish.name,
        sha256: wish.sha256,
        token: wish.token.map(|t| t.expose().to_owned()),
        private,
    }
}

/// Keeps the name that the server told, so that the same file is gone on with after a restart.
fn named(models: &Models, id: &str, name: String) {
    models.change(id, |a| {
        a.view.name = Some(name.clone());
        if let Some(wish) = &mut a.wish {
            wish.name = Some(name.clone());
        }
    });
    let (store, id) = (models.0.store.clone(), id.to_owned());
    tokio::spawn(async move {
        if let Err(e) = store.run(move |c| arrivals::name(c, &id, &name)).await {
            tracing::warn!("the name of a model on its way was not kept: {e}");
        }
    });
}

/// Checks a whole upload and gives it its name; the model's id.
pub(super) async fn take(models: &Models, part: &str, name: &str) -> Result<String, ModelError> {
    let task = ToModelWorker::Take { part: part.into(), name: name.into() };
    match alone(models, &task).await? {
        Some(FromModelWorker::Added { id, .. }) => Ok(id),
        _ => Err(ModelError::Broken("The worker did something else.".into())),
    }
}

/// Removes a model.
pub(super) async fn remove(models: &Models, id: &str) -> Result<(), ModelError> {
    alone(models, &ToModelWorker::Remove { id: id.into() }).await.map(drop)
}

/// A short task that nobody gives up.
async fn alone(models: &Models, task: &ToModelWorker) -> Result<Option<FromModelWorker>, ModelError> {
    let (_keep, mut never) = mpsc::unbounded_channel();
    run(models, task, &mut never, |_| {}).await
}
