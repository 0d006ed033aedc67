//! `easel golden`.

use super::{Exit, Failure, Shared};

/// Flags of `golden`.
#[derive(Clone, Debug, Default, clap::Args)]
pub(crate) struct Args {}

pub(crate) fn run(_shared: &Shared, _args: Args) -> Result<Exit, Failure> {
    Err(anyhow::anyhow!("not in this build yet").into())
}
