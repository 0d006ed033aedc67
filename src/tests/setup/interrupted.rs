//! Scripts that are killed with all they started (SIGKILL) at places all over their work, and run again. Whatever the
//! place: nothing half-made passes for installed, what is people's is never lost, and the next run ends as if nothing had
//! happened. Ten places for each script; every place in a long run.

use super::world::{World, uv};
use crate::program::is_long;
use std::{
    fs,
    os::unix::{
        fs::{PermissionsExt as _, symlink},
        process::ExitStatusExt as _,
    },
    path::Path,
    process::{Command, Output},
    time::Instant,
};

/// Programs that scripts call: a script can be killed before each such call.
const PROGRAMS: [&str; 10] = ["mv", "git", "rm", "mkdir", "sync", "find", "rmdir", "sed", "stat", "npm"];
/// Places for each script in an ordinary run.
const PLACES: usize = 10;
/// What people have in ComfyUI's folder.
const KEPT: [&str; 3] = ["models/loras/mine.safetensors", "output/zoe/a.png", "user/default/workflow.json"];
const NODE: (&str, &str) = ("EASEL_PICKS", "ComfyUI-GGUF");

/// Links of people's: to a folder elsewhere by its full path, and by a way that leads there only from where it lies.
const LINKS: [(&str, &str); 2] = [("input", "/elsewhere/input"), ("user/shared", "../../shared")];

/// Programs of the same names that count their calls; what `act`, a shell command, does is done at call `place`.
fn counting(folder: &Path, place: usize, act: &str) -> (String, String) {
    let shims = folder.join("shims");
    let _ = fs::remove_dir_all(&shims);
    fs::create_dir_all(&shims).unwrap();
    let count = folder.join("calls").display().to_string();
    fs::write(&count, "").unwrap();
    for name in PROGRAMS.iter().copied().chain(["uv"]) {
        let found = ["/usr/local/bin", "/usr/bin", "/bin"].iter().map(|dir| Path::new(dir).join(name)).find(|p| p.is_file());
        let real = if name == "uv" { Some(uv()) } else { found };
        let Some(real) = real else { continue };
        let shim = shims.join(name);
        let text = format!(
            "#!/bin/bash\nprintf x >>'{count}'\n[ \"$(/usr/bin/stat -c %s '{count}')\" -ne {place} ] || {act}\nexec {} \"$@\"\n",
            real.display()
        );
        fs::write(&shim, text).unwrap();
        fs::set_permissions(&shim, fs::Permissions::from_mode(0o755)).unwrap();
    }
    (format!("{}:/usr/local/bin:/usr/bin:/bin", shims.display()), shims.join("uv").display().to_string())
}

/// Runs a script that is killed at a place; the calls that were made. 0 is no place: it runs to its end.
fn killed_at(world: &World, action: &str, more: &[(&str, &str)], place: usize) -> usize {
    let output = ended_at(world, action, more, place, "kill -KILL 0");
    let out = String::from_utf8_lossy(&output.stderr).into_owned();
    if place == 0 {
        assert!(output.status.success(), "{out}");
    } else {
        assert_eq!(output.status.signal(), Some(9), "{action} at {place}: {:?}\n{out}", output.status);
    }
    usize::try_from(fs::metadata(world.at("calls")).unwrap().len()).unwrap()
}

/// Runs a script at a place of which something happens.
fn ended_at(world: &World, action: &str, more: &[(&str, &str)], place: usize, act: &str) -> Output {
    let (path, uv) = counting(&world.at(""), place, act);
    world.command("comfy", action, more).env("PATH", path).env("EASEL_UV", uv).output().unwrap()
}

fn git(folder: &Path, args: &[&str]) -> String {
    let output = Command::new("git").arg("-C").arg(folder).args(args).output().unwrap();
    String::from_utf8_lossy(&output.stdout).trim().to_owned()
}

/// What passes for installed must be whole.
fn assert_no_half(world: &World, place: &str) {
    let mark = world.get("comfy/.easel-installed");
    if world.at("comfy/.easel-changing").exists() || mark.is_empty() {
        return;
    }
    let commit = mark.lines().find_map(|l| l.strip_prefix("commit=")).unwrap();
    assert_eq!(git(&world.at("comfy/app"), &["rev-parse", "HEAD"]), commit, "{place}");
    let python = Command::new(world.at("comfy/app/venv/bin/python")).args(["-c", "import torch, aiohttp"]).output().unwrap();
    assert!(python.status.success(), "{place}: {}", String::from_utf8_lossy(&python.stderr));
}

