//! Commits that no honest git would make.

use super::*;

/// What a clone of the remote as it is comes to; no file may have been written anywhere.
fn refused(world: &World) -> Fault {
    let before = names(world.folder.path());
    let fault = world.sync().unwrap_err();
    assert!(!world.path().exists());
    let after: Vec<String> = names(world.folder.path()).into_iter().filter(|name| name != ".work.lock").collect();
    let before: Vec<String> = before.into_iter().filter(|name| name != ".work.lock").collect();
    assert_eq!(before, after);
    fault
}

#[test]
fn hostile_trees_are_refused_before_anything_is_written() {
    let world = World::new();
    let blob = world.origin.blob(b"x");
    let up = world.origin.blob(b"../outside");
    let absolute = world.origin.blob(b"/etc/passwd");
    let hooks = world.origin.raw_tree(&[(0o100_755, b"post-checkout", blob)]);
    let dots = world.origin.raw_tree(&[(0o100_644, b"..", blob)]);
    let git = world.origin.raw_tree(&[(0o040_000, b".git", hooks)]);
    for (entries, part) in [
        (vec![(0o120_000, &b"link"[..], up)], "link out of the repository"),
        (vec![(0o120_000, b"link", absolute)], "link out of the repository"),
        (vec![(0o040_000, b".git", hooks)], ".git"),
        (vec![(0o040_000, b".GIT", hooks)], ".git"),
        (vec![(0o040_000, b"git~1", hooks)], ".git"),
        (vec![(0o040_000, b"deep", git)], ".git"),
        (vec![(0o040_000, b"deep", dots)], "leads elsewhere"),
        (vec![(0o100_644, b"a\\b", blob)], "leads elsewhere"),
        (vec![(0o100_644, b"a\nb", blob)], "control character"),
        (vec![(0o100_644, b"\xff", blob)], "not UTF-8"),
        (vec![(0o120_000, b"a", blob), (0o040_000, b"a", hooks)], "twice"),
    ] {
        let first = world.origin.commit(&[("a.txt", "one\n")]);
        world.origin.commit_raw(&entries);
        let fault = refused(&world);
        // Some never get this far: libgit2 does not take them either.
        let told = fault.to_string();
        assert!(matches!(fault, Fault::Hostile { .. }) && told.contains(part), "{entries:?}: {told}");
        world.origin.force(&first);
    }
}

#[test]
fn a_hostile_step_forward_keeps_the_last_good_commit() {
    let world = World::new();
    let good = world.sync().unwrap().outcome.commit().id.clone();
    world.origin.commit_raw(&[(0o120_000, b"setup", world.origin.blob(b"/etc"))]);
    assert!(matches!(why(world.sync()), Fault::Hostile { .. }));
    world.assert_at(&good);
    let mended = world.origin.commit(&[("a.txt", "mended\n")]);
    world.sync().unwrap();
    world.assert_at(&mended);
}

#[test]
fn limits_on_files_hold() {
    let world = World::new();
    let good = world.sync().unwrap().outcome.commit().id.clone();
    // 4 MiB of nothing: small on the wire.
    world.origin.commit(&[("a.txt", "one\n"), ("huge", &"\0".repeat(4 << 20))]);
    let with = |limits: Limits| why(sync(&Request { limits, ..world.request() }, &mut go_on));
    let limits = Limits::default();
    for (limits, part) in [
        (Limits { file: 1 << 20, ..limits }, "huge (4194304 bytes) is over the limit of 1048576 bytes a file"),
        (Limits { tree: 1 << 20, ..limits }, "the size of the commit's files"),
        (Limits { files: 1, ..limits }, "the number of files"),
    ] {
        let fault = with(limits);
        assert!(matches!(fault, Fault::TooLarge { .. }) && fault.to_string().contains(part), "{fault}");
        world.assert_at(&good);
    }
    world.sync().unwrap();
    assert_eq!(fs::metadata(world.path().join("huge")).unwrap().len(), 4 << 20);
}

#[test]
fn a_tree_that_names_itself_over_and_over_ends_early() {
    let world = World::new();
    let mut tree = world.origin.raw_tree(&[(0o100_644, b"x", world.origin.blob(b"x"))]);
    // Ten to the tenth files, in eleven objects.
    for _ in 0..10 {
        let names: Vec<[u8; 1]> = (b'0'..=b'9').map(|c| [c]).collect();
        let entries: Vec<(u32, &[u8], git2::Oid)> = names.iter().map(|name| (0o040_000, &name[..], tree)).collect();
        tree = world.origin.raw_tree(&entries);
    }
    world.origin.commit_raw(&[(0o040_000, b"bomb", tree)]);
    assert!(matches!(refused(&world), Fault::TooLarge { .. }));
}
