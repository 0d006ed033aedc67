//! What a gate says itself: the login page, "starting", what is broken and why, and the style and script of those.
//! A small page for people, JSON for scripts. Knows no rule.

use super::link::Download;
use crate::origins::Origin;
use askama::Template;
use http_body_util::{Either, Full};
use hyper::body::Bytes;
use hyper::header::{self, HeaderName, HeaderValue};
use hyper::{Response, StatusCode};

/// A body: the gate's own words, or what comes from the tool.
pub(super) type Body = Either<Full<Bytes>, Download>;

/// The gate's own folder at its origin.
const FOLDER: &str = "/__easel";
/// Where the style and the script lie in it.
pub(super) const ASSETS: &str = "/__easel/assets/";
/// Nothing inline, nothing from elsewhere; the icon is an empty `data:`.
const CSP: &str = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src data:; \
     frame-ancestors 'none'; base-uri 'none'; form-action 'none'";
/// Headers of every answer of the gate's own.
static HEADERS: [(HeaderName, &str); 6] = [
    (header::CONTENT_SECURITY_POLICY, CSP),
    (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (header::REFERRER_POLICY, "no-referrer"),
    (header::X_FRAME_OPTIONS, "DENY"),
    (HeaderName::from_static("x-robots-tag"), "noindex, nofollow"),
    (HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
];
/// A page tries again after so many seconds: a tool that stopped, and one that does not take connections.
const RETRY: (u32, u32) = (15, 5);

/// What there is to say.
#[derive(Clone, Debug)]
pub(super) enum Notice {
    /// No pass.
    Login {
        /// A ticket came that was used, is too old, or never was one.
        stale: bool,
    },
    /// The tool does not run.
    Closed,
    /// It starts; the last line of its log.
    Starting(String),
    /// It should run and does not.
    Broken(String),
    /// It runs, and does not answer.
    Silent(String),
    /// The request comes from a page of elsewhere.
    Foreign,
    /// Somebody has too many connections.
    Crowded,
    /// What only an admin in admin mode may ask of this tool.
    Reserved,
    /// The tool does not get it, and why.
    Refused(String),
    /// Another Host.
    Misdirected,
    /// Nothing in the gate's own folder, or a method that is not carried.
    Nothing(StatusCode),
}

/// For whom, and where.
#[derive(Clone, Debug)]
pub(super) struct Reader<'a> {
    /// The tool, as people call it.
    pub(super) tool: &'a str,
    /// The gate's origin, where the Host named one.
    pub(super) origin: Option<&'a Origin>,
    /// The page with all tools.
    pub(super) tools: Option<String>,
    /// Light, dark or as the system.
    pub(super) theme: &'static str,
    /// A script reads it.
    pub(super) script: bool,
    /// The number of the state that this is about, where the page may ask for the next one and load itself anew.
    pub(super) since: Option<u64>,
}

#[derive(Template)]
#[template(path = "gate.html")]
struct Page<'a> {
    reader: &'a Reader<'a>,
    icon: &'static str,
    title: String,
    detail: String,
    line: Option<&'a str>,
    retry: Option<u32>,
    folder: &'static str,
}

