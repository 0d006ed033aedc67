//! The real program on volumes that behave badly: across a network, over quota, failing, without power. The volume is a file
//! system of these tests behind FUSE, so that every failure comes when a test wants it. Skipped, saying so, where this
//! process may not mount.

mod errors;
mod fuse;
mod itself;
mod kills;
mod mounted;
mod power;
mod tree;
mod two;
mod weather;

/// The only profile.
const USERS: &str = "[[user]]\nname = \"Zoe\"\n";

/// An empty volume with the list of profiles on it.
fn with_users() -> Option<mounted::Volume> {
    let volume = mounted::Volume::mount()?;
    std::fs::write(volume.path().join("users.toml"), USERS).unwrap();
    volume.settle();
    Some(volume)
}
