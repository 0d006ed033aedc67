//! Who asks, as far as the connection and the headers tell: the Host, the peer, the origin of the list.
//! Knows no login.

use crate::{App, doors::Asker, origins::Origin, origins::one_host};
use actix_web::http::header::{self, HeaderMap};
use actix_web::{HttpMessage as _, HttpRequest, dev::RequestHead};

/// The origin of the list that this request came to, put there by the front.
pub(super) fn origin(request: &HttpRequest) -> Option<Origin> {
    request.extensions().get::<Origin>().cloned()
}

/// The one Host of a request. None where there is none, or more than one.
pub(super) fn host(head: &RequestHead) -> Option<&str> {
    let headers = head.headers.get_all(header::HOST).map(|value| value.to_str().ok());
    one_host(headers, head.uri.authority().map(|a| a.as_str()))
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
