//! What a container shall be, as plain data, and the hash by which one of an earlier panel is known again. Pure.

use crate::{ContainerError, ImageId, labels::check_id};
use sha2::{Digest as _, Sha256};
use std::{collections::BTreeMap, fmt, path::PathBuf};

/// Smallest memory that an engine takes.
const MEMORY_MIN: u64 = 6 << 20;
/// Most processes and threads of a container that is told no other number: enough for any tool, too few for a fork bomb.
pub(crate) const PIDS: u32 = 4096;

/// A container.
#[derive(Clone, PartialEq, Eq)]
pub struct ContainerSpec {
    /// The tool that it is for: lower-case letters, digits, dashes.
    pub tool: String,
    /// The image, by its id: a name could be another image tomorrow.
    pub image: ImageId,
    /// What runs in it; empty: what the image says.
    pub command: Vec<String>,
    /// Variables.
    pub env: BTreeMap<String, String>,
    /// Variables that differ at every start, such as a token; a container with other ones is the same container.
    pub once: BTreeMap<String, String>,
    /// User and group; none: what the image says.
    pub user: Option<(u32, u32)>,
    /// The folder that it starts in; none: what the image says.
    pub folder: Option<PathBuf>,
    /// Graphics cards.
    pub gpus: Gpus,
    /// Folders of this machine.
    pub mounts: Vec<Mount>,
    /// Ports, published on 127.0.0.1 and nowhere else.
    pub ports: Vec<Port>,
    /// Most memory, in bytes, swap included; none: no limit.
    pub memory: Option<u64>,
    /// Shared memory, in bytes; none: the engine's 64 MiB. PyTorch's data loaders want more.
    pub shared_memory: Option<u64>,
    /// Most processes and threads; none: 4096.
    pub pids: Option<u32>,
    /// Capabilities that it keeps; all others are dropped. Names as `CHOWN`, `SETUID`.
    pub capabilities: Vec<String>,
    /// Limits of the engine's own log.
    pub logs: LogLimits,
}

/// Graphics cards of a container.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Gpus {
    /// None.
    #[default]
    None,
    /// All.
    All,
}

/// A folder of this machine in a container.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mount {
    /// Where it lies here. It must be there: an engine would make it, as root.
    pub host: PathBuf,
    /// Where it is seen inside.
    pub inside: PathBuf,
    /// Whether it can only be read there.
    pub read_only: bool,
}

/// A TCP port.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Port {
    /// On 127.0.0.1 of this machine. Not part of what the container is.
    pub host: u16,
    /// Inside.
    pub inside: u16,
}

/// Limits of the log that the engine writes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LogLimits {
    /// Bytes of one file.
    pub file_bytes: u64,
    /// Files.
    pub files: u32,
}

impl Default for LogLimits {
    fn default() -> LogLimits {
        LogLimits { file_bytes: 4 << 20, files: 2 }
    }
}

impl fmt::Debug for ContainerSpec {
    /// Without its variables, some of which are secrets.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ContainerSpec").field("tool", &self.tool).field("image", &self.image).finish_non_exhaustive()
    }
}

impl ContainerSpec {
    /// An image as it is, with nothing of this machine.
    pub fn new(tool: &str, image: ImageId) -> ContainerSpec {
        ContainerSpec {
            tool: tool.to_owned(),
            image,
            command: Vec::new(),
            env: BTreeMap::new(),
            once: BTreeMap::new(),
            user: None,
            folder: None,
            gpus: Gpus::None,
            mounts: Vec::new(),
            ports: Vec::new(),
            memory: None,
            shared_memory: None,
            pids: None,
            capabilities: Vec::new(),
            logs: LogLimits::default(),
        }
    }

