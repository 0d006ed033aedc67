//! The front door: the studio key, the keyless rule, the origins, tickets, and how often secrets may be
//! guessed. Knows no page and no HTTP types.

mod guesses;
mod keyless;
mod sources;

pub use guesses::{Guesses, PER_DAY, Turn};
pub use keyless::{Asker, is_keyless};

use crate::clock::Clock;
use crate::config::{Config, ConfigError, Surroundings};
use crate::origins::Origins;
use crate::secrets::{Fingerprint, Hasher, Phc, Secret, SecretError, normalise_key, random_token, studio_key};
use crate::store::{Store, StoreError, accounts};
use crate::users::ProfileId;
use crate::{sockets, uids};
use sources::Sources;
use std::net::{IpAddr, SocketAddr};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// A ticket can be used for so long, in ms: 15 minutes.
const TICKET_LIFE: i64 = 15 * 60 * 1_000;
/// Guesses are forgotten so long after they matter, in ms: 2 days.
const FORGET: i64 = 2 * 24 * 60 * 60 * 1_000;

/// What a ticket opens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TicketKind {
    /// The studio, perhaps for a named profile.
    Studio,
    /// The page that sets a profile's first password.
    Password,
}

impl TicketKind {
    fn as_str(self) -> &'static str {
        match self {
            TicketKind::Studio => "studio",
            TicketKind::Password => "password",
        }
    }

    /// The page that takes it; the ticket follows in the fragment, which browsers keep to themselves.
    fn path(self) -> &'static str {
        match self {
            TicketKind::Studio => "/key",
            TicketKind::Password => "/password",
        }
    }
}

/// What came of a guess.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Guess {
    /// It is the secret.
    Right,
    /// It is not; the next one is looked at after so many seconds.
    Wrong(u64),
    /// It was not looked at; ask again after so many seconds.
    Wait(u64),
}

