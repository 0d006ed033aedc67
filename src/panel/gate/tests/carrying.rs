//! What crosses: heads as they should be, bodies of any size, streams, WebSockets.

use super::client::message;
use super::*;
use std::time::{Duration, Instant};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

/// Bytes of a large body. The load test carries a thousand million.
const LARGE: usize = 48 << 20;

#[tokio::test]
async fn the_tool_hears_a_local_request_without_easels_cookies() {
    let studio = Studio::start().await;
    let pass = studio.pass_of("zoe").await;
    let own = format!("http://127.0.0.1:{}", studio.port);
    let request = Request::post(studio.port, "/echo?a=b%20c", "prompt").origin(&own).header("referer", &format!("{own}/x"));
    let request = request.cookie(&format!("theme=dark; {pass}; easel-login-8080=secret")).header("x-forwarded-for", "6.6.6.6");
    let answer = request.header("authorization", "token abc").send().await;
    let (head, body) = answer.body.split_once("\n\n").unwrap();
    let mut lines: Vec<&str> = head.lines().collect();
    lines.sort_unstable();
    let inside = studio.tool.address;
    let expected = [
        "POST /echo?a=b%20c".to_string(),
        "authorization: token abc".into(),
        "content-length: 6".into(),
        "cookie: theme=dark".into(),
        format!("host: {inside}"),
        format!("origin: http://{inside}"),
        format!("referer: http://{inside}/x"),
        "x-forwarded-for: 127.0.0.1".into(),
        "x-forwarded-proto: http".into(),
    ];
    assert_eq!((lines, body), (expected.iter().map(String::as_str).collect(), "prompt"));
}

#[tokio::test]
async fn what_the_gate_puts_in_is_not_taken_out_by_who_sends() {
    let studio = Studio::start().await;
    let pass = studio.pass_of("zoe").await;
    let open = GateState::Open { upstream: studio.tool.address, authorization: Some(Secret::new("token of-the-tool")) };
    studio.gates.set("comfy", open).unwrap();
    for named in ["close", "close, authorization", "Authorization"] {
        let request = studio.get("/echo").cookie(&pass).header("connection", named).header("authorization", "token mine");
        let told = request.send().await.body;
        assert!(told.contains("authorization: token of-the-tool\n") && !told.contains("mine"), "{named}: {told}");
    }
}

#[tokio::test]
async fn the_browser_gets_the_tools_cookies_and_addresses_as_the_gates() {
    let studio = Studio::start().await;
    let pass = studio.pass_of("zoe").await;
    let answer = studio.get("/cookies").cookie(&pass).send().await;
    let set: Vec<&str> = answer.headers.iter().filter(|(n, _)| n == "set-cookie").map(|(_, v)| v.as_str()).collect();
    assert_eq!(set, ["tool=1; Path=/"]);
    assert_eq!((answer.header("vary"), answer.header("cache-control")), (Some("Cookie"), Some("private, max-age=60")));
    assert_eq!(answer.header("x-robots-tag"), Some("noindex, nofollow"));
    assert_eq!(answer.header("content-security-policy"), None, "the tool's pages are the tool's");
    let moved = studio.get("/moved").cookie(&pass).send().await;
    assert_eq!(moved.header("location"), Some(&*format!("http://127.0.0.1:{}/hello", studio.port)));
}

#[tokio::test]
async fn requests_of_one_connection_share_one_to_the_tool() {
    let studio = Studio::start().await;
    let pass = studio.pass_of("zoe").await;
    let own = format!("http://127.0.0.1:{}", studio.port);
    let (answer, mut stream) = studio.get("/hello").cookie(&pass).begin().await;
    assert_eq!(answer.body, "hello");
    for _ in 0..20 {
        assert_eq!(studio.get("/hello").cookie(&pass).over(&mut stream).await.body, "hello");
        let post = Request::post(studio.port, "/count", "four").cookie(&pass).origin(&own);
        assert_eq!(post.over(&mut stream).await.body, "4");
        let moved = studio.get("/moved").cookie(&pass).over(&mut stream).await;
        assert_eq!(moved.status, 302, "an answer without a body");
    }
    assert_eq!(studio.tool.seen(), (1, 61));
    // A tool that answered before it had everything is asked over a new one; the rest of the old request goes nowhere.
    let early = Request::new(studio.port, "POST", "/early").cookie(&pass).origin(&own).header("content-length", "10");
    assert_eq!(early.over(&mut stream).await.status, 413);
}

