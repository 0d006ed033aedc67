//! Whether a tool is installed, from what its scripts leave in its folder. Reads the disk; changes nothing.

use crate::beneath::Beneath;
use std::{io, path::Path};

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
    pub fn of(workspace: &Path, home: &str) -> io::Result<Installation> {
        if !workspace.join(home).is_dir() {
            return Ok(Installation::Absent);
        }
        let workspace = Beneath::open(workspace)?;
        let read = |name: &str| match workspace.read(&format!("{home}/{name}"), MAX) {
            Ok(bytes) => Ok(Some(String::from_utf8_lossy(&bytes).into_owned())),
            Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(e) => Err(e),
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
    use std::fs;

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

    #[test]
    fn a_link_out_of_the_folder_is_not_followed() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("secret"), "version=secret\n").unwrap();
        fs::create_dir(folder.path().join("comfy")).unwrap();
        std::os::unix::fs::symlink(folder.path().join("secret"), folder.path().join("comfy/.easel-installed")).unwrap();
        assert!(Installation::of(folder.path(), "comfy").is_err());
    }
}
