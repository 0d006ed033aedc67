//! One request at a gate: the walls, the ticket, the pass, then the tool or what is said in its place. Knows no
//! socket.

use super::comfy::{Asking, Outcome, Passage, Tool};
use super::headers::{Crossing, remove_hop};
use super::link::{Download, Home, Trouble, Upload, exchange};
use super::listen::{Gate, Told};
use super::pages::{ASSETS, Body, Notice, Reader, asset, own};
use super::tunnel::Tunnel;
use super::{Admits, ENTER, GateState, Visitor, fresh, walls};
use crate::origins::Origin;
use crate::secrets::{Fingerprint, Secret};
use http_body_util::{BodyExt as _, Either, Full, Limited};
use hyper::body::{Body as _, Incoming};
use hyper::header::{self, HeaderValue};
use hyper::http::request::Parts;
use hyper::upgrade::OnUpgrade;
use hyper::{Method, Request, Response, StatusCode, Version};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::time::timeout;

/// Bytes of the form that brings a ticket.
const FORM_MAX: usize = 4 * 1024;
/// It must be here within this time.
const FORM_TIME: Duration = Duration::from_secs(10);
/// A page that asks what comes next is answered after so long, changed or not: proxies wait no longer than 20 s for
/// a first byte.
const NEWS_TIME: Duration = Duration::from_secs(15);
/// What the cookie of a pass is called, between `easel-` and the port.
const PASS: &str = "gate";

/// What one browser connection needs to answer its requests.
#[derive(Debug)]
pub(super) struct Desk {
    gate: Arc<Gate>,
    number: u64,
    peer: SocketAddr,
    home: Home,
    upgraded: Arc<Mutex<Option<Tunnel>>>,
    /// The pass that the gate was told of last.
    marked: Mutex<Option<Fingerprint>>,
}

impl Desk {
    /// For connection `number` from `peer`. A WebSocket is left in `upgraded`.
    pub(super) fn new(gate: Arc<Gate>, number: u64, peer: SocketAddr, home: Home, upgraded: Arc<Mutex<Option<Tunnel>>>) -> Desk {
        Desk { gate, number, peer, home, upgraded, marked: Mutex::default() }
    }

    /// Answers one request.
    pub(super) async fn answer(&self, request: Request<Incoming>) -> Response<Body> {
        let (parts, body) = request.into_parts();
        let (asked, websocket) = (Asked::of(&parts), walls::is_websocket(&parts));
        let Some(origin) = walls::origin(&parts, &self.gate.origins).cloned() else {
            return self.say(&Notice::Misdirected, asked, None, None);
        };
        if walls::is_barred(&parts.method) {
            return self.say(&Notice::Nothing(StatusCode::METHOD_NOT_ALLOWED), asked, Some(&origin), None);
        }
        if parts.uri.path() == ENTER && parts.method == Method::POST {
            return self.enter(&parts, body, asked, &origin).await;
        }
        if let Some(answer) = parts.uri.path().strip_prefix(ASSETS).and_then(asset) {
            return answer;
        }
        let Some((pass, visitor)) = self.visitor(&parts, &origin) else {
            return self.say(&Notice::Login { stale: false }, asked, Some(&origin), None);
        };
        if !self.mark(pass, &visitor) {
            return self.say(&Notice::Crowded, asked, Some(&origin), Some(&visitor));
        }
        if !walls::may_cross(&parts, &origin) {
            return self.say(&Notice::Foreign, asked, Some(&origin), Some(&visitor));
        }
        if parts.uri.path() == "/__easel/state" {
            return self.news(&parts).await;
        }
        if let Some(answer) = fresh::page(parts.uri.path(), &origin, &visitor.profile) {
            return answer;
        }
        if walls::is_own(parts.uri.path()) {
            return self.say(&Notice::Nothing(StatusCode::NOT_FOUND), asked, Some(&origin), Some(&visitor));
        }
        // A tab asks by itself, again and again; what changes something, a person does. The same holds for a WebSocket:
        // what is said over it counts, its pings and what comes back do not.
        if !parts.method.is_safe() {
            self.gate.count_use(&visitor);
        }
        self.behind(parts, body, asked, websocket, &origin, &visitor).await
    }

