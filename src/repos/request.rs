//! What a caller asks for: which repository, where to, with which keys and within which limits. Knows no git.

use crate::Address;
use std::{fmt, path::PathBuf, time::Duration};

/// One repository that is kept in step with its remote.
#[derive(Clone, Debug)]
pub struct Request {
    /// Where it is fetched from.
    pub address: Address,
    /// The branch that is followed.
    pub branch: Branch,
    /// The folder that it stands in. Its parent must exist.
    pub path: PathBuf,
    /// How the remote is to be convinced.
    pub access: Access,
    /// What a remote may cost.
    pub limits: Limits,
}

/// The name of a branch, without `refs/heads/`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Branch(String);

impl Branch {
    /// Reads a name by git's own rules; `None` where it is none.
    pub fn parse(name: &str) -> Option<Branch> {
        let plain = !name.is_empty() && name.len() <= 200 && !name.starts_with('-') && !name.starts_with(crate::keep::PREFIX);
        let valid = plain && git2::Reference::is_valid_name(&format!("refs/heads/{name}"));
        valid.then(|| Branch(name.to_owned()))
    }

    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    pub(crate) fn head(&self) -> String {
        format!("refs/heads/{}", self.0)
    }

    pub(crate) fn offered(&self) -> String {
        format!("refs/remotes/origin/{}", self.0)
    }
}

/// Keys, tokens and certificates.
#[derive(Clone, Debug, Default)]
pub struct Access {
    /// The token for https, where the remote wants one.
    pub token: Option<Token>,
    /// The `.ssh` folder: `id_ed25519`, `id_ecdsa`, `id_rsa` and `known_hosts`. Needed for ssh.
    pub ssh: Option<PathBuf>,
    /// A PEM file with a certificate authority of the house, trusted for this request beside those of the system.
    pub authority: Option<PathBuf>,
}

/// A token for https. Shown nowhere: not in `Debug`, not in errors.
#[derive(Clone)]
pub struct Token {
    user: String,
    secret: String,
}

impl Token {
    /// A token of a hub that takes any user name beside it, as GitHub, GitLab and Gitea do.
    pub fn new(secret: String) -> Token {
        Token { user: "x-access-token".to_owned(), secret }
    }

    /// A user name and its password, for servers that look at both.
    pub fn of_user(user: String, secret: String) -> Token {
        Token { user, secret }
    }

    pub(crate) fn parts(&self) -> (&str, &str) {
        (&self.user, &self.secret)
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token(…)")
    }
}

/// What a remote may cost. What exceeds a limit ends the sync with a sentence, and the last good commit stays.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Most bytes of a pack that are received in one sync.
    pub pack: u64,
    /// Most files, links and folders of a commit.
    pub files: usize,
    /// Most bytes of one file, at most 256 MiB (`LARGEST_FILE`).
    pub file: u64,
    /// Most bytes of all files of a commit.
    pub tree: u64,
    /// Longest silence of the remote.
    pub stall: Duration,
    /// Longest whole sync.
    pub total: Duration,
}

/// No limit on a file goes beyond this: files are held in memory while they are checked.
pub const LARGEST_FILE: u64 = 256 << 20;

impl Default for Limits {
    fn default() -> Limits {
        Limits {
            pack: 1 << 30,
            files: 50_000,
            file: 100 << 20,
            tree: 4 << 30,
            stall: Duration::from_secs(30),
            total: Duration::from_secs(30 * 60),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_not_shown() {
        let access = Access { token: Some(Token::of_user("me".into(), "secret".into())), ..Access::default() };
        assert!(!format!("{access:?}").contains("secret"));
    }

    #[test]
    fn branches_have_names_that_git_allows() {
        for name in ["main", "feature/x", "1.0"] {
            assert_eq!(Branch::parse(name).unwrap().as_str(), name);
        }
        for name in ["", "a..b", "-x", "a b", "a/", "a.lock", "@{", "x^", "easel/kept-1"] {
            assert!(Branch::parse(name).is_none(), "{name}");
        }
    }
}
