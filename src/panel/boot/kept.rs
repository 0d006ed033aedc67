//! What came of work on repositories, in a file that outlives the process: `state/sync.json`, one report for each. Written by
//! `easel sync`, read by panels. Knows no git.

use super::sync::{RepoReport, left_out};
use crate::{beneath::Beneath, config::Boot};
use std::{io, path::Path};

/// In the data folder.
const FOLDER: &str = "state";
const FILE: &str = "sync.json";
/// Largest that is read. What is written is far below: a report names few files.
const REPORTS_MAX: u64 = 16 << 20;

/// Keeps reports beside those of other repositories, whole or not at all.
///
/// # Errors
/// When the disk refuses.
pub fn keep(data: &Path, reports: &[RepoReport]) -> io::Result<()> {
    let mut all = kept(data);
    all.retain(|old| reports.iter().all(|report| report.name != old.name));
    all.extend(reports.iter().cloned());
    let bytes = serde_json::to_vec(&all).map_err(io::Error::other)?;
    if bytes.len() as u64 > REPORTS_MAX {
        return Err(io::ErrorKind::FileTooLarge.into());
    }
    Beneath::open(data)?.write(FOLDER, FILE, &bytes)
}

/// What was kept last; nothing where there is none, or it cannot be read.
pub fn kept(data: &Path) -> Vec<RepoReport> {
    let folder = data.join(FOLDER);
    if !folder.is_dir() {
        return Vec::new();
    }
    let bytes = Beneath::open(&folder).and_then(|folder| folder.read(FILE, REPORTS_MAX)).unwrap_or_default();
    serde_json::from_slice(&bytes).unwrap_or_default()
}

/// The reports of all repositories after work that ended in some way. One that was to be got to and has no other report than `before`
/// is told to be left out: what died half-way must not pass for done.
pub(super) fn after(
    boot: &Boot,
    before: &[RepoReport],
    now: Vec<RepoReport>,
    only: Option<&str>,
    at: i64,
    end: &str,
) -> Vec<RepoReport> {
    let find = |reports: &[RepoReport], name: &str| reports.iter().find(|report| report.name == name).cloned();
    let of = |repo: &crate::config::Repo| {
        let (old, new) = (find(before, &repo.name), find(&now, &repo.name));
        let concerned = only.is_none_or(|only| only == repo.name);
        match new {
            Some(new) if !concerned || Some(&new) != old.as_ref() => Some(new),
            None if !concerned => None,
            _ => {
                Some(left_out(boot, repo, at, format!("The sync {end} before it got to this repository; its terminal says more")))
            }
        }
    };
    boot.repos.iter().filter_map(of).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::boot::sync::{Aside, Came, CommitView};
    use crate::config::Repo;
    use std::fs;

    fn report(name: &str, at: i64) -> RepoReport {
        let commit = CommitView { id: "a".repeat(40), summary: "s".into(), author: "a".into(), time: 7 };
        RepoReport {
            name: name.into(),
            at,
            commit: Some(commit.clone()),
            came: Came::Rewritten { offered: commit },
            put_aside: vec![Aside { branch: "easel/kept-1".into(), files: vec!["a".into()], more: 0 }],
        }
    }

    #[test]
    fn a_report_outlives_the_process_that_made_it_and_others_stay() {
        let data = tempfile::tempdir().unwrap();
        assert_eq!(kept(data.path()), []);
        keep(data.path(), &[report("studio", 5), report("nodes", 5)]).unwrap();
        keep(data.path(), &[report("studio", 6)]).unwrap();
        assert_eq!(kept(data.path()), [report("nodes", 5), report("studio", 6)]);
        fs::write(data.path().join("state/sync.json"), "{").unwrap();
        assert_eq!(kept(data.path()), []);
    }

    #[test]
    fn what_was_not_got_to_is_told() {
        let folder = tempfile::tempdir().unwrap();
        let repo = |name: &str| Repo {
            name: name.into(),
            address: repos::Address::parse("https://git.example.org/me/studio.git").unwrap(),
            branch: repos::Branch::parse("main").unwrap(),
            path: folder.path().join(name),
            required: false,
        };
        let boot = Boot { repos: vec![repo("nodes"), repo("studio")], ..Boot::default() };
        let (old, new) = (report("nodes", 5), report("studio", 6));
        let after =
            |only| after(&boot, &[old.clone(), report("studio", 5)], vec![old.clone(), new.clone()], only, 7, "was killed");
        let told = after(None);
        assert_eq!(told[1], new);
        let why = told[0].behind().unwrap();
        assert!(why.starts_with("The sync was killed before it got to this repository") && told[0].commit.is_none(), "{why}");
        assert_eq!(after(Some("studio")), [old.clone(), new.clone()], "the others were not to be got to");
        let none = super::after(&boot, &[], Vec::new(), None, 7, "ended with code 3");
        assert!(none.iter().all(|report| report.behind().is_some()) && none.len() == 2);
    }
}
