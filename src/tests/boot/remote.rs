//! A repository that is reached over ssh: OpenSSH's own sshd on loopback, a bare repository, and somebody who pushes to it.
//! Knows git and ssh; nothing of the panel.

use crate::tool_folder::{free_port, write};
use std::{
    fs,
    net::{TcpListener, TcpStream},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

/// The remote, and the work tree of whoever pushes to it.
pub(super) struct Remote {
    sshd: Option<Child>,
    folder: PathBuf,
    port: u16,
}

fn run(command: &mut Command) -> String {
    let output = command.output().unwrap();
    assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).trim().to_owned()
}

fn keygen(path: &Path) {
    run(Command::new("ssh-keygen").args(["-q", "-t", "ed25519", "-N", "", "-f"]).arg(path));
}

impl Remote {
    /// Serves a repository with one tool, "sketch", opened at `tool_port`, and one profile more than nobody: Ada, an admin.
    pub(super) fn start(folder: &Path, tool_port: u16) -> Remote {
        let folder = folder.join("remote");
        fs::create_dir_all(folder.join("keys")).unwrap();
        // As root it wants a folder to lock itself into; anybody else may not make it, and needs none.
        let _ = fs::create_dir_all("/run/sshd");
        for key in ["host", "keys/id_ed25519"] {
            keygen(&folder.join(key));
        }
        fs::copy(folder.join("keys/id_ed25519.pub"), folder.join("authorized")).unwrap();
        run(Command::new("git").args(["init", "-q", "--bare", "-b", "main"]).arg(folder.join("studio.git")));
        run(Command::new("git").arg("clone").arg("-q").arg(folder.join("studio.git")).arg(folder.join("work")));
        let mut remote = Remote { sshd: None, folder, port: free_port() };
        remote.up();
        write(&remote.work().join("setup"), tool_port);
        fs::write(remote.work().join("users.toml"), "[[user]]\nname = \"Ada\"\nrole = \"admin\"\n[[user]]\nname = \"Zoe\"\n")
            .unwrap();
        remote.push("The studio's tools");
        remote
    }

    /// Listens, after it was down.
    pub(super) fn up(&mut self) {
        let folder = self.folder.display();
        let config = format!(
            "Port {}\nListenAddress 127.0.0.1\nHostKey {folder}/host\nPidFile none\nAuthorizedKeysFile {folder}/authorized\n\
             StrictModes no\nUsePAM no\nPasswordAuthentication no\nPermitRootLogin yes\nLogLevel ERROR\n",
            self.port
        );
        fs::write(self.folder.join("config"), config).unwrap();
        let mut sshd = Command::new("/usr/sbin/sshd");
        sshd.arg("-D").arg("-f").arg(self.folder.join("config")).stdin(Stdio::null()).stderr(Stdio::null());
        self.sshd = Some(sshd.spawn().expect("sshd is installed by setup/test.sh"));
        let begin = Instant::now();
        while TcpStream::connect(("127.0.0.1", self.port)).is_err() {
            assert!(begin.elapsed() < Duration::from_secs(20), "sshd does not listen");
            thread::sleep(Duration::from_millis(20));
        }
    }

    /// Listens no more.
    pub(super) fn down(&mut self) {
        if let Some(mut sshd) = self.sshd.take() {
            let _ = sshd.kill();
            let _ = sshd.wait();
        }
    }

    /// Listens no more, and somebody else does who says nothing.
    pub(super) fn silent(&mut self) -> TcpListener {
        self.down();
        TcpListener::bind(("127.0.0.1", self.port)).unwrap()
    }

    /// Where whoever pushes works.
    pub(super) fn work(&self) -> PathBuf {
        self.folder.join("work")
    }

    pub(super) fn git(&self, args: &[&str]) -> String {
        let mut git = Command::new("git");
        git.arg("-C").arg(self.work()).args(["-c", "user.name=Kim", "-c", "user.email=kim@example.org"]).args(args);
        run(&mut git)
    }

    /// Commits everything and pushes it; the commit.
    pub(super) fn push(&self, message: &str) -> String {
        self.git(&["add", "--all"]);
        self.git(&["commit", "-q", "-m", message]);
        self.git(&["push", "-q", "--force", "origin", "HEAD:main"]);
        self.git(&["rev-parse", "HEAD"])
    }

    /// As `easel.toml` names it.
    pub(super) fn toml(&self, required: bool) -> String {
        let user = run(Command::new("id").arg("-un"));
        format!(
            "boot.ssh = \"{}\"\nboot.repos.studio.url = \"ssh://{user}@127.0.0.1:{}{}\"\nboot.repos.studio.required = {required}\n",
            self.folder.join("keys").display(),
            self.port,
            self.folder.join("studio.git").display()
        )
    }

    /// The fingerprint of its key, by OpenSSH.
    pub(super) fn fingerprint(&self) -> String {
        let line = run(Command::new("ssh-keygen").arg("-lf").arg(self.folder.join("host.pub")));
        line.split(' ').nth(1).unwrap().to_owned()
    }

    /// Another key, as after a new installation, or in a false place.
    pub(super) fn change_key(&mut self) {
        self.down();
        for name in ["host", "host.pub"] {
            fs::remove_file(self.folder.join(name)).unwrap();
        }
        keygen(&self.folder.join("host"));
        self.up();
    }
}

impl Drop for Remote {
    fn drop(&mut self) {
        self.down();
    }
}
