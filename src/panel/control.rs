//! What the command line may ask of a studio, whether a server runs or not: one enum of questions, one of
//! answers, and the desk that answers them. Knows no HTTP. `control/socket.rs` carries them, one JSON line
//! each way.

pub mod socket;

use crate::audit::{Audit, Deed, Kind};
use crate::boot::{Boot, sync::Work};
use crate::config::Config;
use crate::datafolder::{DataFolder, DataFolderError};
use crate::doors::{Doors, TicketKind};
use crate::engine_client::{EngineStatus, EngineView, Engines, Together};
use crate::logins::Logins;
use crate::secrets::{Secret, check_password, check_pin};
use crate::store::{Store, StoreError};
use crate::users::{Name, Profile, ProfileId, Role, UserError, Users};
use crate::{App, Clock};
use serde::{Deserialize, Serialize};

/// Who did it, in the record of changes.
const BY: &str = "command line";

/// What is asked. `user` is an id, or a name that only one profile has.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "ask", rename_all = "snake_case", deny_unknown_fields)]
#[allow(missing_docs, reason = "the fields are those of the command line")]
pub enum Control {
    /// How the server is.
    Status,
    /// All profiles.
    UserList,
    /// A new profile.
    UserAdd { name: Name, id: Option<ProfileId>, role: Role },
    /// Sets the PIN, or removes it.
    UserSetPin { user: String, pin: Option<Secret> },
    /// Sets the password for admin mode.
    UserSetPassword { user: String, password: Secret },
    /// Ends its logins and keeps it from being picked.
    UserDisable { user: String },
    /// Makes it usable again.
    UserEnable { user: String },
    /// Gives the role that users.toml asks for.
    UserConfirm { user: String },
    /// Does not give it.
    UserRefuse { user: String },
    /// Another role.
    UserSetRole { user: String, role: Role },
    /// Another name.
    UserRename { user: String, name: Name },
    /// A new API token, shown once.
    UserToken { user: String },
    /// Ends its API tokens.
    UserRevokeTokens { user: String },
    /// A link into the studio.
    KeyShowLink { user: Option<String> },
    /// A new studio key, shown once; all logins end.
    KeyReset,
    /// Work on repositories, by the server that runs.
    Sync { work: Work },
}

/// What is answered.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "answer", rename_all = "snake_case")]
#[allow(missing_docs, reason = "the fields say what they are")]
pub enum Reply {
    /// It is done; a sentence says what.
    Done { message: String },
    /// The profiles, oldest first, and what is wrong with users.toml.
    Users { users: Vec<UserLine>, problems: Vec<String> },
    /// A secret that is shown this once, and what it is for.
    Once { message: String, secret: Secret },
    /// The server.
    Status(Status),
    /// It cannot be done as asked.
    Refused { why: String },
    /// It went wrong.
    Failed { why: String },
}

/// A profile on a terminal.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[allow(missing_docs, reason = "the fields say what they are")]
pub struct UserLine {
    pub id: String,
    pub name: String,
    pub role: Role,
    pub pending: Option<Role>,
    pub has_pin: bool,
    pub has_password: bool,
    pub disabled: bool,
}

/// How a server is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[allow(missing_docs, reason = "the fields say what they are")]
pub struct Status {
    pub version: String,
    pub pid: u32,
    pub url: String,
    /// Where the engines compute and how they are, in words.
    pub engine: String,
    pub profiles: usize,
    pub problems: Vec<String>,
}

/// Answers questions: over the parts of a running server, or over the store of one that is not running.
#[derive(Clone, Debug)]
pub struct Desk {
    users: Users,
    logins: Logins,
    doors: Doors,
    audit: Audit,
    /// Who asks, in the audit trail.
    by: String,
    /// Only a running server has one.
    engines: Option<Engines>,
    /// And does such work itself.
    boot: Option<Boot>,
}

