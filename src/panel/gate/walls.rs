//! What a request must fulfil before it is anybody's: its Host is one of the gate's, and what comes from a page
//! comes from a page of this gate. Pure rules over heads of requests; knows no pass and no tool.

use crate::origins::{Origin, Origins, one_host};
use hyper::http::request::Parts;
use hyper::{HeaderMap, Method, Version, header};

/// The folder of the gate itself; no tool sees a request for it.
const OWN: &str = "__easel";

/// The gate's origin that a request came to. None where its Host is no single one of the list.
pub(super) fn origin<'a>(parts: &Parts, origins: &'a Origins) -> Option<&'a Origin> {
    let headers = parts.headers.get_all(header::HOST).iter().map(|value| value.to_str().ok());
    origins.by_host(one_host(headers, parts.uri.authority().map(|a| a.as_str()))?)
}

/// Whether a path lies in the gate's own folder, however a server behind might read it: escapes, backslashes, case
/// and dots included.
pub(super) fn is_own(path: &str) -> bool {
    decoded(path).split(|b| matches!(b, b'/' | b'\\')).any(|part| part.eq_ignore_ascii_case(OWN.as_bytes()))
}

/// With its percent escapes resolved, once.
fn decoded(path: &str) -> Vec<u8> {
    let (mut out, mut rest) = (Vec::with_capacity(path.len()), path.as_bytes());
    while let Some((first, after)) = rest.split_first() {
        let escape = (*first == b'%').then(|| after.get(..2)).flatten();
        let byte = escape.and_then(|digits| u8::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok());
        out.push(byte.unwrap_or(*first));
        rest = if byte.is_some() { &after[2..] } else { after };
    }
    out
}

/// A method that a proxy must not carry: CONNECT asks for a tunnel to anywhere, TRACE echoes cookies.
pub(super) fn is_barred(method: &Method) -> bool {
    *method == Method::CONNECT || *method == Method::TRACE
}

/// Whether a request asks for a WebSocket. Any other upgrade is carried as the plain request that it also is.
pub(super) fn is_websocket(parts: &Parts) -> bool {
    let names = |name: header::HeaderName, word: &str| {
        let values = parts.headers.get_all(name);
        values.iter().filter_map(|v| v.to_str().ok()).flat_map(|v| v.split(',')).any(|w| w.trim().eq_ignore_ascii_case(word))
    };
    parts.method == Method::GET
        && parts.version == Version::HTTP_11
        && names(header::CONNECTION, "upgrade")
        && names(header::UPGRADE, "websocket")
}

/// Whether the single Origin of a request is this text. None where it has no Origin at all.
fn origin_is(headers: &HeaderMap, right: impl Fn(&str) -> bool) -> Option<bool> {
    let mut sent = headers.get_all(header::ORIGIN).iter();
    let first = sent.next()?;
    Some(sent.next().is_none() && first.to_str().is_ok_and(right))
}

/// Whether a ticket may come in with this request: from a page of Easel itself.
pub(super) fn is_from_panel(headers: &HeaderMap, panel: &Origins) -> bool {
    origin_is(headers, |sent| panel.contains(sent)) == Some(true)
}

/// Whether a request with a pass may cross. An Origin must be the gate's own; what changes anything and WebSockets
/// need one. `SameSite` alone protects nothing between the pods of one proxy, which are one site. Pages of elsewhere
/// may lead here, but neither load nor frame what is here.
pub(super) fn may_cross(parts: &Parts, origin: &Origin) -> bool {
    let own = origin.to_string();
    let from_own_page = match origin_is(&parts.headers, |sent| sent == own) {
        Some(own) => own,
        None => parts.method.is_safe() && !is_websocket(parts),
    };
    let sent = |name: &str| parts.headers.get(name).and_then(|v| v.to_str().ok()).unwrap_or_default();
    let elsewhere = matches!(sent("sec-fetch-site"), "cross-site" | "same-site");
    let navigation = sent("sec-fetch-mode") == "navigate" && sent("sec-fetch-dest") == "document";
    from_own_page && (!elsewhere || navigation)
}

/// Whether a request comes from a page of this gate itself, and not from a link, an address typed in or a script of elsewhere.
pub(super) fn is_from_own_page(parts: &Parts, origin: &Origin) -> bool {
    let own = origin.to_string();
    let site = || parts.headers.get("sec-fetch-site").is_some_and(|site| site == "same-origin");
    origin_is(&parts.headers, |sent| sent == own).unwrap_or_else(site)
}

