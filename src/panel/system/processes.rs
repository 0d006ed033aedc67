//! Easel's own processes, child by child with all their descendants, out of /proc. Knows no service: who looks gives
//! the names.

use crate::gpus::Gpu;
use rustix::param::{clock_ticks_per_second, page_size};
use serde::Serialize;
use std::{
    collections::{BTreeMap, HashMap},
    time::Instant,
};
use supervise::Stat;

/// Members of one tree that are counted.
const MOST_MEMBERS: usize = 10_000;

/// One child of the panel with its descendants, or the panel alone.
#[derive(Clone, Debug, Default, PartialEq, Serialize, utoipa::ToSchema)]
pub struct Tree {
    /// "Panel", "Engine", a tool's name, "Shell", or what the program is called.
    pub name: String,
    /// Process id of the first of them.
    pub pid: u32,
    /// Of one processor's time, all of them together: 100 is one core.
    pub cpu: f32,
    /// Resident bytes, all of them together; what two of them share counts twice.
    pub memory: u64,
    /// Bytes on GPUs, where the driver tells.
    pub gpu_memory: u64,
    /// Seconds since the first of them started.
    pub up_s: u64,
    /// How many they are.
    pub processes: u32,
    /// All of them.
    #[serde(skip)]
    pub pids: Vec<u32>,
}

/// Gives each tree of processes the GPU memory that its members hold.
pub(super) fn gpu_memory(trees: &mut [Tree], gpus: &[Gpu]) {
    for tree in trees {
        let held = |gpu: &Gpu| tree.pids.iter().filter_map(|pid| gpu.holders.get(pid)).sum::<u64>();
        tree.gpu_memory = gpus.iter().map(held).sum();
    }
}

/// What was seen the last time.
#[derive(Debug, Default)]
pub(super) struct Table {
    busy: HashMap<(u32, u64), u64>,
    at: Option<Instant>,
}

impl Table {
    /// The panel (`root`) and each of its children with their descendants. `name` knows some of them.
    pub(super) fn look(&mut self, root: u32, name: impl Fn(u32) -> Option<String>) -> Vec<Tree> {
        let all = Stat::all();
        let up = std::fs::read_to_string("/proc/uptime").unwrap_or_default();
        let up: f64 = up.split(' ').next().and_then(|s| s.parse().ok()).unwrap_or(0.0);
        let ticks = clock_ticks_per_second().max(1);
        let seconds = self.at.replace(Instant::now()).map(|at| at.elapsed().as_secs_f64());
        let members = members(&all, root);
        let busy: HashMap<(u32, u64), u64> = all.iter().map(|s| ((s.pid, s.began), s.busy)).collect();
        let share = |s: &Stat| match (seconds, self.busy.get(&(s.pid, s.began))) {
            (Some(seconds), Some(before)) if seconds > 0.0 => {
                (s.busy.saturating_sub(*before) as f64 / ticks as f64 / seconds * 100.0) as f32
            }
            _ => 0.0,
        };
        let tree = |of: &Vec<&Stat>| {
            let first = of.first()?;
            let known = if first.pid == root { Some("Panel".into()) } else { name(first.pid) };
            Some(Tree {
                name: known.unwrap_or_else(|| first.name.clone()),
                pid: first.pid,
                cpu: of.iter().map(|s| share(s)).sum(),
                memory: of.iter().map(|s| s.pages * page_size() as u64).sum(),
                gpu_memory: 0,
                up_s: (up - first.began as f64 / ticks as f64).max(0.0) as u64,
                processes: u32::try_from(of.len()).unwrap_or(u32::MAX),
                pids: of.iter().map(|s| s.pid).collect(),
            })
        };
        let trees = members.iter().filter_map(tree).collect();
        self.busy = busy;
        trees
    }
}

/// The root alone, then each of its children followed by all descendants.
fn members(all: &[Stat], root: u32) -> Vec<Vec<&Stat>> {
    let mut children: BTreeMap<u32, Vec<&Stat>> = BTreeMap::new();
    for stat in all {
        children.entry(stat.parent).or_default().push(stat);
    }
    let mut trees: Vec<Vec<&Stat>> = all.iter().filter(|s| s.pid == root).map(|s| vec![s]).collect();
    for child in children.get(&root).into_iter().flatten() {
        let (mut tree, mut at) = (vec![*child], 0);
        while at < tree.len() && tree.len() < MOST_MEMBERS {
            tree.extend(children.get(&tree[at].pid).into_iter().flatten());
            at += 1;
        }
        trees.push(tree);
    }
    trees
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stat(pid: u32, parent: u32) -> Stat {
        Stat { pid, name: format!("p{pid}"), state: 'S', parent, busy: 0, began: 0, pages: 1 }
    }

    #[test]
    fn each_child_brings_its_descendants() {
        let all = [stat(1, 0), stat(5, 1), stat(6, 5), stat(7, 6), stat(8, 5), stat(9, 1)];
        let pids: Vec<Vec<u32>> = members(&all, 5).iter().map(|t| t.iter().map(|s| s.pid).collect()).collect();
        assert_eq!(pids, [vec![5], vec![6, 7], vec![8]]);
    }

    #[test]
    fn this_very_process_is_seen() {
        let mut table = Table::default();
        let trees = table.look(std::process::id(), |_| None);
        assert_eq!(trees[0].name, "Panel");
        assert!(trees[0].memory > 1 << 20 && trees[0].processes == 1, "{trees:?}");
    }

    #[test]
    fn memory_belongs_to_the_tree_whose_member_holds_it() {
        let tree = |pids: &[u32]| Tree { pids: pids.to_vec(), ..Tree::default() };
        let mut trees = [tree(&[10, 11]), tree(&[20])];
        let gpu = |holders: &[(u32, u64)]| Gpu { holders: holders.iter().copied().collect(), ..Gpu::default() };
        gpu_memory(&mut trees, &[gpu(&[(11, 5), (99, 7)]), gpu(&[(11, 1), (20, 2)])]);
        assert_eq!(trees.map(|t| t.gpu_memory), [6, 2]);
    }
}
