//! What is done with a request for ComfyUI, treatment by treatment: asks, filters, answers, or lets it through rewritten.
//! Which treatment a route gets is `routes.txt`; what is taken out of an answer is `lists.rs`.

use super::address::Address;
use super::names::{As, File, Kind, Owner};
use super::routes::{Treatment, find};
use super::upstream::{Failure, Question, Told, Tool, USER};
use super::{Ear, Guard, Outcome, Passage, Refusal, Run, aside, bodies, lists, socket, turn};
use crate::beneath::Beneath;
use crate::gate::Visitor;
use crate::gate::link::Upload;
use crate::gate::pages::{Body, Notice, own};
use crate::secrets::random_token;
use crate::users::ProfileId;
use hyper::body::{Bytes, Incoming};
use hyper::header::{self, HeaderValue};
use hyper::http::request::Parts;
use hyper::{Method, Response, StatusCode};
use serde_json::Value;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::time::timeout_at;

/// Prompts that `GET /history` tells of where no number is asked for, and at most.
const HISTORY_MAX: usize = 1_000;
/// So long `GET /history` collects: what it has then is told.
const HISTORY_TIME: Duration = Duration::from_secs(15);
/// Keys of `GET /view` that say how a picture is shown, and of the previews of ComfyUI-VideoHelperSuite.
const SHOWN_AS: [&str; 16] = [
    "preview",
    "channel",
    "rand",
    "t",
    "timestamp",
    "frame_rate",
    "force_rate",
    "force_size",
    "frame_load_cap",
    "skip_first_frames",
    "skip_first_images",
    "select_every_nth",
    "start_time",
    "duration",
    "deadline",
    "format",
];
/// Characters of a value of those.
const SHOWN_MAX: usize = 64;

/// A request at the gate of ComfyUI, from somebody whom the gate has let in.
pub(in crate::gate) struct Asking<'a> {
    pub(in crate::gate) parts: Parts,
    pub(in crate::gate) body: Incoming,
    pub(in crate::gate) tool: Tool<'a>,
    pub(in crate::gate) visitor: &'a Visitor,
    /// It is an admin's in admin mode.
    pub(in crate::gate) admin: bool,
    /// It asks for a WebSocket.
    pub(in crate::gate) websocket: bool,
    /// It comes from a page of this gate, and not by a link or a script of elsewhere.
    pub(in crate::gate) from_own_page: bool,
}

/// A request on its way through a treatment.
pub(super) struct Call<'a> {
    pub(super) guard: &'a Guard,
    pub(super) run: Arc<Run>,
    pub(super) tool: Tool<'a>,
    pub(super) profile: &'a ProfileId,
    pub(super) owner: Owner,
    pub(super) admin: bool,
    from_own_page: bool,
    address: Address,
    /// The path without `/api`.
    path: Vec<String>,
}

/// Why there is no plain answer.
pub(super) enum No {
    Refused(Refusal),
    Failed(Failure),
}

impl From<Refusal> for No {
    fn from(why: Refusal) -> No {
        No::Refused(why)
    }
}

impl From<Failure> for No {
    fn from(why: Failure) -> No {
        No::Failed(why)
    }
}

impl Guard {
    /// What becomes of a request.
    pub(in crate::gate) async fn treat(&self, asking: Asking<'_>) -> Outcome {
        let Asking { mut parts, body, tool, visitor, admin, websocket, from_own_page } = asking;
        let Some(address) = Address::parse(parts.uri.path(), parts.uri.query()) else {
            return Outcome::Say(Notice::Refused("Its address can be read in more than one way.".into()));
        };
        // Whom ComfyUI keeps things for is said below, where it is said at all.
        parts.headers.remove(USER);
        let (treatment, path) = find(&parts.method, &address.segments);
        // Nothing but its own socket becomes one; the rest is carried as the plain request that it also is.
        let path = path.to_vec();
        if websocket && treatment != Treatment::Socket && !admin {
            return Outcome::Say(Notice::Reserved);
        }
        let profile = &visitor.profile;
        let (run, owner) = (self.run(), Owner::of(profile));
        let call = Call { guard: self, run, tool, profile, owner, admin, from_own_page, address, path };
        match call.treat(treatment, parts, body, websocket).await {
            Ok(outcome) => outcome,
            Err(No::Refused(why)) if treatment == Treatment::Prompt => Outcome::answer(bodies::refused_prompt(&why)),
            Err(No::Refused(why)) => Outcome::Say(Notice::Refused(why.why)),
            // What this ComfyUI does not have, or does not take, it says itself.
            Err(No::Failed(Failure::Status(status))) if status.is_client_error() => {
                Outcome::answer(own(status, "text/plain; charset=utf-8", ""))
            }
            Err(No::Failed(failure)) => Outcome::Say(silent(failure)),
        }
    }
}

