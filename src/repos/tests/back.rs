//! Going back, history, and what a commit holds.

use super::*;
use std::collections::BTreeMap;

#[test]
fn one_goes_back_and_stays_there_until_the_remote_goes_on() {
    let world = World::new();
    let first = world.sync().unwrap().outcome.commit().id.clone();
    let second = world.origin.commit(&[("a.txt", "broken\n")]);
    world.sync().unwrap();
    world.write("a.txt", "an attempt\n");
    let moved = check_out(&world.path(), &first, &mut go_on).unwrap();
    assert_eq!(moved.commit.id, first);
    assert_eq!(moved.put_aside[0].files, ["a.txt"]);
    world.assert_at(&first);

    let synced = world.sync().unwrap();
    assert!(
        matches!(&synced.outcome, Outcome::Kept { why: Why::WentBack { refused }, .. } if refused.id == second),
        "{synced:?}"
    );
    world.assert_at(&first);
    assert_eq!(standing(&world.path()).unwrap().unwrap().refused.unwrap().id, second);
    // What was left is in the history still.
    let ids: Vec<String> = history(&world.path(), 10).unwrap().into_iter().map(|commit| commit.id).collect();
    assert_eq!(ids, [second.clone(), first.clone()]);

    let third = world.origin.commit(&[("a.txt", "mended\n")]);
    let synced = world.sync().unwrap();
    assert!(matches!(&synced.outcome, Outcome::FastForwarded { commits: 2, .. }), "{synced:?}");
    world.assert_at(&third);
    assert!(standing(&world.path()).unwrap().unwrap().refused.is_none());
}

#[test]
fn one_goes_forward_again_to_what_was_left() {
    let world = World::new();
    let first = world.sync().unwrap().outcome.commit().id.clone();
    let second = world.origin.commit(&[("a.txt", "two\n")]);
    world.sync().unwrap();
    check_out(&world.path(), &first, &mut go_on).unwrap();
    check_out(&world.path(), &second, &mut go_on).unwrap();
    world.assert_at(&second);
    assert!(matches!(world.sync().unwrap().outcome, Outcome::UpToDate { .. }));
}

#[test]
fn going_forward_again_in_vain_leaves_what_was_left_refused() {
    let world = World::new();
    let first = world.sync().unwrap().outcome.commit().id.clone();
    let second = world.origin.commit(&[("a.txt", "broken\n")]);
    world.sync().unwrap();
    check_out(&world.path(), &first, &mut go_on).unwrap();
    fs::remove_file(world.path().join("a.txt")).unwrap();
    let socket = std::os::unix::net::UnixListener::bind(world.path().join("a.txt")).unwrap();
    assert!(matches!(check_out(&world.path(), &second, &mut go_on), Err(Fault::InTheWay { .. })));
    drop(socket);
    fs::remove_file(world.path().join("a.txt")).unwrap();
    world.write("a.txt", "one\n");
    let synced = world.sync().unwrap();
    assert!(matches!(synced.outcome, Outcome::Kept { why: Why::WentBack { .. }, .. }), "{synced:?}");
    world.assert_at(&first);
}

#[test]
fn only_commits_of_the_branch_can_be_gone_to() {
    let world = World::new();
    let first = world.sync().unwrap().outcome.commit().id.clone();
    world.write("a.txt", "local\n");
    world.git(&["commit", "-qam", "Local"]);
    let local = world.git(&["rev-parse", "HEAD"]);
    let tree = world.git(&["rev-parse", "HEAD^{tree}"]);
    for id in [local.as_str(), &tree, &"0".repeat(40), "main", "", "HEAD~1", &first[..10]] {
        assert!(matches!(check_out(&world.path(), id, &mut go_on), Err(Fault::NoCommit(_))), "{id}");
    }
    assert_eq!(world.git(&["rev-parse", "HEAD"]), local);
}

#[test]
fn the_files_of_a_folder_are_those_of_the_commit_whatever_stands_on_the_disk() {
    let world = World::new();
    assert_eq!(committed(&world.request(), "setup").unwrap(), None);
    world.origin.commit_modes(&[
        (0o100_755, "setup/a/run.sh", b"one\n"),
        (0o120_000, "setup/a/link", b"../../secret"),
        (0o100_644, "secret", b"not below\n"),
        (0o120_000, "other", b"setup"),
    ]);
    let commit = world.sync().unwrap().outcome.commit().clone();
    let only = BTreeMap::from([("a/run.sh".to_owned(), b"one\n".to_vec())]);
    let read = |folder: &str| committed(&world.request(), folder).unwrap().unwrap();
    assert_eq!(read("setup"), Committed { commit: commit.clone(), files: only.clone() });
    world.write("setup/a/run.sh", "edited\n");
    world.write("setup/b/new.sh", "nobody's\n");
    assert_eq!(read("setup").files, only);
    fs::remove_dir_all(world.path().join("setup")).unwrap();
    assert_eq!(read("setup").files, only);
    for folder in ["other", "secret", "nothing"] {
        assert_eq!(read(folder), Committed { commit: commit.clone(), files: BTreeMap::new() }, "{folder}");
    }
    let mut request = world.request();
    request.limits.file = 3;
    assert!(matches!(committed(&request, "setup"), Err(Fault::TooLarge { .. })));
    request.branch = Branch::parse("another").unwrap();
    assert!(matches!(committed(&request, "setup"), Err(Fault::OtherOrigin { .. })));
    assert!(matches!(here(&request), Err(Fault::OtherOrigin { .. })));
    assert_eq!(here(&world.request()).unwrap(), Some(commit));
}
