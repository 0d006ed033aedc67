//! Work of an engine in a terminal, as a script is. Needs no engine.

use crate::studio::*;
use containers::{ContainerError, Progress, Work, WorkSpawner};
use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};
use supervise::{Exit, Signal, Spawner as _};

#[tokio::test]
async fn its_lines_are_shown_and_its_end_is_an_exit_code() {
    let work = WorkSpawner::new("Pulling", async |mut work: Work| {
        work.step(1, 2, "Pull tool:1");
        work.progress(&Progress { received: 1_500_000, known: 3_000_000, done: 0, layers: 2, fraction: 0.25 });
        work.progress(&Progress { received: 1_600_000, known: 3_000_000, done: 0, layers: 2, fraction: 0.26 });
        work.line("");
        work.step(2, 2, "Try it");
        Ok(())
    });
    let (session, exit) = begin(&work, &launch()).await;
    assert_eq!(end(exit).await, Exit::Code(0));
    let progress = "\r\x1b[K 25 %  1.5 of 3.0 MB, 0 of 2 layers";
    assert_eq!(shown(&session), format!("::step 1/2 Pull tool:1\r\n{progress}\r\n::step 2/2 Try it\r\n"));
    assert!(work.spawn(&launch()).await.is_err(), "it is done once");
}

#[tokio::test]
async fn what_fails_says_why_on_the_line_that_scripts_use() {
    let work = WorkSpawner::new("Pulling", async |_| Err(ContainerError::Wrong("There is\nno room.".into())));
    let (session, exit) = begin(&work, &launch()).await;
    assert_eq!(end(exit).await, Exit::Code(1));
    assert_eq!(shown(&session), "\r\n::error There is\r\nno room.\r\n");
}

/// Whether something was dropped.
struct Dropped(Arc<AtomicBool>);

impl Drop for Dropped {
    fn drop(&mut self) {
        self.0.store(true, Ordering::SeqCst);
    }
}

#[tokio::test]
async fn a_signal_and_ctrl_c_drop_it_where_it_is() {
    for by_key in [false, true] {
        let gone = Arc::new(AtomicBool::new(false));
        let held = Dropped(Arc::clone(&gone));
        let work = WorkSpawner::new("Pulling", async move |work: Work| {
            let _held = held;
            work.line("begun");
            std::future::pending().await
        });
        let (session, exit) = begin(&work, &launch()).await;
        shows(&session, "begun").await;
        if by_key {
            session.type_keys(vec![3]).unwrap();
        } else {
            session.signal(Signal::Terminate);
        }
        assert_eq!(end(exit).await, Exit::Signal(2));
        assert!(gone.load(Ordering::SeqCst) && shown(&session).contains("cancelled"));
    }
}
