//! Processes under a guardian: how it is started, told, and heard. Knows the guardian's words, not its work.

use super::{Exit, Order, STUCK_AFTER, Signal, Spawned, child, command, exit_of, pipes, stuck};
use crate::{
    Launch, Stat, Terminal, descendants,
    guardian::{KILL, TERMINATE, Ward, parse_report},
    launch::Guarded,
};
use std::{io, process::Stdio, sync::mpsc as std_mpsc, time::Duration};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::UnixStream,
    process::Child,
    sync::{mpsc, oneshot},
};

/// A guardian's last word is a few bytes.
const REPORT_BYTES: u64 = 64;
/// A guardian that has said its last word, or hangs, gets so long to end before it is killed itself.
const KILL_WAIT: Duration = Duration::from_secs(5);

pub(super) fn make(launch: &Launch, guarded: &Guarded, back: &std_mpsc::Sender<Order>) -> io::Result<Spawned> {
    let mut words = vec![launch.program.clone().into_os_string()];
    words.extend(launch.args.iter().cloned());
    let ward = Ward { command: words, terminal: guarded.terminal.is_some(), stream: launch.stream, user: guarded.user };
    let mut command = command(launch, &guarded.guardian);
    command.args(ward.arguments());
    let terminal = match guarded.terminal {
        None => {
            command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
            None
        }
        Some(size) => {
            let (terminal, [stdin, stdout, stderr]) = Terminal::open(size)?;
            if let Some((uid, _)) = guarded.user {
                // The program opens its own terminal by name too (/dev/tty, sudo, tmux).
                rustix::fs::fchown(&stdin, Some(rustix::fs::Uid::from_raw(uid)), None)?;
            }
            command.stdin(stdin).stdout(stdout).stderr(stderr);
            Some(terminal)
        }
    };
    let (control, theirs) = child::pair()?;
    let mut sockets = vec![theirs];
    let mut stream = None;
    if launch.stream {
        let (ours, theirs) = child::pair()?;
        stream = Some(ours);
        sockets.push(theirs);
    }
    child::prepare_guardian(&mut command, sockets, i32::from(launch.nice));
    let mut process = command.spawn()?;
    // The command holds the programs' side of terminal and sockets, whose end must be the guardian's.
    drop(command);
    let pid = process.id().unwrap_or_default();
    let output = if terminal.is_some() { Vec::new() } else { pipes(&mut process) };
    let (signals, inbox) = mpsc::unbounded_channel();
    let (ended, exit) = oneshot::channel();
    tokio::spawn(watch(process, pid, control, inbox, ended, back.clone()));
    Ok(Spawned { pid, stream, output, terminal, signals, exit })
}

/// Passes signals on to the guardian, hears its last word, reaps it.
async fn watch(
    mut process: Child,
    pid: u32,
    control: UnixStream,
    mut inbox: mpsc::UnboundedReceiver<Signal>,
    mut ended: oneshot::Sender<Exit>,
    back: std_mpsc::Sender<Order>,
) {
    let (heard, mut told) = control.into_split();
    let report = async {
        let mut text = String::new();
        // Also when it is killed: the end of the socket is the end of the guardian.
        let _ = heard.take(REPORT_BYTES).read_to_string(&mut text).await;
        text
    };
    tokio::pin!(report);
    let text = loop {
        tokio::select! {
            text = &mut report => break Some(text),
            signal = inbox.recv() => match signal {
                Some(Signal::Terminate) => drop(told.write_all(&[TERMINATE]).await),
                // Or nobody wants it any more.
                Some(Signal::Kill) | None => break None,
            },
            () = ended.closed() => break None,
        }
    };
    let mut ended = Some(ended);
    let text = match text {
        Some(text) => text,
        None => {
            let _ = told.write_all(&[KILL]).await;
            match tokio::time::timeout(STUCK_AFTER, &mut report).await {
                Ok(text) => text,
                Err(_) => match left_of(pid) {
                    Some(left) => {
                        let _ = ended.take().map(|ended| ended.send(stuck(&left)));
                        // Its guardian stays with it, and both go when the system lets them.
                        report.await
                    }
                    None => String::new(),
                },
            }
        }
    };
    let exit = parse_report(&text);
    // Without a last word it died at its post, or is about to say on standard error why it could not begin. One that hangs
    // is ended; what it guarded falls to this process.
    let status = match tokio::time::timeout(KILL_WAIT, process.wait()).await {
        Ok(status) => status,
        Err(_) => {
            drop(process.start_kill());
            process.wait().await
        }
    };
    let _ = back.send(Order::Gone(pid));
    let exit = match (exit, status.map(exit_of)) {
        (Some(exit), _) => exit,
        // It could not start its program, and said why on standard error.
        (None, Ok(Exit::Code(code))) => Exit::Code(code),
        (None, _) => {
            let (done, adopted) = oneshot::channel();
            let _ = back.send(Order::Adopt(done));
            let _ = adopted.await;
            Exit::Unknown
        }
    };
    let _ = ended.map(|ended| ended.send(exit));
}

/// What a guardian was told to kill and is still there. None where it hangs itself: then it is ended, and what it guarded
/// falls to this process.
fn left_of(guardian: u32) -> Option<Stat> {
    Stat::of(guardian).filter(|stat| !matches!(stat.state, 'T' | 't' | 'Z'))?;
    descendants::first_below(guardian)
}
