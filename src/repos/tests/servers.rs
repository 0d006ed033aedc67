//! Servers that tests start: a free port, a child that is killed by its number, and a wait until it listens.

use std::{
    net::{TcpListener, TcpStream},
    process::{Child, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

/// A server; killed when dropped.
pub(super) struct Server {
    child: Child,
    pub(super) port: u16,
}

impl Server {
    /// Starts what `command` makes of a free port. As somebody else may take the port meanwhile, another one is tried then.
    pub(super) fn start(command: impl FnMut(u16) -> Command) -> Server {
        Server::start_at(0, command)
    }

    /// The same at a port, if that is not 0.
    pub(super) fn start_at(fixed: u16, mut command: impl FnMut(u16) -> Command) -> Server {
        for _ in 0..20 {
            let free = || TcpListener::bind(("127.0.0.1", 0)).unwrap().local_addr().unwrap().port();
            let port = if fixed == 0 { free() } else { fixed };
            let child = command(port).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
            let mut server = Server { child, port };
            if server.listens() {
                return server;
            }
        }
        panic!("the server does not start");
    }

    fn listens(&mut self) -> bool {
        let start = Instant::now();
        while start.elapsed() < Duration::from_secs(20) && self.child.try_wait().unwrap().is_none() {
            if TcpStream::connect(("127.0.0.1", self.port)).is_ok() {
                return self.child.try_wait().unwrap().is_none();
            }
            thread::sleep(Duration::from_millis(20));
        }
        false
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A program of the system, also where its folder is not in the path.
pub(super) fn program(name: &str) -> String {
    let places = ["/usr/sbin", "/usr/bin", "/usr/local/bin", "/usr/local/sbin"];
    let found = places.iter().map(|place| format!("{place}/{name}")).find(|path| std::path::Path::new(path).exists());
    found.unwrap_or_else(|| panic!("{name} is missing: setup/test.sh installs it"))
}

pub(super) fn run(command: &mut Command) {
    let output = command.output().unwrap();
    assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
}