/// Why the store could not be opened for a command.
#[derive(Debug, thiserror::Error)]
pub enum OfflineError {
    /// Somebody has the folder, or it cannot be used.
    #[error(transparent)]
    Folder(#[from] DataFolderError),
    /// The store cannot be opened.
    #[error(transparent)]
    Open(#[from] crate::store::OpenError),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The configuration names no origin.
    #[error(transparent)]
    Door(#[from] crate::doors::DoorError),
}

impl Desk {
    /// Of a running server.
    pub fn of(app: &App) -> Desk {
        Desk {
            users: app.users.clone(),
            logins: app.logins.clone(),
            doors: app.doors.clone(),
            audit: app.audit.clone(),
            by: BY.into(),
            engines: Some(app.engines.clone()),
            boot: Some(app.boot.clone()),
        }
    }

    /// The same desk, asked by a profile.
    pub fn asked_by(self, profile: &ProfileId) -> Desk {
        Desk { by: profile.to_string(), ..self }
    }

    /// Of a studio that nobody serves: takes the data folder for as long as the command runs.
    pub async fn offline(config: &Config) -> Result<(DataFolder, Desk), OfflineError> {
        let folder = DataFolder::take(&config.data, &config.surroundings)?;
        let (store, clock) = (Store::open(&config.data.join("state"))?.guarded(folder.guard()), Clock::real());
        let doors = Doors::open(config, config.port, store.clone(), clock.clone())?;
        let users = Users::open(store.clone(), clock.clone()).await?;
        let logins = Logins::open(store.clone(), clock.clone()).await?;
        Ok((folder, Desk { users, logins, doors, audit: Audit::new(store, clock), by: BY.into(), engines: None, boot: None }))
    }

    /// Does what is asked.
    pub async fn answer(&self, ask: Control) -> Reply {
        match self.carry_out(ask).await {
            Ok(reply) => reply,
            Err(UserError::Store(e)) => Reply::Failed { why: e.to_string() },
            Err(e) => Reply::Refused { why: e.to_string() },
        }
    }

    /// Does what is asked, with refusals as errors.
    ///
    /// # Errors
    /// [`UserError`] says what is wrong with the question, or that the store failed.
    pub async fn carry_out(&self, ask: Control) -> Result<Reply, UserError> {
        let done = |message: String| Ok(Reply::Done { message });
        let by = self.by.as_str();
        match ask {
            Control::Status => Ok(self.status()),
            Control::UserList => {
                let users = self.users.list().into_iter().map(line).collect();
                Ok(Reply::Users { users, problems: self.users.problems() })
            }
            Control::UserAdd { name, id, role } => {
                let made = self.users.add(name, id, role, by).await?;
                done(format!("Made {} with the id \"{}\".", made.name, made.id))
            }
            Control::UserSetPin { user, pin } => self.set_pin(&user, pin).await,
            Control::UserSetPassword { user, password } => {
                check_password(&password)?;
                let profile = self.users.find(&user)?;
                let hash = self.doors.hasher().hash(password).await?;
                self.users.set_password(&profile.id, hash, by).await?;
                done(format!("{} has a new password for admin mode.", profile.name))
            }
            Control::UserDisable { user } => {
                let profile = self.users.find(&user)?;
                self.not_oneself(&profile)?;
                self.users.set_disabled(&profile.id, true, by).await?;
                self.logins.end_of(profile.id).await?;
                done(format!("{} is disabled and logged out. The files are kept.", profile.name))
            }
            Control::UserEnable { user } => {
                let profile = self.users.find(&user)?;
                self.users.set_disabled(&profile.id, false, by).await?;
                done(format!("{} can be picked again.", profile.name))
            }
            Control::UserConfirm { user } => self.change_role(&user, None).await,
            Control::UserRefuse { user } => {
                let profile = self.users.find(&user)?;
                self.users.refuse_role(&profile.id, by).await?;
                done(format!("{} stays an {}.", profile.name, profile.role.as_str()))
            }
            Control::UserSetRole { user, role } => self.change_role(&user, Some(role)).await,
            Control::UserRename { user, name } => {
                let profile = self.users.find(&user)?;
                let now = self.users.rename(&profile.id, name, by).await?;
                done(format!("{} is now called {}.", profile.name, now.name))
            }
            Control::UserToken { user } => {
                let profile = self.users.find(&user)?;
                let secret = self.logins.new_token(profile.id.clone()).await?;
                self.note(Kind::Profile, format!("new API token: {}", profile.id)).await?;
                Ok(Reply::Once { message: format!("API token of {}, shown this once:", profile.name), secret })
            }
            Control::UserRevokeTokens { user } => {
                let profile = self.users.find(&user)?;
                let count = self.logins.end_tokens_of(profile.id.clone()).await?;
                self.note(Kind::Profile, format!("ended the API tokens: {}", profile.id)).await?;
                done(format!("{count} API tokens of {} are worth nothing now.", profile.name))
            }
            Control::KeyShowLink { user } => self.show_link(user).await,
            Control::KeyReset => {
                let secret = self.doors.new_key().await?;
                self.logins.forget_all();
                self.note(Kind::Key, "reset the studio key".into()).await?;
                Ok(Reply::Once { message: "Everybody is logged out. New studio key, shown this once:".into(), secret })
            }
            Control::Sync { work } => self.sync(work).await,
        }
    }

    async fn sync(&self, work: Work) -> Result<Reply, UserError> {
        let Some(boot) = &self.boot else {
            return Ok(Reply::Refused { why: "No server runs on this data folder.".into() });
        };
        let deed = work.to_string();
        match boot.work(work, ProfileId::studio()).await {
            Ok(session) => {
                self.note(Kind::Studio, deed).await?;
                let url = self.doors.origins().own();
                Ok(Reply::Done { message: format!("The studio does it now; watch it at {url}/sessions/{}", session.as_str()) })
            }
            Err(e) => Ok(Reply::Refused { why: e.to_string() }),
        }
    }

    /// Whoever asks must not be the one it is done to.
    fn not_oneself(&self, profile: &Profile) -> Result<(), UserError> {
        if profile.id.as_str() == self.by { Err(UserError::Oneself) } else { Ok(()) }
    }

    /// Writes down what the store's own transactions do not.
    async fn note(&self, kind: Kind, what: String) -> Result<(), UserError> {
        Ok(self.audit.write(Deed::done(&self.by, kind, what)).await?)
    }

    /// Gives a role: this one, or the one that waits for confirmation.
    async fn change_role(&self, user: &str, role: Option<Role>) -> Result<Reply, UserError> {
        let profile = self.users.find(user)?;
        let now = match role {
            None => self.users.confirm_role(&profile.id, &self.by).await?,
            Some(role) => {
                self.not_oneself(&profile)?;
                self.users.set_role(&profile.id, role, &self.by).await?
            }
        };
        Ok(Reply::Done { message: format!("{} is an {}.", now.name, now.role.as_str()) })
    }

    /// Sets or removes a PIN. Whoever is logged in without it is logged out.
    async fn set_pin(&self, user: &str, pin: Option<Secret>) -> Result<Reply, UserError> {
        let profile = self.users.find(user)?;
        let hash = match pin {
            Some(pin) => {
                check_pin(&pin)?;
                Some(self.doors.hasher().hash(pin).await?)
            }
            None => None,
        };
        let word = if hash.is_some() { "has a new PIN" } else { "has no PIN any more" };
        self.users.set_pin(&profile.id, hash, &self.by).await?;
        self.logins.end_of(profile.id).await?;
        Ok(Reply::Done { message: format!("{} {word}.", profile.name) })
    }

    async fn show_link(&self, user: Option<String>) -> Result<Reply, UserError> {
        let profile = user.map(|user| self.users.find(&user)).transpose()?;
        let whom = profile.as_ref().map_or_else(|| "nobody in particular".into(), |p| p.id.to_string());
        let secret = self.doors.link(TicketKind::Studio, profile.map(|p| p.id)).await?;
        self.note(Kind::Key, format!("made a link into the studio: {whom}")).await?;
        Ok(Reply::Once { message: "This link works once, for 15 minutes:".into(), secret })
    }

    fn status(&self) -> Reply {
        let Some(engines) = &self.engines else {
            return Reply::Refused { why: "No server runs on this data folder.".into() };
        };
        Reply::Status(Status {
            version: env!("CARGO_PKG_VERSION").into(),
            pid: std::process::id(),
            url: self.doors.origins().own().to_string(),
            engine: in_words(&engines.views()),
            profiles: self.users.list().len(),
            problems: self.users.problems(),
        })
    }
}

/// "ready on 2 × NVIDIA H100, f16; failed (engine 3): exited with code 3".
pub fn in_words(engines: &[EngineView]) -> String {
    let together = Together::of(engines);
    let mut words = match together.status {
        // Nothing is known of any yet.
        EngineStatus::Starting => return "starting".into(),
        EngineStatus::Ready if together.device.is_empty() => vec!["ready".to_owned()],
        EngineStatus::Ready => vec![format!("ready on {}", together.device)],
        _ => Vec::new(),
    };
    for (i, view) in engines.iter().enumerate() {
        let which = if engines.len() == 1 { String::new() } else { format!(" (engine {})", i + 1) };
        match (&view.status, &view.no_gpu) {
            (EngineStatus::Ready, _) => {}
            (EngineStatus::Starting, _) => words.push(format!("starting{which}")),
            (EngineStatus::Restarting { why }, _) => words.push(format!("starting again{which}: {why}")),
            (EngineStatus::Failed { why }, _) => words.push(format!("failed{which}: {why}")),
            (EngineStatus::Stopped, Some(why)) if engines.len() > 1 => words.push(format!("set aside{which}: {why}")),
            (EngineStatus::Stopped, _) => words.push(format!("stopped{which}")),
        }
    }
    words.join("; ")
}

fn line(p: Profile) -> UserLine {
    UserLine {
        id: p.id.to_string(),
        name: p.name,
        role: p.role,
        pending: p.pending,
        has_pin: p.has_pin,
        has_password: p.has_password,
        disabled: p.disabled,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use protocol::NoGpu;

    #[test]
    fn one_engine_and_several_are_told_of_in_words() {
        let ready = |device: &str| EngineView { status: EngineStatus::Ready, device: device.into(), ..EngineView::default() };
        let failed = EngineView { status: EngineStatus::Failed { why: "exited with code 3".into() }, ..EngineView::default() };
        let aside = EngineView {
            status: EngineStatus::Stopped,
            no_gpu: Some(NoGpu::Unusable("No GPU is used.".into())),
            ..EngineView::default()
        };
        assert_eq!(in_words(&[EngineView::default()]), "starting");
        assert_eq!(in_words(&[ready("CPU, 2 cores")]), "ready on CPU, 2 cores");
        assert_eq!(in_words(std::slice::from_ref(&failed)), "failed: exited with code 3");
        let told = in_words(&[ready("H100"), failed, ready("H100"), aside]);
        assert_eq!(told, "ready on 2 × H100; failed (engine 2): exited with code 3; set aside (engine 4): No GPU is used.");
    }
}
