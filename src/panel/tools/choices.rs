//! What can be chosen before a tool installs: repositories of a `.txt`, or sets of files of a `.toml`, and what of it is
//! there already. Parses and looks; downloads nothing.

use super::Picks;
use crate::meant::nearest;
use serde::Deserialize;
use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
};

/// Most choices of a file.
const CHOICES_MAX: usize = 500;
/// Most files of a set.
const FILES_MAX: usize = 100;

/// A file of choices.
#[derive(Clone, Debug, PartialEq)]
pub enum Choices {
    /// Repositories, and where they lie below the install folder.
    Repositories {
        /// Path below the install folder.
        below: String,
        /// In the file's order.
        choices: Vec<Choice>,
    },
    /// Sets of files below the models folder, in the file's order.
    Sets(Vec<Choice>),
}

/// One thing to choose. Its id is what goes into `EASEL_PICKS`.
#[derive(Clone, Debug, PartialEq)]
pub struct Choice {
    /// Name of a repository's folder, or id of a set.
    pub id: String,
    /// What people call it.
    pub name: String,
    /// What it is; of a repository, its address.
    pub about: String,
    /// Under which licence a set stands.
    pub licence: Option<String>,
    /// The files of a set; none for a repository.
    files: Vec<RawFile>,
}

/// How much of a choice is there.
#[derive(Clone, Debug, PartialEq)]
pub struct Presence {
    /// Files or folders that are there.
    pub there: usize,
    /// Of how many.
    pub of: usize,
    /// Size of all of it, in GB, as far as it is known.
    pub gb: f64,
    /// Size of what is missing, in GB, as far as it is known.
    pub missing_gb: f64,
    /// Variables of the tokens that missing files ask for.
    pub tokens: BTreeSet<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawSets {
    set: Vec<RawSet>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawSet {
    id: String,
    name: String,
    about: String,
    licence: String,
    file: Vec<RawFile>,
}

#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
struct RawFile {
    url: String,
    path: String,
    #[serde(default)]
    gb: f64,
    sha256: Option<String>,
    token: Option<String>,
}

impl Choices {
    /// Reads the text of the file that `picks` names. Every problem is a sentence.
    pub(super) fn parse(picks: &Picks, text: &str) -> Result<Choices, Vec<String>> {
        match (picks.file.rsplit_once('.').map(|(_, ending)| ending), &picks.below) {
            (Some("txt"), Some(below)) => Ok(Choices::Repositories { below: below.clone(), choices: repositories(text)? }),
            (Some("toml"), None) => Ok(Choices::Sets(sets(text)?)),
            _ => Err(vec!["choices are a .txt of repositories, with picks.below, or a .toml of sets, without".into()]),
        }
    }

    /// All of them.
    pub fn all(&self) -> &[Choice] {
        let (Choices::Repositories { choices, .. } | Choices::Sets(choices)) = self;
        choices
    }

    /// Checks what somebody chose. The error names what does not exist.
    pub fn check(&self, picks: &[String]) -> Result<(), String> {
        let Some(unknown) = picks.iter().find(|pick| self.all().iter().all(|c| c.id != **pick)) else { return Ok(()) };
        Err(match nearest(unknown, self.all().iter().map(|c| c.id.as_str())) {
            Some(near) => format!("There is no \"{unknown}\" to choose; did you mean \"{near}\"?"),
            None => format!("There is no \"{unknown}\" to choose."),
        })
    }

    /// What of a choice is there, in the install folder or in the models folder.
    pub fn presence(&self, choice: &Choice, install: &Path, models: &Path) -> Presence {
        match self {
            Choices::Repositories { below, .. } => {
                let there = usize::from(install.join(below).join(&choice.id).is_dir());
                Presence { there, of: 1, gb: 0.0, missing_gb: 0.0, tokens: BTreeSet::new() }
            }
            Choices::Sets(_) => {
                let missing: Vec<_> = choice.files.iter().filter(|f| !models.join(&f.path).is_file()).collect();
                Presence {
                    there: choice.files.len() - missing.len(),
                    of: choice.files.len(),
                    gb: choice.files.iter().map(|f| f.gb).sum(),
                    missing_gb: missing.iter().map(|f| f.gb).sum(),
                    tokens: missing.iter().filter_map(|f| f.token.clone()).collect(),
                }
            }
        }
    }
}

/// One repository a line, optionally with a commit, tag or branch; `#` begins a comment.
fn repositories(text: &str) -> Result<Vec<Choice>, Vec<String>> {
    let (mut choices, mut problems): (Vec<Choice>, Vec<String>) = (Vec::new(), Vec::new());
    for (i, line) in text.lines().enumerate() {
        let mut words = line.split('#').next().unwrap_or_default().split_whitespace();
        let Some(url) = words.next() else { continue };
        let name = url.rsplit('/').next().unwrap_or_default().trim_end_matches(".git");
        let (want, rest) = (words.next(), words.next());
        if !is_address(url) {
            problems.push(format!("line {}: \"{url}\" is not the https address of a repository", i + 1));
        } else if rest.is_some() || want.is_some_and(|want| !is_revision(want)) {
            problems.push(format!("line {}: after the address stands one commit, tag or branch, or nothing", i + 1));
        } else if choices.iter().any(|c| c.id == name) {
            problems.push(format!("line {}: {name} stands there twice", i + 1));
        } else {
            choices.push(Choice { id: name.into(), name: name.into(), about: url.into(), licence: None, files: Vec::new() });
        }
    }
    if choices.len() > CHOICES_MAX {
        problems.push(format!("there are more than {CHOICES_MAX}"));
    }
    if problems.is_empty() { Ok(choices) } else { Err(problems) }
}

fn sets(text: &str) -> Result<Vec<Choice>, Vec<String>> {
    let raw: RawSets = toml::from_str(text).map_err(|e| vec![e.to_string()])?;
    let mut problems = Vec::new();
    let mut paths: BTreeMap<&str, &str> = BTreeMap::new();
    let mut ids = BTreeSet::new();
    for set in &raw.set {
        if !is_id(&set.id) || !ids.insert(&set.id) {
            problems.push(format!("\"{}\" is no id of a set, or another set's too", set.id));
        }
        if set.file.is_empty() || set.file.len() > FILES_MAX {
            problems.push(format!("{}: a set has 1 to {FILES_MAX} files", set.id));
        }
        for file in &set.file {
            problems.extend(wrong_with(file).map(|why| format!("{}: {}: {why}", set.id, file.path)));
            if *paths.entry(&file.path).or_insert(&file.url) != file.url {
                problems.push(format!("{}: {} comes from somewhere else in another set", set.id, file.path));
            }
        }
    }
    if raw.set.len() > CHOICES_MAX {
        problems.push(format!("there are more than {CHOICES_MAX}"));
    }
    if !problems.is_empty() {
        return Err(problems);
    }
    let choice = |s: RawSet| Choice { id: s.id, name: s.name, about: s.about, licence: Some(s.licence), files: s.file };
    Ok(raw.set.into_iter().map(choice).collect())
}

fn wrong_with(file: &RawFile) -> Option<&'static str> {
    let part =
        |p: &str| !p.is_empty() && !p.starts_with('.') && p.bytes().all(|b| b.is_ascii_graphic() && !b"\\'\"`$".contains(&b));
    let hex = |t: &String| t.len() == 64 && t.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b));
    let name = |t: &String| !t.is_empty() && t.bytes().all(|b| b.is_ascii_uppercase() || b.is_ascii_digit() || b == b'_');
    if !is_address(&file.url) {
        Some("url must be an https address without a query")
    } else if !file.path.contains('/') || !file.path.split('/').all(part) {
        Some("path must lead to a folder below the models folder")
    } else if file.sha256.as_ref().is_some_and(|t| !hex(t)) {
        Some("sha256 must be 64 small hex digits")
    } else if file.token.as_ref().is_some_and(|t| !name(t)) {
        Some("token must be the name of a variable")
    } else if !(0.0..=1000.0).contains(&file.gb) {
        Some("gb must be a size in GB")
    } else {
        None
    }
}

/// `https://host/path`, of characters that mean nothing to a shell, without a query that could hold a secret.
fn is_address(url: &str) -> bool {
    let Some(rest) = url.strip_prefix("https://") else { return false };
    let Some((host, path)) = rest.split_once('/') else { return false };
    let allowed = |b: u8| b.is_ascii_alphanumeric() || b"-._~/".contains(&b);
    let host_is = !host.is_empty() && host.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'.' || b == b'-');
    host_is && path.bytes().all(allowed) && path.split('/').all(|p| !p.is_empty() && !p.starts_with('.'))
}

fn is_revision(text: &str) -> bool {
    let allowed = |b: u8| b.is_ascii_alphanumeric() || b"-._/".contains(&b);
    text.len() <= 100 && text.bytes().all(allowed) && !text.starts_with('-') && !text.contains("..")
}

fn is_id(text: &str) -> bool {
    let allowed = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
    (1..=48).contains(&text.len()) && text.bytes().all(allowed)
}

#[cfg(test)]
mod tests;
