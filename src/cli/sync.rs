//! `easel sync`: brings the repositories of the configuration in step, or one to another commit, and says how far it is. What a panel
//! runs at each start, in a terminal. By hand, a studio that is served is asked to do it. Knows no git.

use super::{Exit, Failure, Shared, offline, say};
use anyhow::{Context as _, anyhow};
use panel::{
    Config,
    boot::{
        kept::keep,
        sync::{Came, RepoReport, Work, go_to, left_out, sync, take},
    },
    config::{Repo, STUDIO},
    control::{Control, socket},
    datafolder::DataFolder,
};
use repos::{Phase, Progress};
use std::{
    io::Write as _,
    ops::ControlFlow,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::SystemTime,
};
use tokio::signal::unix::{SignalKind, signal};

/// Flags of `sync`.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct Args {
    /// The repository that --to and --take are about
    #[arg(long, value_name = "NAME", default_value = STUDIO)]
    repo: String,
    /// Go to this commit of its history (40 digits): back to one that worked, or forward again
    #[arg(long, value_name = "COMMIT", conflicts_with = "take")]
    to: Option<String>,
    /// Take the history that its remote has rewritten, up to this commit
    #[arg(long, value_name = "COMMIT")]
    take: Option<String>,
    /// A panel started it, which has the data folder
    #[arg(long, hide = true)]
    for_panel: bool,
}

impl Args {
    fn work(self) -> Work {
        match (self.to, self.take) {
            (Some(commit), _) => Work::GoTo { repo: self.repo, commit },
            (None, Some(commit)) => Work::Take { repo: self.repo, commit },
            (None, None) => Work::All,
        }
    }
}

/// Two must never change one work tree: a panel does it itself, and where none runs, none may start meanwhile.
pub(crate) fn run(shared: &Shared, args: Args) -> Result<Exit, Failure> {
    let config = shared.load()?;
    if config.boot.repos.is_empty() {
        say("No repository is configured: [boot.repos.studio] in easel.toml names one, or EASEL_REPO.");
        return Ok(Exit::Done);
    }
    let (for_panel, work) = (args.for_panel, args.work());
    if for_panel {
        return carry_out(&config, &work);
    }
    if let Some(reply) = socket::ask(&config, &Control::Sync { work: work.clone() }).context("asking the running server")? {
        return offline::tell(reply);
    }
    let _folder = DataFolder::take(&config.data, &config.surroundings).map_err(|e| offline::failure(e.into()))?;
    carry_out(&config, &work)
}

/// One after the other; fails where any is not as it was wanted.
fn carry_out(config: &Config, work: &Work) -> Result<Exit, Failure> {
    let repos: Vec<&Repo> = config.boot.repos.iter().filter(|repo| work.repo().is_none_or(|name| name == repo.name)).collect();
    if repos.is_empty() {
        let why = anyhow!("there is no repository \"{}\" in the configuration", work.repo().unwrap_or_default());
        return Err(Failure { exit: Exit::Refused, why });
    }
    let stop = told_to_stop()?;
    let (all, mut exit) = (repos.len(), Exit::Done);
    for (i, repo) in repos.into_iter().enumerate() {
        say(format_args!("::step {}/{all} {}, {} of {}", i + 1, repo.name, repo.branch.as_str(), repo.address));
        let now = SystemTime::UNIX_EPOCH.elapsed().map_or(0, |since| i64::try_from(since.as_millis()).unwrap_or(0));
        let report = if stop.load(Ordering::Relaxed) {
            left_out(&config.boot, repo, now, "It was cancelled before it got to this repository".into())
        } else {
            one(config, repo, work, now, &stop)
        };
        in_words(&report, work);
        if !work.is_done(&report) {
            exit = Exit::Failed;
        }
        // After each: one that is killed has not worked for nothing.
        keep(&config.data, &[report])?;
    }
    Ok(if stop.load(Ordering::Relaxed) { Exit::Interrupted } else { exit })
}

fn one(config: &Config, repo: &Repo, work: &Work, now: i64, stop: &AtomicBool) -> RepoReport {
    let mut told = Progress::default();
    let mut progress = |progress| {
        tell(&mut told, progress);
        if stop.load(Ordering::Relaxed) { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    };
    let report = match work {
        Work::All => sync(&config.boot, repo, now, &mut progress),
        Work::GoTo { commit, .. } => go_to(&config.boot, repo, commit, now, &mut progress),
        Work::Take { commit, .. } => take(&config.boot, repo, commit, now, &mut progress),
    };
    end_line();
    report
}

/// Raised by Ctrl-C, or whoever ends this process: it then ends in order, with nothing left lying about. The second time it ends at
/// once, as everywhere.
fn told_to_stop() -> anyhow::Result<Arc<AtomicBool>> {
    let stop = Arc::new(AtomicBool::new(false));
    let raised = Arc::clone(&stop);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let (mut interrupt, mut terminate) = {
        let _inside = runtime.enter();
        (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?)
    };
    std::thread::spawn(move || {
        runtime.block_on(async {
            loop {
                tokio::select! {
                    _ = interrupt.recv() => {}
                    _ = terminate.recv() => {}
                }
                if raised.swap(true, Ordering::Relaxed) {
                    std::process::exit(i32::from(Exit::Interrupted as u8));
                }
            }
        });
    });
    Ok(stop)
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

fn in_words(report: &RepoReport, work: &Work) {
    let at = report.commit.as_ref().map(|commit| format!("{} {}", &commit.id[..10], commit.summary));
    let at = at.unwrap_or_else(|| "nothing".into());
    for aside in &report.put_aside {
        let more = if aside.more > 0 { format!(" and {} more", aside.more) } else { String::new() };
        say(format_args!("::warn {}{more} edited here: kept on branch {}", aside.files.join(", "), aside.branch));
    }
    match (&report.came, report.behind()) {
        (Came::WentBack { .. }, _) if work.is_done(report) => say(format_args!("went back: {at}")),
        (_, Some(why)) => say(format_args!("::warn {why}\nrunning {at}")),
        (Came::Cloned, _) => say(format_args!("new: {at}")),
        (Came::Forward { commits, .. }, _) => say(format_args!("{commits} new: {at}")),
        _ => say(format_args!("up to date: {at}")),
    }
}
