//! A service whose processes are played by the test.

use super::*;
use crate::{Scripted, ScriptedSpawner};
use tokio::io::AsyncWriteExt;

fn quick() -> Policy {
    Policy { first_wait: Duration::from_millis(10), grace: Duration::from_millis(50), ..Policy::default() }
}

#[tokio::test]
async fn a_dead_service_comes_back_and_tells_its_last_words() {
    let (spawner, mut launches) = ScriptedSpawner::new();
    let (service, mut happened) = Service::new("toy", Launch::new("toy").with_stream(), quick(), Arc::new(spawner));
    service.start();
    let mut first = launches.recv().await.unwrap();
    assert!(matches!(happened.recv().await, Some(Happened::Started { stream: Some(_), .. })));
    service.ready();
    first.stderr.write_all(b"one\nout of memory\n").await.unwrap();
    drop(first.stderr);
    first.exit.send(Exit::Signal(6)).unwrap();
    let Some(Happened::Ended { exit, log, .. }) = happened.recv().await else { panic!("no end") };
    assert_eq!((exit, log), (Exit::Signal(6), vec!["one".to_owned(), "out of memory".to_owned()]));
    launches.recv().await.expect("started again");
}

#[tokio::test]
async fn stop_asks_then_kills_and_waits() {
    let (spawner, mut launches) = ScriptedSpawner::new();
    let (service, _happened) = Service::new("toy", Launch::new("toy"), quick(), Arc::new(spawner));
    service.start();
    let mut process = launches.recv().await.unwrap();
    let stopping = tokio::spawn({
        let service = service.clone();
        async move { service.stop().await }
    });
    assert_eq!(process.signals.recv().await, Some(Signal::Terminate));
    assert_eq!(process.signals.recv().await, Some(Signal::Kill));
    assert!(!stopping.is_finished());
    process.exit.send(Exit::Signal(9)).unwrap();
    stopping.await.unwrap();
    assert_eq!(service.state(), ServiceState::Stopped);
}

#[tokio::test]
async fn a_restart_ends_one_process_and_makes_another_also_after_it_gave_up() {
    let (spawner, mut launches) = ScriptedSpawner::new();
    let (service, mut happened) = Service::new("toy", Launch::new("toy"), quick(), Arc::new(spawner));
    service.restart();
    let mut first = launches.recv().await.unwrap();
    service.ready();
    service.restart();
    assert_eq!(first.signals.recv().await, Some(Signal::Terminate));
    first.exit.send(Exit::Code(0)).unwrap();
    let second = launches.recv().await.unwrap();
    // It cannot run as configured, and somebody has mended that.
    second.exit.send(Exit::Code(3)).unwrap();
    while !matches!(happened.recv().await, Some(Happened::Ended { for_good: true, .. })) {}
    service.restart();
    let mut third = launches.recv().await.unwrap();
    service.leave();
    assert_eq!(third.signals.recv().await, Some(Signal::Terminate));
}

/// A service by a virtual clock whose process does what the test says.
struct Lab {
    time: Time,
    service: Service,
    launches: mpsc::UnboundedReceiver<Scripted>,
    _happened: mpsc::UnboundedReceiver<Happened>,
}

/// The virtual clock is moved by this much at a time.
const STEP: Duration = Duration::from_millis(50);

impl Lab {
    fn new() -> Lab {
        let (spawner, launches) = ScriptedSpawner::new();
        let time = Time::still();
        let launch = Launch::new("toy");
        let (service, happened) = Service::new_at(time.clone(), "toy", launch, Policy::default(), Arc::new(spawner));
        service.start();
        Lab { time, service, launches, _happened: happened }
    }

    /// Lets the service do everything that it can do now. One thread runs all tasks, so they take turns with this one.
    async fn settle() {
        for _ in 0..50 {
            tokio::task::yield_now().await;
        }
    }

    /// Moves the clock until `end`; each process that is started meanwhile gets this exit at once. When they were started.
    async fn die_until(&mut self, end: Duration, exit: Exit) -> Vec<Duration> {
        let mut starts = Vec::new();
        loop {
            Lab::settle().await;
            while let Ok(process) = self.launches.try_recv() {
                starts.push(self.time.now());
                drop(process.stderr);
                process.exit.send(exit).unwrap();
                Lab::settle().await;
            }
            if self.time.now() >= end {
                return starts;
            }
            self.time.advance(STEP);
        }
    }

    /// The next process, waited for.
    async fn next(&mut self) -> Scripted {
        loop {
            Lab::settle().await;
            if let Ok(process) = self.launches.try_recv() {
                return process;
            }
            self.time.advance(STEP);
        }
    }

    /// Lets the newest process live so long after it said that it is ready, then die; the wait for the one after it.
    async fn wait_after(&mut self, process: Scripted, healthy: Duration) -> (Duration, Scripted) {
        self.service.ready();
        Lab::settle().await;
        self.time.advance(healthy);
        drop(process.stderr);
        process.exit.send(Exit::Signal(11)).unwrap();
        Lab::settle().await;
        let died = self.time.now();
        let next = self.next().await;
        (self.time.now() - died, next)
    }
}

/// Whether a wait is what it should be, within a tenth and a step of the clock.
fn is_about(wait: Duration, seconds: f64) -> bool {
    (0.9 * seconds..=1.1 * seconds + STEP.as_secs_f64()).contains(&wait.as_secs_f64())
}

#[tokio::test]
async fn what_crashes_at_once_is_started_ten_times_in_five_minutes_at_most() {
    let mut lab = Lab::new();
    let starts = lab.die_until(Duration::from_secs(300), Exit::Code(1)).await;
    let waits: Vec<Duration> = starts.windows(2).map(|pair| pair[1] - pair[0]).collect();
    println!("{} starts in 300 s, after waits of {waits:.1?}", starts.len());
    assert!((8..=10).contains(&starts.len()), "{starts:?}");
    for (wait, seconds) in waits.iter().zip([1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 60.0, 60.0, 60.0]) {
        assert!(is_about(*wait, seconds), "{waits:?}");
    }
}

#[tokio::test]
async fn failures_are_forgotten_after_ten_healthy_minutes_and_not_before() {
    let mut lab = Lab::new();
    lab.die_until(Duration::from_secs(40), Exit::Code(1)).await;
    let process = lab.next().await;
    let (wait, process) = lab.wait_after(process, Duration::from_secs(599)).await;
    assert!(is_about(wait, 60.0), "not quite ten minutes: {wait:?}");
    let (wait, process) = lab.wait_after(process, Duration::from_secs(600)).await;
    assert!(is_about(wait, 1.0), "ten minutes: {wait:?}");
    // Time in which it only started does not count.
    lab.time.advance(Duration::from_secs(3600));
    drop(process.stderr);
    process.exit.send(Exit::Code(1)).unwrap();
    let died = lab.time.now();
    lab.next().await;
    assert!(is_about(lab.time.now() - died, 2.0), "never ready: {:?}", lab.time.now() - died);
}

#[tokio::test]
async fn a_configuration_error_is_never_started_again() {
    let mut lab = Lab::new();
    let config_error = Exit::Code(Policy::default().config_error);
    let starts = lab.die_until(Duration::from_secs(3600), config_error).await;
    assert_eq!(starts.len(), 1, "{starts:?}");
    assert!(matches!(lab.service.state(), ServiceState::Failed { .. }));
    lab.service.start();
    assert_eq!(lab.die_until(Duration::from_secs(7200), config_error).await.len(), 1, "somebody who wants it tries it once");
}
