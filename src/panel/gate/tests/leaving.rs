//! Whoever may not pass any more is out within a second: WebSockets, long streams and idle connections too.

use super::client::{message, until_end};
use super::*;
use std::sync::atomic::Ordering::SeqCst;
use std::time::Duration;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::timeout;

const SOON: Duration = Duration::from_secs(1);

/// A WebSocket, a stream of events, an upload in the middle and an idle connection.
async fn connections(studio: &Studio, pass: &str) -> Vec<TcpStream> {
    let own = format!("http://127.0.0.1:{}", studio.port);
    let (answer, mut socket) = studio.get("/socket").upgrade().cookie(pass).origin(&own).begin().await;
    assert_eq!((answer.status, answer.header("upgrade")), (101, Some("websocket")), "{answer:?}");
    socket.write_all(&message("hi")).await.unwrap();
    let mut echo = [0; 4];
    socket.read_exact(&mut echo).await.unwrap();
    assert_eq!(echo, [0x81, 2, b'h', b'i']);
    let (answer, events) = studio.get("/events").cookie(pass).begin().await;
    assert_eq!(answer.status, 200);
    let mut upload = TcpStream::connect(("127.0.0.1", studio.port)).await.unwrap();
    let head = format!(
        "POST /count HTTP/1.1\r\nhost: 127.0.0.1:{}\r\norigin: {own}\r\ncookie: {pass}\r\ncontent-length: 1000\r\n\r\nhalf",
        studio.port
    );
    upload.write_all(head.as_bytes()).await.unwrap();
    let (answer, idle) = studio.get("/hello").cookie(pass).begin().await;
    assert_eq!(answer.status, 200);
    tokio::time::sleep(Duration::from_millis(50)).await;
    vec![socket, events, upload, idle]
}

async fn all_end(studio: &Studio, mut connections: Vec<TcpStream>, why: &str) {
    timeout(SOON, async {
        for connection in &mut connections {
            until_end(connection).await;
        }
        while studio.tool.open.load(SeqCst) > 0 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    })
    .await
    .unwrap_or_else(|_| panic!("{why}: a connection lives on"));
}

async fn all_live(studio: &Studio, pass: &str) {
    assert_eq!(studio.status(pass).await, 200);
}

#[tokio::test]
async fn logging_out_ends_all_of_that_login_and_nothing_else() {
    let studio = Studio::start().await;
    let (zoe, elsewhere) = (studio.login("zoe").await, studio.login("zoe").await);
    let (pass, other) = (studio.enter(&zoe).await, studio.enter(&elsewhere).await);
    let mine = connections(&studio, &pass).await;
    let mut theirs = connections(&studio, &other).await;
    studio.logins.end(zoe.login).await.unwrap();
    assert_eq!(studio.status(&pass).await, 401, "at once for new requests");
    timeout(SOON, async {
        for mut connection in mine {
            until_end(&mut connection).await;
        }
    })
    .await
    .expect("a connection lives on");
    all_live(&studio, &other).await;
    theirs[0].write_all(&message("yo")).await.unwrap();
    let mut echo = [0; 4];
    theirs[0].read_exact(&mut echo).await.unwrap();
    assert_eq!(echo, [0x81, 2, b'y', b'o']);
}

#[tokio::test]
async fn being_disabled_ends_all_of_a_profile() {
    let studio = Studio::start().await;
    let pass = studio.pass_of("zoe").await;
    let open = connections(&studio, &pass).await;
    studio.users.set_disabled(&ProfileId::parse("zoe").unwrap(), true, "test").await.unwrap();
    all_end(&studio, open, "disabled").await;
    studio.users.set_disabled(&ProfileId::parse("zoe").unwrap(), false, "test").await.unwrap();
    assert_eq!(studio.status(&pass).await, 401, "a pass that ended stays ended");
}

#[tokio::test]
async fn leaving_admin_mode_ends_what_is_an_admins() {
    let studio = Studio::start_with(Admits::Admins, |_| {}).await;
    let ada = studio.login("ada").await;
    studio.logins.set_admin(&ada.login, true);
    let open = connections(&studio, &studio.enter(&ada).await).await;
    studio.logins.set_admin(&ada.login, false);
    all_end(&studio, open, "turned off").await;
    studio.logins.set_admin(&ada.login, true);
    let open = connections(&studio, &studio.enter(&ada).await).await;
    studio.clock.advance(Duration::from_secs(30 * 60));
    all_end(&studio, open, "unused for half an hour").await;
}

#[tokio::test]
async fn working_with_an_admins_tool_is_a_use_of_admin_mode() {
    let studio = Studio::start_with(Admits::Admins, |_| {}).await;
    let ada = studio.login("ada").await;
    studio.logins.set_admin(&ada.login, true);
    let pass = studio.enter(&ada).await;
    let own = format!("http://127.0.0.1:{}", studio.port);
    for _ in 0..3 {
        studio.clock.advance(Duration::from_secs(20 * 60));
        let save = Request::post(studio.port, "/count", "notebook").cookie(&pass).origin(&own);
        assert_eq!(save.send().await.status, 200);
    }
    // A tab that only asks keeps nothing open.
    studio.clock.advance(Duration::from_secs(20 * 60));
    all_live(&studio, &pass).await;
    studio.clock.advance(Duration::from_secs(20 * 60));
    assert_eq!(studio.status(&pass).await, 401);
}

#[tokio::test]
async fn typing_over_a_tools_websocket_is_a_use_of_admin_mode_and_its_pings_are_none() {
    let studio = Studio::start_with(Admits::Admins, |_| {}).await;
    let ada = studio.login("ada").await;
    studio.logins.set_admin(&ada.login, true);
    let pass = studio.enter(&ada).await;
    let own = format!("http://127.0.0.1:{}", studio.port);
    let (answer, mut socket) = studio.get("/socket").upgrade().cookie(&pass).origin(&own).begin().await;
    assert_eq!(answer.status, 101);
    let mut echo = [0; 4];
    for _ in 0..3 {
        studio.clock.advance(Duration::from_secs(20 * 60));
        socket.write_all(&message("hi")).await.unwrap();
        socket.read_exact(&mut echo).await.unwrap();
        assert!(studio.logins.is_admin(&ada.login));
    }
    // A pong, as browsers send by themselves, with an empty mask.
    studio.clock.advance(Duration::from_secs(20 * 60));
    socket.write_all(&[0x8a, 0x80, 0, 0, 0, 0]).await.unwrap();
    all_live(&studio, &pass).await;
    studio.clock.advance(Duration::from_secs(20 * 60));
    timeout(SOON, until_end(&mut socket)).await.expect("a silent tab keeps admin mode on");
}

#[tokio::test]
async fn nobody_outlives_the_gate_or_a_change_of_whom_it_admits() {
    let studio = Studio::start().await;
    let pass = studio.pass_of("zoe").await;
    let open = connections(&studio, &pass).await;
    studio.gates.admit("comfy", Admits::Only(ProfileId::parse("mateo").unwrap())).unwrap();
    all_end(&studio, open, "not admitted").await;
    studio.gates.admit("comfy", Admits::Everyone).unwrap();
    let open = connections(&studio, &studio.pass_of("zoe").await).await;
    studio.gates.close("comfy").await.unwrap();
    all_end(&studio, open, "closed").await;
}

#[tokio::test]
async fn a_browser_that_leaves_leaves_the_tool_too() {
    let studio = Studio::start().await;
    let open = connections(&studio, &studio.pass_of("zoe").await).await;
    drop(open);
    all_end(&studio, Vec::new(), "the browser left").await;
}
