//! A first clone, steps forward, and a remote that rewrites its history.

use super::*;
use std::os::unix::fs::{MetadataExt, PermissionsExt};

#[test]
fn a_first_sync_clones_and_the_next_finds_nothing_new() {
    let world = World::new();
    let commit = world.origin.commit_modes(&[
        (0o100_644, "a.txt", b"one\n"),
        (0o100_755, "setup/run.sh", b"#!echo one\r\n"),
        (0o120_000, "setup/link", b"../a.txt"),
        (0o100_644, ".gitattributes", b"* text=auto eol=crlf\n*.sh filter=evil\n"),
        (0o160_000, "module", b"\0"),
    ]);
    let synced = world.sync().unwrap();
    let Outcome::Cloned { commit: new } = &synced.outcome else { panic!("{synced:?}") };
    assert_eq!((new.id.as_str(), new.summary.as_str(), new.author.as_str()), (commit.as_str(), "Change 1", "Ada"));
    assert!(!synced.repaired && synced.put_aside.is_empty());
    // As committed, whatever the attributes say; submodules are not followed.
    assert_eq!(world.read("setup/run.sh").unwrap(), "#!echo one\r\n");
    assert_eq!(world.read("setup/link").unwrap(), "one\n");
    assert!(!world.path().join("module").exists());
    let mode = |path: &str| fs::metadata(world.path().join(path)).unwrap().permissions().mode() & 0o777;
    assert_eq!((mode("a.txt"), mode("setup/run.sh"), mode("setup")), (0o644, 0o755, 0o755));
    assert_eq!(names(world.folder.path()), [".work.lock", "nginx", "origin.git", "work"]);

    let before = fs::metadata(world.path().join("a.txt")).unwrap();
    let again = world.sync().unwrap();
    assert!(matches!(again.outcome, Outcome::UpToDate { .. }), "{again:?}");
    assert_eq!(fs::metadata(world.path().join("a.txt")).unwrap().ino(), before.ino());
}

#[test]
fn a_step_forward_says_what_changed_and_leaves_other_files_alone() {
    let world = World::new();
    let first = world.sync().unwrap().outcome.commit().id.clone();
    world.assert_at(&first);
    world.write("untracked.log", "mine");
    world.origin.commit(&[("a.txt", "two\n"), ("setup/run.sh", "#!echo one\n")]);
    // A file becomes a folder, a folder a file.
    let last = world.origin.commit(&[("a.txt/inner", "in\n"), ("setup", "file\n"), ("new/x", "x\n")]);
    let synced = world.sync().unwrap();
    let Outcome::FastForwarded { from, to, commits, changed } = &synced.outcome else { panic!("{synced:?}") };
    assert_eq!((from.id.as_str(), to.id.as_str(), *commits), (first.as_str(), last.as_str(), 2));
    let changed: Vec<(&str, Kind)> = changed.iter().map(|c| (c.path.as_str(), c.kind)).collect();
    assert_eq!(
        changed,
        [
            ("a.txt", Kind::Removed),
            ("a.txt/inner", Kind::Added),
            ("new/x", Kind::Added),
            ("setup", Kind::Added),
            ("setup/run.sh", Kind::Removed),
        ]
    );
    assert!(synced.put_aside.is_empty());
    assert_eq!(world.read("a.txt/inner").unwrap() + &world.read("setup").unwrap(), "in\nfile\n");
    assert_eq!(world.read("untracked.log").unwrap(), "mine");
    fs::remove_file(world.path().join("untracked.log")).unwrap();
    world.assert_at(&last);
    // And back again.
    let back = world.origin.commit(&[("a.txt", "three\n"), ("setup/run.sh", "#!echo three\n")]);
    world.sync().unwrap();
    world.assert_at(&back);
    assert_eq!(names(&world.path()), [".git", "a.txt", "setup"]);
}

#[test]
fn a_rewritten_history_is_not_taken_until_an_admin_accepts_that_very_one() {
    let world = World::new();
    let first = world.sync().unwrap().outcome.commit().id.clone();
    let second = world.origin.commit(&[("a.txt", "two\n")]);
    world.sync().unwrap();
    world.origin.force(&first);
    let forced = world.origin.commit(&[("a.txt", "forced\n")]);
    let synced = world.sync().unwrap();
    let Outcome::Kept { commit, why: Why::Rewritten { offered } } = &synced.outcome else { panic!("{synced:?}") };
    assert_eq!((commit.id.as_str(), offered.id.as_str()), (second.as_str(), forced.as_str()));
    world.assert_at(&second);
    let standing = standing(&world.path()).unwrap().unwrap();
    assert_eq!(standing.offered.unwrap().id, forced);

    // Another one comes while the admin reads.
    world.origin.force(&first);
    let again = world.origin.commit(&[("a.txt", "forced again\n")]);
    assert!(matches!(world.sync().unwrap().outcome, Outcome::Kept { why: Why::Rewritten { .. }, .. }));
    assert!(matches!(accept_rewritten(&world.path(), &forced, &mut go_on), Err(Fault::NoCommit(_))));
    world.assert_at(&second);

    world.write("a.txt", "edited\n");
    let accepted = accept_rewritten(&world.path(), &again, &mut go_on).unwrap();
    assert!(matches!(&accepted.outcome, Outcome::FastForwarded { to, .. } if to.id == again), "{accepted:?}");
    world.assert_at(&again);
    // The edit and the old commit are in one branch.
    let [kept] = &accepted.put_aside[..] else { panic!("{accepted:?}") };
    assert_eq!((kept.files.as_slice(), kept.commits), (["a.txt".to_owned()].as_slice(), 2));
    assert_eq!(world.git(&["show", &format!("{}:a.txt", kept.branch)]), "edited");
    assert_eq!(world.git(&["rev-parse", &format!("{}~1", kept.branch)]), second);
    assert!(matches!(world.sync().unwrap().outcome, Outcome::UpToDate { .. }));
}

