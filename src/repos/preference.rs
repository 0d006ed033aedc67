//! Which kind of key an ssh host is asked for: libgit2 asks for kinds that its own `known_hosts` names, so that file is written for
//! it with the pinned keys, under the name of the relay. It decides nothing: `remote.rs` looks at every key that a host shows.

use crate::{Fault, HostKey, library};
use std::{
    collections::BTreeMap,
    fs, io,
    os::unix::fs::DirBuilderExt,
    sync::{Mutex, PoisonError},
};

/// Ports of relays that are in use, with their lines.
static LINES: Mutex<Lines> = Mutex::new(Lines { made: false, of: BTreeMap::new() });

#[derive(Debug)]
struct Lines {
    /// The folder exists, made by us. It does while there is any line.
    made: bool,
    of: BTreeMap<u16, String>,
}

/// The lines of one relay; taken out with it.
#[derive(Debug)]
pub(crate) struct Preference(u16);

impl Preference {
    pub(crate) fn new(port: u16, keys: &[HostKey]) -> Result<Preference, Fault> {
        let here = |key: &HostKey| HostKey { host: format!("[127.0.0.1]:{port}"), ..key.clone() }.line();
        let mut lines = LINES.lock().unwrap_or_else(PoisonError::into_inner);
        lines.of.insert(port, keys.iter().map(here).collect());
        let preference = Preference(port);
        let written = lines.write();
        drop(lines);
        written.map_err(|e| Fault::io(format!("writing below {}", library::home().display()), e))?;
        Ok(preference)
    }
}

impl Drop for Preference {
    fn drop(&mut self) {
        let mut lines = LINES.lock().unwrap_or_else(PoisonError::into_inner);
        lines.of.remove(&self.0);
        let _ = lines.write();
    }
}

impl Lines {
    fn write(&mut self) -> io::Result<()> {
        let home = library::home();
        let folder = home.join(".ssh");
        if self.of.is_empty() {
            self.made = false;
            return fs::remove_dir_all(home);
        }
        if !self.made {
            // A name that exists already is somebody else's, and an error.
            fs::DirBuilder::new().mode(0o700).create(home)?;
            fs::create_dir(&folder)?;
            self.made = true;
        }
        fs::write(folder.join("new"), self.of.values().map(String::as_str).collect::<String>())?;
        fs::rename(folder.join("new"), folder.join("known_hosts"))
    }
}