impl Notice {
    /// Status, title, and what happened with what to do.
    fn words(&self, reader: &Reader<'_>) -> (StatusCode, String, String) {
        let tool = reader.tool;
        // Proxies of the Cloudflare kind put a page of their own in the place of a 502.
        let bad = if reader.origin.is_some_and(|o| o.https) { StatusCode::SERVICE_UNAVAILABLE } else { StatusCode::BAD_GATEWAY };
        let (status, title, detail) = match self {
            Notice::Login { stale: false } => (
                StatusCode::UNAUTHORIZED,
                "Log in first",
                format!("{tool} opens from the tools page of Easel: log in there, then press Open."),
            ),
            Notice::Login { stale: true } => (
                StatusCode::UNAUTHORIZED,
                "This way in is over",
                format!(
                    "It worked once, for half a minute, or {tool} is not open to you any more. Press Open on the tools page again."
                ),
            ),
            Notice::Closed => (
                StatusCode::SERVICE_UNAVAILABLE,
                "Not running",
                format!("{tool} is stopped. Start it on the tools page; this page follows by itself."),
            ),
            Notice::Starting(_) => (
                StatusCode::SERVICE_UNAVAILABLE,
                "Starting",
                format!("{tool} is starting. This page turns into it as soon as it answers."),
            ),
            Notice::Broken(why) => (bad, "Broken", format!("{tool} does not run: {why}")),
            Notice::Silent(why) => (
                bad,
                "No answer",
                format!(
                    "{tool} runs, but did not answer: {why}. If it stays so, its log on the tools page tells more; stopping and starting it helps most."
                ),
            ),
            Notice::Foreign => (
                StatusCode::FORBIDDEN,
                "Not allowed",
                format!("This request comes from a page of another address, so {tool} did not get it."),
            ),
            Notice::Crowded => (
                StatusCode::TOO_MANY_REQUESTS,
                "Too many connections",
                format!("This browser has too many connections to {tool} open; close some of its tabs, or end a script."),
            ),
            Notice::Reserved => (
                StatusCode::FORBIDDEN,
                "For admins",
                format!("This part of {tool} is everybody's, so only an admin in admin mode uses it."),
            ),
            Notice::Refused(why) => {
                (StatusCode::BAD_REQUEST, "Not carried out", format!("{tool} did not get this request: {why}"))
            }
            Notice::Misdirected => (
                StatusCode::MISDIRECTED_REQUEST,
                "This address does not work",
                format!(
                    "{tool} does not answer to it. An address that leads here from elsewhere is added to public_urls in easel.toml."
                ),
            ),
            Notice::Nothing(status) => {
                (*status, "There is nothing here", "The address is wrong, or what was here is gone.".to_owned())
            }
        };
        (status, title.to_owned(), detail)
    }

    fn icon(&self) -> &'static str {
        match self {
            Notice::Login { .. } | Notice::Reserved => assets::icons::LOCK,
            Notice::Closed => assets::icons::SQUARE,
            Notice::Starting(_) => assets::icons::HOURGLASS,
            Notice::Broken(_) => assets::icons::CIRCLE_ALERT,
            _ => assets::icons::UNPLUG,
        }
    }

    fn retry(&self) -> Option<u32> {
        match self {
            Notice::Broken(_) => Some(RETRY.0),
            Notice::Silent(_) => Some(RETRY.1),
            _ => None,
        }
    }

    /// The answer that says it.
    pub(super) fn answer(&self, reader: &Reader<'_>) -> Response<Body> {
        let (status, title, detail) = self.words(reader);
        let mut answer = if reader.script {
            let problem = serde_json::json!({ "status": status.as_u16(), "title": title, "detail": detail });
            own(status, "application/problem+json", problem.to_string())
        } else {
            let line = if let Notice::Starting(line) = self { Some(line.as_str()) } else { None };
            let retry = self.retry().filter(|_| reader.since.is_some());
            let page = Page { reader, icon: self.icon(), title, detail, line, retry, folder: FOLDER };
            own(status, "text/html; charset=utf-8", page.render().unwrap_or_else(|_| status.to_string()))
        };
        let headers = answer.headers_mut();
        if matches!(self, Notice::Closed | Notice::Starting(_) | Notice::Broken(_) | Notice::Silent(_)) {
            headers.insert(header::RETRY_AFTER, HeaderValue::from(self.retry().unwrap_or(2)));
        } else {
            // Strangers hold no connection, and what is left of their body is not read.
            headers.insert(header::CONNECTION, HeaderValue::from_static("close"));
        }
        answer
    }
}

/// An answer of the gate's own; never kept by a browser.
pub(super) fn own(status: StatusCode, mime: &'static str, body: impl Into<Bytes>) -> Response<Body> {
    let mut answer = Response::new(Either::Left(Full::new(body.into())));
    *answer.status_mut() = status;
    let headers = answer.headers_mut();
    for (name, value) in &HEADERS {
        headers.insert(name.clone(), HeaderValue::from_static(value));
    }
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(mime));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    answer
}

/// The style or the script of these pages; nothing else of the bundle.
pub(super) fn asset(name: &str) -> Option<Response<Body>> {
    if !["gate.", "gate-", "page-gate.", "page-gate-"].iter().any(|start| name.starts_with(start)) {
        return None;
    }
    if let Some((bytes, mime)) = assets::find_in_folder(name) {
        return Some(own(StatusCode::OK, mime, bytes));
    }
    let asset = assets::find(name)?;
    let mut answer = own(StatusCode::OK, asset.mime, asset.bytes);
    answer.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("public, max-age=31536000, immutable"));
    Some(answer)
}
