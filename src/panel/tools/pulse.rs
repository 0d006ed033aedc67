//! When a tool is asked whether it is well, and what its answers mean: a deadline while it starts, and after that so many
//! questions without an answer. Knows time and answers; asks and ends nothing itself.

use super::Health;
use std::time::Duration;
use supervise::Time;

/// Time between two questions while a tool starts.
const ASK_STARTING: Duration = Duration::from_millis(500);
/// So many questions in a row without an answer, and a running tool is started anew.
const UNANSWERED: u32 = 3;

/// The pulse of one tool, over all its starts.
#[derive(Debug)]
pub(super) struct Pulse {
    time: Time,
    /// Between two questions while it runs.
    interval: Duration,
    start_timeout: Duration,
    /// Until when it must have been well once; none: it was.
    deadline: Option<Duration>,
    /// Questions in a row that it has not answered since.
    unanswered: u32,
    /// When it is asked next.
    due: Duration,
}

/// What came of a question.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Beat {
    /// It is well for the first time since it started.
    Well,
    /// It starts still.
    Starting,
    /// It has not been well within its time.
    TooLate,
    /// It runs; perhaps a question or two went unanswered.
    Running,
    /// It ran, and does not answer any more.
    Silent,
}

impl Pulse {
    /// Of a tool that starts now.
    pub(super) fn new(health: &Health, time: Time) -> Pulse {
        let Health { interval, start_timeout, .. } = *health;
        let none = Duration::ZERO;
        let mut pulse = Pulse { time, interval, start_timeout, deadline: None, unanswered: 0, due: none };
        pulse.starts();
        pulse
    }

    /// It starts, for the first time or again.
    pub(super) fn starts(&mut self) {
        let now = self.time.now();
        (self.deadline, self.unanswered, self.due) = (Some(now + self.start_timeout), 0, now + ASK_STARTING);
    }

    /// Asks when it is time to. Dropped before its end, it loses that question only.
    pub(super) async fn beat(&mut self, is_well: impl AsyncFnOnce() -> bool) -> Beat {
        let answer = async {
            self.time.until(self.due).await;
            is_well().await
        };
        let well = match self.deadline {
            None => answer.await,
            Some(deadline) => tokio::select! {
                biased;
                () = self.time.until(deadline) => return Beat::TooLate,
                well = answer => well,
            },
        };
        self.hear(well)
    }

    fn hear(&mut self, well: bool) -> Beat {
        let now = self.time.now();
        match (self.deadline, well) {
            (Some(_), true) => {
                (self.deadline, self.due) = (None, now + self.interval);
                Beat::Well
            }
            (Some(_), false) => {
                self.due = now + ASK_STARTING;
                Beat::Starting
            }
            (None, true) => {
                (self.unanswered, self.due) = (0, now + self.interval);
                Beat::Running
            }
            (None, false) => {
                (self.unanswered, self.due) = (self.unanswered + 1, now + self.interval);
                if self.unanswered < UNANSWERED {
                    return Beat::Running;
                }
                self.unanswered = 0;
                Beat::Silent
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::cell::Cell;

    const INTERVAL: Duration = Duration::from_secs(10);
    const TIMEOUT: Duration = Duration::from_secs(60);
    /// A question that is not answered takes so long.
    const PATIENCE: Duration = Duration::from_secs(5);
    const STEP: Duration = Duration::from_millis(100);

    fn pulse() -> (Pulse, Time) {
        let time = Time::still();
        let health = Health { path: "/".into(), expect: vec![200], start_timeout: TIMEOUT, interval: INTERVAL };
        (Pulse::new(&health, time.clone()), time)
    }

    /// The next beat of a tool that answers or hangs, by a clock that goes on meanwhile.
    async fn beat(pulse: &mut Pulse, time: &Time, answers: bool) -> Beat {
        let question = async || {
            if !answers {
                time.until(time.now() + PATIENCE).await;
            }
            answers
        };
        let over = Cell::new(false);
        let clock = async {
            while !over.get() {
                tokio::task::yield_now().await;
                time.advance(STEP);
            }
        };
        let beat = async {
            let beat = pulse.beat(question).await;
            over.set(true);
            beat
        };
        tokio::join!(beat, clock).0
    }

    #[tokio::test]
    async fn three_questions_without_an_answer_and_not_two() {
        let (mut pulse, time) = pulse();
        assert_eq!(beat(&mut pulse, &time, true).await, Beat::Well);
        for _ in 0..5 {
            assert_eq!(beat(&mut pulse, &time, false).await, Beat::Running);
            assert_eq!(beat(&mut pulse, &time, false).await, Beat::Running);
            assert_eq!(beat(&mut pulse, &time, true).await, Beat::Running, "an answer makes up for two");
        }
        let hung = time.now();
        assert_eq!(beat(&mut pulse, &time, false).await, Beat::Running);
        assert_eq!(beat(&mut pulse, &time, false).await, Beat::Running);
        assert_eq!(beat(&mut pulse, &time, false).await, Beat::Silent);
        let took = time.now() - hung;
        println!("silent: noticed after {took:.1?} at a question every {INTERVAL:?}");
        let expected = 3 * (INTERVAL + PATIENCE);
        assert!((expected..expected + Duration::from_secs(2)).contains(&took), "{took:?}");
    }

    #[tokio::test]
    async fn who_starts_has_a_deadline_and_no_count_of_questions() {
        let (mut pulse, time) = pulse();
        // Far more than three questions go unanswered.
        let mut unanswered = 0;
        while time.now() < TIMEOUT - Duration::from_secs(8) {
            assert_eq!(beat(&mut pulse, &time, false).await, Beat::Starting);
            unanswered += 1;
        }
        assert!(unanswered > 6, "{unanswered}");
        assert_eq!(beat(&mut pulse, &time, true).await, Beat::Well, "in time");
        // A tool that was well is not measured by the deadline any more.
        time.advance(2 * TIMEOUT);
        assert_eq!(beat(&mut pulse, &time, true).await, Beat::Running);
        // Started anew, it has the whole time again.
        pulse.starts();
        let again = time.now();
        while time.now() - again < TIMEOUT - Duration::from_secs(8) {
            assert_eq!(beat(&mut pulse, &time, false).await, Beat::Starting);
        }
        while beat(&mut pulse, &time, false).await == Beat::Starting {}
        let took = time.now() - again;
        assert!((TIMEOUT..TIMEOUT + Duration::from_secs(1)).contains(&took), "given up after {took:?}");
    }
}
