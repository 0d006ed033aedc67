//! kill -9, at points inside the program and from outside: whatever is left, the next sync makes whole, and takes nothing for an edit.

use super::https::Behaviour;
use super::*;
use std::{
    env,
    os::unix::process::ExitStatusExt,
    path::Path,
    process::Stdio,
    sync::atomic::{AtomicI64, Ordering},
    thread,
    time::Duration,
};

/// Points that are still to be passed; negative in all processes but those that are to be killed.
static LEFT: AtomicI64 = AtomicI64::new(-1);
/// Points that were passed.
static PASSED: AtomicI64 = AtomicI64::new(0);
/// The point at which somebody edits; negative for never.
static EDIT_AT: AtomicI64 = AtomicI64::new(-1);
/// What he writes then, in the length of what was there: in files that the step changes early and late, and one that it leaves alone.
const EDITS: [(&str, &str); 3] = [("dir1/file4", "mine4\n"), ("dir2/file11", "mine11\n"), ("other", "mine\n")];

/// One of the places where a kill would be worst, and an edit.
pub(crate) fn point() {
    let passed = PASSED.fetch_add(1, Ordering::Relaxed);
    if EDIT_AT.load(Ordering::Relaxed) == passed {
        let path = PathBuf::from(env::var("EASEL_REPOS_PATH").unwrap());
        let one = env::var("EASEL_REPOS_EDITED").ok();
        let edits = one.as_ref().map_or(EDITS.to_vec(), |name| vec![(name.as_str(), "mine\n")]);
        for (name, text) in edits {
            fs::write(path.join(name), text).unwrap();
        }
    }
    if LEFT.fetch_sub(1, Ordering::Relaxed) == 0 {
        rustix::process::kill_process(rustix::process::getpid(), rustix::process::Signal::KILL).unwrap();
    }
}

/// Not a test but the process that is killed: told by its environment what to sync.
#[test]
fn child() {
    let Ok(path) = env::var("EASEL_REPOS_PATH") else { return };
    let told = |name: &str| env::var(format!("EASEL_REPOS_{name}")).unwrap();
    LEFT.store(told("LEFT").parse().unwrap(), Ordering::Relaxed);
    EDIT_AT.store(env::var("EASEL_REPOS_EDIT").map_or(-1, |at| at.parse().unwrap()), Ordering::Relaxed);
    let request = Request {
        address: Address::parse(&told("ADDRESS")).unwrap(),
        branch: Branch::parse("main").unwrap(),
        path: path.into(),
        access: Access { authority: Some(told("AUTHORITY").into()), ..Access::default() },
        limits: Limits::default(),
    };
    let synced = sync(&request, &mut go_on).unwrap();
    let edited = matches!(&synced.outcome, Outcome::Kept { why: Why::Failed(Fault::BeingWritten(_)), .. });
    assert!(!matches!(synced.outcome, Outcome::Kept { .. }) || edited, "{synced:?}");
    fs::write(told("PASSED"), PASSED.load(Ordering::Relaxed).to_string()).unwrap();
}

/// Starts a process that syncs to a path and is killed after so many points; -1 for never.
fn start(world: &World, path: &Path, left: i64) -> std::process::Child {
    command(world, path, left).spawn().unwrap()
}

fn command(world: &World, path: &Path, left: i64) -> Command {
    let mut child = Command::new(env::current_exe().unwrap());
    child.args(["--exact", "tests::kills::child"]).stdout(Stdio::null());
    child.env("EASEL_REPOS_PATH", path).env("EASEL_REPOS_LEFT", left.to_string());
    child.env("EASEL_REPOS_ADDRESS", world.server.url("origin.git")).env("EASEL_REPOS_AUTHORITY", world.server.authority());
    child.env("EASEL_REPOS_PASSED", world.folder.path().join("passed"));
    child
}

/// How many points a sync passes that is not killed.
fn points(world: &World, path: &Path) -> i64 {
    assert!(start(world, path, -1).wait().unwrap().success());
    fs::read_to_string(world.folder.path().join("passed")).unwrap().parse().unwrap()
}

/// At most 20 points of so many, the first and the last among them.
fn spread(points: i64) -> impl Iterator<Item = i64> {
    let n = points.min(20);
    (0..n).map(move |i| i * (points - 1) / (n - 1).max(1))
}

fn killed(world: &World, path: &Path, left: i64) {
    assert_eq!(start(world, path, left).wait().unwrap().signal(), Some(9), "at {left}");
}

