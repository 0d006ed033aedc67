//! What is an origin of this studio, and what is not.

use super::*;
use crate::config::Flags;
use proptest::prelude::*;
use std::collections::BTreeMap;

fn origins(flags: Flags, environment: &[(&str, &str)]) -> Origins {
    let environment: BTreeMap<String, String> = environment.iter().map(|(k, v)| (k.to_string(), v.to_string())).collect();
    Origins::of(&Config::from_parts(flags, &environment, None).unwrap(), 8080).unwrap()
}

#[test]
fn loopback_has_exactly_its_own_port() {
    let list = origins(Flags::default(), &[]);
    for host in ["127.0.0.1:8080", "localhost:8080", "LOCALHOST:8080", "[::1]:8080", "[0:0::1]:8080"] {
        assert!(list.by_host(host).is_some(), "{host}");
    }
    for host in [
        "127.0.0.1",
        "127.0.0.1:8081",
        "evil.example:8080",
        "localhost.:8080",
        "localhost:8080@evil",
        "localhost:",
        "",
        "127.0.0.1:8080:1",
    ] {
        assert!(list.by_host(host).is_none(), "{host}");
    }
}

#[test]
fn only_listed_origins_pass() {
    let list = origins(Flags { public_urls: vec!["https://Studio.example.org/".into()], ..Flags::default() }, &[]);
    assert!(list.contains("https://studio.example.org"));
    assert!(list.contains("http://127.0.0.1:8080"));
    for evil in [
        "null",
        "",
        "http://studio.example.org",
        "https://studio.example.org:8443",
        "https://studio.example.org.evil.example",
        "https://studio.example.org/path",
        "https://user@studio.example.org",
        "http://localhost:8188",
        "https://127.0.0.1:8080",
    ] {
        assert!(!list.contains(evil), "{evil}");
    }
}

#[test]
fn a_pods_proxied_address_is_https_and_a_sibling_pod_is_nobody() {
    let list = origins(
        Flags::default(),
        &[("RUNPOD_POD_ID", "k3v9x1q8"), ("RUNPOD_PUBLIC_IP", "203.0.113.7"), ("RUNPOD_TCP_PORT_8080", "10341")],
    );
    let own = list.by_host("k3v9x1q8-8080.proxy.runpod.net").unwrap();
    assert!(own.https && own.is_private());
    assert_eq!(list.best(), own);
    assert!(!list.by_host("203.0.113.7:10341").unwrap().is_private());
    assert!(list.by_host("zzz9x1q8-8080.proxy.runpod.net").is_none());
    assert!(list.by_host("k3v9x1q8-8188.proxy.runpod.net").is_none());
}

#[test]
fn the_plain_origin_wins_where_both_schemes_share_a_host() {
    let urls = vec!["https://a.example:8443".into(), "http://a.example:8443".into()];
    let list = origins(Flags { public_urls: urls, ..Flags::default() }, &[]);
    assert!(!list.by_host("a.example:8443").unwrap().https);
}

#[test]
fn what_is_no_origin_is_refused_at_start() {
    for url in ["studio.example.org", "https://", "ftp://a", "https://a/b", "https://a:99999", "https://a b"] {
        let config = Config::from_parts(Flags { public_urls: vec![url.into()], ..Flags::default() }, &BTreeMap::new(), None);
        assert!(Origins::of(&config.unwrap(), 8080).is_err(), "{url}");
    }
}

fn gate_of(flags: Flags, environment: &[(&str, &str)], port: u16) -> Origins {
    let environment: BTreeMap<String, String> = environment.iter().map(|(k, v)| (k.to_string(), v.to_string())).collect();
    Origins::of_gate(&Config::from_parts(flags, &environment, None).unwrap(), port).unwrap()
}

fn beside(gate: &Origins, panel: &str) -> String {
    gate.beside(&Origin::parse(panel).unwrap()).to_string()
}

#[test]
fn a_gate_is_on_the_host_that_the_browser_came_by() {
    let urls = vec!["https://studio.example.org".into()];
    let gate = gate_of(Flags { public_urls: urls, ..Flags::default() }, &[], 8188);
    assert_eq!(beside(&gate, "http://localhost:8080"), "http://localhost:8188");
    assert_eq!(beside(&gate, "http://[::1]:8080"), "http://[::1]:8188");
    assert_eq!(beside(&gate, "https://studio.example.org"), "https://studio.example.org:8188");
    assert!(!gate.contains("https://studio.example.org"), "Easel's own origin is none of the gate's");
    let panel = origins(Flags::default(), &[]);
    assert_eq!(panel.beside(&Origin::parse("http://localhost:8188").unwrap()).to_string(), "http://localhost:8080", "and back");
}

#[test]
fn a_gate_in_a_pod_has_a_name_of_its_own() {
    let pod = [("RUNPOD_POD_ID", "k3v9"), ("RUNPOD_PUBLIC_IP", "203.0.113.7"), ("RUNPOD_TCP_PORT_8188", "10342")];
    let flags = || Flags { public_urls: vec!["https://studio.example.org".into()], ..Flags::default() };
    let gate = gate_of(flags(), &pod, 8188);
    for panel in ["https://k3v9-8080.proxy.runpod.net", "https://studio.example.org"] {
        assert_eq!(beside(&gate, panel), "https://k3v9-8188.proxy.runpod.net", "{panel}");
    }
    assert_eq!(beside(&gate, "http://203.0.113.7:10341"), "http://203.0.113.7:10342");
    assert!(gate.by_host("k3v9-8080.proxy.runpod.net").is_none());
}

#[test]
fn cookies_of_easel_are_known_by_their_names() {
    for (origin, name) in
        [("http://127.0.0.1:8188", "easel-gate-8188"), ("https://k3v9-8188.proxy.runpod.net", "__Host-easel-gate-443")]
    {
        assert_eq!(Origin::parse(origin).unwrap().cookie_name("gate"), name);
        assert!(is_own_cookie(name) && is_own_cookie(&format!(" {} ", name.to_uppercase())));
    }
    for foreign in ["", "easel", "session", "my-easel-gate-1", "__Host-session", "__Host-__Host-easel-gate-1"] {
        assert!(!is_own_cookie(foreign), "{foreign}");
    }
}

#[test]
fn a_request_has_one_host() {
    let host = |headers: &[&'static str], authority| one_host(headers.iter().map(|h| Some(*h)), authority);
    assert_eq!(host(&["a:1"], None), Some("a:1"));
    assert_eq!(host(&["a:1"], Some("A:1")), Some("a:1"));
    assert_eq!(host(&[], Some("a:1")), Some("a:1"));
    assert_eq!((host(&[], None), host(&["a:1", "a:1"], None), host(&["a:1"], Some("b:1"))), (None, None, None));
    assert_eq!(one_host([None].into_iter(), None), None);
}

proptest! {
    #[test]
    fn an_origin_reads_back_what_it_writes(https: bool, host in "[a-z0-9]{1,10}(\\.[a-z0-9]{1,5}){0,2}", port in 1..=u16::MAX) {
        let origin = Origin { https, host, port };
        prop_assert_eq!(Origin::parse(&origin.to_string()), Some(origin));
    }

    #[test]
    fn no_header_makes_a_panic(text in "\\PC{0,40}") {
        let list = origins(Flags::default(), &[]);
        let _ = (list.by_host(&text), list.contains(&text), host_is_loopback(&text));
    }
}
