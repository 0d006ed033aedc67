//! The small process between the panel and a service: starts it, and lets nothing that came of it live on. Whoever
//! leaves its process group or its session still has the guardian as ancestor, because the guardian is a subreaper.
//! Knows what it is told over its control socket; decides no policy.
//!
//! Told to terminate, it asks the process group; told to kill, or when the panel hangs up, it ends every descendant.
//! When the service ends by itself, what it left behind is ended too, and the panel is told how it ended.

use crate::{Exit, descendants};
use rustix::{
    fd::OwnedFd,
    process::{Pid, Signal as Sig, WaitOptions, kill_process_group, set_child_subreaper, wait},
};
use std::{
    collections::HashSet,
    ffi::OsString,
    fs::File,
    io::{self, Read as _, Write as _},
    sync::mpsc::{self, RecvTimeoutError, Sender},
    thread,
    time::{Duration, Instant},
};

mod child;

/// Descriptor of the control socket in the guardian.
pub(crate) const CONTROL: i32 = 3;
/// Descriptor of the service's own stream in the guardian; the service has it as 3.
pub(crate) const STREAM: i32 = 4;
/// Told by the panel: ask the service to end.
pub(crate) const TERMINATE: u8 = b't';
/// Told by the panel: end it and everything that came of it.
pub(crate) const KILL: u8 = b'k';
/// What is left of a service when the panel is gone gets this long to end by itself.
const GRACE_WITHOUT_PANEL: Duration = Duration::from_secs(1);
/// Time between two rounds of killing: a process that was made while the last round looked is found by the next.
const ROUND: Duration = Duration::from_millis(10);
/// At most so long, when rounds find only what was killed before: one that waits for a volume or a driver that does not
/// answer ends when that does, and looking more often helps nobody.
const LONGEST_ROUND: Duration = Duration::from_secs(1);

/// What to start, as the panel wrote it on the guardian's command line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ward {
    /// The program and its arguments.
    pub command: Vec<OsString>,
    /// Standard input is a terminal, which becomes the program's controlling terminal.
    pub terminal: bool,
    /// Descriptor 4 is the program's stream.
    pub stream: bool,
    /// User and group to become.
    pub user: Option<(u32, u32)>,
}

enum Heard {
    Terminate,
    Kill,
    PanelGone,
    Ended(Pid, Exit),
    NoneLeft,
}

/// Starts the ward and stays until nothing of it is left.
///
/// # Errors
/// When it cannot be started, or the system refuses what a guardian needs.
pub fn run(ward: &Ward) -> io::Result<()> {
    let control = child::inherited(CONTROL)?;
    set_child_subreaper(Some(rustix::process::getpid()))?;
    let leader = child::start(ward)?;
    let (tell, heard) = mpsc::channel();
    let (listener, reaper) = (tell.clone(), tell);
    let socket = File::from(control.try_clone()?);
    thread::Builder::new().name("control".into()).spawn(move || listen(socket, &listener))?;
    thread::Builder::new().name("reaper".into()).spawn(move || reap(&reaper))?;
    let exit = watch(leader, &heard);
    report(control, exit);
    Ok(())
}

/// Until nothing is left. Returns how the leader ended.
fn watch(leader: Pid, heard: &mpsc::Receiver<Heard>) -> Exit {
    let mut exit = Exit::Unknown;
    // From when on everything is killed, round after round.
    let mut kill_from: Option<Instant> = None;
    let mut rounds = Rounds::default();
    loop {
        let wait =
            kill_from.map_or(Duration::from_secs(3600), |at| at.saturating_duration_since(Instant::now()).max(rounds.wait));
        match heard.recv_timeout(wait) {
            Ok(Heard::Terminate) => ask(leader),
            Ok(Heard::Kill) => kill_from = Some(Instant::now()),
            Ok(Heard::PanelGone) => {
                ask(leader);
                kill_from.get_or_insert(Instant::now() + GRACE_WITHOUT_PANEL);
            }
            Ok(Heard::Ended(pid, how)) if pid == leader => {
                exit = how;
                kill_from = Some(Instant::now());
            }
            Ok(Heard::Ended(..)) | Err(RecvTimeoutError::Timeout) => {}
            Ok(Heard::NoneLeft) | Err(RecvTimeoutError::Disconnected) => return exit,
        }
        if kill_from.is_some_and(|at| at <= Instant::now()) {
            rounds.found(descendants::kill_all().iter().map(|p| (p.pid, p.began)).collect());
        }
    }
}

/// Rounds of killing: how long until the next.
struct Rounds {
    wait: Duration,
    /// What the last one killed, by number and beginning.
    last: HashSet<(u32, u64)>,
}

