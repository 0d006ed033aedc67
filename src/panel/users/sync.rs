//! What `users.toml` changes in the store: a pure comparison of the two. Whom the file names is made or
//! updated; whom it no longer names is disabled. Knows neither the disk nor the store.

use super::file::{Entry, FileProblem, Parsed, Whom};
use super::{Name, ProfileId, Role};
use crate::secrets::Phc;
use std::collections::BTreeSet;

/// What is stored of a profile, as far as the file can touch it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stored {
    /// Its id.
    pub id: ProfileId,
    /// Its name.
    pub name: Name,
    /// Its role.
    pub role: Role,
    /// The raise that already waits.
    pub pending: Option<Role>,
    /// The file named it once. What was made in Easel is never disabled by the file.
    pub from_file: bool,
    /// The file stopped naming it.
    pub disabled_by_file: bool,
    /// Its PIN was set, now or ever.
    pub pin_known: bool,
    /// Its password was set, now or ever.
    pub password_known: bool,
}

/// One change to make.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// A new profile.
    Create {
        /// Its id, free until now.
        id: ProfileId,
        /// Name, role and first hashes.
        entry: Entry,
        /// It is an artist until an admin confirms this role.
        pending: Option<Role>,
    },
    /// Another name.
    Rename(ProfileId, Name),
    /// A lower role, at once.
    Lower(ProfileId),
    /// A higher role, which waits for an admin's confirmation.
    AskRaise(ProfileId),
    /// The file no longer asks for the higher role.
    ForgetRaise(ProfileId),
    /// The first PIN of a profile that never had one.
    FirstPin(ProfileId, Phc),
    /// The first password of a profile that never had one.
    FirstPassword(ProfileId, Phc),
    /// The file names a profile that was made in Easel: from now on it is the file's too.
    Adopt(ProfileId),
    /// Named again.
    Enable(ProfileId),
    /// No longer named; its files are kept.
    Disable(ProfileId),
}

/// The changes, and why more entries are left out, with the line that would mend each. `first` is the first
/// boot, when the file's roles are taken as they stand.
pub fn plan(file: &Parsed, stored: &[Stored], first: bool) -> (Vec<Change>, Vec<FileProblem>) {
    let (entries, mut changes, mut problems) = (&file.entries, Vec::new(), Vec::new());
    let mut named: BTreeSet<ProfileId> = BTreeSet::new();
    // An entry that cannot be used must not disable the profile that it may have meant.
    let mut spared: Vec<Whom> = file.left_out.clone();
    // An explicit id is a claim; derived ones take what is left.
    let claimed: BTreeSet<&ProfileId> = entries.iter().filter_map(|e| e.id.as_ref()).collect();
    for entry in entries {
        let id = match identify(entry, stored, &claimed, &named) {
            Ok(id) => id,
            Err(why) => {
                problems.push(why);
                spared.push(entry.whom());
                continue;
            }
        };
        match stored.iter().find(|s| s.id == id) {
            None => {
                let pending = (entry.role == Role::Admin && !first).then_some(Role::Admin);
                changes.push(Change::Create { id: id.clone(), entry: entry.clone(), pending });
            }
            Some(known) => update(entry, known, &mut changes),
        }
        named.insert(id);
    }
    let is_gone = |s: &&Stored| !named.contains(&s.id) && !spared.iter().any(|whom| whom.may_be(&s.id, &s.name));
    let gone = stored.iter().filter(|s| s.from_file && !s.disabled_by_file).filter(is_gone);
    changes.extend(gone.map(|s| Change::Disable(s.id.clone())));
    (changes, problems)
}

/// The id of an entry, or why it has none.
fn identify(
    entry: &Entry,
    stored: &[Stored],
    claimed: &BTreeSet<&ProfileId>,
    named: &BTreeSet<ProfileId>,
) -> Result<ProfileId, FileProblem> {
    let name = &entry.name;
    if let Some(id) = &entry.id {
        let twice = named.contains(id);
        return if twice { Err(FileProblem(format!("{name}: the id \"{id}\" stands twice."))) } else { Ok(id.clone()) };
    }
    let Some(id) = ProfileId::derive(name) else {
        let why = format!(
            "{name}: no id can be derived from this name; add a line such as id = \"{}\".",
            free("artist", stored, named)
        );
        return Err(FileProblem(why));
    };
    let of_another = stored.iter().find(|s| s.id == id && s.name != *name);
    if named.contains(&id) || claimed.contains(&id) || of_another.is_some() {
        let other = free(id.as_str(), stored, named);
        let mut why = format!("{name}: the id \"{id}\" is taken; add the line id = \"{other}\"");
        if let Some(s) = of_another {
            why.push_str(&format!(", or id = \"{id}\" if {} is the same person under a new name", s.name));
        }
        why.push('.');
        return Err(FileProblem(why));
    }
    Ok(id)
}

/// The first of `stem-2`, `stem-3` … that nobody has.
fn free(stem: &str, stored: &[Stored], named: &BTreeSet<ProfileId>) -> String {
    let stem: String = stem.chars().take(28).collect();
    let taken = |id: &str| stored.iter().any(|s| s.id.as_str() == id) || named.iter().any(|n| n.as_str() == id);
    (2..).map(|n| format!("{stem}-{n}")).find(|id| !taken(id)).unwrap_or_default()
}

fn update(entry: &Entry, known: &Stored, changes: &mut Vec<Change>) {
    let id = || known.id.clone();
    if !known.from_file {
        changes.push(Change::Adopt(id()));
    }
    if known.disabled_by_file {
        changes.push(Change::Enable(id()));
    }
    if entry.name != known.name {
        changes.push(Change::Rename(id(), entry.name.clone()));
    }
    match (entry.role, known.role, known.pending) {
        (Role::Admin, Role::Artist, None) => changes.push(Change::AskRaise(id())),
        (Role::Artist, Role::Admin, _) => changes.push(Change::Lower(id())),
        (Role::Artist, Role::Artist, Some(_)) => changes.push(Change::ForgetRaise(id())),
        _ => {}
    }
    if let Some(pin) = entry.pin.as_ref().filter(|_| !known.pin_known) {
        changes.push(Change::FirstPin(id(), pin.clone()));
    }
    if let Some(password) = entry.password.as_ref().filter(|_| !known.password_known) {
        changes.push(Change::FirstPassword(id(), password.clone()));
    }
}

#[cfg(test)]
mod tests;
