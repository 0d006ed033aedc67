//! `easel engine`: the inference engine as a child of the panel, which talks to it over descriptor 3. Knows how a
//! process is set up; the conversation is the engine's.

use super::{Exit, Failure, Shared};
use anyhow::Context as _;
use engine::serve::Settings;
use std::time::Duration;

/// Flags of `engine`.
#[derive(Clone, Debug, Default, clap::Args)]
pub(crate) struct Args {
    /// Threads that compute; 0 takes one for each core
    #[arg(long, default_value_t = 0, value_name = "N")]
    threads: usize,
    /// Forget loaded models after so many seconds without a job
    #[arg(long, default_value_t = 300, value_name = "SECONDS")]
    idle_s: u64,
}

pub(crate) fn run(shared: &Shared, args: Args) -> Result<Exit, Failure> {
    // First of all, before anything else opens a file.
    let stream = engine::process::inherited_stream()
        .context("this is started by `easel serve`; to make pictures without a server, use `easel generate`")?;
    // The panel's log gives each line its time.
    let log = tracing_subscriber::fmt().with_writer(std::io::stderr).with_ansi(false).with_max_level(tracing::Level::INFO);
    log.without_time().with_target(false).init();
    let settings = Settings {
        models: shared.load()?.data.join("models"),
        idle: Duration::from_secs(args.idle_s),
        threads: threads(args.threads),
    };
    engine::serve::serve(stream, settings)?;
    Ok(Exit::Done)
}

/// As many threads as asked for; 0 means one for each core.
pub(crate) fn threads(asked: usize) -> usize {
    if asked > 0 { asked } else { std::thread::available_parallelism().map_or(1, usize::from) }
}
