//! What is said while there is no tool to speak to.

use super::*;
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::time::timeout;

fn news(answer: &Answer) -> (u64, String, Option<String>) {
    let news: serde_json::Value = serde_json::from_str(&answer.body).unwrap();
    (news["number"].as_u64().unwrap(), news["state"].as_str().unwrap().into(), news["line"].as_str().map(Into::into))
}

#[tokio::test]
async fn starting_says_so_and_turns_into_the_tool() {
    let studio = Studio::start().await;
    let pass = studio.pass_of("zoe").await;
    let line = format!("\u{1b}[32mLoading <b>nodes</b>\u{7} {}", "x".repeat(1_000));
    studio.gates.set("comfy", GateState::Starting { line }).unwrap();
    let page = studio.get("/anything").cookie(&pass).send().await;
    assert_eq!((page.status, page.header("retry-after")), (503, Some("2")));
    assert!(page.body.contains("Loading &#60;b&#62;nodes"), "escaped: {}", page.body);
    assert!(page.body.len() < 4_000 && !page.body.contains('\u{7}'));
    let script = page.body.split("<script src=\"").nth(1).unwrap().split('"').next().unwrap().to_string();
    let script = studio.get(&script).send().await;
    assert_eq!((script.status, script.header("content-type")), (200, Some("text/javascript; charset=utf-8")));
    assert_eq!(studio.get("/__easel/assets/shell.js").send().await.status, 401, "nothing else of the bundle");

    let state = |since: u64| studio.get(&format!("/__easel/state?since={since}")).cookie(&pass);
    let (number, word, line) = news(&state(0).send().await);
    assert_eq!((word.as_str(), line.unwrap().starts_with("[32mLoading")), ("starting", true));
    let next = state(number);
    let waiting = tokio::spawn(async move { next.send().await });
    tokio::time::sleep(Duration::from_millis(100)).await;
    assert!(!waiting.is_finished(), "it waits for news");
    studio.gates.set("comfy", GateState::Open { upstream: studio.tool.address, authorization: None }).unwrap();
    let answer = timeout(Duration::from_secs(1), waiting).await.unwrap().unwrap();
    assert_eq!(news(&answer).1, "open");
    assert_eq!(studio.status(&pass).await, 200);
}

#[tokio::test]
async fn what_is_broken_or_silent_is_explained() {
    let studio = Studio::start().await;
    let pass = studio.pass_of("zoe").await;
    studio.gates.set("comfy", GateState::Broken { why: "it ended with code 1".into() }).unwrap();
    let page = studio.get("/").cookie(&pass).send().await;
    assert_eq!(page.status, 502);
    assert!(page.body.contains("it ended with code 1") && page.body.contains("data-retry"), "{}", page.body);
    studio.gates.set("comfy", GateState::Closed).unwrap();
    assert_eq!(studio.status(&pass).await, 503);

    let nobody = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let upstream = nobody.local_addr().unwrap();
    drop(nobody);
    studio.gates.set("comfy", GateState::Open { upstream, authorization: None }).unwrap();
    let page = studio.get("/").cookie(&pass).send().await;
    assert_eq!((page.status, page.header("retry-after")), (502, Some("5")));
    assert!(page.body.contains("ComfyUI runs, but did not answer: nothing listens on its internal port"), "{}", page.body);
    let own = format!("http://127.0.0.1:{}", studio.port);
    let post = Request::post(studio.port, "/count", "data").cookie(&pass).origin(&own).send().await;
    assert!(post.status == 502 && !post.body.contains("data-retry"), "a form is not sent again by itself");
}

#[tokio::test]
async fn a_tool_that_speaks_no_http_or_breaks_off_is_a_502() {
    let studio = Studio::start().await;
    let pass = studio.pass_of("zoe").await;
    for (says, why) in [(&b"SSH-2.0-OpenSSH_9.2\r\n"[..], "no HTTP"), (b"", "broke the connection off")] {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        studio.gates.set("comfy", GateState::Open { upstream: listener.local_addr().unwrap(), authorization: None }).unwrap();
        let tool = tokio::spawn(async move {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut head = [0; 16];
            tokio::io::AsyncReadExt::read_exact(&mut stream, &mut head).await.unwrap();
            tokio::io::AsyncWriteExt::write_all(&mut stream, says).await.unwrap();
        });
        let page = studio.get("/").cookie(&pass).send().await;
        tool.await.unwrap();
        assert!(page.status == 502 && page.body.contains(why), "{page:?}");
    }
}

#[tokio::test]
async fn a_tool_that_was_restarted_is_asked_anew() {
    let mut studio = Studio::start().await;
    let pass = studio.pass_of("zoe").await;
    let (_, mut stream) = studio.get("/hello").cookie(&pass).begin().await;
    studio.tool = Tool::start().await;
    studio.gates.set("comfy", GateState::Open { upstream: studio.tool.address, authorization: None }).unwrap();
    assert_eq!(studio.get("/hello").cookie(&pass).over(&mut stream).await.status, 200);
    assert_eq!(studio.tool.seen(), (1, 1));
}
