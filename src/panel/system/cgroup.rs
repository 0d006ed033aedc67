//! What a container may use of its machine's processors, and what it has used: control group version 2. Memory is
//! `sysinfo`'s business, which knows both versions. Knows nothing else of the machine.

use std::{path::Path, time::Instant};

/// Where the control group of this container is mounted.
const ROOT: &str = "/sys/fs/cgroup";

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
}
