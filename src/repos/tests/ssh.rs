//! ssh: a host convinces by its pinned key, and by nothing else.

use super::sshd::{Sshd, keygen};
use super::*;
use std::os::unix::fs::PermissionsExt;

/// A remote over ssh.
struct Remote {
    folder: TempDir,
    origin: Origin,
    sshd: Sshd,
}

impl Remote {
    fn new() -> Remote {
        let folder = tempfile::tempdir().unwrap();
        let origin = Origin::new(folder.path());
        origin.commit(&[("a.txt", "one\n")]);
        let sshd = Sshd::start(folder.path());
        fs::create_dir(folder.path().join(".ssh")).unwrap();
        let key = folder.path().join(".ssh/id_ed25519");
        keygen("ed25519", &key);
        sshd.authorize(&key);
        Remote { folder, origin, sshd }
    }

    fn ssh(&self) -> PathBuf {
        self.folder.path().join(".ssh")
    }

    fn host(&self) -> String {
        format!("[127.0.0.1]:{}", self.sshd.port())
    }

    fn know(&self, kind: &str) {
        fs::write(self.ssh().join("known_hosts"), format!("{} {}\n", self.host(), self.sshd.key(kind))).unwrap();
    }

    fn request(&self) -> Request {
        let user = String::from_utf8(Command::new("id").arg("-un").output().unwrap().stdout).unwrap();
        let url = format!("ssh://{}@127.0.0.1:{}{}", user.trim(), self.sshd.port(), self.origin.path.display());
        Request {
            address: Address::parse(&url).unwrap(),
            branch: Branch::parse("main").unwrap(),
            path: self.folder.path().join("work"),
            access: Access { ssh: Some(self.ssh()), ..Access::default() },
            limits: Limits::default(),
        }
    }

    fn sync(&self) -> Result<Synced, Fault> {
        sync(&self.request(), &mut go_on)
    }

    fn known(&self) -> String {
        fs::read_to_string(self.ssh().join("known_hosts")).unwrap_or_default()
    }
}

#[test]
fn an_unknown_host_is_refused_until_its_fingerprint_is_confirmed() {
    let remote = Remote::new();
    let fault = remote.sync().unwrap_err();
    let Fault::UnknownHost(shown) = &fault else { panic!("{fault}") };
    let kind = shown.kind.split('-').find(|part| ["ed25519", "ecdsa", "rsa"].contains(part)).unwrap();
    assert_eq!((&shown.host, &shown.fingerprint), (&remote.host(), &remote.sshd.fingerprint(kind)));
    assert!(fault.to_string().contains(&shown.fingerprint), "{fault}");
    // It is not trusted for having been seen, however often.
    assert!(matches!(remote.sync(), Err(Fault::UnknownHost(_))));
    assert_eq!(remote.known(), "");

    // Only what the host showed can be pinned.
    assert!(pin(&remote.ssh(), &shown.host, "SHA256:somethingelse").is_err());
    assert!(pin(&remote.ssh(), "[127.0.0.1]:1", &shown.fingerprint).is_err());
    assert_eq!(&pin(&remote.ssh(), &shown.host, &shown.fingerprint).unwrap(), shown);
    assert_eq!(remote.known(), format!("{} {}\n", shown.host, remote.sshd.key(kind)));
    assert!(matches!(remote.sync().unwrap().outcome, Outcome::Cloned { .. }));

    let second = remote.origin.commit(&[("a.txt", "two\n")]);
    let synced = remote.sync().unwrap();
    assert!(matches!(&synced.outcome, Outcome::FastForwarded { to, .. } if to.id == second), "{synced:?}");
    assert!(matches!(remote.sync().unwrap().outcome, Outcome::UpToDate { .. }));
}

#[test]
fn a_changed_host_key_is_refused_and_the_last_good_commit_stays() {
    let mut remote = Remote::new();
    remote.know("ed25519");
    let first = remote.sync().unwrap().outcome.commit().id.clone();
    let pinned = remote.sshd.fingerprint("ed25519");
    remote.origin.commit(&[("a.txt", "from the false host\n")]);
    remote.sshd.change_key("ed25519");
    remote.sshd.serve(&["ed25519"]);
    for _ in 0..2 {
        let synced = remote.sync().unwrap();
        assert_eq!(synced.outcome.commit().id, first);
        let fault = why(Ok(synced));
        let Fault::ChangedHost { shown, pinned: told } = &fault else { panic!("{fault}") };
        assert_eq!((told, &shown.fingerprint), (&pinned, &remote.sshd.fingerprint("ed25519")));
        assert!(fault.to_string().contains("CHANGED") && fault.to_string().contains(&pinned), "{fault}");
    }
    assert!(remote.known().contains(remote.host().as_str()));
    // The host's owner confirms it.
    let shown = remote.sshd.fingerprint("ed25519");
    pin(&remote.ssh(), &remote.host(), &shown).unwrap();
    assert_eq!(remote.known().lines().count(), 1);
    assert!(matches!(remote.sync().unwrap().outcome, Outcome::FastForwarded { .. }));
}

