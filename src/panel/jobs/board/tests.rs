//! Who gets which job when, with one engine and with several.

use super::*;
use crate::jobs::job::{Outcome, tests::job};
use proptest::prelude::*;

fn board(jobs: Vec<Job>) -> Board {
    Board::new(jobs, Vec::new(), Rates::default())
}

fn free(engine: usize) -> Free {
    Free { engine, loaded: None }
}

/// The next job, started on the one engine.
fn start(board: &mut Board) -> Job {
    let (_, job) = board.deal(&[free(0)]).pop().unwrap();
    let started = job.start(0);
    assert!(board.apply(&started));
    started
}

#[test]
fn a_start_that_is_taken_back_costs_no_turn() {
    let mut board = board(vec![job(1, "ada"), job(2, "bob"), job(3, "ada")]);
    let next = |board: &Board| board.order()[0].job.clone();
    let started = start(&mut board);
    assert_eq!(started.profile.as_str(), "ada");
    assert!(!board.apply(&Job { cancel: true, ..started.clone() }), "the same state");
    assert_eq!(next(&board).profile.as_str(), "bob");
    assert!(board.apply(&started.clone().end(Outcome::NotSent, 0)));
    assert_eq!(next(&board).id, started.id, "it did not reach the engine");
    let died = start(&mut board);
    board.apply(&died.end(Outcome::EngineDied(Vec::new()), 0));
    assert_eq!(next(&board).profile.as_str(), "bob", "it had its turn");
}

#[test]
fn what_is_handed_out_is_not_handed_out_again() {
    let mut board = board(vec![job(1, "ada"), job(2, "ada"), job(3, "bob")]);
    let dealt: Vec<(usize, String)> =
        board.deal(&[free(4), free(7)]).into_iter().map(|(engine, job)| (engine, job.profile.to_string())).collect();
    assert_eq!(dealt, [(4, "ada".to_owned()), (7, "bob".to_owned())], "one of each, although none has started yet");
    board.give_back(&job(3, "bob").id);
    assert_eq!(board.deal(&[free(0)])[0].1.profile.as_str(), "bob", "it had no turn");
    // Cancelled before it was stored that it starts.
    board.apply(&job(1, "ada").end(Outcome::Cancelled, 0));
    board.apply(&job(4, "bob"));
    assert_eq!(board.deal(&[free(0)])[0].1.profile.as_str(), "ada", "it never had one");
    assert_eq!(board.deal(&[free(0)])[0].1.profile.as_str(), "bob");
    assert!(board.deal(&[free(0)]).is_empty());
}

#[test]
fn the_head_of_the_queue_goes_where_its_model_is() {
    let of = |id, model: &str| Job { recipe: Recipe { model: model.into(), ..Recipe::example() }, ..job(id, "ada") };
    let has = |engine, model: &str| Free { engine, loaded: Some(model.into()) };
    let mut board = board(vec![of(1, "y"), of(2, "x")]);
    let dealt = board.deal(&[has(0, "x"), has(1, "y")]);
    assert_eq!(dealt.iter().map(|(engine, job)| (*engine, job.recipe.model.as_str())).collect::<Vec<_>>(), [(1, "y"), (0, "x")]);
}

#[test]
fn places_and_estimates_count_with_every_engine() {
    let mut board = board((1..=5).map(|i| job(i, "ada")).collect());
    let each = board.seconds(&Recipe::example(), &[]);
    let etas = |board: &Board, engines| {
        let in_jobs = |place: Place| (place.place, (place.eta_s / each).round() as u32);
        board.places(engines, &[]).into_iter().map(in_jobs).collect::<Vec<_>>()
    };
    assert_eq!(etas(&board, 1), [(1, 1), (2, 2), (3, 3), (4, 4), (5, 5)]);
    assert_eq!(etas(&board, 2), [(1, 1), (2, 1), (3, 2), (4, 2), (5, 3)]);
    board.deal(&[free(0), free(1)]);
    assert_eq!(etas(&board, 2), [(1, 2), (2, 2), (3, 3)]);
    let starts =
        |board: &Board, profile: &str, engines| (board.starts_in(&profile.parse().unwrap(), engines, &[]) / each).round() as u32;
    assert_eq!((starts(&board, "ada", 2), starts(&board, "bob", 2), starts(&board, "bob", 3)), (2, 1, 0));
}

/// What happens to a queue.
#[derive(Clone, Debug)]
enum Event {
    Submit(String, String),
    /// The engine is done with its job; how.
    End(usize, u8),
    Cancel(usize),
}

