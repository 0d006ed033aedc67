//! What Easel was told: flags, then `EASEL_*` variables, then `easel.toml`, then defaults, as one
//! struct. The only reader of the environment. Knows neither the store nor the web.

mod boot;
mod devices;
mod sample;
mod shown;
mod sources;
mod surroundings;

pub use boot::{Boot, Repo, STUDIO};
pub use devices::EngineDevices;
pub use sample::{DEFAULTS, SAMPLE};
pub use shown::Setting;
pub use surroundings::{Host, Surroundings, Variables};

use crate::{meant::nearest, secrets::Secret};
use boot::RawBoot;
use containers::Way;
use figment::{Figment, value::Dict};
use serde::{Deserialize, Serialize};
use sources::{Environment, File, REPO_TOKEN, Text, variable_of};
use std::collections::BTreeMap;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Every setting, resolved. Each field is a key of `easel.toml`, an `EASEL_<KEY>` variable and a flag.
#[derive(Clone, Debug)]
pub struct Config {
    /// Folder of everything that Easel writes: `./data`, in a pod `/workspace/easel`.
    pub data: PathBuf,
    /// The profiles that this studio starts with. It need not exist.
    pub users: PathBuf,
    /// Address to listen on: 127.0.0.1, in a pod 0.0.0.0.
    pub bind: IpAddr,
    /// Port to listen on; 0 takes a free one.
    pub port: u16,
    /// Further origins under which browsers reach this studio: `https://studio.example.org`.
    pub public_urls: Vec<String>,
    /// Which events are logged, as `tracing` filters are written: `info`, `info,panel=debug`.
    pub log: String,
    /// How they are written to standard output.
    pub log_format: LogFormat,
    /// The engine gives the memory of its models back after so long without a job.
    pub engine_idle: Duration,
    /// What engines there are, and what each computes on.
    pub engine_device: EngineDevices,
    /// Threads of the engine's CPU backend; 0 takes one for each core. Several engines on the CPU share them.
    pub engine_threads: usize,
    /// On a GPU, linear layers are NVIDIA's cuBLASLt's where the machine has it.
    pub engine_cublaslt: bool,
    /// The program that is started as engine, with the argument `engine`: this very file, but in tests.
    pub engine_program: PathBuf,
    /// Serves the front end from this folder instead of the one inside the binary.
    pub assets: Option<PathBuf>,
    /// Folder that tools are installed in: `workspace` in the data folder, in a pod `/workspace`.
    pub workspace: PathBuf,
    /// Admins in admin mode may open a shell.
    pub shell: bool,
    /// The folder of tools. A configured one is used as it is; without one, starting unpacks the one inside the program
    /// to `<data>/setup` and names it here.
    pub setup: Option<PathBuf>,
    /// Models may be fetched from private addresses too, and captions asked for there: in the same network.
    pub private_downloads: bool,
    /// How tools run that can run in a container.
    pub containers: Way,
    /// The repositories that are brought in step at each start.
    pub boot: Boot,
    /// The file that was read.
    pub file: Option<PathBuf>,
    /// The folder of tools is named.
    pub setup_named: bool,
    /// The profiles' file is named, and not only the usual one.
    pub users_named: bool,
    /// A rented pod is stopped when nobody has used it for so long; zero: never.
    pub idle_stop: Duration,
    /// Where RunPod's interface is.
    pub runpod_api: String,
    /// Where this process finds itself.
    pub surroundings: Surroundings,
    /// Every key with where its value came from, to be shown.
    pub settings: Vec<Setting>,
    /// The names of all environment variables, and none of their values.
    pub variables: Vec<String>,
}

/// Shape of the log on standard output.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    /// Text on a terminal, JSON elsewhere.
    Auto,
    /// Lines for people.
    Text,
    /// One JSON object a line.
    Json,
}

/// What the command line said. Absent fields were not given.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Flags {
    /// `--config`: the file to read instead of `easel.toml`.
    #[serde(skip)]
    pub config: Option<PathBuf>,
    /// `--data`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub data: Option<PathBuf>,
    /// `--users`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub users: Option<PathBuf>,
    /// `--bind`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bind: Option<String>,
    /// `--port`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub port: Option<u16>,
    /// `--public-url`, any number of times.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub public_urls: Vec<String>,
    /// `--log`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub log: Option<String>,
    /// `--log-format`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub log_format: Option<String>,
    /// `--setup`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub setup: Option<PathBuf>,
    /// `--engine-device`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub engine_device: Option<String>,
    /// `--engine-threads`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub engine_threads: Option<usize>,
}