/// A world with many files and what comes after: changes, removals, files for folders.
fn large() -> (World, String, String) {
    let world = World::new();
    let texts: Vec<(String, String)> = (0..12).map(|n| (format!("dir{}/file{n}", n % 3), format!("old {n}\n"))).collect();
    let mut files: Vec<(&str, &str)> = texts.iter().map(|(path, text)| (path.as_str(), text.as_str())).collect();
    files.push(("turns", "into a folder\n"));
    files.push(("folder/x", "turns into a file\n"));
    files.push(("other", "same\n"));
    let old = world.origin.commit(&files);
    let texts: Vec<(String, String)> = (4..16).map(|n| (format!("dir{}/file{n}", n % 3), format!("new {n}\n"))).collect();
    let mut files: Vec<(&str, &str)> = texts.iter().map(|(path, text)| (path.as_str(), text.as_str())).collect();
    files.push(("turns/inner", "now\n"));
    files.push(("folder", "now\n"));
    files.push(("other", "same\n"));
    let new = world.origin.commit(&files);
    world.origin.force(&old);
    (world, old, new)
}

#[test]
fn a_clone_that_is_killed_leaves_nothing_or_all() {
    let (world, old, _) = large();
    for left in spread(points(&world, &world.folder.path().join("counted"))) {
        killed(&world, &world.path(), left);
        let there = world.path().exists();
        let synced = world.sync().unwrap();
        match &synced.outcome {
            Outcome::Cloned { .. } => assert!(!there, "at {left}"),
            other => panic!("at {left}: {other:?}"),
        }
        world.assert_at(&old);
        let left_over: Vec<String> = names(world.folder.path()).into_iter().filter(|name| name.contains(".clone-")).collect();
        assert!(left_over.is_empty(), "at {left}: {left_over:?}");
        fs::remove_dir_all(world.path()).unwrap();
    }
}

#[test]
fn a_step_forward_that_is_killed_is_finished_and_taken_for_no_edit() {
    let (mut world, old, new) = large();
    world.sync().unwrap();
    let whole = world.folder.path().join("whole");
    let copy = |from: &Path, to: &Path| servers::run(Command::new("cp").arg("-a").arg(from).arg(to));
    copy(&world.path(), &whole);
    world.origin.force(&new);
    let counted = world.folder.path().join("counted");
    copy(&whole, &counted);
    let all = points(&world, &counted);
    assert!(all >= 20, "{all} points");
    let mut halves = Vec::new();
    for left in spread(all) {
        fs::remove_dir_all(world.path()).unwrap();
        copy(&whole, &world.path());
        killed(&world, &world.path(), left);
        let half = world.folder.path().join(format!("half{left}"));
        copy(&world.path(), &half);
        halves.push((left, half));
        let synced = world.sync().unwrap();
        assert!(synced.put_aside.is_empty(), "at {left}: {synced:?}");
        assert_eq!(synced.outcome.commit().id, new, "at {left}");
        world.assert_at(&new);
        assert_eq!(world.git(&["branch", "--list", "easel/*"]), "", "at {left}");
    }
    // Without the remote, each is either the old or the new one afterwards.
    world.server.behave(Behaviour::Status(503));
    let (mut olds, mut news) = (0, 0);
    for (left, half) in halves {
        fs::remove_dir_all(world.path()).unwrap();
        fs::rename(half, world.path()).unwrap();
        let synced = world.sync().unwrap();
        let commit = synced.outcome.commit().id.clone();
        assert!(commit == old || (commit == new && (synced.repaired || left == all - 1)), "at {left}: {synced:?}");
        if commit == old {
            olds += 1
        } else {
            news += 1
        }
        // Where it was killed before the journal, new files may lie beside.
        if synced.repaired {
            world.assert_at(&commit);
        }
        assert_eq!(world.git(&["status", "--porcelain"]), "", "at {left}");
    }
    assert!(olds > 0 && news > 0, "{olds} old, {news} new");
    world.server.stop();
}

