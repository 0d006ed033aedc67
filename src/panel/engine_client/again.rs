//! When an engine that others keep from its GPU is started again to look. Pure. Knows no process.

use protocol::NoGpu;
use std::time::Duration;
use supervise::Policy;
use tokio::time::Instant;

/// First waits of a restart until the first look, which is soon: what held the card is often an engine or a tool that ends just
/// now.
const FIRST: u32 = 5;
/// Each wait is so many times the one before: a look forgets the model that is in memory.
const GROWS: u32 = 4;
/// Longest waits of a restart that no wait exceeds.
const LONGEST: u32 = 30;

/// The looks at a GPU that is taken.
#[derive(Debug)]
pub(super) struct Again {
    first: Duration,
    longest: Duration,
    /// How many in a row found it taken.
    found_taken: u32,
    /// When the next one is due.
    pub(super) at: Option<Instant>,
}

impl Again {
    pub(super) fn new(policy: Policy) -> Again {
        let (first, longest) = (policy.first_wait * FIRST, policy.longest_wait * LONGEST);
        Again { first, longest, found_taken: 0, at: None }
    }

    /// An engine has told why it has no GPU, or that it has what it wished for.
    pub(super) fn told(&mut self, no_gpu: Option<&NoGpu>, now: Instant) {
        match no_gpu {
            Some(NoGpu::Taken(_)) => {
                let wait = self.first.saturating_mul(GROWS.saturating_pow(self.found_taken)).min(self.longest);
                (self.found_taken, self.at) = (self.found_taken.saturating_add(1), Some(now + wait));
            }
            // What does not work is for a person to mend, who restarts the engine.
            Some(NoGpu::Unusable(_)) | None => (self.found_taken, self.at) = (0, None),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn looks_become_rare_and_begin_anew_once_there_was_a_gpu() {
        let (mut again, now) = (Again::new(Policy::default()), Instant::now());
        let taken = NoGpu::Taken("The GPU's memory is full.".into());
        let wait = |again: &mut Again, no_gpu: Option<&NoGpu>| {
            again.told(no_gpu, now);
            again.at.map(|at| (at - now).as_secs())
        };
        let found: Vec<_> = (0..6).map(|_| wait(&mut again, Some(&taken)).unwrap()).collect();
        assert_eq!(found, [5, 20, 80, 320, 1280, 1800]);
        for _ in 0..100 {
            assert_eq!(wait(&mut again, Some(&taken)), Some(1800));
        }
        assert_eq!(wait(&mut again, None), None);
        assert_eq!(wait(&mut again, Some(&taken)), Some(5));
        assert_eq!(wait(&mut again, Some(&NoGpu::Unusable("There is none.".into()))), None);
    }
}
