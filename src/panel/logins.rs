//! Who is logged in: random tokens of which only the SHA-256 is kept, in memory and written through to the
//! store. Knows no cookie and no page.

use crate::clock::Clock;
use crate::secrets::{Fingerprint, Secret, random_token};
use crate::store::{Store, StoreError, accounts};
use crate::users::ProfileId;
use std::collections::HashMap;
use std::sync::{
    Arc, RwLock,
    atomic::{AtomicI64, Ordering},
};
use tokio::sync::watch;

/// A login ends so long after it began, in ms: 30 days.
const LIFE: i64 = 30 * 24 * 60 * 60 * 1_000;
/// And so long after it was last used, in ms: 7 days.
const IDLE: i64 = 7 * 24 * 60 * 60 * 1_000;
/// Admin mode turns itself off so long after it was last used, in ms: 30 minutes.
const ADMIN_IDLE: i64 = 30 * 60 * 1_000;
/// Logins that one profile has at most; with one more, the one that was used least recently ends.
const MOST: usize = 200;
/// The time of last use is written to the store no more often, in ms.
const SAVE_EVERY: i64 = 10 * 60 * 1_000;

/// One browser's login.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Login {
    /// Whose. None between the studio key and the picker.
    pub profile: Option<ProfileId>,
    /// It came through the studio key, so it counts where the keyless rule does not hold.
    pub keyed: bool,
    /// When it began, ms.
    pub created: i64,
    /// When it was last used, ms.
    pub seen: i64,
    /// What the store knows of `seen`.
    pub saved: i64,
    /// When admin mode was last used, where it is on. A restart turns it off.
    pub admin: Option<i64>,
}

impl Login {
    fn is_over(&self, now: i64) -> bool {
        now - self.created >= LIFE || now - self.seen >= IDLE
    }

    /// Milliseconds that admin mode has left. None where it is off.
    pub fn admin_left(&self, now: i64) -> Option<i64> {
        self.admin.map(|used| used + ADMIN_IDLE - now).filter(|left| *left > 0)
    }
}

#[derive(Debug, Default)]
struct Tables {
    logins: HashMap<Fingerprint, Login>,
    tokens: HashMap<Fingerprint, ProfileId>,
}

impl Tables {
    /// The login to end before a profile gets one more.
    fn oldest_over_limit(&self, profile: &Option<ProfileId>) -> Option<Fingerprint> {
        let own = || self.logins.iter().filter(|(_, login)| login.profile == *profile);
        if own().count() < MOST {
            return None;
        }
        own().min_by_key(|(_, login)| login.seen).map(|(fingerprint, _)| *fingerprint)
    }
}

/// The logins and API tokens.
#[derive(Clone, Debug)]
pub struct Logins {
    store: Store,
    clock: Clock,
    tables: Arc<RwLock<Tables>>,
    /// Rings when a login, a token or an admin mode ended.
    ended: Arc<watch::Sender<()>>,
    /// When somebody was last at work, ms.
    used: Arc<AtomicI64>,
}

impl Logins {
    /// Reads the logins of this store and forgets the ones that are over.
    pub async fn open(store: Store, clock: Clock) -> Result<Logins, StoreError> {
        let now = clock.ms();
        let (logins, tokens) =
            store.run(move |c| Ok((accounts::logins(c, now - LIFE, now - IDLE)?, accounts::tokens(c)?))).await?;
        let tables = Tables { logins: logins.into_iter().collect(), tokens: tokens.into_iter().collect() };
        Ok(Logins {
            store,
            clock,
            tables: Arc::new(RwLock::new(tables)),
            ended: Arc::default(),
            used: Arc::new(AtomicI64::new(now)),
        })
    }

    fn with<T>(&self, f: impl FnOnce(&mut Tables) -> T) -> T {
        f(&mut self.tables.write().expect("nobody panics with this lock"))
    }

    /// Begins a login and returns the cookie's value.
    pub async fn begin(&self, profile: Option<ProfileId>, keyed: bool) -> Result<Secret, StoreError> {
        let (token, now) = (random_token(), self.clock.ms());
        let fingerprint = Fingerprint::of(token.expose());
        let login = Login { profile, keyed, created: now, seen: now, saved: now, admin: None };
        let tables = self.tables.clone();
        self.store
            .run(move |c| {
                let too_many = tables.read().expect("nobody panics with this lock").oldest_over_limit(&login.profile);
                let change = c.transaction()?;
                if let Some(oldest) = &too_many {
                    accounts::end_login(&change, oldest)?;
                }
                accounts::put_login(&change, &fingerprint, &login)?;
                change.commit()?;
                let mut tables = tables.write().expect("nobody panics with this lock");
                too_many.and_then(|oldest| tables.logins.remove(&oldest));
                tables.logins.insert(fingerprint, login);
                Ok(())
            })
            .await?;
        Ok(token)
    }

    /// The login of a cookie, if it is not over. Counts as a use.
    pub fn find(&self, token: &str) -> Option<(Fingerprint, Login)> {
        let (fingerprint, now) = (Fingerprint::of(token), self.clock.ms());
        let (login, save) = self.with(|t| {
            let login = t.logins.get_mut(&fingerprint)?;
            if login.is_over(now) {
                t.logins.remove(&fingerprint);
                return None;
            }
            login.seen = now;
            let save = now - login.saved >= SAVE_EVERY;
            if save {
                login.saved = now;
            }
            Some((login.clone(), save))
        })?;
        if save {
            let (store, login) = (self.store.clone(), login.clone());
            let tables = self.tables.clone();
            // A page must not wait for the disk to learn that it was opened. A login that ended meanwhile stays ended.
            tokio::spawn(async move {
                let write = move |c: &mut crate::store::Connection| {
                    let alive = tables.read().expect("nobody panics with this lock").logins.contains_key(&fingerprint);
                    if alive { accounts::put_login(c, &fingerprint, &login) } else { Ok(()) }
                };
                if let Err(e) = store.run(write).await {
                    tracing::warn!("the time of a login's last use was not kept: {e}");
                }
            });
        }
        Some((fingerprint, login))
    }