/// A configuration that cannot be used: a sentence for the person who wrote it.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("{0}")]
pub struct ConfigError(pub String);

/// The keys as they are written; [`Config`] is what they mean.
#[derive(Deserialize)]
struct Raw {
    data: PathBuf,
    users: PathBuf,
    bind: String,
    port: u16,
    public_urls: Vec<String>,
    log: String,
    log_format: LogFormat,
    engine_idle_s: u64,
    engine_device: String,
    engine_threads: usize,
    engine_cublaslt: bool,
    private_downloads: bool,
    containers: String,
    idle_stop_min: u64,
    runpod_api: String,
    #[serde(default)]
    boot: RawBoot,
    assets: Option<PathBuf>,
    workspace: Option<PathBuf>,
    shell: bool,
    setup: Option<PathBuf>,
}

/// Every key, and whether its value is text (so that `EASEL_DATA=2024` stays a folder's name).
const KEYS: [(&str, bool); 20] = [
    ("data", true),
    ("users", true),
    ("bind", true),
    ("port", false),
    ("public_urls", false),
    ("log", true),
    ("log_format", true),
    ("engine_idle_s", false),
    ("engine_device", true),
    ("engine_threads", false),
    ("engine_cublaslt", false),
    ("private_downloads", false),
    ("containers", true),
    ("idle_stop_min", false),
    ("runpod_api", true),
    ("boot", false),
    ("assets", true),
    ("workspace", true),
    ("shell", false),
    ("setup", true),
];
/// What the defaults are called where it is said where a value comes from.
const THE_DEFAULTS: &str = "the defaults";

impl Config {
    /// Reads the environment and the file, once.
    pub fn load(flags: Flags) -> Result<Config, ConfigError> {
        #[allow(clippy::disallowed_methods, reason = "the one place that reads the environment")]
        let environment = std::env::vars_os()
            .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
            .collect::<BTreeMap<String, String>>();
        let file = find_file(&flags, &environment)?;
        Config::from_parts(flags, &environment, file)
    }

    /// The same as a function of its inputs: `file` is the path and text of `easel.toml`.
    pub fn from_parts(
        flags: Flags,
        environment: &BTreeMap<String, String>,
        file: Option<(PathBuf, String)>,
    ) -> Result<Config, ConfigError> {
        let surroundings = Surroundings::from_environment(environment);
        let mut figment = Figment::from(Text(THE_DEFAULTS, DEFAULTS));
        if surroundings.host != Host::Plain {
            figment = figment.merge(Text(
                "the defaults of a pod",
                "data = \"/workspace/easel\"\nbind = \"0.0.0.0\"\nworkspace = \"/workspace\"",
            ));
        }
        if let Some((path, text)) = &file {
            figment = figment.merge(File(path.clone(), text.clone()));
        }
        figment = figment.merge(Environment(environment)).merge(figment::providers::Serialized::defaults(&flags));
        refuse_unknown(&figment)?;
        let raw: Raw = figment.extract().map_err(|e| in_words(&e))?;
        let bind = raw
            .bind
            .parse()
            .map_err(|_| ConfigError(format!("bind = \"{}\" is not an IP address, such as 127.0.0.1 or 0.0.0.0.", raw.bind)))?;
        let given = |name: &str| environment.get(name).filter(|value| !value.is_empty());
        let ssh = match (&surroundings.host, given("HOME")) {
            (Host::Plain, Some(home)) => PathBuf::from(home).join(".ssh"),
            (Host::Plain, None) => raw.data.join("ssh"),
            // On the volume: what else is in a pod is gone with it.
            _ => "/workspace/.ssh".into(),
        };
        let token = given(REPO_TOKEN).map(|token| Secret::new(token.clone()));
        let boot = raw.boot.resolve(&raw.data, ssh, token)?;
        Ok(Config {
            workspace: raw.workspace.unwrap_or_else(|| raw.data.join("workspace")),
            shell: raw.shell,
            data: raw.data,
            users: raw.users,
            bind,
            port: raw.port,
            public_urls: raw.public_urls,
            log: raw.log,
            log_format: raw.log_format,
            engine_idle: Duration::from_secs(raw.engine_idle_s),
            engine_device: raw.engine_device.parse().map_err(|why| ConfigError(format!("engine_device = {why}.")))?,
            engine_threads: raw.engine_threads,
            engine_cublaslt: raw.engine_cublaslt,
            private_downloads: raw.private_downloads,
            containers: raw.containers.parse().map_err(|why| ConfigError(format!("containers = {why}.")))?,
            boot,
            file: file.map(|(path, _)| path),
            users_named: figment.find_metadata("users").is_none_or(|m| m.name != THE_DEFAULTS),
            idle_stop: idle_stop(raw.idle_stop_min)?,
            runpod_api: raw.runpod_api,
            engine_program: "/proc/self/exe".into(),
            assets: raw.assets,
            setup_named: raw.setup.is_some(),
            setup: raw.setup,
            surroundings,
            settings: shown::settings(&figment),
            variables: environment.keys().cloned().collect(),
        })
    }

