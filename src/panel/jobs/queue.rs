//! Whose turn it is, as a pure function. Knows no job's content and no time.

use crate::users::ProfileId;
use std::collections::HashMap;

/// Numbers of starts: a profile's last one. Absent: it never started a job.
pub(super) type Turns = HashMap<ProfileId, u64>;

/// The order in which waiting jobs start, if nothing else comes: indexes into `waiting`, which names the
/// owner of each job, first come first. The turn is the profile's whose last start is longest ago; among
/// those that never had one, the first to come.
pub(super) fn order(waiting: &[ProfileId], turns: &Turns) -> Vec<usize> {
    let mut lines: Vec<Line> = Vec::new();
    let mut known: HashMap<&ProfileId, usize> = HashMap::new();
    for (i, profile) in waiting.iter().enumerate() {
        let line = *known.entry(profile).or_insert_with(|| {
            lines.push(Line { last: turns.get(profile).map(|t| t + 1).unwrap_or(0), jobs: Vec::new(), next: 0 });
            lines.len() - 1
        });
        lines[line].jobs.push(i);
    }
    let mut turn = turns.values().max().map_or(0, |t| t + 1);
    let mut order = Vec::with_capacity(waiting.len());
    while let Some(line) = lines.iter_mut().filter(|l| l.next < l.jobs.len()).min_by_key(|l| (l.last, l.jobs[l.next])) {
        order.push(line.jobs[line.next]);
        line.next += 1;
        turn += 1;
        line.last = turn;
    }
    order
}

/// One profile's jobs.
struct Line {
    last: u64,
    jobs: Vec<usize>,
    next: usize,
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn profiles(names: &str) -> Vec<ProfileId> {
        names.chars().map(|c| c.to_string().parse().unwrap()).collect()
    }

    fn names(waiting: &[ProfileId], order: &[usize]) -> String {
        order.iter().map(|i| waiting[*i].as_str()).collect()
    }

    #[test]
    fn profiles_take_turns_by_their_last_start() {
        let waiting = profiles("aaaab");
        assert_eq!(names(&waiting, &order(&waiting, &Turns::new())), "abaaa");
        let after_a = Turns::from([(waiting[0].clone(), 0)]);
        assert_eq!(names(&waiting, &order(&waiting, &after_a)), "baaaa");
        let waiting = profiles("ccabab");
        let turns = Turns::from([("a".parse().unwrap(), 7), ("b".parse().unwrap(), 5), ("c".parse().unwrap(), 6)]);
        assert_eq!(names(&waiting, &order(&waiting, &turns)), "bcabca");
    }

    proptest! {
        /// Nobody waits for more than one job of each other profile, own jobs keep their order, all start.
        #[test]
        fn the_order_is_fair(waiting in "[a-e]{0,40}", last in prop::collection::hash_map("[a-e]", 0..9u64, 0..5)) {
            let waiting = profiles(&waiting);
            let turns: Turns = last.into_iter().map(|(p, t)| (p.parse().unwrap(), t)).collect();
            let order = order(&waiting, &turns);
            let mut sorted = order.clone();
            sorted.sort_unstable();
            prop_assert_eq!(sorted, (0..waiting.len()).collect::<Vec<_>>());
            for (place, i) in order.iter().enumerate() {
                let mine = |j: &&usize| waiting[**j] == waiting[*i];
                let earlier: Vec<_> = order[..place].iter().filter(mine).collect();
                prop_assert!(earlier.iter().all(|j| **j < *i));
                let since = earlier.last().map_or(0, |j| order.iter().position(|k| k == *j).unwrap() + 1);
                let mut between: Vec<_> = order[since..place].iter().map(|j| &waiting[*j]).collect();
                let jobs = between.len();
                between.sort();
                between.dedup();
                prop_assert!(between.len() == jobs, "somebody had two turns");
            }
        }
    }
}
