//! Where tools and profiles come from: what the owner of the studio named, else its repository, else what comes with Easel. Reads the
//! disk, so it blocks.

use super::sync::{here, setup_of};
use crate::{config::Config, tools::Shelf};
use std::{io, path::PathBuf};

/// The list of profiles in the studio's repository.
const USERS: &str = "users.toml";
/// The folder of tools, there and among Easel's own data.
const SETUP: &str = "setup";

/// The tools in use: a configured folder as it is, else those that the studio's repository has in its commit, else those inside the
/// program.
///
/// # Errors
/// When the repository has other tools and they cannot be had. Nothing else takes their place then: what is installed is theirs.
pub fn shelf(config: &Config) -> io::Result<Shelf> {
    let data = std::path::absolute(&config.data)?;
    if !config.setup_named
        && let Some(repo) = config.boot.studio()
        && let Some(setup) = setup_of(&config.boot, repo).map_err(io::Error::other)?
        && !setup.files.is_empty()
    {
        return Shelf::of_repository(setup.files, &setup.commit.id, &data);
    }
    // Unpacked before, or configured; one that cannot be read was told then and holds no tools.
    Ok(Shelf::own(&config.setup.clone().unwrap_or_else(|| data.join(SETUP))).unwrap_or_default())
}

/// The list of profiles: a named one, else the studio's repository's, else the usual one.
pub fn users_file(config: &Config) -> PathBuf {
    let of_repo = || {
        let repo = config.boot.studio().filter(|_| !config.users_named)?;
        let file = repo.path.join(USERS);
        // A folder that something else was cloned to has somebody else's profiles.
        (file.is_file() && here(&config.boot, repo).is_ok_and(|commit| commit.is_some())).then_some(file)
    };
    of_repo().unwrap_or_else(|| config.users.clone())
}

/// Where the tools in use come from, as [`shelf`] has it, for whoever only looks.
pub fn tools_folder(config: &Config) -> PathBuf {
    let of_repo = config.boot.studio().map(|repo| repo.path.join(SETUP));
    let own = || config.setup.clone().unwrap_or_else(|| config.data.join(SETUP));
    of_repo.filter(|folder| !config.setup_named && folder.is_dir()).unwrap_or_else(own)
}
