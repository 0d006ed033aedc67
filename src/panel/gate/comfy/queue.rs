//! The queue as ComfyUI tells it: every graph of everybody, of which little is wanted. It is read as it comes, and no more is
//! kept than the ids and the entries that somebody asked for. Pure; knows no socket.

use super::lists::shown;
use super::names::Owner;
use super::pyjson;
use serde_json::{Value, json};

/// Bytes of an id, and of what may stand before it in an entry.
const ID_MAX: usize = 128;
const HEAD_MAX: usize = 256;
/// Bytes of entries that are kept whole.
const KEPT_MAX: usize = 96 * 1024 * 1024;

/// One of its two lists.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum List {
    Running,
    Pending,
}

impl List {
    const ALL: [(List, &'static [u8]); 2] = [(List::Running, b"queue_running"), (List::Pending, b"queue_pending")];
}

/// The ids of all that run or wait.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Queue {
    /// One at most, as ComfyUI is now.
    pub(super) running: Vec<String>,
    /// In no order.
    pub(super) pending: Vec<String>,
}

impl Queue {
    /// A profile's own part.
    pub(super) fn own(&self, owns: impl Fn(&str) -> bool) -> Queue {
        let own = |ids: &[String]| ids.iter().filter(|id| owns(id)).cloned().collect();
        Queue { running: own(&self.running), pending: own(&self.pending) }
    }

    /// How many wait or run.
    pub(super) fn count(&self) -> usize {
        self.running.len() + self.pending.len()
    }
}

/// What is wrong with it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Wrong {
    /// It is no JSON, or ends before its end.
    Unreadable,
    /// The entries that are wanted are too long.
    TooLarge,
}

/// Reads it piece by piece. `keep` says of an id whether its entry is wanted whole.
pub(super) struct Scanner<F> {
    keep: F,
    depth: usize,
    begun: bool,
    inside: Inside,
    /// The last string at the top, which is a list's name when the list begins.
    key: Vec<u8>,
    list: Option<List>,
    /// Which part of an entry this is.
    part: usize,
    id: Vec<u8>,
    /// The second part is one plain string.
    named: bool,
    entry: Vec<u8>,
    /// The entry is written down.
    writing: bool,
    queue: Queue,
    kept: Vec<(List, Vec<u8>)>,
    size: usize,
}

/// Where in a string the last byte was.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Inside {
    Nothing,
    Text,
    Escape,
}

impl<F: Fn(&str) -> bool> Scanner<F> {
    pub(super) fn new(keep: F) -> Scanner<F> {
        Scanner {
            keep,
            depth: 0,
            begun: false,
            inside: Inside::Nothing,
            key: Vec::new(),
            list: None,
            part: 0,
            id: Vec::new(),
            named: false,
            entry: Vec::new(),
            writing: false,
            queue: Queue::default(),
            kept: Vec::new(),
            size: 0,
        }
    }

    /// Reads the next piece.
    pub(super) fn feed(&mut self, bytes: &[u8]) -> Result<(), Wrong> {
        bytes.iter().try_for_each(|byte| self.byte(*byte))
    }

    fn byte(&mut self, byte: u8) -> Result<(), Wrong> {
        if self.writing {
            self.write(byte)?;
        }
        match self.inside {
            Inside::Escape => {
                self.inside = Inside::Text;
                self.letter(None);
            }
            Inside::Text => match byte {
                b'\\' => self.inside = Inside::Escape,
                b'"' => self.inside = Inside::Nothing,
                byte => self.letter(Some(byte)),
            },
            Inside::Nothing => match byte {
                b'"' => {
                    self.inside = Inside::Text;
                    if self.depth == 1 {
                        self.key.clear();
                    } else if self.at_id() {
                        // A second string there is no id.
                        self.named = self.id.is_empty();
                    }
                }
                b'{' | b'[' => self.open(byte),
                b'}' | b']' => self.close()?,
                b',' if self.depth == 3 && self.list.is_some() => {
                    self.part += 1;
                    self.decide();
                }
                _ => {}
            },
        }
        Ok(())
    }