    /// Whose API token this is.
    pub fn token_owner(&self, token: &str) -> Option<(Fingerprint, ProfileId)> {
        let fingerprint = Fingerprint::of(token);
        let owner = self.tables.read().expect("nobody panics with this lock").tokens.get(&fingerprint).cloned();
        owner.map(|id| (fingerprint, id))
    }

    /// Whether an API token still counts.
    pub fn is_token(&self, fingerprint: &Fingerprint) -> bool {
        self.tables.read().expect("nobody panics with this lock").tokens.contains_key(fingerprint)
    }

    /// Whether a login still counts. Is no use of it.
    pub fn is_alive(&self, fingerprint: &Fingerprint) -> bool {
        let now = self.clock.ms();
        let tables = self.tables.read().expect("nobody panics with this lock");
        tables.logins.get(fingerprint).is_some_and(|login| !login.is_over(now))
    }

    /// A new API token for a profile; only its hash is kept.
    pub async fn new_token(&self, profile: ProfileId) -> Result<Secret, StoreError> {
        let token = Secret::new(format!("easel_{}", random_token().expose()));
        let (fingerprint, now, tables) = (Fingerprint::of(token.expose()), self.clock.ms(), self.tables.clone());
        self.store
            .run(move |c| {
                accounts::put_token(c, &fingerprint, &profile, now)?;
                tables.write().expect("nobody panics with this lock").tokens.insert(fingerprint, profile);
                Ok(())
            })
            .await?;
        Ok(token)
    }

    /// Follows the ends of logins, tokens and admin modes: whoever holds a stream or a socket open for one looks then
    /// whether it still counts.
    pub fn ends(&self) -> watch::Receiver<()> {
        self.ended.subscribe()
    }

    /// When each profile was last here, ms.
    pub fn last_seen(&self) -> HashMap<ProfileId, i64> {
        let tables = self.tables.read().expect("nobody panics with this lock");
        let mut seen = HashMap::new();
        for login in tables.logins.values() {
            if let Some(profile) = &login.profile {
                let last = seen.entry(profile.clone()).or_insert(login.seen);
                *last = login.seen.max(*last);
            }
        }
        seen
    }

    /// Ends the API tokens of a profile; returns how many there were.
    pub async fn end_tokens_of(&self, profile: ProfileId) -> Result<usize, StoreError> {
        self.with(|t| t.tokens.retain(|_, owner| *owner != profile));
        self.ended.send_replace(());
        self.store.run(move |c| accounts::end_tokens_of(c, &profile)).await
    }

    /// Ends one login.
    pub async fn end(&self, fingerprint: Fingerprint) -> Result<(), StoreError> {
        self.with(|t| t.logins.remove(&fingerprint));
        self.ended.send_replace(());
        self.store.run(move |c| accounts::end_login(c, &fingerprint)).await
    }

    /// Ends the logins of a profile: from this moment no request of theirs passes.
    pub async fn end_of(&self, profile: ProfileId) -> Result<(), StoreError> {
        self.with(|t| t.logins.retain(|_, login| login.profile.as_ref() != Some(&profile)));
        self.ended.send_replace(());
        self.store.run(move |c| accounts::end_logins_of(c, &profile)).await
    }

    /// Forgets all logins in memory; the store's went with the studio key.
    pub(crate) fn forget_all(&self) {
        self.with(|t| t.logins.clear());
        self.ended.send_replace(());
    }

    /// Turns admin mode on for a login, or says that it was used, or turns it off.
    pub fn set_admin(&self, fingerprint: &Fingerprint, on: bool) {
        let now = self.clock.ms();
        self.with(|t| {
            if let Some(login) = t.logins.get_mut(fingerprint) {
                login.admin = on.then_some(now);
            }
        });
        if !on {
            self.ended.send_replace(());
        }
    }

    /// Whether admin mode is on for a login that counts. Is no use of either.
    pub fn is_admin(&self, fingerprint: &Fingerprint) -> bool {
        let now = self.clock.ms();
        let tables = self.tables.read().expect("nobody panics with this lock");
        tables.logins.get(fingerprint).is_some_and(|login| !login.is_over(now) && login.admin_left(now).is_some())
    }

    /// Counts a use of admin mode, where it is on; never turns it on.
    pub fn use_admin(&self, fingerprint: &Fingerprint) {
        let now = self.clock.ms();
        self.with(|t| {
            if let Some(login) = t.logins.get_mut(fingerprint)
                && login.admin_left(now).is_some()
            {
                login.admin = Some(now);
            }
        });
    }

    /// Somebody is at work: opens a page, changes something, or uses a tool. What an open page asks by itself is none.
    pub fn note_use(&self) {
        self.used.fetch_max(self.clock.ms(), Ordering::Relaxed);
    }

    /// When somebody was last at work, ms; when the panel started, if nobody was since.
    pub fn last_use(&self) -> i64 {
        self.used.load(Ordering::Relaxed)
    }

    /// Whether a login came through the studio key.
    pub fn is_keyed(&self, fingerprint: &Fingerprint) -> bool {
        self.with(|t| t.logins.get(fingerprint).is_some_and(|login| login.keyed))
    }

    /// Milliseconds since 1970, by the clock that logins are judged by.
    pub fn now(&self) -> i64 {
        self.clock.ms()
    }
}
