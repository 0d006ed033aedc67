//! `easel serve`: logs, configuration, the web application, an orderly stop. Knows no routes.

use super::{Exit, Failure, Shared, log_ring::ToRing, say};
use anyhow::Context as _;
use panel::config::{ConfigError, Flags, LogFormat};
use panel::control::in_words;
use panel::datafolder::DataFolderError;
use panel::engine_client::{EngineStatus, EngineView};
use panel::logs::Ring;
use panel::startup::Application;
use std::io::IsTerminal as _;
use std::path::{Path, PathBuf};
use tokio::sync::watch;
use tracing::{Level, Metadata};
use tracing_appender::non_blocking::{NonBlockingBuilder, WorkerGuard};
use tracing_appender::rolling::{RollingFileAppender, Rotation};
use tracing_subscriber::{
    EnvFilter, Layer as _,
    filter::{FilterExt as _, filter_fn},
    fmt,
    layer::SubscriberExt as _,
    util::SubscriberInitExt as _,
};

/// Days of log files that are kept.
const KEPT_LOGS: usize = 14;
/// Lines that may wait for the disk. Their places take memory from the start: of so many 256 KiB.
const WAITING_LINES: usize = 8192;

/// Flags of `serve`.
#[derive(Clone, Debug, Default, clap::Args)]
pub(crate) struct Args {
    /// Address to listen on [default: 127.0.0.1, in a pod 0.0.0.0]
    #[arg(long, value_name = "IP")]
    bind: Option<String>,
    /// Port to listen on; 0 takes a free one [default: 8080]
    #[arg(long)]
    port: Option<u16>,
    /// Further address under which browsers reach this studio; can be given again
    #[arg(long = "public-url", value_name = "URL")]
    public_urls: Vec<String>,
    /// What is logged: error, warn, info, debug, trace [default: info]
    #[arg(long, value_name = "FILTER")]
    log: Option<String>,
    /// How it is logged: auto, text or json [default: auto]
    #[arg(long, value_name = "FORMAT")]
    log_format: Option<String>,
    /// What the engine computes on: auto, cpu, gpu, gpu:1, or several engines: gpu:0,gpu:2 [default: auto, every GPU that works]
    #[arg(long, value_name = "DEVICE")]
    engine_device: Option<String>,
    /// Threads of the engine on the CPU; 0 takes one for each core [default: 0]
    #[arg(long, value_name = "N")]
    engine_threads: Option<usize>,
    /// The folder of tools, used as it is [default: the one inside the program]
    #[arg(long, value_name = "DIR")]
    setup: Option<PathBuf>,
    /// Print a commented easel.toml and stop
    #[arg(long)]
    print_config: bool,
}

impl Args {
    /// What was said after `serve` wins over what was said before it.
    pub(crate) fn or(self, before: Args) -> Args {
        Args {
            bind: self.bind.or(before.bind),
            port: self.port.or(before.port),
            public_urls: if self.public_urls.is_empty() { before.public_urls } else { self.public_urls },
            log: self.log.or(before.log),
            log_format: self.log_format.or(before.log_format),
            engine_device: self.engine_device.or(before.engine_device),
            engine_threads: self.engine_threads.or(before.engine_threads),
            setup: self.setup.or(before.setup),
            print_config: self.print_config || before.print_config,
        }
    }

    /// As the configuration takes them.
    pub(crate) fn flags(&self, shared: &Shared) -> Flags {
        Flags {
            bind: self.bind.clone(),
            port: self.port,
            public_urls: self.public_urls.clone(),
            log: self.log.clone(),
            log_format: self.log_format.clone(),
            engine_device: self.engine_device.clone(),
            engine_threads: self.engine_threads,
            setup: self.setup.clone(),
            ..shared.flags()
        }
    }
}

/// Serves until it is told to stop.
pub(crate) fn run(shared: &Shared, args: Args) -> Result<Exit, Failure> {
    if args.print_config {
        say(panel::config::SAMPLE.trim_end());
        return Ok(Exit::Done);
    }
    let config = panel::Config::load(args.flags(shared)).map_err(|e| Failure { exit: Exit::Config, why: e.into() })?;
    let ring = Ring::default();
    let _log = start_logging(&config.log, config.log_format, &config.data.join("logs"), ring.clone())?;
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().context("starting the runtime")?;
    let served = runtime.block_on(async {
        let application = Application::build(config, ring).await?;
        welcome(&application);
        let engine = tokio::spawn(tell_engine(application.app().engines.watch()));
        let served = application.run_until_stopped().await;
        engine.abort();
        served
    });
    // A second panel on one data folder has an exit code of its own.
    served.map_err(|why| Failure { exit: exit_of(&why), why })?;
    Ok(Exit::Done)
}