/// What is people's is in one place: in the program's folder, in the old one's, or in the backup.
fn assert_kept(world: &World, place: &str) {
    let backups = fs::read_dir(world.at("backup")).into_iter().flatten().flatten().map(|e| e.path());
    let roots: Vec<_> = [world.at("comfy/app"), world.at("comfy/app.old")].into_iter().chain(backups).collect();
    for path in KEPT {
        let found = roots.iter().filter(|root| fs::read_to_string(root.join(path)).is_ok_and(|text| text == path)).count();
        assert_eq!(found, 1, "{place}: {path} in {roots:?}");
    }
    for (path, to) in LINKS {
        let found = roots.iter().filter(|root| fs::read_link(root.join(path)).is_ok_and(|link| link == Path::new(to))).count();
        assert_eq!(found, 1, "{place}: {path} -> {to} in {roots:?}");
    }
}

/// The end, as if nothing had happened.
fn assert_done(world: &World, keeps: bool, place: &str) {
    assert!(world.get("comfy/.easel-installed").starts_with("version=v0.10.0\n"), "{place}");
    assert_eq!(git(&world.at("comfy/app"), &["status", "--porcelain", "--untracked-files=no"]), "", "{place}");
    assert_no_half(world, place);
    let leftovers: Vec<_> =
        fs::read_dir(world.at("comfy")).unwrap().flatten().map(|e| e.file_name().into_string().unwrap()).collect();
    let stale = |name: &String| {
        name.ends_with(".old") || name.ends_with(".part") || name.ends_with(".before") || name == ".easel-changing"
    };
    assert!(!leftovers.iter().any(stale), "{place}: {leftovers:?}");
    for path in KEPT.iter().filter(|_| keeps) {
        assert_eq!(world.get(&format!("comfy/app/{path}")), **path, "{place}");
    }
    for (path, to) in LINKS.iter().filter(|_| keeps) {
        assert_eq!(fs::read_link(world.at("comfy/app").join(path)).unwrap(), Path::new(to), "{place}");
    }
}

/// Which of the calls a script is killed at.
fn places(calls: usize) -> Vec<usize> {
    if is_long() { (1..=calls).collect() } else { (0..PLACES).map(|i| 1 + i * (calls - 1) / (PLACES - 1)).collect() }
}

/// Kills `action` at places of its work, each time from the state `before`. It is then run again, or, at every other
/// place, the tool is installed again, which must do as well.
fn interrupt(action: &str, before: &World, keeps: bool) {
    let begin = Instant::now();
    let calls = killed_at(&before.again(), action, &[NODE], 0);
    let places = places(calls);
    for (i, place) in places.iter().enumerate() {
        let world = before.again();
        let name = format!("{action} killed at call {place} of {calls}");
        killed_at(&world, action, &[NODE], *place);
        assert_no_half(&world, &name);
        if keeps {
            assert_kept(&world, &name);
        }
        let then = if i % 2 == 0 { action } else { "install" };
        let again = world.run("comfy", then, &[NODE]);
        // An update of what was never begun, or of a half installation, has nothing to go on with.
        assert_eq!(again.code, Some(0), "{name}, then {then}:\n{}", again.out);
        if keeps {
            assert_kept(&world, &name);
        }
        assert_done(&world, keeps, &name);
    }
    println!("{action}: killed at {} of {calls} places in {:.1?}", places.len(), begin.elapsed());
}

/// An installation of the old release with something of people's in it.
fn old_release() -> World {
    let world = World::new();
    world.run("comfy", "install", &[NODE, ("EASEL_VERSION", "v0.9.0")]).ok();
    for path in KEPT {
        world.put(&format!("comfy/app/{path}"), path);
    }
    for (path, to) in LINKS {
        symlink(to, world.at("comfy/app").join(path)).unwrap();
    }
    world
}

#[test]
fn an_installation_that_was_killed_goes_on() {
    interrupt("install", &World::new(), false);
}

#[test]
fn an_update_that_was_killed_goes_on() {
    interrupt("update", &old_release(), true);
}

#[test]
fn a_way_back_that_was_killed_goes_on_and_leads_forward_again() {
    const BACK: &[(&str, &str)] = &[("EASEL_GO_BACK", "1")];
    let before = old_release();
    before.run("comfy", "update", &[]).ok();
    let calls = killed_at(&before.again(), "update", BACK, 0);
    let places = places(calls);
    for place in &places {
        let world = before.again();
        let name = format!("going back, killed at call {place} of {calls}");
        killed_at(&world, "update", BACK, *place);
        assert_no_half(&world, &name);
        assert_kept(&world, &name);
        let again = world.run("comfy", "update", BACK);
        assert_eq!(again.code, Some(0), "{name}:\n{}", again.out);
        assert!(world.get("comfy/.easel-installed").starts_with("version=v0.9.0\n"), "{name}:\n{}", again.out);
        assert_no_half(&world, &name);
        world.run("comfy", "update", BACK).ok();
        assert_done(&world, true, &name);
    }
    println!("going back: killed at {} of {calls} places", places.len());
}

