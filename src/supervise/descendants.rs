//! Finds and ends every process that came of this one. Knows processes by number and by when they began, so that a
//! number that was given to somebody else meanwhile is left alone.

use rustix::process::{Pid, PidfdFlags, Signal, getpid, pidfd_open, pidfd_send_signal};
use std::{
    collections::{HashMap, HashSet},
    fs,
};

/// Most processes above one that are looked at.
const ANCESTORS: usize = 100;

/// One process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Process {
    pid: i32,
    parent: i32,
    /// When it began, in ticks since boot: tells two owners of one number apart.
    began: u64,
    /// It has ended and waits to be reaped.
    dead: bool,
}

/// Every process of this machine that can be seen.
fn all() -> Vec<Process> {
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    entries.filter_map(|e| e.file_name().to_str()?.parse().ok()).filter_map(look).collect()
}

/// A process as it is now.
fn look(pid: i32) -> Option<Process> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    parse(pid, &stat)
}

/// The line of `/proc/PID/stat` (proc(5)). The name in it may hold spaces and brackets, so fields count from its end.
fn parse(pid: i32, stat: &str) -> Option<Process> {
    let fields: Vec<&str> = stat[stat.rfind(')')? + 1..].split_ascii_whitespace().collect();
    let dead = *fields.first()? == "Z";
    Some(Process { pid, parent: fields.get(1)?.parse().ok()?, began: fields.get(19)?.parse().ok()?, dead })
}

/// The descendants of `root` among these, children before grandchildren.
fn below(root: i32, all: &[Process]) -> Vec<Process> {
    let mut children: HashMap<i32, Vec<Process>> = HashMap::new();
    for process in all {
        children.entry(process.parent).or_default().push(*process);
    }
    let mut found: Vec<Process> = children.remove(&root).unwrap_or_default();
    let mut at = 0;
    while at < found.len() {
        found.extend(children.remove(&found[at].pid).unwrap_or_default());
        at += 1;
    }
    found
}

/// The processes above one, nearest first. None of them where it has ended.
pub fn ancestors(pid: u32) -> Vec<u32> {
    let parent = |pid: &u32| look(pid.cast_signed()).map(|p| p.parent.cast_unsigned()).filter(|parent| *parent > 0);
    std::iter::successors(parent(&pid), parent).take(ANCESTORS).collect()
}

/// The program that a guardian started: the oldest of its children, since those that fell to it came later.
pub fn leader(guardian: u32) -> Option<u32> {
    let children = all().into_iter().filter(|p| p.parent == guardian.cast_signed() && !p.dead);
    children.min_by_key(|p| p.began).map(|p| p.pid.cast_unsigned())
}

fn me() -> i32 {
    getpid().as_raw_nonzero().get()
}

/// Kills every living descendant of this process once. What is made meanwhile is left to the next call.
pub(crate) fn kill_all() {
    outside(&HashSet::new()).into_iter().for_each(kill);
}

/// The living descendants of this process that are not, and do not come of, one of these children.
pub(crate) fn outside(own: &HashSet<i32>) -> Vec<Process> {
    let all: Vec<Process> = all().into_iter().filter(|p| !own.contains(&p.pid)).collect();
    below(me(), &all).into_iter().filter(|p| !p.dead).collect()
}

/// Children of this process that wait to be reaped.
pub(crate) fn dead_children() -> Vec<i32> {
    all().into_iter().filter(|p| p.dead && p.parent == me()).map(|p| p.pid).collect()
}

/// Kills this process, and none that has its number by now.
pub(crate) fn kill(process: Process) {
    let Some(pid) = Pid::from_raw(process.pid) else { return };
    // A pidfd holds the process that has the number now; if that is still the one that was seen, it stays so.
    let Ok(fd) = pidfd_open(pid, PidfdFlags::empty()) else { return };
    if look(process.pid).is_some_and(|now| now.began == process.began) {
        let _ = pidfd_send_signal(&fd, Signal::KILL);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_with_brackets_and_spaces_is_read_past() {
        let stat = "77 (a) b (c)) S 5 77 77 0 -1 4194560 1 0 0 0 0 0 0 0 20 0 1 0 4242 1 1";
        assert_eq!(parse(77, stat), Some(Process { pid: 77, parent: 5, began: 4242, dead: false }));
        let zombie = parse(77, "77 (x) Z 5 77 77 0 -1 4194560 1 0 0 0 0 0 0 0 20 0 1 0 4242");
        assert!(zombie.unwrap().dead);
        assert_eq!(parse(77, "nonsense"), None);
    }

    #[test]
    fn descendants_are_found_in_any_order_and_others_are_not() {
        let process = |pid, parent| Process { pid, parent, began: 0, dead: false };
        let all = [process(9, 7), process(7, 1), process(8, 1), process(1, 0), process(30, 20), process(10, 9)];
        let pids: Vec<i32> = below(1, &all).iter().map(|p| p.pid).collect();
        assert_eq!(pids, [7, 8, 9, 10]);
        assert!(below(4, &all).is_empty());
    }
}
