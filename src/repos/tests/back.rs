//! Going back, history and differences.

use super::*;

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
fn a_difference_is_shown_by_file_and_bounded() {
    let world = World::new();
    let first = world.sync().unwrap().outcome.commit().id.clone();
    let long = "line\n".repeat(60_000);
    let second = world.origin.commit_modes(&[
        (0o100_644, "a.txt", b"outside\n"),
        (0o100_644, "setup/run.sh", b"#!echo two\nmore\n"),
        (0o100_644, "setup/picture", b"\x89PNG\0\0\x01"),
        (0o100_644, "setup/long", long.as_bytes()),
        (0o100_644, "setups", b"not below\n"),
    ]);
    world.sync().unwrap();
    let difference = diff(&world.path(), &first, &second, "setup/").unwrap();
    let files: Vec<(&str, Kind, usize, usize)> =
        difference.files.iter().map(|f| (f.path.as_str(), f.kind, f.added, f.removed)).collect();
    assert_eq!(
        files,
        [("setup/long", Kind::Added, 60_000, 0), ("setup/picture", Kind::Added, 0, 0), ("setup/run.sh", Kind::Changed, 2, 1),]
    );
    assert!(matches!(&difference.files[0].text, DifferenceText::Cut(text) if text.len() <= 200_000 && text.ends_with("line\n")));
    assert_eq!(difference.files[1].text, DifferenceText::Binary);
    let DifferenceText::Unified(text) = &difference.files[2].text else { panic!() };
    assert!(text.contains("-#!echo one\n+#!echo two\n+more\n"), "{text}");
    assert_eq!(diff(&world.path(), &first, &second, "").unwrap().files.len(), 5);
    assert!(matches!(diff(&world.path(), &first, "nonsense", ""), Err(Fault::NoCommit(_))));
    assert!(matches!(diff(&world.path(), &first, &"1".repeat(40), ""), Err(Fault::NoCommit(_))));
}
