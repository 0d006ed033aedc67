//! Sizes of files and functions, and how a file opens. The list of exceptions may only shrink.

use super::{Source, report, sources};

/// Lines that a file may have.
const FILE_HARD: usize = 600;
/// Lines above which a file counts as long; there may be few of those.
const FILE_SOFT: usize = 400;
/// One network's file.
const MODEL_FILE: usize = 900;
/// Lines that a function may have.
const FUNCTION: usize = 70;
/// Share of files that may be over the soft limit.
const LONG_SHARE: f64 = 0.10;
/// The median file is at most this long.
const MEDIAN: usize = 150;

/// Functions over the limit: (file, function). This list may only shrink.
const LONG_FUNCTIONS: [(&str, &str); 0] = [];

fn limit(path: &str) -> usize {
    if path.starts_with("src/engine/models/") { MODEL_FILE } else { FILE_HARD }
}

#[test]
fn files_stay_small() {
    let files = sources(&["rs", "ts", "css"]);
    let lines = |f: &Source| f.text.lines().count();
    let too_long: Vec<String> = files
        .iter()
        .filter(|f| lines(f) > limit(&f.path))
        .map(|f| format!("{}: {} lines, {} allowed", f.path, lines(f), limit(&f.path)))
        .collect();
    report("files over the hard limit", &too_long);

    let mut counts: Vec<usize> = files.iter().map(lines).collect();
    counts.sort_unstable();
    let median = counts[counts.len() / 2];
    let long = counts.iter().filter(|n| **n > FILE_SOFT).count();
    println!("{} files, median {median} lines, longest {}, {long} over {FILE_SOFT}", counts.len(), counts[counts.len() - 1]);
    assert!(median <= MEDIAN, "the median file has {median} lines, {MEDIAN} allowed");
    let share = long as f64 / counts.len() as f64;
    assert!(share <= LONG_SHARE, "{long} of {} files are over {FILE_SOFT} lines", counts.len());
}

#[test]
fn files_say_what_they_are_for() {
    let silent: Vec<String> = sources(&["rs"])
        .into_iter()
        .filter(|f| !f.text.starts_with("//! "))
        .map(|f| format!("{}: no //! on the first line", f.path))
        .collect();
    report("a file opens by saying what it is for and what it does not know", &silent);
}

/// Functions as (name, first line, length). Relies on rustfmt: a function's closing brace stands alone at
/// the indentation of its `fn`.
fn functions(text: &str) -> Vec<(String, usize, usize)> {
    let lines: Vec<&str> = text.lines().collect();
    let mut found = Vec::new();
    for (i, line) in lines.iter().enumerate() {
        let indent = line.len() - line.trim_start().len();
        let Some(name) = function_name(line.trim_start()) else { continue };
        let close = format!("{}}}", " ".repeat(indent));
        // A trait's declaration ends in a semicolon and has no body.
        if lines[i..].iter().find(|l| l.ends_with(['{', ';', '}'])).is_none_or(|l| !l.ends_with('{')) {
            continue;
        }
        if let Some(length) = lines[i..].iter().position(|l| *l == close) {
            found.push((name.to_owned(), i + 1, length + 1));
        }
    }
    found
}

fn function_name(line: &str) -> Option<&str> {
    let rest = ["pub ", "pub(crate) ", "pub(super) ", "async ", "const ", "unsafe "]
        .iter()
        .fold(line, |l, p| l.strip_prefix(p).unwrap_or(l));
    let rest = rest.strip_prefix("fn ")?;
    Some(&rest[..rest.find(['(', '<'])?])
}

#[test]
fn functions_stay_small() {
    let mut complaints = Vec::new();
    let mut used = Vec::new();
    for file in sources(&["rs"]) {
        for (name, line, length) in functions(&file.text) {
            if length <= FUNCTION {
                continue;
            }
            match LONG_FUNCTIONS.iter().position(|(f, n)| *f == file.path && *n == name) {
                Some(i) => used.push(i),
                None => complaints.push(format!("{}:{line}: {name} has {length} lines, {FUNCTION} allowed", file.path)),
            }
        }
    }
    for (i, (file, name)) in LONG_FUNCTIONS.iter().enumerate() {
        if !used.contains(&i) {
            complaints.push(format!("{file}: {name} is short now: take it off the list of exceptions"));
        }
    }
    report("functions over the limit", &complaints);
}

#[test]
fn the_counter_of_lines_sees_a_long_function() {
    let text = format!("impl X {{\n    pub async fn long<T>(a: T) {{\n{}    }}\n}}\n", "        a();\n".repeat(80));
    assert_eq!(functions(&text), [("long".to_owned(), 2, 82)]);
}
