//! The shipped folders as text: `easel check-setup`, shellcheck, and the names that scripts may use.

use super::world::sources;
use crate::program::easel;
use std::{fs, path::PathBuf, process::Command};

#[test]
fn the_shipped_folders_are_in_order() {
    let checked = easel().arg("check-setup").arg(sources().join("setup")).output().unwrap();
    let out = String::from_utf8(checked.stdout).unwrap();
    assert!(checked.status.success(), "{out}");
    for tool in ["ai-toolkit", "comfy", "custom-nodes", "jupyter", "models", "swarm-ui"] {
        assert!(out.lines().any(|line| line.starts_with(&format!("ok   {tool} "))), "{tool}:\n{out}");
    }
    assert!(out.contains("install, update, reinstall, start, kill, port 8188, 44 choices"), "{out}");
}

#[test]
fn a_broken_folder_is_told_and_the_others_are_too() {
    let folder = tempfile::tempdir().unwrap();
    let copied = Command::new("cp").arg("-r").arg(sources().join("setup/.")).arg(folder.path()).status().unwrap();
    assert!(copied.success());
    let script = folder.path().join("jupyter/kill_jupyter.sh");
    let text = fs::read_to_string(&script).unwrap();
    fs::write(&script, format!("{text}\npkill -f jupyter\n")).unwrap();
    let checked = easel().arg("check-setup").arg(folder.path()).output().unwrap();
    let out = String::from_utf8(checked.stdout).unwrap();
    assert_eq!(checked.status.code(), Some(1), "{out}");
    assert!(out.contains("bad  jupyter          kill_jupyter.sh: line 7: pkill: nothing is killed by name"), "{out}");
    assert!(out.contains("ok   comfy "), "{out}");
    let nowhere = easel().args(["check-setup", "/nowhere"]).output().unwrap();
    assert!(nowhere.status.code() == Some(1) && String::from_utf8_lossy(&nowhere.stderr).contains("reading /nowhere"));
}

/// Every script below setup/.
fn scripts() -> Vec<PathBuf> {
    let folders = fs::read_dir(sources().join("setup")).unwrap().flatten().map(|e| e.path()).filter(|p| p.is_dir());
    let files = folders.flat_map(|folder| fs::read_dir(folder).unwrap().flatten().map(|e| e.path()).collect::<Vec<_>>());
    let mut found: Vec<_> = files.filter(|p| p.extension().is_some_and(|e| e == "sh")).collect();
    found.push(sources().join("setup/test.sh"));
    found.sort();
    found
}

#[test]
fn every_script_is_clean_under_shellcheck() {
    let scripts = scripts();
    assert!(scripts.len() > 30, "{}", scripts.len());
    let checked = Command::new("shellcheck").args(&scripts).output().expect("shellcheck is installed by setup/test.sh");
    assert!(checked.status.success(), "{}", String::from_utf8_lossy(&checked.stdout));
}

#[test]
fn scripts_use_only_names_of_the_contract() {
    let mut complaints = Vec::new();
    for script in scripts() {
        let text = fs::read_to_string(&script).unwrap();
        for word in text.split(|c: char| !(c.is_ascii_alphanumeric() || c == '_')).filter(|w| w.starts_with("EASEL_")) {
            if !panel::tools::contract::NAMES.contains(&word) {
                complaints.push(format!("{}: {word}", script.display()));
            }
        }
    }
    assert!(complaints.is_empty(), "{complaints:?}");
}
