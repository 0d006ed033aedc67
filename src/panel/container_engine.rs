//! The container engine of this machine, if there is one: looked for beside the start and for as long as it may come, and what it
//! keeps of each tool. Knows no tool's folder and no page.

use crate::{config::Config, secrets::random_token};
pub use containers::Way;
use containers::{ContainerError, Engine, ImageId, KeptImage, NoEngine, Orphan, Road, Studio, Surroundings, Version, may_come};
use std::{
    collections::BTreeMap,
    fs, io,
    io::Write as _,
    os::unix::fs::OpenOptionsExt as _,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};
use tokio::{
    sync::watch,
    time::{sleep, timeout},
};

/// An engine that has not answered by then is none.
const PATIENCE: Duration = Duration::from_secs(8);
/// Where none is found, the next look is after so long, then after twice that, up to the longest.
const AGAIN: Duration = Duration::from_secs(5);
/// The longest.
const AGAIN_MAX: Duration = Duration::from_secs(60);
/// What an engine is asked for takes moments; whoever asks waits no longer than that.
const ANSWER: Duration = Duration::from_secs(10);
/// Digits of a studio's id, which becomes part of names.
const ID_DIGITS: usize = 16;
/// Files that say that this is a container itself.
const CONTAINED: [&str; 2] = ["/.dockerenv", "/run/.containerenv"];

/// The handle. Cheap to clone.
#[derive(Clone, Debug)]
pub struct ContainerEngine(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    way: Way,
    around: Surroundings,
    /// Holds the studio's id.
    state: PathBuf,
    found: watch::Sender<Found>,
    /// What it keeps of each tool, so that no page has to ask it.
    kept: Mutex<BTreeMap<String, Kept>>,
}

/// What is known of an engine.
#[derive(Clone, Debug)]
pub enum Found {
    /// It is being looked for.
    Looking,
    /// It answers.
    Here(Engine, Version),
    /// There is none to use; why.
    Nowhere(NoEngine),
}

/// The images that are kept for a tool.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Kept {
    /// What it runs from; none: it is not installed.
    pub current: Option<ImageId>,
    /// What it ran from before.
    pub former: Option<ImageId>,
}

impl ContainerEngine {
    /// Begins to look for an engine, and does not wait for it.
    pub fn look(config: &Config) -> ContainerEngine {
        let way = config.containers;
        let inner = Inner {
            way,
            around: surroundings(config),
            state: config.data.join("state"),
            found: watch::Sender::new(Found::Looking),
            kept: Mutex::default(),
        };
        let engine = ContainerEngine(Arc::new(inner));
        if way == Way::Process {
            let why = "Tools run as processes, as the configuration says (containers = \"process\").";
            engine.0.found.send_replace(Found::Nowhere(NoEngine(why.into())));
            return engine;
        }
        tokio::spawn(engine.clone().look_on());
        engine
    }

    /// Looks until there is one, or none can come.
    async fn look_on(self) {
        let (mut told, mut wait) = (None, AGAIN);
        loop {
            match find(&self.0.around, &self.0.state).await {
                Ok((engine, version)) => {
                    tracing::info!("containers are run by {} at {}", version.name, engine.socket().display());
                    self.0.found.send_replace(Found::Here(engine, version));
                    return;
                }
                Err(why) if told.as_ref() != Some(&why) => {
                    if self.0.way == Way::Container {
                        tracing::warn!("no containers: {why}");
                    } else {
                        tracing::info!("no containers: {why}");
                    }
                    self.0.found.send_replace(Found::Nowhere(why.clone()));
                    told = Some(why);
                }
                Err(_) => {}
            }
            if !self.may_come() {
                return;
            }
            sleep(wait).await;
            wait = (wait * 2).min(AGAIN_MAX);
        }
    }

    /// Whether there is none and one is looked for still.
    pub fn may_come(&self) -> bool {
        self.0.way != Way::Process && self.engine().is_none() && may_come(&self.0.around)
    }

