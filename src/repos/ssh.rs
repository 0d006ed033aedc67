//! The `.ssh` folder on the volume: keys and pinned hosts, with their modes mended before they are used. Knows no git.

use crate::{
    Fault, HostKey,
    hosts::{KnownHosts, with_pinned},
};
use base64::{Engine, engine::general_purpose::STANDARD};
use rustix::fs::{Mode, OFlags, chmod, open};
use std::{
    fs::{self, File},
    io::{ErrorKind, Read, Write},
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
};

/// Names of private keys, in the order in which they are tried.
const KEYS: [&str; 3] = ["id_ed25519", "id_ecdsa", "id_rsa"];
const KNOWN: &str = "known_hosts";
/// Keys that hosts showed and nobody has confirmed yet, in the same form. Nothing is trusted because it stands here.
const OFFERED: &str = "known_hosts.offered";
/// Hosts that are remembered there.
const OFFERS: usize = 32;
/// Largest file that is read, in bytes.
const LARGEST: u64 = 1 << 20;

/// The folder, looked at and mended.
#[derive(Clone, Debug)]
pub(crate) struct SshFolder(PathBuf);

impl SshFolder {
    /// Opens the folder: a real one, ours, and nobody else's to read.
    pub(crate) fn open(path: &Path) -> Result<SshFolder, Fault> {
        let meta = fs::symlink_metadata(path).map_err(|e| bad(path, format!("{e}. Make the folder and put a key into it")))?;
        if !meta.is_dir() {
            return Err(bad(path, "is not a folder"));
        }
        mend(path, &meta, 0o700)?;
        Ok(SshFolder(path.to_owned()))
    }

    /// The private keys that are there and can be used. An error where there is none.
    pub(crate) fn keys(&self) -> Result<Vec<String>, Fault> {
        let mut keys = Vec::new();
        let mut locked = None;
        for name in KEYS {
            match self.read(name)? {
                Some(text) if is_locked(&text) => locked = Some(name),
                Some(text) => keys.push(text),
                None => {}
            }
        }
        match locked {
            _ if !keys.is_empty() => Ok(keys),
            Some(name) => {
                Err(bad(&self.0.join(name), "has a passphrase, which nobody is there to type: make a key without one for Easel"))
            }
            None => Err(bad(&self.0, format!("holds no key: put one there as {}", KEYS.join(", ")))),
        }
    }

    pub(crate) fn known(&self) -> Result<KnownHosts, Fault> {
        Ok(KnownHosts::parse(&self.read(KNOWN)?.unwrap_or_default()))
    }

    /// Remembers what a host showed, for [`pin`].
    pub(crate) fn remember(&self, key: &HostKey) -> Result<(), Fault> {
        let mut offers = KnownHosts::parse(&self.read(OFFERED)?.unwrap_or_default()).all();
        if offers.contains(key) {
            return Ok(());
        }
        offers.retain(|offer| (&offer.host, &offer.kind) != (&key.host, &key.kind));
        let surplus = (offers.len() + 1).saturating_sub(OFFERS);
        offers.drain(..surplus);
        offers.push(key.clone());
        self.write(OFFERED, &offers.iter().map(HostKey::line).collect::<String>())
    }

    /// Reads a file of the folder, mended first; `None` where there is none.
    fn read(&self, name: &str) -> Result<Option<String>, Fault> {
        let path = self.0.join(name);
        let meta = match fs::symlink_metadata(&path) {
            Ok(meta) => meta,
            Err(e) if e.kind() == ErrorKind::NotFound => return Ok(None),
            Err(e) => return Err(bad(&path, e.to_string())),
        };
        if !meta.is_file() {
            return Err(bad(&path, "is not a plain file"));
        }
        if meta.len() > LARGEST {
            return Err(bad(&path, "is larger than 1 MiB"));
        }
        mend(&path, &meta, 0o600)?;
        let read = || -> std::io::Result<String> {
            let file = File::from(open(&path, OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC, Mode::empty())?);
            let mut text = String::new();
            file.take(LARGEST).read_to_string(&mut text)?;
            Ok(text)
        };
        read().map(Some).map_err(|e| bad(&path, e.to_string()))
    }

    /// Writes a file of the folder whole, or not at all.
    fn write(&self, name: &str, text: &str) -> Result<(), Fault> {
        let (path, temporary) = (self.0.join(name), self.0.join(format!(".{name}.{}", crate::random())));
        let write = || -> std::io::Result<()> {
            let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::CLOEXEC;
            let mut file = File::from(open(&temporary, flags, Mode::from_raw_mode(0o600))?);
            file.write_all(text.as_bytes())?;
            file.sync_all()?;
            fs::rename(&temporary, &path)?;
            File::open(&self.0)?.sync_all()
        };
        write().map_err(|e| {
            let _ = fs::remove_file(&temporary);
            Fault::io(format!("writing {}", path.display()), e)
        })
    }
}

/// Whether a private key is encrypted: in OpenSSH's form the name of the cipher stands behind a fixed beginning, in PEM it is said.
fn is_locked(key: &str) -> bool {
    let body: String = key.lines().filter(|line| !line.starts_with("-----")).collect();
    let beginning = STANDARD.decode(body.get(..40).unwrap_or_default()).unwrap_or_default();
    match beginning.strip_prefix(b"openssh-key-v1\0\0\0\0\x04") {
        Some(cipher) => !cipher.starts_with(b"none"),
        None => beginning.starts_with(b"openssh-key-v1\0") || key.contains("ENCRYPTED"),
    }
}

/// Gives a file or folder the mode that ssh asks for. One of another owner could be changed by him at any time.
fn mend(path: &Path, meta: &fs::Metadata, mode: u32) -> Result<(), Fault> {
    let us = rustix::process::geteuid().as_raw();
    if meta.uid() != us {
        return Err(bad(path, format!("belongs to user {}, Easel runs as {us}: change its owner", meta.uid())));
    }
    if meta.mode() & 0o777 != mode {
        chmod(path, Mode::from_raw_mode(mode)).map_err(|e| bad(path, format!("its mode cannot be changed to {mode:o} ({e})")))?;
        let now = fs::symlink_metadata(path).map_err(|e| bad(path, e.to_string()))?.mode() & 0o777;
        if now != mode {
            return Err(bad(
                path,
                format!("its mode stays {now:o} where {mode:o} is needed: move .ssh to a volume that keeps modes"),
            ));
        }
    }
    Ok(())
}

fn bad(path: &Path, problem: impl Into<String>) -> Fault {
    Fault::Keys { path: path.to_owned(), problem: problem.into() }
}

/// Pins the key that a host showed, once a person has compared its fingerprint: `host` and `fingerprint` as in
/// [`Fault::UnknownHost`] or [`Fault::ChangedHost`]. Only a key that the host really showed can be pinned; for a changed host it takes
/// the place of the old key of that kind.
pub fn pin(folder: &Path, host: &str, fingerprint: &str) -> Result<HostKey, Fault> {
    let folder = SshFolder::open(folder)?;
    let offers = KnownHosts::parse(&folder.read(OFFERED)?.unwrap_or_default()).all();
    let Some(key) = offers.iter().find(|key| key.host == host && key.fingerprint == fingerprint) else {
        return Err(bad(&folder.0, format!("{host} has not shown a key with that fingerprint: sync once, and compare again")));
    };
    folder.write(KNOWN, &with_pinned(&folder.read(KNOWN)?.unwrap_or_default(), key))?;
    let others: String = offers.iter().filter(|other| *other != key).map(HostKey::line).collect();
    folder.write(OFFERED, &others)?;
    Ok(key.clone())
}
