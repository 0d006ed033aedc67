//! Ends what fell to this process when a guardian was killed: children that nobody here made, and all that came of them.
//! Knows processes by number; runs on the spawning thread, so that nothing new can be mistaken for an orphan.

use crate::descendants::{self, Process};
use rustix::process::{Pid, WaitOptions, waitpid};
use std::{collections::HashSet, thread, time::Duration};

/// Rounds of killing; each finds what was made while the last one looked.
const ROUNDS: usize = 200;
const BETWEEN: Duration = Duration::from_millis(5);

/// Kills and reaps every descendant that is not, and does not come of, a child of our own.
pub(super) fn end(own: &HashSet<u32>) {
    for _ in 0..ROUNDS {
        let orphans = strangers(own);
        reap(own);
        if orphans.is_empty() {
            return;
        }
        orphans.into_iter().for_each(descendants::kill);
        thread::sleep(BETWEEN);
    }
    tracing::error!("what a killed guardian left behind does not end");
}

/// Living descendants outside the families of our own children.
fn strangers(own: &HashSet<u32>) -> Vec<Process> {
    let own: HashSet<i32> = own.iter().map(|pid| pid.cast_signed()).collect();
    descendants::outside(&own)
}

/// Reaps dead children that nobody waits for.
fn reap(own: &HashSet<u32>) {
    for pid in descendants::dead_children() {
        if !own.contains(&pid.cast_unsigned())
            && let Some(pid) = Pid::from_raw(pid)
        {
            let _ = waitpid(Some(pid), WaitOptions::NOHANG);
        }
    }
}
