//! `easel check-setup`: every folder of tools, one line each, and what is wrong with it. Changes nothing; knows no tool.

use super::{Exit, Failure, Shared, say};
use anyhow::Context as _;
use panel::tools::{Catalogue, ToolFolder};
use std::path::PathBuf;

/// Flags of `check-setup`.
#[derive(Clone, Debug, Default, clap::Args)]
pub(crate) struct Args {
    /// The folder to check [default: the configured one, else ./setup, else the unpacked one]
    #[arg(value_name = "DIR")]
    folder: Option<PathBuf>,
}

/// Looks at every folder; fails where any is broken.
pub(crate) fn run(shared: &Shared, args: Args) -> Result<Exit, Failure> {
    let folder = match args.folder {
        Some(folder) => folder,
        None => {
            let config = shared.load()?;
            let here = PathBuf::from("setup");
            config.setup.unwrap_or_else(|| if here.is_dir() { here } else { config.data.join("setup") })
        }
    };
    let catalogue = Catalogue::load(&folder).with_context(|| format!("reading {}", folder.display()))?;
    for tool in catalogue.tools() {
        say(format_args!("ok   {:<16} {}", tool.spec.id, in_words(tool)));
    }
    for broken in catalogue.broken() {
        for problem in &broken.problems {
            say(format_args!("bad  {:<16} {problem}", broken.folder));
        }
    }
    if catalogue.tools().next().is_none() && catalogue.broken().is_empty() {
        say(format_args!("bad  {} has no folder of a tool", folder.display()));
        return Ok(Exit::Failed);
    }
    Ok(if catalogue.broken().is_empty() { Exit::Done } else { Exit::Failed })
}

/// Its scripts, its port, and how many choices it offers.
fn in_words(tool: &ToolFolder) -> String {
    let mut words: Vec<String> = tool.actions.iter().map(|action| action.word().to_owned()).collect();
    words.extend(tool.spec.public_port.map(|port| format!("port {port}")));
    words.extend(tool.choices.as_ref().map(|choices| format!("{} choices", choices.all().len())));
    words.join(", ")
}
