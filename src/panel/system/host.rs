//! Processors and memory of this machine, or of the container that it is held to. Knows no process.

use super::cgroup;
use serde::Serialize;
use sysinfo::System;

/// Processors.
#[derive(Clone, Debug, Default, PartialEq, Serialize, utoipa::ToSchema)]
pub struct Cpu {
    /// Of their time, 0 to 100.
    pub percent: f32,
    /// How many: of the container where it is held to fewer than the machine has.
    pub cores: f32,
    /// Processes that run or wait to, mean of the last minute, on the whole machine.
    pub load: f32,
    /// Whether the figures are those of a container.
    pub container: bool,
}

/// Memory, in bytes.
#[derive(Clone, Debug, Default, PartialEq, Serialize, utoipa::ToSchema)]
pub struct Memory {
    /// Cannot be given to others now.
    pub used: u64,
    /// All there is: of the container where it is held to less than the machine has.
    pub total: u64,
    /// Of the swap.
    pub swap_used: u64,
    /// All there is; 0 where there is none.
    pub swap_total: u64,
    /// Whether the figures are those of a container.
    pub container: bool,
}

/// What looking at the machine remembers.
#[derive(Debug)]
pub(super) struct Host {
    /// None where the system tells nothing of itself.
    system: Option<System>,
    meter: cgroup::Meter,
}

impl Host {
    pub(super) fn new() -> Host {
        let system = System::new().inspect_err(|e| tracing::warn!("nothing is known of this machine: {e}")).ok();
        Host { system, meter: cgroup::Meter::default() }
    }

    pub(super) fn look(&mut self) -> (Cpu, Memory) {
        let Some(system) = &mut self.system else { return (Cpu::default(), Memory::default()) };
        system.refresh_cpu_usage();
        system.refresh_memory();
        (cpu(system, &mut self.meter), memory(system))
    }
}

/// The memory of this machine or container, for whoever asks once. All is 0 where the system does not say.
pub fn memory_now() -> Memory {
    let Some(mut system) = Host::new().system else { return Memory::default() };
    system.refresh_memory();
    memory(&system)
}

fn cpu(system: &System, meter: &mut cgroup::Meter) -> Cpu {
    let load = System::load_average().map_or(0.0, |load| load.one as f32);
    let all = system.cpus().len().max(1) as f64;
    if let Some(cores) = cgroup::cores().filter(|cores| *cores < all)
        && let Some(percent) = meter.look(cores)
    {
        return Cpu { percent, cores: cores as f32, load, container: true };
    }
    Cpu { percent: system.global_cpu_usage().clamp(0.0, 100.0), cores: all as f32, load, container: false }
}

fn memory(s: &System) -> Memory {
    let (swap_used, swap_total) = (s.used_swap(), s.total_swap());
    match s.cgroup_limits().filter(|limits| limits.total_memory < s.total_memory()) {
        Some(limits) => {
            let used = in_use(limits.total_memory, limits.free_memory, cgroup::files_in_memory());
            Memory { used, total: limits.total_memory, swap_used, swap_total, container: true }
        }
        None => Memory { used: s.used_memory(), total: s.total_memory(), swap_used, swap_total, container: false },
    }
}

/// Of a container's memory, where the kernel says what is free of it and what is files.
fn in_use(total: u64, free: u64, files: u64) -> u64 {
    total.saturating_sub(free).saturating_sub(files)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_model_that_was_read_is_no_memory_in_use() {
        // 64 GB that a container may use, all but one taken, 60 of them by files.
        assert_eq!(in_use(64, 1, 60), 3);
        assert_eq!(in_use(64, 10, 60), 0, "the two are read one after the other");
    }

    #[test]
    fn this_very_machine_has_processors_and_memory() {
        let mut host = Host::new();
        host.look();
        std::thread::sleep(sysinfo::MINIMUM_CPU_UPDATE_INTERVAL);
        let (cpu, memory) = host.look();
        assert!(cpu.cores >= 0.1 && (0.0..=100.0).contains(&cpu.percent), "{cpu:?}");
        assert!(memory.used > 0 && memory.used <= memory.total, "{memory:?}");
        assert_eq!(memory_now().total, memory.total);
    }
}
