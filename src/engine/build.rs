//! Lists the files of the embedded model, so that the program carries them. Knows no format; without the folder
//! the program carries none.

use std::{
    env, fs,
    path::{Path, PathBuf},
};

#[allow(clippy::disallowed_methods, reason = "Cargo tells a build script its folders by the environment")]
fn main() {
    let folder = PathBuf::from(env::var("CARGO_MANIFEST_DIR").expect("Cargo sets it")).join("embedded/model");
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-changed={}", folder.display());
    let mut files = Vec::new();
    collect(&folder, &mut files);
    files.sort();
    let mut source = String::from("[\n");
    for file in &files {
        let name = file.strip_prefix(&folder).expect("it was found below the folder");
        source += &format!("    ({:?}, &Aligned(*include_bytes!({:?}))),\n", name.display().to_string(), file);
    }
    source += "]\n";
    let out = PathBuf::from(env::var("OUT_DIR").expect("Cargo sets it")).join("embedded_files.rs");
    fs::write(out, source).expect("the build folder can be written");
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
