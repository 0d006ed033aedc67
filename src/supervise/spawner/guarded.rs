//! Processes under a guardian: how it is started, told, and heard. Knows the guardian's words, not its work.

use super::{Exit, Order, Signal, Spawned, child, command, exit_of, pipes};
use crate::{
    Launch, Terminal,
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
/// A guardian that was told to kill has nothing else to do; one that takes longer is stuck, and killed itself.
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
                Some(Signal::Kill) => drop(told.write_all(&[KILL]).await),
                None => break None,
            },
            () = ended.closed() => break None,
        }
    };
    let text = match text {
        Some(text) => text,
        // Nobody wants it any more.
        None => {
            let _ = told.write_all(&[KILL]).await;
            tokio::time::timeout(KILL_WAIT, report).await.unwrap_or_default()
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
    let _ = ended.send(exit);
}
