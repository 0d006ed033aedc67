//! The work tree goes from one commit to another, so that a kill at any point leaves the old, the new, or a journal by which the next
//! opening finishes the new. New files are written beside first (`.git/easel/stage-…`), where a full disk or a cancel costs nothing; then
//! the journal says what is to happen; then they take their places by renames. Files are written as they are committed: no line ends
//! are converted and no filter runs.

use crate::{
    Fault, Phase, PutAside,
    folder::{Folder, kind, parts},
    index::{self, Stamp, Stamps},
    keep, point,
    repository::{self, Local},
    survey::{Found, survey},
    tree::{self, Entry, Files, Mode},
    watch::Watch,
};
use git2::Oid;
use rustix::fs::FileType;
use serde::{Deserialize, Serialize};
use std::{collections::BTreeSet, io, thread};

const JOURNAL: &str = "journal.json";
/// Two folders in turn: while there is a journal, what is left in its stage tells what is still to do.
const STAGES: [&str; 2] = ["stage-a", "stage-b"];

/// How often it is begun anew because somebody writes.
const TRIES: usize = 3;

/// Files that wait for the disk at the same time.
const SYNCERS: usize = 16;

/// What is to happen, in full.
#[derive(Debug, Serialize, Deserialize)]
struct Journal {
    /// The commit that is gone to.
    to: String,
    /// The folder of the new files, each named by the number of its step.
    stage: String,
    steps: Vec<Step>,
}

/// One path that changes. One whose new file is in the stage no more has been done.
#[derive(Debug, Serialize, Deserialize)]
struct Step {
    path: String,
    was: Option<Written>,
    new: Option<Written>,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
struct Written {
    mode: Mode,
    id: String,
}

impl Written {
    fn of(entry: Entry) -> Written {
        Written { mode: entry.mode, id: entry.id.to_string() }
    }

