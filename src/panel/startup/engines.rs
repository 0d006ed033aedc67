//! How engines are started: a command line for each. Knows what is configured and how many GPUs there are.

use crate::config::Config;
use protocol::DeviceWish;
use supervise::Launch;

/// Niceness of an engine.
const NICE: u8 = 10;

/// What to start: behind everything else, so that pages answer while it saturates the machine.
pub(super) fn launches(config: &Config, gpus: u32) -> Vec<Launch> {
    let wishes = config.engine_device.wishes(gpus);
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let threads = threads_of_each(&wishes, config.engine_threads, cores);
    wishes.into_iter().map(|wish| launch(config, wish, threads)).collect()
}

/// Threads of an engine's CPU backend; 0 lets it take one for each core. Several on the CPU share what there is.
fn threads_of_each(wishes: &[DeviceWish], configured: usize, cores: usize) -> usize {
    match wishes.iter().filter(|wish| **wish == DeviceWish::Cpu).count() {
        0 | 1 => configured,
        sharing => (if configured > 0 { configured } else { cores } / sharing).max(1),
    }
}

fn launch(config: &Config, device: DeviceWish, threads: usize) -> Launch {
    let launch = Launch::new(&config.engine_program)
        .arg("engine")
        .arg("--data")
        .arg(&config.data)
        .arg("--device")
        .arg(device.to_string())
        .arg("--threads")
        .arg(threads.to_string())
        .arg("--idle-s")
        .arg(config.engine_idle.as_secs().to_string())
        .nice(NICE)
        .with_stream();
    if config.engine_cublaslt { launch } else { launch.arg("--no-cublaslt") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn engines_on_the_cpu_share_its_threads() {
        let cpus = |count| vec![DeviceWish::Cpu; count];
        assert_eq!(threads_of_each(&cpus(1), 0, 8), 0, "as it finds them");
        assert_eq!(threads_of_each(&cpus(3), 0, 8), 2);
        assert_eq!(threads_of_each(&cpus(3), 6, 8), 2);
        assert_eq!(threads_of_each(&cpus(3), 0, 2), 1);
        assert_eq!(threads_of_each(&[DeviceWish::AutoOn(0), DeviceWish::AutoOn(1)], 0, 8), 0, "at most one ends on the CPU");
    }
}
