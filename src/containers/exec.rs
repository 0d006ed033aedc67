//! A program inside a running container, with a terminal: what a shell of an admin or a check is. Of a launch it takes program,
//! arguments, variables, folder, user and the size of the terminal.

use crate::{
    ContainerError, Engine, Owned,
    inspect::exit_of,
    line::Line,
    raw,
    spawner::{no_line, refused, spawned, terminal_of},
};
use bollard::{
    exec::{CreateExecOptions, CreateExecResults},
    query_parameters::ResizeExecOptions,
};
use rustix::{
    fd::OwnedFd,
    process::{Pid, PidfdFlags, Signal as Number, pidfd_open, pidfd_send_signal},
};
use std::{
    ffi::OsString,
    path::{Path, PathBuf},
    time::Duration,
};
use supervise::{Exit, Launch, Signal, Size, Spawned, Spawner, spawner::Spawning};
use tokio::{
    sync::{mpsc, oneshot, watch},
    time::sleep,
};

/// An engine knows the end of a program a moment after its terminal has ended.
const ENDING: Duration = Duration::from_millis(50);
/// And so often it is asked for it.
const ASKED: u32 = 40;

/// Runs programs in one container.
#[derive(Debug)]
pub struct ExecSpawner {
    engine: Engine,
    container: Owned,
}

impl ExecSpawner {
    /// Programs of this container. They end with it at the latest.
    pub fn new(engine: Engine, container: Owned) -> ExecSpawner {
        ExecSpawner { engine, container }
    }

    async fn begin(&self, launch: &Launch) -> Result<Spawned, ContainerError> {
        let doing = "running a program in the container";
        let size = terminal_of(launch).unwrap_or_default();
        let path = self.engine.path(&format!("/containers/{}/exec", self.container.id()));
        let made: CreateExecResults = raw::post(self.engine.socket(), &path, &options(launch), doing).await?;
        let (line, other_end) = Line::new().map_err(no_line)?;
        let path = self.engine.path(&format!("/exec/{}/start", made.id));
        let stream = raw::upgrade(self.engine.socket(), &path, r#"{"Detach":false,"Tty":true}"#, doing).await?;
        let exec = Exec { engine: self.engine.clone(), container: self.container.clone(), id: made.id };
        exec.resize(size).await;
        let pid = exec.pid().await;
        let (signals, inbox) = mpsc::unbounded_channel();
        let (ended, exit) = oneshot::channel();
        let (set, sizes) = watch::channel(size);
        tokio::spawn(exec.keep(pid, stream, line, (inbox, sizes), ended));
        spawned(pid, other_end, set, signals, exit).map_err(no_line)
    }
}

impl Spawner for ExecSpawner {
    fn spawn<'a>(&'a self, launch: &'a Launch) -> Spawning<'a> {
        Box::pin(async move {
            let program = || launch.program.display().to_string();
            self.begin(launch).await.map_err(|why| refused(program(), why))
        })
    }
}

fn options(launch: &Launch) -> CreateExecOptions<String> {
    let text = |words: &OsString| words.to_string_lossy().into_owned();
    let mut command = vec![launch.program.display().to_string()];
    command.extend(launch.args.iter().map(text));
    let user = launch.guarded.as_ref().and_then(|guarded| guarded.user);
    CreateExecOptions {
        attach_stdin: Some(true),
        attach_stdout: Some(true),
        attach_stderr: Some(true),
        tty: Some(true),
        env: Some(launch.env.iter().map(|(name, value)| format!("{}={}", text(name), text(value))).collect()),
        cmd: Some(command),
        user: user.map(|(user, group)| format!("{user}:{group}")),
        working_dir: launch.folder.as_ref().map(|folder| folder.display().to_string()),
        ..CreateExecOptions::default()
    }
}

struct Exec {
    engine: Engine,
    container: Owned,
    id: String,
}

impl Exec {
    /// Until its end. Engines pass no signal on to such a program, so the system does, by a handle that never means another
    /// process; where that is not possible, closing the terminal is all that can be done.
    async fn keep(
        self,
        pid: u32,
        stream: raw::Stream,
        mut line: Line,
        (mut inbox, mut sizes): (mpsc::UnboundedReceiver<Signal>, watch::Receiver<Size>),
        mut ended: oneshot::Sender<Exit>,
    ) {
        let process = self.handle(pid).await;
        let mut killed = false;
        {
            let shown = line.carry(stream);
            tokio::pin!(shown);
            loop {
                tokio::select! {
                    _ = &mut shown => break,
                    signal = inbox.recv(), if !killed => {
                        let signal = signal.unwrap_or(Signal::Kill);
                        killed = signal == Signal::Kill;
                        if !tell(process.as_ref(), signal) && killed {
                            break;
                        }
                    }
                    () = ended.closed(), if !killed => {
                        killed = true;
                        if !tell(process.as_ref(), Signal::Kill) {
                            break;
                        }
                    }
                    Ok(()) = sizes.changed() => {
                        let size = *sizes.borrow_and_update();
                        self.resize(size).await;
                    }
                }
            }
        }
        drop(line);
        let _ = ended.send(self.exit().await);
    }

