//! A container on the road of a process: a service keeps it, a session shows it.

use crate::{dockerd::Dockerd, studio::*};
use containers::{ContainerSpawner, LogLimits, Mount, Port, Suffix, Wellness};
use std::{
    io::{Read as _, Write as _},
    net::TcpStream,
    sync::Arc,
    time::{Duration, Instant},
};
use supervise::{Exit, Happened, Policy, Service, ServiceState, Signal, Spawner as _};

/// What a browser would get.
fn get(address: &str) -> std::io::Result<String> {
    let mut stream = TcpStream::connect(address)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.write_all(b"GET /index.html HTTP/1.0\r\n\r\n")?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).map(|_| answer)
}

#[tokio::test]
async fn a_tool_serves_on_loopback_sees_its_folder_and_has_no_rights() {
    let Some(engine) = studio().await else { return };
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("index.html"), "from this machine").unwrap();
    let line = "id; grep -E 'Cap(Eff|Bnd)|NoNewPrivs' /proc/self/status; cat /proc/1/cmdline; echo; echo token=$TOKEN; \
                echo x > /srv/x || echo read-only; exec httpd -f -p 8000 -h /srv";
    let mut spec = shell(&engine, line).await;
    let port = free_port();
    spec.ports.push(Port { host: port, inside: 8000 });
    spec.mounts.push(Mount { host: folder.path().to_owned(), inside: "/srv".into(), read_only: true });
    spec.once.insert("TOKEN".into(), "abc".into());
    spec.user = Some((1000, 1000));
    spec.memory = Some(64 << 20);
    let spawner = ContainerSpawner::new(engine.clone(), spec.clone());
    let (session, exit) = begin(&spawner, &launch()).await;
    // Its own command line, which is shown too, has these words elsewhere.
    shows(&session, "\nread-only").await;
    let said = shown(&session);
    assert!(said.contains("uid=1000") && said.contains("token=abc"), "{said}");
    assert!(said.contains("NoNewPrivs:\t1") && said.contains("CapEff:\t0000000000000000"), "{said}");
    assert!(said.contains("CapBnd:\t0000000000000000") && said.contains("init"), "{said}");
    until("the tool answers", async || get(&format!("127.0.0.1:{port}")).is_ok_and(|a| a.contains("from this machine"))).await;

    // On loopback and nowhere else.
    let sockets = std::fs::read_to_string("/proc/net/tcp").unwrap();
    let listens = |address: &str| sockets.lines().any(|l| l.contains(&format!(" {address}:{port:04X} 00000000:0000 0A")));
    assert!(listens("0100007F") && !listens("00000000"), "{sockets}");

    let container = engine.find("tool", Suffix::None).await.unwrap().unwrap();
    let standing = engine.standing(&container).await.unwrap();
    assert!(standing.running && standing.pid == session.pid() && standing.pid > 1);
    assert_eq!((&standing.ports, standing.env["TOKEN"].as_str()), (&spec.ports, "abc"));
    assert_eq!(standing.wellness, Wellness::NotTold);
    assert!(std::path::Path::new(&format!("/proc/{}", standing.pid)).exists());

    session.signal(Signal::Terminate);
    assert_eq!(end(exit).await, Exit::Signal(15));
    assert_eq!(engine.find("tool", Suffix::None).await.unwrap(), None, "it is removed");
}

#[tokio::test]
async fn a_service_starts_it_again_and_stops_it_with_grace() {
    let Some(engine) = studio().await else { return };
    // Ends twice by itself, then does not hear what it is asked.
    let folder = tempfile::tempdir().unwrap();
    let line = "echo x >> /srv/starts; [ $(grep -c x /srv/starts) -gt 2 ] || exit 7; trap '' TERM; echo deaf; \
                while true; do sleep 1; done";
    let mut spec = shell(&engine, line).await;
    spec.mounts.push(Mount { host: folder.path().to_owned(), inside: "/srv".into(), read_only: false });
    let spawner = Arc::new(ContainerSpawner::new(engine.clone(), spec));
    let policy = Policy { grace: Duration::from_millis(700), ..Policy::default() };
    let (service, mut happened) = Service::new("tool", launch(), policy, spawner);
    service.start();
    let mut heard = Vec::new();
    while heard.len() < 5 {
        match tokio::time::timeout(PATIENCE, happened.recv()).await.unwrap().unwrap() {
            Happened::Started { .. } => heard.push("started".to_owned()),
            Happened::Ended { exit, .. } => heard.push(exit.to_string()),
            Happened::NotStarted { why } => panic!("{why}"),
        }
    }
    assert_eq!(heard, ["started", "ended with exit code 7", "started", "ended with exit code 7", "started"]);
    service.ready();
    let begun = Instant::now();
    service.stop().await;
    let took = begun.elapsed();
    assert!(took >= Duration::from_millis(650) && took < Duration::from_secs(5), "{took:?}");
    assert_eq!(service.state(), ServiceState::Stopped);
    assert!(engine.orphans().await.unwrap().is_empty());
}

#[tokio::test]
async fn nobody_waits_for_it_and_it_is_gone() {
    let Some(engine) = studio().await else { return };
    let spawner = ContainerSpawner::new(engine.clone(), shell(&engine, "while true; do sleep 1; done").await);
    let spawned = spawner.spawn(&launch()).await.unwrap();
    assert_eq!(engine.orphans().await.unwrap().len(), 1);
    drop(spawned);
    until("the container is removed", async || engine.orphans().await.unwrap().is_empty()).await;
}

#[tokio::test]
async fn memory_has_a_limit_and_its_own_check_is_told() {
    let Some(engine) = studio().await else { return };
    let folder = tempfile::tempdir().unwrap();
    crate::dockerd::busybox(folder.path()).unwrap();
    let check = "HEALTHCHECK --interval=1s --retries=1 CMD [\"/bin/sh\", \"-c\", \"[ ! -e /tmp/ill ]\"]";
    Dockerd::shared().unwrap().import(folder.path(), "easel-test/checked:1", &["ENV PATH=/bin", check]);
    let id = engine.image("easel-test/checked:1").await.unwrap().unwrap();
    let mut spec = shell(&engine, "read go; echo > /tmp/ill; read go; x=aaaaaaaaaaaaaaaa; while true; do x=$x$x; done").await;
    spec.image = id;
    spec.memory = Some(16 << 20);
    spec.logs = LogLimits { file_bytes: 1 << 20, files: 1 };
    let spawner = ContainerSpawner::new(engine.clone(), spec);
    let (session, exit) = begin(&spawner, &launch()).await;
    let container = engine.find("tool", Suffix::None).await.unwrap().unwrap();
    let wellness = async || engine.standing(&container).await.unwrap().wellness;
    assert_eq!(wellness().await, Wellness::Starting);
    until("it is well", async || wellness().await == Wellness::Well).await;
    session.type_keys(b"\n".to_vec()).unwrap();
    until("it is not well any more", async || wellness().await == Wellness::Unwell).await;
    session.type_keys(b"\n".to_vec()).unwrap();
    assert_eq!(end(exit).await, Exit::Signal(9));
}
