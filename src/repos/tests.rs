//! Syncs against real servers on loopback: git's own http-backend behind nginx with TLS, and OpenSSH's sshd; and real processes that
//! are killed. Each test has servers, folders and keys of its own.
#![allow(clippy::disallowed_methods, reason = "tests start servers and themselves, and are told by the environment what to do")]

mod back;
mod edits;
mod hostile;
mod https;
pub(crate) mod kills;
mod moving;
mod origin;
mod servers;
mod ssh;
mod sshd;
mod trouble;

use crate::*;
use https::Https;
use origin::Origin;
use std::{fs, ops::ControlFlow, path::PathBuf, process::Command};
use tempfile::TempDir;

/// A remote over https and the place for its copy.
struct World {
    folder: TempDir,
    origin: Origin,
    server: Https,
}

impl World {
    /// A remote whose branch has one commit: `a.txt` and `setup/run.sh`.
    fn new() -> World {
        let folder = tempfile::tempdir().unwrap();
        let origin = Origin::new(folder.path());
        origin.commit(&[("a.txt", "one\n"), ("setup/run.sh", "#!echo one\n")]);
        let server = Https::start(folder.path());
        World { folder, origin, server }
    }

    fn path(&self) -> PathBuf {
        self.folder.path().join("work")
    }

    fn request(&self) -> Request {
        Request {
            address: Address::parse(&self.server.url("origin.git")).unwrap(),
            branch: Branch::parse("main").unwrap(),
            path: self.path(),
            access: Access { authority: Some(self.server.authority()), ..Access::default() },
            limits: Limits::default(),
        }
    }

    fn sync(&self) -> Result<Synced, Fault> {
        sync(&self.request(), &mut go_on)
    }

    /// What stands in a file of the copy; `None` where there is none.
    fn read(&self, path: &str) -> Option<String> {
        fs::read_to_string(self.path().join(path)).ok()
    }

    fn write(&self, path: &str, text: &str) {
        let path = self.path().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    /// git as people use it, in the copy.
    fn git(&self, args: &[&str]) -> String {
        let output = git(&self.path()).args(args).output().unwrap();
        assert!(output.status.success(), "git {args:?}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap().trim().to_owned()
    }

    /// Whether the copy is what a commit holds, in its own eyes and git's, and nothing of ours is left lying about.
    fn assert_at(&self, commit: &str) {
        assert_eq!(self.git(&["rev-parse", "HEAD"]), commit);
        assert_eq!(self.git(&["symbolic-ref", "HEAD"]), "refs/heads/main");
        assert_eq!(self.git(&["status", "--porcelain"]), "", "git sees a difference");
        let own: Vec<String> = names(&self.path().join(".git/easel"));
        assert!(own.iter().all(|name| ["made.json", "went-back.json"].contains(&&**name)), "{own:?}");
    }
}

/// git with no configuration but its own.
fn git(at: &std::path::Path) -> Command {
    let mut git = Command::new("git");
    git.arg("-C").arg(at).env_remove("GIT_DIR").env("GIT_CONFIG_NOSYSTEM", "1").env("GIT_CONFIG_GLOBAL", "/dev/null");
    for who in ["AUTHOR", "COMMITTER"] {
        git.env(format!("GIT_{who}_NAME"), "Zoe").env(format!("GIT_{who}_EMAIL"), "zoe@localhost");
    }
    git
}

fn names(folder: &std::path::Path) -> Vec<String> {
    let mut names: Vec<String> =
        fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

fn go_on(_: Progress) -> ControlFlow<()> {
    ControlFlow::Continue(())
}

/// The fault for which the last good commit stays.
fn why(synced: Result<Synced, Fault>) -> Fault {
    match synced.unwrap().outcome {
        Outcome::Kept { why: Why::Failed(fault), .. } => fault,
        other => panic!("{other:?}"),
    }
}
