//! A service whose processes are played by the test.

use super::*;
use crate::ScriptedSpawner;
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
