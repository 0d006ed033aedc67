//! Builds the front end: packages from the lock file into `target/assets`, then `bundle.mjs`, then a table of
//! bytes for `lib.rs`. Knows no page; the git tree stays clean.

#![allow(clippy::disallowed_methods, reason = "a build script reads cargo's variables and starts the bundler")]

use serde::Deserialize;
use std::{
    env, fmt,
    fmt::Write as _,
    fs,
    path::{Path, PathBuf},
    process::{Command, exit},
};

/// What `bundle.mjs` tells about its output.
#[derive(Deserialize)]
struct Index {
    files: Vec<File>,
    icons: Vec<Icon>,
}

#[derive(Deserialize)]
struct File {
    logical: String,
    file: String,
    mime: String,
    imports: Vec<String>,
    gzip: bool,
    brotli: bool,
}

#[derive(Deserialize)]
struct Icon {
    constant: String,
    name: String,
    svg: String,
}

fn main() {
    let here = PathBuf::from(env::var("CARGO_MANIFEST_DIR").expect("cargo sets it"));
    let out = PathBuf::from(env::var("OUT_DIR").expect("cargo sets it"));
    for watched in ["bundle.mjs", "icons.json", "package.json", "package-lock.json", "tsconfig.json", "css", "files", "ts"] {
        println!("cargo::rerun-if-changed={}", here.join(watched).display());
    }
    // OUT_DIR is target/<profile>/build/<package>/out: the packages lie beside the profiles, shared by all.
    let shared = out.ancestors().nth(4).expect("OUT_DIR is deep inside target").join("assets");
    need_node();
    install(&here, &shared);
    let modules = shared.join("node_modules");
    let project = project(&here, &shared);
    run(Command::new("node").arg(modules.join("typescript/bin/tsc")).args(["--noEmit", "--project"]).arg(project), "type check");
    let bundle = out.join("bundle");
    run(Command::new("node").arg(here.join("bundle.mjs")).arg(&bundle).arg("--modules").arg(&modules), "bundle");
    let index = fs::read_to_string(bundle.join("index.json")).expect("the bundler wrote it");
    let index: Index = serde_json::from_str(&index).expect("the bundler writes this shape");
    fs::write(out.join("table.rs"), table(&index, &bundle).expect("writing to a string")).expect("OUT_DIR is writable");
}

/// Stops the build with one sentence. Not a panic: a newcomer should read the sentence, not a backtrace.
fn stop(sentence: impl fmt::Display) -> ! {
    println!("cargo::error={sentence}");
    exit(1)
}

fn need_node() {
    let version = Command::new("node").arg("--version").output().ok().filter(|o| o.status.success());
    let text = version.map(|o| String::from_utf8_lossy(&o.stdout).trim().to_owned()).unwrap_or_default();
    let major: u32 = text.trim_start_matches('v').split('.').next().and_then(|m| m.parse().ok()).unwrap_or(0);
    if major < 20 {
        let found = if text.is_empty() { "none was found".to_owned() } else { format!("{text} was found") };
        stop(format!(
            "Easel's pages are built with Node 20 or newer and npm; {found}. Install it (https://nodejs.org) and build again."
        ));
    }
}

/// `npm ci`, only when the lock file differs from the one installed last. One build at a time: cargo locks each profile for
/// itself, and they share the packages.
fn install(here: &Path, shared: &Path) {
    fs::create_dir_all(shared).expect("target is writable");
    let turn = fs::File::create(shared.join("installing")).expect("target is writable");
    if let Err(e) = turn.lock() {
        println!("cargo::warning=the packages of the pages are not locked against another build: {e}");
    }
    let lock = fs::read(here.join("package-lock.json")).expect("the lock file is part of the package");
    let stamp = shared.join("installed.lock");
    if fs::read(&stamp).is_ok_and(|installed| installed == lock) {
        return;
    }
    for file in ["package.json", "package-lock.json"] {
        fs::copy(here.join(file), shared.join(file)).expect("target is writable");
    }
    let npm = if cfg!(windows) { "npm.cmd" } else { "npm" };
    let arguments = ["ci", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"];
    run(Command::new(npm).args(arguments).current_dir(shared), "npm ci");
    fs::write(stamp, lock).expect("target is writable");
}

/// The type checker's settings with the place of the packages, which lie outside the sources.
fn project(here: &Path, shared: &Path) -> PathBuf {
    let settings = serde_json::json!({
        "extends": here.join("tsconfig.json"),
        "compilerOptions": { "paths": { "*": [shared.join("node_modules/*")] } },
        "include": [here.join("ts")],
    });
    let file = shared.join("tsconfig.json");
    fs::write(&file, settings.to_string()).expect("target is writable");
    file
}

fn run(command: &mut Command, what: &str) {
    let output = command.output().unwrap_or_else(|e| stop(format!("{what} did not start: {e}")));
    if !output.status.success() {
        for line in String::from_utf8_lossy(&output.stdout).lines().chain(String::from_utf8_lossy(&output.stderr).lines()) {
            println!("cargo::warning={line}");
        }
        stop(format!("{what} failed ({}); its output stands above.", output.status));
    }
}

/// The Rust source of the table: assets, and one constant an icon.
fn table(index: &Index, bundle: &Path) -> Result<String, fmt::Error> {
    let mut text = String::from("/// Every file, sorted by name.\nstatic TABLE: &[Asset] = &[\n");
    for f in &index.files {
        let bytes = |suffix: &str| format!("include_bytes!({:?})", bundle.join(format!("{}{suffix}", f.file)));
        let copy = |there: bool, suffix: &str| if there { format!("Some({})", bytes(suffix)) } else { "None".into() };
        writeln!(
            text,
            "    Asset {{ logical: {:?}, name: {:?}, mime: {:?}, imports: &{:?}, bytes: {}, gzip: {}, brotli: {} }},",
            f.logical,
            f.file,
            f.mime,
            f.imports,
            bytes(""),
            copy(f.gzip, ".gz"),
            copy(f.brotli, ".br"),
        )?;
    }
    text.push_str("];\n\n/// Lucide icons (ISC licence) as inline SVG.\npub mod icons {\n");
    for icon in &index.icons {
        writeln!(text, "    /// The icon \"{}\".\n    pub const {}: &str = {:?};", icon.name, icon.constant, icon.svg)?;
    }
    text.push_str("}\n");
    Ok(text)
}
