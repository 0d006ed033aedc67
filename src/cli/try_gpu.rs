//! Tries a GPU in a process of its own. A driver or a library that crashes or hangs takes that process with it, and neither the
//! engine nor `doctor`. Knows no operation: what a trial is, the engine says.

use super::{Exit, Failure, say};
use engine::device::{self, Element, Library, Tried};
use protocol::NoGpu;
use rustix::process::{Pid, Signal, getppid, set_parent_process_death_signal};
use std::{
    io::Read as _,
    os::unix::process::ExitStatusExt as _,
    process::{Command, ExitStatus, Stdio},
    thread,
    time::{Duration, Instant},
};

/// Time that a trial has: most of it goes by while NVIDIA's libraries, a gigabyte, are read from a slow disk. Twice as long, and
/// then some, is what the panel gives an engine until its first word.
const LIMIT: Duration = Duration::from_secs(45);
/// Time between two looks whether it is over.
const LOOK_EVERY: Duration = Duration::from_millis(20);
/// Time that a process has to be gone once it was killed. One that a driver holds in the kernel stays.
const GONE_WAIT: Duration = Duration::from_secs(10);

/// Flags of `try-gpu`.
#[derive(Clone, Copy, Debug, clap::Args)]
pub(crate) struct Args {
    /// Its number
    gpu: u32,
    /// How it keeps numbers
    element: Element,
    /// The process that wants to know
    of: i32,
    /// Without NVIDIA's cuBLASLt
    #[arg(long)]
    no_cublaslt: bool,
}

/// In that process: tries, and says in one line what it came to.
pub(crate) fn run(args: Args) -> Result<Exit, Failure> {
    // A driver that hangs must not keep this process, and with it the card, when nobody waits any more.
    set_parent_process_death_signal(Some(Signal::KILL)).map_err(std::io::Error::from)?;
    if getppid().map(Pid::as_raw_pid) != Some(args.of) {
        return Ok(Exit::Failed);
    }
    let library = super::compute::library(!args.no_cublaslt);
    let tried = device::tried(args.gpu, args.element, library);
    // On a line of its own, whatever a driver may have begun.
    say(format_args!("\n{}", serde_json::to_string(&tried)?));
    Ok(Exit::Done)
}

/// Tries a GPU elsewhere, where there is anything to try.
pub(crate) fn apart(gpu: u32, element: Element, library: Library) -> Tried {
    if !device::has_driver() {
        return device::tried(gpu, element, library);
    }
    // Also when the program's file was replaced meanwhile.
    #[allow(clippy::disallowed_methods, reason = "this program, which ends before anything is asked of the supervisor")]
    let mut itself = Command::new("/proc/self/exe");
    itself.arg("try-gpu").arg(gpu.to_string()).arg(element.suffix()).arg(std::process::id().to_string());
    if library == Library::Off {
        itself.arg("--no-cublaslt");
    }
    answer(itself, LIMIT).unwrap_or_else(|how| {
        let why = format!("The GPU cannot be used: a process that tried it {how}. The log has what the driver said.");
        Tried::Wrong { why: NoGpu::Unusable(why), library: (library == Library::Auto).then(|| "cuBLASLt".to_owned()) }
    })
}

/// What a process says within `limit`; or what became of it, in words.
fn answer(mut of: Command, limit: Duration) -> Result<Tried, String> {
    let started = of.stdin(Stdio::null()).stdout(Stdio::piped()).spawn();
    let mut child = started.map_err(|e| format!("could not be started ({e})"))?;
    let begun = Instant::now();
    let ended = loop {
        match child.try_wait() {
            Ok(Some(status)) => break status,
            Ok(None) if begun.elapsed() < limit => thread::sleep(LOOK_EVERY),
            Ok(None) => {
                let _ = child.kill();
                let killed = Instant::now();
                while matches!(child.try_wait(), Ok(None)) && killed.elapsed() < GONE_WAIT {
                    thread::sleep(LOOK_EVERY);
                }
                return Err(format!("did not end within {} seconds", limit.as_secs()));
            }
            Err(e) => return Err(format!("could not be waited for ({e})")),
        }
    };
    // One line fits into a pipe, so it did not have to be read before. What a driver started may hold the other end still, and is
    // not waited for.
    let mut said = Vec::new();
    if let Some(mut out) = child.stdout.take()
        && rustix::io::ioctl_fionbio(&out, true).is_ok()
    {
        let _ = out.read_to_end(&mut said);
    }
    let told = String::from_utf8_lossy(&said).lines().rev().find_map(|line| serde_json::from_str(line).ok());
    told.filter(|_| ended.success()).ok_or_else(|| how(ended))
}

fn how(ended: ExitStatus) -> String {
    match (ended.signal(), ended.code()) {
        (Some(signal), _) => format!("was ended by signal {signal}"),
        (None, Some(0)) => "said nothing".to_owned(),
        (None, code) => format!("ended with {}", code.unwrap_or_default()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[allow(clippy::disallowed_methods, reason = "a process that does what a trial may")]
    fn program(name: &str, script: &str) -> Command {
        let mut program = Command::new(name);
        program.args(["-c", script]);
        program
    }

    fn shell(script: &str) -> Command {
        program("sh", script)
    }

    #[test]
    fn whatever_becomes_of_the_process_there_is_an_answer() {
        let begun = Instant::now();
        let right = Tried::Right { device: "H100, f16".into(), no_library: None };
        let line = serde_json::to_string(&right).unwrap();
        let at_most = Duration::from_secs(30);
        assert_eq!(answer(shell(&format!("echo a driver says something; echo '{line}'")), at_most), Ok(right));
        for (script, how) in [
            ("kill -SEGV $$", "was ended by signal 11"),
            ("exit 3", "ended with 3"),
            ("true", "said nothing"),
            ("echo '{'", "said nothing"),
        ] {
            assert_eq!(answer(shell(script), at_most), Err(how.to_owned()), "{script}");
        }
        // Something that it started goes on.
        assert!(answer(shell(&format!("sleep 120 & echo '{line}'")), at_most).is_ok());
        // Right until it crashes is not right.
        assert!(answer(shell(&format!("echo '{line}'; kill -SEGV $$")), at_most).is_err());
        assert_eq!(answer(shell("sleep 60"), Duration::ZERO), Err("did not end within 0 seconds".to_owned()));
        assert!(begun.elapsed() < at_most);
        let missing = answer(program("/nowhere/easel", ""), at_most);
        assert!(missing.is_err_and(|how| how.starts_with("could not be started")));
    }
}
