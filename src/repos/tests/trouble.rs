//! Everything that a network and a disk can do to a sync.

use super::https::Behaviour;
use super::*;
use std::{
    net::TcpListener,
    time::{Duration, Instant},
};

/// A world whose remote has more to give than the copy has: about 2 MB that do not compress.
fn with_news() -> (World, String) {
    let world = World::new();
    let good = world.sync().unwrap().outcome.commit().id.clone();
    let mut noise = Vec::new();
    let mut state: u32 = 1;
    for _ in 0..2_000_000 {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        noise.push((state >> 24) as u8);
    }
    world.origin.commit_modes(&[(0o100_644, "a.txt", b"two\n"), (0o100_644, "noise", &noise)]);
    (world, good)
}

#[test]
fn a_remote_that_is_down_keeps_the_last_good_commit() {
    let (mut world, good) = with_news();
    let request = world.request();
    for (behaviour, part) in
        [(Behaviour::Status(500), "500"), (Behaviour::Status(404), "not found"), (Behaviour::Status(403), "refuses")]
    {
        world.server.behave(behaviour);
        let fault = why(sync(&request, &mut go_on));
        assert!(fault.to_string().contains(part), "{fault:?}");
    }
    world.server.behave(Behaviour::Good);
    world.server.stop();
    let fault = why(sync(&request, &mut go_on));
    assert!(matches!(fault, Fault::Unreachable { .. }) && fault.to_string().contains("refused"), "{fault}");
    world.assert_at(&good);
}

#[test]
fn a_name_that_does_not_exist_is_told_and_a_first_clone_leaves_nothing() {
    let world = World::new();
    let mut request = world.request();
    request.address = Address::parse("https://no-such-host.invalid/a.git").unwrap();
    let fault = sync(&request, &mut go_on).unwrap_err();
    assert!(matches!(fault, Fault::Unreachable { .. }), "{fault}");
    assert_eq!(names(world.folder.path()), [".work.lock", "nginx", "origin.git"]);
}

#[test]
fn a_branch_that_does_not_exist_is_told() {
    let world = World::new();
    let request = Request { branch: Branch::parse("nothing").unwrap(), ..world.request() };
    assert!(matches!(sync(&request, &mut go_on), Err(Fault::NoBranch(name)) if name == "nothing"));
}

#[test]
fn a_certificate_of_nobody_we_know_is_refused() {
    let world = World::new();
    let mut request = world.request();
    request.access.authority = None;
    let fault = sync(&request, &mut go_on).unwrap_err();
    assert!(matches!(fault, Fault::Certificate { .. }) && fault.to_string().contains("vouches"), "{fault:?}");
    assert_eq!(world.server.requests(), 0);
    // Nor one for another name.
    let mut request = world.request();
    request.address = Address::parse(&format!("https://127.0.0.1:{}/origin.git", world.server.port())).unwrap();
    let fault = sync(&request, &mut go_on).unwrap_err();
    assert!(matches!(fault, Fault::Certificate { .. }) && fault.to_string().contains("another name"), "{fault:?}");
    assert_eq!(world.server.requests(), 0);
}

#[test]
fn a_token_is_sent_when_asked_for_and_never_told() {
    let world = World::new();
    world.server.behave(Behaviour::Token("x-access-token:very-secret"));
    let without = world.sync().unwrap_err();
    assert!(matches!(without, Fault::Denied { .. }) && without.to_string().contains("none is set"), "{without:?}");
    let with = |token: &str| {
        let mut request = world.request();
        request.access.token = Some(Token::new(token.to_owned()));
        sync(&request, &mut go_on)
    };
    let wrong = with("wrong-secret").unwrap_err();
    assert!(matches!(wrong, Fault::Denied { .. }) && !format!("{wrong:?} {wrong}").contains("wrong-secret"), "{wrong:?}");
    assert!(matches!(with("very-secret").unwrap().outcome, Outcome::Cloned { .. }));
    assert!(world.server.shown().is_some());
    servers::run(git(&world.path()).args(["fsck", "--strict"]));
    let found = Command::new("grep").args(["-rF", "very-secret"]).arg(world.folder.path()).output().unwrap();
    assert_eq!(String::from_utf8_lossy(&found.stdout), "");
}