/// Standard output as `format` says, JSON lines in `folder`, one file a day, and the newest lines in `ring`. The guard
/// writes the rest of the log when it is dropped.
fn start_logging(filter: &str, format: LogFormat, folder: &Path, ring: Ring) -> Result<WorkerGuard, Failure> {
    let parsed = || EnvFilter::try_new(filter).with_context(|| format!("log = \"{filter}\" is not a filter"));
    let filters = [parsed().map_err(config_error)?, parsed().map_err(config_error)?, parsed().map_err(config_error)?];
    let [for_stdout, for_file, for_ring] = filters;
    std::fs::create_dir_all(folder).with_context(|| format!("making {}", folder.display()))?;
    let file = RollingFileAppender::builder()
        .rotation(Rotation::DAILY)
        .filename_prefix("easel")
        .filename_suffix("log")
        .max_log_files(KEPT_LOGS)
        .build(folder)
        .with_context(|| format!("opening a log in {}", folder.display()))?;
    let (writer, guard) = NonBlockingBuilder::default().buffered_lines_limit(WAITING_LINES).finish(file);
    let as_text = match format {
        LogFormat::Auto => std::io::stdout().is_terminal(),
        LogFormat::Text => true,
        LogFormat::Json => false,
    };
    let stdout =
        if as_text { fmt::layer().with_target(false).compact().boxed() } else { fmt::layer().json().flatten_event(true).boxed() };
    tracing_subscriber::registry()
        .with(stdout.with_filter(for_stdout.and(filter_fn(may_be_told))))
        .with(fmt::layer().json().flatten_event(true).with_writer(writer).with_filter(for_file.and(filter_fn(may_be_told))))
        .with(ToRing(ring).with_filter(for_ring.and(filter_fn(may_be_told))))
        .init();
    Ok(guard)
}

/// The client of container engines writes whole requests and answers at its lower levels, and tokens stand in those. Whatever an
/// admin's filter says, they are in no log.
fn may_be_told(what: &Metadata<'_>) -> bool {
    *what.level() <= Level::INFO || !what.target().starts_with("bollard")
}

/// What standard output is told, and no log: where to go, and secrets that are shown once.
fn welcome(application: &Application) {
    let app = application.app();
    let news = application.news();
    say(format_args!("Easel {} serves on {}", env!("CARGO_PKG_VERSION"), app.doors.origins().own()));
    for origin in app.doors.origins().iter().filter(|o| !o.is_loopback()) {
        say(format_args!("  and on {origin}"));
    }
    if let Some(key) = &news.first_key {
        say(format_args!("studio key, shown this once: {}", key.expose()));
        say("  It is asked for wherever this studio is reached from outside this machine.");
    }
    for (name, link) in &news.password_links {
        say(format_args!("{name} has no password for admin mode yet. This link sets it, once, within 15 minutes:"));
        say(format_args!("  {}", link.expose()));
    }
    if news.first_page {
        say("Nobody is here yet: the first page makes the first profile, an admin.");
    }
}

/// Says once where the engine computes, or why it does not; of several, once each had its time to start.
async fn tell_engine(mut engines: watch::Receiver<Vec<EngineView>>) {
    let is_known = |view: &EngineView| matches!(view.status, EngineStatus::Ready | EngineStatus::Failed { .. });
    let starts = |view: &EngineView| view.status == EngineStatus::Starting;
    let known = |all: &Vec<EngineView>| all.iter().any(is_known) && !all.iter().any(starts);
    if let Ok(engines) = engines.wait_for(known).await {
        say(format_args!("engine {}", in_words(&engines)));
    }
}

fn exit_of(why: &anyhow::Error) -> Exit {
    match why.downcast_ref::<DataFolderError>() {
        Some(DataFolderError::InUse { .. }) => Exit::InUse,
        _ if why.is::<ConfigError>() => Exit::Config,
        _ => Exit::Failed,
    }
}

fn config_error(why: anyhow::Error) -> Failure {
    Failure { exit: Exit::Config, why }
}
