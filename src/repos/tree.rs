//! The files of a commit, looked at before any of them is written: nothing that leads out of the work tree or into `.git`, nothing
//! over the limits. Reads objects only.

use crate::{Fault, Limits};
use git2::{ObjectType, Oid, Repository};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

/// Longest path of a file inside a commit, in bytes: what a path of the system may have, less room for the folder.
const PATH: usize = 3_000;
/// Longest name, in bytes, as file systems have it.
const NAME: usize = 255;
/// Longest target of a link, in bytes.
const TARGET: usize = 1_000;
/// The kind of an entry, in its mode.
const KIND: i32 = 0o170_000;
const FOLDER: i32 = 0o040_000;
const FILE: i32 = 0o100_000;
const LINK: i32 = 0o120_000;
const SUBMODULE: i32 = 0o160_000;
/// Deepest nesting of folders.
const DEPTH: usize = 64;

/// A file of a commit, or a link.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Entry {
    pub(crate) mode: Mode,
    pub(crate) id: Oid,
}

/// What git remembers of a file's mode.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Mode {
    Plain,
    Program,
    Link,
}

impl Mode {
    /// As git writes it.
    pub(crate) fn raw(self) -> u32 {
        match self {
            Mode::Plain => 0o100_644,
            Mode::Program => 0o100_755,
            Mode::Link => 0o120_000,
        }
    }
}

/// The files of a commit by their paths. Submodules are left out: they are not followed.
pub(crate) type Files = BTreeMap<String, Entry>;

/// Reads a tree that is trusted: it was examined when it came, or was made here.
pub(crate) fn files(repo: &Repository, tree: Oid) -> Result<Files, Fault> {
    let limits = Limits { files: usize::MAX, file: u64::MAX, tree: u64::MAX, ..Limits::default() };
    examine(repo, tree, &limits)
}

/// Reads a tree of a stranger.
pub(crate) fn examine(repo: &Repository, tree: Oid, limits: &Limits) -> Result<Files, Fault> {
    examine_below(repo, "", tree, limits)
}

/// The same for the tree of a folder; paths begin with its name.
pub(crate) fn examine_below(repo: &Repository, folder: &str, tree: Oid, limits: &Limits) -> Result<Files, Fault> {
    let mut walk = Walk { repo, limits, files: Files::new(), seen: 0, bytes: 0 };
    let mut folders = vec![(folder.to_owned(), tree, 0)];
    while let Some((path, id, depth)) = folders.pop() {
        walk.folder(&path, id, depth, &mut folders)?;
    }
    Ok(walk.files)
}

struct Walk<'a> {
    repo: &'a Repository,
    limits: &'a Limits,
    files: Files,
    /// Files and folders, so that a tree which names itself a thousand times ends early.
    seen: usize,
    bytes: u64,
}

impl Walk<'_> {
    fn folder(&mut self, path: &str, id: Oid, depth: usize, folders: &mut Vec<(String, Oid, usize)>) -> Result<(), Fault> {
        let tree = self.repo.find_tree(id)?;
        let mut names = BTreeSet::new();
        for entry in &tree {
            let inner = join(path, entry.name_bytes()).map_err(|problem| hostile(&lossy(path, entry.name_bytes()), problem))?;
            self.seen += 1;
            if self.seen > self.limits.files {
                return Err(over("the number of files in the commit", self.limits.files, ""));
            }
            if !names.insert(entry.name_bytes().to_vec()) {
                return Err(hostile(&inner, "stands there twice"));
            }
            let id = entry.id();
            match entry.filemode_raw() & KIND {
                FOLDER if depth >= DEPTH => return Err(hostile(&inner, "is nested too deeply")),
                FOLDER => folders.push((inner, id, depth + 1)),
                // A submodule is a commit of another repository.
                SUBMODULE => {}
                LINK => self.file(inner, Entry { mode: Mode::Link, id })?,
                FILE if entry.filemode_raw() & 0o100 != 0 => self.file(inner, Entry { mode: Mode::Program, id })?,
                FILE => self.file(inner, Entry { mode: Mode::Plain, id })?,
                _ => return Err(hostile(&inner, "has a mode that git does not know")),
            }
        }
        Ok(())
    }

    fn file(&mut self, path: String, entry: Entry) -> Result<(), Fault> {
        let (size, kind) = self.repo.odb()?.read_header(entry.id)?;
        if kind != ObjectType::Blob {
            return Err(hostile(&path, "is no file"));
        }
        let size = size as u64;
        self.bytes = self.bytes.saturating_add(size);
        if size > self.limits.file {
            return Err(over(&format!("{path} ({size} bytes)"), self.limits.file, " bytes a file"));
        }
        if self.bytes > self.limits.tree {
            return Err(over("the size of the commit's files", self.limits.tree, " bytes"));
        }
        if entry.mode == Mode::Link {
            if size > TARGET as u64 {
                return Err(hostile(&path, "is a link with a target that is too long"));
            }
            let blob = self.repo.find_blob(entry.id)?;
            link(&path, blob.content()).map_err(|problem| hostile(&path, problem))?;
        }
        self.files.insert(path, entry);
        Ok(())
    }
}