/// Why a guess could not be judged.
#[derive(Debug, thiserror::Error)]
pub enum DoorError {
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// Too many at once.
    #[error(transparent)]
    Secret(#[from] SecretError),
    /// The list of origins cannot be made.
    #[error(transparent)]
    Config(#[from] ConfigError),
}

#[derive(Debug)]
struct Facts {
    origins: Origins,
    bound: IpAddr,
    port: u16,
    surroundings: Surroundings,
    /// Tools have run as users of their own, so that one must be told from a person at this machine. Before that there is
    /// nobody to be told, and looking takes its time at every request.
    tools_apart: AtomicBool,
}

/// The front door.
#[derive(Clone, Debug)]
pub struct Doors {
    facts: Arc<Facts>,
    store: Store,
    clock: Clock,
    hasher: Hasher,
    /// Guesses at the studio key.
    sources: Arc<Mutex<Sources>>,
}

impl Doors {
    /// The door that this configuration describes, on the port that was really bound.
    pub fn open(config: &Config, port: u16, store: Store, clock: Clock) -> Result<Doors, DoorError> {
        let facts = Facts {
            origins: Origins::of(config, port)?,
            bound: config.bind,
            port,
            surroundings: config.surroundings.clone(),
            tools_apart: AtomicBool::new(false),
        };
        Ok(Doors { facts: Arc::new(facts), store, clock, hasher: Hasher::new(), sources: Arc::default() })
    }

    /// Makes the studio key where there is none yet, and returns it: for standard output and nothing else.
    pub async fn first_key(&self) -> Result<Option<Secret>, StoreError> {
        match self.store.read(|c| accounts::studio_key(c)).await? {
            Some(_) => Ok(None),
            None => self.new_key().await.map(Some),
        }
    }

    /// The origins of this studio.
    pub fn origins(&self) -> &Origins {
        &self.facts.origins
    }

    /// Hashes and checks PINs and passwords.
    pub fn hasher(&self) -> &Hasher {
        &self.hasher
    }

    /// Whether this asker needs no studio key.
    pub fn is_keyless(&self, asker: Asker<'_>) -> bool {
        is_keyless(self.facts.bound, &self.facts.surroundings, asker)
    }

    /// From now on a tool may run as a user of its own.
    pub fn tools_are_apart(&self) {
        self.facts.tools_apart.store(true, Ordering::Relaxed);
    }

    /// Whether the process at the other end of a loopback connection runs under the uid of a tool: a tool must not become
    /// anybody by a click. Asked only where that click would be enough.
    pub fn peer_is_tool(&self, peer: Option<SocketAddr>) -> bool {
        let is_near = |peer: &SocketAddr| self.facts.bound.is_loopback() && peer.ip().to_canonical().is_loopback();
        let Some(peer) = peer.filter(is_near).filter(|_| self.facts.tools_apart.load(Ordering::Relaxed)) else { return false };
        // The peer's own end of the connection.
        let is_it = |row: &sockets::Row| row.is_connected() && row.local == peer.port() && row.remote == self.facts.port;
        sockets::tcp().iter().any(|row| is_it(row) && uids::is_tools(row.uid))
    }

    /// A new studio key. All logins and tickets in the store end with the old one, and guesses at it are forgotten.
    pub async fn new_key(&self) -> Result<Secret, StoreError> {
        let key = studio_key();
        let (fingerprint, now) = (Fingerprint::of(key.expose()), self.clock.ms());
        self.store.run(move |c| accounts::reset_studio_key(c, &fingerprint, now)).await?;
        self.sources().forget();
        Ok(key)
    }

    /// A guess at the studio key from `peer`. The key has 100 random bits, so SHA-256 is enough.
    pub async fn try_key(&self, peer: Option<IpAddr>, typed: &str) -> Result<Guess, DoorError> {
        let (typed, now) = (Fingerprint::of(normalise_key(typed).expose()), self.clock.ms());
        let turn = self.sources().ask(peer, now);
        let taken = match turn {
            Turn::Wait(ms) => return Ok(Guess::Wait(seconds(ms))),
            Turn::Take(taken) => taken,
        };
        let known = self.store.read(|c| accounts::studio_key(c)).await?;
        if !known.is_some_and(|key| key.matches(&typed)) {
            return Ok(Guess::Wrong(seconds(taken.not_before - now)));
        }
        self.sources().right(peer);
        Ok(Guess::Right)
    }

    fn sources(&self) -> MutexGuard<'_, Sources> {
        // Every change of it is whole before anything can panic.
        self.sources.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A guess at a profile's PIN; `hash` is None where there is no such profile.
    pub async fn try_pin(&self, id: &ProfileId, hash: Option<Phc>, typed: Secret) -> Result<Guess, DoorError> {
        self.guess(pin_account(id), |doors| async move { Ok(doors.hasher.verify(typed, hash).await?) }).await
    }

    /// A guess at a profile's password; `hash` is None where it has none.
    pub async fn try_password(&self, id: &ProfileId, hash: Option<Phc>, typed: Secret) -> Result<Guess, DoorError> {
        self.guess(password_account(id), |doors| async move { Ok(doors.hasher.verify(typed, hash).await?) }).await
    }

    /// Counts a guess as wrong, looks at it, and takes the count back where it was right.
    async fn guess<F>(&self, account: String, look: impl FnOnce(Doors) -> F) -> Result<Guess, DoorError>
    where
        F: Future<Output = Result<bool, DoorError>>,
    {
        let (now, name) = (self.clock.ms(), account.clone());
        let turn = self.store.run(move |c| {
            let turn = accounts::guesses(c, &name)?.ask(now);
            if let Turn::Take(next) = &turn {
                accounts::put_guesses(c, &name, next, now - FORGET)?;
            }
            Ok(turn)
        });
        let taken = match turn.await? {
            Turn::Wait(ms) => return Ok(Guess::Wait(seconds(ms))),
            Turn::Take(taken) => taken,
        };
        if !look(self.clone()).await? {
            return Ok(Guess::Wrong(seconds(taken.not_before - now)));
        }
        self.store.run(move |c| accounts::put_guesses(c, &account, &taken.right(), now - FORGET)).await?;
        Ok(Guess::Right)
    }

    /// A link that works once, for 15 minutes. The ticket stands in its fragment.
    pub async fn link(&self, kind: TicketKind, profile: Option<ProfileId>) -> Result<Secret, StoreError> {
        let (ticket, expires) = (random_token(), self.clock.ms() + TICKET_LIFE);
        let fingerprint = Fingerprint::of(ticket.expose());
        self.store.run(move |c| accounts::put_ticket(c, &fingerprint, kind.as_str(), profile.as_ref(), expires)).await?;
        // A password may only be typed where nobody between can read it.
        let origin = match kind {
            TicketKind::Studio => self.origins().best(),
            TicketKind::Password => self.origins().iter().find(|o| o.https).unwrap_or(self.origins().own()),
        };
        Ok(Secret::new(format!("{origin}{}#{}", kind.path(), ticket.expose())))
    }

    /// Uses a ticket up. None for one that was used, is too old, or never was.
    pub async fn take_ticket(&self, kind: TicketKind, ticket: &str) -> Result<Option<Option<ProfileId>>, StoreError> {
        let (fingerprint, now) = (Fingerprint::of(ticket), self.clock.ms());
        self.store.run(move |c| accounts::take_ticket(c, &fingerprint, kind.as_str(), now)).await
    }
}

/// Under which name guesses at a profile's PIN are kept.
pub(crate) fn pin_account(id: &ProfileId) -> String {
    format!("pin:{id}")
}

/// The same for its password.
pub(crate) fn password_account(id: &ProfileId) -> String {
    format!("password:{id}")
}

/// Rounded up: a wait of 0 s would be no wait.
fn seconds(ms: i64) -> u64 {
    u64::try_from((ms + 999) / 1_000).unwrap_or(0)
}
