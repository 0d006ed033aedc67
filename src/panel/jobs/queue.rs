//! Whose turn it is, and which engine a job goes to, as pure functions. Knows no time.

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

/// Which of the free engines the next jobs go to. `models` are those that waiting jobs need, in the order in which the jobs start;
/// `free` are those that free engines have loaded. As many jobs start as there are engines, and always the first ones: what is
/// loaded decides where a job runs, and never when. For each of them an index into `free`.
pub(super) fn seats(models: &[&str], free: &[Option<&str>]) -> Vec<usize> {
    let next = &models[..models.len().min(free.len())];
    let mut left: Vec<usize> = (0..free.len()).collect();
    let mut take = |wanted: &dyn Fn(Option<&str>) -> bool| {
        let at = left.iter().position(|engine| wanted(free[*engine]))?;
        Some(left.remove(at))
    };
    let with_its_model: Vec<Option<usize>> = next.iter().map(|model| take(&|loaded| loaded == Some(*model))).collect();
    // The others have to load theirs: at best where nothing has to go for it.
    let anywhere = |seat: Option<usize>| seat.or_else(|| take(&|loaded| loaded.is_none())).or_else(|| take(&|_| true));
    with_its_model.into_iter().filter_map(anywhere).collect()
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

    #[test]
    fn a_job_goes_where_its_model_is() {
        assert_eq!(seats(&["x"], &[None, Some("y"), Some("x")]), [2]);
        assert_eq!(seats(&["x", "y", "z"], &[Some("y"), Some("x")]), [1, 0]);
        assert_eq!(seats(&["z", "x"], &[Some("x"), None]), [1, 0], "the first one leaves the second's to it");
        assert_eq!(seats(&["z"], &[Some("x"), None]), [1], "nothing has to go");
        assert_eq!(seats(&["z", "x"], &[Some("x")]), [0], "the first in the queue is not passed over");
        assert!(seats(&[], &[None]).is_empty() && seats(&["x"], &[]).is_empty());
    }

    proptest! {
        /// No engine is idle while a job waits, none gets two, and as many as possible need not load anything.
        #[test]
        fn engines_are_used_well(models in prop::collection::vec("[x-z]", 0..9), free in prop::collection::vec("[w-z]?", 0..6)) {
            let models: Vec<&str> = models.iter().map(String::as_str).collect();
            let free: Vec<Option<&str>> = free.iter().map(|m| Some(m.as_str()).filter(|m| !m.is_empty())).collect();
            let seats = seats(&models, &free);
            prop_assert_eq!(seats.len(), models.len().min(free.len()));
            let mut each = seats.clone();
            each.sort_unstable();
            each.dedup();
            prop_assert_eq!(each.len(), seats.len());
            let next = &models[..seats.len()];
            let spared = seats.iter().zip(next).filter(|(engine, model)| free[**engine] == Some(**model)).count();
            let most = |m: &str| next.iter().filter(|n| **n == m).count().min(free.iter().filter(|f| **f == Some(m)).count());
            prop_assert_eq!(spared, ["w", "x", "y", "z"].into_iter().map(most).sum::<usize>());
        }

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