    /// What follows once whatever keeps an engine away was mended. Where one is looked for was settled at the start, and so was
    /// what Easel may use; whether it is there is looked at again and again.
    pub fn remedy(&self) -> &'static str {
        if self.may_come() {
            "Easel goes on looking for one. Only what is changed of its own user or environment needs a new start of Easel."
        } else {
            "Then start Easel again."
        }
    }

    /// Returns once there is one.
    pub async fn comes(&self) {
        let mut found = self.0.found.subscribe();
        // The sender is held by this very handle.
        let _ = found.wait_for(|found| matches!(found, Found::Here(..))).await;
    }

    /// The engine in which an earlier panel may have left something, once it was looked for: also where tools run as processes now,
    /// whatever there is.
    pub async fn of_earlier(&self) -> Option<Engine> {
        if let Found::Here(engine, _) = self.settled().await {
            return Some(engine);
        }
        // Without an id there was never a container of this studio.
        if self.0.way != Way::Process || !id_file(&self.0.state).exists() {
            return None;
        }
        find(&self.0.around, &self.0.state).await.ok().map(|(engine, _)| engine)
    }

    /// What is known now.
    pub fn found(&self) -> Found {
        self.0.found.borrow().clone()
    }

    /// How tools run that can run either way, as it is configured.
    pub fn way(&self) -> Way {
        self.0.way
    }

    /// What is known once the look is over.
    pub async fn settled(&self) -> Found {
        let mut found = self.0.found.subscribe();
        // The sender is held by this very handle.
        let settled = found.wait_for(|found| !matches!(found, Found::Looking)).await;
        settled.map_or(Found::Looking, |found| found.clone())
    }

    /// The engine, where one is known.
    pub fn engine(&self) -> Option<Engine> {
        match &*self.0.found.borrow() {
            Found::Here(engine, _) => Some(engine.clone()),
            Found::Looking | Found::Nowhere(_) => None,
        }
    }

    /// How a tool runs that names an image. While the look lasts, as it will with an engine.
    ///
    /// # Errors
    /// When it may run in a container only, and there is no engine.
    pub fn road(&self) -> Result<Road, NoEngine> {
        match &*self.0.found.borrow() {
            Found::Here(..) | Found::Looking => self.0.way.road(Ok(())),
            Found::Nowhere(why) => self.0.way.road(Err(why)),
        }
    }

    /// The images of a tool, as the engine was last asked.
    pub fn kept(&self, tool: &str) -> Kept {
        locked(&self.0.kept).get(tool).cloned().unwrap_or_default()
    }

    /// Whether the engine has ever said which images of a tool it keeps.
    pub fn knows(&self, tool: &str) -> bool {
        locked(&self.0.kept).contains_key(tool)
    }

    /// Asks the engine for the images of a tool.
    ///
    /// # Errors
    /// When it does not answer.
    pub async fn learn(&self, tool: &str) -> Result<(), ContainerError> {
        let Some(engine) = self.engine() else { return Ok(()) };
        let asked = async {
            let current = engine.kept(tool, KeptImage::Current).await?;
            let former = engine.kept(tool, KeptImage::Former).await?;
            Ok(Kept { current, former })
        };
        let kept = in_time("asking for a tool's images", asked).await?;
        locked(&self.0.kept).insert(tool.to_owned(), kept);
        Ok(())
    }

    /// The containers of this studio.
    ///
    /// # Errors
    /// Why they are not known, as a sentence.
    pub async fn containers(&self) -> Result<Vec<Orphan>, String> {
        let Some(engine) = self.engine() else { return Ok(Vec::new()) };
        in_time("listing containers", engine.orphans()).await.map_err(|e| e.to_string())
    }
}

/// What an engine answers, unless it takes too long.
///
/// # Errors
/// Its own, or that there was no answer.
pub async fn in_time<T>(doing: &str, asked: impl Future<Output = Result<T, ContainerError>>) -> Result<T, ContainerError> {
    let late = |_| ContainerError::Lost { doing: doing.into(), why: format!("no answer within {} s", ANSWER.as_secs()) };
    timeout(ANSWER, asked).await.map_err(late)?
}

fn locked<T>(map: &Mutex<T>) -> MutexGuard<'_, T> {
    // Each change is one insertion.
    map.lock().unwrap_or_else(PoisonError::into_inner)
}

/// What says where an engine is. The variables were read by the configuration.
fn surroundings(config: &Config) -> Surroundings {
    let around = &config.surroundings;
    Surroundings {
        docker_host: around.variables.get("DOCKER_HOST").map(str::to_owned),
        runtime_dir: around.runtime_dir.clone(),
        contained: CONTAINED.iter().any(|path| Path::new(path).exists()),
    }
}

async fn find(around: &Surroundings, state: &Path) -> Result<(Engine, Version), NoEngine> {
    let folder = state.to_owned();
    let id = tokio::task::spawn_blocking(move || studio_id(&folder)).await.map_err(io::Error::other).and_then(|id| id);
    let id = id.map_err(|e| NoEngine(format!("The studio's id in {} cannot be read or written: {e}.", state.display())))?;
    ask(around, &id).await
}

