//! PID 1 of a container: starts one program, passes signals on to it, reaps whatever falls to it, and ends as the program
//! ends. A role of its own, because waiting for every child would take the statuses away from a runtime that waits for
//! its own. Knows nothing of what it starts.

use crate::{Exit, guardian::exit_of};
use rustix::process::{Pid, Signal, WaitOptions, getpid, kill_process, set_child_subreaper, wait};
use std::{
    ffi::OsString,
    io,
    process::Command,
    sync::atomic::{AtomicI32, Ordering},
    thread,
};
use tokio::signal::unix::{SignalKind, signal};

/// Passed on to the program.
const FORWARDED: [Signal; 6] = [Signal::TERM, Signal::INT, Signal::HUP, Signal::QUIT, Signal::USR1, Signal::USR2];

/// Runs `command` and returns the exit code of a shell: its own, or 128 and the signal that ended it.
///
/// # Errors
/// When it cannot be started.
pub async fn run(command: &[OsString]) -> io::Result<u8> {
    let Some((program, args)) = command.split_first() else { return Err(io::Error::other("nothing to run")) };
    // Also where another init is above: orphans of the program come here and are reaped.
    set_child_subreaper(Some(getpid()))?;
    let pid = std::sync::Arc::new(AtomicI32::new(0));
    for forwarded in FORWARDED {
        let mut stream = signal(SignalKind::from_raw(forwarded.as_raw()))?;
        let pid = std::sync::Arc::clone(&pid);
        tokio::spawn(async move {
            while stream.recv().await.is_some() {
                if let Some(pid) = Pid::from_raw(pid.load(Ordering::Acquire)) {
                    let _ = kill_process(pid, forwarded);
                }
            }
        });
    }
    #[allow(clippy::disallowed_methods, reason = "init is the parent of the program")]
    let child = Command::new(program).args(args).spawn()?;
    pid.store(child.id().cast_signed(), Ordering::Release);
    let leader = Pid::from_raw(child.id().cast_signed());
    let (done, ended) = tokio::sync::oneshot::channel();
    thread::Builder::new().name("reaper".into()).spawn(move || {
        let _ = done.send(reap_until(leader));
    })?;
    let exit = ended.await.unwrap_or(Exit::Unknown);
    // What is left dies with a container's init by itself; elsewhere it falls to the init above.
    Ok(code(exit))
}

/// Reaps every child until the program itself has ended.
fn reap_until(leader: Option<Pid>) -> Exit {
    loop {
        match wait(WaitOptions::empty()) {
            Ok(Some((pid, status))) if Some(pid) == leader => return exit_of(status),
            Ok(_) | Err(rustix::io::Errno::INTR) => {}
            Err(_) => return Exit::Unknown,
        }
    }
}

/// An exit as a shell tells it.
fn code(exit: Exit) -> u8 {
    match exit {
        Exit::Code(code) => code as u8,
        Exit::Signal(signal) => 128u8.wrapping_add(signal as u8),
        Exit::Stuck(_) | Exit::Unknown => 1,
    }
}
