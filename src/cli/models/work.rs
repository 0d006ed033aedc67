//! `easel models work`: one task on the models folder for a running panel, told and answered on descriptor 3 as JSON
//! lines. Ends with the stream: what was fetched by then stays, and the same task goes on there. Knows no panel.

use super::{Failure, added_as, check, discard, publish, remove, target};
use crate::cli::{
    Exit,
    models::download::{self, Told, Wish},
};
use anyhow::Context as _;
use protocol::{FromModelWorker, ToModelWorker};
use std::{
    io::{BufRead as _, BufReader, Lines, Write as _},
    os::unix::net::UnixStream,
    path::Path,
    time::{Duration, Instant},
};
use tokio::sync::oneshot;

/// Progress is told no more often.
const TELL_EVERY: Duration = Duration::from_millis(250);

/// What ended a task from outside.
enum Ended {
    /// It was given up.
    Cancelled,
    /// The panel is gone.
    Alone,
}

pub(super) fn run(models: &Path, stream: UnixStream) -> Result<Exit, Failure> {
    std::fs::create_dir_all(models).with_context(|| format!("making {}", models.display()))?;
    let mut lines = BufReader::new(stream.try_clone().context("the stream")?).lines();
    let Some(task) = next(&mut lines) else { return Ok(Exit::Done) };
    let mut tell = Tell { stream, told: None };
    let done = match task {
        ToModelWorker::Download { url, name, sha256, token, private } => {
            let wish = Wish {
                url: &url,
                name: name.as_deref(),
                sha256: sha256.as_deref(),
                token: token.as_deref(),
                public_only: !private,
            };
            download(models, wish, lines, &mut tell)
        }
        ToModelWorker::Take { part, name } => take(models, &part, &name).map(Some),
        ToModelWorker::Remove { id } => remove(models, &id).map(|place| Some(FromModelWorker::Removed { place })),
        ToModelWorker::Cancel => Ok(None),
    };
    match done {
        Ok(Some(last)) => tell.line(&last),
        Ok(None) => {}
        Err(why) => tell.line(&FromModelWorker::Failed { why: format!("{why:#}") }),
    }
    Ok(Exit::Done)
}

/// The next line that can be read; none at the end of the stream.
fn next(lines: &mut Lines<BufReader<UnixStream>>) -> Option<ToModelWorker> {
    lines.next().and_then(Result::ok).and_then(|line| serde_json::from_str(&line).ok())
}

fn download(
    models: &Path,
    wish: Wish<'_>,
    mut lines: Lines<BufReader<UnixStream>>,
    tell: &mut Tell,
) -> anyhow::Result<Option<FromModelWorker>> {
    let (say, ended) = oneshot::channel();
    std::thread::spawn(move || {
        let ended = if next(&mut lines) == Some(ToModelWorker::Cancel) { Ended::Cancelled } else { Ended::Alone };
        let _ = say.send(ended);
    });
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let mut name = None;
    let fetched = runtime.block_on(async {
        let mut hear = |told: Told<'_>| match told {
            Told::Name(told) => {
                name = Some(told.to_owned());
                tell.line(&FromModelWorker::Named { name: told.into() });
            }
            Told::Bytes(done, total) => tell.progress(done, total),
        };
        tokio::select! {
            fetched = download::fetch(models, wish, &mut hear) => Some(fetched),
            ended = ended => {
                if let (Ok(Ended::Cancelled), Some(name)) = (ended, wish.name.map(str::to_owned).or(name)) {
                    download::forget(models, &name);
                }
                None
            }
        }
    });
    let Some(fetched) = fetched else { return Ok(None) };
    let (path, _) = fetched?;
    added(models, &path).map(Some)
}

/// Checks what lies there under a hidden name, and gives it its own. What is no model is not kept.
fn take(models: &Path, part: &str, name: &str) -> anyhow::Result<FromModelWorker> {
    let (part, target) = (models.join(part), target(models, name, false)?);
    check(&part).inspect_err(|_| discard(&part))?;
    publish(&part, &target)?;
    added(models, &target)
}

fn added(models: &Path, path: &Path) -> anyhow::Result<FromModelWorker> {
    let (id, _) = added_as(models, path)?;
    let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
    Ok(FromModelWorker::Added { id, name })
}

/// Our end of the stream.
struct Tell {
    stream: UnixStream,
    told: Option<Instant>,
}

impl Tell {
    /// A panel that does not read any more is gone, which the other direction tells too.
    fn line(&mut self, message: &FromModelWorker) {
        let mut line = serde_json::to_vec(message).expect("strings and numbers are JSON");
        line.push(b'\n');
        let _ = self.stream.write_all(&line);
    }

    fn progress(&mut self, done: u64, total: Option<u64>) {
        let due = self.told.is_none_or(|at| at.elapsed() >= TELL_EVERY) || Some(done) == total;
        if due {
            self.told = Some(Instant::now());
            self.line(&FromModelWorker::Progress { done, total });
        }
    }
}