#[test]
fn a_reinstallation_that_was_killed_loses_nothing() {
    interrupt("reinstall", &old_release(), true);
}

/// What the page's "Cancel" and Ctrl-C in its terminal do, a signal to the whole group; and at the places `alone` the end of
/// the called program only, which is what the kernel does when memory runs out.
fn cancelled(action: &str, alone: impl Fn(usize) -> Vec<usize>, check: impl Fn(&World, &str)) {
    let before = old_release();
    let calls = killed_at(&before.again(), action, &[NODE], 0);
    let all = places(calls).into_iter().enumerate().map(|(i, place)| {
        let signal = ["TERM", "INT", "HUP"][i % 3];
        (place, format!("ended by {signal}"), format!("kill -{signal} 0"))
    });
    let alone = alone(calls).into_iter().map(|place| (place, "without its program".to_owned(), "kill -KILL $$".to_owned()));
    for (place, how, act) in all.chain(alone) {
        let world = before.again();
        let name = format!("{action} {how} at call {place} of {calls}");
        let output = ended_at(&world, action, &[NODE], place, &act);
        assert_no_half(&world, &name);
        assert_kept(&world, &name);
        let installed = world.get("comfy/.easel-installed");
        assert!(output.status.code() != Some(0) || installed.starts_with("version=v0.10.0\n"), "{name}: it says that it is done");
        check(&world, &name);
        world.run("comfy", action, &[NODE]).ok();
        assert_done(&world, true, &name);
    }
}

#[test]
fn an_update_that_is_cancelled_goes_back_by_itself() {
    // Most of what was wrong here was wrong between two of the ten places.
    let many = |calls| (1..=calls).step_by(if is_long() { 1 } else { 3 }).collect();
    cancelled("update", many, |world, name| {
        assert!(!world.at("comfy/.easel-changing").exists(), "{name}: what worked a minute ago cannot be started");
        assert!(world.get("comfy/.easel-installed").starts_with("version="), "{name}");
    });
}

#[test]
fn a_reinstallation_that_is_cancelled_goes_back_by_itself_or_has_the_new_one_whole() {
    cancelled("reinstall", places, |world, name| {
        let note = world.get("comfy/.easel-changing");
        assert!(note.is_empty() || note.contains("phase=back\n"), "{name}: {note}");
        assert!(!note.is_empty() || !world.at("comfy/app.old").exists(), "{name}");
    });
}

/// Going back after a reinstallation that fails leads to where it began: also where that was an interrupted update.
#[test]
fn an_interrupted_update_stays_one_when_a_reinstallation_fails() {
    let before = old_release();
    let calls = killed_at(&before.again(), "update", &[NODE], 0);
    let world = before.again();
    killed_at(&world, "update", &[NODE], calls / 2);
    let note = world.get("comfy/.easel-changing");
    assert!(note.starts_with("change=update\n"), "{note}");
    world.run("comfy", "reinstall", &[NODE, ("EASEL_VERSION", "main")]).failed(1, "Everything is as it was.");
    assert_eq!(world.get("comfy/.easel-changing"), note, "half an update must not pass for installed");
    world.run("comfy", "update", &[NODE]).ok();
    assert_done(&world, true, "updated");
}

#[test]
fn a_tool_whose_reinstallation_was_killed_starts_as_it_was() {
    let before = old_release();
    let calls = killed_at(&before.again(), "reinstall", &[NODE], 0);
    // While the new one is being made, the old one can come back.
    let world = before.again();
    killed_at(&world, "reinstall", &[NODE], calls / 2);
    let mut running = world.start("comfy", &[]);
    running.answers("/system_stats", None, 200);
    assert!(world.get("comfy/.easel-installed").starts_with("version=v0.9.0\n"));
    assert_kept(&world, "started");
    // An update that was killed is no state to start from.
    let world = before.again();
    let calls = killed_at(&before.again(), "update", &[NODE], 0);
    killed_at(&world, "update", &[NODE], calls / 2);
    let start = [("EASEL_HOST", "127.0.0.1"), ("EASEL_PORT", "1")];
    world.run("comfy", "start", &start).failed(3, "its update was interrupted; run that again");
}
