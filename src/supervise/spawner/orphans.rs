//! Ends what fell to this process when a guardian was killed: children that nobody here made, and all that came of them.
//! Knows processes by number; runs on the spawning thread, so that nothing new can be mistaken for an orphan.

use crate::descendants;
use rustix::process::{Pid, WaitOptions, waitpid};
use std::{collections::HashSet, thread, time::Duration};

/// Rounds of killing; each finds what was made while the last one looked.
const ROUNDS: usize = 200;
const BETWEEN: Duration = Duration::from_millis(5);

/// Kills and reaps every descendant that is not, and does not come of, a child of our own.
pub(super) fn end(own: &HashSet<u32>) {
    for _ in 0..ROUNDS {
        let orphans = descendants::outside(own);
        reap(own);
        if orphans.is_empty() {
            return;
        }
        orphans.iter().for_each(descendants::kill);
        thread::sleep(BETWEEN);
    }
    tracing::error!("what a killed guardian left behind does not end");
}

/// Reaps dead children that nobody waits for.
fn reap(own: &HashSet<u32>) {
    for pid in descendants::dead_children() {
        if !own.contains(&pid)
            && let Some(pid) = Pid::from_raw(pid.cast_signed())
        {
            let _ = waitpid(Some(pid), WaitOptions::NOHANG);
        }
    }
}