#[tokio::test]
async fn a_head_has_a_length_and_no_body() {
    let studio = Studio::start().await;
    let pass = studio.pass_of("zoe").await;
    let mut stream = TcpStream::connect(("127.0.0.1", studio.port)).await.unwrap();
    let text = format!("HEAD /hello HTTP/1.1\r\nhost: 127.0.0.1:{}\r\ncookie: {pass}\r\nconnection: close\r\n\r\n", studio.port);
    stream.write_all(text.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    assert!(answer.contains("content-length: 5\r\n") && answer.ends_with("\r\n\r\n"), "{answer}");
}

#[tokio::test]
async fn an_old_client_is_served_too() {
    let studio = Studio::start().await;
    let pass = studio.pass_of("zoe").await;
    let mut stream = TcpStream::connect(("127.0.0.1", studio.port)).await.unwrap();
    let text = format!("GET /zeros/100000 HTTP/1.0\r\nhost: 127.0.0.1:{}\r\ncookie: {pass}\r\n\r\n", studio.port);
    stream.write_all(text.as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await.unwrap();
    let head = answer.windows(4).position(|w| w == b"\r\n\r\n").unwrap();
    assert!(answer.starts_with(b"HTTP/1.0 200"), "{}", String::from_utf8_lossy(&answer[..head]));
    assert_eq!(answer.len() - head - 4, 100_000, "no chunks");
}

#[tokio::test]
async fn large_bodies_cross_in_both_directions() {
    let studio = Studio::start().await;
    let pass = studio.pass_of("zoe").await;
    let own = format!("http://127.0.0.1:{}", studio.port);
    let head = format!("POST /count HTTP/1.1\r\nhost: 127.0.0.1:{}\r\norigin: {own}\r\ncookie: {pass}\r\n", studio.port);
    let piece = vec![7; 1 << 20];
    for chunked in [false, true] {
        let mut stream = TcpStream::connect(("127.0.0.1", studio.port)).await.unwrap();
        let framing = if chunked { "transfer-encoding: chunked".into() } else { format!("content-length: {LARGE}") };
        stream.write_all(format!("{head}{framing}\r\nexpect: 100-continue\r\n\r\n").as_bytes()).await.unwrap();
        let mut go = [0; 25];
        stream.read_exact(&mut go).await.unwrap();
        assert!(go.starts_with(b"HTTP/1.1 100"));
        for _ in 0..LARGE / piece.len() {
            if chunked {
                stream.write_all(format!("{:x}\r\n", piece.len()).as_bytes()).await.unwrap();
            }
            stream.write_all(&piece).await.unwrap();
            if chunked {
                stream.write_all(b"\r\n").await.unwrap();
            }
        }
        if chunked {
            stream.write_all(b"0\r\n\r\n").await.unwrap();
        }
        assert_eq!(client::Answer::read(&mut stream).await.body, LARGE.to_string(), "chunked: {chunked}");
    }
    let (answer, mut stream) = studio.get(&format!("/zeros/{LARGE}")).cookie(&pass).header("connection", "close").begin().await;
    assert_eq!((answer.status, answer.header("transfer-encoding")), (200, Some("chunked")));
    let got = client::until_end(&mut stream).await;
    assert!(got > LARGE && got < LARGE + LARGE / 100, "{got}: the bytes and their chunks' heads");
}

#[tokio::test]
async fn a_get_with_a_streamed_body_keeps_it() {
    let studio = Studio::start().await;
    let pass = studio.pass_of("zoe").await;
    let mut stream = TcpStream::connect(("127.0.0.1", studio.port)).await.unwrap();
    let text = "5\r\nhello\r\n0\r\n\r\n";
    let head = format!(
        "GET /count HTTP/1.1\r\nhost: 127.0.0.1:{}\r\ncookie: {pass}\r\ntransfer-encoding: chunked\r\n\r\n{text}",
        studio.port
    );
    stream.write_all(head.as_bytes()).await.unwrap();
    assert_eq!(client::Answer::read(&mut stream).await.body, "5");
}

#[tokio::test]
async fn events_come_as_they_happen() {
    let studio = Studio::start().await;
    let pass = studio.pass_of("zoe").await;
    let begin = Instant::now();
    let (answer, mut stream) = studio.get("/events").cookie(&pass).begin().await;
    assert_eq!(answer.header("content-type"), Some("text/event-stream"));
    let mut text = String::new();
    while !text.contains("data: 2\n\n") {
        text.push(char::from(stream.read_u8().await.unwrap()));
    }
    let took = begin.elapsed();
    assert!(took < Duration::from_secs(1), "three events of 20 ms took {took:?}");
}

#[tokio::test]
async fn websockets_carry_messages_both_ways() {
    let studio = Studio::start().await;
    let pass = studio.pass_of("zoe").await;
    let own = format!("http://127.0.0.1:{}", studio.port);
    let mut stream = TcpStream::connect(("127.0.0.1", studio.port)).await.unwrap();
    // The first message comes with the request, before anybody has agreed.
    let head = format!(
        "GET /socket HTTP/1.1\r\nhost: 127.0.0.1:{}\r\norigin: {own}\r\ncookie: {pass}\r\nconnection: Upgrade\r\n\
         upgrade: websocket\r\nsec-websocket-version: 13\r\nsec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n",
        studio.port
    );
    stream.write_all(&[head.as_bytes(), &message("early")].concat()).await.unwrap();
    let answer = client::Answer::read(&mut stream).await;
    assert_eq!((answer.status, answer.header("sec-websocket-accept")), (101, Some("s3pPLMBiTxaQ9kYGzzhZRbK+xOo=")));
    let mut echo = [0; 7];
    stream.read_exact(&mut echo).await.unwrap();
    assert_eq!(&echo[2..], b"early");
    for i in 0..200 {
        let text = format!("{i:05}");
        stream.write_all(&message(&text)).await.unwrap();
        stream.read_exact(&mut echo).await.unwrap();
        assert_eq!(&echo[2..], text.as_bytes());
    }
}
