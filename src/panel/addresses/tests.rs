//! Every way to write a private address, and servers that lead to one.

use super::*;
use crate::outgoing::client;
use std::io::{Read as _, Write as _};
use std::net::TcpListener;
use std::sync::atomic::{AtomicUsize, Ordering};

#[test]
fn special_addresses_are_not_public() {
    for ip in [
        "0.0.0.0",
        "10.1.2.3",
        "100.64.0.1",
        "127.0.0.1",
        "127.9.9.9",
        "169.254.169.254",
        "172.16.0.1",
        "172.31.255.255",
        "192.0.0.8",
        "192.0.2.1",
        "192.168.1.1",
        "198.18.0.1",
        "198.51.100.1",
        "203.0.113.1",
        "224.0.0.1",
        "240.0.0.1",
        "255.255.255.255",
        "::",
        "::1",
        "::ffff:127.0.0.1",
        "::ffff:10.0.0.1",
        "::127.0.0.1",
        "64:ff9b::7f00:1",
        "64:ff9b:1::1",
        "2002:7f00:1::",
        "2002:a00:1::1",
        "2001::1",
        "2001:db8::1",
        "fc00::1",
        "fd12::1",
        "fe80::1",
        "fec0::1",
        "ff02::1",
        "100::1",
        "3fff::1",
    ] {
        assert!(!is_public(ip.parse().unwrap()), "{ip}");
    }
    for ip in ["1.1.1.1", "172.32.0.1", "192.0.1.1", "100.128.0.1", "2606:4700::1111", "::ffff:8.8.8.8", "2002:808:808::1"] {
        assert!(is_public(ip.parse().unwrap()), "{ip}");
    }
}

/// A server that counts its connections and answers each with the same text.
fn server(answer: &str) -> (u16, Arc<AtomicUsize>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let (port, answer, count) = (listener.local_addr().unwrap().port(), answer.to_owned(), Arc::new(AtomicUsize::new(0)));
    let counter = Arc::clone(&count);
    std::thread::spawn(move || {
        for mut stream in listener.incoming().map(Result::unwrap) {
            counter.fetch_add(1, Ordering::SeqCst);
            let _ = stream.read(&mut [0; 2048]);
            let _ = stream.write_all(answer.as_bytes());
        }
    });
    (port, count)
}

/// Why an address is not asked.
async fn refusal(url: &str) -> String {
    let Ok(url) = url.parse::<Url>() else { return "no address".into() };
    let client = match public_only(client(), &url) {
        Ok(client) => client.build().unwrap(),
        Err(e) => return e.to_string(),
    };
    let refused = client.get(url).send().await.unwrap_err();
    if is_refusal(&refused) { PRIVATE.to_string() } else { "no answer".into() }
}

#[tokio::test]
async fn no_way_to_write_a_private_address_is_asked() {
    let (port, asked) = server("HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n");
    for host in [
        "127.0.0.1",
        "localhost",
        "LOCALHOST",
        "localhost.",
        "127.1",
        "0x7f.1",
        "0x7f000001",
        "2130706433",
        "017700000001",
        "0",
        "%31%32%37.0.0.1",
        "１２７.0.0.1",
        "[::1]",
        "[::ffff:127.0.0.1]",
        "[::ffff:7f00:1]",
        "[0:0:0:0:0:0:0:1]",
        "127.0.0.1.",
        "169.254.169.254",
        "10.0.0.1",
        "[fd00:ec2::254]",
        "[64:ff9b::127.0.0.1]",
        "[2002:7f00:1::]",
    ] {
        let why = refusal(&format!("http://{host}:{port}/x.safetensors")).await;
        // Not every resolver knows a name with a dot at its end.
        assert!(why.contains("private network") || (host == "localhost." && why.contains("no answer")), "{host}: {why}");
    }
    for url in
        ["file:///etc/passwd", "ftp://1.1.1.1/x.safetensors", "gopher://1.1.1.1/", "http://ada:secret@1.1.1.1/x.safetensors"]
    {
        let why = refusal(url).await;
        assert!(!why.contains("secret") && !why.is_empty(), "{why}");
    }
    assert_eq!(asked.load(Ordering::SeqCst), 0, "a private port was asked");
}

/// A redirect from a public name cannot be had here; the policy is asked as reqwest asks it, over a server that a
/// loosened first step may reach.
#[tokio::test]
async fn a_redirect_into_a_private_network_is_not_followed() {
    let (inside, asked) = server("HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n");
    for place in
        [format!("http://127.0.0.1:{inside}/x"), format!("http://[::1]:{inside}/"), format!("http://localhost:{inside}/")]
    {
        let (outside, _) = server(&format!("HTTP/1.1 302 Found\r\nlocation: {place}\r\ncontent-length: 0\r\n\r\n"));
        let public: Url = "http://public.example/x.safetensors".parse().unwrap();
        let client = public_only(client(), &public).unwrap();
        let there = SocketAddr::from(([127, 0, 0, 1], outside));
        let client = client.resolve("public.example", there).build().unwrap();
        let refused = client.get(format!("http://public.example:{outside}/x.safetensors")).send().await.unwrap_err();
        assert!(is_refusal(&refused), "{place}: {refused:?}");
    }
    assert_eq!(asked.load(Ordering::SeqCst), 0, "a private port was asked");
}
