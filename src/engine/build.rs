//! Lists the files of the embedded model, so that the program carries them, and compiles the kernels for GPUs. Knows no
//! format; without the folder the program carries no model, without `nvcc` no kernels.

use std::{
    env, fs,
    path::{Path, PathBuf},
    process::Command,
};

/// Cards that the kernels are compiled for, as `nvcc` names them, and the one whose assembly later cards translate.
const CARDS: [&str; 6] = ["80", "86", "89", "90a", "100", "120"];
const LATER: &str = "120";

fn main() {
    embedded_model();
    if variable("CARGO_FEATURE_CUDA").is_some() {
        kernels();
    }
}

#[allow(clippy::disallowed_methods, reason = "Cargo tells a build script its folders by the environment")]
fn variable(name: &str) -> Option<PathBuf> {
    env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from)
}

fn embedded_model() {
    let folder = variable("CARGO_MANIFEST_DIR").expect("Cargo sets it").join("embedded/model");
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
    let out = variable("OUT_DIR").expect("Cargo sets it").join("embedded_files.rs");
    fs::write(out, source).expect("the build folder can be written");
}

/// Compiles the kernels for all cards into one file, which is empty where there is no `nvcc`.
#[allow(clippy::disallowed_methods, reason = "a compiler, in a build script")]
fn kernels() {
    let folder = variable("CARGO_MANIFEST_DIR").expect("Cargo sets it").join("cuda/kernels");
    let out = variable("OUT_DIR").expect("Cargo sets it").join("kernels.fatbin");
    println!("cargo::rerun-if-changed={}", folder.display());
    for name in ["NVCC", "CUDA_HOME", "PATH"] {
        println!("cargo::rerun-if-env-changed={name}");
    }
    let Some(nvcc) = nvcc() else {
        println!("cargo::warning=there is no nvcc (NVCC, CUDA_HOME or PATH): this build will use no GPU");
        fs::write(out, []).expect("the build folder can be written");
        return;
    };
    let mut command = Command::new(&nvcc);
    command.args(["-O3", "-std=c++17", "-fatbin", "-compress-mode=size", "--threads=0", "-o"]).arg(&out);
    for card in CARDS {
        command.arg(format!("-gencode=arch=compute_{card},code=sm_{card}"));
    }
    command.arg(format!("-gencode=arch=compute_{LATER},code=compute_{LATER}"));
    let done = command.arg(folder.join("kernels.cu")).status();
    assert!(done.is_ok_and(|status| status.success()), "{} does not compile the kernels", nvcc.display());
}

/// The compiler for GPUs: as NVCC says, below CUDA_HOME, or in PATH.
fn nvcc() -> Option<PathBuf> {
    let in_path = || env::split_paths(&variable("PATH")?).map(|folder| folder.join("nvcc")).find(|file| file.is_file());
    variable("NVCC")
        .or_else(|| variable("CUDA_HOME").map(|home| home.join("bin/nvcc")).filter(|file| file.is_file()))
        .or_else(in_path)
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