#[test]
fn an_edit_after_the_kill_is_an_edit() {
    let (world, _, new) = large();
    world.sync().unwrap();
    world.origin.force(&new);
    let whole = world.folder.path().join("whole");
    servers::run(Command::new("cp").arg("-a").arg(world.path()).arg(&whole));
    let all = points(&world, &whole);
    let mut repaired = 0;
    for left in spread(all) {
        fs::remove_dir_all(world.path()).unwrap();
        world.origin.force(&world_old(&world));
        world.sync().unwrap();
        world.origin.force(&new);
        killed(&world, &world.path(), left);
        // One that is changed by the step, and one that is not touched by it any more or not yet.
        world.write("dir1/file4", "mine\n");
        world.write("dir0/file15", "mine too\n");
        let synced = world.sync().unwrap();
        repaired += i32::from(synced.repaired);
        world.write("dir1/file4", "new 4\n");
        world.write("dir0/file15", "new 15\n");
        assert_eq!(world.git(&["rev-parse", "HEAD"]), new);
        let branches = world.git(&["branch", "--list", "--format=%(refname:short)", "easel/*"]);
        // Where all was done, it is an edit of the new commit and stays in place.
        if left + 4 < all {
            let [branch] = branches.lines().collect::<Vec<_>>()[..] else { panic!("at {left}: {branches:?}") };
            assert_eq!(world.git(&["show", &format!("{branch}:dir1/file4")]), "mine", "at {left}");
            assert_eq!(world.git(&["show", &format!("{branch}:dir0/file15")]), "mine too", "at {left}");
        }
        world.git(&["update-index", "-q", "--refresh"]);
        assert_eq!(world.git(&["status", "--porcelain"]), "", "at {left}");
    }
    assert!(repaired > 5, "{repaired}");
}

#[test]
fn an_edit_is_kept_once_however_often_a_step_forward_is_cut_off_before_it_moves_anything() {
    let (world, _, new) = large();
    world.sync().unwrap();
    world.origin.force(&new);
    world.write("dir1/file4", "mine\n");
    for _ in 0..3 {
        killed(&world, &world.path(), 2);
        assert_eq!(world.git(&["branch", "--list", "easel/*"]), "");
        assert_eq!(world.read("dir1/file4").unwrap(), "mine\n");
    }
    let synced = world.sync().unwrap();
    let [aside] = &synced.put_aside[..] else { panic!("{synced:?}") };
    assert_eq!(world.git(&["show", &format!("{}:dir1/file4", aside.branch)]), "mine");
    assert_eq!(standing(&world.path()).unwrap().unwrap().kept, [&*aside.branch]);
    world.assert_at(&new);
}

#[test]
fn what_cannot_be_finished_leaves_the_commit_in_place_and_is_told() {
    let (world, _, new) = large();
    world.sync().unwrap();
    world.origin.force(&new);
    let whole = world.folder.path().join("whole");
    servers::run(Command::new("cp").arg("-a").arg(world.path()).arg(&whole));
    killed(&world, &world.path(), points(&world, &whole) - 6);
    fs::remove_file(world.path().join("other")).unwrap();
    let socket = std::os::unix::net::UnixListener::bind(world.path().join("other")).unwrap();
    assert!(matches!(why(world.sync()), Fault::InTheWay { path, .. } if path == "other"));
    drop(socket);
    fs::remove_file(world.path().join("other")).unwrap();
    world.write("other", "same\n");
    assert_eq!(world.sync().unwrap().outcome.commit().id, new);
    world.assert_at(&new);
}

#[test]
fn an_edit_at_any_moment_of_a_step_forward_is_kept_or_stays_and_is_seen() {
    let (world, _, new) = large();
    world.sync().unwrap();
    world.origin.force(&new);
    let whole = world.folder.path().join("whole");
    let copy = |from: &Path, to: &Path| servers::run(Command::new("cp").arg("-a").arg(from).arg(to));
    copy(&world.path(), &whole);
    let counted = world.folder.path().join("counted");
    copy(&whole, &counted);
    let (mut stayed, mut kept) = (0, 0);
    for at in spread(points(&world, &counted)) {
        fs::remove_dir_all(world.path()).unwrap();
        copy(&whole, &world.path());
        let status = command(&world, &world.path(), -1).env("EASEL_REPOS_EDIT", at.to_string()).status().unwrap();
        assert!(status.success(), "at {at}");
        // One that was cut off is finished. What is in place as it was edited is an edit, in git's eyes and ours.
        let synced = world.sync().unwrap();
        assert_eq!(synced.outcome.commit().id, new, "at {at}: {synced:?}");
        let branches = world.git(&["branch", "--list", "--format=%(refname:short)", "easel/*"]);
        let status = world.git(&["status", "--porcelain"]);
        for (path, text) in EDITS {
            if world.read(path).as_deref() == Some(text) {
                assert!(status.contains(path), "at {at}: {path} is edited, and git sees {status:?}");
                stayed += 1;
            } else {
                let is_kept = |branch: &str| world.git(&["show", &format!("{branch}:{path}")]) == text.trim();
                assert!(branches.lines().any(is_kept), "at {at}: {path} is lost, kept are {branches:?}");
                kept += 1;
            }
        }
        // A later step takes none of them for the commit's.
        let newer = world.origin.commit(&[("other", "theirs\n"), ("dir1/file4", "theirs\n"), ("dir2/file11", "theirs\n")]);
        let synced = world.sync().unwrap();
        assert_eq!(synced.outcome.commit().id, newer, "at {at}: {synced:?}");
        if !status.is_empty() {
            let [aside] = &synced.put_aside[..] else { panic!("at {at}: {synced:?}") };
            assert!(
                EDITS.iter().all(|(path, _)| !status.contains(path) || aside.files.iter().any(|file| file == path)),
                "{aside:?}"
            );
        }
        world.origin.force(&new);
    }
    assert!(stayed > 0 && kept > 0, "{stayed} stayed, {kept} kept");
}