async fn ask(around: &Surroundings, id: &str) -> Result<(Engine, Version), NoEngine> {
    let asked = async {
        let engine = Engine::here(around, Studio::new(id)?).await?;
        let version = engine.version().await?;
        Ok((engine, version))
    };
    match timeout(PATIENCE, asked).await {
        Ok(found) => found.map_err(|e: ContainerError| match e {
            ContainerError::NoEngine(why) => why,
            other => NoEngine(other.to_string()),
        }),
        Err(_) => Err(NoEngine(format!("The container engine did not answer within {} s.", PATIENCE.as_secs()))),
    }
}

/// Whether there is an engine, for whoever only wants to know: which one and where, or why there is none. Writes nothing.
///
/// # Errors
/// A sentence with what to do.
pub async fn probe(config: &Config) -> Result<String, String> {
    let (engine, version) = ask(&surroundings(config), "doctor").await.map_err(|why| why.to_string())?;
    Ok(format!("{} answers at {}", version.name, engine.socket().display()))
}

fn id_file(state: &Path) -> PathBuf {
    state.join("studio-id")
}

/// The id by which this data folder's containers are known; made once. It lies in the data folder, so a folder that moves takes its
/// containers along, and a copy of it on one machine must not be used beside it.
fn studio_id(state: &Path) -> io::Result<String> {
    let path = id_file(state);
    match fs::read_to_string(&path) {
        Ok(text) => {
            let id = text.trim();
            let good = id.len() == ID_DIGITS && id.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
            if good { Ok(id.to_owned()) } else { Err(io::Error::other(format!("{} holds no id; remove it", path.display()))) }
        }
        Err(e) if e.kind() == io::ErrorKind::NotFound => {
            let id = random_token().expose()[..ID_DIGITS].to_owned();
            // What an earlier panel left half written.
            let new = state.join(".studio-id.new");
            let mut file = fs::OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&new)?;
            file.write_all(id.as_bytes())?;
            file.sync_all()?;
            fs::rename(&new, &path)?;
            fs::File::open(state)?.sync_all()?;
            Ok(id)
        }
        Err(e) => Err(e),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_data_folder_has_one_id_for_good() {
        let folder = tempfile::tempdir().unwrap();
        let id = studio_id(folder.path()).unwrap();
        assert!(Studio::new(&id).is_ok() && id.len() == ID_DIGITS, "{id}");
        assert_eq!(studio_id(folder.path()).unwrap(), id);
        fs::write(folder.path().join("studio-id"), "../x").unwrap();
        assert!(studio_id(folder.path()).is_err(), "what is damaged is told, and no other id is made");
    }

    #[tokio::test]
    async fn without_an_engine_the_way_decides() {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir(folder.path().join("state")).unwrap();
        let nowhere = [("DOCKER_HOST".to_owned(), "unix:///no/such.sock".to_owned())].into();
        for (way, runs) in [("auto", true), ("process", true), ("container", false)] {
            let file = Some(("easel.toml".into(), format!("containers = \"{way}\"")));
            let mut config = Config::from_parts(crate::config::Flags::default(), &nowhere, file).unwrap();
            config.data = folder.path().to_owned();
            let engine = ContainerEngine::look(&config);
            assert!(matches!(engine.settled().await, Found::Nowhere(_)));
            assert_eq!(engine.road().is_ok(), runs, "{way}");
            assert!(engine.engine().is_none() && engine.containers().await.unwrap().is_empty());
        }
    }

    #[tokio::test]
    async fn a_new_start_is_asked_for_only_where_no_engine_is_looked_for_any_more() {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir(folder.path().join("state")).unwrap();
        for (host, looks_on) in [("unix:///no/such.sock", true), ("tcp://elsewhere:2375", false)] {
            let host = [("DOCKER_HOST".to_owned(), host.to_owned())].into();
            let file = Some(("easel.toml".into(), "containers = \"container\"".to_owned()));
            let mut config = Config::from_parts(crate::config::Flags::default(), &host, file).unwrap();
            config.data = folder.path().to_owned();
            let engine = ContainerEngine::look(&config);
            engine.settled().await;
            assert_eq!(engine.remedy().starts_with("Easel goes on looking"), looks_on, "{}", engine.remedy());
        }
    }
}
