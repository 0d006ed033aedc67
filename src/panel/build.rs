//! Puts the setup folder into the program: a table of paths and bytes for `tools/embedded.rs`. Knows no tool.

#![allow(clippy::disallowed_methods, reason = "a build script reads cargo's variables")]

use std::{
    env, fs,
    path::{Path, PathBuf},
};

fn main() {
    let here = PathBuf::from(env::var("CARGO_MANIFEST_DIR").expect("cargo sets it"));
    let out = PathBuf::from(env::var("OUT_DIR").expect("cargo sets it"));
    let setup = here.join("../../setup");
    // A folder that is named here is watched with everything below it.
    println!("cargo::rerun-if-changed={}", setup.display());
    let mut files = Vec::new();
    collect(&setup, &setup, &mut files);
    files.sort();
    let lines = files.iter().map(|(name, path)| format!("    ({name:?}, include_bytes!({:?})),\n", path.display().to_string()));
    let table = format!(
        "/// Path below the setup folder, and bytes.\nconst FILES: &[(&str, &[u8])] = &[\n{}];\n",
        lines.collect::<String>()
    );
    fs::write(out.join("setup.rs"), table).expect("OUT_DIR is writable");
}

/// Every file below `folder` that tools need: not the scripts of this repository beside the folders, and nothing hidden.
fn collect(setup: &Path, folder: &Path, files: &mut Vec<(String, PathBuf)>) {
    for entry in fs::read_dir(folder).expect("the setup folder is part of the sources").flatten() {
        let path = entry.path();
        let name = path.strip_prefix(setup).expect("it is below").to_string_lossy().into_owned();
        let hidden = entry.file_name().to_string_lossy().starts_with('.') || entry.file_name() == "__pycache__";
        if path.is_dir() && !hidden {
            collect(setup, &path, files);
        } else if path.is_file() && !hidden && (folder != setup || !name.ends_with(".sh")) {
            files.push((name, path));
        }
    }
}
