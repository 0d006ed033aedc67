//! The life of a service, by example and by random walks.

use super::*;
use proptest::prelude::*;

fn at(seconds: u64) -> Now {
    Now { at: Duration::from_secs(seconds), luck: 0.0 }
}

fn go(state: ServiceState, event: Event, seconds: u64) -> (ServiceState, Option<Action>) {
    next(state, event, &Policy::default(), at(seconds))
}

#[test]
fn a_death_is_followed_by_a_wait_that_doubles_and_a_long_run_forgets() {
    let mut state = ServiceState::Stopped;
    let mut now = 0;
    for wait in [1, 2, 4, 8, 16, 32, 60, 60] {
        state = go(state, if now == 0 { Event::Start } else { Event::Tick }, now).0;
        assert!(matches!(state, ServiceState::Starting { .. }), "{state:?}");
        state = go(go(state, Event::Ready, now).0, Event::Exited(Exit::Signal(9)), now + 1).0;
        now += 1 + wait;
        assert_eq!(state.wake_at(), Some(Duration::from_secs(now)));
    }
    state = go(go(state, Event::Tick, now).0, Event::Ready, now).0;
    state = go(state, Event::Exited(Exit::Code(0)), now + 600).0;
    assert!(matches!(state, ServiceState::Backoff { failures: 1, .. }), "{state:?}");
}

#[test]
fn a_configuration_error_is_never_retried_by_itself() {
    let (state, _) = go(ServiceState::Starting { failures: 0 }, Event::Exited(Exit::Code(3)), 5);
    assert!(matches!(state, ServiceState::Failed { .. }));
    assert_eq!(state.wake_at(), None);
    assert_eq!(go(state, Event::Start, 6).1, Some(Action::Spawn));
}

#[test]
fn what_does_not_end_is_killed_after_the_grace() {
    let (state, action) = go(ServiceState::Running { since: Duration::ZERO, failures: 0 }, Event::Stop, 10);
    assert_eq!(action, Some(Action::Terminate));
    assert_eq!(go(state.clone(), Event::Tick, 14).1, None);
    let (state, action) = go(state, Event::Tick, 15);
    assert_eq!(action, Some(Action::Kill));
    assert_eq!(go(state, Event::Exited(Exit::Signal(9)), 15).0, ServiceState::Stopped);
}

fn events() -> impl Strategy<Value = Event> {
    prop_oneof![
        Just(Event::Start),
        Just(Event::Stop),
        Just(Event::Ready),
        Just(Event::NoSpawn("no".into())),
        (0..5i32).prop_map(|c| Event::Exited(Exit::Code(c))),
        Just(Event::Exited(Exit::Signal(9))),
        Just(Event::Tick),
    ]
}

proptest! {
    /// Whatever happens in whatever order: at most one process exists, none is made while one lives, and
    /// none is signalled that does not exist.
    #[test]
    fn there_is_never_a_second_process(walk in prop::collection::vec((events(), 0..40u64), 0..200)) {
        let (mut state, mut alive, mut now) = (ServiceState::Stopped, false, 0);
        for (event, wait) in walk {
            now += wait;
            // Only a living process can end or fail to come to life.
            if matches!(event, Event::Exited(_) | Event::NoSpawn(_) | Event::Ready) && !alive {
                continue;
            }
            if matches!(event, Event::NoSpawn(_)) && !matches!(state, ServiceState::Starting { .. }) {
                continue;
            }
            alive &= !matches!(event, Event::Exited(_) | Event::NoSpawn(_));
            let (after, action) = go(state, event, now);
            match action {
                Some(Action::Spawn) => {
                    prop_assert!(!alive);
                    alive = true;
                }
                Some(_) => prop_assert!(alive),
                None => {}
            }
            prop_assert_eq!(after.has_process(), alive);
            state = after;
        }
    }

    /// Asked to stop, it is stopped at the latest when the grace has passed and the killed process is gone.
    #[test]
    fn stop_always_ends_stopped(walk in prop::collection::vec(events(), 0..50)) {
        let (mut state, mut now) = (ServiceState::Stopped, 0);
        for event in walk {
            now += 1;
            state = go(state, event, now).0;
        }
        state = go(state, Event::Stop, now).0;
        if state.has_process() {
            state = go(state, Event::Tick, now + 5).0;
            state = go(state, Event::Exited(Exit::Signal(9)), now + 5).0;
        }
        prop_assert_eq!(state, ServiceState::Stopped);
    }
}
