//! The wire under libgit2's ssh: a listener on loopback that connects to one host and to no other. libssh2 waits in system calls and
//! can be neither cancelled nor timed there, while a connection can be cut here. Bytes pass unread: ssh ends in libgit2. Knows no git.

use crate::{
    Address, Fault,
    dial::{WAIT, again, dial},
    watch::Watch,
};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use std::{
    io::{self, Read, Write},
    net::{Shutdown, TcpListener, TcpStream},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    thread,
};

/// Connections that one sync may open.
const CONNECTIONS: usize = 64;

/// The relay of one sync. Its listener and all connections end with it.
#[derive(Debug)]
pub(crate) struct Relay {
    port: u16,
    wire: Arc<Wire>,
}

#[derive(Debug)]
struct Wire {
    address: Address,
    watch: Watch,
    over: AtomicBool,
    /// libgit2's ends, so that they can be shut while a thread waits for the host.
    ends: Mutex<Vec<TcpStream>>,
    /// Why the host could not be reached, last.
    failure: Mutex<Option<String>>,
}

impl Relay {
    pub(crate) fn start(address: &Address, watch: &Watch) -> Result<Relay, Fault> {
        let start = || -> io::Result<Relay> {
            let listener = TcpListener::bind(("127.0.0.1", 0))?;
            listener.set_nonblocking(true)?;
            let port = listener.local_addr()?.port();
            let wire = Arc::new(Wire {
                address: address.clone(),
                watch: watch.clone(),
                over: AtomicBool::new(false),
                ends: Mutex::default(),
                failure: Mutex::default(),
            });
            let accepting = Arc::clone(&wire);
            thread::Builder::new().name("git-relay".to_owned()).spawn(move || accepting.accept(&listener))?;
            Ok(Relay { port, wire })
        };
        start().map_err(|e| Fault::io("opening a relay on loopback", e))
    }

    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    /// Why the host could not be reached, if that is so.
    pub(crate) fn failure(&self) -> Option<String> {
        self.wire.failure.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        self.wire.over.store(true, Ordering::Relaxed);
        self.wire.cut();
    }
}

impl Wire {
    fn over(&self) -> bool {
        self.over.load(Ordering::Relaxed) || self.watch.stopped()
    }

    fn cut(&self) {
        for end in self.ends.lock().unwrap_or_else(PoisonError::into_inner).drain(..) {
            let _ = end.shutdown(Shutdown::Both);
        }
    }

    fn accept(self: Arc<Self>, listener: &TcpListener) {
        let mut opened = 0;
        while !self.over() && opened < CONNECTIONS {
            let wait = Timespec { tv_sec: 0, tv_nsec: WAIT.subsec_nanos().into() };
            let _ = poll(&mut [PollFd::new(listener, PollFlags::IN)], Some(&wait));
            let (end, _) = match listener.accept() {
                Ok(accepted) => accepted,
                Err(e) => {
                    // Out of file descriptors, most likely: whoever waits there is not gone, and asking at once would only turn the wheel.
                    if !again(&e) {
                        thread::sleep(WAIT);
                    }
                    continue;
                }
            };
            let Ok(kept) = end.try_clone() else { continue };
            self.ends.lock().unwrap_or_else(PoisonError::into_inner).push(kept);
            opened += 1;
            let wire = Arc::clone(&self);
            let _ = thread::Builder::new().name("git-relay".to_owned()).spawn(move || wire.serve(end));
        }
        // No more are accepted, yet those which are open may go on.
        while !self.over() {
            thread::sleep(WAIT);
        }
        self.cut();
    }

    /// One connection, to the end of both directions.
    fn serve(self: Arc<Self>, mut end: TcpStream) {
        // Reads and writes return after a while, so that the end of all is seen.
        let timed = end
            .set_nonblocking(false)
            .and_then(|()| end.set_read_timeout(Some(WAIT)))
            .and_then(|()| end.set_write_timeout(Some(WAIT)));
        let mut host = match timed.and_then(|()| dial(self.address.host(), self.address.port(), &self.watch)) {
            Ok(host) => host,
            Err(e) => {
                *self.failure.lock().unwrap_or_else(PoisonError::into_inner) = Some(e.to_string());
                let _ = end.shutdown(Shutdown::Both);
                return;
            }
        };
        let (Ok(mut end_2), Ok(mut host_2)) = (end.try_clone(), host.try_clone()) else { return };
        let back = Arc::clone(&self);
        let answers = thread::Builder::new().name("git-relay".to_owned()).spawn(move || back.carry(&mut host_2, &mut end_2));
        self.carry(&mut end, &mut host);
        if answers.is_ok_and(|thread| thread.join().is_ok()) {
            let _ = end.shutdown(Shutdown::Both);
        }
    }

    /// Carries one direction to its end, or until all is over.
    fn carry(&self, from: &mut TcpStream, to: &mut TcpStream) {
        let mut buffer = vec![0; 64 << 10];
        loop {
            match from.read(&mut buffer) {
                Ok(0) => break,
                Ok(n) => {
                    self.watch.touch();
                    if self.send(to, &buffer[..n]).is_err() {
                        break;
                    }
                }
                Err(e) if again(&e) && !self.over() => {}
                Err(_) => break,
            }
        }
        let _ = to.shutdown(Shutdown::Write);
        if self.over() {
            let _ = from.shutdown(Shutdown::Both);
            let _ = to.shutdown(Shutdown::Both);
        }
    }

    /// Writes everything; gives up when all is over.
    fn send(&self, to: &mut TcpStream, mut bytes: &[u8]) -> io::Result<()> {
        while !bytes.is_empty() {
            match to.write(bytes) {
                Ok(n) => bytes = &bytes[n..],
                Err(e) if again(&e) && !self.over() => {}
                Err(e) => return Err(e),
            }
        }
        Ok(())
    }
}
