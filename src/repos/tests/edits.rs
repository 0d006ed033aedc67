//! Local work is never lost: edits, commits, files in the way.

use super::*;
use std::os::unix::fs::PermissionsExt;

/// What one sync put aside.
fn put_aside(world: &World) -> PutAside {
    let synced = world.sync().unwrap();
    assert!(matches!(synced.outcome, Outcome::FastForwarded { .. }), "{synced:?}");
    let [kept] = &synced.put_aside[..] else { panic!("{synced:?}") };
    assert!(kept.branch.starts_with("easel/kept-20"), "{kept:?}");
    kept.clone()
}

#[test]
fn edits_are_committed_on_a_side_branch_before_a_step_forward() {
    let world = World::new();
    world.origin.commit(&[("a.txt", "one\n"), ("b", "b\n"), ("c", "c\n"), ("d", "d\n"), ("same", "old\n")]);
    let old = world.sync().unwrap().outcome.commit().id.clone();
    world.write("a.txt", "edited\n");
    fs::remove_file(world.path().join("b")).unwrap();
    fs::set_permissions(world.path().join("c"), fs::Permissions::from_mode(0o755)).unwrap();
    fs::remove_file(world.path().join("d")).unwrap();
    std::os::unix::fs::symlink("a.txt", world.path().join("d")).unwrap();
    // What is written here already is no edit.
    world.write("same", "new\n");
    world.write("untracked", "stays\n");
    // Nothing new: nothing is touched.
    assert!(matches!(world.sync().unwrap().outcome, Outcome::UpToDate { .. }));
    assert_eq!(world.read("a.txt").unwrap(), "edited\n");

    let new = world.origin.commit(&[("a.txt", "two\n"), ("b", "b\n"), ("c", "c\n"), ("d", "d\n"), ("same", "new\n")]);
    let kept = put_aside(&world);
    assert_eq!((kept.files.as_slice(), kept.commits), (["a.txt", "b", "c", "d"].map(String::from).as_slice(), 1));
    assert_eq!(world.read("untracked").unwrap(), "stays\n");
    fs::remove_file(world.path().join("untracked")).unwrap();
    world.assert_at(&new);
    let at = |path: &str| world.git(&["ls-tree", &kept.branch, path]).split(' ').next().unwrap().to_owned();
    assert_eq!(world.git(&["show", &format!("{}:a.txt", kept.branch)]), "edited");
    assert_eq!((at("b"), at("c"), at("d")), (String::new(), "100755".into(), "120000".into()));
    assert_eq!(world.git(&["rev-parse", &format!("{}^", kept.branch)]), old);
    assert_eq!(standing(&world.path()).unwrap().unwrap().kept, [kept.branch]);
}

#[test]
fn untracked_files_in_the_way_are_edits_and_others_are_not() {
    let world = World::new();
    world.sync().unwrap();
    world.write("new/x", "mine\n");
    world.write("folder", "a file where a folder comes\n");
    world.write("file/deep/y", "a folder where a file comes\n");
    world.write("other/z", "stays\n");
    world.write(".git/info/exclude", "new\n");
    let new = world.origin.commit(&[("new/x", "theirs\n"), ("folder/x", "x\n"), ("file", "f\n")]);
    let kept = put_aside(&world);
    assert_eq!(kept.files, ["file/deep/y", "folder", "new/x"]);
    assert_eq!(world.git(&["show", &format!("{}:new/x", kept.branch)]), "mine");
    assert_eq!(world.git(&["show", &format!("{}:file/deep/y", kept.branch)]), "a folder where a file comes");
    assert_eq!(world.read("new/x").unwrap() + &world.read("file").unwrap(), "theirs\nf\n");
    assert_eq!(world.read("other/z").unwrap(), "stays\n");
    fs::remove_dir_all(world.path().join("other")).unwrap();
    world.assert_at(&new);
}

#[test]
fn local_commits_stay_while_the_remote_rests_and_are_put_aside_when_it_goes_on() {
    let world = World::new();
    world.sync().unwrap();
    world.write("a.txt", "local\n");
    world.git(&["commit", "-qam", "Local"]);
    let local = world.git(&["rev-parse", "HEAD"]);
    let synced = world.sync().unwrap();
    assert!(matches!(&synced.outcome, Outcome::UpToDate { commit } if commit.id == local), "{synced:?}");

    let new = world.origin.commit(&[("a.txt", "theirs\n")]);
    let kept = put_aside(&world);
    assert_eq!((kept.files.len(), kept.commits), (0, 1));
    assert_eq!(world.git(&["rev-parse", &kept.branch]), local);
    world.assert_at(&new);
}

