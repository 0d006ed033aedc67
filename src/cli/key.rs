//! `easel key`: a link into the studio, or a new studio key. Knows no store: it asks the studio.

use super::{Exit, Failure, Shared, offline};
use clap::Subcommand;
use panel::control::Control;

/// What to do.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct Args {
    #[command(subcommand)]
    what: What,
}

#[derive(Clone, Debug, Subcommand)]
enum What {
    /// Print a link into the studio that works once, for 15 minutes
    ShowLink {
        /// For this profile: id or name
        #[arg(long)]
        user: Option<String>,
    },
    /// Make a new studio key, print it once, and log everybody out
    Reset,
}

/// Asks the studio.
pub(crate) fn run(shared: &Shared, args: Args) -> Result<Exit, Failure> {
    let question = match args.what {
        What::ShowLink { user } => Control::KeyShowLink { user },
        What::Reset => Control::KeyReset,
    };
    offline::run(shared, question)
}
