//! Lists the files of the embedded model. Without its folder the program carries no model.

use crate::{cargo, out, sources};
use std::{
    fs,
    path::{Path, PathBuf},
};

/// Writes the list, as Rust.
pub(super) fn list() {
    let folder = sources().join("embedded/model");
    cargo(&format!("rerun-if-changed={}", folder.display()));
    let mut files = Vec::new();
    collect(&folder, &mut files);
    files.sort();
    let mut source = String::from("[\n");
    for file in &files {
        let name = file.strip_prefix(&folder).expect("it was found below the folder");
        source += &format!("    ({:?}, &Aligned(*include_bytes!({:?}))),\n", name.display().to_string(), file);
    }
    source += "]\n";
    fs::write(out().join("embedded_files.rs"), source).expect("the build folder can be written");
}

/// Every file below `folder`, hidden ones left out.
fn collect(folder: &Path, files: &mut Vec<PathBuf>) {
    let Ok(entries) = fs::read_dir(folder) else { return };
    for path in entries.flatten().map(|e| e.path()) {
        let hidden = path.file_name().is_none_or(|n| n.to_string_lossy().starts_with('.'));
        if path.is_dir() && !hidden {
            collect(&path, files);
        } else if path.is_file() && !hidden {
            files.push(path);
        }
    }
}
