//! What the tests share: a studio of its own for each on the shared engine, an image, ways to look at a session.

use crate::dockerd::{Dockerd, busybox};
use containers::{ContainerSpec, Engine, ImageId, Studio};
use std::{
    sync::{
        OnceLock,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};
use supervise::{Exit, Guarded, Launch, Session, Size, Spawner};
use tokio::{sync::oneshot, time::timeout};

/// Nothing that these tests wait for takes longer.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);
/// The image of most tests: busybox.
pub(crate) const IMAGE: &str = "easel-test/box:1";

/// A studio of one test's own on the shared engine. None: no engine can run here, which was printed.
pub(crate) async fn studio() -> Option<Engine> {
    let dockerd = Dockerd::shared()?;
    static IMPORTED: OnceLock<()> = OnceLock::new();
    IMPORTED.get_or_init(|| import(dockerd));
    Some(on(dockerd).await)
}

/// A studio on an engine.
pub(crate) async fn on(dockerd: &Dockerd) -> Engine {
    static NEXT: AtomicU32 = AtomicU32::new(1);
    let id = format!("t{}", NEXT.fetch_add(1, Ordering::Relaxed));
    Engine::at(&dockerd.socket(), Studio::new(&id).unwrap()).await.unwrap()
}

/// Makes the image of most tests.
pub(crate) fn import(dockerd: &Dockerd) {
    let folder = tempfile::tempdir().unwrap();
    busybox(folder.path()).unwrap();
    dockerd.import(folder.path(), IMAGE, &["CMD [\"/bin/sh\"]", "ENV PATH=/bin"]);
}

/// The id of the image of most tests.
pub(crate) async fn image(engine: &Engine) -> ImageId {
    engine.image(IMAGE).await.unwrap().unwrap()
}

/// A container of busybox that runs a line of shell.
pub(crate) async fn shell(engine: &Engine, line: &str) -> ContainerSpec {
    let mut spec = ContainerSpec::new("tool", image(engine).await);
    spec.command = vec!["/bin/sh".into(), "-c".into(), line.into()];
    spec
}

/// A launch that asks for a terminal; of anything else in it, containers take no notice.
pub(crate) fn launch() -> Launch {
    Launch::new("/bin/sh").guarded(Guarded { guardian: "/".into(), user: None, terminal: Some(Size { cols: 100, rows: 30 }) })
}

/// Starts what a spawner makes, in a session.
pub(crate) async fn begin(spawner: &dyn Spawner, launch: &Launch) -> (Session, oneshot::Receiver<Exit>) {
    let spawned = spawner.spawn(launch).await.unwrap();
    Session::begin(spawned, Size { cols: 100, rows: 30 }, None).unwrap()
}

/// Everything that a session has shown.
pub(crate) fn shown(session: &Session) -> String {
    String::from_utf8_lossy(&session.last(1 << 20)).into_owned()
}

/// Waits until a session shows this.
pub(crate) async fn shows(session: &Session, text: &str) {
    let mut end = session.end();
    let seen = async {
        while !shown(session).contains(text) {
            end.changed().await.unwrap();
        }
    };
    assert!(timeout(PATIENCE, seen).await.is_ok(), "{text:?} is not in {:?}", shown(session));
}

/// Waits for an end.
pub(crate) async fn end(exit: oneshot::Receiver<Exit>) -> Exit {
    timeout(PATIENCE, exit).await.expect("it does not end").unwrap()
}

/// Waits until something is so.
pub(crate) async fn until(what: &str, mut so: impl AsyncFnMut() -> bool) {
    let wait = async {
        while !so().await {
            tokio::time::sleep(Duration::from_millis(30)).await;
        }
    };
    assert!(timeout(PATIENCE, wait).await.is_ok(), "it does not happen: {what}");
}

/// A port of loopback that is free now.
pub(crate) fn free_port() -> u16 {
    std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}