#[test]
fn a_file_that_comes_back_while_its_removal_is_finished_is_kept() {
    let (world, _, new) = large();
    world.sync().unwrap();
    world.origin.force(&new);
    let whole = world.folder.path().join("whole");
    servers::run(Command::new("cp").arg("-a").arg(world.path()).arg(&whole));
    killed(&world, &world.path(), points(&world, &whole) - 6);
    assert_eq!(world.read("dir0/file0"), None, "it is removed already");
    // Looked at, and then written before its turn comes.
    let mut child = command(&world, &world.path(), -1);
    let status = child.env("EASEL_REPOS_EDIT", "0").env("EASEL_REPOS_EDITED", "dir0/file0").status().unwrap();
    assert!(status.success());
    assert_eq!(world.read("dir0/file0").unwrap(), "mine\n");
    let synced = world.sync().unwrap();
    assert!(synced.repaired, "{synced:?}");
    let [branch] = &standing(&world.path()).unwrap().unwrap().kept[..] else { panic!("{synced:?}") };
    assert_eq!(world.git(&["show", &format!("{branch}:dir0/file0")]), "mine");
    world.assert_at(&new);
}

/// The commit before the newest.
fn world_old(world: &World) -> String {
    let output = git(&world.origin.path).args(["rev-parse", "main~1"]).output().unwrap();
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

#[test]
fn an_odd_configuration_of_the_user_changes_nothing() {
    let world = World::new();
    let home = world.folder.path().join("home");
    fs::create_dir_all(home.join(".config/git")).unwrap();
    let odd = "[url \"https://localhost:1/\"]\ninsteadOf = https://localhost\n[core]\nautocrlf = true\n[http]\nproxy = http://127.0.0.1:1\n";
    fs::write(home.join(".gitconfig"), odd).unwrap();
    fs::write(home.join(".config/git/config"), "this is [not a configuration\n").unwrap();
    let mut child = command(&world, &world.path(), -1);
    child.env("HOME", &home).env("XDG_CONFIG_HOME", home.join(".config")).env("HTTPS_PROXY", "http://127.0.0.1:1");
    child.env("GIT_DIR", "/nowhere").env("GIT_SSL_NO_VERIFY", "1").env("GIT_TEMPLATE_DIR", &home);
    assert!(child.status().unwrap().success());
    assert_eq!(world.read("a.txt").unwrap(), "one\n");
    assert!(!world.path().join(".git/.gitconfig").exists());
}

#[test]
fn a_clone_that_is_killed_while_the_pack_arrives_leaves_nothing_that_stays() {
    let world = World::new();
    // What no compressor makes small (xorshift64, Marsaglia 2003): the pack takes over a second to come.
    let mut state = 88_172_645_463_325_252_u64;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        char::from(b'!' + (state >> 58) as u8)
    };
    let noise: String = (0..400_000).map(|_| next()).collect();
    let commit = world.origin.commit(&[("noise", &noise)]);
    for wait in [20, 60, 100, 140, 180] {
        world.server.behave(Behaviour::Slow(2_000));
        let mut child = start(&world, &world.path(), -1);
        let clone = |name: &String| name.starts_with(".work.clone-");
        while !names(world.folder.path()).iter().any(clone) {
            thread::sleep(Duration::from_millis(5));
        }
        thread::sleep(Duration::from_millis(wait));
        child.kill().unwrap();
        assert_eq!(child.wait().unwrap().signal(), Some(9));
        assert!(!world.path().exists() && names(world.folder.path()).iter().any(clone));
        world.server.behave(Behaviour::Good);
        world.sync().unwrap();
        assert!(!names(world.folder.path()).iter().any(clone));
        world.assert_at(&commit);
        fs::remove_dir_all(world.path()).unwrap();
    }
}
