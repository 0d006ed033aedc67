//! The program's file: what it is linked against, and how large it is without debug information. Knows no behaviour.

use std::process::Command;

/// Bytes that the stripped program may have, its embedded model, front end and kernels for GPUs included.
const BAR: u64 = 64 << 20;
/// Bytes that are kept free for the kernels, which are in it only where their compiler was.
const KERNELS: u64 = 2 << 20;

/// What the program says to a flag.
fn told(flag: &str) -> String {
    String::from_utf8(Command::new(env!("CARGO_BIN_EXE_easel")).arg(flag).output().unwrap().stdout).unwrap()
}

/// A machine without NVIDIA's libraries has to start it.
#[test]
fn nothing_of_cuda_is_linked() {
    let told = Command::new("readelf").args(["--dynamic", "--wide", env!("CARGO_BIN_EXE_easel")]).output().unwrap();
    assert!(told.status.success(), "{}", String::from_utf8_lossy(&told.stderr));
    let text = String::from_utf8(told.stdout).unwrap();
    let needed: Vec<&str> = text.lines().filter(|line| line.contains("(NEEDED)")).collect();
    assert!(needed.iter().any(|line| line.contains("libc.so")), "{text}");
    for library in needed {
        assert!(!["cuda", "cublas", "cudnn", "nv"].iter().any(|name| library.contains(name)), "{library}");
    }
}

#[test]
fn the_stripped_program_is_small() {
    let folder = tempfile::tempdir().unwrap();
    let to = folder.path().join("easel");
    let done = Command::new("strip").arg("-o").arg(&to).arg(env!("CARGO_BIN_EXE_easel")).status().unwrap();
    assert!(done.success());
    let bytes = to.metadata().unwrap().len();
    println!("the stripped program has {:.1} MiB; bar {} with kernels for GPUs", bytes as f64 / f64::from(1 << 20), BAR >> 20);
    let free = if told("--version").contains("no kernels") { KERNELS } else { 0 };
    assert!(bytes <= BAR - free, "{bytes} bytes");
}

#[test]
fn it_tells_which_gpus_it_has_kernels_for() {
    let version = format!("easel {}", env!("CARGO_PKG_VERSION"));
    assert_eq!(told("-V").trim_end(), version);
    let long = told("--version");
    let (first, kernels) = long.trim_end().split_once('\n').unwrap();
    assert_eq!(first, version);
    assert!(kernels.starts_with("kernels for NVIDIA GPUs") || kernels == "no kernels for NVIDIA GPUs", "{kernels}");
}