    fn entry(&self) -> Result<Entry, Fault> {
        Ok(Entry { mode: self.mode, id: Oid::from_str(&self.id)? })
    }
}

/// Goes to a commit. What somebody edited is kept first, and so are commits of the present head that are in none of `safe`.
pub(crate) fn switch(local: &Local, to: Oid, safe: &[Oid], watch: &Watch) -> Result<Vec<PutAside>, Fault> {
    let expected = tree::files(&local.repo, local.tree(local.head()?)?)?;
    from(local, &expected, to, safe, watch)
}

/// The same for a work tree in which `expected` should stand.
pub(crate) fn from(local: &Local, expected: &Files, to: Oid, safe: &[Oid], watch: &Watch) -> Result<Vec<PutAside>, Fault> {
    let coming = tree::files(&local.repo, local.tree(to)?)?;
    let mut found = survey(local, expected, &coming)?;
    for _ in 0..TRIES {
        let steps: Vec<Step> = found.changes.iter().map(|found| step(found, &coming)).collect();
        let (name, stage) = stage(local, &steps, watch)?;
        point();
        // That may have taken minutes, in which somebody has worked here.
        let now = survey(local, expected, &coming)?;
        if now.is_same(&found) {
            watch.seal()?;
            // Not before: what is broken off earlier has moved nothing, and each further try would leave one more branch.
            // A clone has no head yet, and nothing to keep.
            let new = now.edits.is_empty() && local.head().is_err();
            let kept = if new { Vec::new() } else { keep::keep(local, expected, &now.edits, safe)? };
            point();
            let journal = Journal { to: to.to_string(), stage: name.to_owned(), steps };
            repository::write_note(&local.own, JOURNAL, &journal)?;
            point();
            carry_out(local, &journal, &stage, &coming, now.stamps, to, watch)?;
            return Ok(kept);
        }
        found = now;
    }
    let path = found.edits.first().or(found.changes.first()).map(|found| found.path.clone());
    Err(Fault::BeingWritten(path.unwrap_or_default()))
}

fn step(found: &Found, coming: &Files) -> Step {
    let new = coming.get(&found.path).copied().map(Written::of);
    Step { path: found.path.clone(), was: found.now.map(Written::of), new }
}

/// Finishes what was cut off: true where there was something. An edit that somebody made since is kept.
pub(crate) fn repair(local: &Local, watch: &Watch) -> Result<bool, Fault> {
    let Some(journal) = repository::note::<Journal>(&local.own, JOURNAL)? else {
        // Killed before the journal was written, or after all was done.
        STAGES.iter().try_for_each(|name| local.own.remove_all(name)).map_err(staging)?;
        return Ok(false);
    };
    let to = Oid::from_str(&journal.to)?;
    let coming = tree::files(&local.repo, local.tree(to)?)?;
    if !STAGES.contains(&journal.stage.as_str()) {
        return Err(Fault::Git("the journal of the last change names no stage".to_owned()));
    }
    let stage = local.own.make(&journal.stage).map_err(staging)?;
    let waiting: BTreeSet<String> = stage.list().map_err(staging)?.into_iter().collect();
    let mut expected = coming.clone();
    for (n, step) in journal.steps.iter().enumerate() {
        let undone = match step.new {
            Some(_) => waiting.contains(&n.to_string()),
            None => local.root.stat(&step.path).map_err(|e| Fault::io(format!("reading {}", step.path), e))?.is_some(),
        };
        match (&step.was, undone) {
            (Some(was), true) => _ = expected.insert(step.path.clone(), was.entry()?),
            (None, true) => _ = expected.remove(&step.path),
            (_, false) => {}
        }
    }
    let found = survey(local, &expected, &coming)?;
    if found.edits.is_empty() {
        watch.seal()?;
        carry_out(local, &journal, &stage, &coming, found.stamps, to, watch)?;
    } else {
        // The journal stays until the new one takes its place; the stage's files are then made anew. Commits are safe: those of the
        // head before were looked after before the journal was written.
        let safe: Vec<Oid> = [Some(to), local.head().ok(), local.branch_head()].into_iter().flatten().collect();
        from(local, &expected, to, &safe, watch)?;
    }
    Ok(true)
}

fn staging(error: io::Error) -> Fault {
    Fault::io("writing new files beside the old ones", error)
}

/// Writes each new file beside, named by its step.
fn stage(local: &Local, steps: &[Step], watch: &Watch) -> Result<(&'static str, Folder), Fault> {
    let journal = repository::note::<Journal>(&local.own, JOURNAL)?;
    let free = |name: &&&str| journal.as_ref().is_none_or(|journal| journal.stage != **name);
    let name = STAGES.iter().find(free).copied().unwrap_or(STAGES[0]);
    local.own.remove_all(name).map_err(staging)?;
    let stage = local.own.make(name).map_err(staging)?;
    watch.phase(Phase::Preparing, steps.len());
    let mut files = Vec::new();
    for (n, step) in steps.iter().enumerate() {
        watch.check()?;
        let Some(new) = &step.new else { continue };
        let (name, blob) = (n.to_string(), local.repo.find_blob(new.entry()?.id)?);
        match new.mode {
            Mode::Link => stage.create_link(&name, blob.content()).map_err(staging)?,
            Mode::Program => drop(stage.create(&name, blob.content(), 0o755).map_err(staging)?),
            Mode::Plain => drop(stage.create(&name, blob.content(), 0o644).map_err(staging)?),
        }
        if new.mode != Mode::Link {
            files.push(name);
        }
        point();
    }
    settle(&stage, &files, watch)?;
    stage.sync().map_err(staging)?;
    Ok((name, stage))
}

/// Makes the staged files durable, some at a time: each waits for the disk, and a disk serves several at the price of one.
fn settle(stage: &Folder, files: &[String], watch: &Watch) -> Result<(), Fault> {
    watch.phase(Phase::Preparing, files.len());
    let share = files.len().div_ceil(SYNCERS).max(1);
    thread::scope(|scope| {
        let syncers: Vec<_> = files
            .chunks(share)
            .map(|names| {
                scope.spawn(move || {
                    names.iter().try_for_each(|name| {
                        watch.step()?;
                        stage.sync_file(name).map_err(staging)
                    })
                })
            })
            .collect();
        let panicked = || Err(Fault::Git("the work ended by a fault in the program".to_owned()));
        syncers.into_iter().try_for_each(|syncer| syncer.join().unwrap_or_else(|_| panicked()))
    })
}

/// Does what the journal says, from wherever it was cut off. A path that holds something else than when it was looked at ends it: the
/// journal stays, and the next opening keeps what was written there before it goes on.
fn carry_out(
    local: &Local,
    journal: &Journal,
    stage: &Folder,
    coming: &Files,
    mut stamps: Stamps,
    to: Oid,
    watch: &Watch,
) -> Result<(), Fault> {
    watch.phase(Phase::Switching, journal.steps.len());
    // The references first: where they cannot be written, no file has moved, and the journal is taken back.
    if let Err(e) = references(local, to) {
        if local.head().ok() != Some(to) {
            repository::forget(&local.own, JOURNAL)?;
        }
        return Err(e);
    }
    point();
    let mut touched = BTreeSet::new();
    // What goes, goes first: a file may stand where a folder is to come.
    for step in journal.steps.iter().filter(|step| step.new.is_none()) {
        still(&local.root, &stamps, &step.path)?;
        remove(&local.root, &step.path, &mut touched).map_err(|e| Fault::io(format!("removing {}", step.path), e))?;
        let _ = watch.step();
        point();
    }
    for (n, step) in journal.steps.iter().enumerate().filter(|(_, step)| step.new.is_some()) {
        if let Some(staged) = stage.stat(&n.to_string()).map_err(staging)? {
            still(&local.root, &stamps, &step.path)?;
            place(&local.root, stage, &n.to_string(), &step.path, &mut touched)?;
            stamps.insert(step.path.clone(), Stamp::of(&staged).map(Stamp::renamed));
        }
        let _ = watch.step();
        point();
    }
    for folder in &touched {
        if let Ok(folder) = local.root.below(folder) {
            folder.sync().map_err(|e| Fault::io("making the new files durable", e))?;
        }
    }
    // Only a memory; a later one is as good.
    let _ = index::write(local, coming, &stamps);
    point();
    repository::forget(&local.own, JOURNAL)?;
    point();
    for name in STAGES {
        local.own.remove_all(name).map_err(staging)?;
    }
    Ok(())
}

fn references(local: &Local, to: Oid) -> Result<(), Fault> {
    local.repo.reference(&local.branch.head(), to, true, "sync")?;
    local.repo.set_head(&local.branch.head())?;
    Ok(())
}

/// Removes a file, and the folders that are empty without it.
fn remove(root: &Folder, path: &str, touched: &mut BTreeSet<String>) -> io::Result<()> {
    let is_folder = root.stat(path)?.is_some_and(|stat| kind(&stat) == FileType::Directory);
    let (mut parent, name) = parts(path);
    // Where a parent is absent, so is the file.
    let Some(folder) = root.find(parent)? else { return Ok(()) };
    if !is_folder {
        folder.remove(name)?;
    }
    touched.insert(parent.to_owned());
    while !parent.is_empty() {
        let (above, name) = parts(parent);
        if !root.below(above)?.remove_empty(name)? {
            break;
        }
        touched.insert(above.to_owned());
        parent = above;
    }
    Ok(())
}

/// Whether a path still holds what was found there.
fn still(root: &Folder, stamps: &Stamps, path: &str) -> Result<(), Fault> {
    let now = root.stat(path).map_err(|e| Fault::io(format!("reading {path}"), e))?;
    if index::is_unchanged(stamps, path, now.as_ref()) { Ok(()) } else { Err(Fault::BeingWritten(path.to_owned())) }
}

/// Puts a staged file into its place.
fn place(root: &Folder, stage: &Folder, staged: &str, path: &str, touched: &mut BTreeSet<String>) -> Result<(), Fault> {
    let io = |e| Fault::io(format!("writing {path}"), e);
    let (parent, name) = parts(path);
    let folder = root.make(parent).map_err(io)?;
    if folder.stat(name).map_err(io)?.is_some_and(|stat| kind(&stat) == FileType::Directory)
        && !hollow(&folder, name).map_err(io)?
    {
        return Err(Fault::InTheWay {
            path: path.to_owned(),
            problem: "a folder with files stands where a file is to come".to_owned(),
        });
    }
    stage.rename(staged, &folder, name).map_err(io)?;
    touched.insert(parent.to_owned());
    Ok(())
}

/// Removes a folder that holds nothing but folders of its kind; false where it holds more.
fn hollow(folder: &Folder, name: &str) -> io::Result<bool> {
    let inner = folder.below(name)?;
    for name in inner.list()? {
        let is_folder = inner.stat(&name)?.is_some_and(|stat| kind(&stat) == FileType::Directory);
        if !is_folder || !hollow(&inner, &name)? {
            return Ok(false);
        }
    }
    folder.remove_empty(name)
}

/// Whether a change was cut off.
pub(crate) fn unfinished(local: &Local) -> Result<bool, Fault> {
    let journal = local.own.stat(JOURNAL).map_err(|e| Fault::io("looking for a journal", e))?;
    Ok(journal.is_some())
}