#[test]
fn a_redirect_to_another_place_is_not_followed() {
    let world = World::new();
    let other = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    other.set_nonblocking(true).unwrap();
    let port = other.local_addr().unwrap().port();
    for to in [format!("https://localhost:{port}"), format!("http://localhost:{port}")] {
        world.server.behave(Behaviour::Redirect(to));
        let mut request = world.request();
        request.access.token = Some(Token::new("very-secret".to_owned()));
        let fault = sync(&request, &mut go_on).unwrap_err();
        assert!(!matches!(fault, Fault::Stalled { .. }), "{fault:?}");
    }
    assert!(other.accept().is_err(), "the other place was asked");
}

#[test]
fn a_remote_that_stalls_is_given_up() {
    let (world, good) = with_news();
    world.server.behave(Behaviour::Stall(200_000));
    let mut request = world.request();
    request.limits.stall = Duration::from_secs(1);
    let start = Instant::now();
    let fault = why(sync(&request, &mut go_on));
    assert!(matches!(fault, Fault::Stalled { seconds: 1, .. }), "{fault}");
    assert!(start.elapsed() < Duration::from_secs(4), "{:?}", start.elapsed());
    world.assert_at(&good);

    // One that takes a connection and says nothing.
    let silent = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    request.address = Address::parse(&format!("https://localhost:{}/origin.git", silent.local_addr().unwrap().port())).unwrap();
    request.path = world.folder.path().join("other");
    let fault = sync(&request, &mut go_on).unwrap_err();
    assert!(matches!(fault, Fault::Stalled { .. }), "{fault}");
}

#[test]
fn a_remote_that_is_slow_is_waited_for_within_the_whole_time() {
    let (world, good) = with_news();
    // 2 MB at 500 kB a second.
    world.server.behave(Behaviour::Slow(5_000));
    let mut request = world.request();
    request.limits.stall = Duration::from_secs(1);
    request.limits.total = Duration::from_secs(2);
    let fault = why(sync(&request, &mut go_on));
    assert!(matches!(fault, Fault::TimedOut(2)), "{fault}");
    world.assert_at(&good);
    request.limits.total = Duration::from_secs(60);
    let mut seen = Vec::new();
    let synced = sync(&request, &mut |progress| {
        seen.push(progress);
        ControlFlow::Continue(())
    });
    assert!(matches!(synced.unwrap().outcome, Outcome::FastForwarded { .. }));
    let receiving: Vec<&Progress> = seen.iter().filter(|p| p.phase == Phase::Receiving).collect();
    assert!(receiving.len() > 5, "{seen:?}");
    assert!(receiving.windows(2).all(|two| two[0].bytes <= two[1].bytes) && receiving.iter().all(|p| p.done <= p.total));
    assert_eq!(seen.last().unwrap().phase, Phase::Switching);
}

#[test]
fn a_cancel_takes_less_than_a_second() {
    for behaviour in [Behaviour::Slow(2_000), Behaviour::Stall(100_000)] {
        let (world, good) = with_news();
        world.server.behave(behaviour);
        let start = Instant::now();
        let mut said = None;
        let fault = why(sync(&world.request(), &mut |progress| {
            if progress.bytes < 50_000 && start.elapsed() < Duration::from_secs(5) {
                return ControlFlow::Continue(());
            }
            said.get_or_insert_with(Instant::now);
            ControlFlow::Break(())
        }));
        assert!(matches!(fault, Fault::Cancelled), "{fault}");
        assert!(said.unwrap().elapsed() < Duration::from_secs(1), "{:?}", said.unwrap().elapsed());
        world.assert_at(&good);
    }
}

#[test]
fn a_cancel_while_files_are_prepared_changes_nothing() {
    let world = World::new();
    world.sync().unwrap();
    let names: Vec<String> = (0..4_000).map(|n| format!("many/{n}")).collect();
    let files: Vec<(&str, &str)> = names.iter().map(|name| (name.as_str(), "x\n")).collect();
    let new = world.origin.commit(&files);
    let mut said = None;
    let synced = sync(&world.request(), &mut |progress| {
        if progress.phase != Phase::Preparing || progress.done == 0 {
            return ControlFlow::Continue(());
        }
        said.get_or_insert_with(Instant::now);
        ControlFlow::Break(())
    });
    assert!(matches!(why(synced), Fault::Cancelled));
    assert!(said.unwrap().elapsed() < Duration::from_secs(1));
    assert!(!world.path().join("many").exists());
    assert!(matches!(world.sync().unwrap().outcome, Outcome::FastForwarded { .. }));
    world.assert_at(&new);
}