impl Default for Rounds {
    fn default() -> Rounds {
        Rounds { wait: ROUND, last: HashSet::new() }
    }
}

impl Rounds {
    /// A round has killed these.
    fn found(&mut self, killed: HashSet<(u32, u64)>) {
        let nothing_new = killed.is_subset(&self.last);
        self.wait = if nothing_new { (self.wait * 2).min(LONGEST_ROUND) } else { ROUND };
        self.last = killed;
    }
}

/// The polite way: the whole group, and the terminal hangs up, which is how a shell is asked.
fn ask(leader: Pid) {
    for signal in [Sig::TERM, Sig::HUP, Sig::CONT] {
        // The leader leads its own session, so its group has its number; it may be gone already.
        let _ = kill_process_group(leader, signal);
    }
}

fn listen(mut socket: File, tell: &Sender<Heard>) {
    let mut byte = [0];
    loop {
        let heard = match socket.read(&mut byte) {
            Ok(1) if byte[0] == TERMINATE => Heard::Terminate,
            Ok(1) => Heard::Kill,
            Err(e) if e.kind() == io::ErrorKind::Interrupted => continue,
            Ok(_) | Err(_) => Heard::PanelGone,
        };
        let last = matches!(heard, Heard::PanelGone);
        if tell.send(heard).is_err() || last {
            return;
        }
    }
}

/// Every descendant whose parent died is this process's child; all are reaped here.
fn reap(tell: &Sender<Heard>) {
    loop {
        let heard = match wait(WaitOptions::empty()) {
            Ok(Some((pid, status))) => Heard::Ended(pid, exit_of(status)),
            Err(rustix::io::Errno::INTR) | Ok(None) => continue,
            Err(_) => Heard::NoneLeft,
        };
        let last = matches!(heard, Heard::NoneLeft);
        if tell.send(heard).is_err() || last {
            return;
        }
    }
}

pub(crate) fn exit_of(status: rustix::process::WaitStatus) -> Exit {
    match (status.exit_status(), status.terminating_signal()) {
        (Some(code), _) => Exit::Code(code),
        (None, Some(signal)) => Exit::Signal(signal),
        (None, None) => Exit::Unknown,
    }
}

/// The last word to the panel, if it is still there.
fn report(control: OwnedFd, exit: Exit) {
    let line = match exit {
        Exit::Code(code) => format!("code {code}\n"),
        Exit::Signal(signal) => format!("signal {signal}\n"),
        Exit::Stuck(_) | Exit::Unknown => return,
    };
    let _ = File::from(control).write_all(line.as_bytes());
}

/// The guardian's last word, read by the panel. None: it died without one.
pub(crate) fn parse_report(text: &str) -> Option<Exit> {
    match text.trim().split_once(' ')? {
        ("code", n) => n.parse().ok().map(Exit::Code),
        ("signal", n) => n.parse().ok().map(Exit::Signal),
        _ => None,
    }
}

impl Ward {
    /// The arguments of `easel guardian` that say this.
    pub(crate) fn arguments(&self) -> Vec<OsString> {
        let mut args: Vec<OsString> = vec!["guardian".into()];
        if self.terminal {
            args.push("--terminal".into());
        }
        if self.stream {
            args.push("--stream".into());
        }
        if let Some((uid, gid)) = self.user {
            args.push("--user".into());
            args.push(format!("{uid}:{gid}").into());
        }
        args.push("--".into());
        args.extend(self.command.iter().cloned());
        args
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rounds_that_find_nothing_new_become_rare() {
        let mut rounds = Rounds::default();
        let found = |rounds: &mut Rounds, killed: &[(u32, u64)]| {
            rounds.found(killed.iter().copied().collect());
            rounds.wait
        };
        assert_eq!(found(&mut rounds, &[(7, 1), (8, 1)]), ROUND);
        assert_eq!(found(&mut rounds, &[(7, 1)]), 2 * ROUND, "it takes its time");
        assert_eq!(found(&mut rounds, &[(7, 2)]), ROUND, "another one of that number");
        for _ in 0..20 {
            found(&mut rounds, &[(7, 2)]);
        }
        assert_eq!(rounds.wait, LONGEST_ROUND);
    }

    #[test]
    fn the_last_word_is_understood() {
        assert_eq!(parse_report("code 3\n"), Some(Exit::Code(3)));
        assert_eq!(parse_report("signal 9\n"), Some(Exit::Signal(9)));
        assert_eq!(parse_report(""), None);
        assert_eq!(parse_report("code x"), None);
    }
}