#[test]
fn a_remote_that_goes_back_is_a_rewritten_one() {
    let world = World::new();
    let first = world.sync().unwrap().outcome.commit().id.clone();
    let second = world.origin.commit(&[("a.txt", "two\n")]);
    world.sync().unwrap();
    world.origin.force(&first);
    assert!(matches!(world.sync().unwrap().outcome, Outcome::Kept { why: Why::Rewritten { .. }, .. }));
    world.assert_at(&second);
    // It comes to its senses.
    world.origin.force(&second);
    assert!(matches!(world.sync().unwrap().outcome, Outcome::UpToDate { .. }));
}

#[test]
fn what_stands_there_and_is_not_ours_is_refused() {
    let world = World::new();
    let refused = || {
        let error = world.sync().unwrap_err();
        assert!(matches!(error, Fault::NotOurs { .. }), "{error}");
        assert!(error.to_string().contains("move it away"), "{error}");
    };
    world.write("precious", "x");
    refused();
    assert_eq!(world.read("precious").unwrap(), "x");
    fs::remove_dir_all(world.path()).unwrap();
    servers::run(git(world.folder.path()).args(["clone", "-q", "origin.git", "work"]));
    refused();
    fs::remove_dir_all(world.path()).unwrap();
    std::os::unix::fs::symlink(world.folder.path(), world.path()).unwrap();
    refused();
    fs::remove_file(world.path()).unwrap();
    // An empty folder gives way.
    fs::create_dir(world.path()).unwrap();
    assert!(matches!(world.sync().unwrap().outcome, Outcome::Cloned { .. }));
}

#[test]
fn a_repository_of_another_owner_is_believed_only_where_the_folder_above_is_his_too() {
    if !rustix::process::geteuid().is_root() {
        println!("skipped: only root can give files away");
        return;
    }
    let world = World::new();
    world.sync().unwrap();
    let give = |path: &std::path::Path| std::os::unix::fs::chown(path, Some(12345), None).unwrap();
    give(&world.path().join(".git"));
    assert!(matches!(world.sync(), Err(Fault::NotOurs { .. })));
    give(world.folder.path());
    assert!(matches!(world.sync().unwrap().outcome, Outcome::UpToDate { .. }));
}

#[test]
fn another_origin_is_refused() {
    let world = World::new();
    world.sync().unwrap();
    let mut other = world.request();
    other.address = Address::parse(&world.server.url("other.git")).unwrap();
    let error = sync(&other, &mut go_on).unwrap_err();
    assert!(matches!(error, Fault::OtherOrigin { .. }) && error.to_string().contains("move the folder away"), "{error}");
    let mut other = world.request();
    other.branch = Branch::parse("dev").unwrap();
    assert!(matches!(sync(&other, &mut go_on), Err(Fault::OtherOrigin { .. })));
}

#[test]
fn leftovers_of_killed_clones_go_and_nothing_else_does() {
    let world = World::new();
    let folder = world.folder.path();
    let gone = folder.join(".work.clone-0123456789abcdef");
    fs::create_dir_all(gone.join("deep/er")).unwrap();
    std::os::unix::fs::symlink(&world.origin.path, gone.join("link")).unwrap();
    let stays =
        [".work.clone-mine", ".work.clone-0123456789abcdeg", ".other.clone-0123456789abcdef", "work.clone-0123456789abcdef"];
    for name in stays {
        fs::create_dir(folder.join(name)).unwrap();
    }
    world.sync().unwrap();
    assert!(!gone.exists() && world.origin.path.exists());
    assert!(stays.iter().all(|name| folder.join(name).exists()));
}

#[test]
fn one_sync_of_a_folder_at_a_time() {
    let world = World::new();
    let mut second = None;
    sync(&world.request(), &mut |_| {
        second.get_or_insert_with(|| world.sync());
        ControlFlow::Continue(())
    })
    .unwrap();
    assert!(matches!(second.unwrap(), Err(Fault::Busy(_))));
    world.sync().unwrap();
}