impl Call<'_> {
    async fn treat(self, treatment: Treatment, parts: Parts, body: Incoming, websocket: bool) -> Result<Outcome, No> {
        match treatment {
            Treatment::Pass => self.pass(parts, body, None),
            Treatment::User => {
                let user = self.run.user_of(self.profile, self.tool).await?;
                self.pass(parts, body, Some(&user))
            }
            Treatment::NoThings if !self.admin => json(&serde_json::json!({})),
            Treatment::NoList if !self.admin => json(&serde_json::json!([])),
            Treatment::NoWord if !self.admin => Ok(Outcome::answer(own(StatusCode::OK, "text/plain; charset=utf-8", ""))),
            // Some change things by GET, so a link that leads here from elsewhere must not be enough.
            treatment if treatment.is_admins() && self.admin && !self.from_own_page => Ok(Outcome::Say(Notice::Foreign)),
            treatment if treatment.is_admins() && self.admin => {
                let user = self.run.user_of(self.profile, self.tool).await?;
                self.pass(parts, body, Some(&user)).map(|outcome| match outcome {
                    Outcome::Forward(passage) => Outcome::Forward(Box::new(Passage { reserved: true, ..*passage })),
                    other => other,
                })
            }
            Treatment::Admin => Ok(Outcome::Say(Notice::Reserved)),
            Treatment::Users => json(&serde_json::json!({ "storage": "server", "migrated": true })),
            Treatment::View => self.view(parts, body),
            Treatment::Socket => self.socket(parts, body, websocket),
            Treatment::Upload | Treatment::UploadMask => self.upload(&parts, body, treatment == Treatment::UploadMask).await,
            Treatment::Prompt => {
                let turns = self.run.turns(self.profile);
                let _turn = turn(&turns.reads).await?;
                self.prompt(bodies::json(body).await?).await
            }
            Treatment::QueueEdit | Treatment::HistoryEdit | Treatment::Interrupt | Treatment::Free => {
                let turns = self.run.turns(self.profile);
                let _turn = turn(&turns.reads).await?;
                let body = bodies::json_or_nothing(body).await?;
                self.change(treatment, &body).await
            }
            _ => {
                let turns = self.run.turns(self.profile);
                let _turn = turn(&turns.reads).await?;
                self.tell(treatment).await
            }
        }
    }

    /// Lets it through, its address written so that it can be read in one way only.
    fn pass(self, mut parts: Parts, body: Incoming, user: Option<&str>) -> Result<Outcome, No> {
        let refused = || Refusal::new("Its address cannot be written.".into());
        parts.uri = self.address.text().parse().map_err(|_| refused())?;
        if let Some(user) = user {
            parts.headers.insert(USER, HeaderValue::from_str(user).map_err(|_| refused())?);
        }
        Ok(Outcome::Forward(Box::new(Passage { parts, upload: Upload::new(body), ear: None, reserved: false })))
    }

    /// Files of the profile's own.
    fn view(mut self, parts: Parts, body: Incoming) -> Result<Outcome, No> {
        let twice = || Refusal::new("Its address says one thing twice.".into());
        let one = |key: &str| self.address.one(key).map_err(|()| twice());
        let kind = Kind::parse(one("type")?.unwrap_or("output"));
        let kind = kind.ok_or_else(|| Refusal::new("type must be input, output or temp.".into()))?;
        let name = one("filename")?.ok_or_else(|| Refusal::new("It names no file.".into()))?;
        let has = |file: &File| self.run.has(self.profile, file);
        // All but ComfyUI's own route play what they are asked for.
        let read = if self.path == ["view"] { As::Bytes } else { As::Media };
        let file = self.owner.file_as(read, kind, one("subfolder")?.unwrap_or_default(), name, &has)?;
        let mut query = vec![
            ("filename".to_owned(), file.name),
            ("subfolder".to_owned(), file.subfolder),
            ("type".to_owned(), file.kind.as_str().to_owned()),
        ];
        for key in SHOWN_AS {
            if let Some(value) = one(key)?.filter(|value| is_plain(value)) {
                query.push((key.to_owned(), value.to_owned()));
            }
        }
        self.address.query = query;
        self.pass(parts, body, None)
    }

    /// The stream of what happens: under a name that is the profile's, and in frames that can be read.
    fn socket(mut self, mut parts: Parts, body: Incoming, websocket: bool) -> Result<Outcome, No> {
        if !websocket {
            return Err(Refusal::new("This address is a WebSocket's.".into()).into());
        }
        let shown = self.address.one("clientId").map_err(|()| Refusal::new("clientId is there twice.".into()))?;
        let random = random_token();
        let shown = shown.filter(|shown| !shown.is_empty()).unwrap_or(&random.expose()[..32]);
        let client = self.owner.client(shown);
        let client = client.ok_or_else(|| Refusal::new("clientId may have letters, digits, - and _.".into()))?;
        self.address.query = vec![("clientId".to_owned(), client)];
        // Nothing is compressed that has to be read.
        parts.headers.remove(header::SEC_WEBSOCKET_EXTENSIONS);
        parts.headers.remove(header::SEC_WEBSOCKET_PROTOCOL);
        let ear =
            Ear { run: self.run.clone(), profile: self.profile.clone(), owner: self.owner.clone(), address: self.tool.address };
        match self.pass(parts, body, None)? {
            Outcome::Forward(mut passage) => {
                passage.ear = Some(ear);
                Ok(Outcome::Forward(passage))
            }
            other => Ok(other),
        }
    }

    async fn upload(self, parts: &Parts, body: Incoming, mask: bool) -> Result<Outcome, No> {
        let turns = self.run.turns(self.profile);
        let form = bodies::form(&turns.uploads, parts, body).await?;
        let has = |file: &File| self.run.has(self.profile, file);
        let random = random_token();
        let written = super::form::rewrite(&form.mime, form.body.clone(), mask, &self.owner, &has, random.expose()).await?;
        let question = Question {
            method: Method::POST,
            target: if mask { "/upload/mask" } else { "/upload/image" },
            body: Some((&written.mime, Bytes::from(written.body))),
            user: None,
        };
        Ok(Outcome::answer(as_told(self.tool.ask(question).await?)))
    }

    /// What is told, without what is another's.
    async fn tell(self, treatment: Treatment) -> Result<Outcome, No> {
        let owns = |id: &str| self.run.owns(self.profile, id);
        let address = self.address.text();
        let asked = async |target: &str| -> Result<Value, Failure> { self.tool.ask(Question::get(target)).await?.json().await };
        let told = match treatment {
            Treatment::Count => lists::remaining(socket::count(&self.run, self.profile, self.tool).await?),
            Treatment::Queue => {
                let (kept, owner) = (self.tool.queue(owns).await?.kept().map_err(Failure::from)?, self.owner.clone());
                let told = aside(kept.size, move || kept.told(&owner).to_string()).await.ok_or(Failure::Unreadable)?;
                return Ok(Outcome::answer(own(StatusCode::OK, "application/json", told)));
            }
            Treatment::Folders => lists::folders(asked(&address).await?),
            Treatment::Stats => lists::stats(asked("/system_stats").await?),
            Treatment::Lists => lists::without_others(asked(&address).await?, &self.owner),
            Treatment::Nodes => return self.nodes(&address).await,
            Treatment::Files => {
                let kind = self.path.last().and_then(|kind| Kind::parse(kind));
                let kind = kind.ok_or_else(|| Refusal::new("There are input, output and temp.".into()))?;
                Value::from(self.files(kind).await?)
            }
            Treatment::History => self.history().await?,
            Treatment::HistoryOf => {
                let id = self.path.last().filter(|id| owns(id)).cloned();
                let mut told = serde_json::Map::new();
                if let Some(id) = id
                    && let Some(entry) = self.entry(&id).await?
                {
                    told.insert(id, entry);
                }
                Value::Object(told)
            }
            Treatment::Jobs => {
                let mut all = self.address.clone();
                let number = |key: &str| self.address.one(key).ok().flatten().and_then(|n| n.parse::<usize>().ok());
                let (offset, limit) = (number("offset").unwrap_or(0), number("limit"));
                all.query.retain(|(key, _)| key != "offset" && key != "limit");
                lists::jobs(&asked(&all.text()).await?, offset, limit, owns)
            }
            Treatment::Job => match self.path.last().filter(|id| owns(id)) {
                Some(_) => return Ok(Outcome::answer(as_told(self.tool.ask(Question::get(&address)).await?))),
                None => return Ok(Outcome::answer(bodies::no_such_job())),
            },
            // Everything else has been treated.
            _ => return Ok(Outcome::Say(Notice::Reserved)),
        };
        json(&told)
    }

    /// The nodes, which are many: whoever sends a graph is told by them what they take.
    async fn nodes(&self, address: &str) -> Result<Outcome, No> {
        let files = self.files(Kind::Input).await?;
        let told = self.tool.ask(Question::get(address)).await?;
        let length = told.body.len();
        let told = told.json().await?;
        let (run, owner) = (self.run.clone(), self.owner.clone());
        let shown = aside(length, move || {
            run.known().learn(&told);
            lists::nodes(told, &files, &owner).to_string()
        });
        let shown = shown.await.ok_or(Failure::Unreadable)?;
        Ok(Outcome::answer(own(StatusCode::OK, "application/json", shown)))
    }

    /// One of the profile's own prompts, if it has run.
    async fn entry(&self, id: &str) -> Result<Option<Value>, Failure> {
        let told = self.tool.ask(Question::get(&format!("/history/{id}"))).await?.json().await?;
        let entry = lists::history(told, id, &self.owner);
        if let Some(entry) = &entry {
            self.run.owners().made(self.profile, lists::outputs(entry));
        }
        Ok(entry)
    }

    /// The profile's own prompts that have run, in their order: the newest so many, or so many from an offset on.
    async fn history(&self) -> Result<Value, Failure> {
        let number = |key: &str| self.address.one(key).ok().flatten().and_then(|n| n.parse::<usize>().ok());
        let (most, offset) = (number("max_items").unwrap_or(HISTORY_MAX).min(HISTORY_MAX), number("offset"));
        let until = Instant::now() + HISTORY_TIME;
        // What is in the queue has not run yet.
        self.run.queue(self.tool).await?;
        let mut ids = self.run.owners().over(self.profile);
        if offset.is_some() {
            ids.reverse();
        }
        let wanted = most.saturating_add(offset.unwrap_or(0));
        let mut found = Vec::new();
        for id in ids {
            if found.len() >= wanted {
                break;
            }
            match timeout_at(until.into(), self.entry(&id)).await.unwrap_or(Err(Failure::Slow)) {
                Ok(Some(entry)) => found.push((id, entry)),
                // It was taken out of the queue, or ComfyUI has forgotten it.
                Ok(None) => self.run.owners().release(&id),
                Err(Failure::Unreadable | Failure::TooLarge | Failure::Status(_)) => {
                    tracing::warn!("an entry of ComfyUI's history cannot be read and is left out");
                }
                Err(failure) if found.is_empty() => return Err(failure),
                Err(_) => break,
            }
        }
        match offset {
            Some(offset) => drop(found.drain(..offset.min(found.len()))),
            None => found.reverse(),
        }
        Ok(Value::Object(found.into_iter().collect()))
    }

    /// Names of the profile's own files in one of ComfyUI's folders, as a node's choice holds them.
    async fn files(&self, kind: Kind) -> Result<Vec<String>, Failure> {
        let (folders, own) = (self.guard.folders.clone(), self.owner.folder().to_owned());
        let read = move || -> std::io::Result<Vec<String>> {
            let path = format!("{}/{}/{own}", folders.program, kind.as_str());
            let folder = Beneath::open(&folders.workspace)?.existing(&path)?;
            let mut names = folder.names()?;
            names.sort_unstable();
            Ok(names.into_iter().map(|name| format!("{own}/{name}")).collect())
        };
        // A folder that is not there yet has nothing in it.
        Ok(tokio::task::spawn_blocking(read).await.ok().and_then(Result::ok).unwrap_or_default())
    }
}

