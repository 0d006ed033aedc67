//! What was logged: the newest lines in memory, bounded, and the files of the days before. Knows no HTTP, and
//! nothing of how lines are made: whoever sets up logging puts them in.

mod mask;

pub use mask::masked;

use crate::beneath::Beneath;
use std::{
    collections::{BTreeSet, VecDeque},
    fs::File,
    io,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

/// Lines kept in memory.
const MOST_LINES: usize = 10_000;
/// Bytes of text kept in memory.
const MOST_BYTES: usize = 4 << 20;
/// Longer lines are cut, in bytes.
const LINE_BYTES: usize = 4 << 10;
/// Files that are listed at most, the newest first.
const MOST_FILES: usize = 200;

/// How bad it is, worst first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// It failed.
    Error,
    /// It may fail.
    Warn,
    /// It happened.
    Info,
    /// How it happened.
    Debug,
    /// Every step of it.
    Trace,
}

impl Level {
    /// Every level, worst first.
    pub const ALL: [Level; 5] = [Level::Error, Level::Warn, Level::Info, Level::Debug, Level::Trace];

    /// As it is written.
    pub fn name(self) -> &'static str {
        match self {
            Level::Error => "error",
            Level::Warn => "warn",
            Level::Info => "info",
            Level::Debug => "debug",
            Level::Trace => "trace",
        }
    }

    /// The level of a name.
    pub fn parse(name: &str) -> Option<Level> {
        Level::ALL.into_iter().find(|level| level.name() == name)
    }
}

/// A line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line {
    /// Its number; grows by one a line.
    pub seq: u64,
    /// When, ms since 1970.
    pub at: i64,
    /// How bad.
    pub level: Level,
    /// Which part of Easel, or which child, said it.
    pub service: String,
    /// What it said, secrets masked.
    pub text: String,
}

/// Which lines.
#[derive(Clone, Debug, Default)]
pub struct Filter {
    /// This bad or worse.
    pub level: Option<Level>,
    /// Of this service.
    pub service: Option<String>,
    /// With this text, in any case.
    pub text: Option<String>,
}

impl Filter {
    fn passes(&self, line: &Line, lower: Option<&str>) -> bool {
        self.level.is_none_or(|level| line.level <= level)
            && self.service.as_ref().is_none_or(|service| *service == line.service)
            && lower.is_none_or(|text| line.text.to_lowercase().contains(text))
    }
}

/// Some lines.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Page {
    /// The newest that pass, oldest first.
    pub lines: Vec<Line>,
    /// The number of the newest line there is: where to go on.
    pub last: u64,
    /// Lines after the asked number that are kept no longer.
    pub lost: u64,
}

/// A log file on the disk.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogFile {
    /// Its path below the folder of logs.
    pub name: String,
    /// Size.
    pub bytes: u64,
    /// When it was last written, ms since 1970.
    pub written: i64,
}

#[derive(Debug, Default)]
struct Inner {
    lines: VecDeque<Line>,
    bytes: usize,
    last: u64,
    services: BTreeSet<String>,
}

/// The newest lines. A handle; made before anything is logged.
#[derive(Clone, Debug, Default)]
pub struct Ring(Arc<Mutex<Inner>>);

impl Ring {
    /// One more line. Never waits for anything but another line.
    pub fn push(&self, at: i64, level: Level, service: &str, text: &str) {
        let text = masked(cut(text));
        let mut inner = self.inner();
        inner.last += 1;
        inner.bytes += text.len();
        if !inner.services.contains(service) {
            inner.services.insert(service.to_owned());
        }
        let line = Line { seq: inner.last, at, level, service: service.to_owned(), text };
        inner.lines.push_back(line);
        while inner.lines.len() > MOST_LINES || inner.bytes > MOST_BYTES {
            let Some(oldest) = inner.lines.pop_front() else { break };
            inner.bytes -= oldest.text.len();
        }
    }

    /// The newest `limit` lines after a number that pass a filter.
    pub fn after(&self, seq: u64, filter: &Filter, limit: usize) -> Page {
        let lower = filter.text.as_ref().map(|text| text.to_lowercase());
        let inner = self.inner();
        let first = inner.lines.front().map_or(inner.last + 1, |line| line.seq);
        // A number of an earlier start of Easel is larger than any: begin anew.
        let seq = if seq > inner.last { 0 } else { seq };
        let newer = inner.lines.iter().rev().take_while(|line| line.seq > seq);
        let mut lines: Vec<Line> = newer.filter(|line| filter.passes(line, lower.as_deref())).take(limit).cloned().collect();
        lines.reverse();
        Page { lines, last: inner.last, lost: if seq == 0 { 0 } else { first.saturating_sub(seq + 1) } }
    }

    /// Every service that said something since the start.
    pub fn services(&self) -> Vec<String> {
        self.inner().services.iter().cloned().collect()
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        // Every change is whole before anything can panic.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// At most [`LINE_BYTES`] of a text, at a character's end.
fn cut(text: &str) -> &str {
    let mut end = text.len().min(LINE_BYTES);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    &text[..end]
}

/// The lines in memory and the files on the disk.
#[derive(Clone, Debug)]
pub struct Logs {
    /// The newest lines.
    pub ring: Ring,
    folder: PathBuf,
    beneath: Beneath,
}

impl Logs {
    /// The files below `folder`, made if absent, and the lines of `ring`.
    ///
    /// # Errors
    /// When the folder cannot be made or opened.
    pub fn open(folder: &Path, ring: Ring) -> io::Result<Logs> {
        Ok(Logs { ring, folder: folder.to_path_buf(), beneath: Beneath::open(folder)? })
    }

    /// The files, newest first. Blocks for as long as the disk does.
    ///
    /// # Errors
    /// When the folder cannot be read.
    pub fn files(&self) -> io::Result<Vec<LogFile>> {
        let mut found = Vec::new();
        list(&self.folder, "", &mut found)?;
        found.sort_by_key(|file: &LogFile| std::cmp::Reverse(file.written));
        found.truncate(MOST_FILES);
        Ok(found)
    }

    /// A file to read, by its path below the folder. Blocks for as long as the disk does.
    ///
    /// # Errors
    /// When there is none such.
    pub fn file(&self, name: &str) -> io::Result<File> {
        self.beneath.file(name)
    }
}

/// The files of a folder and of the folders in it; those keep one service's logs each.
fn list(folder: &Path, above: &str, found: &mut Vec<LogFile>) -> io::Result<()> {
    for entry in std::fs::read_dir(folder)?.flatten() {
        let (Ok(kind), Ok(name)) = (entry.file_type(), entry.file_name().into_string()) else { continue };
        let path = if above.is_empty() { name } else { format!("{above}/{name}") };
        if kind.is_dir() && above.is_empty() {
            list(&entry.path(), &path, found)?;
        } else if kind.is_file()
            && let Ok(meta) = entry.metadata()
        {
            let written = meta.modified().ok().and_then(|at| at.duration_since(std::time::UNIX_EPOCH).ok());
            let written = written.map_or(0, |since| since.as_millis() as i64);
            found.push(LogFile { name: path, bytes: meta.len(), written });
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests;
