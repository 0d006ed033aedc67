//! What a container may use of its machine's processors, and what it has used: control group version 2. How much memory it may
//! use is `sysinfo`'s business, which knows both versions; what of that is files is told here. Knows nothing else of the machine.

use std::{path::Path, time::Instant};

/// Where the control group of this container is mounted.
const ROOT: &str = "/sys/fs/cgroup";
/// The figures of its memory: in version 1, which goes first where there is one, and in version 2.
const MEMORY: [&str; 2] = ["memory/memory.stat", "memory.stat"];

/// Cores that the container is held to. None where it is not held, or not a container of version 2.
pub(super) fn cores() -> Option<f64> {
    limit(&std::fs::read_to_string(Path::new(ROOT).join("cpu.max")).ok()?)
}

/// `QUOTA PERIOD` in microseconds, or `max PERIOD`.
fn limit(text: &str) -> Option<f64> {
    let mut words = text.split_whitespace();
    let (quota, period): (f64, f64) = (words.next()?.parse().ok()?, words.next()?.parse().ok()?);
    (period > 0.0 && quota > 0.0).then(|| quota / period)
}

/// Bytes of files that the kernel keeps in memory as long as nobody wants it. It counts them as the container's: whoever has
/// read a model of 20 GB "uses" 20 GB more.
pub(super) fn files_in_memory() -> u64 {
    let text = MEMORY.iter().find_map(|file| std::fs::read_to_string(Path::new(ROOT).join(file)).ok());
    text.map_or(0, |text| files(&text))
}

/// Out of `memory.stat`: all that belongs to files, without what lies in them only, which nobody can read again.
fn files(text: &str) -> u64 {
    let value = |name: &str| text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' ')?.trim().parse::<u64>().ok());
    let all = value("total_cache").or_else(|| value("file")).unwrap_or(0);
    all.saturating_sub(value("total_shmem").or_else(|| value("shmem")).unwrap_or(0))
}

/// Processor time that the container used, in microseconds.
fn used() -> Option<u64> {
    usage(&std::fs::read_to_string(Path::new(ROOT).join("cpu.stat")).ok()?)
}

fn usage(text: &str) -> Option<u64> {
    text.lines().find_map(|line| line.strip_prefix("usage_usec "))?.trim().parse().ok()
}

/// Measures the container's use between two looks.
#[derive(Debug, Default)]
pub(super) struct Meter(Option<(Instant, u64)>);

impl Meter {
    /// Percent of the cores that it is held to, since the last look.
    pub(super) fn look(&mut self, cores: f64) -> Option<f32> {
        let now = (Instant::now(), used()?);
        let before = self.0.replace(now)?;
        let seconds = now.0.duration_since(before.0).as_secs_f64();
        let busy = now.1.saturating_sub(before.1) as f64 / 1e6;
        (seconds > 0.0).then(|| (busy / seconds / cores * 100.0).min(100.0) as f32)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kernels_files_are_read() {
        assert_eq!(limit("1600000 100000\n"), Some(16.0));
        assert_eq!(limit("max 100000\n"), None);
        assert_eq!(limit("0 0"), None);
        assert_eq!(limit(""), None);
        assert_eq!(usage("usage_usec 123456\nuser_usec 1\n"), Some(123_456));
        assert_eq!(usage("nr_periods 0\n"), None);
    }

    #[test]
    fn files_in_memory_are_told_from_what_only_lies_in_memory() {
        let second = "anon 4000\nfile 90000\nkernel 10\nfile_mapped 70\nshmem 1000\ninactive_file 5\n";
        assert_eq!(files(second), 89_000);
        let first =
            "cache 7\nrss 8\nshmem 6\nhierarchical_memory_limit 99\ntotal_cache 50000\ntotal_rss 3000\ntotal_shmem 2000\n";
        assert_eq!(files(first), 48_000);
        assert_eq!((files(""), files("file x\n")), (0, 0));
    }
}