#[test]
fn the_kind_of_key_that_is_pinned_is_asked_for() {
    for kind in ["ed25519", "ecdsa", "rsa"] {
        let remote = Remote::new();
        remote.know(kind);
        assert!(matches!(remote.sync().unwrap().outcome, Outcome::Cloned { .. }), "{kind}");
    }
}

#[test]
fn a_name_that_ssh_itself_has_hashed_is_known() {
    let remote = Remote::new();
    remote.know("ed25519");
    servers::run(Command::new("ssh-keygen").arg("-H").arg("-f").arg(remote.ssh().join("known_hosts")));
    assert!(remote.known().starts_with("|1|"));
    assert!(matches!(remote.sync().unwrap().outcome, Outcome::Cloned { .. }));
}

#[test]
fn each_kind_of_own_key_is_tried_and_a_wrong_one_is_told() {
    for (kind, name) in [("ecdsa", "id_ecdsa"), ("rsa", "id_rsa")] {
        let remote = Remote::new();
        remote.know("ed25519");
        // The first key is not let in; the second is.
        let key = remote.ssh().join(name);
        keygen(kind, &key);
        remote.sshd.authorize(&key);
        assert!(matches!(remote.sync().unwrap().outcome, Outcome::Cloned { .. }), "{kind}");
        fs::remove_file(&key).unwrap();
        let fault = why(remote.sync());
        assert!(matches!(fault, Fault::Denied { .. }) && fault.to_string().contains("none of the 1 keys"), "{fault}");
    }
}

#[test]
fn modes_are_mended_and_what_cannot_be_used_is_told() {
    let remote = Remote::new();
    remote.know("ed25519");
    let key = remote.ssh().join("id_ed25519");
    let set = |path: &std::path::Path, mode| fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
    let mode = |path: &std::path::Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    set(&remote.ssh(), 0o777);
    set(&key, 0o644);
    set(&remote.ssh().join("known_hosts"), 0o666);
    remote.sync().unwrap();
    assert_eq!((mode(&remote.ssh()), mode(&key), mode(&remote.ssh().join("known_hosts"))), (0o700, 0o600, 0o600));

    let told = |part: &str| {
        let fault = why(remote.sync());
        assert!(matches!(fault, Fault::Keys { .. }) && fault.to_string().contains(part), "{fault}");
    };
    if rustix::process::geteuid().is_root() {
        std::os::unix::fs::chown(&key, Some(12345), None).unwrap();
        told("belongs to user 12345");
    }
    fs::rename(&key, remote.folder.path().join("elsewhere")).unwrap();
    std::os::unix::fs::symlink(remote.folder.path().join("elsewhere"), &key).unwrap();
    told("not a plain file");
    fs::remove_file(&key).unwrap();
    told("put one there as id_ed25519");
}

#[test]
fn a_key_with_a_passphrase_is_passed_over_and_told_where_it_is_the_only_one() {
    let remote = Remote::new();
    remote.know("ed25519");
    let lock = |name: &str| {
        servers::run(Command::new("ssh-keygen").args(["-q", "-p", "-N", "secret", "-f"]).arg(remote.ssh().join(name)))
    };
    keygen("rsa", &remote.ssh().join("id_rsa"));
    remote.sshd.authorize(&remote.ssh().join("id_rsa"));
    lock("id_ed25519");
    assert!(matches!(remote.sync().unwrap().outcome, Outcome::Cloned { .. }));
    lock("id_rsa");
    let fault = why(remote.sync());
    assert!(matches!(fault, Fault::Keys { .. }) && fault.to_string().contains("passphrase"), "{fault}");
}

#[test]
fn a_host_that_says_nothing_is_given_up_and_cancelled() {
    let remote = Remote::new();
    let silent = std::net::TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let mut request = remote.request();
    request.address = Address::parse(&format!("ssh://127.0.0.1:{}/a", silent.local_addr().unwrap().port())).unwrap();
    request.limits.stall = std::time::Duration::from_secs(1);
    let fault = sync(&request, &mut go_on).unwrap_err();
    assert!(matches!(fault, Fault::Stalled { .. }), "{fault}");
    let start = std::time::Instant::now();
    let fault = sync(&request, &mut |_| ControlFlow::Break(())).unwrap_err();
    assert!(matches!(fault, Fault::Cancelled), "{fault}");
    assert!(start.elapsed() < std::time::Duration::from_secs(1), "{:?}", start.elapsed());
}

#[test]
fn a_repository_that_is_not_there_is_told() {
    let remote = Remote::new();
    remote.know("ed25519");
    let mut request = remote.request();
    request.address = Address::parse(&(request.address.to_string() + "x")).unwrap();
    let fault = sync(&request, &mut go_on).unwrap_err();
    assert!(matches!(fault, Fault::NoRepository(_)), "{fault:?}");
}