    /// What the tool says to somebody who may ask it, or what is said in its place.
    async fn behind(
        &self,
        mut parts: Parts,
        body: Incoming,
        asked: Asked,
        websocket: bool,
        origin: &Origin,
        visitor: &Arc<Visitor>,
    ) -> Response<Body> {
        let from_own_page = walls::is_from_own_page(&parts, origin);
        // What belongs to this connection takes nothing out of what is put in from here on.
        remove_hop(&mut parts.headers);
        let told = self.gate.state.borrow().clone();
        let notice = match told.state {
            GateState::Open { upstream, authorization } => {
                let value = authorization.and_then(|secret| HeaderValue::from_str(secret.expose()).ok());
                if let Some(mut value) = value {
                    value.set_sensitive(true);
                    parts.headers.insert(header::AUTHORIZATION, value);
                }
                let crossing = Crossing { origin, upstream, peer: self.peer.ip().to_canonical(), websocket };
                let Some(guard) = &self.gate.guard else {
                    let passage = Passage { parts, upload: Upload::new(body), ear: None, reserved: false };
                    return self.forward(passage, crossing, asked, visitor).await;
                };
                let admin = self.gate.book.admits(&Admits::Admins, visitor, origin.is_private());
                let tool = Tool { home: &self.home, address: upstream };
                let asking = Asking { parts, body, tool, visitor, admin, websocket, from_own_page };
                return match guard.treat(asking).await {
                    Outcome::Answer(answer) => *answer,
                    Outcome::Forward(passage) => {
                        if passage.reserved && !passage.parts.method.is_safe() {
                            self.gate.book.logins.use_admin(&visitor.login);
                        }
                        self.forward(*passage, crossing, asked, visitor).await
                    }
                    Outcome::Say(notice) => self.say(&notice, asked, Some(origin), Some(visitor)),
                };
            }
            GateState::Closed => Notice::Closed,
            GateState::Starting { line } => Notice::Starting(line),
            GateState::Broken { why } => Notice::Broken(why),
        };
        self.say(&notice, asked, Some(origin), Some(visitor))
    }

    /// Says something in the tool's place.
    fn say(&self, notice: &Notice, asked: Asked, origin: Option<&Origin>, visitor: Option<&Visitor>) -> Response<Body> {
        let profile = visitor.and_then(|visitor| self.gate.book.users.get(&visitor.profile));
        let follows = profile.is_some() && asked.again;
        notice.answer(&Reader {
            tool: &self.gate.name,
            origin,
            tools: origin.map(|origin| format!("{}/tools", self.gate.panel.beside(origin))),
            theme: profile.map_or("system", |profile| profile.theme.as_str()),
            script: asked.script,
            since: follows.then(|| self.gate.state.borrow().number),
        })
    }

    /// Who shows a pass with this request. A host's other ports may have put cookies of the same name beside it.
    fn visitor(&self, parts: &Parts, origin: &Origin) -> Option<(Fingerprint, Arc<Visitor>)> {
        let name = format!("{}=", origin.cookie_name(PASS));
        let sent = parts.headers.get_all(header::COOKIE).iter().flat_map(|value| value.as_bytes().split(|b| *b == b';'));
        let mut shown = sent.filter_map(|cookie| cookie.trim_ascii().strip_prefix(name.as_bytes()));
        shown.find_map(|pass| self.gate.visitor(std::str::from_utf8(pass).ok()?, origin.is_private()))
    }

    /// Tells the gate whose connection this is. False where theirs are too many.
    fn mark(&self, pass: Fingerprint, visitor: &Visitor) -> bool {
        let mut marked = self.marked.lock().expect("nobody panics with this lock");
        if *marked != Some(pass) {
            if !self.gate.mark(self.number, pass, visitor.login) {
                return false;
            }
            *marked = Some(pass);
        }
        true
    }

    /// `POST /__easel/enter`: a ticket for a pass, from a page of Easel itself only.
    async fn enter(&self, parts: &Parts, body: Incoming, asked: Asked, origin: &Origin) -> Response<Body> {
        if !walls::is_from_panel(&parts.headers, &self.gate.panel) {
            return self.say(&Notice::Foreign, asked, Some(origin), None);
        }
        let form = timeout(FORM_TIME, Limited::new(body, FORM_MAX).collect()).await;
        let form = form.ok().and_then(Result::ok).map(|form| form.to_bytes()).unwrap_or_default();
        let fields = std::str::from_utf8(&form).unwrap_or_default().split('&');
        // A ticket is hexadecimal, so nothing in it is ever escaped.
        let ticket = fields.filter_map(|field| field.split_once('=')).find(|(name, _)| *name == "ticket");
        let pass = ticket.and_then(|(_, ticket)| self.gate.enter(ticket, origin.is_private()));
        let Some((pass, visitor)) = pass else {
            return self.say(&Notice::Login { stale: true }, asked, Some(origin), None);
        };
        fresh::welcome(parts, origin, &visitor.profile, cookie(origin, &pass))
    }

