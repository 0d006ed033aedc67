//! What is logged by whatever works below: never a variable of a container, which may be a token.

use crate::studio::*;
use containers::{ContainerSpawner, ExecSpawner, Suffix};
use std::sync::{Mutex, PoisonError};
use supervise::Signal;

/// Every record of every crate, at every level.
struct Recorder(Mutex<String>);

impl log::Log for Recorder {
    fn enabled(&self, _: &log::Metadata<'_>) -> bool {
        true
    }

    fn log(&self, record: &log::Record<'_>) {
        let line = format!("{} {}\n", record.target(), record.args());
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push_str(&line);
    }

    fn flush(&self) {}
}

static RECORDER: Recorder = Recorder(Mutex::new(String::new()));

#[tokio::test]
async fn no_variable_of_a_container_is_logged_at_any_level() {
    let Some(engine) = studio().await else { return };
    log::set_logger(&RECORDER).unwrap();
    log::set_max_level(log::LevelFilter::Trace);
    let mut spec = shell(&engine, "echo up; read x").await;
    spec.once.insert("TOKEN".into(), "canary-of-a-start".into());
    spec.env.insert("HF_TOKEN".into(), "canary-of-a-setting".into());
    let (session, exit) = begin(&ContainerSpawner::new(engine.clone(), spec.clone()), &launch()).await;
    shows(&session, "up").await;
    let container = engine.find("tool", Suffix::None).await.unwrap().unwrap();
    assert_eq!(engine.standing(&container).await.unwrap().env["TOKEN"], "canary-of-a-start");
    assert_eq!(engine.orphans().await.unwrap().len(), 1);
    let inside = launch().env("TOKEN", "canary-of-a-shell");
    let (shell, ended) = begin(&ExecSpawner::new(engine.clone(), container), &inside).await;
    shell.type_keys(b"exit\r".to_vec()).unwrap();
    end(ended).await;
    session.signal(Signal::Kill);
    end(exit).await;
    let logged = RECORDER.0.lock().unwrap().clone();
    assert!(logged.contains("bollard::"), "the library that would log it logs nothing at all: {logged}");
    let line = logged.lines().find(|line| line.contains("canary"));
    assert!(line.is_none(), "{line:?}");
    assert!(!format!("{spec:?}").contains("canary"));
}
