//! The next profile in the same browser finds nothing of the one before: what a tool's pages keep in a browser belongs to the
//! address, and not to whoever sat there. A cookie says who came last; where somebody else comes, the browser is told to
//! forget. Knows no tool.

use super::pages::{Body, own};
use crate::origins::Origin;
use crate::secrets::Fingerprint;
use crate::users::ProfileId;
use hyper::header::{self, HeaderName, HeaderValue};
use hyper::http::request::Parts;
use hyper::{HeaderMap, Response, StatusCode};

/// What the cookie is called, between `easel-` and the port.
const LAST: &str = "gate-last";
/// It outlives the browser's session, as what pages keep does, in seconds: a year.
const LIFE: u32 = 365 * 24 * 60 * 60;
/// What a browser forgets at an address that nobody between can change.
const CLEAR: (HeaderName, &str) = (HeaderName::from_static("clear-site-data"), "\"storage\"");
/// Elsewhere browsers do not listen to that header, and a page does what it can.
const PAGE: &str = "/__easel/fresh";
const SCRIPT: &str = "/__easel/fresh.js";
const SCRIPT_TEXT: &str = include_str!("fresh.js");

/// Who came last, as the cookie says it; the ids of profiles are no secret, but nothing has to tell them.
fn told(profile: &ProfileId) -> String {
    Fingerprint::of(&format!("gate/{profile}")).0[..16].iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Whether this profile was the last one here.
fn was_last(headers: &HeaderMap, origin: &Origin, profile: &ProfileId) -> bool {
    let cookie = format!("{}={}", origin.cookie_name(LAST), told(profile));
    let sent = headers.get_all(header::COOKIE).iter().flat_map(|value| value.as_bytes().split(|b| *b == b';'));
    sent.map(<[u8]>::trim_ascii).any(|sent| sent == cookie.as_bytes())
}

fn remember(answer: &mut Response<Body>, origin: &Origin, profile: &ProfileId) {
    let secure = if origin.https { "; Secure" } else { "" };
    let (name, value) = (origin.cookie_name(LAST), told(profile));
    let text = format!("{name}={value}; Path=/; HttpOnly; SameSite=Lax; Max-Age={LIFE}{secure}");
    if let Ok(value) = HeaderValue::from_str(&text) {
        answer.headers_mut().append(header::SET_COOKIE, value);
    }
}

/// The answer to whoever has just been let in: on to the tool, with nothing of another's in the browser.
pub(super) fn welcome(parts: &Parts, origin: &Origin, profile: &ProfileId, pass: HeaderValue) -> Response<Body> {
    let mut answer = own(StatusCode::SEE_OTHER, "text/plain; charset=utf-8", "");
    answer.headers_mut().insert(header::SET_COOKIE, pass);
    let same = was_last(&parts.headers, origin, profile);
    let on = if same || origin.is_private() { "/" } else { PAGE };
    answer.headers_mut().insert(header::LOCATION, HeaderValue::from_static(on));
    if !same && origin.is_private() {
        answer.headers_mut().insert(CLEAR.0, HeaderValue::from_static(CLEAR.1));
        remember(&mut answer, origin, profile);
    }
    answer
}

/// The page that forgets, and its script; none for any other path.
pub(super) fn page(path: &str, origin: &Origin, profile: &ProfileId) -> Option<Response<Body>> {
    if path == PAGE {
        let text = format!("<!doctype html><meta charset=utf-8><title>Easel</title><script src=\"{SCRIPT}\"></script>");
        return Some(own(StatusCode::OK, "text/html; charset=utf-8", text));
    }
    (path == SCRIPT).then(|| {
        let mut answer = own(StatusCode::OK, "text/javascript; charset=utf-8", SCRIPT_TEXT);
        remember(&mut answer, origin, profile);
        answer
    })
}
