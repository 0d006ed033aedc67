//! When to start again, and when not to. Knows no process.

use std::time::Duration;

/// What a service is allowed.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Policy {
    /// Wait after the first failure; doubles with each further one.
    pub first_wait: Duration,
    /// The wait does not grow beyond this.
    pub longest_wait: Duration,
    /// Share of the wait by which luck lengthens it, so that what died together does not come back together. Never
    /// shortens it: the number of starts in a time keeps its limit.
    pub jitter: f64,
    /// A run this long forgets the failures before it.
    pub healthy_after: Duration,
    /// Time between asking a process to end and killing it.
    pub grace: Duration,
    /// Exit code of a program that cannot run as configured: starting it again would fail again.
    pub config_error: i32,
}

impl Default for Policy {
    fn default() -> Policy {
        Policy {
            first_wait: Duration::from_secs(1),
            longest_wait: Duration::from_secs(60),
            jitter: 0.1,
            healthy_after: Duration::from_secs(600),
            grace: Duration::from_secs(5),
            config_error: 3,
        }
    }
}

impl Policy {
    /// The wait before start number `failures` + 1; `luck` lies in 0..1.
    pub fn wait(&self, failures: u32, luck: f64) -> Duration {
        let doubled = self.first_wait.saturating_mul(1 << failures.saturating_sub(1).min(20));
        doubled.min(self.longest_wait).mul_f64(1.0 + self.jitter * luck)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_up_to_a_minute_within_a_tenth() {
        let policy = Policy::default();
        for (failures, seconds) in [(1, 1.0), (2, 2.0), (3, 4.0), (6, 32.0), (7, 60.0), (8, 60.0), (u32::MAX, 60.0)] {
            assert!((policy.wait(failures, 0.0).as_secs_f64() - seconds).abs() < 1e-9);
            assert!((policy.wait(failures, 0.5).as_secs_f64() - 1.05 * seconds).abs() < 1e-9);
            assert!(policy.wait(failures, 0.999).as_secs_f64() <= 1.1 * seconds);
        }
    }
}
