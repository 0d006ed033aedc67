//! The command line: one file a subcommand, each with its `Args` and a `run`. Knows which subcommands
//! there are and how their failures become exit codes; knows none of their work.

mod bench;
mod check_setup;
mod compute;
mod doctor;
mod engine;
mod generate;
mod golden;
mod guardian;
mod init;
mod key;
mod log_ring;
mod models;
mod offline;
mod secret;
mod serve;
mod status;
mod sync;
mod try_gpu;
mod user;

use clap::{Parser, Subcommand};
use panel::config::Flags;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::LazyLock;

const EXIT_CODES: &str = "Exit codes:
  0  done
  1  it failed; the message says why
  2  the command line is not understood, or a value in it cannot be taken
  3  the configuration cannot be used
  4  the data folder is in use by another Easel
  5  refused: no such profile, name taken, wrong value
 130 interrupted";

/// What `--version` says, and `-V` does not in full: a program that was built without NVIDIA's compiler uses no GPU.
static LONG_VERSION: LazyLock<String> =
    LazyLock::new(|| format!("{}\n{}", env!("CARGO_PKG_VERSION"), ::engine::device::kernels()));

/// A shared studio for GPU pods and Linux boxes. Without a subcommand it serves.
#[derive(Debug, Parser)]
#[command(name = "easel", version, long_version = LONG_VERSION.as_str(), after_help = EXIT_CODES)]
pub(crate) struct Cli {
    #[command(flatten)]
    shared: Shared,
    #[command(flatten)]
    serve: serve::Args,
    #[command(subcommand)]
    command: Option<Command>,
}

/// Where the data lies: the same for every subcommand.
#[derive(Clone, Debug, Default, clap::Args)]
pub(crate) struct Shared {
    /// Folder of everything that Easel writes [default: ./data, in a pod /workspace/easel]
    #[arg(long, global = true, value_name = "DIR")]
    data: Option<PathBuf>,
    /// The profiles that this studio starts with [default: users.toml]
    #[arg(long, global = true, value_name = "FILE")]
    users: Option<PathBuf>,
    /// Configuration file [default: ./easel.toml, else the one in the data folder]
    #[arg(long, global = true, value_name = "FILE")]
    config: Option<PathBuf>,
}

impl Shared {
    /// The flags that every subcommand has.
    pub(crate) fn flags(&self) -> Flags {
        Flags { config: self.config.clone(), data: self.data.clone(), users: self.users.clone(), ..Flags::default() }
    }

    /// The configuration of a subcommand that has no further flags.
    pub(crate) fn load(&self) -> Result<panel::Config, Failure> {
        panel::Config::load(self.flags()).map_err(|e| Failure { exit: Exit::Config, why: e.into() })
    }
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Serve the studio (what happens without a subcommand)
    Serve(serve::Args),
    /// Be the inference engine of a running panel (started by `serve`)
    #[command(hide = true)]
    Engine(engine::Args),
    /// Try a GPU, for whoever must not end with it (started by what computes)
    #[command(hide = true)]
    TryGpu(try_gpu::Args),
    /// Stand between a running panel and one service (started by `serve`)
    #[command(hide = true)]
    Guardian(guardian::Args),
    /// Be process 1 of a container: start a program, pass signals on, reap what falls to it
    Init(init::Args),
    /// Make pictures here, without a server
    Generate(generate::Args),
    /// List, add or remove models
    Models(models::Args),
    /// List and change profiles, their PINs, passwords and API tokens
    User(user::Args),
    /// Show a link to the studio, or make a new studio key
    Key(key::Args),
    /// Compare the engine with recorded references
    Golden(golden::Args),
    /// Measure how long a picture takes here
    Bench(bench::Args),
    /// Is a server running on this data folder, and how is it?
    Status(status::Args),
    /// Bring the repositories of the configuration in step
    Sync(sync::Args),
    /// Check the machine and the data folder
    Doctor(doctor::Args),
    /// Check the folders of tools: what each says about itself, and its scripts
    CheckSetup(check_setup::Args),
}

/// How the program ends. The numbers are documented in `--help`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Exit {
    /// Done.
    Done = 0,
    /// It failed.
    Failed = 1,
    /// A value on the command line cannot be taken.
    BadInput = 2,
    /// The configuration cannot be used.
    Config = 3,
    /// Another Easel holds the data folder.
    InUse = 4,
    /// The request was understood and refused.
    Refused = 5,
    /// Stopped by the user.
    Interrupted = 130,
}

/// An error with the exit code that it means. Plain errors are [`Exit::Failed`].
#[derive(Debug)]
pub(crate) struct Failure {
    pub(crate) exit: Exit,
    pub(crate) why: anyhow::Error,
}

impl<E: Into<anyhow::Error>> From<E> for Failure {
    fn from(error: E) -> Failure {
        Failure { exit: Exit::Failed, why: error.into() }
    }
}

/// Runs what was asked.
pub(crate) fn run(cli: Cli) -> ExitCode {
    let shared = &cli.shared;
    let outcome = match cli.command {
        None => serve::run(shared, cli.serve),
        Some(Command::Serve(args)) => serve::run(shared, args.or(cli.serve)),
        Some(Command::Engine(args)) => engine::run(shared, args),
        Some(Command::TryGpu(args)) => try_gpu::run(args),
        Some(Command::Guardian(args)) => guardian::run(args),
        Some(Command::Init(args)) => return init::run(args),
        Some(Command::Generate(args)) => generate::run(shared, args),
        Some(Command::Models(args)) => models::run(shared, args),
        Some(Command::User(args)) => user::run(shared, args),
        Some(Command::Key(args)) => key::run(shared, args),
        Some(Command::Golden(args)) => golden::run(shared, args),
        Some(Command::Bench(args)) => bench::run(shared, args),
        Some(Command::Status(args)) => status::run(shared, args),
        Some(Command::Sync(args)) => sync::run(shared, args),
        Some(Command::Doctor(args)) => doctor::run(shared, args),
        Some(Command::CheckSetup(args)) => check_setup::run(shared, args),
    };
    match outcome {
        Ok(exit) => ExitCode::from(exit as u8),
        Err(failure) => {
            complain(&failure.why);
            ExitCode::from(failure.exit as u8)
        }
    }
}

/// The error and its causes, for the person at the terminal.
#[allow(clippy::print_stderr, reason = "a command line's errors belong there")]
fn complain(why: &anyhow::Error) {
    eprintln!("easel: {why:#}");
}

/// A line for the person, beside the output.
#[allow(clippy::print_stderr, reason = "standard output may be read by a script")]
pub(crate) fn note(line: impl std::fmt::Display) {
    eprintln!("{line}");
}

/// A line of a subcommand's output. A closed pipe is the reader's choice and no error.
pub(crate) fn say(line: impl std::fmt::Display) {
    use std::io::Write as _;
    let _ = writeln!(std::io::stdout(), "{line}");
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory as _;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn flags_of_serve_need_no_subcommand() {
        let cli = Cli::try_parse_from(["easel", "--port", "9090", "--data", "d"]).unwrap();
        assert!(cli.command.is_none() && cli.serve.flags(&cli.shared).port == Some(9090));
        let cli = Cli::try_parse_from(["easel", "user", "list", "--data", "d"]).unwrap();
        assert_eq!(cli.shared.data, Some(PathBuf::from("d")));
    }
}
