//! `easel sync`: brings the repositories of the configuration in step, and says how far it is. What a panel runs at each start,
//! in a terminal. Knows no git.

use super::{Exit, Failure, Shared, say};
use panel::boot::sync::{Came, RepoReport, keep, sync};
use repos::{Phase, Progress};
use std::{io::Write as _, ops::ControlFlow, time::SystemTime};

/// Flags of `sync`.
#[derive(Clone, Debug, Default, clap::Args)]
pub(crate) struct Args {}

/// One after the other; fails where any is not as its remote has it.
pub(crate) fn run(shared: &Shared, _args: Args) -> Result<Exit, Failure> {
    let config = shared.load()?;
    if config.boot.repos.is_empty() {
        say("No repository is configured: [boot.repos.studio] in easel.toml names one, or EASEL_REPO.");
        return Ok(Exit::Done);
    }
    std::fs::create_dir_all(config.data.join("state"))?;
    let all = config.boot.repos.len();
    let mut reports = Vec::new();
    for (i, repo) in config.boot.repos.iter().enumerate() {
        say(format_args!("::step {}/{all} {}, {} of {}", i + 1, repo.name, repo.branch.as_str(), repo.address));
        let now = SystemTime::UNIX_EPOCH.elapsed().map_or(0, |since| i64::try_from(since.as_millis()).unwrap_or(0));
        let mut told = Progress::default();
        let report = sync(&config.boot, repo, now, &mut |progress| {
            tell(&mut told, progress);
            ControlFlow::Continue(())
        });
        end_line();
        in_words(&report);
        reports.push(report);
        // After each: one that is killed has not worked for nothing.
        keep(&config.data, &reports)?;
    }
    Ok(if reports.iter().all(|report| report.behind().is_none()) { Exit::Done } else { Exit::Failed })
}

/// How far it is, on one line that is written over.
fn tell(told: &mut Progress, now: Progress) {
    if *told == now {
        return;
    }
    *told = now;
    let of = if now.total > 0 { format!(" {} of {}", now.done, now.total) } else { String::new() };
    let line = match now.phase {
        Phase::Starting => "looking at what is here".to_owned(),
        Phase::Connecting => "asking the remote".to_owned(),
        Phase::Receiving => format!("receiving{of}, {:.1} MB", now.bytes as f64 / 1e6),
        Phase::Preparing => format!("writing files{of}"),
        Phase::Switching => "putting them in place".to_owned(),
    };
    let _ = write!(std::io::stdout(), "\r\x1b[2K{line}");
    let _ = std::io::stdout().flush();
}

fn end_line() {
    let _ = write!(std::io::stdout(), "\r\x1b[2K");
}

fn in_words(report: &RepoReport) {
    let at = report.commit.as_ref().map(|commit| format!("{} {}", &commit.id[..10], commit.summary));
    let at = at.unwrap_or_else(|| "nothing".into());
    for aside in &report.put_aside {
        say(format_args!("::warn {} edited here: kept on branch {}", aside.files.join(", "), aside.branch));
    }
    match (&report.came, report.behind()) {
        (_, Some(why)) => say(format_args!("::warn {why}\nrunning {at}")),
        (Came::Cloned, _) => say(format_args!("new: {at}")),
        (Came::Forward { commits, .. }, _) => say(format_args!("{commits} new: {at}")),
        _ => say(format_args!("up to date: {at}")),
    }
}
