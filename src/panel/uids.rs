//! ToolUsers that tools run as: one for each tool where Easel is root and the volume keeps owners, Easel's own elsewhere, with
//! the reason. Gives folders to their users; starts nothing.
//!
//! A tool's number is the owner of its folder, so it stays the same on another machine with the same volume. No such user
//! is in `/etc/passwd`: nobody can log in as one.

use std::{
    fs::{self, DirBuilder, Permissions},
    io,
    os::unix::fs::{DirBuilderExt as _, MetadataExt as _, PermissionsExt as _, chown, lchown},
    path::{Path, PathBuf},
    sync::{Mutex, PoisonError},
};

/// The group of all tools, and the number before their users'. Above the people of a machine, below what systemd and user
/// namespaces hand out.
const GROUP: u32 = 58_000;
/// Most users.
const MOST: u32 = 999;
/// A folder in the workspace that shows whether owners can be changed there.
const PROBE: &str = ".easel-owner";
/// Its user's alone.
const PRIVATE: u32 = 0o700;
/// Passed through, not listed.
const PASSAGE: u32 = 0o711;
/// Every tool adds models; none touches another's (sticky); what is added belongs to the group (setgid).
const SHARED: u32 = 0o3775;
/// Anybody may enter, and read and enter.
const ENTER: u32 = 0o001;
const READ: u32 = 0o005;

/// A user and its group.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ToolUser {
    /// Number of the user.
    pub uid: u32,
    /// Number of the group.
    pub gid: u32,
}

/// Whether a user of this number is a tool's.
pub fn is_tools(uid: u32) -> bool {
    (GROUP + 1..=GROUP + MOST).contains(&uid)
}

/// The users of tools.
#[derive(Debug)]
pub enum ToolUsers {
    /// Each tool has its own.
    Own(Own),
    /// All run as Easel does.
    Shared {
        /// Why, as a sentence for admins.
        why: String,
    },
}

/// Each tool's own.
#[derive(Debug)]
pub struct Own {
    workspace: PathBuf,
    /// Two tools that come at once must not find the same number free.
    giving: Mutex<()>,
}

/// Folders that tools have to do with. Full paths.
#[derive(Clone, Copy, Debug)]
pub struct Folders<'a> {
    /// In which they are installed.
    pub workspace: &'a Path,
    /// The studio's models.
    pub models: &'a Path,
    /// Below it lie the outputs of each profile.
    pub outputs: &'a Path,
    /// The scripts.
    pub setup: &'a Path,
}

impl ToolUsers {
    /// Looks whether tools can have users of their own here, and opens to them the way to their folders.
    pub fn look(folders: Folders<'_>) -> ToolUsers {
        if !rustix::process::geteuid().is_root() {
            return ToolUsers::Shared { why: "Tools run as Easel's own user: only root can start them as others.".into() };
        }
        match own(folders) {
            Ok(()) => ToolUsers::Own(Own { workspace: folders.workspace.to_path_buf(), giving: Mutex::default() }),
            Err(why) => ToolUsers::Shared { why: format!("Tools run as root: {why}") },
        }
    }

    /// Why they have none of their own. None: they have.
    pub fn why_shared(&self) -> Option<&str> {
        match self {
            ToolUsers::Own(_) => None,
            ToolUsers::Shared { why } => Some(why),
        }
    }

    /// The user of the tool whose folder below the workspace this is; made, with the folder, at the first time. None: Easel's
    /// own. Reads and may write a whole tree: for the blocking pool.
    ///
    /// # Errors
    /// When the disk refuses, or every number is taken.
    pub fn of(&self, home: &str) -> io::Result<Option<ToolUser>> {
        match self {
            ToolUsers::Own(own) => own.of(home).map(Some),
            ToolUsers::Shared { .. } => Ok(None),
        }
    }

    /// Makes a folder, which must lie in a folder that others may pass through, and gives it to a user. With none, only
    /// makes it.
    ///
    /// # Errors
    /// When the disk refuses.
    pub fn give(&self, folder: &Path, user: Option<ToolUser>) -> io::Result<()> {
        DirBuilder::new().recursive(true).mode(PRIVATE).create(folder)?;
        user.map_or(Ok(()), |user| hand_over(folder, user))
    }

    /// The same for a folder in one that is Easel's alone: `<outputs>/<profile>/<tool>`, `backup/<tool>`. Others may then pass
    /// through that one, but not list it; what else is in it stays Easel's.
    ///
    /// # Errors
    /// When the disk refuses.
    pub fn give_in_passage(&self, folder: &Path, user: Option<ToolUser>) -> io::Result<()> {
        self.give(folder, user)?;
        match (user, folder.parent()) {
            (Some(_), Some(passage)) => fs::set_permissions(passage, Permissions::from_mode(PASSAGE)),
            _ => Ok(()),
        }
    }

    /// Whether tools can run a program, or what is in a folder.
    pub fn may_run(&self, program: &Path) -> bool {
        matches!(self, ToolUsers::Shared { .. }) || closed(program, READ).is_none()
    }