    /// For tests: a free port on loopback, everything below `data`, nothing of this machine's environment or container engine.
    pub fn for_tests(data: &Path) -> Config {
        let flags =
            Flags { data: Some(data.to_path_buf()), users: Some(data.join("users.toml")), port: Some(0), ..Flags::default() };
        let config = Config::from_parts(flags, &BTreeMap::new(), None).expect("the defaults are a configuration");
        Config { containers: Way::Process, ..config }
    }
}

/// Shortest quiet after which a pod is stopped, in minutes: shorter than a look out of the window would annoy.
const IDLE_MIN: u64 = 10;

fn idle_stop(minutes: u64) -> Result<Duration, ConfigError> {
    if minutes != 0 && !(IDLE_MIN..=7 * 24 * 60).contains(&minutes) {
        return Err(ConfigError(format!("idle_stop_min = {minutes} is not 0 (never) or {IDLE_MIN} minutes to 7 days.")));
    }
    Ok(Duration::from_secs(minutes * 60))
}

/// The file that was named, or `easel.toml` here, or the one in the data folder that flags and
/// variables name. One that was named must exist.
fn find_file(flags: &Flags, environment: &BTreeMap<String, String>) -> Result<Option<(PathBuf, String)>, ConfigError> {
    let read = |path: &Path| match std::fs::read_to_string(path) {
        Ok(text) => Ok(Some((path.to_path_buf(), text))),
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(e) => Err(ConfigError(format!("{} cannot be read: {e}.", path.display()))),
    };
    if let Some(named) = flags.config.clone().or_else(|| environment.get("EASEL_CONFIG").map(PathBuf::from)) {
        return match read(&named)? {
            Some(found) => Ok(Some(found)),
            None => Err(ConfigError(format!("There is no file {}.", named.display()))),
        };
    }
    if let Some(found) = read(Path::new("easel.toml"))? {
        return Ok(Some(found));
    }
    read(&Config::from_parts(flags.clone(), environment, None)?.data.join("easel.toml"))
}

fn refuse_unknown(figment: &Figment) -> Result<(), ConfigError> {
    let keys: Dict = figment.extract().map_err(|e| in_words(&e))?;
    let Some(unknown) = keys.keys().find(|key| KEYS.iter().all(|(known, _)| known != key)) else { return Ok(()) };
    let from = figment.find_metadata(unknown).map(|m| m.name.to_string()).unwrap_or_default();
    let near = nearest(unknown, KEYS.iter().map(|(key, _)| *key));
    let (shown, near) = if from == "the environment" {
        (variable_of(unknown), near.map(variable_of))
    } else {
        (unknown.clone(), near.map(str::to_string))
    };
    let hint = match near {
        Some(near) => format!("did you mean \"{near}\"?"),
        None => format!("the keys are {}.", KEYS.map(|(key, _)| key).join(", ")),
    };
    Err(ConfigError(format!("Unknown key \"{shown}\" in {from}: {hint}")))
}

/// figment's error, with the place it came from.
fn in_words(error: &figment::Error) -> ConfigError {
    let from = error.metadata.as_ref().map(|m| m.name.to_string()).unwrap_or_else(|| "the configuration".into());
    let key = error.path.join(".");
    let kind = error.kind.to_string();
    ConfigError(if key.is_empty() { format!("{from}: {kind}.") } else { format!("{key} in {from}: {kind}.") })
}

#[cfg(test)]
mod tests;
