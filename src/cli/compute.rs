//! The flags of what computes: on which device, with how many threads. Knows no model.

use super::{Exit, Failure, try_gpu};
use engine::device::{Choice, Device, Element, Library, Lost};
use protocol::DeviceWish;

/// Flags of every subcommand that runs models in this process.
#[derive(Clone, Copy, Debug, Default, clap::Args)]
pub(crate) struct Compute {
    /// What computes: auto takes a GPU that works, else the CPU; cpu, gpu or gpu:1 take just that
    #[arg(long, default_value_t = DeviceWish::Auto, value_name = "DEVICE")]
    device: DeviceWish,
    /// Threads of the CPU; 0 takes one for each core
    #[arg(long, default_value_t = 0, value_name = "N")]
    threads: usize,
    /// Leave NVIDIA's cuBLASLt alone: a GPU's linear layers are the engine's own kernels'
    #[arg(long)]
    no_cublaslt: bool,
}

impl Compute {
    /// The device that is wished for. `lost` is what happens when a GPU fails later.
    pub(crate) fn choose(&self, element: Element, lost: Lost) -> Result<Choice, Failure> {
        let threads = if self.threads > 0 { self.threads } else { std::thread::available_parallelism().map_or(1, usize::from) };
        let why = match Device::choose(self.device, element, library(!self.no_cublaslt), threads, lost, try_gpu::apart) {
            Ok(choice) => return Ok(choice),
            Err(why) => why,
        };
        let why = why.problem().map_or_else(|| why.to_string(), |p| format!("{} {}", p.what, p.remedy));
        Err(Failure { exit: Exit::Failed, why: anyhow::anyhow!("{why}") })
    }
}

/// Whether cuBLASLt may be used, as a setting or a flag has it.
pub(crate) fn library(may: bool) -> Library {
    if may { Library::Auto } else { Library::Off }
}

/// A GPU that fails in a program that somebody started by hand ends it.
pub(crate) fn lost(why: &str) -> ! {
    super::note(format_args!("easel: {why}"));
    std::process::exit(Exit::Failed as i32)
}
