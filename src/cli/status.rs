//! `easel status`: whether a server runs on this data folder, and how it is. Knows no HTTP.

use super::{Exit, Failure, Shared, offline};
use panel::control::Control;

/// Flags of `status`.
#[derive(Clone, Debug, Default, clap::Args)]
pub(crate) struct Args {}

/// Asks the server.
pub(crate) fn run(shared: &Shared, _args: Args) -> Result<Exit, Failure> {
    offline::run(shared, Control::Status)
}