/// Whether the answer is read by a script, which wants JSON, and not by a person.
pub(super) fn is_for_a_script(parts: &Parts) -> bool {
    let sent = |name: header::HeaderName| parts.headers.get(name).and_then(|v| v.to_str().ok()).unwrap_or_default();
    let accepts = sent(header::ACCEPT);
    let mode = parts.headers.get("sec-fetch-mode").and_then(|v| v.to_str().ok()).unwrap_or("navigate");
    is_websocket(parts) || mode != "navigate" || (accepts.contains("application/json") && !accepts.contains("text/html"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use hyper::Request;
    use proptest::prelude::*;

    fn parts(method: &str, headers: &[(&str, &str)]) -> Parts {
        let request = Request::builder().method(method).uri("/");
        headers.iter().fold(request, |r, (name, value)| r.header(*name, *value)).body(()).unwrap().into_parts().0
    }

    fn gate() -> Origin {
        Origin::parse("https://k3v9-8188.proxy.runpod.net").unwrap()
    }

    #[test]
    fn the_own_folder_is_known_in_every_spelling() {
        for path in
            ["/__easel/enter", "/__easel", "//__easel/x", "/%5f_easel/x", "/a/../__EASEL/x", "/a\\__easel", "/%5F%5feasel"]
        {
            assert!(is_own(path), "{path}");
        }
        for path in ["/", "/__easel2/x", "/a__easel", "/%", "/%5", "/%zz__easel", "/%255f_easel"] {
            assert!(!is_own(path), "{path}");
        }
    }

    const SOCKET: [(&str, &str); 2] = [("connection", "keep-alive, Upgrade"), ("upgrade", "WebSocket")];

    #[test]
    fn what_changes_anything_needs_the_gates_own_origin() {
        let own = gate().to_string();
        for (method, origin, may) in [
            ("GET", None, true),
            ("HEAD", None, true),
            ("GET", Some(own.as_str()), true),
            ("POST", Some(own.as_str()), true),
            ("POST", None, false),
            ("DELETE", None, false),
            ("POST", Some("null"), false),
            ("POST", Some("https://evil.example"), false),
            ("GET", Some("https://evil.example"), false),
            ("POST", Some("https://zzzz-8188.proxy.runpod.net"), false),
            ("POST", Some("https://k3v9-8080.proxy.runpod.net"), false),
            ("POST", Some("http://k3v9-8188.proxy.runpod.net"), false),
        ] {
            let headers: Vec<_> = origin.iter().map(|o| ("origin", *o)).collect();
            assert_eq!(may_cross(&parts(method, &headers), &gate()), may, "{method} {origin:?}");
        }
        let twice = [("origin", own.as_str()), ("origin", own.as_str())];
        assert!(!may_cross(&parts("POST", &twice), &gate()));
        assert!(!may_cross(&parts("GET", &SOCKET), &gate()), "a WebSocket without an Origin");
        assert!(may_cross(&parts("GET", &[SOCKET[0], SOCKET[1], ("origin", &own)]), &gate()));
    }

    #[test]
    fn pages_of_elsewhere_lead_here_but_load_nothing() {
        let fetch = |site, mode, dest| {
            let headers = [("sec-fetch-site", site), ("sec-fetch-mode", mode), ("sec-fetch-dest", dest)];
            may_cross(&parts("GET", &headers), &gate())
        };
        assert!(fetch("cross-site", "navigate", "document") && fetch("same-site", "navigate", "document"));
        assert!(fetch("same-origin", "no-cors", "script") && fetch("none", "navigate", "document"));
        assert!(!fetch("same-site", "no-cors", "script") && !fetch("cross-site", "navigate", "iframe"));
    }

    #[test]
    fn own_pages_are_told_from_links_that_lead_here() {
        let own = gate().to_string();
        let from = |headers: &[(&str, &str)]| is_from_own_page(&parts("GET", headers), &gate());
        assert!(from(&[("origin", &own)]) && from(&[("sec-fetch-site", "same-origin")]));
        for headers in [
            &[][..],
            &[("sec-fetch-site", "none")],
            &[("sec-fetch-site", "cross-site")],
            &[("sec-fetch-site", "same-site")],
            &[("origin", "null"), ("sec-fetch-site", "same-origin")],
        ] {
            assert!(!from(headers), "{headers:?}");
        }
    }

    #[test]
    fn only_a_websocket_is_an_upgrade() {
        assert!(is_websocket(&parts("GET", &SOCKET)));
        assert!(!is_websocket(&parts("POST", &SOCKET)));
        assert!(!is_websocket(&parts("GET", &[SOCKET[0], ("upgrade", "h2c")])));
        assert!(!is_websocket(&parts("GET", &[SOCKET[1]])));
    }

    #[test]
    fn scripts_are_told_from_people() {
        assert!(!is_for_a_script(&parts("GET", &[("accept", "text/html,application/json")])));
        assert!(!is_for_a_script(&parts("GET", &[])));
        assert!(is_for_a_script(&parts("GET", &[("accept", "application/json")])));
        assert!(is_for_a_script(&parts("GET", &[("sec-fetch-mode", "cors")])) && is_for_a_script(&parts("GET", &SOCKET)));
    }

    proptest! {
        #[test]
        fn no_path_makes_a_panic(path in "\\PC{0,40}") {
            let _ = is_own(&path);
        }
    }
}