    async fn resize(&self, size: Size) {
        let options = ResizeExecOptions { h: size.rows.into(), w: size.cols.into() };
        if let Err(e) = self.engine.0.docker.resize_exec(&self.id, options).await {
            // One that has ended has no size any more.
            tracing::debug!("a terminal was not resized: {e}");
        }
    }

    /// Its process as this machine numbers it; 0: not known.
    async fn pid(&self) -> u32 {
        let told = self.engine.0.docker.inspect_exec(&self.id).await.ok();
        let running = told.filter(|told| told.running == Some(true));
        running.and_then(|told| told.pid).and_then(|pid| u32::try_from(pid).ok()).unwrap_or_default()
    }

    /// A handle of its process. Had it ended before it was opened, the number might be another's by then: so it is asked
    /// afterwards whether it runs. And an engine outside of the container that Easel itself may run in counts other processes:
    /// so it is seen here whether that number lives in this very container.
    async fn handle(&self, pid: u32) -> Option<OwnedFd> {
        let process = pidfd_open(Pid::from_raw(pid.cast_signed())?, PidfdFlags::empty()).ok()?;
        let first = self.engine.standing(&self.container).await.ok()?.pid;
        let own = std::process::id();
        let inside = is_inside(numbers(pid).as_deref(), numbers(first).as_deref(), numbers(own).as_deref());
        (inside && self.pid().await == pid).then_some(process)
    }

    /// How it ended. Unknown: it goes on without a terminal, or the engine is gone.
    async fn exit(&self) -> Exit {
        for _ in 0..ASKED {
            let Ok(told) = self.engine.0.docker.inspect_exec(&self.id).await else { return Exit::Unknown };
            if told.running == Some(false) {
                return told.exit_code.map_or(Exit::Unknown, exit_of);
            }
            sleep(ENDING).await;
        }
        Exit::Unknown
    }
}

/// The namespace in which a process of this machine has its number. None: there is no such process, or it is not for Easel to look
/// at, nor to signal then.
fn numbers(pid: u32) -> Option<PathBuf> {
    std::fs::read_link(format!("/proc/{pid}/ns/pid")).ok()
}

/// Whether a process has its number where the first one of its container has, which is not where Easel has its own.
fn is_inside(process: Option<&Path>, first: Option<&Path>, own: Option<&Path>) -> bool {
    process.is_some() && process == first && process != own
}

/// False: it cannot be told.
fn tell(process: Option<&OwnedFd>, signal: Signal) -> bool {
    let numbers: &[Number] = match signal {
        // A shell does not hear TERM, and ends with its terminal.
        Signal::Terminate => &[Number::HUP, Number::TERM],
        Signal::Kill => &[Number::KILL],
    };
    process.is_some_and(|process| numbers.iter().all(|number| pidfd_send_signal(process, *number).is_ok()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_lives_in_the_container_is_of_it() {
        let [own, other, third] = ["pid:[1]", "pid:[2]", "pid:[3]"].map(|name| Some(Path::new(name)));
        assert!(is_inside(other, other, own));
        assert!(!is_inside(own, own, own), "both numbers are of processes beside Easel");
        assert!(!is_inside(other, own, own) && !is_inside(other, third, own) && !is_inside(None, None, own));
    }
}
