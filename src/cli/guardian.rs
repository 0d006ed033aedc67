//! `easel guardian`: stands between a running panel and one service. Knows its command line; the work is `supervise`'s.

use super::{Exit, Failure};
use std::ffi::OsString;
use supervise::{Ward, guardian};

/// Written by the panel, for nobody else to type.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Standard input is a terminal, which becomes the program's controlling terminal
    #[arg(long)]
    terminal: bool,
    /// Descriptor 4 is the program's stream
    #[arg(long)]
    stream: bool,
    /// User and group to become
    #[arg(long, value_name = "UID:GID", value_parser = user)]
    user: Option<(u32, u32)>,
    /// The program and its arguments
    #[arg(last = true, required = true)]
    command: Vec<OsString>,
}

fn user(text: &str) -> Result<(u32, u32), String> {
    let parsed = text.split_once(':').and_then(|(uid, gid)| Some((uid.parse().ok()?, gid.parse().ok()?)));
    parsed.ok_or_else(|| format!("{text} is not UID:GID"))
}

pub(crate) fn run(args: Args) -> Result<Exit, Failure> {
    let Args { terminal, stream, user, command } = args;
    guardian::run(&Ward { command, terminal, stream, user })?;
    Ok(Exit::Done)
}
