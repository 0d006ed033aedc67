//! Finds and ends every process that came of this one. Knows processes by number and by when they began, so that a
//! number that was given to somebody else meanwhile is left alone.

use crate::Stat;
use rustix::process::{Pid, PidfdFlags, Signal, getpid, pidfd_open, pidfd_send_signal};
use std::collections::{HashMap, HashSet};

/// Most processes above one that are looked at.
const ANCESTORS: usize = 100;

/// The descendants of `root` among these, children before grandchildren.
fn below(root: u32, all: Vec<Stat>) -> Vec<Stat> {
    let mut children: HashMap<u32, Vec<Stat>> = HashMap::new();
    for process in all {
        children.entry(process.parent).or_default().push(process);
    }
    let mut found: Vec<Stat> = children.remove(&root).unwrap_or_default();
    let mut at = 0;
    while at < found.len() {
        found.extend(children.remove(&found[at].pid).unwrap_or_default());
        at += 1;
    }
    found
}

/// The processes above one, nearest first. None of them where it has ended.
pub fn ancestors(pid: u32) -> Vec<u32> {
    let parent = |pid: &u32| Stat::of(*pid).map(|p| p.parent).filter(|parent| *parent > 0);
    std::iter::successors(parent(&pid), parent).take(ANCESTORS).collect()
}

/// The program that a guardian started: the oldest of its children, since those that fell to it came later.
pub fn leader(guardian: u32) -> Option<u32> {
    let children = Stat::all().into_iter().filter(|p| p.parent == guardian && !p.is_dead());
    children.min_by_key(|p| p.began).map(|p| p.pid)
}

fn me() -> u32 {
    getpid().as_raw_nonzero().get().cast_unsigned()
}

/// Kills every living descendant of this process once; which they were. What is made meanwhile is left to the next call.
pub(crate) fn kill_all() -> Vec<Stat> {
    let living = outside(&HashSet::new());
    living.iter().for_each(kill);
    living
}

/// The living descendants of this process that are not, and do not come of, one of these children.
pub(crate) fn outside(own: &HashSet<u32>) -> Vec<Stat> {
    let all: Vec<Stat> = Stat::all().into_iter().filter(|p| !own.contains(&p.pid)).collect();
    below(me(), all).into_iter().filter(|p| !p.is_dead()).collect()
}

/// A process that came of this one, the nearest that lives first. None where nothing is left of it.
pub(crate) fn first_below(root: u32) -> Option<Stat> {
    let found = below(root, Stat::all());
    found.iter().find(|p| !p.is_dead()).or(found.first()).cloned()
}

/// Children of this process that wait to be reaped.
pub(crate) fn dead_children() -> Vec<u32> {
    Stat::all().into_iter().filter(|p| p.is_dead() && p.parent == me()).map(|p| p.pid).collect()
}

/// Kills this process, and none that has its number by now.
pub(crate) fn kill(process: &Stat) {
    let Some(pid) = Pid::from_raw(process.pid.cast_signed()) else { return };
    // A pidfd holds the process that has the number now; if that is still the one that was seen, it stays so.
    let Ok(fd) = pidfd_open(pid, PidfdFlags::empty()) else { return };
    if Stat::of(process.pid).is_some_and(|now| now.began == process.began) {
        let _ = pidfd_send_signal(&fd, Signal::KILL);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn descendants_are_found_in_any_order_and_others_are_not() {
        let process = |pid, parent| Stat { pid, name: String::new(), state: 'S', parent, busy: 0, began: 0, pages: 0 };
        let all = vec![process(9, 7), process(7, 1), process(8, 1), process(1, 0), process(30, 20), process(10, 9)];
        let pids: Vec<u32> = below(1, all.clone()).iter().map(|p| p.pid).collect();
        assert_eq!(pids, [7, 8, 9, 10]);
        assert!(below(4, all).is_empty());
    }
}
