//! `easel doctor`: what could keep a studio from working here, one line each, with what to do. Changes nothing but a probe
//! file that it removes again. Knows no HTTP.

mod machine;
mod pod;
mod studio;

use super::{Exit, Failure, Shared, say};
use panel::control::{Control, socket};

/// Flags of `doctor`.
#[derive(Clone, Debug, Default, clap::Args)]
pub(crate) struct Args {}

/// One finding: what was looked at, and how it is.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Finding {
    /// As it should be.
    Good(String),
    /// Worth knowing.
    Odd(String),
    /// It keeps the studio, or a part of it, from working.
    Bad(String),
}

use Finding::{Bad, Good, Odd};

/// Looks at everything; fails where anything is bad.
pub(crate) fn run(shared: &Shared, _args: Args) -> Result<Exit, Failure> {
    let config = shared.load()?;
    let server = socket::ask(&config, &Control::Status).ok().flatten();
    let mut findings = vec![Good(format!("configuration: data folder {}", config.data.display()))];
    findings.extend(pod::look(&config));
    findings.extend(machine::look(&config));
    findings.extend(studio::look(&config, server));
    let mut exit = Exit::Done;
    for finding in findings {
        let (mark, text) = match &finding {
            Good(text) => ("ok   ", text),
            Odd(text) => ("note ", text),
            Bad(text) => ("bad  ", text),
        };
        if matches!(finding, Bad(_)) {
            exit = Exit::Failed;
        }
        say(format_args!("{mark}{text}"));
    }
    Ok(exit)
}