/// Whether a value says how something is shown, and nothing else.
fn is_plain(value: &str) -> bool {
    value.len() <= SHOWN_MAX
        && value.bytes().all(|b| b.is_ascii_alphanumeric() || b"./;:?x-".contains(&b))
        && !value.contains("..")
}

fn json(told: &Value) -> Result<Outcome, No> {
    Ok(Outcome::answer(own(StatusCode::OK, "application/json", told.to_string())))
}

/// ComfyUI's answer as it is; only its kind and its body, and never kept by a browser.
pub(super) fn as_told(told: Told) -> Response<Body> {
    let mut answer = own(told.status, "text/plain; charset=utf-8", told.body);
    let mime = told.mime.unwrap_or_else(|| HeaderValue::from_static("text/plain; charset=utf-8"));
    answer.headers_mut().insert(header::CONTENT_TYPE, mime);
    answer
}

/// Why ComfyUI did not answer the gate.
fn silent(failure: Failure) -> Notice {
    let why = match failure {
        Failure::Trouble(trouble) => return crate::gate::service::silent(&trouble),
        Failure::Slow => "it is busy and answered too late".into(),
        Failure::TooLarge => "it said more than the gate reads".into(),
        Failure::Unreadable => "it said what the gate cannot read, and so shows nobody".into(),
        Failure::Status(status) => format!("it answered the gate with {status}"),
    };
    Notice::Silent(why)
}
