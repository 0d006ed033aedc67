//! Whether the volume is as bad as it says: tests of the tests' own file system. Knows nothing of Easel.

use super::{mounted::Volume, weather::Weather};
use rustix::io::Errno;
use std::{
    fs::{self, File},
    io::{self, Write as _},
    path::Path,
};

fn sync(path: &Path) {
    File::open(path).unwrap().sync_all().unwrap();
}

fn write(path: &Path, text: &str, is_synced: bool) {
    let mut file = File::create(path).unwrap();
    file.write_all(text.as_bytes()).unwrap();
    if is_synced {
        file.sync_all().unwrap();
    }
}

fn is(result: io::Result<()>, errno: Errno) -> bool {
    result.is_err_and(|error| error.raw_os_error() == Some(errno.raw_os_error()))
}

#[test]
fn a_power_cut_leaves_what_was_synced_and_nothing_else() {
    let Some(mut volume) = Volume::mount() else { return };
    let at = |name: &str| volume.path().join(name);
    let (kept, empty, nameless, old, new) = (at("kept"), at("empty"), at("nameless"), at("old"), at("new"));
    write(&kept, "first", true);
    write(&empty, "never synced", false);
    write(&old, "moved", true);
    sync(volume.path());
    write(&nameless, "synced without its name", true);
    write(&kept, "second", false);
    fs::rename(&old, &new).unwrap();
    fs::create_dir(at("folder")).unwrap();
    assert_eq!(fs::read(&kept).unwrap(), b"second", "until the power goes");
    volume.power_cut();
    assert_eq!(fs::read(&kept).unwrap(), b"first");
    assert_eq!(fs::read(&empty).unwrap(), b"");
    assert_eq!(fs::read(&old).unwrap(), b"moved");
    let mut left: Vec<_> = fs::read_dir(volume.path()).unwrap().map(|e| e.unwrap().file_name()).collect();
    left.sort();
    assert_eq!(left, ["empty", "kept", "old"]);
}

#[test]
fn weather_fails_what_it_says() {
    let Some(volume) = Volume::mount() else { return };
    let (file, other) = (volume.path().join("file"), volume.path().join("other"));
    write(&file, "calm", true);
    let append = || File::options().append(true).open(&file).and_then(|mut f| f.write_all(b"more"));
    volume.set(Weather::NoQuota);
    assert!(is(append(), Errno::DQUOT) && is(File::create(&other).map(drop), Errno::DQUOT));
    assert!(is(fs::create_dir(&other), Errno::DQUOT));
    sync(&file);
    fs::rename(&file, &other).unwrap();
    fs::rename(&other, &file).unwrap();
    volume.set(Weather::Broken);
    assert!(is(append(), Errno::IO) && is(File::open(&file).and_then(|f| f.sync_all()), Errno::IO));
    assert!(is(fs::remove_file(&file), Errno::IO) && is(fs::rename(&file, &other), Errno::IO));
    assert_eq!(fs::read(&file).unwrap(), b"calm");
    volume.set(Weather::Calm);
    append().unwrap();
    assert_eq!(fs::read(&file).unwrap(), b"calmmore");
}

/// What was committed is there after a power cut, in both of SQLite's ways to write; what was not is not.
#[test]
fn sqlite_keeps_its_promise_here() {
    for mode in ["WAL", "DELETE"] {
        let Some(mut volume) = Volume::mount() else { return };
        let file = volume.path().join("x.db");
        let open = |file: &Path| {
            let store = rusqlite::Connection::open(file).unwrap();
            store.execute_batch(&format!("PRAGMA journal_mode = {mode}; PRAGMA synchronous = EXTRA")).unwrap();
            store
        };
        let store = open(&file);
        store.execute_batch("CREATE TABLE t (x)").unwrap();
        for n in 0..20 {
            store.execute("INSERT INTO t VALUES (?1)", [n]).unwrap();
        }
        store.execute_batch("BEGIN; INSERT INTO t SELECT randomblob(5000) FROM t a, t b").unwrap();
        volume.power_cut();
        drop(store);
        let store = open(&file);
        let count: i64 = store.query_row("SELECT count(*) FROM t", [], |row| row.get(0)).unwrap();
        let verdict: String = store.query_row("PRAGMA integrity_check", [], |row| row.get(0)).unwrap();
        assert_eq!((count, verdict.as_str()), (20, "ok"), "{mode}");
    }
}