#[test]
fn a_pack_over_the_limit_is_cut_off() {
    let (world, good) = with_news();
    let mut request = world.request();
    request.limits.pack = 500_000;
    let fault = why(sync(&request, &mut go_on));
    assert!(matches!(fault, Fault::TooLarge { .. }) && fault.to_string().contains("500000 bytes"), "{fault}");
    world.assert_at(&good);
}

#[test]
fn a_full_disk_keeps_the_last_good_commit_and_space_heals_it() {
    if !rustix::process::geteuid().is_root() {
        println!("skipped: only root can mount a small disk");
        return;
    }
    let (world, _) = with_news();
    let disk = Disk::mount(world.folder.path().join("disk"), "3m");
    let Some(disk) = disk else {
        println!("skipped: this machine lets nobody mount a small disk");
        return;
    };
    let mut request = world.request();
    request.path = disk.0.join("work");
    // A first clone finds no room for 2 MB twice, and leaves nothing.
    let fault = sync(&request, &mut go_on).unwrap_err();
    assert!(matches!(fault, Fault::DiskFull(_)), "{fault:?}");
    assert_eq!(names(&disk.0), [".work.lock"]);
    // A small one does. Then the disk fills at every step of the way.
    let small = world.git(&["rev-list", "--max-parents=0", "HEAD"]);
    let news = String::from_utf8(git(&world.origin.path).args(["rev-parse", "main"]).output().unwrap().stdout).unwrap();
    let at = |args: &[&str]| String::from_utf8(git(&request.path).args(args).output().unwrap().stdout).unwrap().trim().to_owned();
    let (mut full, mut done) = (0, 0);
    servers::run(Command::new("mount").args(["-o", "remount,size=8m"]).arg(&disk.0));
    for room in (0..14).map(|n| n * 400_000) {
        let _ = fs::remove_dir_all(&request.path);
        world.origin.force(&small);
        let good = sync(&request, &mut go_on).unwrap().outcome.commit().id.clone();
        world.origin.force(news.trim());
        fs::write(disk.0.join("filler"), vec![1; disk.free().saturating_sub(room)]).unwrap();
        match sync(&request, &mut go_on).unwrap().outcome {
            Outcome::Kept { why: Why::Failed(Fault::DiskFull(_)), commit } => {
                assert_eq!((&commit.id, &at(&["rev-parse", "HEAD"])), (&good, &good), "with {room}");
                full += 1;
            }
            Outcome::FastForwarded { .. } => done += 1,
            other => panic!("with {room}: {other:?}"),
        }
        assert_eq!(at(&["status", "--porcelain"]), "", "with {room}");
        fs::remove_file(disk.0.join("filler")).unwrap();
        assert_eq!(sync(&request, &mut go_on).unwrap().outcome.commit().id, news.trim(), "with {room}");
        assert_eq!(at(&["status", "--porcelain"]), "", "with {room}");
    }
    assert!(full > 5 && done > 0, "{full} full, {done} done");
}

/// A small file system; unmounted when dropped.
struct Disk(PathBuf);

impl Disk {
    fn mount(at: PathBuf, size: &str) -> Option<Disk> {
        fs::create_dir(&at).unwrap();
        let mounted =
            Command::new("mount").args(["-t", "tmpfs", "-o", &format!("size={size}"), "tmpfs"]).arg(&at).status().unwrap();
        mounted.success().then_some(Disk(at))
    }

    /// Bytes that are free.
    fn free(&self) -> usize {
        let stat = rustix::fs::statvfs(&self.0).unwrap();
        (stat.f_bavail * stat.f_frsize) as usize
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        // At once, whatever process that is just being started still has open.
        let _ = Command::new("umount").arg("-l").arg(&self.0).status();
    }
}