#[test]
fn work_on_another_branch_and_on_the_followed_one_is_kept_both() {
    let world = World::new();
    world.sync().unwrap();
    world.write("a.txt", "on main\n");
    world.git(&["commit", "-qam", "On main"]);
    world.git(&["checkout", "-qb", "mine", "HEAD~1"]);
    world.write("a.txt", "on mine\n");
    world.git(&["commit", "-qam", "On mine"]);
    world.write("a.txt", "not committed\n");
    let (main, mine) = (world.git(&["rev-parse", "main"]), world.git(&["rev-parse", "mine"]));
    let new = world.origin.commit(&[("a.txt", "theirs\n")]);
    let synced = world.sync().unwrap();
    let [edits, commits] = &synced.put_aside[..] else { panic!("{synced:?}") };
    assert_eq!((edits.commits, commits.commits), (2, 1));
    assert_eq!(world.git(&["show", &format!("{}:a.txt", edits.branch)]), "not committed");
    assert_eq!(world.git(&["rev-parse", &format!("{}^", edits.branch)]), mine);
    assert_eq!(world.git(&["rev-parse", &commits.branch]), main);
    world.assert_at(&new);
}

#[test]
fn what_cannot_be_kept_keeps_the_old_commit() {
    let world = World::new();
    let old = world.sync().unwrap().outcome.commit().id.clone();
    world.origin.commit(&[("a.txt", "two\n"), ("sub", "file\n")]);
    world.write("sub/.git/config", "somebody's repository\n");
    let fault = why(world.sync());
    assert!(matches!(&fault, Fault::InTheWay { path, .. } if path == "sub"), "{fault}");
    assert_eq!(world.read("a.txt").unwrap(), "one\n");
    fs::remove_dir_all(world.path().join("sub")).unwrap();
    world.assert_at(&old);
    // A socket where a file was.
    fs::remove_file(world.path().join("a.txt")).unwrap();
    let _socket = std::os::unix::net::UnixListener::bind(world.path().join("a.txt")).unwrap();
    assert!(matches!(why(world.sync()), Fault::InTheWay { .. }));
}

#[test]
fn a_link_that_somebody_made_of_a_folder_is_not_followed() {
    let world = World::new();
    world.sync().unwrap();
    let outside = world.folder.path().join("outside");
    fs::create_dir(&outside).unwrap();
    fs::write(outside.join("run.sh"), "theirs").unwrap();
    fs::remove_dir_all(world.path().join("setup")).unwrap();
    std::os::unix::fs::symlink(&outside, world.path().join("setup")).unwrap();
    let new = world.origin.commit(&[("a.txt", "two\n"), ("setup/run.sh", "#!echo two\n"), ("setup/more", "x\n")]);
    let kept = put_aside(&world);
    assert_eq!(kept.files, ["setup", "setup/run.sh"]);
    assert_eq!(names(&outside), ["run.sh"]);
    assert_eq!(fs::read_to_string(outside.join("run.sh")).unwrap(), "theirs");
    world.assert_at(&new);
}

#[test]
fn configuration_hooks_and_filters_of_a_repository_run_nothing() {
    let world = World::new();
    world.sync().unwrap();
    let trap = world.folder.path().join("sprung");
    let spring = format!("sh -c 'touch {}'", trap.display());
    for key in
        ["core.fsmonitor", "core.sshCommand", "filter.evil.smudge", "filter.evil.clean", "diff.evil.textconv", "diff.external"]
    {
        world.git(&["config", key, &spring]);
    }
    world.git(&["config", "core.hooksPath", world.folder.path().to_str().unwrap()]);
    world.git(&["config", "core.worktree", world.folder.path().to_str().unwrap()]);
    // Nor does it send us elsewhere, or take a proxy for us.
    world.git(&["config", "url.https://localhost:1/.insteadOf", "https://localhost"]);
    world.git(&["config", "http.proxy", "http://127.0.0.1:1"]);
    world.git(&["config", "http.sslVerify", "false"]);
    for hook in ["post-checkout", "post-merge", "reference-transaction", "post-index-change"] {
        for place in [world.path().join(".git/hooks"), world.folder.path().to_owned()] {
            fs::create_dir_all(&place).unwrap();
            fs::write(place.join(hook), format!("#!/bin/sh\n{spring}\n")).unwrap();
            fs::set_permissions(place.join(hook), fs::Permissions::from_mode(0o755)).unwrap();
        }
    }
    let new = world.origin.commit(&[("a.txt", "two\n"), (".gitattributes", "* filter=evil diff=evil\n")]);
    let synced = world.sync().unwrap();
    assert!(matches!(&synced.outcome, Outcome::FastForwarded { to, .. } if to.id == new), "{synced:?}");
    assert_eq!(world.read("a.txt").unwrap(), "two\n");
    assert!(!trap.exists());
}
