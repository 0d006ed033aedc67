//! What every request passes first: its Host must be of the list, what changes anything must carry an
//! Origin of the list, and every answer gets the security headers, a number and a line in the log. Knows
//! no page and no login.

use super::{asker, errors};
use crate::{App, error::Shown, error::problem};
use actix_web::body::{BoxBody, MessageBody};
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::http::header::{self, HeaderName, HeaderValue};
use actix_web::http::{Method, StatusCode};
use actix_web::{Error, HttpMessage as _, HttpResponse, middleware::Next, web::Data};
use std::sync::LazyLock;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Instant, SystemTime};

/// Nothing inline, nothing from elsewhere. `blob:` and `data:` are pictures that a page holds itself.
const CSP: &str = "default-src 'none'; script-src 'self'; style-src 'self'; font-src 'self'; connect-src 'self'; \
     img-src 'self' blob: data:; media-src 'self' blob:; worker-src 'self'; manifest-src 'self'; frame-ancestors 'none'; \
     base-uri 'none'; form-action 'self'";
/// The same for a page that also posts to these origins: to the gates of tools.
pub(super) fn csp_with_forms_to<'a>(origins: impl Iterator<Item = &'a str>) -> String {
    origins.fold(CSP.to_owned(), |csp, origin| csp + " " + origin)
}

const PERMISSIONS: &str = "camera=(), microphone=(), geolocation=(), payment=(), usb=(), serial=(), hid=(), midi=(), \
     display-capture=(), browsing-topics=()";

/// Headers of every answer that has none of that name itself.
static HEADERS: [(HeaderName, &str); 7] = [
    (header::CONTENT_SECURITY_POLICY, CSP),
    (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (header::REFERRER_POLICY, "strict-origin"),
    (HeaderName::from_static("permissions-policy"), PERMISSIONS),
    (HeaderName::from_static("cross-origin-opener-policy"), "same-origin"),
    (HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
    (header::X_FRAME_OPTIONS, "DENY"),
];

/// The middleware around every handler: the wall of Host and Origin, then the handler, then its problem as a page,
/// headers, number and log. One, not four: each layer is a boxed future and a boxed body on every request.
pub async fn front(request: ServiceRequest, next: Next<impl MessageBody + 'static>) -> Result<ServiceResponse<BoxBody>, Error> {
    let begin = Instant::now();
    let (method, path) = (request.method().clone(), request.path().to_owned());
    let api = errors::is_for_a_script(&request);
    let response = match refusal(&request) {
        Some(answer) => request.into_response(answer),
        None => next.call(request).await?.map_into_boxed_body(),
    };
    let mut response = errors::page_of_error(response, api);
    let headers = response.headers_mut();
    headers.reserve(HEADERS.len() + 1);
    for (name, value) in &HEADERS {
        if !headers.contains_key(name) {
            headers.insert(name.clone(), HeaderValue::from_static(value));
        }
    }
    let id = request_id();
    headers.insert(HeaderName::from_static("x-request-id"), HeaderValue::from_str(&id).expect("digits are ASCII"));
    log(&method, &path, response.status(), begin, &id);
    Ok(response)
}

/// Tells requests apart in the log: the start of this process in seconds, and a count. Predictable, and nothing
/// depends on it.
fn request_id() -> String {
    static BOOT: LazyLock<u64> = LazyLock::new(|| SystemTime::UNIX_EPOCH.elapsed().map_or(0, |since| since.as_secs()));
    static COUNT: AtomicU64 = AtomicU64::new(0);
    format!("{:x}-{:x}", *BOOT, COUNT.fetch_add(1, Ordering::Relaxed))
}

/// One line a request; never the query, a header or a body, which may hold what is nobody's business.
fn log(method: &Method, path: &str, status: StatusCode, begin: Instant, id: &str) {
    // To a hundredth: the rest is noise.
    let ms = (begin.elapsed().as_secs_f64() * 1e5).round() / 1e2;
    let status = status.as_u16();
    if status >= 500 {
        tracing::warn!(%method, path, status, ms, id, "request");
    } else if method.is_safe() {
        tracing::debug!(%method, path, status, ms, id, "request");
    } else {
        tracing::info!(%method, path, status, ms, id, "request");
    }
}

/// Why this request goes no further; where it may, its origin is kept for whoever asks.
fn refusal(request: &ServiceRequest) -> Option<HttpResponse> {
    let app = request.app_data::<Data<App>>().expect("startup gives every request the App");
    let origins = app.doors.origins();
    let Some(origin) = asker::host(request.head()).and_then(|host| origins.by_host(host)) else {
        return Some(misdirected(app));
    };
    request.extensions_mut().insert(origin.clone());
    let upgrade = request.headers().contains_key(header::UPGRADE);
    // A token in a header is sent by nobody's browser on its own, so it needs no further wall.
    let by_token = request.headers().contains_key(header::AUTHORIZATION);
    if by_token || (request.method().is_safe() && !upgrade) {
        return None;
    }
    let mut sent = request.headers().get_all(header::ORIGIN);
    let listed = sent.next().and_then(|value| value.to_str().ok()).is_some_and(|value| origins.contains(value));
    if listed && sent.next().is_none() {
        return None;
    }
    Some(answer(403, "Forbidden", "This request comes from a page of another address, so it was not carried out."))
}

/// The page for a Host that is not of the list: it says which are.
fn misdirected(app: &App) -> HttpResponse {
    let known: Vec<String> = app.doors.origins().iter().filter(|o| o.is_loopback()).map(ToString::to_string).collect();
    let detail = format!(
        "Easel does not answer to this address. On its own machine it is {}. An address that leads here from elsewhere is \
         added to public_urls in easel.toml.",
        known.join(" or ")
    );
    answer(421, "Misdirected Request", &detail)
}

fn answer(status: u16, title: &str, detail: &str) -> HttpResponse {
    problem(Shown { status, title: title.into(), detail: detail.into(), errors: Vec::new(), id: None })
}

/// Largest form of a door, in bytes; each has a few short fields.
const FORM_MAX: usize = 16 * 1024;

/// The limit of every form, for startup.
pub fn form_limit() -> actix_web::web::FormConfig {
    actix_web::web::FormConfig::default().limit(FORM_MAX)
}
