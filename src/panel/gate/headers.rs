//! Headers on their way through: what belongs to one connection stays there, the tool is asked as if from its own
//! machine, and no cookie of Easel's reaches it or comes from it. Knows no socket.

use crate::origins::{Origin, is_own_cookie};
use hyper::header::{self, Entry, HeaderMap, HeaderName, HeaderValue};
use std::net::{IpAddr, SocketAddr};

/// Headers of one connection (RFC 9110, section 7.6.1), and `Expect`, which the server side has answered.
const HOP: [HeaderName; 9] = [
    header::CONNECTION,
    header::TE,
    header::TRAILER,
    header::TRANSFER_ENCODING,
    header::UPGRADE,
    header::PROXY_AUTHENTICATE,
    header::PROXY_AUTHORIZATION,
    header::EXPECT,
    HeaderName::from_static("keep-alive"),
];
/// What says where a request comes from, besides `X-Forwarded-*`. A tool hears it from us or not at all.
const CLAIMS: [&str; 4] = ["forwarded", "x-real-ip", "x-client-ip", "proxy-connection"];
/// What a tool must not say: caches in front would share its pages, and browsers know no ports in the others.
const NOT_FOR_TOOLS: [&str; 5] =
    ["cdn-cache-control", "cloudflare-cdn-cache-control", "surrogate-control", "clear-site-data", "alt-svc"];

const X_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
const X_FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");
const X_ROBOTS_TAG: HeaderName = HeaderName::from_static("x-robots-tag");
const SEC_FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");

/// From where to where a request crosses.
#[derive(Clone, Copy, Debug)]
pub(super) struct Crossing<'a> {
    /// The gate's origin that the browser knows.
    pub(super) origin: &'a Origin,
    /// The tool.
    pub(super) upstream: SocketAddr,
    /// The other end of the browser's connection.
    pub(super) peer: IpAddr,
    /// It asks for a WebSocket.
    pub(super) websocket: bool,
}

impl Crossing<'_> {
    /// The tool's own origin. It answers to no other: ComfyUI's and JupyterLab's walls compare Host and Origin.
    fn inside(&self) -> String {
        format!("http://{}", self.upstream)
    }

    /// A request's headers as the tool gets them. `streamed` says that a body of unknown length follows.
    pub(super) fn to_tool(self, headers: &mut HeaderMap, streamed: bool) {
        remove_hop(headers);
        let claims = |name: &HeaderName| name.as_str().starts_with("x-forwarded-") || CLAIMS.contains(&name.as_str());
        let claimed: Vec<HeaderName> = headers.keys().filter(|name| claims(name)).cloned().collect();
        for name in claimed {
            headers.remove(name);
        }
        keep_foreign_cookies(headers);
        if headers.get(header::AUTHORIZATION).is_some_and(|v| is_own_token(v.as_bytes())) {
            headers.remove(header::AUTHORIZATION);
        }
        let inside = self.inside();
        // The wall has seen that it is the gate's own.
        if headers.contains_key(header::ORIGIN) {
            set(headers, header::ORIGIN, &inside);
        }
        if let Some(from) = headers.remove(header::REFERER)
            && let Some(path) = from.to_str().ok().and_then(|from| below(from, &self.origin.to_string()))
        {
            set(headers, header::REFERER, &format!("{inside}{path}"));
        }
        // A link from Easel's page to the tool is no attack; the wall has seen those.
        if headers.get(&SEC_FETCH_SITE).is_some_and(|site| site == "cross-site" || site == "same-site") {
            headers.insert(SEC_FETCH_SITE, HeaderValue::from_static("none"));
        }
        set(headers, header::HOST, &self.upstream.to_string());
        // No `X-Forwarded-Host`: servers that compare it with Origin (Next.js) would refuse their own pages.
        set(headers, X_FORWARDED_FOR, &self.peer.to_string());
        headers.insert(X_FORWARDED_PROTO, HeaderValue::from_static(if self.origin.https { "https" } else { "http" }));
        if self.websocket {
            as_websocket(headers);
        } else if streamed {
            headers.insert(header::TRANSFER_ENCODING, HeaderValue::from_static("chunked"));
        }
    }

    /// An answer's headers as the browser gets them.
    pub(super) fn to_browser(self, headers: &mut HeaderMap) {
        remove_hop(headers);
        for name in NOT_FOR_TOOLS {
            headers.remove(name);
        }
        tidy_cookies(headers);
        for name in [header::LOCATION, header::CONTENT_LOCATION, header::ACCESS_CONTROL_ALLOW_ORIGIN] {
            let moved = headers.get(&name).and_then(|v| v.to_str().ok()).and_then(|to| below(to, &self.inside()));
            if let Some(path) = moved.map(|path| format!("{}{path}", self.origin)) {
                set(headers, name, &path);
            }
        }
        keep_private(headers);
        add_if_missing(headers, X_ROBOTS_TAG, "noindex, nofollow");
        add_if_missing(headers, header::REFERRER_POLICY, "same-origin");
        if self.websocket {
            as_websocket(headers);
        }
    }
}