    /// `GET /__easel/state?since=N`: what is behind the gate, as soon as it is not number N any more.
    async fn news(&self, parts: &Parts) -> Response<Body> {
        let query = parts.uri.query().unwrap_or_default();
        let since = query.strip_prefix("since=").and_then(|n| n.parse::<u64>().ok());
        let mut told = self.gate.state.subscribe();
        // The sender lives in the gate, which this connection holds; running out of time is an answer too.
        let _ = timeout(NEWS_TIME, told.wait_for(|told| Some(told.number) != since)).await;
        let Told { number, state } = told.borrow().clone();
        let (state, line) = match state {
            GateState::Closed => ("closed", None),
            GateState::Starting { line } => ("starting", Some(line)),
            GateState::Open { .. } => ("open", None),
            GateState::Broken { .. } => ("broken", None),
        };
        let news = serde_json::json!({ "number": number, "state": state, "line": line });
        own(StatusCode::OK, "application/json", news.to_string())
    }

    /// Carries a request to the tool and its answer back.
    async fn forward(&self, passage: Passage, crossing: Crossing<'_>, asked: Asked, visitor: &Arc<Visitor>) -> Response<Body> {
        let Passage { mut parts, upload, ear, .. } = passage;
        let (origin, upstream) = (crossing.origin, crossing.upstream);
        // `OPTIONS *` is about no file of the tool.
        let Some(target) = parts.uri.path_and_query().filter(|target| target.as_str().starts_with('/')).cloned() else {
            return self.say(&Notice::Nothing(StatusCode::BAD_REQUEST), asked, Some(origin), Some(visitor));
        };
        let browser = parts.extensions.remove::<OnUpgrade>().filter(|_| crossing.websocket);
        let mut request = Request::new(upload);
        *request.method_mut() = parts.method;
        *request.uri_mut() = target.into();
        let streamed = !request.body().is_end_stream() && !parts.headers.contains_key(header::CONTENT_LENGTH);
        *request.headers_mut() = parts.headers;
        crossing.to_tool(request.headers_mut(), streamed);
        let (mut answer, link) = match exchange(&self.home, upstream, request).await {
            Ok(answered) => answered,
            Err(trouble) => return self.say(&silent(&trouble), asked, Some(origin), Some(visitor)),
        };
        let switches = answer.status() == StatusCode::SWITCHING_PROTOCOLS;
        Crossing { websocket: switches, ..crossing }.to_browser(answer.headers_mut());
        *answer.version_mut() = Version::HTTP_11;
        match (switches, browser) {
            (false, _) => answer.map(|body| Either::Right(Download::new(body, link, self.home.clone()))),
            // The tunnel begins when the browser's connection has said so.
            (true, Some(browser)) => {
                *self.upgraded.lock().expect("nobody panics with this lock") =
                    Some(Tunnel { browser, tool: link, visitor: visitor.clone(), gate: self.gate.clone(), ear });
                answer.map(|_| Either::Left(Full::default()))
            }
            (true, None) => {
                let why = Notice::Silent("it changed to a protocol that nobody asked for".into());
                self.say(&why, asked, Some(origin), Some(visitor))
            }
        }
    }
}

/// How a request wants to be answered where the gate itself answers.
#[derive(Clone, Copy, Debug)]
struct Asked {
    /// For a script.
    script: bool,
    /// A page may ask the same again by itself.
    again: bool,
}

impl Asked {
    fn of(parts: &Parts) -> Asked {
        Asked { script: walls::is_for_a_script(parts), again: parts.method == Method::GET }
    }
}

/// Why a tool did not answer, for people; the whole of it goes to the log.
pub(super) fn silent(trouble: &Trouble) -> Notice {
    let why = match trouble {
        Trouble::Refused(e) if e.kind() == std::io::ErrorKind::ConnectionRefused => "nothing listens on its internal port".into(),
        Trouble::Refused(e) => format!("its internal port cannot be reached ({e})"),
        Trouble::Broke(e) if e.is_parse() => "what it said is no HTTP".into(),
        Trouble::Broke(_) => "it broke the connection off in the middle".into(),
    };
    tracing::warn!("a tool did not answer its gate: {trouble:?}");
    Notice::Silent(why)
}

/// The cookie of a pass: for this browser session, at this gate.
fn cookie(origin: &Origin, pass: &Secret) -> HeaderValue {
    let secure = if origin.https { "; Secure" } else { "" };
    let text = format!("{}={}; Path=/; HttpOnly; SameSite=Lax{secure}", origin.cookie_name(PASS), pass.expose());
    let mut value = HeaderValue::from_str(&text).expect("a name, a port and hexadecimal digits are ASCII");
    value.set_sensitive(true);
    value
}