fn event() -> impl Strategy<Value = Event> {
    prop_oneof![
        3 => ("[a-d]", "[x-z]").prop_map(|(profile, model)| Event::Submit(profile, model)),
        3 => (0..3usize, 0..4u8).prop_map(|(engine, how)| Event::End(engine, how)),
        1 => (0..20usize).prop_map(Event::Cancel),
    ]
}

/// Three engines, what they do and what they have loaded.
#[derive(Default)]
struct World {
    board: Board,
    running: [Option<(Job, u64)>; 3],
    loaded: [Option<String>; 3],
    submitted: u32,
    started: u64,
    /// Each profile's starts that were not taken back.
    starts: HashMap<ProfileId, Vec<u64>>,
}

impl World {
    fn happen(&mut self, event: Event) {
        match event {
            Event::Submit(profile, model) => {
                self.submitted += 1;
                let mut job = job(self.submitted, &profile);
                job.recipe.model = model;
                self.board.apply(&job);
            }
            Event::End(engine, how) => {
                let Some((job, number)) = self.running[engine].take() else { return };
                let outcome = [Outcome::Done, Outcome::Cancelled, Outcome::EngineDied(Vec::new()), Outcome::Stopping];
                match how {
                    2 => self.loaded[engine] = None,
                    3 => self.starts.get_mut(&job.profile).unwrap().retain(|start| *start != number),
                    _ => {}
                }
                self.board.apply(&job.end(outcome[usize::from(how)].clone(), 0));
            }
            Event::Cancel(which) => {
                let waiting: Vec<Job> = self.board.waiting().into_iter().map(|entry| entry.job.clone()).collect();
                if let Some(job) = waiting.get(which) {
                    self.board.apply(&job.clone().end(Outcome::Cancelled, 0));
                }
            }
        }
    }

    fn last_start(&self, profile: &ProfileId) -> Option<u64> {
        self.starts.get(profile).and_then(|starts| starts.iter().max().copied())
    }

    fn deal(&mut self) -> Result<(), TestCaseError> {
        let idle = (0..3).filter(|engine| self.running[*engine].is_none());
        let free: Vec<Free> = idle.map(|engine| Free { engine, loaded: self.loaded[engine].clone() }).collect();
        let mut waiting: Vec<Job> = self.board.waiting().into_iter().map(|entry| entry.job.clone()).collect();
        let dealt = self.board.deal(&free);
        prop_assert_eq!(dealt.len(), waiting.len().min(free.len()), "an engine is idle while a job waits");
        for (engine, job) in dealt {
            prop_assert!(self.running[engine].is_none(), "two jobs for one engine");
            prop_assert!(self.running.iter().flatten().all(|(other, _)| other.id != job.id), "started twice");
            let longest = waiting.iter().map(|other| self.last_start(&other.profile)).min();
            prop_assert_eq!(Some(self.last_start(&job.profile)), longest, "somebody has waited longer");
            prop_assert_eq!(waiting.iter().find(|other| other.profile == job.profile).map(|other| &other.id), Some(&job.id));
            waiting.retain(|other| other.id != job.id);
            self.started += 1;
            self.starts.entry(job.profile.clone()).or_default().push(self.started);
            self.loaded[engine] = Some(job.recipe.model.clone());
            let job = job.start(0);
            self.board.apply(&job);
            self.running[engine] = Some((job, self.started));
        }
        Ok(())
    }
}

proptest! {
    /// Whatever happens: every job starts once at a time, engines are used, and who waits longest is first.
    #[test]
    fn several_engines_are_fed_fairly(events in prop::collection::vec(event(), 1..80)) {
        let mut world = World::default();
        for event in events {
            world.happen(event);
            world.deal()?;
        }
    }

    /// Starts that are taken back, in any order, leave the turns as they were.
    #[test]
    fn turns_that_are_taken_back_leave_no_trace(profiles in "[a-c]{1,8}", shuffle in prop::collection::vec(any::<u32>(), 8)) {
        let jobs: Vec<Job> = (1..).zip(profiles.chars()).map(|(i, profile)| job(i, &profile.to_string())).collect();
        let turns = vec![("a".parse().unwrap(), 5), ("b".parse().unwrap(), 9)];
        let mut board = Board::new(jobs, turns, Rates::default());
        let before = board.turns.clone();
        let engines: Vec<Free> = (0..profiles.len()).map(free).collect();
        let mut dealt = board.deal(&engines);
        prop_assert_eq!(dealt.len(), profiles.len());
        dealt.sort_by_key(|(engine, _)| shuffle[*engine]);
        for (_, job) in dealt {
            board.give_back(&job.id);
        }
        prop_assert_eq!(&board.turns, &before);
    }
}
