//! What differs between two commits, as people read it: which files, how many lines, and the text of it, all bounded.

use crate::{Change, Commit, Fault, Kind, library, repository::Local};
use git2::{Delta, Diff, DiffOptions, Oid, Patch, Sort};
use serde::Serialize;
use std::path::Path;

/// Most files whose text is handed out.
const FILES: usize = 500;
/// Most bytes of one file's text.
const FILE: usize = 200_000;
/// Most bytes of text in all.
const ALL: usize = 2_000_000;
/// A file beyond this is not compared line by line.
const COMPARED: i64 = 4 << 20;
/// Most commits that a history shows.
const HISTORY: usize = 1_000;

/// The difference between two commits.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Difference {
    /// Its files, by path.
    pub files: Vec<FileDifference>,
    /// There are more files than are listed.
    pub more: bool,
}

/// The difference in one file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct FileDifference {
    /// Its path below the repository's folder.
    pub path: String,
    /// What happened to it.
    pub kind: Kind,
    /// Lines that came.
    pub added: usize,
    /// Lines that went.
    pub removed: usize,
    /// The text.
    pub text: DifferenceText,
}

/// The text of a difference.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub enum DifferenceText {
    /// In the unified form.
    Unified(String),
    /// In the unified form, cut off at a line's end because it is long.
    Cut(String),
    /// It is no text, or too large to compare.
    Binary,
}

/// What differs between two commits below a folder (`setup/`; everything for an empty name). Both must be there: ids of 40 digits.
pub fn diff(path: &Path, from: &str, to: &str, below: &str) -> Result<Difference, Fault> {
    let local = there(path)?;
    let id = |text: &str| Oid::from_str(text).map_err(|_| Fault::NoCommit(text.chars().take(60).collect()));
    let mut options = DiffOptions::new();
    options.max_size(COMPARED).disable_pathspec_match(true).context_lines(3).include_typechange(true);
    let below = below.trim_end_matches('/');
    if !below.is_empty() {
        options.pathspec(below);
    }
    let diff = between(&local, id(from)?, id(to)?, &mut options)?;
    let mut difference = Difference { more: diff.deltas().len() > FILES, ..Difference::default() };
    let mut left = ALL;
    for n in 0..diff.deltas().len().min(FILES) {
        if let Some(file) = file(&diff, n, left)? {
            if let DifferenceText::Unified(text) | DifferenceText::Cut(text) = &file.text {
                left -= text.len();
            }
            difference.files.push(file);
        }
    }
    Ok(difference)
}

fn file(diff: &Diff<'_>, n: usize, left: usize) -> Result<Option<FileDifference>, Fault> {
    let Some(change) = diff.get_delta(n).and_then(|delta| change(&delta)) else { return Ok(None) };
    let Change { path, kind } = change;
    let binary = FileDifference { path, kind, added: 0, removed: 0, text: DifferenceText::Binary };
    let Some(mut patch) = Patch::from_diff(diff, n)? else { return Ok(Some(binary)) };
    if patch.delta().flags().is_binary() {
        return Ok(Some(binary));
    }
    let (_, added, removed) = patch.line_stats()?;
    let text = String::from_utf8_lossy(&patch.to_buf()?).into_owned();
    let limit = FILE.min(left);
    let text =
        if text.len() <= limit { DifferenceText::Unified(text) } else { DifferenceText::Cut(cut(&text, limit).to_owned()) };
    Ok(Some(FileDifference { added, removed, text, ..binary }))
}

/// The longest beginning of whole lines within a limit.
fn cut(text: &str, limit: usize) -> &str {
    let mut end = limit.min(text.len());
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    &text[..text[..end].rfind('\n').map_or(0, |at| at + 1)]
}

/// The files that differ between two commits.
pub(crate) fn changes(local: &Local, from: Oid, to: Oid) -> Result<Vec<Change>, Fault> {
    let diff = between(local, from, to, DiffOptions::new().include_typechange(true))?;
    Ok(diff.deltas().filter_map(|delta| change(&delta)).collect())
}

fn between<'a>(local: &'a Local, from: Oid, to: Oid, options: &mut DiffOptions) -> Result<Diff<'a>, Fault> {
    let tree = |id: Oid| {
        let commit = local.repo.find_commit(id).map_err(|_| Fault::NoCommit(id.to_string()))?;
        Ok::<_, Fault>(commit.tree()?)
    };
    Ok(local.repo.diff_tree_to_tree(Some(&tree(from)?), Some(&tree(to)?), Some(options))?)
}

fn change(delta: &git2::DiffDelta<'_>) -> Option<Change> {
    let kind = match delta.status() {
        Delta::Added => Kind::Added,
        Delta::Deleted => Kind::Removed,
        Delta::Modified | Delta::Typechange => Kind::Changed,
        _ => return None,
    };
    let file = if kind == Kind::Removed { delta.old_file() } else { delta.new_file() };
    Some(Change { path: String::from_utf8_lossy(file.path_bytes()?).into_owned(), kind })
}

/// The newest commits of the branch as the remote has it, at most `n` and 1,000, newest first. Where somebody has gone back, those
/// that were left are in it too.
pub fn history(path: &Path, n: usize) -> Result<Vec<Commit>, Fault> {
    let local = there(path)?;
    let mut walk = local.repo.revwalk()?;
    walk.set_sorting(Sort::TOPOLOGICAL | Sort::TIME)?;
    let newest = match local.taken() {
        Some(taken) => taken,
        None => local.head()?,
    };
    walk.push(newest)?;
    walk.take(n.min(HISTORY)).map(|id| local.commit(id?)).collect()
}

fn there(path: &Path) -> Result<Local, Fault> {
    library::prepare()?;
    Local::open(path)?.ok_or_else(|| Fault::NotOurs { path: path.to_owned(), found: "there is no repository".to_owned() })
}

#[cfg(test)]
mod tests {
    use super::cut;

    #[test]
    fn a_cut_is_at_a_lines_end_and_inside_no_character() {
        assert_eq!(cut("one\ntwö\n", 6), "one\n");
        assert_eq!(cut("one\ntwo\n", 8), "one\ntwo\n");
        assert_eq!(cut("ööö", 3), "");
    }
}