    fn write(&mut self, byte: u8) -> Result<(), Wrong> {
        self.entry.push(byte);
        if self.part <= 1 {
            // What stands before the id is a number, and an entry with more there is none.
            self.writing = self.entry.len() <= HEAD_MAX + ID_MAX;
            return Ok(());
        }
        self.size += 1;
        if self.size > KEPT_MAX { Err(Wrong::TooLarge) } else { Ok(()) }
    }

    fn at_id(&self) -> bool {
        self.depth == 3 && self.list.is_some() && self.part == 1
    }

    /// A letter of a string; an escape is none of an id's or a list's name.
    fn letter(&mut self, byte: Option<u8>) {
        let at_id = self.at_id();
        let text = if at_id {
            &mut self.id
        } else if self.depth == 1 {
            &mut self.key
        } else {
            return;
        };
        match byte {
            Some(byte) if text.len() < ID_MAX => text.push(byte),
            _ if at_id => self.named = false,
            _ => text.clear(),
        }
    }

    fn open(&mut self, byte: u8) {
        if self.at_id() {
            self.named = false;
        }
        self.depth += 1;
        self.begun = true;
        match self.depth {
            2 => {
                let list = List::ALL.iter().find(|(_, name)| byte == b'[' && self.key == *name);
                self.list = list.map(|(list, _)| *list);
            }
            3 if self.list.is_some() => {
                (self.part, self.named, self.writing) = (0, false, byte == b'[');
                self.id.clear();
                self.entry.clear();
                self.entry.push(byte);
                if byte != b'[' {
                    // Nothing of an object is an entry.
                    self.part = usize::MAX / 2;
                }
            }
            _ => {}
        }
    }

    fn close(&mut self) -> Result<(), Wrong> {
        match (self.depth, self.list) {
            (3, Some(list)) => {
                if self.part == 1 {
                    self.part = 2;
                    self.decide();
                }
                if let Some(id) = self.id() {
                    match list {
                        List::Running => self.queue.running.push(id),
                        List::Pending => self.queue.pending.push(id),
                    }
                    if self.writing {
                        self.kept.push((list, std::mem::take(&mut self.entry)));
                    }
                }
                self.writing = false;
            }
            (2, _) => self.list = None,
            _ => {}
        }
        self.depth = self.depth.checked_sub(1).ok_or(Wrong::Unreadable)?;
        Ok(())
    }

    fn id(&self) -> Option<String> {
        String::from_utf8(self.id.clone()).ok().filter(|id| self.named && self.part >= 2 && !id.is_empty())
    }

    /// Behind the id it is known whether the rest is wanted.
    fn decide(&mut self) {
        if self.part == 2 {
            self.writing = self.writing && self.id().is_some_and(|id| (self.keep)(&id));
        }
    }

    /// What was read, once it has ended.
    fn end(self) -> Result<(Queue, Kept), Wrong> {
        let whole = self.begun && self.depth == 0 && self.inside == Inside::Nothing;
        let kept = Kept { entries: self.kept, size: self.size };
        if whole { Ok((self.queue, kept)) } else { Err(Wrong::Unreadable) }
    }

    /// The ids.
    pub(super) fn ids(self) -> Result<Queue, Wrong> {
        self.end().map(|(queue, _)| queue)
    }

    /// The entries that were wanted.
    pub(super) fn kept(self) -> Result<Kept, Wrong> {
        self.end().map(|(_, kept)| kept)
    }
}

/// Entries of one profile's.
#[derive(Debug)]
pub(super) struct Kept {
    entries: Vec<(List, Vec<u8>)>,
    /// Bytes of them.
    pub(super) size: usize,
}

impl Kept {
    /// As `GET /queue` tells them to their owner.
    pub(super) fn told(&self, owner: &Owner) -> Value {
        let of = |list: List| -> Vec<Value> {
            let entries = self.entries.iter().filter(|(of, _)| *of == list).filter_map(|(_, entry)| pyjson::read(entry));
            entries.map(|entry| shown(entry, owner)).collect()
        };
        json!({ "queue_running": of(List::Running), "queue_pending": of(List::Pending) })
    }
}

#[cfg(test)]
#[path = "tests/queues.rs"]
mod tests;
