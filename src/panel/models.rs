//! Models on their way into the models folder and out of it: downloads and removals by a child process, uploads in
//! pieces. What is under way outlives a reload, and what can go on outlives the panel. Knows no HTTP and no tensors.

mod arrival;
mod uploads;
mod worker;

pub use arrival::{ArrivalView, Stage, Wish};
pub use uploads::MAX_PIECE;

use crate::{
    audit::{Audit, Deed, Kind},
    beneath::Beneath,
    clock::{Clock, rfc3339},
    config::Config,
    secrets::Secret,
    spool::{BUSY, Held, Spool},
    store::{Store, StoreError, arrivals},
};
use arrival::Arrival;
use protocol::{ToModelWorker, model::is_weights_name};
use std::{
    collections::BTreeMap,
    io,
    path::PathBuf,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};
use supervise::Spawner;
use tokio::{
    runtime::Handle,
    sync::{Semaphore, mpsc},
};

/// Models on their way at a time, failed ones that nobody put away included.
pub const MOST: usize = 20;
/// Downloads that run at a time; the others wait.
const AT_ONCE: usize = 2;
/// Largest model that is taken, in bytes.
pub const MAX_BYTES: u64 = 200 << 30;
/// So long after its last piece an upload can be gone on with.
const STALE: Duration = Duration::from_secs(7 * 24 * 3_600);
/// Longest address, in bytes.
const MAX_URL: usize = 2_048;

