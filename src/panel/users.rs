//! Who there is: profiles, their roles, PINs and passwords. All of them are held in memory and written
//! through to the store, so that asking on each request costs nothing. Knows no login and no HTTP.

mod account;
pub mod file;
mod id;
pub mod sync;

pub use account::{Account, COLOURS, Profile, Role, Theme};
pub use id::{Name, NotAName, NotAnId, ProfileId};

use crate::audit::{Deed, Kind};
use crate::clock::Clock;
use crate::doors::{password_account, pin_account};
use crate::secrets::{Phc, SecretError};
use crate::store::{self, Store, StoreError, accounts};
use file::FileProblem;
use std::collections::BTreeMap;
use std::sync::{Arc, RwLock};
use sync::Change;

/// Why a profile was not made or changed.
#[derive(Debug, thiserror::Error)]
pub enum UserError {
    /// Nobody has this id or name.
    #[error("There is no profile \"{0}\".")]
    Unknown(String),
    /// Somebody has it already.
    #[error("The id \"{0}\" is taken. Give another one with --id.")]
    Taken(ProfileId),
    /// No id can be derived.
    #[error("No id can be derived from \"{0}\". Give one with --id: a-z, 0-9, - and _.")]
    NoId(Name),
    /// Not a name.
    #[error(transparent)]
    Name(#[from] NotAName),
    /// Not a PIN or password.
    #[error(transparent)]
    Secret(#[from] SecretError),
    /// Nobody takes his own role or access away: then nobody might be left to give it back.
    #[error("You cannot do this to yourself. Another admin can, or `easel user` on the machine.")]
    Oneself,
    /// users.toml says it, and would say it again.
    #[error("users.toml names {0}. Change it there; it takes effect when the file is saved.")]
    InFile(Name),
    /// There are profiles already, so this is not the first page any more.
    #[error("This studio has profiles already.")]
    NotFirst,
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

type Accounts = BTreeMap<ProfileId, Account>;

/// The profiles.
#[derive(Clone, Debug)]
pub struct Users {
    store: Store,
    clock: Clock,
    /// What the store holds. Changed only on the store's thread, after the commit, so changes never race.
    accounts: Arc<RwLock<Accounts>>,
    /// What is wrong with users.toml, for the log, `easel doctor` and admins.
    problems: Arc<RwLock<Vec<String>>>,
}

impl Users {
    /// Reads the profiles of this store.
    pub async fn open(store: Store, clock: Clock) -> Result<Users, StoreError> {
        let accounts = store.run(|c| accounts::profiles(c)).await?;
        let accounts = accounts.into_iter().map(|a| (a.id.clone(), a)).collect();
        Ok(Users { store, clock, accounts: Arc::new(RwLock::new(accounts)), problems: Arc::default() })
    }

    fn accounts(&self) -> std::sync::RwLockReadGuard<'_, Accounts> {
        self.accounts.read().expect("nobody panics with this lock")
    }

    /// Every profile, oldest first, disabled ones included.
    pub fn list(&self) -> Vec<Profile> {
        let mut all: Vec<(i64, Profile)> = self.accounts().values().map(|a| (a.created, a.profile())).collect();
        all.sort_by_key(|(created, _)| *created);
        all.into_iter().map(|(_, profile)| profile).collect()
    }

    /// One profile, if it exists.
    pub fn get(&self, id: &ProfileId) -> Option<Profile> {
        self.accounts().get(id).map(Account::profile)
    }

    /// One profile that can be used now.
    pub fn enabled(&self, id: &ProfileId) -> Option<Profile> {
        self.get(id).filter(|profile| !profile.disabled)
    }

    /// Whether nobody was ever made: the first page's condition.
    pub fn is_empty(&self) -> bool {
        self.accounts().is_empty()
    }

    /// The profile that a person means: by id, or by its exact name where only one has it.
    pub fn find(&self, text: &str) -> Result<Profile, UserError> {
        let accounts = self.accounts();
        if let Some(account) = ProfileId::parse(text).ok().and_then(|id| accounts.get(&id)) {
            return Ok(account.profile());
        }
        let name = Name::parse(text).map_err(|_| UserError::Unknown(text.into()))?;
        let mut named = accounts.values().filter(|a| a.name == name);
        match (named.next(), named.next()) {
            (Some(account), None) => Ok(account.profile()),
            _ => Err(UserError::Unknown(text.into())),
        }
    }

    /// The hash of its PIN. None where it has none, is disabled, or does not exist.
    pub fn pin_hash(&self, id: &ProfileId) -> Option<Phc> {
        self.accounts().get(id).filter(|a| !a.disabled()).and_then(|a| a.pin.clone())
    }

    /// The hash of its password for admin mode. None where it has none, is disabled, or does not exist.
    pub fn password_hash(&self, id: &ProfileId) -> Option<Phc> {
        self.accounts().get(id).filter(|a| !a.disabled()).and_then(|a| a.password.clone())
    }

    /// What is wrong with users.toml now.
    pub fn problems(&self) -> Vec<String> {
        self.problems.read().expect("nobody panics with this lock").clone()
    }

    /// Makes a profile.
    pub async fn add(&self, name: Name, id: Option<ProfileId>, role: Role, by: &str) -> Result<Profile, UserError> {
        self.make(name, id, role, None, by, false).await
    }

    /// Makes the first profile of an empty studio, an admin with this password. Of two at the same time,
    /// one is refused.
    pub async fn add_first(&self, name: Name, password: Phc) -> Result<Profile, UserError> {
        let id = ProfileId::derive(&name).or_else(|| ProfileId::parse("admin").ok());
        self.make(name, id, Role::Admin, Some(password), "the first page", true).await
    }

    async fn make(
        &self,
        name: Name,
        id: Option<ProfileId>,
        role: Role,
        password: Option<Phc>,
        by: &str,
        first: bool,
    ) -> Result<Profile, UserError> {
        let id = id.or_else(|| ProfileId::derive(&name)).ok_or_else(|| UserError::NoId(name.clone()))?;
        let (accounts, now, by) = (self.accounts.clone(), self.clock.ms(), by.to_string());
        let done = self.store.run(move |c| {
            let count = {
                let known = accounts.read().expect("nobody panics with this lock");
                if first && !known.is_empty() {
                    return Ok(Err(UserError::NotFirst));
                }
                if known.contains_key(&id) {
                    return Ok(Err(UserError::Taken(id)));
                }
                known.len()
            };
            let mut account = Account::new(id, name, role, colour(count), now);
            account.password_known = password.is_some();
            account.password = password;
            let change = c.transaction()?;
            accounts::put_profile(&change, &account)?;
            let what = format!("made {} ({})", account.id, role.as_str());
            store::audit::insert(&change, now, &Deed::done(&by, Kind::Profile, what))?;
            change.commit()?;
            let profile = account.profile();
            accounts.write().expect("nobody panics with this lock").insert(account.id.clone(), account);
            Ok(Ok(profile))
        });
        done.await?
    }

    /// Changes a profile and writes `what` was done by whom.
    async fn change(
        &self,
        id: &ProfileId,
        by: &str,
        what: &'static str,
        change: impl FnOnce(&mut Account) + Send + 'static,
    ) -> Result<Profile, UserError> {
        let (accounts, now, by, id) = (self.accounts.clone(), self.clock.ms(), by.to_string(), id.clone());
        let done = self.store.run(move |c| {
            let known = accounts.read().expect("nobody panics with this lock").get(&id).cloned();
            let Some(mut account) = known else { return Ok(Err(UserError::Unknown(id.to_string()))) };
            change(&mut account);
            let commit = c.transaction()?;
            accounts::put_profile(&commit, &account)?;
            store::audit::insert(&commit, now, &Deed::done(&by, Kind::Profile, format!("{what}: {id}")))?;
            commit.commit()?;
            let profile = account.profile();
            accounts.write().expect("nobody panics with this lock").insert(id, account);
            Ok(Ok(profile))
        });
        done.await?
    }

    /// Sets or removes the PIN. Guesses at the old one are forgotten: whoever they locked out gets in.
    pub async fn set_pin(&self, id: &ProfileId, pin: Option<Phc>, by: &str) -> Result<Profile, UserError> {
        let what = if pin.is_some() { "set the PIN" } else { "removed the PIN" };
        let change = move |a: &mut Account| (a.pin, a.pin_known) = (pin, true);
        let profile = self.change(id, by, what, change).await?;
        self.forget_guesses(pin_account(id)).await?;
        Ok(profile)
    }

    async fn forget_guesses(&self, account: String) -> Result<(), StoreError> {
        self.store.run(move |c| accounts::forget_guesses(c, &account)).await
    }

    /// Sets the password for admin mode. Guesses at the old one are forgotten.
    pub async fn set_password(&self, id: &ProfileId, password: Phc, by: &str) -> Result<Profile, UserError> {
        let change = move |a: &mut Account| (a.password, a.password_known) = (Some(password), true);
        let profile = self.change(id, by, "set the password", change).await?;
        self.forget_guesses(password_account(id)).await?;
        Ok(profile)
    }

    /// Disables a profile, or makes it usable again. Whoever calls ends its logins.
    pub async fn set_disabled(&self, id: &ProfileId, disabled: bool, by: &str) -> Result<Profile, UserError> {
        let what = if disabled { "disabled" } else { "enabled" };
        let change = move |a: &mut Account| {
            a.disabled_by_admin = disabled;
            a.disabled_by_file &= disabled;
        };
        self.change(id, by, what, change).await
    }

    /// Gives the role that waits for confirmation.
    pub async fn confirm_role(&self, id: &ProfileId, by: &str) -> Result<Profile, UserError> {
        self.change(id, by, "confirmed the role", |a| a.role = a.pending.take().unwrap_or(a.role)).await
    }

    /// Does not give the role that waits. The file asks again when it is next read.
    pub async fn refuse_role(&self, id: &ProfileId, by: &str) -> Result<Profile, UserError> {
        self.change(id, by, "refused the role", |a| a.pending = None).await
    }

    /// Makes an admin of an artist, or the other way round. A raise of whom users.toml names has to stand there, since
    /// the file would take it back.
    pub async fn set_role(&self, id: &ProfileId, role: Role, by: &str) -> Result<Profile, UserError> {
        let known = self.get(id).ok_or_else(|| UserError::Unknown(id.to_string()))?;
        if role == Role::Admin && known.from_file && known.pending != Some(Role::Admin) && known.role != Role::Admin {
            return Err(UserError::InFile(Name::parse(&known.name)?));
        }
        let what = if role == Role::Admin { "made an admin" } else { "made an artist" };
        self.change(id, by, what, move |a| (a.role, a.pending) = (role, None)).await
    }

    /// Another name. Whom users.toml names is renamed there.
    pub async fn rename(&self, id: &ProfileId, name: Name, by: &str) -> Result<Profile, UserError> {
        let known = self.get(id).ok_or_else(|| UserError::Unknown(id.to_string()))?;
        if known.from_file && known.name != name.as_str() {
            return Err(UserError::InFile(Name::parse(&known.name)?));
        }
        self.change(id, by, "renamed", move |a| a.name = name).await
    }

    /// Light or dark.
    pub async fn set_theme(&self, id: &ProfileId, theme: Theme) -> Result<Profile, UserError> {
        self.change(id, id.as_str(), "set the theme", move |a| a.theme = theme).await
    }

    /// Whether single-letter keys work.
    pub async fn set_shortcuts(&self, id: &ProfileId, on: bool) -> Result<Profile, UserError> {
        self.change(id, id.as_str(), "set the keyboard shortcuts", move |a| a.shortcuts = on).await
    }

    /// Applies the text of users.toml and returns the profiles that it disabled, whose logins must end. What
    /// cannot be used is kept for [`Users::problems`] and logged; a file that is no list of users changes
    /// nothing.
    pub async fn apply_file(&self, text: &str) -> Result<Vec<ProfileId>, StoreError> {
        let parsed = match file::parse(text) {
            Ok(parsed) => parsed,
            Err(why) => {
                self.tell(vec![FileProblem(format!("users.toml changes nothing: {why}"))]);
                return Ok(Vec::new());
            }
        };
        let (accounts, now, bad) = (self.accounts.clone(), self.clock.ms(), parsed.problems.clone());
        let (disabled, refused) = self.store.run(move |c| apply(c, &accounts, &parsed, now)).await?;
        self.tell(bad.into_iter().chain(refused).collect());
        Ok(disabled)
    }

    /// Says that users.toml could not be read; nothing is changed.
    pub fn file_unreadable(&self, why: &std::io::Error) {
        self.tell(vec![FileProblem(format!("users.toml cannot be read, so it changes nothing: {why}"))]);
    }

    fn tell(&self, problems: Vec<FileProblem>) {
        let texts: Vec<String> = problems.into_iter().map(|p| p.0).collect();
        for problem in &texts {
            tracing::warn!(problem, "users.toml");
        }
        *self.problems.write().expect("nobody panics with this lock") = texts;
    }
}

fn colour(count: usize) -> u8 {
    u8::try_from(count % usize::from(COLOURS)).unwrap_or(0)
}

/// Plans and makes the file's changes in one transaction, on the store's thread.
fn apply(
    connection: &mut crate::store::Connection,
    accounts: &RwLock<Accounts>,
    file: &file::Parsed,
    now: i64,
) -> Result<(Vec<ProfileId>, Vec<FileProblem>), StoreError> {
    let mut next = accounts.read().expect("nobody panics with this lock").clone();
    let stored: Vec<_> = next.values().map(Account::stored).collect();
    let (changes, problems) = sync::plan(file, &stored, stored.is_empty());
    if changes.is_empty() {
        return Ok((Vec::new(), problems));
    }
    let mut disabled = Vec::new();
    let commit = connection.transaction()?;
    for (i, change) in changes.into_iter().enumerate() {
        // Times of creation order the picker; profiles of one file keep its order.
        let created = now + i64::try_from(i).unwrap_or(0);
        if let Change::Disable(id) = &change {
            disabled.push(id.clone());
        }
        let (account, what) = make(change, &mut next, created);
        accounts::put_profile(&commit, account)?;
        let deed = Deed::done("users.toml", Kind::Profile, format!("{what}: {}", account.id));
        store::audit::insert(&commit, now, &deed)?;
    }
    commit.commit()?;
    *accounts.write().expect("nobody panics with this lock") = next;
    Ok((disabled, problems))
}

/// Makes one change in memory; returns what is to be written, and how it is called in the record.
fn make(change: Change, accounts: &mut Accounts, created: i64) -> (&Account, &'static str) {
    let count = accounts.len();
    let mut known = |id: ProfileId, what, edit: &dyn Fn(&mut Account)| {
        let account = accounts.get_mut(&id).expect("the plan changes only what is stored");
        edit(account);
        (id, what)
    };
    let (id, what) = match change {
        Change::Create { id, entry, pending } => {
            let role = if pending.is_some() { Role::Artist } else { entry.role };
            let mut account = Account::new(id.clone(), entry.name, role, colour(count), created);
            (account.pending, account.from_file) = (pending, true);
            (account.pin_known, account.password_known) = (entry.pin.is_some(), entry.password.is_some());
            (account.pin, account.password) = (entry.pin, entry.password);
            accounts.insert(id.clone(), account);
            (id, "made")
        }
        Change::Rename(id, name) => known(id, "renamed", &|a| a.name = name.clone()),
        Change::Lower(id) => known(id, "made an artist", &|a| (a.role, a.pending) = (Role::Artist, None)),
        Change::AskRaise(id) => known(id, "asked to be an admin", &|a| a.pending = Some(Role::Admin)),
        Change::ForgetRaise(id) => known(id, "no longer asked to be an admin", &|a| a.pending = None),
        Change::FirstPin(id, pin) => known(id, "first PIN", &|a| (a.pin, a.pin_known) = (Some(pin.clone()), true)),
        Change::FirstPassword(id, word) => {
            known(id, "first password", &|a| (a.password, a.password_known) = (Some(word.clone()), true))
        }
        Change::Adopt(id) => known(id, "named", &|a| a.from_file = true),
        Change::Enable(id) => known(id, "named again", &|a| a.disabled_by_file = false),
        Change::Disable(id) => known(id, "no longer named", &|a| a.disabled_by_file = true),
    };
    (&accounts[&id], what)
}