/// What follows an origin in an address below it: nothing, or a path. None for an address of elsewhere.
fn below<'a>(address: &'a str, origin: &str) -> Option<&'a str> {
    address.strip_prefix(origin).filter(|path| path.is_empty() || path.starts_with(['/', '?', '#']))
}

/// Text that came out of headers or is an address can stand in a header; anything else is left out.
fn set(headers: &mut HeaderMap, name: HeaderName, value: &str) {
    if let Ok(value) = HeaderValue::from_str(value) {
        headers.insert(name, value);
    }
}

fn add_if_missing(headers: &mut HeaderMap, name: HeaderName, value: &'static str) {
    if let Entry::Vacant(vacant) = headers.entry(name) {
        vacant.insert(HeaderValue::from_static(value));
    }
}

fn as_websocket(headers: &mut HeaderMap) {
    headers.insert(header::CONNECTION, HeaderValue::from_static("Upgrade"));
    headers.insert(header::UPGRADE, HeaderValue::from_static("websocket"));
}

/// Removes what belongs to one connection: the list, and what `Connection` names besides. To be done before anything is put
/// in that whoever sent it could name there.
pub(super) fn remove_hop(headers: &mut HeaderMap) {
    let values = headers.get_all(header::CONNECTION).iter().filter_map(|value| value.to_str().ok());
    let named: Vec<HeaderName> = values.flat_map(|v| v.split(',')).filter_map(|name| name.trim().parse().ok()).collect();
    for name in named.iter().chain(&HOP) {
        headers.remove(name);
    }
}

/// An API token of Easel's, sent to a gate by mistake.
fn is_own_token(value: &[u8]) -> bool {
    let scheme = value.get(..7).is_some_and(|s| s.eq_ignore_ascii_case(b"bearer "));
    scheme && value[7..].trim_ascii_start().starts_with(b"easel_")
}

/// The name of a cookie: what stands before the first `=`.
fn name_of(cookie: &[u8]) -> String {
    let name = cookie.split(|b| *b == b'=').next().unwrap_or_default();
    String::from_utf8_lossy(name).into_owned()
}

/// Leaves the tool's own cookies in a request, as one header.
fn keep_foreign_cookies(headers: &mut HeaderMap) {
    let Entry::Occupied(sent) = headers.entry(header::COOKIE) else { return };
    let values: Vec<HeaderValue> = sent.remove_entry_mult().1.collect();
    let cookies = values.iter().flat_map(|value| value.as_bytes().split(|b| *b == b';')).map(<[u8]>::trim_ascii);
    let foreign: Vec<&[u8]> = cookies.filter(|c| !c.is_empty() && !is_own_cookie(&name_of(c))).collect();
    if let (false, Ok(value)) = (foreign.is_empty(), HeaderValue::from_bytes(&foreign.join(&b"; "[..]))) {
        headers.insert(header::COOKIE, value);
    }
}

