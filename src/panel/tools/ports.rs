//! Ports: a free one for a tool, and who has one that Easel wants. Reads the kernel's tables; ends nobody.

use crate::sockets;
use std::{
    fs, io,
    net::{Ipv4Addr, TcpListener},
};

/// A free port on loopback. Somebody else may take it before the tool does, which does not get well then and is broken; the next
/// start by a person has another.
///
/// # Errors
/// When none is free.
pub(super) fn free() -> io::Result<u16> {
    Ok(TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?.port())
}

/// A process that listens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Owner {
    /// Its number.
    pub pid: u32,
    /// Its name.
    pub name: String,
}

/// Number and name of the process that listens on a TCP port of this machine, as far as this user may see.
pub fn owner_of_port(port: u16) -> Option<(u32, String)> {
    owner(port).map(|owner| (owner.pid, owner.name))
}

/// Who listens on a TCP port of this machine, as far as this user may see.
pub(super) fn owner(port: u16) -> Option<Owner> {
    let listens = sockets::tcp().into_iter().filter(|row| row.listens() && row.local == port);
    let links: Vec<String> = listens.map(|row| format!("socket:[{}]", row.inode)).collect();
    let processes = fs::read_dir("/proc").ok()?.flatten().filter_map(|e| e.file_name().to_str()?.parse::<u32>().ok());
    let has = |pid: &u32| {
        let fds = fs::read_dir(format!("/proc/{pid}/fd")).into_iter().flatten().flatten();
        fds.filter_map(|fd| fs::read_link(fd.path()).ok()).any(|to| links.iter().any(|link| to.as_os_str() == link.as_str()))
    };
    let pid = processes.into_iter().find(has)?;
    let name = fs::read_to_string(format!("/proc/{pid}/comm")).unwrap_or_default().trim().to_owned();
    Some(Owner { pid, name })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whoever_listens_is_named() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let owner = owner(port).unwrap();
        assert_eq!(owner.pid, std::process::id());
        assert!(!owner.name.is_empty());
        drop(listener);
        assert_eq!(super::owner(port), None);
        assert!(free().unwrap() > 0);
    }
}