fn hostile(path: &str, problem: &'static str) -> Fault {
    Fault::Hostile { path: path.escape_debug().take(200).collect(), problem }
}

fn over(what: &str, limit: impl std::fmt::Display, unit: &str) -> Fault {
    Fault::TooLarge { what: what.to_owned(), limit: format!("{limit}{unit}") }
}

fn lossy(path: &str, name: &[u8]) -> String {
    format!("{path}/{}", String::from_utf8_lossy(name))
}

/// A path with one more name, if that may stand in a work tree.
fn join(path: &str, name: &[u8]) -> Result<String, &'static str> {
    let name = std::str::from_utf8(name).map_err(|_| "has a name that is not UTF-8")?;
    if name.is_empty() || name == "." || name == ".." || name.contains(['/', '\0', '\\']) {
        return Err("has a name that leads elsewhere");
    }
    if name.chars().any(char::is_control) {
        return Err("has a control character in its name");
    }
    if is_git_folder(name) {
        return Err("would write into .git");
    }
    let joined = if path.is_empty() { name.to_owned() } else { format!("{path}/{name}") };
    if name.len() > NAME || joined.len() > PATH { Err("has a path that is too long") } else { Ok(joined) }
}

/// Whether some file system takes a name for `.git`: regardless of case, of characters that HFS+ ignores, of what NTFS ignores at
/// the end or after a colon, and by NTFS's short name.
fn is_git_folder(name: &str) -> bool {
    let ignored =
        |c: &char| matches!(c, '\u{200c}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}');
    let seen: String = name.chars().filter(|c| !ignored(c)).collect::<String>().to_ascii_lowercase();
    let seen = seen.split(':').next().unwrap_or_default().trim_end_matches(['.', ' ']);
    seen == ".git" || seen == "git~1"
}

/// A link may lead up first and down then, and must stay inside. As the way down holds no `..`, whatever links lie on it are held to
/// the same, and the folders above a link are real ones, its end is inside too.
fn link(path: &str, target: &[u8]) -> Result<(), &'static str> {
    let target = std::str::from_utf8(target).map_err(|_| "is a link whose target is not UTF-8")?;
    if target.is_empty() || target.starts_with('/') || target.contains(['\0', '\\']) {
        return Err("is a link out of the repository");
    }
    let above = path.matches('/').count();
    let (mut up, mut down) = (0, false);
    for name in target.split('/') {
        match name {
            "" | "." => {}
            ".." if down => return Err("is a link whose target turns back"),
            ".." => up += 1,
            name if is_git_folder(name) => return Err("is a link into .git"),
            _ => down = true,
        }
    }
    if up > above { Err("is a link out of the repository") } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_reach_git_are_found_in_every_disguise() {
        for name in [".git", ".GIT", ".git.", ".git ", "git~1", "GIT~1", ".g\u{200c}it", ".git::$INDEX_ALLOCATION"] {
            assert!(join("a", name.as_bytes()).is_err(), "{name:?}");
        }
        for name in [".gitignore", ".github", "git", "a.git", "git~2"] {
            assert!(join("a", name.as_bytes()).is_ok(), "{name:?}");
        }
        for name in ["", ".", "..", "a/b", "a\\b", "a\nb"] {
            assert!(join("a", name.as_bytes()).is_err(), "{name:?}");
        }
        assert!(join("a", b"\xff").is_err() && join("", "ä b".as_bytes()).is_ok());
    }

    #[test]
    fn links_stay_inside() {
        for (path, target) in [("a", "b"), ("a/b", "../c"), ("a/b/c", "../../d/e"), ("a", "./b/")] {
            assert_eq!(link(path, target.as_bytes()), Ok(()), "{path} -> {target}");
        }
        for (path, target) in [
            ("a", "/etc/passwd"),
            ("a", ".."),
            ("a/b", "../../x"),
            // Through a link to a folder above, this one would end outside.
            ("a/b/c", "d/../x"),
            ("a", ".git/config"),
            ("a/b", "../.GIT/hooks"),
            ("a", ""),
        ] {
            assert!(link(path, target.as_bytes()).is_err(), "{path} -> {target}");
        }
    }
}
