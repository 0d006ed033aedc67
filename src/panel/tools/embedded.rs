//! The setup folder inside the program, and its unpacking for a studio that has none of its own. Knows files, not tools.

use std::{
    fs,
    io::{self, Write as _},
    os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _, PermissionsExt as _},
    path::{Path, PathBuf},
};

include!(concat!(env!("OUT_DIR"), "/setup.rs"));

/// Tools read it under users of their own.
const FOLDER_MODE: u32 = 0o755;
/// Of scripts.
const SCRIPT_MODE: u32 = 0o755;
/// Of everything else.
const FILE_MODE: u32 = 0o644;

/// Unpacks to `<data>/setup` unless just that is there; the folder's path. What differs in any byte is replaced whole, by
/// rename, so that no script ever meets half of it. Nothing is synced: the next start compares again.
pub fn unpack(data: &Path) -> io::Result<PathBuf> {
    let target = data.join("setup");
    ensure(&target, files())?;
    Ok(target)
}

/// The same for any files and folder.
pub(super) fn ensure<'a>(target: &Path, files: impl Iterator<Item = (&'a str, &'a [u8])> + Clone) -> io::Result<()> {
    if count(target)? != files.clone().count() || !files.clone().all(|file| is_there(target, file)) {
        write_all(target, files)?;
    }
    Ok(())
}

/// The files inside the program: path below the setup folder, and bytes.
pub(super) fn files() -> impl Iterator<Item = (&'static str, &'static [u8])> + Clone {
    FILES.iter().copied()
}

/// Makes a folder of these files, readable by tools under users of their own. One that is there is replaced whole, by rename.
fn write_all<'a>(target: &Path, files: impl Iterator<Item = (&'a str, &'a [u8])>) -> io::Result<()> {
    let beside = |ending: &str| {
        let name = target.file_name().unwrap_or_default().to_string_lossy();
        target.with_file_name(format!(".{name}.{ending}"))
    };
    let (new, old) = (beside("new"), beside("old"));
    for leftover in [&new, &old] {
        remove(leftover)?;
    }
    make_folder(&new, &new)?;
    for (path, bytes) in files {
        let path = new.join(path);
        if let Some(folder) = path.parent() {
            make_folder(folder, &new)?;
        }
        write(&path, bytes)?;
    }
    if target.exists() {
        fs::rename(target, &old)?;
    }
    fs::rename(&new, target)?;
    remove(&old)
}

fn is_there(folder: &Path, (path, bytes): (&str, &[u8])) -> bool {
    let path = folder.join(path);
    fs::metadata(&path).is_ok_and(|meta| meta.len() == bytes.len() as u64) && fs::read(&path).is_ok_and(|there| there == bytes)
}

/// Files below a folder; 0 where there is none.
fn count(folder: &Path) -> io::Result<usize> {
    let entries = match fs::read_dir(folder) {
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(0),
        entries => entries?,
    };
    let mut files = 0;
    for entry in entries {
        let entry = entry?;
        files += if entry.file_type()?.is_dir() { count(&entry.path())? } else { 1 };
    }
    Ok(files)
}

/// A folder below `root` that others can read, whatever the umask is.
fn make_folder(folder: &Path, root: &Path) -> io::Result<()> {
    fs::DirBuilder::new().recursive(true).mode(FOLDER_MODE).create(folder)?;
    for made in folder.ancestors().take_while(|made| made.starts_with(root)) {
        fs::set_permissions(made, fs::Permissions::from_mode(FOLDER_MODE))?;
    }
    Ok(())
}

fn write(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mode = if path.extension().is_some_and(|e| e == "sh") { SCRIPT_MODE } else { FILE_MODE };
    let mut file = fs::OpenOptions::new().write(true).create_new(true).mode(mode).open(path)?;
    file.write_all(bytes)?;
    file.set_permissions(fs::Permissions::from_mode(mode))
}

fn remove(folder: &Path) -> io::Result<()> {
    match fs::remove_dir_all(folder) {
        Err(e) if e.kind() != io::ErrorKind::NotFound => Err(e),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tools::{Action, Catalogue};

    fn mode(path: &Path) -> u32 {
        fs::metadata(path).unwrap().permissions().mode() & 0o777
    }

    #[test]
    fn what_is_unpacked_are_the_shipped_tools_readable_by_others() {
        let data = tempfile::tempdir().unwrap();
        let setup = unpack(data.path()).unwrap();
        let catalogue = Catalogue::load(&setup).unwrap();
        assert_eq!(catalogue.broken(), []);
        let ids: Vec<_> = catalogue.tools().map(|t| t.spec.id.as_str()).collect();
        assert_eq!(ids, ["ai-toolkit", "comfy", "custom-nodes", "jupyter", "models", "swarm-ui"]);
        let comfy = catalogue.tools().nth(1).unwrap();
        assert_eq!((mode(&setup), mode(&comfy.path)), (0o755, 0o755));
        assert_eq!((mode(&comfy.script(Action::Start).unwrap()), mode(&comfy.path.join("tool.toml"))), (0o755, 0o644));
        assert!(setup.join("lib/easel.sh").is_file() && !setup.join("test.sh").exists());
    }

    #[test]
    fn another_version_is_replaced_whole_and_the_same_one_is_left_alone() {
        let data = tempfile::tempdir().unwrap();
        let setup = unpack(data.path()).unwrap();
        let time = || fs::metadata(setup.join("lib/easel.sh")).unwrap().modified().unwrap();
        let before = time();
        unpack(data.path()).unwrap();
        assert_eq!(time(), before);
        fs::write(setup.join("comfy/tool.toml"), "").unwrap();
        fs::write(setup.join("stale.sh"), "").unwrap();
        // Left by a start that was killed in the middle.
        fs::create_dir_all(data.path().join(".setup.new/comfy")).unwrap();
        unpack(data.path()).unwrap();
        assert_eq!(Catalogue::load(&setup).unwrap().broken(), []);
        assert!(!setup.join("stale.sh").exists() && !data.path().join(".setup.new").exists());
    }
}
