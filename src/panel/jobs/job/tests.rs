//! What a start costs.

use super::*;

pub(in crate::jobs) fn job(id: u32, profile: &str) -> Job {
    Job {
        id: JobId(format!("{id:026}")),
        profile: profile.parse().unwrap(),
        state: JobState::Queued,
        created: 0,
        started: None,
        finished: None,
        starts: 0,
        engine_deaths: 0,
        cancel: false,
        recipe: Recipe::example(),
    }
}

#[test]
fn the_engines_third_death_fails_the_job_with_its_last_lines() {
    let mut j = job(1, "ada");
    for _ in 0..2 {
        j = j.start(1).end(Outcome::EngineDied(vec![]), 2);
        assert_eq!(j.state, JobState::Queued);
    }
    j = j.start(3).end(Outcome::EngineDied(vec!["out of memory".into()]), 4);
    assert_eq!(j.finished, Some(4));
    assert!(j.state.problem().unwrap().place.contains("out of memory"));
}

#[test]
fn orderly_stops_cost_nothing() {
    let mut j = job(1, "ada");
    for _ in 0..20 {
        j = j.start(1).end(Outcome::Stopping, 2).start(3).end(Outcome::NotSent, 4);
    }
    assert_eq!((j.starts, j.state), (0, JobState::Queued));
}

#[test]
fn the_fifth_unclean_death_of_the_panel_parks_it() {
    let mut j = job(1, "ada");
    for _ in 0..4 {
        j = j.start(1).after_restart(2);
        assert_eq!(j.state, JobState::Queued);
    }
    j = j.start(1).end(Outcome::EngineDied(vec![]), 2);
    j = j.start(1).after_restart(2);
    assert_eq!(j.state.name(), "parked");
}

#[test]
fn an_acknowledged_cancel_outlives_every_death() {
    for outcome in [Outcome::EngineDied(vec![]), Outcome::NotSent, Outcome::Stopping] {
        let j = Job { cancel: true, ..job(1, "ada") };
        assert_eq!(j.start(1).end(outcome, 2).state, JobState::Cancelled);
    }
    assert_eq!(Job { cancel: true, ..job(1, "ada") }.start(1).after_restart(2).state, JobState::Cancelled);
}
