//! The part of the configuration that says which repositories a studio keeps in step. Knows no git beyond the form of an
//! address.

use super::ConfigError;
use crate::secrets::Secret;
use repos::{Address, Branch};
use serde::Deserialize;
use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

/// The repository from which tools and profiles come.
pub const STUDIO: &str = "studio";
/// Most repositories.
const REPOS_MAX: usize = 16;

/// What is brought in step at each start.
#[derive(Clone, Debug, Default)]
pub struct Boot {
    /// By name.
    pub repos: Vec<Repo>,
    /// The folder of ssh keys and known hosts.
    pub ssh: PathBuf,
    /// What the host of the studio's repository is shown over https, where it asks: `EASEL_REPO_TOKEN`. No other host is.
    pub token: Option<Secret>,
    /// A certificate authority of the house, beside those that this machine trusts.
    pub authority: Option<PathBuf>,
}

/// One repository.
#[derive(Clone, Debug)]
pub struct Repo {
    /// Its name here.
    pub name: String,
    /// Where it comes from.
    pub address: Address,
    /// The branch that is followed.
    pub branch: Branch,
    /// Where it lies.
    pub path: PathBuf,
    /// Without it the studio does not start.
    pub required: bool,
}

/// `[boot]` as it is written.
#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct RawBoot {
    repos: BTreeMap<String, RawRepo>,
    ssh: Option<PathBuf>,
    authority: Option<PathBuf>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawRepo {
    url: String,
    #[serde(default = "main")]
    branch: String,
    path: Option<PathBuf>,
    #[serde(default)]
    required: bool,
}

fn main() -> String {
    "main".into()
}

impl RawBoot {
    /// What it means for a data folder; `ssh` is where keys are when nothing else is said.
    pub(super) fn resolve(self, data: &Path, ssh: PathBuf, token: Option<Secret>) -> Result<Boot, ConfigError> {
        if self.repos.len() > REPOS_MAX {
            return Err(ConfigError(format!("boot.repos has more than {REPOS_MAX} repositories.")));
        }
        let repo = |(name, raw): (String, RawRepo)| {
            let wrong = |what: String| ConfigError(format!("boot.repos.{name}: {what}."));
            let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
            if name.is_empty() || name.len() > 32 || !name.chars().all(plain) {
                return Err(wrong("its name has 1 to 32 of the characters a-z, 0-9 and -".into()));
            }
            let address = Address::parse(&raw.url).map_err(|e| wrong(format!("url: {e}")))?;
            let branch = Branch::parse(&raw.branch).ok_or_else(|| wrong(format!("\"{}\" is no name of a branch", raw.branch)))?;
            let path = raw.path.unwrap_or_else(|| data.join("repos").join(&name));
            Ok(Repo { name, address, branch, path, required: raw.required })
        };
        let repos = self.repos.into_iter().map(repo).collect::<Result<Vec<Repo>, _>>()?;
        let mut taken = BTreeMap::new();
        for repo in &repos {
            if let Some(other) = taken.insert(&repo.path, &repo.name) {
                let (name, path) = (&repo.name, repo.path.display());
                return Err(ConfigError(format!("boot.repos.{name}: path = \"{path}\" is taken by boot.repos.{other}.")));
            }
        }
        Ok(Boot { repos, ssh: self.ssh.unwrap_or(ssh), token, authority: self.authority })
    }
}

impl Boot {
    /// The repository from which tools and profiles come.
    pub fn studio(&self) -> Option<&Repo> {
        self.repos.iter().find(|repo| repo.name == STUDIO)
    }
}
