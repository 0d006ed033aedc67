//! What happens between opening the store and serving, and goes on beside it: the folder of tools is unpacked,
//! users.toml is read and watched, and what only standard output may know is gathered. Knows no page.

pub mod changes;
mod handle;
pub mod kept;
mod place;
pub mod repos;
pub mod steps;
pub mod sync;
mod syncing;

pub use handle::{Boot, BootError, BootView, Parts};
pub use place::{shelf, tools_folder, users_file};

use crate::doors::{Doors, TicketKind};
use crate::logins::Logins;
use crate::secrets::Secret;
use crate::store::StoreError;
use crate::tools::{self, Catalogue};
use crate::users::{Role, Users};
use anyhow::Context as _;
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

/// How often users.toml is looked at.
const LOOK: Duration = Duration::from_secs(2);
/// A larger file is no list of users.
const USERS_FILE_MAX: u64 = 1 << 20;

/// What is told once, at start, to whoever reads standard output. It never reaches a log.
#[derive(Debug, Default)]
pub struct News {
    /// The studio key, at the first start.
    pub first_key: Option<Secret>,
    /// Admins without a password: name, and a link that sets it.
    pub password_links: Vec<(String, Secret)>,
    /// Nobody exists yet: the first page makes the first profile.
    pub first_page: bool,
}

/// Gathers the news of this start.
pub async fn news(users: &Users, doors: &Doors) -> Result<News, StoreError> {
    let first_key = doors.first_key().await?;
    let mut password_links = Vec::new();
    for profile in users.list() {
        if profile.role == Role::Admin && !profile.has_password && !profile.disabled {
            let link = doors.link(TicketKind::Password, Some(profile.id)).await?;
            password_links.push((profile.name, link));
        }
    }
    Ok(News { first_key, password_links, first_page: users.is_empty() })
}

/// The folder of tools: the configured one as it is, else the one inside the program, unpacked to the data folder. What is
/// wrong with its tools is told, and keeps nothing from starting.
pub fn setup_folder(data: &Path, configured: Option<PathBuf>) -> anyhow::Result<PathBuf> {
    let setup = match configured {
        Some(folder) => folder,
        None => tools::unpack(data).with_context(|| format!("unpacking the folders of tools to {}", data.display()))?,
    };
    // Scripts run in folders of their own.
    let setup = std::path::absolute(setup)?;
    match Catalogue::load(&setup) {
        Err(e) => tracing::error!("no tools: {} cannot be read: {e}", setup.display()),
        Ok(catalogue) => {
            for broken in catalogue.broken() {
                tracing::warn!("the tool {} is left out: {}", broken.folder, broken.problems.join("; "));
            }
        }
    }
    Ok(setup)
}

/// Reads users.toml and applies it. A file that does not exist changes nothing, and is told only where the
/// studio has profiles that it should know about.
pub async fn sync_users(users: &Users, logins: &Logins, file: &Path) -> Result<(), StoreError> {
    let text = match on_the_disk(file, read).await {
        Ok(text) => text,
        Err(e) => {
            if e.kind() != io::ErrorKind::NotFound || users.list().iter().any(|profile| profile.from_file) {
                users.file_unreadable(&e);
            }
            return Ok(());
        }
    };
    for id in users.apply_file(&text).await? {
        logins.end_of(id).await?;
    }
    Ok(())
}

fn read(file: &Path) -> io::Result<String> {
    if std::fs::metadata(file)?.len() > USERS_FILE_MAX {
        return Err(io::Error::other("it is over 1 MiB"));
    }
    std::fs::read_to_string(file)
}

/// What changes when a file does: which it is, time and size.
type Stamp = (PathBuf, SystemTime, u64);

fn stamp(file: &Path) -> io::Result<Stamp> {
    let meta = std::fs::metadata(file)?;
    Ok((file.to_path_buf(), meta.modified()?, meta.len()))
}

/// Looks at a file on a thread that may wait: its volume may hang, and those that serve are few.
async fn on_the_disk<T: Send + 'static>(file: &Path, look: fn(&Path) -> io::Result<T>) -> io::Result<T> {
    let file = file.to_path_buf();
    tokio::task::spawn_blocking(move || look(&file)).await.map_err(io::Error::other)?
}

/// Applies users.toml again whenever it changes. Ends only with the task.
pub async fn watch_users(users: Users, logins: Logins, file: impl Fn() -> PathBuf) {
    let mut seen = on_the_disk(&file(), stamp).await.ok();
    let mut interval = tokio::time::interval(LOOK);
    loop {
        interval.tick().await;
        let file = file();
        let now = on_the_disk(&file, stamp).await.ok();
        if now == seen {
            continue;
        }
        if let Err(e) = sync_users(&users, &logins, &file).await {
            tracing::error!("users.toml could not be applied: {e}");
            continue;
        }
        seen = now;
    }
}
