//! A git server over ssh: OpenSSH's own sshd on loopback, with keys made for the test.

use super::servers::{Server, program, run};
use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

/// Kinds of host keys, as OpenSSH names them.
const KINDS: [&str; 3] = ["ed25519", "ecdsa", "rsa"];

pub(super) struct Sshd {
    server: Option<Server>,
    folder: PathBuf,
    port: u16,
}

impl Sshd {
    /// Starts one that lets in whoever has the key of `keys` below the folder.
    pub(super) fn start(root: &Path) -> Sshd {
        let folder = root.join("sshd");
        fs::create_dir(&folder).unwrap();
        for kind in KINDS {
            keygen(kind, &folder.join(format!("host_{kind}")));
        }
        // As root it wants a folder to lock itself into.
        if rustix::process::geteuid().is_root() {
            fs::create_dir_all("/run/sshd").unwrap();
        }
        let mut sshd = Sshd { server: None, folder, port: 0 };
        sshd.serve(&KINDS);
        sshd
    }

    /// Starts it anew with host keys of these kinds, at the same port if it had one.
    pub(super) fn serve(&mut self, kinds: &[&str]) {
        self.server = None;
        let (folder, before) = (self.folder.clone(), self.port);
        let server = Server::start_at(before, |port| {
            let keys: String = kinds.iter().map(|kind| format!("HostKey {}/host_{kind}\n", folder.display())).collect();
            let config = format!(
                "Port {port}\nListenAddress 127.0.0.1\n{keys}PidFile none\nAuthorizedKeysFile {}/authorized\nStrictModes no\nUsePAM \
                 no\nPasswordAuthentication no\nKbdInteractiveAuthentication no\nPermitRootLogin yes\nLogLevel ERROR\n",
                folder.display()
            );
            fs::write(folder.join("config"), config).unwrap();
            let mut sshd = Command::new(program("sshd"));
            sshd.arg("-D").arg("-f").arg(folder.join("config"));
            sshd
        });
        self.port = server.port;
        self.server = Some(server);
    }

    /// Another key of a kind, as after a new installation, or in a false place.
    pub(super) fn change_key(&mut self, kind: &str) {
        let path = self.folder.join(format!("host_{kind}"));
        fs::remove_file(&path).unwrap();
        fs::remove_file(path.with_extension("pub")).unwrap();
        keygen(kind, &path);
    }

    /// The line of a host key for `known_hosts`, without the host.
    pub(super) fn key(&self, kind: &str) -> String {
        let text = fs::read_to_string(self.folder.join(format!("host_{kind}.pub"))).unwrap();
        text.split(' ').take(2).collect::<Vec<_>>().join(" ")
    }

    /// The fingerprint of a host key, by OpenSSH.
    pub(super) fn fingerprint(&self, kind: &str) -> String {
        let output = Command::new("ssh-keygen").arg("-lf").arg(self.folder.join(format!("host_{kind}.pub"))).output().unwrap();
        String::from_utf8(output.stdout).unwrap().split(' ').nth(1).unwrap().to_owned()
    }

    /// Lets in whoever has a private key.
    pub(super) fn authorize(&self, key: &Path) {
        fs::copy(key.with_extension("pub"), self.folder.join("authorized")).unwrap();
    }

    pub(super) fn port(&self) -> u16 {
        self.port
    }
}

/// A new pair of keys.
pub(super) fn keygen(kind: &str, path: &Path) {
    let bits: &[&str] = if kind == "rsa" { &["-b", "2048"] } else { &[] };
    run(Command::new("ssh-keygen").args(["-q", "-t", kind, "-N", ""]).args(bits).arg("-f").arg(path));
}