    /// What is left of a `PATH` for tools: a program that is found and may not be run is worse than none.
    pub fn path(&self, path: &str) -> String {
        let folders = std::env::split_paths(path).filter(|folder| self.may_run(folder));
        folders.map(|folder| folder.to_string_lossy().into_owned()).collect::<Vec<_>>().join(":")
    }
}

impl Own {
    fn of(&self, home: &str) -> io::Result<ToolUser> {
        // Nothing in it is half done after a panic: the folder's owner is written last.
        let _giving = self.giving.lock().unwrap_or_else(PoisonError::into_inner);
        let folder = self.workspace.join(home);
        DirBuilder::new().recursive(true).mode(PRIVATE).create(&folder)?;
        let owner = fs::symlink_metadata(&folder)?.uid();
        let uid = if is_tools(owner) { owner } else { self.free()? };
        let user = ToolUser { uid, gid: GROUP };
        hand_over(&folder, user)?;
        Ok(user)
    }

    /// The lowest number that owns no folder of the workspace.
    fn free(&self) -> io::Result<u32> {
        let mut taken = Vec::new();
        for entry in fs::read_dir(&self.workspace)? {
            taken.push(entry?.metadata()?.uid());
        }
        let free = (GROUP + 1..=GROUP + MOST).find(|uid| !taken.contains(uid));
        free.ok_or_else(|| io::Error::other(format!("{MOST} tools have users of their own already")))
    }
}

/// Why they cannot have users of their own, as the rest of a sentence.
fn own(folders: Folders<'_>) -> Result<(), String> {
    let Folders { workspace, models, outputs, setup } = folders;
    for folder in [workspace, models, setup].into_iter().chain(outputs.parent()) {
        if let Some(closed) = closed(folder, ENTER) {
            let closed = closed.display();
            return Err(format!(
                "nobody else may enter {closed}. \"chmod o+x {closed}\" and a new start give each a user of its own."
            ));
        }
    }
    let refused = |e: io::Error| format!("the volume of {} does not let files have owners ({e}).", workspace.display());
    let probe = workspace.join(PROBE);
    let gave = try_owner(&probe);
    // Left behind where it could not be made, too.
    let _ = fs::remove_dir(&probe);
    gave.map_err(refused)?;
    let open = || -> io::Result<()> {
        fs::set_permissions(outputs, Permissions::from_mode(PASSAGE))?;
        share(models)
    };
    open().map_err(|e| format!("the folders of models and outputs cannot be opened to them ({e})."))
}

/// Makes a folder and gives it away.
fn try_owner(probe: &Path) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(PRIVATE).create(probe)?;
    let user = ToolUser { uid: GROUP + MOST, gid: GROUP };
    chown(probe, Some(user.uid), Some(user.gid))?;
    // Some network volumes say yes and change nothing.
    if owner_of(probe)? == user { Ok(()) } else { Err(io::Error::other("it kept the old one")) }
}

fn owner_of(path: &Path) -> io::Result<ToolUser> {
    let meta = fs::symlink_metadata(path)?;
    Ok(ToolUser { uid: meta.uid(), gid: meta.gid() })
}

/// Gives every folder of models that is Easel's to the group. The files stay whose they are.
fn share(folder: &Path) -> io::Result<()> {
    let meta = fs::symlink_metadata(folder)?;
    if meta.uid() == 0 && (meta.gid() != GROUP || meta.mode() & 0o7777 != SHARED) {
        chown(folder, None, Some(GROUP))?;
        fs::set_permissions(folder, Permissions::from_mode(SHARED))?;
    }
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            share(&entry.path())?;
        }
    }
    Ok(())
}

/// Gives a folder and all in it to a user. The folder itself comes last, so that one whose owner is right is right as a
/// whole, and is not looked through again.
fn hand_over(folder: &Path, user: ToolUser) -> io::Result<()> {
    if owner_of(folder)? == user {
        return Ok(());
    }
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        // A link is given away itself, not what it leads to.
        if entry.file_type()?.is_dir() {
            hand_over(&entry.path(), user)?;
        } else {
            lchown(entry.path(), Some(user.uid), Some(user.gid))?;
        }
    }
    lchown(folder, Some(user.uid), Some(user.gid))
}

/// The first part of a path that does not grant everybody these rights; those before the last need only be entered.
fn closed(path: &Path, last: u32) -> Option<PathBuf> {
    let Ok(real) = fs::canonicalize(path) else { return Some(path.to_path_buf()) };
    let mut parts: Vec<&Path> = real.ancestors().collect();
    parts.reverse();
    let is_closed = |part: &&Path| {
        let wanted = if *part == real { last } else { ENTER };
        fs::metadata(part).map_or(true, |meta| meta.mode() & wanted != wanted)
    };
    parts.into_iter().find(is_closed).map(Path::to_path_buf)
}

#[cfg(test)]
mod tests;
