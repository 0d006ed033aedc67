//! Names that try to get out.

use super::*;
use rustix::fs::{CWD, RenameFlags, renameat_with};
use std::os::unix::fs::symlink;

fn scene() -> (tempfile::TempDir, Beneath) {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("secret"), "secret").unwrap();
    let root = Beneath::open(&folder.path().join("root")).unwrap();
    root.write("ada/2026-01", "a.png", b"ada's").unwrap();
    root.write("bob/2026-01", "b.png", b"bob's").unwrap();
    (folder, root)
}

#[test]
fn what_was_written_is_read_and_removed() {
    let (_folder, root) = scene();
    assert_eq!(root.read("ada/2026-01/a.png", 100).unwrap(), b"ada's");
    assert!(root.read("ada/2026-01/a.png", 4).is_err());
    root.remove("ada/2026-01/a.png").unwrap();
    root.remove("ada/2026-01/a.png").unwrap();
    assert_eq!(root.read("ada/2026-01/a.png", 100).unwrap_err().kind(), io::ErrorKind::NotFound);
}

#[test]
fn no_name_leads_out() {
    let (folder, root) = scene();
    let ada = root.folder("ada").unwrap();
    let outside = folder.path().join("secret");
    symlink(&outside, folder.path().join("root/ada/link")).unwrap();
    symlink(folder.path(), folder.path().join("root/ada/up")).unwrap();
    symlink("../bob", folder.path().join("root/ada/bob")).unwrap();
    let outside = outside.to_str().unwrap();
    for name in [
        "../bob/2026-01/b.png",
        "2026-01/../../bob/2026-01/b.png",
        "link",
        "up/secret",
        "bob/2026-01/b.png",
        outside,
        "/etc/passwd",
        "..",
        "",
        ".",
        "2026-01",
        "a\0b",
    ] {
        assert!(ada.read(name, 1000).is_err(), "{name:?} was read");
        assert!(
            walk(&ada.0, name, OFlags::RDONLY | OFlags::NOFOLLOW, Mode::empty())
                .map_or(true, |f| File::from(f).metadata().unwrap().is_dir()),
            "{name:?} was walked to"
        );
        assert!(ada.write(name, "x", b"x").is_err() || name == "." || name == "2026-01", "{name:?} was written into");
    }
    assert_eq!(std::fs::read_to_string(folder.path().join("secret")).unwrap(), "secret");
}

#[test]
fn a_write_that_fails_leaves_nothing() {
    let (folder, root) = scene();
    std::fs::create_dir(folder.path().join("root/ada/2026-01/taken")).unwrap();
    assert!(root.write("ada/2026-01", "taken", b"bytes").is_err());
    let names: Vec<_> =
        std::fs::read_dir(folder.path().join("root/ada/2026-01")).unwrap().map(|e| e.unwrap().file_name()).collect();
    assert!(names.iter().all(|n| !n.to_string_lossy().ends_with(".tmp")), "{names:?}");
}

/// Bar A4's race: a folder is swapped with a link out of the root, again and again, while it is read and written.
#[test]
fn a_folder_swapped_with_a_link_leads_nobody_out() {
    let (folder, root) = scene();
    let ada = root.folder("ada").unwrap();
    let outside = folder.path().join("outside");
    std::fs::create_dir(&outside).unwrap();
    std::fs::write(outside.join("a.png"), "secret").unwrap();
    let place = folder.path().join("root/ada/2026-01");
    let link = folder.path().join("root/ada/link");
    symlink(&outside, &link).unwrap();
    let stop = std::sync::atomic::AtomicBool::new(false);
    let done = std::sync::atomic::Ordering::Relaxed;
    let (mut read, mut swaps, mut written) = (0u32, 0u32, 0u32);
    std::thread::scope(|scope| {
        let swapper = scope.spawn(|| {
            let mut swaps = 0;
            while !stop.load(done) {
                renameat_with(CWD, &place, CWD, &link, RenameFlags::EXCHANGE).unwrap();
                swaps += 1;
            }
            if swaps % 2 == 1 {
                renameat_with(CWD, &place, CWD, &link, RenameFlags::EXCHANGE).unwrap();
            }
            swaps
        });
        let begin = std::time::Instant::now();
        while begin.elapsed() < race() {
            if let Ok(bytes) = ada.read("2026-01/a.png", 100) {
                assert_eq!(bytes, b"ada's");
                read += 1;
            }
            written += u32::from(ada.write("2026-01", "new.png", b"new").is_ok());
            let _ = ada.remove("2026-01/new.png");
        }
        stop.store(true, done);
        swaps = swapper.join().unwrap();
    });
    println!("{swaps} swaps, {read} reads and {written} writes in the right folder");
    assert!(swaps > 100 && read > 0, "the race did not happen");
    let names: Vec<_> = std::fs::read_dir(&outside).unwrap().map(|e| e.unwrap().file_name()).collect();
    assert_eq!(names, ["a.png"], "something was written outside");
    assert_eq!(std::fs::read_to_string(outside.join("a.png")).unwrap(), "secret");
}

#[allow(clippy::disallowed_methods, reason = "a test asks how long it may take")]
fn race() -> std::time::Duration {
    let long = std::env::var("TESTS_LONG").is_ok_and(|v| v == "1");
    std::time::Duration::from_secs(if long { 60 } else { 5 })
}

#[test]
fn a_tree_is_replaced_whole_and_removed_without_following_links() {
    let (folder, root) = scene();
    let shared = root.clone().shared();
    let fresh = shared.folder("new").unwrap();
    fresh.copy(&b"fresh"[..], "c.png").unwrap();
    assert!(fresh.copy(&b"twice"[..], "c.png").is_err());
    symlink(folder.path(), folder.path().join("root/ada/up")).unwrap();
    root.replace("new", "ada").unwrap();
    assert_eq!(root.read("ada/c.png", 9).unwrap(), b"fresh");
    assert_eq!(root.read("new/2026-01/a.png", 9).unwrap(), b"ada's");
    assert!(root.existing("new/up").is_err() && root.existing("../root").is_err());
    root.remove_tree("new").unwrap();
    root.remove_tree("new").unwrap();
    assert!(!folder.path().join("root/new").exists());
    assert_eq!(std::fs::read(folder.path().join("secret")).unwrap(), b"secret");
    // Into a name that is free.
    root.replace("ada", "eve").unwrap();
    assert_eq!(root.existing("eve").unwrap().names().unwrap(), ["c.png"]);
    for name in ["..", ".", "", "a/b"] {
        assert!(root.remove_tree(name).is_err() && root.replace("eve", name).is_err(), "{name}");
    }
}

/// The same picture from two tabs, say: each is told that it is there, and it is there whole at every moment after that.
#[test]
fn one_name_may_be_written_by_many_at_once() {
    let (_folder, root) = scene();
    let bytes = vec![7; 100_000];
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                for _ in 0..50 {
                    root.write("ada", "same.png", &bytes).unwrap();
                    assert_eq!(root.read("ada/same.png", 200_000).unwrap().len(), bytes.len());
                }
            });
        }
    });
    let left = root.existing("ada").unwrap().names().unwrap();
    assert!(left.iter().all(|name| !name.ends_with(".tmp")), "{left:?}");
}
