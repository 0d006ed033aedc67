//! How much memory the machine, or the container that this runs in, can still give. Knows no plan.

use std::{fs, path::Path};

/// Bytes that can be taken without swapping: the smaller of what the machine has free and what the control
/// group leaves. `None` where the system does not tell.
pub fn available() -> Option<u64> {
    let machine = fs::read_to_string("/proc/meminfo").ok().and_then(|text| meminfo(&text));
    let v2 = group("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory.current", "/sys/fs/cgroup/memory.stat");
    let v1 = group(
        "/sys/fs/cgroup/memory/memory.limit_in_bytes",
        "/sys/fs/cgroup/memory/memory.usage_in_bytes",
        "/sys/fs/cgroup/memory/memory.stat",
    );
    [machine, v2, v1].into_iter().flatten().min()
}

/// `MemAvailable` of /proc/meminfo, in bytes.
fn meminfo(text: &str) -> Option<u64> {
    let line = text.lines().find(|l| l.starts_with("MemAvailable:"))?;
    Some(line.split_whitespace().nth(1)?.parse::<u64>().ok()? * 1024)
}

/// Limit minus use of a control group. Pages of files count as use, although they are given back on demand, so
/// the inactive ones are taken off again.
fn group(limit: &str, usage: &str, stat: &str) -> Option<u64> {
    let number = |path: &str| fs::read_to_string(Path::new(path)).ok()?.trim().parse::<u64>().ok();
    let inactive = fs::read_to_string(stat).ok().and_then(|text| inactive_file(&text)).unwrap_or(0);
    Some(number(limit)?.saturating_sub(number(usage)?.saturating_sub(inactive)))
}

fn inactive_file(stat: &str) -> Option<u64> {
    stat.lines().find_map(|l| l.strip_prefix("inactive_file "))?.trim().parse().ok()
}

/// Bytes as a person reads them: "312 MB", "1.4 GB".
pub fn words(bytes: u64) -> String {
    if bytes < 1_000_000_000 { format!("{} MB", bytes.div_ceil(1_000_000)) } else { format!("{:.1} GB", bytes as f64 / 1e9) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_the_kernel_writes() {
        assert_eq!(meminfo("MemTotal: 10 kB\nMemAvailable:   2048 kB\n"), Some(2 << 20));
        assert_eq!(meminfo("MemTotal: 10 kB\n"), None);
        assert_eq!(inactive_file("anon 1\ninactive_file 77\n"), Some(77));
    }

    #[test]
    fn sizes_read_well() {
        assert_eq!(words(311_500_000), "312 MB");
        assert_eq!(words(1_400_000_000), "1.4 GB");
    }
}
