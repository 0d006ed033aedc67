//! Requests that two servers could read in two ways: the tool gets one reading, or nothing.

use super::*;
use std::time::Duration;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::timeout;

/// Sends bytes as they are and reads until the gate closes.
async fn raw(port: u16, text: &str) -> String {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
    stream.write_all(text.as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    let _ = timeout(Duration::from_secs(5), stream.read_to_end(&mut answer)).await;
    String::from_utf8_lossy(&answer).into_owned()
}

#[tokio::test]
async fn a_request_with_two_lengths_is_one_request_or_none() {
    let studio = Studio::start().await;
    let pass = studio.pass_of("zoe").await;
    let own = format!("http://127.0.0.1:{}", studio.port);
    let head = format!("POST /echo HTTP/1.1\r\nhost: 127.0.0.1:{}\r\norigin: {own}\r\ncookie: {pass}\r\n", studio.port);
    let hidden = "GET /hello HTTP/1.1\r\nhost: x\r\n\r\n";

    let both = format!("{head}content-length: 4\r\ntransfer-encoding: chunked\r\n\r\n1\r\nx\r\n0\r\n\r\n{hidden}");
    let answer = raw(studio.port, &both).await;
    assert!(answer.contains("transfer-encoding: chunked\n") && !answer.contains("content-length: 4"), "{answer}");
    assert_eq!((answer.matches("HTTP/1.1 ").count(), studio.tool.seen().1), (1, 1), "what follows is nobody's");

    for framing in [
        "content-length: 4\r\ncontent-length: 5",
        "content-length: 4, 5",
        "content-length: +4",
        "content-length: 0x4",
        "transfer-encoding: chunked, identity",
        "transfer-encoding: xchunked",
        "transfer-encoding : chunked",
        "transfer-encoding\r\n : chunked",
    ] {
        let answer = raw(studio.port, &format!("{head}{framing}\r\n\r\nabcd{hidden}")).await;
        assert!(answer.is_empty() || answer.starts_with("HTTP/1.1 400"), "{framing}: {answer}");
        assert_eq!(studio.tool.seen().1, 1, "{framing} reached the tool");
    }
}

#[tokio::test]
async fn a_bad_chunk_ends_the_request_in_front_of_the_tool() {
    let studio = Studio::start().await;
    let pass = studio.pass_of("zoe").await;
    let own = format!("http://127.0.0.1:{}", studio.port);
    let head = format!(
        "POST /count HTTP/1.1\r\nhost: 127.0.0.1:{}\r\norigin: {own}\r\ncookie: {pass}\r\ntransfer-encoding: chunked\r\n\r\n",
        studio.port
    );
    for chunks in
        ["zz\r\nabc\r\n0\r\n\r\n", "3\r\nabcXX0\r\n\r\n", "-1\r\n", "ffffffffffffffffff\r\nabc", "3;a=\n\r\nabc\r\n0\r\n\r\n"]
    {
        let answer = raw(studio.port, &format!("{head}{chunks}")).await;
        assert!(!answer.starts_with("HTTP/1.1 200"), "{chunks:?}: {answer}");
    }
    // The tool is well and the gate too.
    assert_eq!(studio.status(&pass).await, 200);
}

#[tokio::test]
async fn heads_that_are_too_large_or_no_heads_are_refused() {
    let studio = Studio::start().await;
    let pass = studio.pass_of("zoe").await;
    let large = studio.get("/hello").cookie(&pass).header("x-filler", &"a".repeat(70 * 1024)).begin().await.0;
    assert_eq!(large.status, 431);
    let fits = studio.get("/hello").cookie(&pass).header("x-filler", &"a".repeat(40 * 1024)).send().await;
    assert_eq!(fits.status, 200);
    for text in
        ["\r\n\r\n\r\n", "GET\r\n\r\n", "GET / HTTP/3.0\r\n\r\n", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "\0\u{1}\u{2}\r\n\r\n"]
    {
        let answer = raw(studio.port, text).await;
        assert!(answer.is_empty() || answer.starts_with("HTTP/1.1 4"), "{text:?}: {answer}");
    }
    for (method, path) in [("CONNECT", "evil.example:443"), ("TRACE", "/hello"), ("OPTIONS", "*")] {
        let answer = Request::new(studio.port, method, path).cookie(&pass).send().await;
        assert!((400..500).contains(&answer.status), "{method}: {answer:?}");
    }
    assert_eq!(studio.tool.seen().1, 1, "only the one that fits");
}

#[tokio::test]
async fn the_gates_own_folder_is_no_tools() {
    let studio = Studio::start().await;
    let pass = studio.pass_of("zoe").await;
    for path in ["/__easel/x", "/%5F_easel/x", "//__easel/enter", "/a/..%2f__EASEL", "/__easel/../__easel/enter"] {
        assert_eq!(studio.get(path).cookie(&pass).send().await.status, 404, "{path}");
    }
    assert_eq!(studio.tool.seen(), (0, 0));
}

#[tokio::test]
async fn other_upgrades_are_plain_requests_and_a_tool_cannot_start_one() {
    let studio = Studio::start().await;
    let pass = studio.pass_of("zoe").await;
    let h2c = studio.get("/echo").cookie(&pass).header("connection", "Upgrade, HTTP2-Settings");
    let answer = h2c.header("upgrade", "h2c").header("http2-settings", "AAMAAABkAARAAAAAAAIAAAAA").begin().await.0;
    assert_eq!(answer.status, 200);
    assert!(!answer.body.contains("h2c") && !answer.body.contains("http2-settings"), "{}", answer.body);
    assert_eq!(studio.get("/surprise").cookie(&pass).send().await.status, 502);
}

#[tokio::test]
async fn strangers_make_room_for_those_who_are_in() {
    let studio = Studio::start().await;
    let pass = studio.pass_of("zoe").await;
    let (_, mut stream) = studio.get("/hello").cookie(&pass).begin().await;
    let mut strangers = Vec::new();
    for _ in 0..1_100 {
        strangers.push(TcpStream::connect(("127.0.0.1", studio.port)).await.unwrap());
    }
    assert_eq!(studio.status(&pass).await, 200, "a new connection is taken");
    assert_eq!(studio.get("/hello").cookie(&pass).over(&mut stream).await.status, 200, "and the old one lives");
    let first = timeout(Duration::from_secs(1), client::until_end(&mut strangers[0])).await;
    assert_eq!(first, Ok(0), "the oldest stranger went");
}
