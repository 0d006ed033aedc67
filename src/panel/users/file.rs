//! `users.toml` as text, and what it asks for: tables `[[user]]` with `name`, `id`, `role`, `pin`,
//! `password`. Knows neither the disk nor the store.

use super::{Name, ProfileId, Role};
use crate::secrets::Phc;
use serde::Deserialize;

/// One `[[user]]`, checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// What the profile is called.
    pub name: Name,
    /// The id that the file gives; without one it is derived from the name.
    pub id: Option<ProfileId>,
    /// Artist where the file says nothing.
    pub role: Role,
    /// The first PIN.
    pub pin: Option<Phc>,
    /// The first password for admin mode.
    pub password: Option<Phc>,
}

/// Whom an entry is about, as far as it can be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Whom {
    id: Option<ProfileId>,
    name: Option<Name>,
}

impl Whom {
    fn new(id: Option<ProfileId>, name: Option<Name>) -> Whom {
        Whom { id: id.or_else(|| name.as_ref().and_then(ProfileId::derive)), name }
    }

    /// Whether it may be this profile. One of whom neither id nor name can be read may be anybody.
    pub fn may_be(&self, id: &ProfileId, name: &Name) -> bool {
        let nobody_knows = self.id.is_none() && self.name.is_none();
        nobody_knows || self.id.as_ref() == Some(id) || self.name.as_ref() == Some(name)
    }
}

impl Entry {
    /// Whom it is about.
    pub fn whom(&self) -> Whom {
        Whom::new(self.id.clone(), Some(self.name.clone()))
    }
}

/// What a text says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Parsed {
    /// The entries that can be used.
    pub entries: Vec<Entry>,
    /// Why the others are left out.
    pub problems: Vec<FileProblem>,
    /// Whom those others are about: the file names them, however badly.
    pub left_out: Vec<Whom>,
}

/// A file that cannot be used, or an entry that is left out: a sentence that names the line.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct FileProblem(pub String);

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawFile {
    #[serde(default)]
    user: Vec<toml::Spanned<RawUser>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawUser {
    name: String,
    id: Option<String>,
    role: Option<Role>,
    pin: Option<String>,
    password: Option<String>,
}

/// Reads the text. The error is for a file that is no list of users at all, or an empty one; single
/// entries that cannot be used come back as problems beside the good ones.
pub fn parse(text: &str) -> Result<Parsed, FileProblem> {
    let raw: RawFile = toml::from_str(text).map_err(|e| {
        // toml's own message quotes the line, which may hold a hash: say where, and what, but not the text.
        let line = e.span().map(|span| format!("line {}: ", line_of(text, span.start))).unwrap_or_default();
        FileProblem(format!("{line}{}", e.message().trim_end()))
    })?;
    if raw.user.is_empty() {
        return Err(FileProblem("it names nobody; add a [[user]]".into()));
    }
    let mut parsed = Parsed::default();
    for user in raw.user {
        let (line, user) = (line_of(text, user.span().start), user.into_inner());
        let whom = Whom::new(user.id.as_deref().and_then(|id| ProfileId::parse(id).ok()), Name::parse(&user.name).ok());
        match check(user) {
            Ok(entry) => parsed.entries.push(entry),
            Err(why) => {
                parsed.problems.push(FileProblem(format!("line {line}: {why}")));
                parsed.left_out.push(whom);
            }
        }
    }
    Ok(parsed)
}

fn line_of(text: &str, offset: usize) -> usize {
    text.bytes().take(offset).filter(|b| *b == b'\n').count() + 1
}

fn check(raw: RawUser) -> Result<Entry, String> {
    let phc =
        |field: &str, text: Option<String>| text.map(|text| Phc::parse(&text)).transpose().map_err(|e| format!("{field}: {e}"));
    Ok(Entry {
        name: Name::parse(&raw.name).map_err(|e| format!("name: {e}"))?,
        id: raw.id.as_deref().map(own_id).transpose()?,
        role: raw.role.unwrap_or(Role::Artist),
        pin: phc("pin", raw.pin)?,
        password: phc("password", raw.password)?,
    })
}

/// An id that somebody chose: not Easel's own.
fn own_id(text: &str) -> Result<ProfileId, String> {
    let id = ProfileId::parse(text).map_err(|e| format!("id: {e}"))?;
    if id == ProfileId::studio() { Err(format!("id: \"{text}\" is Easel itself")) } else { Ok(id) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_shipped_file_has_three_profiles_and_no_password() {
        let Parsed { entries, problems, left_out } = parse(include_str!("../../../users.toml")).unwrap();
        let seen: Vec<_> = entries.iter().map(|e| (e.name.as_str(), e.role)).collect();
        assert_eq!(seen, [("Zoë", Role::Artist), ("Mateo", Role::Artist), ("Ada", Role::Admin)]);
        assert!(problems.is_empty() && left_out.is_empty() && entries.iter().all(|e| e.pin.is_none() && e.password.is_none()));
    }

    #[test]
    fn a_bad_entry_is_left_out_with_its_line() {
        let text = "[[user]]\nname = \"Zoë\"\n\n[[user]]\nname = \"Mateo\"\npin = \"1234\"\n";
        let Parsed { entries, problems, left_out } = parse(text).unwrap();
        assert_eq!((entries.len(), left_out.len()), (1, 1));
        assert!(problems[0].0.starts_with("line 4: pin: "), "{}", problems[0]);
        assert!(!problems[0].0.contains("1234"));
    }

    #[test]
    fn what_is_no_list_of_users_is_refused_whole_and_never_quoted() {
        for text in [
            "",
            "# nobody\n",
            "[[user]]\nname = 1\n",
            "user = 3",
            "[[user]]\nnmae = \"a\"",
            "[[user]]\nname = \"a\"\npin = canary",
        ] {
            let problem = parse(text).unwrap_err();
            assert!(!problem.0.contains("canary"), "{problem}");
        }
    }
}