    /// Whether an engine could make it.
    ///
    /// # Errors
    /// When something in it is no value of its kind; says what.
    pub fn check(&self) -> Result<(), ContainerError> {
        check_id("tool", &self.tool)?;
        let wrong = |what: String| Err(ContainerError::Wrong(what));
        for (name, value) in self.env.iter().chain(&self.once) {
            if name.is_empty() || name.contains(['=', '\0']) || value.contains('\0') {
                return wrong(format!("\"{}\" cannot be a variable of a container.", name.escape_debug()));
            }
        }
        for mount in &self.mounts {
            if !mount.host.is_absolute() || !mount.inside.is_absolute() {
                return wrong(format!("{} → {}: a mount needs full paths.", mount.host.display(), mount.inside.display()));
            }
        }
        if let Some(memory) = self.memory.filter(|memory| *memory < MEMORY_MIN || i64::try_from(*memory).is_err()) {
            return wrong(format!("{memory} bytes of memory: an engine takes {MEMORY_MIN} or more."));
        }
        if self.ports.iter().any(|port| port.host == 0 || port.inside == 0) {
            return wrong("Port 0 cannot be published: whoever is to ask there must know the number.".into());
        }
        let capital = |c: char| c.is_ascii_uppercase() || c == '_';
        match self.capabilities.iter().find(|c| c.is_empty() || !c.chars().all(capital) || *c == "ALL") {
            Some(name) => wrong(format!("\"{}\" is no capability that can be added.", name.escape_debug())),
            None => Ok(()),
        }
    }

    /// What it is, in 64 hexadecimal digits. Ports of this machine and `once` do not count.
    pub fn hash(&self) -> String {
        let ContainerSpec { tool, image, command, env, once: _, user, folder, gpus, mounts, ports, .. } = self;
        let ContainerSpec { memory, shared_memory, pids, capabilities, logs, .. } = self;
        let inside: Vec<u16> = ports.iter().map(|port| port.inside).collect();
        // Debug text quotes every string, so two lists never read the same. The leading number changes with what is hashed.
        let first = format!("1 {tool:?} {image:?} {command:?} {env:?} {user:?} {folder:?} {gpus:?} {mounts:?} {inside:?}");
        let rest = format!("{memory:?} {shared_memory:?} {pids:?} {capabilities:?} {logs:?}");
        let digest = Sha256::new().chain_update(first).chain_update(rest).finalize();
        digest.iter().map(|byte| format!("{byte:02x}")).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spec() -> ContainerSpec {
        ContainerSpec::new("comfy", ImageId::parse(&format!("sha256:{}", "a".repeat(64))).unwrap())
    }

    #[test]
    fn the_hash_is_of_what_it_is_and_not_of_one_start() {
        let mut same = spec();
        same.once.insert("EASEL_TOKEN".into(), "x".into());
        same.ports.push(Port { host: 40_000, inside: 80 });
        let mut again = same.clone();
        again.ports[0].host = 40_001;
        again.once.clear();
        assert_eq!(same.hash(), again.hash());
        assert_eq!(same.hash().len(), 64);

        type Change = fn(&mut ContainerSpec);
        let changes: [Change; 8] = [
            |s| s.env.extend([("A".into(), "1".into())]),
            |s| s.command.push("run".into()),
            |s| s.gpus = Gpus::All,
            |s| s.ports[0].inside = 81,
            |s| s.memory = Some(1 << 30),
            |s| s.user = Some((1, 1)),
            |s| s.capabilities.push("CHOWN".into()),
            |s| s.mounts.push(Mount { host: "/a".into(), inside: "/b".into(), read_only: true }),
        ];
        for change in changes {
            let mut other = same.clone();
            change(&mut other);
            assert_ne!(same.hash(), other.hash(), "{other:?}");
        }
    }

    #[test]
    fn what_no_engine_takes_is_refused_here() {
        type Change = fn(&mut ContainerSpec);
        let changes: [Change; 7] = [
            |s| s.tool = "../x".into(),
            |s| drop(s.env.insert("A=B".into(), "1".into())),
            |s| drop(s.once.insert("A".into(), "\0".into())),
            |s| s.mounts.push(Mount { host: "a".into(), inside: "/b".into(), read_only: true }),
            |s| s.memory = Some(1000),
            |s| s.ports.push(Port { host: 0, inside: 80 }),
            |s| s.capabilities.push("ALL".into()),
        ];
        assert!(spec().check().is_ok());
        for change in changes {
            let mut other = spec();
            change(&mut other);
            assert!(other.check().is_err(), "{other:?}");
        }
    }
}
