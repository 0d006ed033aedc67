//! Who asks, as far as the connection and the headers tell: the Host, the peer, the origin of the list.
//! Knows no login.

use crate::{App, doors::Asker, origins::Origin};
use actix_web::http::header::{self, HeaderMap};
use actix_web::{HttpMessage as _, HttpRequest, dev::RequestHead};

/// The origin of the list that this request came to, put there by the front.
pub(super) fn origin(request: &HttpRequest) -> Option<Origin> {
    request.extensions().get::<Origin>().cloned()
}

/// The one Host of a request: the header, which a URI with an authority must not contradict. None where
/// there is none, or more than one.
pub(super) fn host(head: &RequestHead) -> Option<&str> {
    let mut values = head.headers.get_all(header::HOST);
    let named = head.uri.authority().map(|a| a.as_str());
    let host = match (values.next(), named) {
        (Some(value), _) => value.to_str().ok()?,
        (None, Some(authority)) => authority,
        (None, None) => return None,
    };
    (values.next().is_none() && named.is_none_or(|n| n.eq_ignore_ascii_case(host))).then_some(host)
}

/// Whether somebody between says that the request comes from elsewhere.
fn is_forwarded(headers: &HeaderMap) -> bool {
    headers.keys().any(|name| *name == header::FORWARDED || name.as_str().starts_with("x-forwarded-"))
}

/// The facts that the keyless rule asks for.
pub(super) fn asker<'a>(app: &App, request: &'a HttpRequest) -> Asker<'a> {
    let peer = request.head().peer_addr;
    Asker {
        peer: peer.map(|peer| peer.ip()),
        host: host(request.head()).unwrap_or_default(),
        forwarded: is_forwarded(request.headers()),
        peer_is_tool: app.doors.peer_is_tool(peer),
    }
}