/// Drops cookies that a tool sets under Easel's names, and takes `Domain` off the others: a tool's cookie is for this
/// host, and not for the neighbours under the same proxy.
fn tidy_cookies(headers: &mut HeaderMap) {
    let Entry::Occupied(set) = headers.entry(header::SET_COOKIE) else { return };
    let values: Vec<HeaderValue> = set.remove_entry_mult().1.collect();
    for value in values.iter().filter(|value| !is_own_cookie(&name_of(value.as_bytes()))) {
        let parts = value.as_bytes().split(|b| *b == b';').enumerate();
        let domain = |part: &[u8]| name_of(part).trim().eq_ignore_ascii_case("domain");
        let kept: Vec<&[u8]> = parts.filter(|(i, part)| *i == 0 || !domain(part)).map(|(_, part)| part).collect();
        if let Ok(value) = HeaderValue::from_bytes(&kept.join(&b';')) {
            headers.append(header::SET_COOKIE, value);
        }
    }
}

/// What one person got is nobody else's: browsers keep it apart by cookie, and shared caches keep nothing.
fn keep_private(headers: &mut HeaderMap) {
    let varies = |word: &str| word.trim() == "*" || word.trim().eq_ignore_ascii_case("cookie");
    let values = headers.get_all(header::VARY).iter().filter_map(|value| value.to_str().ok());
    if !values.flat_map(|value| value.split(',')).any(varies) {
        headers.append(header::VARY, HeaderValue::from_static("Cookie"));
    }
    let values = headers.get_all(header::CACHE_CONTROL).iter().filter_map(|value| value.to_str().ok());
    let words: Vec<&str> = values.flat_map(|value| value.split(',')).map(str::trim).filter(|w| !w.is_empty()).collect();
    if words.iter().any(|w| w.eq_ignore_ascii_case("private") || w.eq_ignore_ascii_case("no-store")) {
        return;
    }
    let shared = |w: &str| w.eq_ignore_ascii_case("public") || w.to_ascii_lowercase().starts_with("s-maxage");
    let own: Vec<&str> = std::iter::once("private").chain(words.into_iter().filter(|w| !shared(w))).collect();
    let value = own.join(", ");
    set(headers, header::CACHE_CONTROL, &value);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn map(pairs: &[(&str, &str)]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in pairs {
            headers.append(HeaderName::from_bytes(name.as_bytes()).unwrap(), HeaderValue::from_str(value).unwrap());
        }
        headers
    }

    fn cross(pairs: &[(&str, &str)], way: impl Fn(Crossing<'_>, &mut HeaderMap)) -> Vec<String> {
        let origin = Origin::parse("https://k3v9-8188.proxy.runpod.net").unwrap();
        let (upstream, peer) = ("127.0.0.1:40123".parse().unwrap(), "100.64.0.9".parse().unwrap());
        let mut headers = map(pairs);
        way(Crossing { origin: &origin, upstream, peer, websocket: false }, &mut headers);
        let mut lines: Vec<String> = headers.iter().map(|(n, v)| format!("{n}: {}", v.to_str().unwrap())).collect();
        lines.sort();
        lines
    }

    fn to_tool(pairs: &[(&str, &str)]) -> Vec<String> {
        let always = ["host: 127.0.0.1:40123", "x-forwarded-for: 100.64.0.9", "x-forwarded-proto: https"];
        let lines = cross(pairs, |c, h| c.to_tool(h, false));
        assert!(always.iter().all(|line| lines.iter().any(|l| l == line)), "{lines:?}");
        lines.into_iter().filter(|line| !always.contains(&line.as_str())).collect()
    }

    fn to_browser(pairs: &[(&str, &str)]) -> Vec<String> {
        let always =
            ["cache-control: private", "referrer-policy: same-origin", "vary: Cookie", "x-robots-tag: noindex, nofollow"];
        cross(pairs, |c, h| c.to_browser(h)).into_iter().filter(|line| !always.contains(&line.as_str())).collect()
    }

    #[test]
    fn the_tool_is_asked_as_from_its_own_machine() {
        let sent = [
            ("host", "k3v9-8188.proxy.runpod.net"),
            ("origin", "https://k3v9-8188.proxy.runpod.net"),
            ("referer", "https://k3v9-8188.proxy.runpod.net/a?b"),
            ("sec-fetch-site", "cross-site"),
            ("authorization", "token abc"),
            ("x-forwarded-for", "1.2.3.4"),
            ("x-forwarded-host", "evil.example"),
            ("forwarded", "for=1.2.3.4"),
            ("x-real-ip", "1.2.3.4"),
        ];
        let got = [
            "authorization: token abc",
            "origin: http://127.0.0.1:40123",
            "referer: http://127.0.0.1:40123/a?b",
            "sec-fetch-site: none",
        ];
        assert_eq!(to_tool(&sent), got);
        assert!(to_tool(&[("referer", "https://k3v9-8188.proxy.runpod.net.evil.example/")]).is_empty());
        assert!(to_tool(&[("authorization", "bearer  easel_abc")]).is_empty(), "a token of Easel's");
    }

    #[test]
    fn what_belongs_to_one_connection_stays_there() {
        let hop = [
            ("connection", "close, X-Secret, x-forwarded-proto, host"),
            ("x-secret", "1"),
            ("te", "trailers"),
            ("upgrade", "h2c"),
            ("keep-alive", "timeout=5"),
            ("proxy-authorization", "Basic x"),
            ("expect", "100-continue"),
            ("transfer-encoding", "chunked"),
        ];
        assert!(to_tool(&hop).is_empty());
        assert!(to_browser(&hop).is_empty());
        let streamed = cross(&hop, |c, h| c.to_tool(h, true));
        assert!(streamed.contains(&"transfer-encoding: chunked".to_string()), "{streamed:?}");
    }

    #[test]
    fn no_cookie_of_easels_crosses_in_either_direction() {
        let sent = [
            ("cookie", "a=1; easel-login-8080=s; __Host-easel-gate-443=s;easel-last-8080=zoe"),
            ("cookie", "b=2; EASEL-gate-1=s; __host-Easel-login-1=s; noteasel-x=3"),
        ];
        assert_eq!(to_tool(&sent), ["cookie: a=1; b=2; noteasel-x=3"]);
        assert!(to_tool(&[("cookie", "easel-login-8080=s")]).is_empty());
        let set = [
            ("set-cookie", "easel-login-8080=evil; Path=/"),
            ("set-cookie", " __Host-easel-gate-443 =evil; Path=/"),
            ("set-cookie", "session=1; Path=/; domain=.runpod.net; HttpOnly"),
            ("set-cookie", "domain=2"),
        ];
        assert_eq!(to_browser(&set), ["set-cookie: domain=2", "set-cookie: session=1; Path=/; HttpOnly"]);
    }

    #[test]
    fn addresses_of_the_inside_become_the_gates() {
        let answer =
            [("location", "http://127.0.0.1:40123/login?next=/"), ("access-control-allow-origin", "http://127.0.0.1:40123")];
        let got = [
            "access-control-allow-origin: https://k3v9-8188.proxy.runpod.net",
            "location: https://k3v9-8188.proxy.runpod.net/login?next=/",
        ];
        assert_eq!(to_browser(&answer), got);
        for elsewhere in ["/here", "https://example.org/", "http://127.0.0.1:401234/"] {
            assert_eq!(to_browser(&[("location", elsewhere)]), [format!("location: {elsewhere}")]);
        }
    }

    #[test]
    fn shared_caches_keep_nothing() {
        for (said, kept) in [
            ("public, max-age=60, s-maxage=600", "private, max-age=60"),
            ("no-cache", "private, no-cache"),
            ("max-age=60, private", "max-age=60, private"),
            ("no-store", "no-store"),
        ] {
            assert_eq!(to_browser(&[("cache-control", said)]), [format!("cache-control: {kept}")]);
        }
        let others = [("vary", "Accept-Encoding"), ("cdn-cache-control", "max-age=60"), ("clear-site-data", "\"cookies\"")];
        assert_eq!(to_browser(&others), ["vary: Accept-Encoding"]);
        let own = [("referrer-policy", "no-referrer"), ("x-robots-tag", "all"), ("content-security-policy", "default-src *")];
        let kept = ["content-security-policy: default-src *", "referrer-policy: no-referrer", "x-robots-tag: all"];
        assert_eq!(to_browser(&own), kept, "a tool's own words stand");
    }
}
