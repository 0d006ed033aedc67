//! Whether a tool is installed, from what its scripts leave in its folder. Reads the disk; changes nothing.

use crate::beneath::Beneath;
use std::{fs, io, path::Path};

/// Written last by a script that installs, updates or reinstalls.
const INSTALLED: &str = ".easel-installed";
/// There for as long as such a script is at work, and after it was interrupted.
const CHANGING: &str = ".easel-changing";
/// The mark of the version that the last update replaced.
const EARLIER: &str = ".easel-earlier";
/// Largest of these files.
const MAX: u64 = 16 << 10;
/// Most characters of a value that are shown.
const VALUE_MAX: usize = 80;

/// Whether a tool is installed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Installation {
    /// It is not.
    Absent,
    /// A script is changing it, or was interrupted while it did.
    Changing {
        /// `install`, `update` or `reinstall`.
        change: String,
    },
    /// Nobody can tell: its folder does not look as its scripts leave it. What is there belongs to the tool, so this is no
    /// fault of the workspace, and hides no other tool.
    Unreadable {
        /// Why, in a sentence.
        why: String,
        /// What to do about it, in a sentence.
        remedy: String,
    },
    /// It is.
    Installed {
        /// As its makers number it.
        version: String,
        /// Commit of its repository, where it has one.
        commit: Option<String>,
        /// When, as in `2026-01-31T12:00:00Z`.
        at: String,
        /// The version before the last update, where it can be gone back to.
        earlier: Option<String>,
    },
}

impl Installation {
    /// Looks into the folder `home` of the workspace. Its files belong to the tool, so they are opened beneath the
    /// workspace and without following links, and believed only as text to show.
    ///
    /// # Errors
    /// When the workspace itself cannot be read.
    pub fn of(workspace: &Path, home: &str) -> io::Result<Installation> {
        let folder = workspace.join(home);
        match fs::symlink_metadata(&folder) {
            Ok(found) if found.is_symlink() => return Ok(linked(&folder)),
            Ok(found) if found.is_dir() => {}
            Ok(_) => return Ok(Installation::Absent),
            Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(Installation::Absent),
            Err(e) => return Ok(unreadable(&folder, &e)),
        }
        let workspace = Beneath::open(workspace)?;
        Ok(look(&workspace, home).unwrap_or_else(|(name, e)| unreadable(&folder.join(name), &e)))
    }
}

/// What the marks in a folder say; or which of them cannot be read.
fn look(workspace: &Beneath, home: &str) -> Result<Installation, (&'static str, io::Error)> {
    let read = |name: &'static str| match workspace.read(&format!("{home}/{name}"), MAX) {
        Ok(bytes) => Ok(Some(String::from_utf8_lossy(&bytes).into_owned())),
        Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(e) => Err((name, e)),
    };
    if let Some(note) = read(CHANGING)? {
        return Ok(Installation::Changing { change: value(&note, "change").unwrap_or_else(|| "install".into()) });
    }
    Ok(match read(INSTALLED)? {
        None => Installation::Absent,
        Some(mark) => Installation::Installed {
            version: value(&mark, "version").unwrap_or_default(),
            commit: value(&mark, "commit"),
            at: value(&mark, "at").unwrap_or_default(),
            earlier: read(EARLIER)?.and_then(|earlier| value(&earlier, "version")),
        },
    })
}

/// A folder that is a link would lead its scripts, which run with rights of their own, to wherever it points.
fn linked(folder: &Path) -> Installation {
    let to = fs::read_link(folder).unwrap_or_default();
    Installation::Unreadable {
        why: format!("Its folder {} is a link to {}, and Easel follows no links there.", folder.display(), to.display()),
        remedy: "Move the folder back to its place, or set `workspace` in easel.toml to where the tools lie.".into(),
    }
}

fn unreadable(path: &Path, why: &io::Error) -> Installation {
    Installation::Unreadable {
        why: format!("{} cannot be read: {why}.", path.display()),
        remedy: "Look at what is in its place; where it is no file that its scripts wrote, remove it.".into(),
    }
}

/// The value of a `key=value` line, without control characters. None where it is empty.
fn value(text: &str, key: &str) -> Option<String> {
    let line = text.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix('='))?;
    let shown: String = line.chars().filter(|c| !c.is_control()).take(VALUE_MAX).collect();
    Some(shown).filter(|shown| !shown.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;

    #[test]
    fn a_folder_alone_is_no_installation() {
        let folder = tempfile::tempdir().unwrap();
        let state = || Installation::of(folder.path(), "comfy").unwrap();
        assert_eq!(state(), Installation::Absent);
        fs::create_dir(folder.path().join("comfy")).unwrap();
        assert_eq!(state(), Installation::Absent);
        fs::write(folder.path().join("comfy/.easel-installed"), "version=v1.2\u{1b}[31m\ncommit=\nat=2026-01-31T12:00:00Z\n")
            .unwrap();
        let at = "2026-01-31T12:00:00Z".to_owned();
        assert_eq!(state(), Installation::Installed { version: "v1.2[31m".into(), commit: None, at, earlier: None });
        fs::write(folder.path().join("comfy/.easel-earlier"), "version=v1.1\ncommit=\n").unwrap();
        assert!(matches!(state(), Installation::Installed { earlier: Some(version), .. } if version == "v1.1"));
        fs::write(folder.path().join("comfy/.easel-changing"), "change=update\nfrom=abc\n").unwrap();
        assert_eq!(state(), Installation::Changing { change: "update".into() });
    }

    #[track_caller]
    fn assert_unreadable(workspace: &Path, what: &str) {
        let found = Installation::of(workspace, "comfy").unwrap();
        let Installation::Unreadable { why, remedy } = &found else { panic!("{found:?}") };
        assert!(why.contains(what) && why.ends_with('.') && remedy.ends_with('.'), "{found:?}");
    }

    #[test]
    fn a_link_out_of_the_folder_is_not_followed_and_is_told() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("secret"), "version=secret\n").unwrap();
        fs::create_dir(folder.path().join("comfy")).unwrap();
        symlink(folder.path().join("secret"), folder.path().join("comfy/.easel-installed")).unwrap();
        assert_unreadable(folder.path(), "comfy/.easel-installed cannot be read");
        symlink(folder.path().join("secret"), folder.path().join("comfy/.easel-changing")).unwrap();
        assert_unreadable(folder.path(), "comfy/.easel-changing cannot be read");
    }

    #[test]
    fn a_mark_that_is_too_long_is_told() {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir(folder.path().join("comfy")).unwrap();
        fs::write(folder.path().join("comfy/.easel-changing"), vec![b'x'; MAX as usize + 1]).unwrap();
        assert_unreadable(folder.path(), ".easel-changing cannot be read");
    }

    #[test]
    fn a_folder_that_is_a_link_is_named_with_where_it_leads() {
        let (folder, big) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        fs::write(big.path().join(".easel-installed"), "version=1\n").unwrap();
        symlink(big.path(), folder.path().join("comfy")).unwrap();
        assert_unreadable(folder.path(), &format!("comfy is a link to {}", big.path().display()));
    }
}
