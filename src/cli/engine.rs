//! `easel engine`: the inference engine as a child of the panel, which talks to it over descriptor 3. Knows how a
//! process is set up; the conversation is the engine's.

use super::{Exit, Failure, Shared, compute::Compute};
use anyhow::Context as _;
use engine::{
    device::{self, Choice},
    serve::Settings,
};
use std::time::Duration;

/// Flags of `engine`.
#[derive(Clone, Debug, Default, clap::Args)]
pub(crate) struct Args {
    #[command(flatten)]
    compute: Compute,
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
    let Choice { device, no_gpu } = args.compute.choose(device::USUAL, lost)?;
    if let Some(why) = &no_gpu {
        tracing::info!("models run on the CPU. {why}");
    }
    if let Some(why) = device.no_library() {
        tracing::info!("the GPU's linear layers are the engine's own kernels'. {why}");
    }
    let (models, idle) = (shared.load()?.data.join("models"), Duration::from_secs(args.idle_s));
    let settings = Settings { models, idle, device, no_gpu };
    engine::serve::serve(stream, settings)?;
    Ok(Exit::Done)
}

/// The panel starts this process again, and the job with it; these words say to both why.
fn lost(why: &str) -> ! {
    tracing::error!("{why}. The engine ends and starts again, because nothing else gives the GPU back");
    std::process::exit(Exit::Failed as i32)
}