/// Why something is not done.
#[derive(Debug, thiserror::Error)]
pub enum ModelError {
    /// There is none such.
    #[error("There is no such model on its way.")]
    Unknown,
    /// A field that cannot be taken: which, and why.
    #[error("{1}")]
    Field(&'static str, String),
    /// It clashes with what is there.
    #[error("{0}")]
    Clash(String),
    /// Over a limit.
    #[error("{0}")]
    TooLarge(String),
    /// A piece for another offset than the next.
    #[error("The next byte wanted is {0}.")]
    WrongOffset(u64),
    /// The worker looked at it and refuses; says why.
    #[error("{0}")]
    Refused(String),
    /// The worker did not get that far; says why.
    #[error("{0}")]
    Broken(String),
    /// The store refused.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The disk refused.
    #[error("the disk failed: {0}")]
    Disk(#[from] io::Error),
}

#[derive(Debug)]
struct Inner {
    store: Store,
    clock: Clock,
    audit: Audit,
    spawner: Arc<dyn Spawner>,
    /// The program whose `models work` does the work.
    program: PathBuf,
    data: PathBuf,
    folder: Beneath,
    /// Uploads on their way, in the same folder.
    parts: Spool,
    /// Also from private addresses.
    private: bool,
    arrivals: Mutex<BTreeMap<String, Arrival>>,
    running: Semaphore,
    /// Where downloads run: the worker of the web server that begins one may end before it.
    runtime: Handle,
}

/// The handle.
#[derive(Clone, Debug)]
pub struct Models(Arc<Inner>);

impl Models {
    /// Takes up what an earlier panel left: downloads go on, uploads wait for their sender. Call it inside a tokio runtime.
    ///
    /// # Errors
    /// When the store cannot be read or the folder not be opened.
    pub async fn open(
        config: &Config,
        store: Store,
        clock: Clock,
        audit: Audit,
        spawner: Arc<dyn Spawner>,
    ) -> Result<Models, ModelError> {
        let folder = Beneath::open(&config.data.join("models"))?;
        let known = store.read(|c| arrivals::all(c)).await?;
        let models = Models(Arc::new(Inner {
            store,
            clock,
            audit,
            spawner,
            program: config.engine_program.clone(),
            data: config.data.clone(),
            parts: Spool::new(folder.clone()),
            folder,
            private: config.private_downloads,
            arrivals: Mutex::default(),
            running: Semaphore::new(AT_ONCE),
            runtime: Handle::current(),
        }));
        for row in known {
            let url = row.url.as_deref().map(Secret::new);
            let (id, is_download) = (row.id.clone(), row.bytes.is_none());
            let mut arrival = Arrival::found_again(row, url.clone());
            if !is_download {
                // A disk that does not answer now is asked again by the next piece.
                arrival.view.done = models.0.parts.have(&uploads::part_of(&id)).await.unwrap_or(0);
            }
            models.arrivals().insert(id.clone(), arrival);
            if is_download && url.is_some() {
                models.start(&id);
            }
        }
        Ok(models)
    }

    /// Everything on its way, oldest first.
    pub fn list(&self) -> Vec<ArrivalView> {
        self.arrivals().values().map(|a| a.view.clone()).collect()
    }

    /// Begins a download; its id.
    ///
    /// # Errors
    /// [`ModelError::Field`] where the wish cannot be taken; when too many are on their way, or the store refuses.
    pub async fn download(&self, by: &str, wish: Wish) -> Result<String, ModelError> {
        let host = host_of(wish.url.expose()).ok_or_else(|| {
            let words = "It is an http or https address, without a user or password in it.";
            ModelError::Field("url", words.into())
        })?;
        if let Some(name) = &wish.name {
            self.check_name(name)?;
        }
        if wish.sha256.as_ref().is_some_and(|s| s.len() != 64 || !s.bytes().all(|b| b.is_ascii_hexdigit())) {
            return Err(ModelError::Field("sha256", "It is 64 hex digits.".into()));
        }
        // What stands behind a question mark may be a secret, and no secret is stored.
        let plain = !wish.url.expose().contains(['?', '#']);
        let row = arrivals::Arrival {
            id: ulid::Ulid::generate().to_string(),
            profile: by.into(),
            name: wish.name.clone(),
            host: host.clone(),
            url: plain.then(|| wish.url.expose().to_owned()),
            bytes: None,
            sha256: wish.sha256.clone(),
            mark: None,
            created: self.0.clock.ms(),
        };
        let id = row.id.clone();
        self.add(row, Some(wish)).await?;
        self.write(Deed::done(by, Kind::Model, format!("asked for a download from {host}"))).await;
        self.start(&id);
        Ok(id)
    }

    /// Starts a download that failed or was left once more: it goes on where it stopped.
    ///
    /// # Errors
    /// When it is none, runs already, or its address is not known any more.
    pub fn again(&self, id: &str) -> Result<(), ModelError> {
        {
            let mut arrivals = self.arrivals();
            let arrival = arrivals.get_mut(id).ok_or(ModelError::Unknown)?;
            if arrival.wish.is_none() {
                return Err(ModelError::Clash(arrival::FORGOTTEN.into()));
            }
            if arrival.view.state != "failed" {
                return Err(ModelError::Clash("It is on its way.".into()));
            }
            arrival.set("waiting");
        }
        self.start(id);
        Ok(())
    }

    /// Gives one up, with what came of it so far; or puts away one that failed.
    ///
    /// # Errors
    /// When there is none such, a piece of it is being written, or the store or the disk refuses; then it is still listed.
    pub async fn cancel(&self, by: &str, id: &str) -> Result<(), ModelError> {
        let busy = || ModelError::Clash(BUSY.into());
        let held = self.0.parts.hold_soon(uploads::part_of(id)).await.ok_or_else(busy)?;
        self.give_up(by, id, held).await
    }

    /// `_held`: a piece that was written meanwhile would make a file anew that nobody knows.
    async fn give_up(&self, by: &str, id: &str, _held: Held) -> Result<(), ModelError> {
        let mut arrival = self.arrivals().remove(id).ok_or(ModelError::Unknown)?;
        if let Some(cancel) = &arrival.cancel {
            let _ = cancel.send(ToModelWorker::Cancel);
        }
        if let Err(e) = self.forget(&arrival.view).await {
            if arrival.cancel.is_some() {
                // Its worker has been told to end.
                arrival.fail(e.to_string());
            }
            self.arrivals().insert(id.to_owned(), arrival);
            return Err(e);
        }
        let what = arrival.view.name.as_deref().unwrap_or("a download").to_owned();
        self.write(Deed::done(by, Kind::Model, format!("gave up: {what}"))).await;
        Ok(())
    }

    /// The files before the row: a full disk, which may take no change of the store, gets its space back, and a crash between
    /// the two leaves a row to do it again by.
    async fn forget(&self, view: &ArrivalView) -> Result<(), ModelError> {
        self.discard(view).await?;
        let row = view.id.clone();
        Ok(self.0.store.run(move |c| arrivals::end(c, &row)).await?)
    }

    /// Gives up uploads that nobody went on with.
    ///
    /// # Errors
    /// When the store or the disk refuses; the rest is tried again next time.
    pub async fn sweep(&self) -> Result<(), ModelError> {
        let before = rfc3339(self.0.clock.ms() - STALE.as_millis() as i64);
        let is_stale = |a: &&Arrival| a.view.from.is_empty() && a.view.state != "done" && a.view.created < before;
        let stale: Vec<String> = self.arrivals().values().filter(is_stale).map(|a| a.view.id.clone()).collect();
        for id in stale {
            if let Some(held) = self.0.parts.hold_if_left(uploads::part_of(&id), STALE).await? {
                self.give_up("Easel", &id, held).await?;
            }
        }
        Ok(())
    }

    /// Removes a model and its files, for good.
    ///
    /// # Errors
    /// [`ModelError::Refused`] where there is none such, or it cannot be removed.
    pub async fn remove(&self, by: &str, id: &str) -> Result<(), ModelError> {
        worker::remove(self, id).await?;
        self.write(Deed::done(by, Kind::Model, format!("removed: {id}"))).await;
        Ok(())
    }

    async fn add(&self, row: arrivals::Arrival, wish: Option<Wish>) -> Result<(), ModelError> {
        let twice = |a: &Arrival| row.name.is_some() && a.view.name == row.name && a.view.state != "done";
        {
            let mut arrivals = self.arrivals();
            arrivals.retain(|_, a| a.view.state != "done");
            if arrivals.values().any(twice) {
                let words =
                    "Another file of this name is on its way already. Cancel that one first, or give this one another name.";
                return Err(ModelError::Clash(words.into()));
            }
            if arrivals.len() >= MOST {
                return Err(ModelError::TooLarge(format!("{MOST} models are on their way. Dismiss those that failed.")));
            }
            arrivals.insert(row.id.clone(), Arrival::new(&row, wish));
        }
        let (id, stored) = (row.id.clone(), self.0.store.run(move |c| arrivals::insert(c, &row)).await);
        if let Err(e) = stored {
            self.arrivals().remove(&id);
            return Err(e.into());
        }
        Ok(())
    }

    /// Whether a model may get this name: it can be one, and nothing has it yet.
    fn check_name(&self, name: &str) -> Result<(), ModelError> {
        if !is_weights_name(name) {
            let words = "It ends in .safetensors and holds letters, digits, spaces and . _ - ( ) +.";
            return Err(ModelError::Field("name", words.into()));
        }
        match self.0.folder.file(name) {
            Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(()),
            _ => Err(ModelError::Clash(format!("{name} is there already. Remove it first, or give another name."))),
        }
    }

    /// Runs a download as a task of its own.
    fn start(&self, id: &str) {
        let (cancel, cancelled) = mpsc::unbounded_channel();
        if let Some(arrival) = self.arrivals().get_mut(id) {
            arrival.cancel = Some(cancel);
        }
        let (this, id) = (self.clone(), id.to_owned());
        self.0.runtime.spawn(async move { worker::download(this, id, cancelled).await });
    }

    /// Changes one that is still on its way.
    fn change(&self, id: &str, change: impl FnOnce(&mut Arrival)) {
        if let Some(arrival) = self.arrivals().get_mut(id) {
            change(arrival);
        }
    }

    /// It is there: nothing more is to be stored of it.
    async fn arrived(&self, id: &str, model: &str, by: &str) {
        self.change(id, |a| a.arrived(model));
        let row = id.to_owned();
        if let Err(e) = self.0.store.run(move |c| arrivals::end(c, &row)).await {
            tracing::error!("a model that is there is still listed as on its way: {e}");
        }
        self.write(Deed::done(by, Kind::Model, format!("added: {model}"))).await;
    }

    /// What was done already cannot be taken back because it cannot be written down.
    async fn write(&self, deed: Deed) {
        if let Err(e) = self.0.audit.write(deed).await {
            tracing::error!("the audit trail took no line: {e}");
        }
    }

    fn arrivals(&self) -> MutexGuard<'_, BTreeMap<String, Arrival>> {
        // Every change is whole before anything can panic.
        self.0.arrivals.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The host of an address that may be handed to a worker, which looks closer.
fn host_of(url: &str) -> Option<String> {
    let rest = url.strip_prefix("https://").or_else(|| url.strip_prefix("http://"))?;
    let host = &rest[..rest.find(['/', '?', '#', '\\']).unwrap_or(rest.len())];
    let sane = url.len() <= MAX_URL && url.chars().all(|c| !c.is_control() && !c.is_whitespace());
    (sane && !host.is_empty() && !host.contains('@')).then(|| host.to_owned())
}

#[cfg(test)]
mod tests;
