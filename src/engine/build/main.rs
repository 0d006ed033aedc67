//! What is made before the engine is compiled: the list of the embedded model's files, so that the program carries them, and the
//! kernels for GPUs. Knows no format.

mod embedded;
#[cfg(feature = "cuda")]
mod kernels;
#[cfg(feature = "cuda")]
mod nvrtc;

use std::{env, path::PathBuf};

fn main() {
    cargo("rerun-if-changed=build");
    embedded::list();
    #[cfg(feature = "cuda")]
    kernels::compile();
}

/// Tells Cargo something.
#[allow(clippy::print_stdout, reason = "where Cargo listens")]
fn cargo(what: &str) {
    println!("cargo::{what}");
}

/// A variable of the environment, where it says something.
#[allow(clippy::disallowed_methods, reason = "Cargo tells a build script its folders by the environment")]
fn variable(name: &str) -> Option<PathBuf> {
    env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from)
}

/// The engine's own folder.
fn sources() -> PathBuf {
    variable("CARGO_MANIFEST_DIR").expect("Cargo sets it")
}

/// The folder for what is made here.
fn out() -> PathBuf {
    variable("OUT_DIR").expect("Cargo sets it")
}
