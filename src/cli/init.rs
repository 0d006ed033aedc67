//! `easel init`: process 1 of a container. Knows its command line; the work is `supervise`'s.

use super::complain;
use std::{ffi::OsString, process::ExitCode};

/// What to start.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The program and its arguments, after `--`
    #[arg(last = true, required = true, value_name = "PROGRAM")]
    command: Vec<OsString>,
}

/// Ends with the program's own exit code, or with 128 and the signal that ended it.
pub(crate) fn run(args: Args) -> ExitCode {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    match runtime.and_then(|runtime| runtime.block_on(supervise::init::run(&args.command))) {
        Ok(code) => ExitCode::from(code),
        Err(e) => {
            complain(&e.into());
            ExitCode::from(127)
        }
    }
}
